"""Pearson, Spearman and Kendall tau-b, with ties; what is undefined has a reason instead of a number."""

from dataclasses import dataclass
from enum import StrEnum
from math import erfc, sqrt

import numpy as np

from llm_eval._columns import FloatArray, IntArray, Values, as_pair
from twllm_runs.statistics import correlation_p_value
from twllm_types import ConfigError

LEAST_ITEMS = 3


class CorrelationMethod(StrEnum):
    """Which coefficient."""

    PEARSON = "pearson"
    SPEARMAN = "spearman"
    KENDALL = "kendall"


class NoCorrelation(StrEnum):
    """Why a correlation is undefined."""

    TOO_FEW_ITEMS = "too_few_items"
    """Fewer than three."""
    CONSTANT_X = "constant_x"
    """All first values are equal; also said where both columns are."""
    CONSTANT_Y = "constant_y"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """One coefficient, or why there is none.

    Attributes:
        value: in [-1, 1]; None where it is undefined.
        reason: why it is; None exactly where there is a value.
        p_value: two-sided, of no association between independent items, in [0, 1]; None without a value. Items of one
            context are not independent: see `permutation_p_values`.
        method: which coefficient.
        n: items.
    """

    value: float | None
    reason: NoCorrelation | None
    p_value: float | None
    method: CorrelationMethod
    n: int


def correlate(x: Values, y: Values, method: CorrelationMethod | str) -> Correlation:
    """Correlate two columns.

    Pearson; Spearman as Pearson of average ranks; Kendall's tau-b (Kendall 1945), in O(n log n). The p-value is that of
    t = r sqrt((n - 2) / (1 - r^2)) for the first two, as in `scipy.stats`, and that of the normal approximation with
    ties for tau-b (Kendall 1970, chapter 5), `method="asymptotic"` of `scipy.stats.kendalltau`.

    Args:
        x: one finite number per item.
        y: the same, in the same order.
        method: which coefficient.

    Raises:
        DataError: unequal lengths, or a value that is not finite.
        ConfigError: `method` names no coefficient.
    """
    chosen = _read_method(method)
    a, b = as_pair(x, y)
    reason = no_correlation(a, b)
    if reason is not None:
        return Correlation(value=None, reason=reason, p_value=None, method=chosen, n=a.size)
    if chosen is CorrelationMethod.KENDALL:
        pairs = _count_pairs(a, b)
        value, p_value = pairs.tau_b, pairs.p_value
    else:
        if chosen is CorrelationMethod.SPEARMAN:
            a, b = average_ranks(a), average_ranks(b)
        value = pearson(a, b)
        p_value = correlation_p_value(value, a.size - 2)
    return Correlation(value=value, reason=None, p_value=p_value, method=chosen, n=a.size)


def _read_method(method: CorrelationMethod | str) -> CorrelationMethod:
    try:
        return CorrelationMethod(method)
    except ValueError as error:
        names = ", ".join(repr(one.value) for one in CorrelationMethod)
        raise ConfigError(f"no correlation method {method!r}; give one of {names}") from error


def no_correlation(x: FloatArray, y: FloatArray) -> NoCorrelation | None:
    """Why two columns of the same length have no correlation; None where they have one."""
    if x.size < LEAST_ITEMS:
        return NoCorrelation.TOO_FEW_ITEMS
    if x.min() == x.max():
        return NoCorrelation.CONSTANT_X
    return NoCorrelation.CONSTANT_Y if y.min() == y.max() else None


def average_ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1, ties by their average rank."""
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2.0)[codes]


def standardized(values: FloatArray) -> FloatArray:
    """Deviations from the mean divided by their Euclidean norm; `values` must not be constant."""
    # Halved, since the difference of two large floats may be beyond the largest.
    halves = values / 2
    deviations = halves - halves.mean()
    # By the largest first, since the squares of tiny or huge deviations leave the range of floats.
    scaled = deviations / np.abs(deviations).max()
    return scaled / np.linalg.norm(scaled)


def pearson(x: FloatArray, y: FloatArray) -> float:
    """Pearson's r of two columns that are not constant."""
    return min(1.0, max(-1.0, float(standardized(x) @ standardized(y))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """Kendall's counts; `x_ties` and `y_ties` hold the sizes of the groups of equal values."""

    concordant_less_discordant: float
    x_ties: FloatArray
    y_ties: FloatArray
    n: int

    @property
    def tau_b(self) -> float:
        total = self.n * (self.n - 1) / 2
        free_x = total - float((self.x_ties * (self.x_ties - 1)).sum()) / 2
        free_y = total - float((self.y_ties * (self.y_ties - 1)).sum()) / 2
        return min(1.0, max(-1.0, self.concordant_less_discordant / sqrt(free_x) / sqrt(free_y)))

    @property
    def p_value(self) -> float:
        n, m = self.n, self.n * (self.n - 1.0)
        moments = [
            (float((t * (t - 1)).sum()), float((t * (t - 1) * (t - 2)).sum()), float((t * (t - 1) * (2 * t + 5)).sum()))
            for t in (self.x_ties, self.y_ties)
        ]
        (x1, x2, x3), (y1, y2, y3) = moments
        variance = (m * (2 * n + 5) - x3 - y3) / 18 + x1 * y1 / (2 * m) + x2 * y2 / (9 * m * (n - 2))
        return erfc(abs(self.concordant_less_discordant) / sqrt(2 * variance))


def _count_pairs(x: FloatArray, y: FloatArray) -> _Pairs:
    x_codes, y_codes = dense_codes(x), dense_codes(y)
    order = np.lexsort((y_codes, x_codes))
    x_ties, y_ties = np.bincount(x_codes).astype(np.float64), np.bincount(y_codes).astype(np.float64)
    cells = np.unique(x_codes * (int(y_codes.max()) + 1) + y_codes, return_counts=True)[1].astype(np.float64)
    total = x.size * (x.size - 1) / 2
    tied = [float((t * (t - 1)).sum()) / 2 for t in (x_ties, y_ties, cells)]
    discordant = count_inversions(y_codes[order])
    difference = total - tied[0] - tied[1] + tied[2] - 2 * discordant
    return _Pairs(concordant_less_discordant=difference, x_ties=x_ties, y_ties=y_ties, n=x.size)


def dense_codes(values: FloatArray) -> IntArray:
    """The place of each value among the distinct ones, from 0."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def count_inversions(codes: IntArray) -> int:
    """Pairs i < j with codes[i] > codes[j], in O(n log(largest code)).

    Two codes are ordered by the highest bit in which they differ. So the codes are split by one bit after the other,
    from the highest, each group in its order; in a group, each zero that follows a one is an inversion.
    """
    inversions = 0
    row = codes
    for bit in range(int(row.max()).bit_length() - 1, -1, -1):
        row = row[np.argsort(row >> (bit + 1), kind="stable")]
        groups = row >> (bit + 1)
        ones = (row >> bit) & 1
        before = np.cumsum(ones) - ones
        starts = np.concatenate(([True], groups[1:] != groups[:-1]))
        at_start = before[np.maximum.accumulate(np.where(starts, np.arange(row.size), 0))]
        inversions += int(((before - at_start) * (1 - ones)).sum())
    return inversions
