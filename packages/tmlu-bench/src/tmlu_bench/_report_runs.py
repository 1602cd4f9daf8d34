"""Several runs on one page: leaderboard, subjects by run, paired differences."""

from collections.abc import Sequence

from tmlu_bench._asked import AskedOverview
from tmlu_bench._compare import Comparison
from tmlu_bench._outcomes import Outcome
from tmlu_bench._report import remark_blocks, subject_heatmap
from tmlu_bench._summary import ExamSummary, OverallSummary
from tmlu_bench._wording import counted
from twllm_runs.report import (
    Block,
    Column,
    ColumnKind,
    Fact,
    IntervalRow,
    Intervals,
    Prose,
    Report,
    Section,
    Table,
)

NO_RANKING = "The runs were not asked alike: their scores are no ranking"
_MAX_SUBJECT_ROWS = 1000


def runs_report(
    runs: Sequence[tuple[str, ExamSummary]],
    *,
    settings: Sequence[tuple[str, str]] = (),
    asked: AskedOverview | None = None,
    comparison: Comparison | None = None,
    title: str = "tmlu-bench: leaderboard",
    remarks: Sequence[str] = (),
) -> Report:
    """Make one page of several runs.

    Args:
        runs: name and figures, in any order; the leaderboard sorts them.
        settings: facts for the head.
        asked: what the runs asked; what all did alike joins the head, what they did not stands above the leaderboard.
        comparison: of the same runs; None leaves the paired part out.
        title: of the page.
        remarks: what to know beside the figures, a line each.
    """
    ranked = sorted(runs, key=lambda run: -_headline(run[1]))
    told = AskedOverview(common={}, by_run={}, different=()) if asked is None else asked
    sections = [
        Section(title="Leaderboard", blocks=(*asked_blocks(told), *leaderboard_blocks(ranked, remarks))),
        Section(title="Subjects", blocks=(subject_heatmap("Accuracy by subject", ranked),)),
    ]
    if comparison is not None:
        sections.append(Section(title="Paired differences", blocks=comparison_blocks(comparison)))
    return Report(
        title=title,
        subtitle=counted(len(runs), "run"),
        facts=tuple(Fact(name=name, value=value) for name, value in (*settings, *told.common.items())),
        sections=tuple(sections),
    )


def asked_blocks(asked: AskedOverview) -> tuple[Block, ...]:
    """What the runs did not do alike, a row each; nothing where they did all alike."""
    names = list(dict.fromkeys(name for facts in asked.by_run.values() for name in facts))
    table = Table(
        title="What was asked otherwise",
        columns=(Column(title="run"), *(Column(title=name) for name in names)),
        rows=tuple((run, *(facts[name] for name in names)) for run, facts in asked.by_run.items()),
        note="what all runs did alike stands in the head",
    )
    warning = Prose(title=NO_RANKING, paragraphs=asked.different)
    return (*((warning,) if asked.different else ()), *((table,) if names else ()))


def leaderboard_blocks(runs: Sequence[tuple[str, ExamSummary]], remarks: Sequence[str] = ()) -> tuple[Block, ...]:
    """Table and intervals of the runs, in the order given, and what to know beside them."""
    columns = (
        Column(title="run"),
        Column(title="micro", kind=ColumnKind.ESTIMATE),
        Column(title="macro over subjects", kind=ColumnKind.ESTIMATE),
        Column(title="macro over groups", kind=ColumnKind.ESTIMATE),
        Column(title="chance", kind=ColumnKind.SHARE),
        *(Column(title=outcome.value, kind=ColumnKind.COUNT) for outcome in Outcome),
    )
    rows = tuple(
        (
            name,
            summary.overall.micro,
            summary.overall.macro_subjects,
            summary.overall.macro_groups,
            summary.overall.chance,
            *(summary.overall.counts[outcome] for outcome in Outcome),
        )
        for name, summary in runs
    )
    scored = [(name, summary.overall.micro) for name, summary in runs if summary.overall.micro is not None]
    intervals = Intervals(
        title="Accuracy, micro",
        rows=tuple(IntervalRow(label=name, estimate=estimate) for name, estimate in scored),
        reference=runs[0][1].overall.chance if runs else None,
        reference_label="chance",
        note="overlapping intervals do not show that runs are alike: see the paired differences",
    )
    lines = (*remarks, *(f"{name}: {line}" for name, summary in runs for line in _figure_remarks(summary.overall)))
    table = Table(title="Runs", columns=columns, rows=rows, note="unparsed and truncated answers count as wrong")
    return (table, intervals, *remark_blocks(lines))


