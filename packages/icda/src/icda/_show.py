"""Results on a terminal."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from icda._generate import GenerateRun
from icda._guards import Guard
from icda._report_candidates import unfilled_text
from icda._run import IcdaRun
from icda._run_score import ScoreRun, rejection_counts
from icda._run_select import SelectRun
from icda._run_train import TrainRun
from icda._words import cost_text, counts_text, guard_text, rule_title
from twllm_runs.statistics import format_estimate

if TYPE_CHECKING:
    from rich.console import Console


def show_generated(console: "Console", run: GenerateRun) -> None:
    """Print how many candidates there are, what was rejected, and what it took."""
    rejected: dict[str, int] = {}
    for one in run.yields:
        for reason, count in one.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
    lines = [
        f"{len(run.candidates):,} candidates for {len(run.yields):,} intents; rejected: {counts_text(rejected)}",
        cost_text(run.tokens),
    ]
    if run.unfilled:
        lines.append(unfilled_text(run))
    _print(console, [*lines, f"{run.folder}: candidates.jsonl, rejected.jsonl, requests.jsonl"])


def show_scored(console: "Console", run: ScoreRun) -> None:
    """Print how well the classifier judges, and what is wrong."""
    lines = [
        f"{len(run.candidates):,} candidates scored",
        f"V-information of the seeds: {format_estimate(run.v_information)} ({run.held_out.estimated_on.value})",
        f"held-out accuracy: {format_estimate(run.accuracy)}",
        *_pool_lines(run),
        *_guard_lines(run.guards),
    ]
    _print(console, [*lines, f"{run.folder}: scores.jsonl, thresholds.json"])


def _pool_lines(run: ScoreRun) -> list[str]:
    lines: list[str] = []
    if run.rejected is not None:
        counts = counts_text(rejection_counts(run.rejected))
        lines.append(f"{len(run.rejected):,} rows of the pool rejected in cleaning: {counts} (rejected.jsonl)")
    if run.unknown_tokens is not None:
        lines.append(f"{run.unknown_tokens.share:.1%} of the tokens are unknown to the encoder")
    return lines


def show_selected(console: "Console", run: SelectRun) -> None:
    """Print what every rule keeps."""
    lines = [f"of {len(run.decisions):,} candidates"]
    lines += [f"  {rule_title(name)}: {count:,} kept" for name, count in run.num_kept.items()]
    _print(
        console, [*lines, *_guard_lines(run.guards), f"{run.folder}: selected.jsonl, review.csv (edit it, then train)"]
    )


def show_trained(console: "Console", run: TrainRun) -> None:
    """Print every arm beside the seeds alone, and whether anything beats them."""
    lines: list[str] = []
    for arm in run.arms:
        beside = (
            "" if arm.difference is None else f"; less seeds only {format_estimate(arm.difference, difference=True)}"
        )
        if arm.difference_of_draws is not None and arm.difference_of_draws.n > 1:
            beside += f", over draws {format_estimate(arm.difference_of_draws, difference=True)}"
        lines.append(f"{rule_title(arm.arm)}: accuracy {format_estimate(arm.accuracy)}{beside}")
    if run.changes is not None:
        changes = run.changes
        lines.append(
            f"review: {changes.num_rescued:,} rescued, {changes.num_dropped:,} dropped, {changes.num_relabelled:,} "
            f"relabelled, {changes.num_reworded:,} reworded"
        )
    lines += _guard_lines(run.guards)
    _print(console, [*lines, run.verdict, f"{run.folder}: results.jsonl, training.jsonl"])


def show_run(console: "Console", run: IcdaRun) -> None:
    """Print every stage, and where the page is."""
    if run.generated is not None:
        show_generated(console, run.generated)
    if run.scored is not None:
        show_scored(console, run.scored)
    if run.selected is not None:
        show_selected(console, run.selected)
    if run.trained is not None:
        show_trained(console, run.trained)
    _print(console, [f"{run.folder}: report.html"])


def show_written(console: "Console", output: Path, num_rows: int | None = None) -> None:
    """Print what was written."""
    _print(console, [f"wrote {output}" if num_rows is None else f"wrote {num_rows:,} rows to {output}"])


def _guard_lines(guards: Iterable[Guard]) -> list[str]:
    return [f"guard: {guard_text(guard)}" for guard in guards]


def _print(console: "Console", lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
