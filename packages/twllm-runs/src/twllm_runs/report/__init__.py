"""Reports: what a run shows to people, as one self-contained HTML file that opens offline.

A `Report` is data: sections of blocks from a closed set. `render_report` turns it into a string, and writes nothing.
"""

from twllm_runs.report._blocks import (
    Block,
    Fact,
    Figure,
    Figures,
    Links,
    Prose,
    Report,
    Sample,
    Samples,
    Section,
)
from twllm_runs.report._charts import (
    Bar,
    Bars,
    BarScale,
    Heatmap,
    Histogram,
    IntervalRow,
    Intervals,
    Line,
    Lines,
    Point,
    Scatter,
    Threshold,
    histogram_of,
)
from twllm_runs.report._render import render_report
from twllm_runs.report._table import Align, Cell, Column, ColumnKind, Link, Table

__all__ = [
    "Align",
    "Bar",
    "BarScale",
    "Bars",
    "Block",
    "Cell",
    "Column",
    "ColumnKind",
    "Fact",
    "Figure",
    "Figures",
    "Heatmap",
    "Histogram",
    "IntervalRow",
    "Intervals",
    "Line",
    "Lines",
    "Link",
    "Links",
    "Point",
    "Prose",
    "Report",
    "Sample",
    "Samples",
    "Scatter",
    "Section",
    "Table",
    "Threshold",
    "histogram_of",
    "render_report",
]
