"""Scores and ratings side by side, item by item."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from llm_eval._baselines import TextUnit, bleu4, response_length, rouge_l
from llm_eval._columns import LARGEST, TOO_LARGE, FloatArray, Units, rounded_means
from llm_eval._correlation import Correlation, CorrelationMethod, correlate
from llm_eval._draws import resampled_counts
from llm_eval._items import JudgeItem
from llm_eval._judge_scores import JudgeScores
from llm_eval._meta_evaluation import Clustering
from llm_eval._ratings import Ratings
from twllm_types import DataError

LENGTH = "length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Everything about the items that does not depend on a judge.

    Attributes:
        ratings: of the items that are used.
        items: texts by id; empty where none were given.
        baselines: by name a score of each item that has one.
        clustering: which items depend on each other.
    """

    ratings: Ratings
    items: Mapping[str, JudgeItem]
    baselines: Mapping[str, Mapping[str, float]]
    clustering: Clustering

    def system(self, item_id: str) -> str | None:
        """System of an item; None where nobody says."""
        rated, item = self.ratings.items.get(item_id), self.items.get(item_id)
        name = rated.system if rated is not None else None
        return name if name is not None or item is None else item.system

    def cluster(self, item_id: str) -> str:
        """Label of what the item depends on; an item without any is alone."""
        if self.clustering is Clustering.SYSTEM:
            label = self.system(item_id)
        else:
            rated, item = self.ratings.items.get(item_id), self.items.get(item_id)
            label = rated.cluster if item is None and rated is not None else None if item is None else item.cluster_key
        return f"item {item_id}" if label is None else f"cluster {label}"

    def clusters(self, ids: Sequence[str]) -> list[str] | None:
        """Labels of some items; None where nothing is clustered."""
        return None if self.clustering is Clustering.NONE else [self.cluster(item_id) for item_id in ids]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned:
    """One dimension of one judge on the items that have both.

    Attributes:
        dimension: as the judge names it.
        human_dimension: as the ratings name it.
        ids: items with a rating and a score, in the order of the ratings.
        judge: score of each, the mean over its repeats, to 12 significant digits; a verdict counts as its place among
            the verdicts.
        human: mean rating of each, likewise rounded.
        unlabelled: score of each item that has one but no rating in this dimension.
        num_unscored: items with a rating but no score.
    """

    dimension: str
    human_dimension: str
    ids: tuple[str, ...]
    judge: FloatArray
    human: FloatArray
    unlabelled: Mapping[str, float]
    num_unscored: int

    def places(self) -> dict[str, int]:
        """Place of each item among `ids`."""
        return {item_id: at for at, item_id in enumerate(self.ids)}

    def columns(self, ids: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Scores and mean ratings of some of the items, in their order."""
        places = self.places()
        at = np.asarray([places[item_id] for item_id in ids], dtype=np.int64)
        return self.judge[at], self.human[at]


def align(pool: Pool, scores: JudgeScores, dimension: str, human_dimension: str) -> Aligned:
    """Put scores and ratings of one dimension side by side.

    Raises:
        DataError: a score is a word that is none of the verdicts, or the dimension has no verdicts; a score or rating
            is not finite or beyond ±1e100.
    """
    words = pool.ratings.verdicts.get(human_dimension)
    judged: dict[str, float] = {}
    for item_id, of_item in scores.scores.items():
        values = [value for value in of_item.get(dimension, ()) if value is not None]
        if values:
            where = f"{scores.judge}, item {item_id!r}, {dimension!r}"
            judged[item_id] = fmean(_in_range(verdict_code(value, words, where), where) for value in values)
    for item_id, item in pool.ratings.items.items():
        for rating in item.ratings.get(human_dimension, ()):
            _in_range(rating, f"people, item {item_id!r}, {human_dimension!r}")
    human = {item_id: item.mean(human_dimension) for item_id, item in pool.ratings.items.items()}
    rated = {item_id: mean for item_id, mean in human.items() if mean is not None}
    ids = tuple(item_id for item_id in rated if item_id in judged)
    known = {*pool.items, *pool.ratings.items}
    return Aligned(
        dimension=dimension,
        human_dimension=human_dimension,
        ids=ids,
        judge=rounded_means(np.asarray([judged[item_id] for item_id in ids], dtype=np.float64)),
        human=rounded_means(np.asarray([rated[item_id] for item_id in ids], dtype=np.float64)),
        unlabelled={key: value for key, value in judged.items() if key in known and key not in rated},
        num_unscored=len(rated) - len(ids),
    )


def _in_range(value: float, where: str) -> float:
    if not abs(value) <= LARGEST:
        raise DataError(f"{where}: is {value!r}; {TOO_LARGE}")
    return value


def verdict_code(value: float | str, words: Sequence[str] | None, where: str) -> float:
    """A number, or the place of a word among the verdicts.

    Raises:
        DataError: a word where there are no verdicts or that is none of them, or a number where words are expected.
    """
    if isinstance(value, str):
        if words is None:
            raise DataError(f"{where}: {value!r} is a word; name the verdicts of this dimension when reading ratings")
        if value not in words:
            raise DataError(f"{where}: {value!r} is none of {', '.join(words)}; name all verdicts")
        return float(words.index(value))
    if words is not None:
        raise DataError(f"{where}: {value!r} is a number, but people gave one of {', '.join(words)}; judge by words")
    return value


def baseline_scores(items: Sequence[JudgeItem], unit: TextUnit) -> dict[str, dict[str, float]]:
    """Length of what is judged, and BLEU-4 and ROUGE-L of responses with references; a baseline without items is gone.

    The length of a dialogue is that of all its turns.
    """
    found: dict[str, dict[str, float]] = {LENGTH: {}, "BLEU-4": {}, "ROUGE-L": {}}
    for item in items:
        texts = [turn.text for turn in item.context] if item.response is None else [item.response]
        found[LENGTH][item.id] = float(sum(response_length(text, unit) for text in texts))
        if item.response is not None and item.references:
            found["BLEU-4"][item.id] = bleu4(item.response, item.references, unit)
            found["ROUGE-L"][item.id] = rouge_l(item.response, item.references, unit)
    return {name: scores for name, scores in found.items() if scores}


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemColumns:
    """Which item is of which system, for means of systems; make it with `SystemColumns.of`.

    Attributes:
        names: systems in the order of their names.
        indicators: 1 where an item is of a system, shape (items, systems).
    """

    names: tuple[str, ...]
    indicators: FloatArray

    @classmethod
    def of(cls, labels: Sequence[str | None]) -> "SystemColumns":
        """From the system of each item; items without one (None) are in no mean."""
        names = tuple(sorted({label for label in labels if label is not None}))
        indicators = np.zeros((len(labels), len(names)))
        for row, label in enumerate(labels):
            if label is not None:
                indicators[row, names.index(label)] = 1.0
        return cls(names=names, indicators=indicators)

    def subset(self, kept: Sequence[int]) -> "SystemColumns":
        """Some of the items, by their places; systems that have none of them are gone."""
        indicators = self.indicators[list(kept)]
        used = [at for at, count in enumerate(indicators.sum(axis=0).tolist()) if count]
        return SystemColumns(names=tuple(self.names[at] for at in used), indicators=indicators[:, used])

    def means(self, values: FloatArray, counts: FloatArray) -> FloatArray:
        """Mean of each system in each resample, shape (R, S); NaN where a resample has none of its items."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return rounded_means((counts @ (self.indicators * values[:, np.newaxis])) / (counts @ self.indicators))

    def correlate(self, x: FloatArray, y: FloatArray, method: CorrelationMethod) -> Correlation:
        """Correlation of the means of systems."""
        ones = np.ones((1, x.size))
        return correlate(self.means(x, ones)[0], self.means(y, ones)[0], method)


def read_systems(pool: Pool, ids: Sequence[str]) -> SystemColumns:
    """The systems of some items; items without one are in no mean."""
    return SystemColumns.of([pool.system(item_id) for item_id in ids])


def draw_system_correlations(
    systems: SystemColumns,
    x: FloatArray,
    y: FloatArray,
    method: CorrelationMethod,
    *,
    units: Units,
    draws: int,
    seed: int,
) -> FloatArray:
    """`SystemColumns.correlate` in each resample, shape (draws,); NaN where it is undefined or a system has no item."""
    found: list[float] = []
    for block in resampled_counts(units, draws=draws, seed=seed):
        pairs = zip(systems.means(x, block.floats), systems.means(y, block.floats), strict=True)
        for one, other in pairs:
            whole = bool(np.isfinite(one).all() and np.isfinite(other).all())
            value = correlate(one, other, method).value if whole else None
            found.append(np.nan if value is None else value)
    return np.asarray(found)
