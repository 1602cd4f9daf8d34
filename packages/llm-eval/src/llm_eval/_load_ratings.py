"""Reads human ratings from files."""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from llm_eval._load_items import read_rows
from llm_eval._ratings import RatedItem, RatingFault, RatingFaultKind, Ratings
from twllm_types import DataError, JsonObject, JsonValue

# A whole number in JSON may be larger than any float.
_LARGEST = sys.float_info.max


def load_ratings(
    path: Path,
    *,
    scales: Mapping[str, tuple[float, float]] | None = None,
    verdicts: Mapping[str, Sequence[str]] | None = None,
) -> Ratings:
    """Read ratings from a JSONL file, or from one packed by gzip.

    Two layouts, which do not mix. One line per item: `{id, human: {dimension: [rating, ...]}, scale: {dimension: [low,
    high]}, system, cluster, context}`, as items are read, with a single number allowed for a list of one; without a
    cluster, items of equal context are one. One line per rating: `{id, dimension, rater, rating, system, cluster}`; a
    rater may rate an item once.

    A rating that is no number, or that lies outside of the scale where any line names one, is a counted fault and no
    rating.

    Args:
        path: the file.
        scales: lowest and highest rating by dimension, for files that do not say; a scale in the file must agree.
        verdicts: words in their order by dimension, for dimensions that are rated by words.

    Raises:
        DataError: the file cannot be read or holds no rating, a line has neither layout, an item or a rater's rating
            comes twice, or scales disagree; the message begins with file:line.
    """
    reader = _Reader(
        path=path,
        scales=dict(scales or {}),
        verdicts={name: tuple(words) for name, words in (verdicts or {}).items()},
    )
    for number, row in enumerate(read_rows(path), start=1):
        reader.read(row, where=f"{path}:{number}")
    return reader.ratings()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """One rating as it stands in the file."""

    value: JsonValue
    item_id: str
    dimension: str
    where: str


