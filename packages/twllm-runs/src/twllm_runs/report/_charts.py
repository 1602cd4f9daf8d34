"""Charts as data: bars, histograms, lines, points, intervals, heat maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Literal, TypeAlias

import numpy as np

from twllm_types import DataError, Estimate, EstimateUnit

MAX_SERIES = 10

BarScale: TypeAlias = Literal["common", "own"]
"""Bars as long as their totals, or each filling the width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: its label, and a value >= 0 for each series."""

    label: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Horizontal stacked bars, such as a funnel: what was kept, and what each reason took.

    Attributes:
        title: above the chart.
        series: names of the parts, 1 to 10; the first takes the accent colour.
        bars: from top to bottom.
        scale: "common" to compare totals, "own" to compare shares.
        unit: what is counted, such as "documents".
        note: below the title.

    Raises:
        DataError: more series than colours, a bar without a value per series, or a value below 0.
    """

    title: str
    series: tuple[str, ...]
    bars: tuple[Bar, ...]
    scale: BarScale = "common"
    unit: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        _check_series(len(self.series), self.title)
        for bar in self.bars:
            where = f"bars {self.title!r}, {bar.label!r}"
            if len(bar.values) != len(self.series):
                raise DataError(f"{where}: {len(bar.values)} values for {len(self.series)} series; give one each")
            if not all(isfinite(value) and value >= 0 for value in bar.values):
                raise DataError(f"{where}: values {bar.values} must be finite and >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A line at a value of the horizontal axis, with its label."""

    value: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How many items lie in each bin.

    Attributes:
        title: above the chart.
        edges: of the bins, increasing, one more than bins.
        counts: items per bin, >= 0.
        x_label: what is measured, with its unit.
        y_label: what is counted.
        thresholds: lines to draw; those outside the edges widen the axis.
        note: below the title.

    Raises:
        DataError: edges that do not increase or do not fit the counts, or a count below 0.
    """

    title: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    x_label: str
    y_label: str = "documents"
    thresholds: tuple[Threshold, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        where = f"histogram {self.title!r}"
        if len(self.edges) != len(self.counts) + 1 or not self.counts:
            raise DataError(
                f"{where}: {len(self.edges)} edges for {len(self.counts)} bins; give one edge more than bins"
            )
        if not all(low < high for low, high in pairwise(self.edges)) or not _all_finite(self.edges):
            raise DataError(f"{where}: edges must be finite and increase")
        if min(self.counts) < 0:
            raise DataError(f"{where}: counts must be >= 0, not {min(self.counts)}")


def histogram_of(
    values: Sequence[float],
    *,
    title: str,
    x_label: str,
    y_label: str = "documents",
    num_bins: int = 40,
    low: float | None = None,
    high: float | None = None,
    thresholds: tuple[Threshold, ...] = (),
    note: str = "",
) -> Histogram:
    """Count values into bins of equal width between `low` and `high` (their least and greatest where None).

    Values beyond the ends are counted in the first or last bin, so that no document is missing from the picture. No
    values give empty bins; values that are all equal get bins of width 1/num_bins around them.

    Raises:
        DataError: a value is not finite, no bins, or `low` is not below `high`.
    """
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all() or num_bins < 1:
        raise DataError(f"histogram {title!r}: values must be finite and num_bins at least 1")
    first = low if low is not None else float(array.min()) if array.size else 0.0
    last = high if high is not None else float(array.max()) if array.size else first + 1.0
    if low is None and high is None and first == last:
        first, last = first - 0.5, last + 0.5
    if not first < last:
        raise DataError(f"histogram {title!r}: low {first} must lie below high {last}")
    counts, edges = np.histogram(np.clip(array, first, last), bins=num_bins, range=(first, last))
    return Histogram(
        title=title,
        edges=tuple(float(edge) for edge in edges),
        counts=tuple(int(count) for count in counts),
        x_label=x_label,
        y_label=y_label,
        thresholds=thresholds,
        note=note,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named series of points, in the order in which they are joined.

    Raises:
        DataError: no points, unequal lengths, or a coordinate that is not finite.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not self.x or not _all_finite(self.x + self.y):
            raise DataError(
                f"line {self.name!r}: give as many finite x as y, at least one ({len(self.x)}, {len(self.y)})"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Lines over a common axis, such as losses over steps; 1 to 10 of them.

    Raises:
        DataError: no line, or more lines than colours.
    """

    title: str
    lines: tuple[Line, ...]
    x_label: str
    y_label: str
    note: str = ""

    def __post_init__(self) -> None:
        _check_series(len(self.lines), self.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point, its label (shown on hover and in the data table), and the group that gives its colour."""

    x: float
    y: float
    label: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Points over two axes, coloured by group; up to 10 groups.

    Raises:
        DataError: no point, one that is not finite, or more groups than colours.
    """

    title: str
    points: tuple[Point, ...]
    x_label: str
    y_label: str
    note: str = ""

    def __post_init__(self) -> None:
        _check_series(len({point.group for point in self.points}), self.title)
        if not _all_finite([value for point in self.points for value in (point.x, point.y)]):
            raise DataError(
                f"scatter {self.title!r}: coordinates must be finite; leave such points out, say so in note"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalRow:
    """A labelled estimate."""

    label: str
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Estimates of one unit below each other, as points with their intervals: pass rates by genre, a leaderboard.

    Attributes:
        title: above the chart.
        rows: from top to bottom.
        reference: a value to mark, such as an aim, or 0 for differences; None for none.
        reference_label: what it is.
        difference: the estimates are differences, written with their sign.
        note: below the title.

    Raises:
        DataError: estimates of more than one unit.
    """

    title: str
    rows: tuple[IntervalRow, ...]
    reference: float | None = None
    reference_label: str = ""
    difference: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        units = sorted({row.estimate.unit for row in self.rows})
        if len(units) > 1:
            raise DataError(f"intervals {self.title!r} mix {', '.join(units)}; give one chart per unit")

    @property
    def unit(self) -> EstimateUnit:
        """Unit of the rows; `count` where there are none."""
        return self.rows[0].estimate.unit if self.rows else EstimateUnit.COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class Heatmap:
    """A matrix of figures, shaded from least to greatest; None is a cell without value.

    Attributes:
        title: above the chart.
        row_labels: one per row.
        column_labels: one per column.
        values: rows of columns.
        digits: decimals to show.
        row_title: what the rows are.
        note: below the title.

    Raises:
        DataError: values that do not fit the labels, or are not finite.
    """

    title: str
    row_labels: tuple[str, ...]
    column_labels: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    digits: int = 2
    row_title: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.values) != len(self.row_labels) or any(len(row) != len(self.column_labels) for row in self.values):
            raise DataError(f"heat map {self.title!r}: give a row of values per row label, a value per column label")
        if not _all_finite([value for row in self.values for value in row if value is not None]):
            raise DataError(f"heat map {self.title!r}: values must be finite; give None where there is none")


def _check_series(count: int, title: str) -> None:
    if not 1 <= count <= MAX_SERIES:
        raise DataError(f"chart {title!r} has {count} series; give 1 to {MAX_SERIES}, merge small ones into 'other'")


def _all_finite(values: Sequence[float]) -> bool:
    return all(isfinite(value) for value in values)
