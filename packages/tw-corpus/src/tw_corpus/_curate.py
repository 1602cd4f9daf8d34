"""The curation job: plan, filter, deduplicate, write, account for every record."""

import shutil
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from tw_corpus._contaminated import publish_contamination
from tw_corpus._execution_options import ExecutorName
from tw_corpus._executors import open_executor, settle_earlier_jobs
from tw_corpus._plan import input_of, plan_tasks, store_tasks
from tw_corpus._recipe import CurationRecipe
from tw_corpus._stages import Layout, Plan, filter_stage, later_stages
from tw_corpus._summary import CurationCounts, account, summarize
from tw_corpus._tally import Tally, join_key
from tw_corpus.blocks import (
    fault_line,
    read_tally,
)
from tw_corpus.readers import FoundFile, Inputs
from twllm_runs import Progress, Run, RunState, open_atomic
from twllm_types import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class CurationOutcome:
    """What a curation did.

    Attributes:
        counts: documents and faults.
        summary: what stands in `summary.json`.
        documents: tallies of all stages, merged, for the report.
    """

    counts: CurationCounts
    summary: JsonObject
    documents: Tally


def run_curation(
    found: Inputs,
    recipe: CurationRecipe,
    *,
    benchmarks: tuple[Path, ...],
    run: Run,
    executor: ExecutorName,
    workers: int,
    progress: Progress,
) -> CurationOutcome:
    """Curate `found.files` into the run's folder; continue where an earlier invocation was stopped.

    Args:
        found: inputs in the order in which documents come out.
        recipe: decides the result, together with the inputs.
        benchmarks: files or folders whose items stay out.
        run: open run folder; the caller finishes it.
        executor: where the tasks run; like `workers` it changes the speed, never the result.
        workers: tasks at once, >= 1.
        progress: display.

    Returns:
        The counts and the summary.

    Raises:
        RunError: a task failed, a worker died or the disk is full; the same command continues.
    """
    started = time.monotonic()
    layout = _prepare(run, executor)
    tasks = plan_tasks(found.files, target_bytes=recipe.tasks.target_bytes, max_files=recipe.tasks.max_files)
    plan = Plan(tasks=store_tasks(tasks, layout.work / "plan"), recipe=recipe, benchmarks=benchmarks, layout=layout)
    with _datatrove_silenced(), open_executor(executor, recipe.execution, workers=workers, work=layout.work) as pool:
        with _shown(progress, found.files, plan) as (on_wait, on_note):
            pool.run(filter_stage(plan), logging_folder=layout.logs("filter"), on_wait=on_wait, on_note=on_note)
        for stage in later_stages(plan):
            bar = progress.task(stage.name, total=stage.num_tasks, unit="tasks")
            pool.run(stage, logging_folder=layout.logs(stage.name), on_wait=bar.set, on_note=bar.note)
    filtered = _stage_tally(plan, "filter").merged(_found_tally(found)).merged(_stage_tally(plan, "paragraphs"))
    written = _stage_tally(plan, "write")
    counts = account(filtered, written)
    _publish_faults(found, layout, plan.num_tasks)
    contamination = publish_contamination(plan)
    for folder in layout.intermediates():
        shutil.rmtree(folder, ignore_errors=True)
    documents = filtered.merged(written)
    # bytes of earlier invocations were read in their time
    seconds = None if run.state is RunState.CONTINUED else time.monotonic() - started
    summary = summarize(documents, counts, files=found.files, num_tasks=plan.num_tasks, seconds=seconds)
    summary["contamination"] = contamination
    return CurationOutcome(counts=counts, summary=summary, documents=documents)


def _prepare(run: Run, executor: ExecutorName) -> Layout:
    attempts = run.work_folder / "attempts"
    # attempts of killed invocations; their workers ended with them, unless they were Slurm's
    if not settle_earlier_jobs(executor, run.work_folder):
        shutil.rmtree(attempts, ignore_errors=True)
    layout = Layout(output=run.folder, work=run.work_folder, attempt=attempts / uuid.uuid4().hex)
    for folder in (layout.attempt, layout.progress, layout.output / "documents", layout.output / "rejected"):
        folder.mkdir(parents=True, exist_ok=True)
    return layout


@contextmanager
def _datatrove_silenced() -> Generator[None]:
    """Keep datatrove's advice (on settings that are made here on purpose) off the terminal."""
    logger.disable("datatrove")
    try:
        yield
    finally:
        logger.enable("datatrove")


def _stage_tally(plan: Plan, stage: str) -> Tally:
    skipped = stage == "paragraphs" and plan.recipe.repeated_paragraphs is None
    return Tally() if skipped else read_tally(plan.layout.tally(stage), plan.num_tasks)


def _found_tally(found: Inputs) -> Tally:
    """Count what was met while looking for files: unknown formats, hidden files."""
    tally = Tally()
    for fault in found.faults:
        tally.num_records[input_of(fault.path)] += 1
        tally.faults[join_key(input_of(fault.path), fault.reason)] += 1
    for ignored in found.ignored:
        tally.num_records[input_of(ignored.path)] += 1
        tally.ignored[join_key(input_of(ignored.path), ignored.kind)] += 1
    return tally


def _publish_faults(found: Inputs, layout: Layout, num_tasks: int) -> None:
    with open_atomic(layout.output / "faults.jsonl", "wb") as merged:
        merged.writelines(fault_line(fault) for fault in found.faults)
        for rank in range(num_tasks):
            path = layout.faults / f"{rank:05d}.jsonl"
            merged.write(path.read_bytes())


@contextmanager
def _shown(
    progress: Progress, files: Sequence[FoundFile], plan: Plan
) -> Generator[tuple[Callable[[int], None], Callable[[str], None]]]:
    """Show bytes and documents of the reading stage, as its tasks note them."""
    read = progress.task("read and filter", total=sum(file.num_bytes for file in files), unit="B")
    documents = progress.task("documents", total=None, unit="documents")

    def on_wait(_num_done: int) -> None:
        noted = [_noted(plan.layout.progress / f"{rank:05d}") for rank in range(plan.num_tasks)]
        read.set(sum(num_bytes for _, num_bytes in noted))
        documents.set(sum(num_documents for num_documents, _ in noted))

    yield on_wait, read.note
    on_wait(plan.num_tasks)


def _noted(path: Path) -> tuple[int, int]:
    try:
        num_documents, num_bytes = path.read_text(encoding="ascii").split()
    except (FileNotFoundError, ValueError):
        # not begun, or read in the middle of a write
        return 0, 0
    return int(num_documents), int(num_bytes)
