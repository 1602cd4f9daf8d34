"""Results on a terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from step_kto._iterate import LoopRun
from step_kto._labels import SolutionCounts
from step_kto._stage_build import BuildRun
from step_kto._stage_evaluate import EvaluateRun, read_estimates
from step_kto._stage_label import LabelRun
from step_kto._stage_sample import SampleRun
from step_kto._stage_train import TrainRun
from twllm_runs import read_run
from twllm_runs.statistics import format_estimate
from twllm_types import Estimate, JsonObject

if TYPE_CHECKING:
    from rich.console import Console


def show_sample(console: "Console", run: SampleRun) -> None:
    """Print how many samples there are, and how many failed or were cut off."""
    _print(
        console,
        [
            f"{len(run.samples):,} samples, {run.num_failed:,} failed, {run.num_truncated:,} cut off at max_tokens",
            f"{run.folder}: samples.jsonl, problems.jsonl, summary.json",
        ],
    )


def show_label(console: "Console", run: LabelRun) -> None:
    """Print labels per level, and failures."""
    lines = [f"{run.summary['num_solutions']:,} solutions", *_level_lines(run.summary)]
    lines += _count_lines("samples without solution", run.summary, ("num_failed_samples", "num_blank_samples"))
    for reason, count in cast("Mapping[str, int]", run.summary["judge_failures"]).items():
        lines.append(f"  judge failed, {reason}: {count:,}")
    _print(console, [*lines, f"{run.folder}: solutions.jsonl, summary.json"])


def show_build(console: "Console", run: BuildRun) -> None:
    """Print what is trained on and what was left out."""
    summary = run.summary
    lines = [
        f"{summary['num_solutions']:,} of {summary['num_labelled']:,} solutions, {summary['num_prompts']:,} prompts"
    ]
    lines += _level_lines(summary)
    for reason, count in cast("Mapping[str, int]", summary["left_out"]).items():
        if count:
            lines.append(f"  left out, {reason}: {count:,}")
    _print(console, [*lines, f"{run.folder}: train.jsonl, summary.json"])


def show_train(console: "Console", run: TrainRun) -> None:
    """Print what was trained and where the model is."""
    summary = run.summary
    last = cast("Mapping[str, object]", summary["last_log"])
    lines = [f"{summary['kind']}: {summary['num_updates']:,} updates on {summary['num_rows']:,} rows"]
    lines += [f"  {name}: {value:.4g}" for name, value in last.items() if isinstance(value, float) and name != "epoch"]
    _print(console, [*lines, f"{run.model}: the model; {run.folder}: log.jsonl, summary.json"])


def show_evaluate(console: "Console", run: EvaluateRun) -> None:
    """Print every figure with its interval."""
    lines = [f"{run.summary['num_problems']:,} problems", *_estimate_lines(run.estimates)]
    _print(console, [*lines, f"{run.folder}: samples.jsonl, solutions.jsonl, summary.json"])


def show_loop(console: "Console", run: LoopRun) -> None:
    """Print the figures of every iteration and where to look."""
    lines: list[str] = []
    for stage in run.stages:
        if stage.name == "evaluate":
            summary = cast("JsonObject", read_run(run.folder / stage.folder).summary)
            lines += [f"iteration {stage.iteration}", *_estimate_lines(read_estimates(summary))]
    _print(console, [*lines, f"{run.folder}: report.html, loop.json, {len(run.stages):,} stages"])


def show_counts(console: "Console", counts: SolutionCounts, num_solutions: int) -> None:
    """Print what a checked file holds."""
    lines = [f"{num_solutions:,} solutions"]
    for name, level in (("outcomes", counts.outcomes), ("steps", counts.steps)):
        lines.append(f"  {name}: {level.num_right:,} right, {level.num_wrong:,} wrong, {level.num_unknown:,} unknown")
    _print(console, lines)


def _level_lines(summary: JsonObject) -> list[str]:
    levels = {name: cast("Mapping[str, int]", summary[name]) for name in ("outcomes", "steps")}
    return [
        f"  {name}: {counts['right']:,} right, {counts['wrong']:,} wrong, {counts['unknown']:,} unknown"
        for name, counts in levels.items()
    ]


def _count_lines(title: str, summary: JsonObject, names: Sequence[str]) -> list[str]:
    count = sum(cast("int", summary[name]) for name in names)
    return [f"  {title}: {count:,}"] if count else []


def _estimate_lines(estimates: Mapping[str, Estimate]) -> list[str]:
    return [f"  {name}: {format_estimate(estimate)}" for name, estimate in estimates.items()]


def _print(console: "Console", lines: Sequence[str]) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
