"""What the templates show of tables, bars, intervals, heat maps and samples."""

from collections import Counter
from dataclasses import dataclass

from twllm_runs.report._axes import Axis, make_axis
from twllm_runs.report._blocks import Figures, Sample, Samples
from twllm_runs.report._charts import Bars, Heatmap, Intervals
from twllm_runs.report._table import Align, Cell, Column, ColumnKind, Link, Table
from twllm_runs.statistics import EstimateText, estimate_text
from twllm_types import Estimate, EstimateUnit

_FIGURES = frozenset({ColumnKind.COUNT, ColumnKind.NUMBER, ColumnKind.SHARE, ColumnKind.ESTIMATE})
_FILTER_FROM = 13
_SCROLL_FROM = 40
_FOLD_FROM = 360
_FOLD_FROM_LINES = 12
_PREVIEW = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """A cell: its text, a quieter second part, a quieter second line, a key to sort by, and where it leads."""

    text: str
    interval: str = ""
    counts: str = ""
    sort_key: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadView:
    """A column head."""

    title: str
    css: str
    is_figure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A table ready to show."""

    title: str
    note: str
    heads: tuple[HeadView, ...]
    rows: tuple[tuple[CellView, ...], ...]
    sortable: bool
    filterable: bool
    num_rows: str
    scrolls: bool


def table_view(table: Table) -> TableView:
    """Format each cell by the kind of its column."""
    return TableView(
        title=table.title,
        note=table.note,
        heads=tuple(_head(column) for column in table.columns),
        rows=tuple(
            tuple(cell_view(cell, column) for cell, column in zip(row, table.columns, strict=True))
            for row in table.rows
        ),
        sortable=len(table.rows) > 1,
        num_rows=f"{len(table.rows):,}",
        filterable=len(table.rows) >= _FILTER_FROM,
        scrolls=len(table.rows) >= _SCROLL_FROM,
    )


def _head(column: Column) -> HeadView:
    is_figure = column.kind in _FIGURES
    align = column.align or (Align.END if is_figure else Align.START)
    css = f"to-{align}" + (" figure" if is_figure else "") + (" code" if column.kind is ColumnKind.CODE else "")
    return HeadView(title=column.title, css=css, is_figure=is_figure)


def cell_view(cell: Cell, column: Column) -> CellView:
    """Text and sort key of one cell."""
    match cell:
        case None:
            return CellView(text="–")
        case str():
            return CellView(text=cell, sort_key=cell)
        case Link():
            return CellView(text=cell.label or cell.path, counts=cell.note, sort_key=cell.path, path=cell.path)
        case Estimate():
            text = estimate_text(cell, difference=column.difference)
            key = "" if cell.mean is None else repr(cell.mean)
            return CellView(text=text.value, interval=text.interval, counts=text.counts, sort_key=key)
        case _:
            return CellView(text=_figure(cell, column), sort_key=repr(cell))


def _figure(value: float, column: Column) -> str:
    if column.kind is ColumnKind.COUNT:
        return f"{value:,}"
    if column.kind is ColumnKind.SHARE:
        return f"{round(100 * value, column.digits):,.{column.digits}f} %"
    return f"{value:,.{column.digits}f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureView:
    """A key figure: what is written large, and the lines below it."""

    label: str
    value: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresView:
    """Key figures ready to show."""

    title: str
    note: str
    items: tuple[FigureView, ...]


def figures_view(block: Figures) -> FiguresView:
    """Write counts with separators and estimates with interval and counts."""
    items: list[FigureView] = []
    for figure in block.items:
        lines: tuple[str, ...] = ()
        match figure.value:
            case Estimate():
                text = estimate_text(figure.value, difference=figure.difference)
                value, lines = text.value, (text.interval, text.counts)
            case int():
                value = f"{figure.value:,}"
            case str():
                value = figure.value
        items.append(
            FigureView(label=figure.label, value=value, lines=tuple(line for line in (*lines, figure.note) if line))
        )
    return FiguresView(title=block.title, note=block.note, items=tuple(items))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """A part of a bar: colour number, width in per cent of the whole width, and what it says on hover."""

    color: int
    width: float
    tip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BarView:
    """A bar ready to show."""

    label: str
    total: str
    first_share: str
    parts: tuple[PartView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendView:
    """A name and its colour number."""

    color: int
    name: str
    total: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsView:
    """Stacked bars ready to show, with the table of their figures."""

    title: str
    note: str
    unit: str
    legend: tuple[LegendView, ...]
    bars: tuple[BarView, ...]
    data: TableView


def bars_view(bars: Bars) -> BarsView:
    """Widths of all parts; a bar without any value has no parts. The legend counts only where there is one bar."""
    totals = [sum(bar.values) for bar in bars.bars]
    longest = max(totals, default=0.0)
    views: list[BarView] = []
    for bar, total in zip(bars.bars, totals, strict=True):
        whole = total if bars.scale == "own" else longest
        parts = tuple(
            PartView(color=color, width=round(100 * value / whole, 3), tip=f"{name}: {_plain(value)}")
            for color, (name, value) in enumerate(zip(bars.series, bar.values, strict=True), start=1)
            if value > 0
        )
        share = f"{round(100 * (bar.values[0] / total), 1):.1f} %" if total else "–"
        views.append(BarView(label=bar.label, total=_plain(total), first_share=share, parts=parts))
    # Several bars may overlap, such as a whole beside its parts, or be the largest of more: their sum counts nothing.
    sums = [_plain(value) for value in bars.bars[0].values] if len(bars.bars) == 1 else [""] * len(bars.series)
    return BarsView(
        title=bars.title,
        note=bars.note,
        unit=bars.unit,
        legend=tuple(
            LegendView(color=color, name=name, total=total)
            for color, (name, total) in enumerate(zip(bars.series, sums, strict=True), start=1)
        ),
        bars=tuple(views),
        data=_bars_table(bars),
    )


def _bars_table(bars: Bars) -> TableView:
    kind = (
        ColumnKind.COUNT if all(float(v).is_integer() for bar in bars.bars for v in bar.values) else ColumnKind.NUMBER
    )
    columns = (Column(title=""), *(Column(title=name, kind=kind, digits=3) for name in bars.series))
    rows = tuple((bar.label, *(int(v) if kind is ColumnKind.COUNT else v for v in bar.values)) for bar in bars.bars)
    return table_view(Table(title="", columns=columns, rows=rows))


def _plain(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,.3g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalView:
    """An estimate on its track; positions in per cent, None where there is nothing to draw."""

    label: str
    text: EstimateText
    point: float | None
    start: float | None
    width: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalsView:
    """Estimates below each other, ready to show."""

    title: str
    note: str
    axis: Axis
    rows: tuple[IntervalView, ...]
    reference: float | None
    reference_label: str


def intervals_view(block: Intervals) -> IntervalsView:
    """Place points and intervals on a common axis."""
    estimates = [row.estimate for row in block.rows]
    ends = [x for e in estimates for x in (e.mean, e.ci_low, e.ci_high) if x is not None]
    if block.reference is not None:
        ends.append(block.reference)
    axis = make_axis(min(ends, default=0.0), max(ends, default=1.0), percent=block.unit is EstimateUnit.SHARE)
    rows: list[IntervalView] = []
    for row in block.rows:
        low, high, mean = row.estimate.ci_low, row.estimate.ci_high, row.estimate.mean
        ends_placed = None if low is None or high is None else (axis.place(low), axis.place(high))
        rows.append(
            IntervalView(
                label=row.label,
                text=estimate_text(row.estimate, difference=block.difference),
                point=None if mean is None else axis.place(mean),
                start=None if ends_placed is None else ends_placed[0],
                width=None if ends_placed is None else round(ends_placed[1] - ends_placed[0], 3),
            )
        )
    return IntervalsView(
        title=block.title,
        note=block.note,
        axis=axis,
        rows=tuple(rows),
        reference=None if block.reference is None else axis.place(block.reference),
        reference_label=block.reference_label,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatCellView:
    """A cell of a heat map: its text, and its shade in per cent; None for a cell without value."""

    text: str
    shade: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatmapView:
    """A heat map ready to show."""

    title: str
    note: str
    row_title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[HeatCellView, ...]], ...]


def heatmap_view(block: Heatmap) -> HeatmapView:
    """Shade values from the least (0 %) to the greatest (100 %); equal values get the middle."""
    values = [value for row in block.values for value in row if value is not None]
    low, high = min(values, default=0.0), max(values, default=0.0)

    def shade(value: float) -> float:
        return round(100 * (value - low) / (high - low), 1) if high > low else 50.0

    def cell(value: float | None) -> HeatCellView:
        if value is None:
            return HeatCellView(text="–", shade=None)
        return HeatCellView(text=f"{value:,.{block.digits}f}", shade=shade(value))

    return HeatmapView(
        title=block.title,
        note=block.note,
        row_title=block.row_title,
        columns=block.column_labels,
        rows=tuple(
            (label, tuple(cell(value) for value in row))
            for label, row in zip(block.row_labels, block.values, strict=True)
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleView:
    """A sample, its preview where the text is folded, and the numbers of its tags."""

    sample: Sample
    preview: str
    num_chars: str
    tag_numbers: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplesView:
    """Samples ready to browse; tags with how many samples carry them, the commonest first."""

    title: str
    note: str
    tags: tuple[tuple[str, str], ...]
    total: str
    samples: tuple[SampleView, ...]


def samples_view(block: Samples) -> SamplesView:
    """Fold long texts and number the tags."""
    counts = Counter(tag for sample in block.samples for tag in dict.fromkeys(sample.tags))
    tags = tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    numbers = {tag: number for number, (tag, _) in enumerate(tags)}
    return SamplesView(
        title=block.title,
        note=block.note,
        tags=tuple((tag, f"{number:,}") for tag, number in tags),
        total=f"{len(block.samples):,}",
        samples=tuple(
            SampleView(
                sample=sample,
                preview=_preview(sample.text),
                num_chars=f"{len(sample.text):,}",
                tag_numbers=" ".join(str(numbers[tag]) for tag in dict.fromkeys(sample.tags)),
            )
            for sample in block.samples
        ),
    )


def _preview(text: str) -> str:
    """Beginning of a text that is to be folded; empty for a text that is shown whole."""
    if len(text) < _FOLD_FROM and text.count("\n") < _FOLD_FROM_LINES:
        return ""
    return " ".join(text[: 2 * _PREVIEW].split())[:_PREVIEW]
