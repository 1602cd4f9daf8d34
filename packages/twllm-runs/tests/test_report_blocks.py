"""What each block shows, and what it refuses."""

import re
from collections.abc import Callable
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twllm_runs.report import (
    Align,
    Bar,
    Bars,
    Block,
    Cell,
    Column,
    ColumnKind,
    Figure,
    Figures,
    Heatmap,
    Histogram,
    IntervalRow,
    Intervals,
    Line,
    Lines,
    Link,
    Links,
    Point,
    Report,
    Sample,
    Samples,
    Scatter,
    Section,
    Table,
    Threshold,
    histogram_of,
    render_report,
)
from twllm_runs.statistics import mean_estimate, paired_difference, proportion_estimate
from twllm_types import DataError, EstimateUnit


def html_of(block: Block) -> str:
    html = render_report(Report(title="Run", sections=(Section(title="Part", blocks=(block,)),)))
    return html[html.index("<main") : html.index("</main>")]


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_figures_show_estimates_with_interval_and_counts() -> None:
    difference = paired_difference([1, 1, 0, 1], [0, 1, 0, 1], unit=EstimateUnit.SHARE)
    text = text_of(
        html_of(
            Figures(
                items=(
                    Figure(label="Read", value=22180),
                    Figure(label="Kept", value=proportion_estimate(60, 100, num_unscored=4), note="first half"),
                    Figure(label="Gain", value=difference, difference=True),
                    Figure(label="Speed", value="12.4 MB/s"),
                )
            )
        )
    )
    assert "Read 22,180 Kept 60.0 % [50.2, 69.1] n = 100, 4 unscored first half Gain +25.0 pp [-54.6, +100.0]" in text
    assert text.endswith("Speed 12.4 MB/s")


ROW_TABLE = Table(
    title="T",
    columns=(
        Column(title="a"),
        Column(title="b", kind=ColumnKind.COUNT),
        Column(title="c", kind=ColumnKind.NUMBER, digits=2),
        Column(title="d", kind=ColumnKind.SHARE),
        Column(title="e", kind=ColumnKind.ESTIMATE),
        Column(title="f", kind=ColumnKind.LINK),
        Column(title="g", kind=ColumnKind.CODE, align=Align.END),
    ),
    rows=(
        ("x", 1234, 1.239, 0.125, proportion_estimate(1, 2), Link(path="a/b 中.json", label="file"), "doc-1"),
        (None, None, None, None, proportion_estimate(0, 0), None, None),
    ),
)


def test_table_cells_are_written_by_the_kind_of_their_column() -> None:
    text = text_of(html_of(ROW_TABLE))
    assert "x 1,234 1.24 12.5 % 50.0 % [9.5, 90.5] n = 2 file doc-1 – – – – no value n = 0 – –" in text


def test_table_figures_stand_at_the_end_and_sort_by_their_value() -> None:
    html = html_of(ROW_TABLE)
    heads = re.findall(r'<th scope="col" class="([^"]*)"( data-figure)?>', html)
    assert [css.split()[0] for css, _ in heads] == [
        "to-start", "to-end", "to-end", "to-end", "to-end", "to-start", "to-end",
    ]  # fmt: skip
    assert [bool(figure) for _, figure in heads] == [False, True, True, True, True, False, False]
    assert re.findall(r'data-key="([^"]*)"', html) == ["1234", "1.239", "0.125", "0.5", "a/b 中.json"] + [""] * 7
    assert 'href="a/b%20%E4%B8%AD.json"' in html