def _figure_remarks(overall: OverallSummary) -> list[str]:
    lines: list[str] = []
    if overall.withheld is not None:
        lines.append(f"{overall.withheld} ({overall.failures_text})")
    if overall.num_excluded:
        lines.append(f"{counted(overall.num_excluded, 'question')} with errors left out by --exclude-errors")
    if overall.left_out_text:
        lines.append(overall.left_out_text)
    if overall.macro_groups is not None and overall.group_coverage:
        lines.append(f"the macro average over groups is of {overall.group_coverage}, the others have no group")
    return lines


def comparison_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """What was compared, the pairs, and their subjects."""
    left_out = ", ".join(f"{number:,} of {name}" for name, number in comparison.num_left_out.items())
    lines = [f"{counted(comparison.num_common, 'question')} in common; left out: {left_out}."]
    if comparison.num_errors:
        left = "and is" if comparison.num_errors == 1 else "and are"
        lines.append(f"{comparison.num_errors:,} more ended in error in some run {left} left out by choice.")
    lines.extend(f"Compared although different: {line}." for line in comparison.different)
    return Prose(paragraphs=tuple(lines)), _pairs_table(comparison), _subjects_table(comparison)


def _pairs_table(comparison: Comparison) -> Table:
    columns = (
        Column(title="first"),
        Column(title="second"),
        Column(title="first - second, micro", kind=ColumnKind.ESTIMATE, difference=True),
        Column(title="macro over subjects", kind=ColumnKind.ESTIMATE, difference=True),
        Column(title="only first right", kind=ColumnKind.COUNT),
        Column(title="only second right", kind=ColumnKind.COUNT),
        Column(title="p", kind=ColumnKind.NUMBER, digits=4),
        Column(title="p, Holm", kind=ColumnKind.NUMBER, digits=4),
        Column(title="p, BH", kind=ColumnKind.NUMBER, digits=4),
        Column(title="detectable"),
    )
    rows = tuple(
        (
            pair.first,
            pair.second,
            pair.micro,
            pair.macro_subjects,
            pair.num_only_first,
            pair.num_only_second,
            pair.test.p_value,
            pair.p_holm,
            pair.p_benjamini_hochberg,
            pair.detectable_text,
        )
        for pair in comparison.pairs
    )
    test = comparison.pairs[0].test.method if comparison.pairs else ""
    note = (
        f"test: {test}; Holm and Benjamini-Hochberg over the pairs; detectable: smallest difference that so many "
        f"questions show with power {100 * comparison.options.power:.0f} %"
    )
    return Table(title="Pairs", columns=columns, rows=rows, note=note)


def _subjects_table(comparison: Comparison) -> Table:
    columns = (
        Column(title="first"),
        Column(title="second"),
        Column(title="subject"),
        Column(title="first - second", kind=ColumnKind.ESTIMATE, difference=True),
        Column(title="p", kind=ColumnKind.NUMBER, digits=4),
        Column(title="p, Holm", kind=ColumnKind.NUMBER, digits=4),
        Column(title="p, BH", kind=ColumnKind.NUMBER, digits=4),
    )
    rows = tuple(
        (
            pair.first,
            pair.second,
            row.subject,
            row.difference,
            row.test.p_value,
            row.p_holm,
            row.p_benjamini_hochberg,
        )
        for pair in comparison.pairs
        for row in pair.subjects
    )
    shown = rows[:_MAX_SUBJECT_ROWS]
    cut = "" if len(shown) == len(rows) else f"; the first {len(shown):,} of {len(rows):,} rows"
    return Table(title="Subjects", columns=columns, rows=shown, note=f"corrected over the subjects of a pair{cut}")


def _headline(summary: ExamSummary) -> float:
    """Place in the leaderboard; runs without headline come last."""
    micro = summary.overall.micro
    return -1.0 if micro is None or micro.mean is None else micro.mean
