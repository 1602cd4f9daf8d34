"""Correlations of bootstrap resamples, from how often each item was drawn; no resample is sorted or even built.

Shapes: K columns, P pairs of columns, N items, R draws of a block, U distinct values of a column.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_eval._columns import FloatArray, IntArray, Units
from llm_eval._correlation import LEAST_ITEMS, CorrelationMethod, dense_codes, no_correlation, pearson

Pair = tuple[int, int]

# Numbers of a block of counts; 13 draws of 10,000 items, which matrix products like best.
_CHUNK = 1 << 17
# Numbers of a block of ranks: 512 KiB, so that the few arrays of one step stay in the cache of a core.
_BLOCK = 1 << 16
# Below this share of its variance in the sample, a resample is computed again from its values, without cancellation.
_CANCELLED = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How often some draws hold each item.

    Attributes:
        whole: shape (R, N). 32 bits, whose cumulative sums take a sixth of the time of floats.
        floats: the same numbers.
        totals: items of each draw, shape (R,).
        cubes: sum of the cubes of the counts, shape (R,), which every column without ties needs.
    """

    whole: NDArray[np.int32]
    floats: FloatArray
    totals: FloatArray
    cubes: FloatArray

    def rows(self, part: slice) -> "Counts":
        """Some of the draws."""
        return Counts(
            whole=self.whole[part], floats=self.floats[part], totals=self.totals[part], cubes=self.cubes[part]
        )


