"""What the letters tell: preference for a position, and how well probabilities match being right."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, exp, inf, lgamma, log, sqrt

import numpy as np
from numpy.typing import NDArray

from tmlu_bench._estimates import mean_share, share_of
from tmlu_bench._outcomes import ItemResult
from twllm_runs.statistics import bootstrap_estimate
from twllm_types import Estimate, EstimateUnit

NUM_BINS = 10
HOMOGENEITY = "marginal homogeneity (Stuart 1955, Maxwell 1970), chi-square"
_FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRow:
    """One shown position, from 0 (A).

    Attributes:
        position: from 0.
        num_gold: decided items whose right option stood here.
        num_chosen: decided items whose choice stood here.
        gold_share: num_gold over the decided items.
        chosen_share: num_chosen over the decided items.
        recall: of the decided items whose right option stood here, the share answered rightly.
    """

    position: int
    num_gold: int
    num_chosen: int
    gold_share: Estimate
    chosen_share: Estimate
    recall: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionBias:
    """Choices by shown position against the right answers' positions, over items with a choice.

    Where questions have several variants, these are one cluster, in the intervals and in the test.

    Attributes:
        rows: by position; empty without decided items.
        num_undecided: items without choice, which are not in the rows.
        statistic: of the test of equal margins; None where choices and answers never differ.
        degrees_of_freedom: of the test, >= 0.
        p_value: two-sided, in [0, 1]; small where the model prefers positions.
        method: the test with its source.
    """

    rows: tuple[PositionRow, ...]
    num_undecided: int
    statistic: float | None
    degrees_of_freedom: int
    p_value: float
    method: str = HOMOGENEITY


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Items whose confidence lies in [low, high), the last bin closed; without items the figures have no mean."""

    low: float
    high: float
    n: int
    mean_confidence: Estimate
    accuracy: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Expected calibration error over equal bins (Guo et al. 2017, arXiv 1706.04599, eq. 3).

    ECE = sum over bins of |sum of (right - confidence)| / n. A resample's ECE is higher than that of a larger sample
    with the same true error, so the interval leans upwards.
    """

    ece: Estimate
    mean_confidence: Estimate
    bins: tuple[CalibrationBin, ...]


def option_probabilities(item: ItemResult) -> dict[str, float] | None:
    """Softmax of the letters' log-probabilities over the options.

    A letter that the engine did not report, or reported with probability zero, gets 0. None where the item has no
    log-probabilities, or no letter has one.
    """
    if item.logprobs is None:
        return None
    values = {letter: item.logprobs.get(letter, -inf) for letter in item.letters}
    highest = max(values.values())
    if highest == -inf:
        return None
    weights = {letter: exp(value - highest) for letter, value in values.items()}
    total = sum(weights.values())
    return {letter: weight / total for letter, weight in weights.items()}


def measure_position_bias(items: Sequence[ItemResult], *, level: float = 0.95) -> PositionBias:
    """Compare where choices and right answers stood, as shown.

    Args:
        items: of one run, without errors.
        level: coverage of the intervals.
    """
    decided = [item for item in items if item.choice is not None]
    clusters = question_clusters(decided)
    gold = [item.shown_position(item.gold) for item in decided]
    chosen = [item.shown_position(item.choice) for item in decided if item.choice is not None]
    size = max((item.num_options for item in decided), default=0)
    statistic, degrees = _test_positions(gold, chosen, size, clusters)
    return PositionBias(
        rows=tuple(_position_row(gold, chosen, position, clusters, level) for position in range(size)),
        num_undecided=len(items) - len(decided),
        statistic=statistic,
        degrees_of_freedom=degrees,
        p_value=1.0 if statistic is None else chi_square_tail(statistic, degrees),
        method=HOMOGENEITY if clusters is None else f"{HOMOGENEITY}, clustered by question",
    )


def question_clusters(items: Sequence[ItemResult]) -> list[tuple[str, str]] | None:
    """Return subject and question of each item, where some question has several variants; else None."""
    keys = [(item.subject, item.question_id) for item in items]
    return keys if len(set(keys)) < len(keys) else None


def _test_positions(
    gold: Sequence[int], chosen: Sequence[int], size: int, clusters: Sequence[tuple[str, str]] | None
) -> tuple[float | None, int]:
    if clusters is None:
        table = np.zeros((size, size))
        for row, column in zip(gold, chosen, strict=True):
            table[row, column] += 1
        return marginal_homogeneity(table)
    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    differences = np.zeros((len(places), size))
    for cluster, row, column in zip(clusters, gold, chosen, strict=True):
        differences[places[cluster], row] += 1
        differences[places[cluster], column] -= 1
    return clustered_homogeneity(differences)


def marginal_homogeneity(table: _FloatArray) -> tuple[float | None, int]:
    """Stuart and Maxwell's statistic of a square table of paired counts, with its degrees of freedom.

    d' V^- d with d the differences of the margins and V their estimated covariance (Stuart 1955, Biometrika 42;
    Maxwell 1970, Br. J. Psychiatry 116); for two categories it is McNemar's without correction. V has the rank that
    the categories with differences give it. Nothing off the diagonal: None and 0.
    """
    if not table.size or not (table.sum() - np.trace(table)):
        return None, 0
    differences = table.sum(axis=1) - table.sum(axis=0)
    covariance = -(table + table.T)
    np.fill_diagonal(covariance, table.sum(axis=1) + table.sum(axis=0) - 2 * np.diag(table))
    return _quadratic_form(differences, covariance)


def clustered_homogeneity(differences: _FloatArray) -> tuple[float | None, int]:
    """The same statistic for dependent pairs: each cluster's differences count as one observation.

    V is the sum of their outer products, the empirical covariance of a score under the hypothesis (Boos 1992, The
    American Statistician 46); with one pair per cluster it is Stuart's V. No difference in any cluster: None and 0.

    Args:
        differences: row margin minus column margin of each cluster, shape (clusters, categories).
    """
    if not differences.any():
        return None, 0
    return _quadratic_form(differences.sum(axis=0), differences.T @ differences)


def _quadratic_form(differences: _FloatArray, covariance: _FloatArray) -> tuple[float, int]:
    statistic = float(differences @ np.linalg.pinv(covariance, hermitian=True) @ differences)
    return statistic, int(np.linalg.matrix_rank(covariance, hermitian=True))


def chi_square_tail(x: float, degrees_of_freedom: int) -> float:
    """P(X >= x) of the chi-square distribution (Abramowitz and Stegun 26.4.4 and 26.4.5); degrees_of_freedom >= 1."""
    half = x / 2
    if half <= 0:
        return 1.0
    if degrees_of_freedom % 2 == 0:
        total = sum(exp(i * log(half) - lgamma(i + 1) - half) for i in range(degrees_of_freedom // 2))
    else:
        rest = range(1, (degrees_of_freedom - 1) // 2 + 1)
        total = erfc(sqrt(half)) + sum(exp((i - 0.5) * log(half) - lgamma(i + 0.5) - half) for i in rest)
    return min(1.0, total)


def measure_calibration(
    items: Sequence[ItemResult], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Calibration | None:
    """Confidence (the largest option probability) against being right; None where no item has log-probabilities.

    Args:
        items: of one run, without errors.
        level: coverage of the intervals.
        draws: bootstrap resamples.
        seed: of the resamples.
    """
    pairs = [(item, probs) for item in items if item.choice and (probs := option_probabilities(item)) is not None]
    if not pairs:
        return None
    confidence = np.array([max(probs.values()) for _, probs in pairs])
    right = np.array([max(probs, key=lambda x: probs[x]) == item.gold for item, probs in pairs], dtype=np.float64)
    bins = np.minimum((confidence * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    n = len(pairs)
    clusters = question_clusters([item for item, _ in pairs])

    def error(rows: _FloatArray) -> _FloatArray:
        # The bootstrap resamples numbers; items are numbered as shares, since the result is one.
        picked = np.rint(rows * n).astype(np.int64)
        gaps, places = (right - confidence)[picked], bins[picked]
        sums = [np.abs(np.where(places == number, gaps, 0.0).sum(axis=1)) for number in range(NUM_BINS)]
        return np.sum(sums, axis=0) / rows.shape[1]

    ece = bootstrap_estimate(
        np.arange(n) / n,
        error,
        unit=EstimateUnit.SHARE,
        seed=seed,
        clusters=clusters,
        draws=draws,
        level=level,
        num_unscored=len(items) - n,
    )
    return Calibration(
        ece=ece,
        mean_confidence=mean_share(confidence.tolist(), clusters=clusters, level=level),
        bins=tuple(
            _bin(number, np.flatnonzero(bins == number).tolist(), confidence, right, clusters, level)
            for number in range(NUM_BINS)
        ),
    )


def _bin(
    number: int,
    places: Sequence[int],
    confidence: _FloatArray,
    right: _FloatArray,
    clusters: Sequence[tuple[str, str]] | None,
    level: float,
) -> CalibrationBin:
    inner = None if clusters is None else [clusters[place] for place in places]
    return CalibrationBin(
        low=number / NUM_BINS,
        high=(number + 1) / NUM_BINS,
        n=len(places),
        mean_confidence=mean_share([float(confidence[place]) for place in places], clusters=inner, level=level),
        accuracy=share_of([bool(right[place]) for place in places], clusters=inner, level=level),
    )


def _position_row(
    gold: Sequence[int],
    chosen: Sequence[int],
    position: int,
    clusters: Sequence[tuple[str, str]] | None,
    level: float,
) -> PositionRow:
    here = [place for place, shown in enumerate(gold) if shown == position]
    return PositionRow(
        position=position,
        num_gold=len(here),
        num_chosen=sum(shown == position for shown in chosen),
        gold_share=share_of([shown == position for shown in gold], clusters=clusters, level=level),
        chosen_share=share_of([shown == position for shown in chosen], clusters=clusters, level=level),
        recall=share_of(
            [chosen[place] == position for place in here],
            clusters=None if clusters is None else [clusters[place] for place in here],
            level=level,
        ),
    )
