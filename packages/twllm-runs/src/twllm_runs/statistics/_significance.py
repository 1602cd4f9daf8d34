"""Tests of paired results and corrections for many tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Literal, TypeAlias

import numpy as np

from twllm_runs.statistics._design import (
    FloatArray,
    IntArray,
    Labels,
    Values,
    as_values,
    check_draws,
    check_same_length,
    read_design,
)
from twllm_runs.statistics._special import binomial_half_cdf, log_binomial_half
from twllm_types import DataError

McnemarMethod: TypeAlias = Literal["exact", "mid_p"]

_CHUNK = 1 << 20
_EXACT_UP_TO = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """Outcome of a significance test.

    Attributes:
        statistic: what was compared with its distribution under the null hypothesis; None where there are no items.
        p_value: two-sided, in [0, 1]; 1 where there are no items.
        method: the test, with its source.
        n: pairs that the test saw.
        draws: random draws; None where the distribution was enumerated.
        seed: of the draws; None where none were made.
    """

    # A name that starts with "Test" looks like a test class to pytest.
    __test__ = False

    statistic: float | None
    p_value: float
    method: str
    n: int
    draws: int | None = None
    seed: int | None = None


def mcnemar(num_only_first: int, num_only_second: int, *, method: McnemarMethod = "exact") -> TestResult:
    """Whether two systems answer the same items rightly equally often (McNemar 1947).

    Under the null hypothesis the b items that only the first answers are Binomial(b + c, 1/2). "exact": two-sided
    binomial p = min(1, 2 P(X <= min(b, c))). "mid_p": the outcome itself counts half, p = 2 P(X <= min(b, c)) -
    P(X = b), or 1 - P(X = b)/2 where b = c (Fagerland, Lydersen and Laake 2013, BMC Med. Res. Methodol. 13:91), less
    conservative, with a size that hardly exceeds the nominal one.

    Args:
        num_only_first: b, items that only the first system answers rightly.
        num_only_second: c, items that only the second does.
        method: which p-value.

    Returns:
        `statistic` is b; with b + c = 0 it is None and p is 1.

    Raises:
        DataError: a count below 0.
    """
    b, c = num_only_first, num_only_second
    if b < 0 or c < 0:
        raise DataError(f"McNemar's counts are {b} and {c}; counts of items must be >= 0")
    name = "mcnemar, exact binomial" if method == "exact" else "mcnemar, mid-p (Fagerland 2013)"
    if b + c == 0:
        return TestResult(statistic=None, p_value=1.0, method=name, n=0)
    p = 1.0 if b == c else 2 * binomial_half_cdf(min(b, c), b + c)
    if method == "mid_p":
        p -= exp(log_binomial_half(min(b, c), b + c)) * (0.5 if b == c else 1.0)
    return TestResult(statistic=float(b), p_value=min(1.0, max(0.0, p)), method=name, n=b + c)


def permutation_test_paired(
    first: Values, second: Values, *, seed: int, clusters: Labels | None = None, draws: int = 10_000
) -> TestResult:
    """Whether the mean difference of two systems on the same items is zero, by flipping signs.

    Under the null hypothesis the two values of an item could be swapped (Fisher 1935, The Design of Experiments). Up to
    16 items (or clusters, which flip as a whole) all assignments are enumerated and p is the share with at least the
    observed |mean|; above, p = (1 + hits) / (1 + draws) (Phipson and Smyth 2010), never 0.

    Args:
        first: one finite number per item.
        second: the same for the other system, in the same order.
        seed: of the draws.
        clusters: label per item; None where items are independent.
        draws: random assignments, at least 2.

    Returns:
        `statistic` is the mean of first - second; no pairs give None and p = 1.

    Raises:
        DataError: unequal lengths, a value that is not finite, labels that do not fit.
        ConfigError: fewer than two draws.
    """
    check_draws(draws)
    a, b = as_values(first, name="first"), as_values(second, name="second")
    check_same_length(a, b, "first and second")
    design = read_design(a.size, clusters=clusters)
    if not a.size:
        return TestResult(statistic=None, p_value=1.0, method=design.describe("paired permutation"), n=0)
    sums = np.bincount(design.strata[0].clusters, weights=a - b).astype(np.float64)
    statistic = float((a - b).mean())
    exact = sums.size <= _EXACT_UP_TO
    hits, total = _enumerate_flips(sums) if exact else _draw_flips(sums, draws=draws, seed=seed)
    words = ["paired permutation", "all assignments" if exact else "random assignments (Phipson and Smyth 2010)"]
    return TestResult(
        statistic=statistic,
        p_value=hits / total,
        method=", ".join([*words, *(["clustered"] if design.clustered else [])]),
        n=a.size,
        draws=None if exact else draws,
        seed=None if exact else seed,
    )


def _enumerate_flips(sums: FloatArray) -> tuple[int, int]:
    rows = np.arange(2**sums.size, dtype=np.int64)[:, np.newaxis]
    bits: IntArray = np.bitwise_and(np.right_shift(rows, np.arange(sums.size, dtype=np.int64)), 1)
    return _count_extreme(bits, sums), 2**sums.size


def _draw_flips(sums: FloatArray, *, draws: int, seed: int) -> tuple[int, int]:
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK // sums.size)
    hits = 0
    for start in range(0, draws, rows):
        bits = rng.integers(0, 2, size=(min(rows, draws - start), sums.size))
        hits += _count_extreme(bits, sums)
    return 1 + hits, 1 + draws


def _count_extreme(bits: IntArray, sums: FloatArray) -> int:
    """Assignments whose |sum| reaches the observed one; rounding of the sums counts as equal."""
    slack = 1e-12 * float(np.abs(sums).sum())
    flipped = np.abs((1.0 - 2.0 * bits) @ sums)
    return int((flipped >= abs(float(sums.sum())) - slack).sum())


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values that bound the chance of any false finding (Holm 1979), in the order given.

    The i-th smallest of m becomes max over j <= i of min(1, (m - j + 1) p_(j)). No p-values: an empty tuple.

    Raises:
        DataError: a p-value outside [0, 1].
    """
    p, order = _sorted(p_values)
    adjusted = np.minimum(1.0, np.maximum.accumulate(p * np.arange(p.size, 0, -1)))
    return _restore(adjusted, order)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values that bound the share of false findings (Benjamini and Hochberg 1995), in the order given.

    The i-th smallest of m becomes min over j >= i of min(1, m p_(j) / j). No p-values: an empty tuple.

    Raises:
        DataError: a p-value outside [0, 1].
    """
    p, order = _sorted(p_values)
    scaled = p * p.size / np.arange(1, p.size + 1)
    adjusted = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return _restore(adjusted, order)


def _sorted(p_values: Sequence[float]) -> tuple[FloatArray, IntArray]:
    p = as_values(p_values, name="p_values")
    if p.size and not (p.min() >= 0 and p.max() <= 1):
        raise DataError(f"p-values range from {p.min()} to {p.max()}; a p-value lies in [0, 1]")
    order = np.argsort(p, kind="stable").astype(np.int64)
    return p[order], order


def _restore(ordered: FloatArray, order: IntArray) -> tuple[float, ...]:
    result = np.empty_like(ordered)
    result[order] = ordered
    return tuple(result.tolist())