@pytest.mark.parametrize(("num_rows", "controls"), [(0, "..."), (1, "..."), (2, "s.."), (13, "sf."), (40, "sfl")])
def test_table_gets_sorting_filter_and_scrolling_as_it_grows(num_rows: int, controls: str) -> None:
    rows = tuple((str(number),) for number in range(num_rows))
    html = html_of(Table(title="T", columns=(Column(title="a"),), rows=rows))
    found = [("data-sortable", "s"), ("data-filter-rows", "f"), ("frame scrolls", "l")]
    assert "".join(letter if mark in html else "." for mark, letter in found) == controls
    assert ("No rows." in html) == (num_rows == 0)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [(ColumnKind.COUNT, 1.5), (ColumnKind.TEXT, 3), (ColumnKind.ESTIMATE, 0.5), (ColumnKind.LINK, "run.json")],
)
def test_table_cell_of_another_kind_is_refused(kind: ColumnKind, cell: Cell) -> None:
    with pytest.raises(DataError, match=r"table 'T', row 1, column 'a'"):
        Table(title="T", columns=(Column(title="a", kind=kind),), rows=((cell,),))


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "file:x", "javascript:alert(1)", "", "a\\b"])
def test_link_out_of_the_run_folder_is_refused(path: str) -> None:
    with pytest.raises(DataError, match="leaves the run folder"):
        Link(path=path)


def test_links_show_path_label_and_note() -> None:
    text = text_of(html_of(Links(links=(Link(path="run.json", note="manifest"), Link(path="a.txt", label="A")))))
    assert text == "Part Files run.json manifest A"


def widths(html: str, css: str) -> list[float]:
    return [float(width) for width in re.findall(rf'class="{css}" style="width:([\d.]+)%', html)]


@given(values=st.lists(st.lists(st.integers(0, 10_000), min_size=3, max_size=3), min_size=1, max_size=5))
def test_bars_on_a_common_scale_are_as_long_as_their_totals(values: list[list[int]]) -> None:
    bars = tuple(Bar(label=str(n), values=tuple(row)) for n, row in enumerate(values))
    html = html_of(Bars(title="B", series=("kept", "short", "spam"), bars=bars))
    longest = max(sum(row) for row in values)
    assert sum(widths(html, r"c\d+")) == pytest.approx(
        sum(100 * sum(row) / longest for row in values if longest), abs=0.05
    )


def test_bars_on_their_own_scale_fill_the_width_and_name_the_first_share() -> None:
    bars = (Bar(label="web", values=(30, 10)), Bar(label="law", values=(1, 1)), Bar(label="none", values=(0, 0)))
    html = html_of(Bars(title="B", series=("kept", "spam"), bars=bars, scale="own", unit="documents"))
    assert widths(html, r"c\d+") == [75.0, 25.0, 50.0, 50.0]
    assert "web 40 documents · 75.0 % kept law 2 documents · 50.0 % kept none 0 documents · – kept" in text_of(html)


def legend_of(html: str) -> str:
    return text_of(html[html.index('<ul class="legend">') : html.index("</ul>")])


def test_bars_of_a_whole_and_its_parts_are_never_summed_in_the_legend() -> None:
    parts = (Bar(label="stem", values=(30, 10)), Bar(label="law", values=(1, 1)))
    whole = Bar(label="all", values=(31, 11))
    assert legend_of(html_of(Bars(title="B", series=("kept", "spam"), bars=(whole, *parts)))) == "kept spam"
    assert legend_of(html_of(Bars(title="B", series=("kept", "spam"), bars=parts))) == "kept spam"
    assert legend_of(html_of(Bars(title="B", series=("kept", "spam"), bars=(whole,)))) == "kept 31 spam 11"


def test_bars_of_fractions_and_of_nothing_are_shown() -> None:
    assert "web 0.75" in text_of(html_of(Bars(title="B", series=("s",), bars=(Bar(label="web", values=(0.75,)),))))
    assert "Nothing to show." in html_of(Bars(title="B", series=("kept",), bars=()))


def test_histogram_marks_thresholds_where_they_lie() -> None:
    thresholds = (Threshold(value=25, label="min = 25"), Threshold(value=150, label="max = 150"))
    html = html_of(Histogram(title="H", edges=(0, 50, 100), counts=(3, 0), x_label="chars", thresholds=thresholds))
    assert re.findall(r'class="mark (\w+)" style="left:([\d.]+)%', html) == [("after", "16.667"), ("before", "100.0")]
    assert html.count('class="bin') == 1
    assert "0 to 50: 3" in html


