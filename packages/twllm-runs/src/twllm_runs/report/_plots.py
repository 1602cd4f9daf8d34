"""What the templates show of histograms, lines and points: SVG paths in a box of 1000 by 1000, labels in per cent."""

from dataclasses import dataclass
from itertools import pairwise

from twllm_runs.report._axes import Axis, Tick, make_axis
from twllm_runs.report._charts import Histogram, Lines, Scatter
from twllm_runs.report._table import Column, ColumnKind, Table
from twllm_runs.report._views import LegendView, TableView, table_view


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeView:
    """An SVG path, its class, its colour number, and what it says on hover."""

    path: str
    css: str
    color: int = 1
    tip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkView:
    """A labelled vertical line, in per cent of the width; its label stands on the side with more room."""

    position: float
    label: str

    @property
    def side(self) -> str:
        """CSS class for the side of the label."""
        return "before" if self.position > 50 else "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotView:
    """A plot ready to show."""

    title: str
    note: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    shapes: tuple[ShapeView, ...]
    marks: tuple[MarkView, ...] = ()
    legend: tuple[LegendView, ...] = ()
    summary: str = ""
    data: TableView | None = None


def histogram_view(block: Histogram) -> PlotView:
    """One bar per bin and one line per threshold."""
    places = [threshold.value for threshold in block.thresholds]
    x = make_axis(min([block.edges[0], *places]), max([block.edges[-1], *places]), tight=True)
    y = make_axis(0, max(*block.counts, 1), num_ticks=4)
    gap = min((x.high - x.low) / 1000, (block.edges[1] - block.edges[0]) / 10)
    bins = list(zip(pairwise(block.edges), block.counts, strict=True))
    shapes = tuple(
        ShapeView(
            path=f"M{_x(x, low + gap)} 1000V{_y(y, count)}H{_x(x, high - gap)}V1000Z",
            css="bin",
            tip=f"{low:.6g} to {high:.6g}: {count:,}",
        )
        for (low, high), count in bins
        if count
    )
    columns = (
        Column(title="from", kind=ColumnKind.CODE),
        Column(title="to", kind=ColumnKind.CODE),
        Column(title=block.y_label, kind=ColumnKind.COUNT),
    )
    rows = tuple((f"{low:.6g}", f"{high:.6g}", count) for (low, high), count in bins if count)
    return PlotView(
        title=block.title,
        note=block.note,
        x_label=block.x_label,
        y_label=block.y_label,
        x_ticks=x.ticks,
        y_ticks=y.ticks,
        shapes=shapes,
        marks=tuple(MarkView(position=x.place(t.value), label=t.label) for t in block.thresholds),
        summary=f"Histogram of {sum(block.counts):,} {block.y_label} over {block.x_label}.",
        data=table_view(Table(title="", columns=columns, rows=rows)),
    )


def lines_view(block: Lines) -> PlotView:
    """One path per line; its name and last value stand in the legend."""
    xs = [value for line in block.lines for value in line.x]
    ys = [value for line in block.lines for value in line.y]
    x, y = make_axis(min(xs), max(xs), tight=True), make_axis(min(ys), max(ys))
    shapes: list[ShapeView] = []
    legend: list[LegendView] = []
    for color, line in enumerate(block.lines, start=1):
        points = [f"{_x(x, a)} {_y(y, b)}" for a, b in zip(line.x, line.y, strict=True)]
        css, path = ("line", "M" + "L".join(points)) if len(points) > 1 else ("dot", f"M{points[0]}h0")
        shapes.append(ShapeView(path=path, css=css, color=color, tip=line.name))
        legend.append(LegendView(color=color, name=line.name, total=f"{line.y[-1]:.4g}"))
    names = ", ".join(f"{line.name} ends at {line.y[-1]:.4g}" for line in block.lines)
    return PlotView(
        title=block.title,
        note=block.note,
        x_label=block.x_label,
        y_label=block.y_label,
        x_ticks=x.ticks,
        y_ticks=y.ticks,
        shapes=tuple(shapes),
        legend=tuple(legend),
        summary=f"{block.y_label} over {block.x_label}: {names}.",
    )


def scatter_view(block: Scatter) -> PlotView:
    """One dot per point, coloured by group."""
    x = make_axis(min(p.x for p in block.points), max(p.x for p in block.points))
    y = make_axis(min(p.y for p in block.points), max(p.y for p in block.points))
    colors = {group: color for color, group in enumerate(dict.fromkeys(p.group for p in block.points), start=1)}
    named = any(point.label for point in block.points)
    columns = (
        *((Column(title="label"),) if named else ()),
        *((Column(title="group"),) if len(colors) > 1 else ()),
        Column(title=block.x_label, kind=ColumnKind.NUMBER, digits=4),
        Column(title=block.y_label, kind=ColumnKind.NUMBER, digits=4),
    )
    rows = tuple(
        (*((p.label,) if named else ()), *((p.group,) if len(colors) > 1 else ()), p.x, p.y) for p in block.points
    )
    return PlotView(
        title=block.title,
        note=block.note,
        x_label=block.x_label,
        y_label=block.y_label,
        x_ticks=x.ticks,
        y_ticks=y.ticks,
        shapes=tuple(
            ShapeView(
                path=f"M{_x(x, p.x)} {_y(y, p.y)}h0",
                css="dot",
                color=colors[p.group],
                tip=f"{p.label or p.group}: {p.x:.6g}, {p.y:.6g}",
            )
            for p in block.points
        ),
        legend=tuple(LegendView(color=color, name=group) for group, color in colors.items() if group),
        summary=f"{len(block.points):,} points: {block.y_label} against {block.x_label}.",
        data=table_view(Table(title="", columns=columns, rows=rows)),
    )


def _x(axis: Axis, value: float) -> str:
    return f"{10 * axis.place(value):.1f}".removesuffix(".0")


def _y(axis: Axis, value: float) -> str:
    return f"{1000 - 10 * axis.place(value):.1f}".removesuffix(".0")
