"""The scores of one judge, as meta-evaluation takes them, and how they find their items."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from llm_eval._judgements import DimensionScore, Judgement
from twllm_types import DataError, FrozenDict

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeScores:
    """What one judge gave.

    Attributes:
        judge: its name in tables.
        scores: for each item and dimension its value in each repeat; None where that repeat failed. A verdict is a
            word, all others numbers. An item that failed every time has an empty mapping.
        failures: failed judgements by their kind.
    """

    judge: str
    scores: Mapping[str, Mapping[str, tuple[float | str | None, ...]]]
    failures: Mapping[str, int]

    def __post_init__(self) -> None:
        frozen = {item: FrozenDict(of_item) for item, of_item in self.scores.items()}
        object.__setattr__(self, "scores", FrozenDict(frozen))
        object.__setattr__(self, "failures", FrozenDict(self.failures))

    @property
    def num_failed(self) -> int:
        """Failed judgements, repeats counted each."""
        return sum(self.failures.values())

    @property
    def dimensions(self) -> tuple[str, ...]:
        """All dimensions, in the order in which they first appear."""
        return tuple(dict.fromkeys(name for of_item in self.scores.values() for name in of_item))


def plain_scores(judge: str, values: Mapping[str, Mapping[str, float | str]]) -> JudgeScores:
    """Scores of one call per item: item id to dimension to value."""
    scores = {item: {name: (value,) for name, value in of_item.items()} for item, of_item in values.items()}
    return JudgeScores(judge=judge, scores=scores, failures={})


def scores_of_judgements(judge: str, judgements: Sequence[Judgement]) -> JudgeScores:
    """The scores of a run's judgements.

    Raises:
        DataError: an item has one repeat twice.
    """
    rows = [
        ScoreRow(
            where=f"judgement of item {one.item_id}",
            item_id=one.item_id,
            repeat=one.repeat,
            values=None if one.scores is None else {name: _given(score) for name, score in one.scores.items()},
            failure=None if one.failure is None else one.failure.kind.value,
        )
        for one in judgements
    ]
    return collect_scores(judge, rows)


def _given(score: DimensionScore) -> float | str:
    # A score has exactly one of the two.
    return cast("float", score.value) if score.verdict is None else score.verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One judgement as read: values by dimension, or the kind of its failure where `values` is None."""

    where: str
    item_id: str
    repeat: int
    values: Mapping[str, float | str] | None
    failure: str | None


def collect_scores(judge: str, rows: Sequence[ScoreRow]) -> JudgeScores:
    """Put the repeats of each item together, in their order.

    Raises:
        DataError: an item has one repeat twice.
    """
    by_item: dict[str, dict[int, ScoreRow]] = defaultdict(dict)
    for row in rows:
        known = by_item[row.item_id].setdefault(row.repeat, row)
        if known is not row:
            raise DataError(
                f"{row.where}: item {row.item_id!r}, repeat {row.repeat} was read at {known.where}; keep one of the two"
            )
    scores: dict[str, dict[str, tuple[float | str | None, ...]]] = {}
    for item_id, repeats in by_item.items():
        ordered = [repeats[number] for number in sorted(repeats)]
        names = dict.fromkeys(name for row in ordered for name in row.values or {})
        scores[item_id] = {name: tuple((row.values or {}).get(name) for row in ordered) for name in names}
    failures = Counter(row.failure or "unknown" for row in rows if row.values is None)
    return JudgeScores(judge=judge, scores=scores, failures=failures)


def match_in_order(keys: Sequence[_Key], known: Sequence[tuple[_Key, str]]) -> list[str | None]:
    """Find the id of each key; keys that come several times are matched in the order of the rows.

    Data sets repeat a response in the same context (GRADE has 11 such keys), so that a text alone names no row: its
    k-th occurrence among `keys` is the k-th among `known`.

    Returns:
        An id of each key; None where there is none left.
    """
    waiting: dict[_Key, list[str]] = defaultdict(list)
    for key, item_id in reversed(known):
        waiting[key].append(item_id)
    return [waiting[key].pop() if waiting.get(key) else None for key in keys]