@given(values=st.lists(st.floats(-1e6, 1e6), max_size=60), num_bins=st.integers(1, 30))
def test_histogram_of_counts_every_value_once(values: list[float], num_bins: int) -> None:
    histogram = histogram_of(values, title="H", x_label="x", num_bins=num_bins, low=-10, high=10)
    assert sum(histogram.counts) == len(values)
    assert (histogram.edges[0], histogram.edges[-1], len(histogram.counts)) == (-10, 10, num_bins)


@pytest.mark.parametrize(("values", "ends"), [([], (0, 1)), ([4.0, 4.0], (3.5, 4.5)), ([1.0, 3.0], (1, 3))])
def test_histogram_of_finds_its_own_ends(values: list[float], ends: tuple[float, float]) -> None:
    histogram = histogram_of(values, title="H", x_label="x")
    assert (histogram.edges[0], histogram.edges[-1]) == ends
    assert "Show the figures" in html_of(histogram)


def test_lines_legend_names_the_last_value() -> None:
    lines = (Line(name="train", x=(0, 10, 20), y=(5, 4, 3.25)), Line(name="held out", x=(20,), y=(3.5,)))
    html = html_of(Lines(title="L", lines=lines, x_label="step", y_label="loss"))
    assert "train 3.25 held out 3.5" in text_of(html)
    assert (html.count('class="line s1"'), html.count('class="dot s2"')) == (1, 1)


def test_lines_of_a_constant_have_room_on_the_axis() -> None:
    assert html_of(Lines(title="L", lines=(Line(name="z", x=(1,), y=(0,)),), x_label="x", y_label="y"))


def test_scatter_colours_groups_and_lists_its_points() -> None:
    points = (Point(x=1, y=2, label="甲", group="news"), Point(x=2, y=1, label="乙", group="law"), Point(x=3, y=3))
    html = html_of(Scatter(title="S", points=points, x_label="chars", y_label="share"))
    assert [html.count(f'class="dot s{color}"') for color in (1, 2, 3)] == [1, 1, 1]
    assert "甲 news 1.0000 2.0000" in text_of(html)


def test_scatter_without_labels_and_groups_lists_only_figures() -> None:
    html = html_of(Scatter(title="S", points=(Point(x=1, y=2),), x_label="chars", y_label="share"))
    assert "chars share 1.0000 2.0000" in text_of(html)


def test_intervals_are_placed_on_a_common_axis_with_their_reference() -> None:
    rows = (
        IntervalRow(label="law", estimate=proportion_estimate(97, 100)),
        IntervalRow(label="one", estimate=mean_estimate([0.5], unit=EstimateUnit.SHARE)),
        IntervalRow(label="none", estimate=proportion_estimate(0, 0, num_unscored=2)),
    )
    html = html_of(Intervals(title="I", rows=rows, reference=0.97, reference_label="aim"))
    point, other = re.findall(r'class="point" style="left:([\d.]+)%', html)
    references = re.findall(r'class="reference-mark" style="left:([\d.]+)%', html)
    assert references == [point] * 3
    assert float(other) < float(point)
    assert html.count('class="whisker"') == 1
    assert "law 97.0 % [91.5, 99.0] n = 100 one 50.0 % no interval n = 1 none no value n = 0, 2 unscored" in text_of(
        html
    )


def test_intervals_without_rows_or_reference_are_shown() -> None:
    assert "Nothing to show." in html_of(Intervals(title="I", rows=()))
    row = IntervalRow(label="law", estimate=mean_estimate([1.0, 2.0], unit=EstimateUnit.POINTS))
    assert "reference-mark" not in html_of(Intervals(title="I", rows=(row,)))


def test_heatmap_shades_from_least_to_greatest_and_leaves_gaps() -> None:
    heatmap = Heatmap(title="H", row_labels=("a", "b"), column_labels=("x", "y"), values=((0.0, 0.5), (1.0, None)))
    html = html_of(heatmap)
    assert re.findall(r"--shade:([\d.]+)%", html) == ["0.0", "50.0", "100.0"]
    assert "a 0.00 0.50 b 1.00 –" in text_of(html)


