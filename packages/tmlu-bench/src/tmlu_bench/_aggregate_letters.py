"""What the letters tell: preference for a position, and how well probabilities match being right."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, exp, inf, lgamma, log, sqrt

import numpy as np
from numpy.typing import NDArray

from tmlu_bench._outcomes import ItemResult
from twllm_runs.statistics import bootstrap_estimate, proportion_estimate
from twllm_types import Estimate, EstimateUnit

NUM_BINS = 10
_FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRow:
    """One shown position, from 0 (A).

    Attributes:
        position: from 0.
        num_gold: decided items whose right option stood here.
        num_chosen: decided items whose choice stood here.
        gold_share: num_gold over the decided items.
        chosen_share: num_chosen over the decided items, with its interval.
        recall: of the decided items whose right option stood here, the share answered rightly.
    """

    position: int
    num_gold: int
    num_chosen: int
    gold_share: float
    chosen_share: Estimate
    recall: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionBias:
    """Choices by shown position against the right answers' positions, over items with a choice.

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
    method: str = "marginal homogeneity (Stuart 1955, Maxwell 1970), chi-square"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Items whose confidence lies in [low, high), the last bin closed; means are None where there are none."""

    low: float
    high: float
    n: int
    mean_confidence: float | None
    accuracy: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Expected calibration error over equal bins (Guo et al. 2017, arXiv 1706.04599, eq. 3).

    ECE = sum over bins of |sum of (right - confidence)| / n. A resample's ECE is higher than that of a larger sample
    with the same true error, so the interval leans upwards.
    """

    ece: Estimate
    mean_confidence: float
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
    gold = [item.shown_position(item.gold) for item in decided]
    chosen = [item.shown_position(item.choice) for item in decided if item.choice is not None]
    size = max((item.num_options for item in decided), default=0)
    table = np.zeros((size, size))
    for row, column in zip(gold, chosen, strict=True):
        table[row, column] += 1
    statistic, degrees = marginal_homogeneity(table)
    return PositionBias(
        rows=tuple(_position_row(table, position, level) for position in range(size)),
        num_undecided=len(items) - len(decided),
        statistic=statistic,
        degrees_of_freedom=degrees,
        p_value=1.0 if statistic is None else chi_square_tail(statistic, degrees),
    )


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
        clusters=[(item.subject, item.question_id) for item, _ in pairs] if _has_variants(items) else None,
        draws=draws,
        level=level,
        num_unscored=len(items) - n,
    )
    return Calibration(
        ece=ece,
        mean_confidence=float(confidence.mean()),
        bins=tuple(
            _bin(number, confidence[bins == number], right[bins == number], level) for number in range(NUM_BINS)
        ),
    )


def _has_variants(items: Sequence[ItemResult]) -> bool:
    return len({(item.subject, item.question_id) for item in items}) < len(items)


def _bin(number: int, confidence: _FloatArray, right: _FloatArray, level: float) -> CalibrationBin:
    return CalibrationBin(
        low=number / NUM_BINS,
        high=(number + 1) / NUM_BINS,
        n=int(confidence.size),
        mean_confidence=float(confidence.mean()) if confidence.size else None,
        accuracy=proportion_estimate(round(float(right.sum())), int(right.size), level=level),
    )


def _position_row(table: _FloatArray, position: int, level: float) -> PositionRow:
    n = round(float(table.sum()))
    num_gold, num_chosen = round(float(table[position].sum())), round(float(table[:, position].sum()))
    return PositionRow(
        position=position,
        num_gold=num_gold,
        num_chosen=num_chosen,
        gold_share=num_gold / n,
        chosen_share=proportion_estimate(num_chosen, n, level=level),
        recall=proportion_estimate(round(float(table[position, position])), num_gold, level=level),
    )
