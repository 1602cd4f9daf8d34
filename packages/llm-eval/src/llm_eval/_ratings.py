"""What people said of the items, checked and counted."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import fsum

from twllm_types import DataError, FrozenDict


class RatingFaultKind(StrEnum):
    """Why a rating does not count."""

    NOT_A_NUMBER = "not_a_number"
    """A text such as "N/A", true, null, a list."""
    OUT_OF_SCALE = "out_of_scale"
    UNKNOWN_VERDICT = "unknown_verdict"
    """A word that is none of the verdicts of its dimension."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingFault:
    """One rating that was left out.

    Attributes:
        where: file:line.
        item_id: item that it rates.
        dimension: of the rating.
        kind: why it does not count.
        value: the rating as it stands in the file, as JSON.
    """

    where: str
    item_id: str
    dimension: str
    kind: RatingFaultKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedItem:
    """The ratings of one item.

    Attributes:
        id: unique within a set.
        ratings: for each dimension what each rater gave; a verdict is its place among the verdicts of the dimension. An
            item may lack a dimension, or have an empty one where no rating counts.
        system: who wrote the response; None where nobody says.
        cluster: name of the items that depend on each other; None where nobody says.
    """

    id: str
    ratings: Mapping[str, tuple[float, ...]]
    system: str | None = None
    cluster: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratings", FrozenDict(self.ratings))

    def mean(self, dimension: str) -> float | None:
        """Mean rating, the same in whatever order the raters stand; None where there is none."""
        values = self.ratings.get(dimension, ())
        return fsum(values) / len(values) if values else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """The ratings of a set of items.

    Attributes:
        items: item of each id, in the order of the file.
        scales: lowest and highest rating of each dimension whose scale is known.
        verdicts: words of each dimension that is rated by words, in their order.
        faults: ratings that were left out, in the order of the file.

    Raises:
        DataError: an item stands under another id.
    """

    items: Mapping[str, RatedItem]
    scales: Mapping[str, tuple[float, float]]
    verdicts: Mapping[str, tuple[str, ...]]
    faults: tuple[RatingFault, ...] = ()

    def __post_init__(self) -> None:
        for key, item in self.items.items():
            if key != item.id:
                raise DataError(f"ratings of item {item.id!r} stand under {key!r}; use the item's id")
        for name in ("items", "scales", "verdicts"):
            object.__setattr__(self, name, FrozenDict(getattr(self, name)))

    @property
    def dimensions(self) -> tuple[str, ...]:
        """All dimensions, in the order in which they first appear."""
        return tuple(dict.fromkeys(name for item in self.items.values() for name in item.ratings))

    def without_systems(self, names: Collection[str]) -> "Ratings":
        """The ratings less the items of some systems, such as reference responses that a baseline knows.

        Raises:
            DataError: no item is of a named system.
        """
        unknown = set(names) - {item.system for item in self.items.values()}
        if unknown:
            listed = ", ".join(map(repr, sorted(unknown)))
            raise DataError(f"no rated item is of system {listed}; correct the name of the system to leave out")
        kept = {key: item for key, item in self.items.items() if item.system not in names}
        return Ratings(items=kept, scales=self.scales, verdicts=self.verdicts, faults=self.faults)
