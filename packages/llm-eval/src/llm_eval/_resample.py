"""Correlations with bootstrap intervals, differences between judges, and permutation tests; items may be clustered."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm_eval._columns import FloatArray, IntArray, Labels, Units, Values, as_column, as_pair, check_draws, read_units
from llm_eval._correlation import (
    Correlation,
    CorrelationMethod,
    average_ranks,
    correlate,
    no_correlation,
    standardized,
)
from llm_eval._draws import draw_correlations
from twllm_types import DataError, Estimate, EstimateUnit

_CHUNK = 1 << 17
# Rounding alone must not make a permuted coefficient smaller than the observed one that it equals.
_SLACK = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationEstimate:
    """A correlation with its interval.

    Attributes:
        correlation: the coefficient in the sample, or why there is none.
        estimate: the same with its bootstrap interval; None where there is no coefficient.
        num_undefined_draws: resamples that had no coefficient, since all their values were equal or they were fewer
            than three; they are in no quantile, and `estimate.method` tells their number.
    """

    correlation: Correlation
    estimate: Estimate | None
    num_undefined_draws: int


def bootstrap_correlations(
    x: Sequence[Values],
    y: Sequence[Values],
    *,
    methods: Sequence[CorrelationMethod] = tuple(CorrelationMethod),
    seed: int,
    clusters: Labels | None = None,
    draws: int = 2000,
    level: float = 0.95,
) -> tuple[dict[CorrelationMethod, CorrelationEstimate], ...]:
    """Correlate pairs of columns over the same items, with percentile intervals; all pairs see the same resamples.

    Items, or whole clusters, are drawn with replacement (Efron 1979; Davison and Hinkley 1997, chapter 3; the interval
    after Efron and Tibshirani 1993, chapter 13). A column that occurs twice should be the same object both times.

    Args:
        x: one column per pair, each with one finite number per item.
        y: the other column of each pair.
        methods: which coefficients.
        seed: of the draws.
        clusters: label per item; items of one label depend on each other; None where all are independent.
        draws: resamples, at least 2.
        level: coverage, in (0, 1).

    Returns:
        For each pair an estimate by method.

    Raises:
        DataError: columns of unequal length, values that are not finite, or labels that do not fit.
        ConfigError: a level outside (0, 1), or fewer than two draws.
    """
    check_draws(draws, level)
    columns, pairs = _read_columns(x, y)
    units = read_units(columns[0].size if columns else 0, clusters)
    drawn = draw_correlations(columns, pairs, methods, units=units, draws=draws, seed=seed)
    found: list[dict[CorrelationMethod, CorrelationEstimate]] = []
    for number, (i, j) in enumerate(pairs):
        by_method: dict[CorrelationMethod, CorrelationEstimate] = {}
        for method in methods:
            correlation = correlate(columns[i], columns[j], method)
            by_method[method] = drawn_estimate(
                correlation,
                drawn[method][number],
                units=units,
                what=f"{method.value}, percentile bootstrap",
                level=level,
                seed=seed,
            )
        found.append(by_method)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationDifference:
    """How much better one judge agrees with people than another, on the same items.

    Attributes:
        first: coefficient of the first judge.
        second: coefficient of the second judge.
        estimate: first - second with its interval; None where one of them has no coefficient.
        p_value: two-sided, twice the smaller share of draws on one side of 0, each side counted with one draw more so
            that it is never 0 (Davison and Hinkley 1997, 4.4); None without an estimate.
        num_undefined_draws: resamples in which one judge or both had no coefficient.
    """

    first: Correlation
    second: Correlation
    estimate: Estimate | None
    p_value: float | None
    num_undefined_draws: int


def bootstrap_correlation_difference(
    first: Values,
    second: Values,
    human: Values,
    *,
    method: CorrelationMethod,
    seed: int,
    clusters: Labels | None = None,
    draws: int = 2000,
    level: float = 0.95,
) -> CorrelationDifference:
    """Paired bootstrap of r(first, human) - r(second, human): both judges see the same resamples.

    Args:
        first: scores of the first judge, one per item.
        second: scores of the second.
        human: mean ratings.
        method: which coefficient.
        seed: of the draws.
        clusters: label per item; None where all are independent.
        draws: resamples, at least 2.
        level: coverage, in (0, 1).

    Raises:
        DataError: columns of unequal length, values that are not finite, or labels that do not fit.
        ConfigError: a level outside (0, 1), or fewer than two draws.
    """
    check_draws(draws, level)
    columns, pairs = _read_columns((first, second), (human, human))
    units = read_units(columns[0].size, clusters)
    drawn = draw_correlations(columns, pairs, (method,), units=units, draws=draws, seed=seed)[method]
    one, other = (correlate(columns[i], columns[j], method) for i, j in pairs)
    differences = drawn[0] - drawn[1]
    if one.value is None or other.value is None:
        return CorrelationDifference(first=one, second=other, estimate=None, p_value=None, num_undefined_draws=draws)
    point = Correlation(value=one.value - other.value, reason=None, p_value=None, method=method, n=one.n)
    what = f"difference of {method.value}, paired percentile bootstrap"
    found = drawn_estimate(point, differences, units=units, what=what, level=level, seed=seed)
    defined = differences[np.isfinite(differences)]
    sides = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return CorrelationDifference(
        first=one,
        second=other,
        estimate=found.estimate,
        p_value=min(1.0, 2 * (1 + sides) / (1 + defined.size)),
        num_undefined_draws=found.num_undefined_draws,
    )


def permutation_p_values(
    x: Sequence[Values],
    y: Sequence[Values],
    *,
    methods: Sequence[CorrelationMethod] = tuple(CorrelationMethod),
    seed: int,
    clusters: Labels | None = None,
    draws: int = 2000,
) -> tuple[dict[CorrelationMethod, float | None], ...]:
    """Two-sided p-values of no association: how often a random reassignment of y correlates as much as the data.

    p = (1 + hits) / (1 + draws) (Phipson and Smyth 2010), never 0. Without clusters all of y is permuted. With clusters
    whole clusters of equal size change places and the items of a cluster change places among themselves, which keeps
    what the items of one cluster have in common (block exchangeability: Winkler et al. 2015, NeuroImage 123); a cluster
    of a size that no other has stays where it is, which makes the test more cautious.

    Args:
        x: one column per pair.
        y: the other column of each pair.
        methods: which coefficients. Kendall takes O(n log n) for each draw and pair, the others O(n).
        seed: of the draws.
        clusters: label per item; None where all are independent.
        draws: random reassignments, at least 2.

    Returns:
        For each pair a p-value by method; None where there is no correlation.

    Raises:
        DataError: columns of unequal length, values that are not finite, or labels that do not fit.
        ConfigError: fewer than two draws.
    """
    check_draws(draws, 0.95)
    columns, pairs = _read_columns(x, y)
    units = read_units(columns[0].size if columns else 0, clusters)
    found: list[dict[CorrelationMethod, float | None]] = []
    for i, j in pairs:
        a, b = columns[i], columns[j]
        if no_correlation(a, b) is not None:
            found.append(dict.fromkeys(methods))
            continue
        hits = _count_hits(a, b, methods, units=units, draws=draws, seed=seed)
        found.append({method: (1 + count) / (1 + draws) for method, count in hits.items()})
    return tuple(found)


def _count_hits(
    x: FloatArray, y: FloatArray, methods: Sequence[CorrelationMethod], *, units: Units, draws: int, seed: int
) -> dict[CorrelationMethod, int]:
    rng = np.random.default_rng(seed)
    scores = {
        CorrelationMethod.PEARSON: (standardized(x), standardized(y)),
        CorrelationMethod.SPEARMAN: (standardized(average_ranks(x)), standardized(average_ranks(y))),
    }
    hits = dict.fromkeys(methods, 0)
    rows = max(1, _CHUNK // x.size)
    blocks = _blocks(units)
    for start in range(0, draws, rows):
        order = _permutations(blocks, units, rows=min(rows, draws - start), rng=rng)
        for method in hits:
            if method is CorrelationMethod.KENDALL:
                observed = abs(correlate(x, y, method).value or 0.0)
                drawn = np.asarray([correlate(x, y[row], method).value or 0.0 for row in order])
            else:
                one, other = scores[method]
                observed, drawn = abs(float(one @ other)), other[order] @ one
            hits[method] += int((np.abs(drawn) >= observed - _SLACK).sum())
    return hits


def _blocks(units: Units) -> tuple[IntArray, ...]:
    """Items of clusters of equal size, shape (clusters, size) for each size."""
    order = np.argsort(units.codes, kind="stable")
    ends = np.cumsum(units.sizes)
    sizes = units.sizes
    return tuple(
        np.stack([order[ends[code] - size : ends[code]] for code in np.flatnonzero(sizes == size)]).astype(np.int64)
        for size in np.unique(sizes).tolist()
    )


def _permutations(blocks: Sequence[IntArray], units: Units, *, rows: int, rng: np.random.Generator) -> IntArray:
    """Random orders of the items, shape (rows, items)."""
    orders = np.empty((rows, units.num_items), dtype=np.int64)
    if not units.clustered:
        orders[:] = np.arange(units.num_items)
        return rng.permuted(orders, axis=1, out=orders)
    for row in range(rows):
        for block in blocks:
            moved = block[rng.permutation(len(block))]
            orders[row, block] = rng.permuted(moved, axis=1)
    return orders


def _read_columns(x: Sequence[Values], y: Sequence[Values]) -> tuple[list[FloatArray], list[tuple[int, int]]]:
    """Each column once, and the pairs by their places.

    Raises:
        DataError: another number of columns on one side, unequal lengths, or values that are not finite.
    """
    if len(x) != len(y):
        raise DataError(f"x and y have {len(x)} and {len(y)} columns; give pairs of columns")
    places: dict[int, int] = {}
    columns: list[FloatArray] = []
    for column in (*x, *y):
        if id(column) not in places:
            places[id(column)] = len(columns)
            columns.append(as_column(column, name="a column"))
    for column in columns[1:]:
        as_pair(columns[0], column)
    return columns, [(places[id(a)], places[id(b)]) for a, b in zip(x, y, strict=True)]


def drawn_estimate(
    correlation: Correlation, drawn: FloatArray, *, units: Units, what: str, level: float, seed: int
) -> CorrelationEstimate:
    """A correlation with the interval of its draws; NaN among them is a draw without a correlation."""
    defined = drawn[np.isfinite(drawn)]
    num_undefined = drawn.size - defined.size
    if correlation.value is None:
        return CorrelationEstimate(correlation=correlation, estimate=None, num_undefined_draws=num_undefined)
    words = units.describe(what)
    if units.num_units < 2 or defined.size < 2:
        reason = "one cluster only" if units.num_units < 2 else f"{num_undefined:,} of {drawn.size:,} draws undefined"
        estimate = interval_estimate(correlation.value, None, units=units, words=f"{words}, no error: {reason}")
        return CorrelationEstimate(correlation=correlation, estimate=estimate, num_undefined_draws=num_undefined)
    if num_undefined:
        words = f"{words}, {num_undefined:,} of {drawn.size:,} draws undefined and left out"
    estimate = interval_estimate(
        correlation.value, defined, units=units, words=words, level=level, seed=seed, draws=drawn.size
    )
    return CorrelationEstimate(correlation=correlation, estimate=estimate, num_undefined_draws=num_undefined)


def interval_estimate(
    point: float,
    drawn: FloatArray | None,
    *,
    units: Units,
    words: str,
    level: float = 0.95,
    seed: int | None = None,
    draws: int | None = None,
    unit: EstimateUnit = EstimateUnit.CORRELATION,
) -> Estimate:
    """An `Estimate` from its bootstrap draws: their quantiles and standard deviation; no interval without draws."""
    stderr = low = high = None
    if drawn is not None:
        stderr = float(drawn.std(ddof=1))
        low, high = (float(q) for q in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    return Estimate(
        mean=point,
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        level=level,
        method=words,
        unit=unit,
        n=units.num_items,
        num_clusters=units.num_clusters,
        draws=draws,
        seed=seed,
    )
