"""Results on a terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from llm_eval._gate import GateLine, GateResult, GateTest
from llm_eval._judge_run import JudgeRun
from llm_eval._judge_summary import NO_SYSTEM, GroupSummary, estimate_from_json
from llm_eval._meta_run import MetaRun
from llm_eval._pairwise_run import PairwiseRun
from llm_eval._ppi import FEW_LABELLED, FEW_LABELLED_UNITS
from llm_eval._prefer import PreferResult
from llm_eval._report import samples_text, usage_text
from twllm_runs import printable_line
from twllm_runs.statistics import format_estimate
from twllm_types import Estimate, JsonObject

if TYPE_CHECKING:
    from rich.console import Console

_TESTS = {
    GateTest.FAILURES: "failures",
    GateTest.MINIMUM: "least score",
    GateTest.NOT_WORSE: "not worse",
}
_METHODS = ("pearson", "spearman", "kendall")


def show_judge_run(console: "Console", judged: JudgeRun) -> None:
    """Print means, systems, failures, tokens and where to look."""
    group = judged.summary.all_items
    lines = [f"{group.num_items:,} items, {group.num_judgements:,} judgements, {group.num_failed:,} failed"]
    lines.extend(counts_lines("failed", group.failures))
    if group.num_failed_samples:
        lines.append(samples_text(group))
    lines.extend(_group_lines(group))
    for system in judged.summary.systems:
        lines.extend(f"  {system.name}, {line}" for line in _group_lines(system)[:1])
    lines.append(f"tokens: {usage_text(judged.tokens, judged.cost, judged.currency)}")
    lines.append(f"{judged.folder}: summary.json, judgements.jsonl, report.html")
    print_lines(console, lines)


def show_pairwise(console: "Console", compared: PairwiseRun) -> None:
    """Print win rates, outcomes of each pair of systems, and what the order does."""
    summary = compared.summary
    lines = [f"{summary.num_comparisons:,} comparisons, {summary.num_failed:,} failed"]
    lines.extend(counts_lines("failed", summary.failures))
    lines.extend(f"win rate of {name}: {format_estimate(rate)}" for name, rate in summary.win_rates.items())
    for pair in summary.pairs:
        counts = ", ".join(f"{number:,} {outcome}" for outcome, number in pair.counts.items())
        lines.append(f"  {pair.a} (a), {pair.b} (b): {counts}, {pair.num_unscored:,} unscored")
    lines.append(f"winner changes with the order: {format_estimate(summary.flips)}")
    lines.append(f"first place wins, 50 % without bias: {format_estimate(summary.first_place)}")
    lines.append(f"tokens: {usage_text(compared.tokens, compared.cost, compared.currency)}")
    lines.append(f"{compared.folder}: summary.json, pairs.jsonl, report.html")
    print_lines(console, lines)


def show_meta(console: "Console", found: MetaRun) -> None:
    """Print each judge's coefficients with baselines, one rater and the ceiling below them."""
    lines: list[str] = []
    for judge in cast("list[JsonObject]", found.summary["judges"]):
        unmatched = len(cast("list[str]", judge["unmatched"]))
        lines.append(
            f"{judge['judge']}: {judge['num_failed']:,} judgements failed, {judge['num_unjudged']:,} rated items "
            f"unjudged, {unmatched:,} judgements of no item"
        )
        for one in cast("list[JsonObject]", judge["dimensions"]):
            lines.extend(_dimension_lines(one))
        lines.extend(_few_labelled_lines(cast("list[JsonObject]", judge["systems"])))
    faults = dict(sorted(cast("dict[str, int]", found.summary["num_faults"]).items()))
    lines.extend(counts_lines("ratings left out", faults))
    num_without_item = cast("int", found.summary["num_rated_without_item"])
    if num_without_item:
        lines.append(f"rated items left out, none of the items: {num_without_item:,}")
    lines.append(f"{found.folder}: summary.json, report.html")
    print_lines(console, lines)


def show_gate(console: "Console", result: GateResult) -> None:
    """Print the table of a gate."""
    print_lines(console, gate_lines(result))


def gate_lines(result: GateResult) -> list[str]:
    """Write one line per test, columns aligned, and the verdict."""
    rows = [_gate_row(line) for line in result.lines]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if result.num_shared is not None:
        lines.append(f"compared on {result.num_shared:,} shared items")
    lines.extend(f"compared although different: {line}" for line in result.different)
    lines.append("passed" if result.passed else "failed")
    return lines