def resampled_counts(units: Units, *, draws: int, seed: int) -> Iterator[Counts]:
    """How often each draw holds each item, in blocks of R draws, `draws` together.

    As many units as there are, with replacement (Efron 1979). Draw d takes `rng.integers(0, num_units, num_units)` as
    its units, the d-th such call on `numpy.random.default_rng(seed)`. The block is reused: use it before the next.
    """
    rng = np.random.default_rng(seed)
    rows = max(1, min(draws, _CHUNK // max(units.num_items, units.num_units)))
    of_units = np.empty((rows, units.num_units), dtype=np.int32)
    of_items = np.empty((rows, units.num_items), dtype=np.int32) if units.clustered else of_units
    floats = np.empty(of_items.shape)
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        for row in range(size):
            picked = rng.integers(0, units.num_units, size=units.num_units)
            of_units[row] = np.bincount(picked, minlength=units.num_units)
        if units.clustered:
            np.take(of_units[:size], units.codes, axis=1, out=of_items[:size], mode="clip")
        floats[:size] = of_items[:size]
        yield Counts(
            whole=of_items[:size],
            floats=floats[:size],
            totals=floats[:size].sum(axis=1),
            cubes=_cubes(floats[:size]),
        )


def draw_correlations(
    columns: Sequence[FloatArray],
    pairs: Sequence[Pair],
    methods: Sequence[CorrelationMethod],
    *,
    units: Units,
    draws: int,
    seed: int,
) -> dict[CorrelationMethod, FloatArray]:
    """Correlations of pairs of columns in each resample.

    Pearson from weighted sums; Spearman from the average rank of a tied group, which is the count before it plus half
    of its own and a half; tau-b from weighted inversions. All pairs see the same resamples.

    Args:
        columns: K columns of N finite numbers.
        pairs: which columns to correlate.
        methods: which coefficients.
        units: what is resampled.
        draws: resamples.
        seed: of the draws.

    Returns:
        For each method an array of shape (P, draws); NaN where a resample has no correlation.
    """
    found = {method: np.full((len(pairs), draws), np.nan) for method in methods}
    # A pair that has no correlation in the sample has none in any resample of it.
    usable = [at for at, (i, j) in enumerate(pairs) if no_correlation(columns[i], columns[j]) is None]
    if not usable:
        return found
    kept = [pairs[at] for at in usable]
    kernels = [_kernel(method, columns, kept) for method in found]
    start = 0
    for counts in resampled_counts(units, draws=draws, seed=seed):
        stop = start + len(counts.totals)
        for kernel, rows in zip(kernels, found.values(), strict=True):
            drawn = kernel.correlate(counts)
            drawn[:, counts.totals < LEAST_ITEMS] = np.nan
            # Indexed in one step, since rows[usable] would be a copy.
            rows[np.asarray(usable), start:stop] = drawn
        start = stop
    return found


class _PearsonKernel:
    """Pearson's r of each pair in a block of resamples, by weighted sums of standardised values."""

    def __init__(self, columns: Sequence[FloatArray], pairs: Sequence[Pair]) -> None:
        used = sorted({at for pair in pairs for at in pair})
        place = {at: number for number, at in enumerate(used)}
        self._columns, self._pairs = columns, pairs
        values = np.stack([_unit_variance(columns[at]) for at in used], axis=1)
        products = np.stack([values[:, place[i]] * values[:, place[j]] for i, j in pairs], axis=1)
        self._terms = np.concatenate([values, values**2, products], axis=1)
        self._first = np.asarray([place[i] for i, _ in pairs])
        self._second = np.asarray([place[j] for _, j in pairs])
        self._num_used = len(used)

    def correlate(self, counts: Counts) -> FloatArray:
        """Shape (P, R)."""
        sums = counts.floats @ self._terms
        n, k = counts.totals[:, np.newaxis], self._num_used
        means = sums[:, :k] / n
        variances = sums[:, k : 2 * k] / n - means**2
        covariances = sums[:, 2 * k :] / n - means[:, self._first] * means[:, self._second]
        spread = variances[:, self._first], variances[:, self._second]
        doubtful = np.minimum(*spread) < _CANCELLED
        with np.errstate(divide="ignore", invalid="ignore"):
            found = covariances / np.sqrt(spread[0] * spread[1])
        for row, at in np.argwhere(doubtful).tolist():
            found[row, at] = self._again(counts.whole[row], at)
        return np.clip(found, -1.0, 1.0).T

    def _again(self, times: NDArray[np.int32], at: int) -> float:
        x, y = (np.repeat(self._columns[column], times) for column in self._pairs[at])
        return pearson(x, y) if no_correlation(x, y) is None else np.nan


class _Cells:
    """Items of equal (x, y) taken together: the distinct pairs in the order of x, then y.

    Attributes:
        x: place of the x of each cell among the distinct ones; of the two columns that of more distinct values.
        y: the same of y.
        are_items: no pair of values occurs twice, so that each item is a cell.
    """

    def __init__(self, first: FloatArray, second: FloatArray) -> None:
        codes = sorted((dense_codes(first), dense_codes(second)), key=lambda code: -int(code.max()))
        self._order = np.lexsort((codes[1], codes[0]))
        x, y = codes[0][self._order], codes[1][self._order]
        new = np.concatenate(([True], (x[1:] != x[:-1]) | (y[1:] != y[:-1])))
        self._starts = None if new.all() else np.flatnonzero(new)
        self.x, self.y = x[new], y[new]
        self.are_items = self._starts is None

    def counts(self, counts: Counts) -> NDArray[np.int32]:
        """Items in each cell, shape (R, cells)."""
        ordered = np.take(counts.whole, self._order, axis=1, mode="clip")
        return ordered if self._starts is None else np.add.reduceat(ordered, self._starts, axis=1)


class _Grouping:
    """Sums over cells of equal value, and from them ranks.

    Args:
        codes: place of each cell's value among the distinct ones.
    """

    def __init__(self, codes: IntArray) -> None:
        order = np.argsort(codes, kind="stable")
        self._codes = codes
        self._order = None if bool((order == np.arange(codes.size)).all()) else order
        sizes = np.bincount(codes)
        self._ends = None if sizes.size == codes.size else np.cumsum(sizes) - 1

    def rank_sums(self, cells: NDArray[np.int32]) -> tuple[FloatArray, FloatArray | None]:
        """Twice the average rank less 1 of each distinct value, shape (R, U); and how often it was drawn.

        With C(g) items up to group g the rank is (C(g) + C(g - 1) + 1) / 2. The second is None where no value is shared
        by two cells: then the cells' own counts are those.
        """
        ordered = cells if self._order is None else np.take(cells, self._order, axis=1, mode="clip")
        ends = np.cumsum(ordered, axis=1, dtype=np.int32)
        sizes = None
        if self._ends is not None:
            ends = np.take(ends, self._ends, axis=1, mode="clip")
            sizes = ends.astype(np.float64)
            sizes[:, 1:] -= ends[:, :-1]
        table = ends.astype(np.float64)
        table[:, 1:] += ends[:, :-1]
        return table, sizes

    def at_cells(self, table: FloatArray) -> FloatArray:
        """What `table` says of the value of each cell, shape (R, cells)."""
        if self._ends is None and self._order is None:
            return table
        return np.take(table, self._codes, axis=1, mode="clip")


class _SpearmanPair:
    """Spearman's rho of one pair."""

    def __init__(self, x: FloatArray, y: FloatArray) -> None:
        self._cells = _Cells(x, y)
        self._x, self._y = _Grouping(self._cells.x), _Grouping(self._cells.y)

    def correlate(self, counts: Counts) -> FloatArray:
        """Shape (R,).

        With s = C(g) + C(g - 1) of each column, sum w s = N^2, so that the co-moment of the ranks is
        (sum w s_x s_y - N^3) / 4, and the variance of one column (N^3 - sum_g c_g^3) / 12.
        """
        whole = self._cells.counts(counts)
        cells, cubed = whole.astype(np.float64), counts.totals**3
        x, x_sizes = self._x.rank_sums(whole)
        y, y_sizes = self._y.rank_sums(whole)
        own = counts.cubes if self._cells.are_items else _cubes(cells)
        # Exact while N^3 fits a float; 0 exactly where all drawn values are equal.
        spread_x, spread_y = (cubed - (own if sizes is None else _cubes(sizes)) for sizes in (x_sizes, y_sizes))
        products = np.einsum("ij,ij->i", np.multiply(self._x.at_cells(x), cells), self._y.at_cells(y)) - cubed
        with np.errstate(divide="ignore", invalid="ignore"):
            rho = 3.0 * products / (np.sqrt(spread_x) * np.sqrt(spread_y))
        return np.where((spread_x > 0) & (spread_y > 0), rho, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One bit of `count_inversions`: the order of the cells, which are ones, and the zeros with their group's start."""

    order: IntArray
    ones: NDArray[np.int32]
    zeros: IntArray
    starts: IntArray


class _KendallPair:
    """Weighted tau-b of one pair: inversions of the cells, counted bit by bit."""

    def __init__(self, x: FloatArray, y: FloatArray) -> None:
        self._cells = _Cells(x, y)
        self._steps = _inversion_steps(self._cells.y)
        self._x_starts = np.flatnonzero(np.diff(self._cells.x, prepend=-1))
        self._y_order = np.argsort(self._cells.y, kind="stable")
        self._y_starts = np.flatnonzero(np.diff(self._cells.y[self._y_order], prepend=-1))

    def correlate(self, counts: Counts) -> FloatArray:
        """Shape (R,)."""
        cells = self._cells.counts(counts)
        total = counts.totals * (counts.totals - 1) / 2
        x_free = total - _tied(np.add.reduceat(cells, self._x_starts, axis=1))
        by_y = np.take(cells, self._y_order, axis=1, mode="clip")
        y_free = total - _tied(np.add.reduceat(by_y, self._y_starts, axis=1))
        difference = x_free + y_free - total + _tied(cells) - 2 * self._inversions(cells)
        with np.errstate(divide="ignore", invalid="ignore"):
            tau = difference / (np.sqrt(x_free) * np.sqrt(y_free))
        return np.where((x_free > 0) & (y_free > 0), tau, np.nan)

    def _inversions(self, cells: NDArray[np.int32]) -> FloatArray:
        found = np.zeros(len(cells))
        for step in self._steps:
            row = np.take(cells, step.order, axis=1, mode="clip")
            ones = np.zeros((len(cells), row.shape[1] + 1), dtype=np.int32)
            np.cumsum(row * step.ones, axis=1, out=ones[:, 1:])
            before = np.take(ones, step.zeros, axis=1) - np.take(ones, step.starts, axis=1)
            zeros = np.take(row, step.zeros, axis=1)
            found += np.einsum("ij,ij->i", zeros.astype(np.float64), before.astype(np.float64))
        return found


class _PairwiseKernel:
    """A coefficient that is computed for one pair after the other."""

    def __init__(self, pairs: Sequence["_SpearmanPair | _KendallPair"]) -> None:
        self._pairs = pairs

    def correlate(self, counts: Counts) -> FloatArray:
        """Shape (P, R)."""
        found = np.empty((len(self._pairs), len(counts.totals)))
        rows = max(1, _BLOCK // counts.whole.shape[1])
        for start in range(0, len(counts.totals), rows):
            part = slice(start, start + rows)
            for number, pair in enumerate(self._pairs):
                found[number, part] = pair.correlate(counts.rows(part))
        return np.clip(found, -1.0, 1.0)


def _kernel(
    method: CorrelationMethod, columns: Sequence[FloatArray], pairs: Sequence[Pair]
) -> _PearsonKernel | _PairwiseKernel:
    match method:
        case CorrelationMethod.PEARSON:
            return _PearsonKernel(columns, pairs)
        case CorrelationMethod.SPEARMAN:
            return _PairwiseKernel([_SpearmanPair(columns[i], columns[j]) for i, j in pairs])
        case CorrelationMethod.KENDALL:
            return _PairwiseKernel([_KendallPair(columns[i], columns[j]) for i, j in pairs])


def _inversion_steps(codes: IntArray) -> tuple[_Step, ...]:
    steps: list[_Step] = []
    order = np.arange(codes.size)
    for bit in range(int(codes.max()).bit_length() - 1, -1, -1):
        order = order[np.argsort(codes[order] >> (bit + 1), kind="stable")]
        groups, ones = codes[order] >> (bit + 1), (codes[order] >> bit) & 1
        new = np.concatenate(([True], groups[1:] != groups[:-1]))
        starts = np.maximum.accumulate(np.where(new, np.arange(codes.size), 0))
        zeros = np.flatnonzero(ones == 0)
        steps.append(_Step(order=order, ones=ones.astype(np.int32), zeros=zeros, starts=starts[zeros]))
    return tuple(steps)


def _cubes(sizes: FloatArray) -> FloatArray:
    """Sum of the cubes of each row, shape (R,)."""
    return np.einsum("ij,ij,ij->i", sizes, sizes, sizes)


def _tied(sizes: NDArray[np.int32]) -> FloatArray:
    """Pairs inside of groups of these sizes, shape (R,)."""
    floats = sizes.astype(np.float64)
    return (np.einsum("ij,ij->i", floats, floats) - floats.sum(axis=1)) / 2


def _unit_variance(values: FloatArray) -> FloatArray:
    halves = values / 2
    deviations = halves - halves.mean()
    scaled = deviations / np.abs(deviations).max()
    return scaled / scaled.std()