@dataclass(kw_only=True)
class _Reader:
    """What was read so far."""

    path: Path
    scales: dict[str, tuple[float, float]]
    verdicts: dict[str, tuple[str, ...]]
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict[str, dict[str, list[float]]])
    given: list[_Given] = field(default_factory=list[_Given])
    systems: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    clusters: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    seen: dict[tuple[str, ...], str] = field(default_factory=dict[tuple[str, ...], str])
    faults: list[RatingFault] = field(default_factory=list[RatingFault])
    by_item: bool | None = None

    def read(self, row: JsonObject, *, where: str) -> None:
        by_item = "human" in row
        if not by_item and "rating" not in row:
            raise DataError(f"{where}: has neither 'human' nor 'rating'; give the ratings of an item or one rating")
        if self.by_item not in {None, by_item}:
            raise DataError(f"{where}: mixes lines of items ('human') and of ratings ('rating'); use one of them")
        self.by_item = by_item
        item_id = _item_id(row, where)
        self._name_item(item_id, row, where)
        if by_item:
            self._once((item_id,), where, f"item {item_id!r}")
            self._read_item(item_id, row, where)
        else:
            self._read_rating(item_id, row, where)

    def ratings(self) -> Ratings:
        # Only now, since a later line may be the first to name the scale.
        for one in self.given:
            self._count(one)
        if not any(numbers for of_item in self.values.values() for numbers in of_item.values()):
            raise DataError(f"{self.path}: holds no rating that counts; give at least one")
        items = {
            item_id: RatedItem(
                id=item_id,
                ratings={name: tuple(numbers) for name, numbers in of_item.items()},
                system=self.systems[item_id],
                cluster=self.clusters[item_id],
            )
            for item_id, of_item in self.values.items()
        }
        return Ratings(items=items, scales=self.scales, verdicts=self.verdicts, faults=tuple(self.faults))

    def _name_item(self, item_id: str, row: JsonObject, where: str) -> None:
        system, cluster = _text(row, "system", where), _text(row, "cluster", where)
        if cluster is None and row.get("context"):
            cluster = "context-" + hashlib.sha256(json.dumps(row["context"]).encode("ascii")).hexdigest()[:16]
        known = self.values.setdefault(item_id, {})
        for names, name in ((self.systems, system), (self.clusters, cluster)):
            if known and name is not None and names.get(item_id) not in {None, name}:
                raise DataError(f"{where}: item {item_id!r} was of {names[item_id]!r}, now of {name!r}; correct one")
            names[item_id] = name if name is not None else names.get(item_id)

    def _once(self, key: tuple[str, ...], where: str, what: str) -> None:
        if key in self.seen:
            raise DataError(f"{where}: {what} was read at {self.seen[key]}; keep one of the two")
        self.seen[key] = where

    def _read_item(self, item_id: str, row: JsonObject, where: str) -> None:
        self._read_scales(row.get("scale"), where)
        human = row["human"]
        if not isinstance(human, dict):
            raise DataError(f"{where}: human is {type(human).__name__}; give {{dimension: [rating, ...]}}")
        for dimension, given in human.items():
            self.values[item_id].setdefault(dimension, [])
            for value in given if isinstance(given, list) else [given]:
                self.given.append(_Given(value=value, item_id=item_id, dimension=dimension, where=where))

    def _read_rating(self, item_id: str, row: JsonObject, where: str) -> None:
        dimension, rater = row.get("dimension"), row.get("rater")
        if not isinstance(dimension, str) or isinstance(rater, bool) or not isinstance(rater, str | int):
            raise DataError(f"{where}: needs a dimension and a rater; give both, the rater as a text or whole number")
        self._once((item_id, dimension, str(rater)), where, f"rater {rater!r} on {item_id!r}, {dimension!r}")
        self.values[item_id].setdefault(dimension, [])
        self.given.append(_Given(value=row["rating"], item_id=item_id, dimension=dimension, where=where))

    def _read_scales(self, value: JsonValue, where: str) -> None:
        if value is None:
            return
        if not isinstance(value, dict):
            raise DataError(f"{where}: scale is {type(value).__name__}; give {{dimension: [lowest, highest]}}")
        for dimension, ends in value.items():
            match ends:
                case [int() | float() as low, int() | float() as high] if _is_range(low, high):
                    scale = (float(low), float(high))
                case _:
                    raise DataError(f"{where}: scale of {dimension!r} is {ends!r}; give [lowest, highest]")
            if self.scales.setdefault(dimension, scale) != scale:
                raise DataError(
                    f"{where}: scale of {dimension!r} is {list(scale)}, before it was {list(self.scales[dimension])}; "
                    "give every item of a file the same"
                )

    def _count(self, given: _Given) -> None:
        read = self._number(given.value, given.dimension)
        if isinstance(read, RatingFaultKind):
            fault = RatingFault(
                where=given.where,
                item_id=given.item_id,
                dimension=given.dimension,
                kind=read,
                value=json.dumps(given.value, ensure_ascii=False),
            )
            self.faults.append(fault)
        else:
            self.values[given.item_id][given.dimension].append(read)

    def _number(self, value: JsonValue, dimension: str) -> float | RatingFaultKind:
        words = self.verdicts.get(dimension)
        if words is not None:
            return float(words.index(value)) if value in words else RatingFaultKind.UNKNOWN_VERDICT
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
            return RatingFaultKind.NOT_A_NUMBER
        scale = self.scales.get(dimension)
        if scale is not None and not scale[0] <= value <= scale[1]:
            return RatingFaultKind.OUT_OF_SCALE
        return float(value)


def _item_id(row: JsonObject, where: str) -> str:
    value = row.get("id", row.get("item_id"))
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(f"{where}: id is {value!r}; give a text or a whole number")
    return str(value)


def _text(row: JsonObject, key: str, where: str) -> str | None:
    value = row.get(key)
    if not isinstance(value, str | None):
        raise DataError(f"{where}: {key} is {type(cast('object', value)).__name__}; give a text or null")
    return value


def _is_range(low: float, high: float) -> bool:
    """Tell whether two numbers of JSON, which may be larger than any float, are the ends of a scale."""
    is_flag = isinstance(low, bool) or isinstance(high, bool)
    return not is_flag and max(abs(low), abs(high)) <= _LARGEST and low < high