def test_heatmap_of_equal_values_or_of_nothing_is_shown() -> None:
    assert "--shade:50.0%" in html_of(Heatmap(title="H", row_labels=("a",), column_labels=("x",), values=((2.0,),)))
    assert "Nothing to show." in html_of(Heatmap(title="H", row_labels=(), column_labels=("x",), values=()))


def test_samples_long_text_is_folded_and_short_text_is_not() -> None:
    long = "臺北市今日天氣晴朗。\n" * 60
    html = html_of(Samples(title="S", samples=(Sample(text="短文"), Sample(text=long), Sample(text=""))))
    assert html.count("<details>") == 1
    assert f"Show all {len(long):,} characters" in html
    assert long.rstrip() in html
    assert "Empty text." in html


def test_samples_tags_are_counted_commonest_first_and_numbered_on_their_samples() -> None:
    samples = (
        Sample(text="a", tags=("news", "kept", "kept")),
        Sample(text="b", tags=("forum", "kept")),
        Sample(text="c"),
    )
    html = html_of(Samples(title="S", samples=samples))
    chips = re.findall(r'data-tag="(\d*)"[^>]*>([^<]*) <span class="quiet">(\d+)', html)
    assert chips == [("", "All", "3"), ("0", "kept", "2"), ("1", "forum", "1"), ("2", "news", "1")]
    assert re.findall(r'data-tags="([^"]*)"', html) == ["2 0", "1 0", ""]


def test_samples_none_says_so() -> None:
    assert "No samples." in html_of(Samples(title="S", samples=()))


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: Report(title=" "), "needs a title"),
    (lambda: Table(title="T", columns=(), rows=()), "no columns"),
    (lambda: Table(title="T", columns=(Column(title="a"),), rows=(("x", "y"),)), "row 1: 2 cells for 1 columns"),
    (lambda: Bars(title="B", series=(), bars=()), "0 series"),
    (lambda: Bars(title="B", series=tuple("abcdefghijk"), bars=()), "11 series"),
    (lambda: Bars(title="B", series=("a",), bars=(Bar(label="x", values=(1, 2)),)), "2 values for 1 series"),
    (lambda: Bars(title="B", series=("a",), bars=(Bar(label="x", values=(-1,)),)), ">= 0"),
    (lambda: Histogram(title="H", edges=(0,), counts=(), x_label="x"), "1 edges for 0 bins"),
    (lambda: Histogram(title="H", edges=(0, 0), counts=(1,), x_label="x"), "increase"),
    (lambda: Histogram(title="H", edges=(0, float("inf")), counts=(1,), x_label="x"), "finite"),
    (lambda: Histogram(title="H", edges=(0, 1), counts=(-1,), x_label="x"), "counts must be >= 0"),
    (lambda: histogram_of([float("nan")], title="H", x_label="x"), "finite"),
    (lambda: histogram_of([1.0], title="H", x_label="x", low=2, high=1), "must lie below"),
    (lambda: Line(name="l", x=(), y=()), "at least one [(]0, 0[)]"),
    (lambda: Lines(title="L", lines=(), x_label="x", y_label="y"), "0 series"),
    (lambda: Scatter(title="S", points=(), x_label="x", y_label="y"), "0 series"),
    (lambda: Scatter(title="S", points=(Point(x=float("nan"), y=0),), x_label="x", y_label="y"), "finite"),
    (lambda: Heatmap(title="H", row_labels=("a",), column_labels=("x",), values=()), "row label"),
    (lambda: Heatmap(title="H", row_labels=("a",), column_labels=("x",), values=((float("inf"),),)), "finite"),
    (
        lambda: Intervals(
            title="I",
            rows=(
                IntervalRow(label="a", estimate=proportion_estimate(1, 2)),
                IntervalRow(label="b", estimate=mean_estimate([1.0], unit=EstimateUnit.POINTS)),
            ),
        ),
        "mix points, share",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("make", "named"), REFUSED)
def test_blocks_that_contradict_themselves_are_refused(make: Callable[[], object], named: str) -> None:
    with pytest.raises(DataError, match=named):
        make()