def show_preferences(console: "Console", result: PreferResult) -> None:
    """Print how many rows there are, and why there are no more."""
    lines = [
        f"{result.num_pairs:,} pairs, {result.num_labelled:,} labelled responses",
        *counts_lines("no pair", result.pair_outcomes),
        *counts_lines("no label", result.label_outcomes),
        f"{result.folder}: dpo.jsonl, kto.jsonl, details.jsonl, summary.json, report.html",
    ]
    print_lines(console, lines)


def counts_lines(title: str, counts: Mapping[str, int]) -> list[str]:
    """Write counts by reason; nothing where there are none."""
    return [f"{title}, {name}: {number:,}" for name, number in counts.items()]


def print_lines(console: "Console", lines: Sequence[str]) -> None:
    r"""Print lines, however long, with control and format characters as escapes such as `\x1b`.

    Names come from files of others: one of them could move the cursor, colour the terminal or turn a line around.
    """
    for line in lines:
        console.print(printable_line(line), markup=False, highlight=False, soft_wrap=True)


def _group_lines(group: GroupSummary) -> list[str]:
    figures: dict[str, Estimate] = {} if group.overall is None else {"overall": group.overall}
    figures |= group.dimensions
    lines = [f"{name}: {format_estimate(estimate)}" for name, estimate in figures.items()]
    lines.extend(
        f"{name} is {word}: {format_estimate(estimate)}"
        for name, shares in group.verdicts.items()
        for word, estimate in shares.items()
    )
    return lines


def _dimension_lines(one: JsonObject) -> list[str]:
    # By name, since a summary that was read has its keys sorted and one that was just made has not.
    named = {"judge": one["correlations"], **dict(sorted(cast("JsonObject", one["baselines"]).items()))}
    lines = [f"  {one['dimension']} ({one['human_dimension']}):"]
    for name, results in named.items():
        found = cast("dict[str, JsonObject]", results)
        shown = [f"{method} {_result(found[method])}" for method in _METHODS if method in found]
        lines.append(f"    {name}: {'; '.join(shown)}")
    raters = cast("dict[str, dict[str, float | None]]", one["rater_baseline"])
    known = [
        f"{method} {value:.3f}" for method in _METHODS if (value := raters.get(method, {}).get("value")) is not None
    ]
    lines.append(f"    one rater: {'; '.join(known) or 'undefined'}")
    reliability = cast("JsonObject", one["reliability"])
    ceiling = reliability["ceiling"]
    shown = format_estimate(estimate_from_json(ceiling)) if isinstance(ceiling, dict) else str(reliability["reason"])
    lines.append(f"    ceiling: {shown}")
    return lines


def _few_labelled_lines(systems: Sequence[JsonObject]) -> list[str]:
    """Write each corrected mean whose interval rests on few ratings, with their number."""
    return [
        f"  {FEW_LABELLED}: the corrected mean of {row['system'] or NO_SYSTEM}, {row['dimension']} rests on "
        f"{corrected['num_labelled_units']} rated items or clusters; rate at least {FEW_LABELLED_UNITS}"
        for row in systems
        if isinstance(corrected := row["corrected"], dict) and corrected["few_labelled_units"]
    ]


def _result(row: JsonObject) -> str:
    interval = row["by_clusters"] or row["by_items"]
    if isinstance(interval, dict):
        return format_estimate(estimate_from_json(interval))
    correlation = cast("JsonObject", row["correlation"])
    value = correlation["value"]
    return f"undefined ({correlation['reason']})" if value is None else f"{value:.3f}"


def _gate_row(line: GateLine) -> tuple[str, str, str, str, str]:
    sign = "<=" if line.test is GateTest.FAILURES else ">="
    is_share = line.test is GateTest.FAILURES
    tested = "none" if line.tested is None else _figure(line.tested, is_share=is_share)
    return (
        "ok" if line.passed else "FAIL",
        _TESTS[line.test],
        line.name,
        f"{tested} {sign} {_figure(line.bound, is_share=is_share)}",
        format_estimate(line.estimate, difference=line.test is GateTest.NOT_WORSE),
    )


def _figure(value: float, *, is_share: bool) -> str:
    return f"{100 * value:.1f} %" if is_share else f"{value:.3f}"
