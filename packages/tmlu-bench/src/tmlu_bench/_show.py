"""Results on a terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tmlu_bench._asked import SAMPLE, AskedOverview
from tmlu_bench._compare import Comparison, PairComparison
from tmlu_bench._contamination import ContaminationResult
from tmlu_bench._outcomes import Outcome
from tmlu_bench._question_set import QuestionSet
from tmlu_bench._remarks import ignored_remark
from tmlu_bench._report_runs import NO_RANKING
from tmlu_bench._run import ExamRun
from tmlu_bench._validate import Finding, Severity
from tmlu_bench._wording import counted
from twllm_runs.statistics import format_estimate
from twllm_types import Estimate

if TYPE_CHECKING:
    from rich.console import Console


def show_exam(console: "Console", exam: ExamRun) -> None:
    """Print what was asked, headline, groups, counts of outcomes and failures, and where to look."""
    overall = exam.summary.overall
    counts = ", ".join(f"{overall.counts[outcome]:,} {outcome}" for outcome in Outcome)
    asked = _words({name: value for name, value in exam.asked.items() if name != SAMPLE})
    lines = [
        f"asked: {asked}",
        f"{SAMPLE}: {exam.asked[SAMPLE]}",
        f"{counted(overall.num_questions, 'question')}, {counted(len(exam.items), 'item')}: {counts}",
    ]
    if overall.failures:
        lines.append(f"errors: {overall.failures_text}")
    if overall.withheld is not None:
        lines.append(f"no headline: {overall.withheld}")
    if overall.num_excluded:
        left_out = counted(overall.num_excluded, "question with errors is", "questions with errors are")
        lines.append(f"{left_out} left out by --exclude-errors")
    if overall.left_out_text:
        lines.append(overall.left_out_text)
    lines.extend(line for line in (*exam.remarks, ignored_remark(exam.ignored)) if line)
    coverage = f" ({overall.group_coverage})" if overall.group_coverage else ""
    named = (
        ("micro", overall.micro),
        ("macro over subjects", overall.macro_subjects),
        (f"macro over groups{coverage}", overall.macro_groups),
        ("right in all orders", overall.all_variants),
    )
    lines.extend(f"{name}: {format_estimate(estimate)}" for name, estimate in named if estimate is not None)
    lines.append(f"expected of random answers: {100 * overall.chance:.1f} %")
    lines.extend(
        f"  {group.group}: {_figure(group.micro)} (micro), {_figure(group.macro_subjects)} (macro)"
        for group in exam.summary.groups
    )
    lines.append(f"{exam.folder}: summary.json, items.jsonl, report.html")
    _print(console, lines)


def show_report(console: "Console", output: Path, asked: AskedOverview) -> None:
    """Print what the runs of a page asked, where they differ, and where the page is."""
    lines = [f"asked: {_words(asked.common)}"]
    if asked.different:
        lines.append(f"{NO_RANKING}:")
        lines.extend(f"  {line}" for line in asked.different)
    _print(console, [*lines, f"wrote {output}"])


def show_findings(console: "Console", questions: QuestionSet, findings: Sequence[Finding], *, limit: int) -> None:
    """Print the worst findings first, and how many there are of each severity and kind."""
    ranks = list(Severity)
    ordered = sorted(findings, key=lambda finding: ranks.index(finding.severity))
    lines = [f"{finding.severity}: {_where(finding)}: {finding.message}" for finding in ordered[:limit]]
    if len(ordered) > limit:
        lines.append(f"and {len(ordered) - limit:,} more; see them by --limit {len(ordered)}")
    counts = Counter((ranks.index(finding.severity), finding.kind.value) for finding in findings)
    lines.extend(f"{ranks[rank]}, {kind}: {number:,}" for (rank, kind), number in sorted(counts.items()))
    number, subjects = counted(questions.num_questions, "question"), counted(len(questions.subjects), "subject")
    if questions.ignored:
        lines.append(ignored_remark(questions.ignored))
    lines.append(f"{questions.name}: {number} in {subjects}")
    _print(console, lines)


def show_comparison(console: "Console", comparison: Comparison) -> None:
    """Print what was compared and each pair."""
    left_out = ", ".join(f"{number:,} of {name}" for name, number in comparison.num_left_out.items())
    lines = [f"{counted(comparison.num_common, 'question')} in common; left out: {left_out}"]
    if comparison.num_errors:
        with_errors = counted(
            comparison.num_errors, "common question with errors is", "common questions with errors are"
        )
        lines.append(f"{with_errors} left out by --exclude-errors")
    lines.extend(f"different: {line}" for line in comparison.different)
    for pair in comparison.pairs:
        lines.extend(_pair_lines(pair))
    _print(console, lines)


def show_contamination(console: "Console", result: ContaminationResult, folder: Path) -> None:
    """Print each sign beside its control."""
    lines = ["no figure is a verdict: read it beside the control set"]
    for row in result.scores:
        control = "" if row.controls is None else f"; control {format_estimate(row.controls)}"
        auc = "" if row.auc is None else f"; AUC {format_estimate(row.auc)}"
        lines.append(f"{row.score}: {format_estimate(row.suspects)}{control}{auc}")
    for name, order in result.order_tests.items():
        likeliest = format_estimate(order.canonical_first)
        lines.append(
            f"order of options, {name}: own order likeliest {likeliest}, chance {100 * order.chance:.1f} %, "
            f"p = {order.test.p_value:.3g}"
        )
    if result.overlap is not None:
        lines.append(f"overlap with the corpus: any n-gram {format_estimate(result.overlap.any_ngram)}")
        lines.append(f"  half covered {format_estimate(result.overlap.half_covered)}")
    for name, counts in (result.found_by_tw_corpus or {}).items():
        lines.append(f"tw-corpus, {name}: {', '.join(f'{number:,} {key}' for key, number in counts.items())}")
    if result.num_failures:
        lines.append(f"{counted(result.num_failures, 'text')} could not be scored")
    lines.append(f"{folder}: summary.json, report.html")
    _print(console, lines)


def _where(finding: Finding) -> str:
    if finding.file is None:
        return finding.subject
    place = finding.file if finding.line is None else f"{finding.file}:{finding.line}"
    return place if finding.question_id is None else f"{place} ({finding.subject}/{finding.question_id})"


def _pair_lines(pair: PairComparison) -> list[str]:
    found = [row.subject for row in pair.subjects if row.p_holm < 0.05]
    micro, macro = (format_estimate(figure, difference=True) for figure in (pair.micro, pair.macro_subjects))
    p_values = f"p = {pair.test.p_value:.3g}, Holm {pair.p_holm:.3g}, BH {pair.p_benjamini_hochberg:.3g}"
    return [
        f"{pair.first} - {pair.second}: {micro} (micro), {macro} (macro over subjects)",
        f"  {pair.num_only_first:,} only first right, {pair.num_only_second:,} only second",
        f"  {pair.test.method}: {p_values}",
        f"  smallest difference that this sample shows: {pair.detectable_text}",
        f"  subjects that differ (Holm, 5 %): {', '.join(found) or 'none'}",
    ]


def _words(asked: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in asked.items()) or "nothing alike"


def _figure(estimate: Estimate | None) -> str:
    return "withheld" if estimate is None else format_estimate(estimate)


def _print(console: "Console", lines: list[str]) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
