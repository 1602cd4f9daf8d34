"""The curation job: plan, filter, deduplicate, write, account for every record."""

import shutil
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tw_corpus._execute import Stage, WorkerPool
from tw_corpus._plan import input_of, plan_tasks
from tw_corpus._recipe import CurationRecipe, ExactDedup, OutputFormat
from tw_corpus._summary import CurationCounts, account, summarize
from tw_corpus._tally import EXACT_DUPLICATE, Tally, join_key
from tw_corpus.blocks import (
    CorpusReader,
    CountOutcome,
    Normalize,
    Publish,
    Published,
    QualityFilter,
    ReadShard,
    RejectedWriter,
    StripBoilerplate,
    document_writer,
    exact_filter,
    exact_search,
    exact_signatures,
    fault_line,
    read_tally,
    shard_writer,
)
from tw_corpus.readers import FoundFile, Inputs
from twllm_runs import Progress, Run, open_atomic
from twllm_types import JsonObject

_SHARD = ".jsonl.zst"
_REJECTED = ".jsonl.gz"
_DOCUMENTS = {OutputFormat.PARQUET: ".parquet", OutputFormat.JSONL: ".jsonl.gz"}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Folders of one run; everything under `work` can be made again."""

    output: Path
    work: Path
    attempt: Path

    @property
    def kept(self) -> Path:
        return self.work / "kept"

    @property
    def progress(self) -> Path:
        return self.work / "progress"

    def logs(self, stage: str) -> Path:
        return self.work / "logs" / stage

    def tally(self, stage: str) -> Path:
        return self.work / "tally" / stage


def run_curation(
    found: Inputs, recipe: CurationRecipe, *, run: Run, workers: int, progress: Progress
) -> CurationOutcome:
    """Curate `found.files` into the run's folder; continue where an earlier invocation was stopped.

    Args:
        found: inputs in the order in which documents come out.
        recipe: decides the result, together with the inputs.
        run: open run folder; the caller finishes it.
        workers: worker processes, >= 1; they change the speed, never the result.
        progress: display.

    Returns:
        The counts and the summary.

    Raises:
        RunError: a task failed, a worker died or the disk is full; the same command continues.
    """
    started = time.monotonic()
    layout = _prepare(run)
    tasks = plan_tasks(found.files, target_bytes=recipe.tasks.target_bytes, max_files=recipe.tasks.max_files)
    with WorkerPool(workers, log=layout.work / "workers.log") as pool:
        with _shown(progress, "filter", tasks, layout) as on_wait:
            pool.run(_filter_stage(tasks, recipe, layout), logging_folder=layout.logs("filter"), on_wait=on_wait)
        for stage in _late_stages(recipe.exact_dedup, recipe, len(tasks), layout):
            bar = progress.task(stage.name, total=stage.num_tasks, unit="tasks")
            pool.run(stage, logging_folder=layout.logs(stage.name), on_wait=bar.set)
    first = read_tally(layout.tally("filter"), len(tasks)).merged(_found_tally(found))
    second = read_tally(layout.tally("write"), len(tasks))
    counts = account(first, second)
    _publish_faults(found, layout, len(tasks))
    documents = first.merged(second)
    _drop_intermediates(layout)
    seconds = time.monotonic() - started
    summary = summarize(documents, counts, files=found.files, num_tasks=len(tasks), seconds=seconds)
    return CurationOutcome(counts=counts, summary=summary, documents=documents)


def _prepare(run: Run) -> _Layout:
    attempts = run.work_folder / "attempts"
    # attempts of killed invocations; their workers ended with them
    shutil.rmtree(attempts, ignore_errors=True)
    layout = _Layout(output=run.folder, work=run.work_folder, attempt=attempts / uuid.uuid4().hex)
    for folder in (layout.attempt, layout.progress, layout.output / "documents", layout.output / "rejected"):
        folder.mkdir(parents=True, exist_ok=True)
    return layout


def _drop_intermediates(layout: _Layout) -> None:
    """Free the disk; what a continuation of a run with only finished stages reads (tallies, faults) stays."""
    for name in ("attempts", "kept", "signatures", "duplicates", "progress"):
        shutil.rmtree(layout.work / name, ignore_errors=True)


def _filter_stage(tasks: Sequence[Sequence[FoundFile]], recipe: CurationRecipe, layout: _Layout) -> Stage:
    tally = Tally()
    attempt = layout.attempt / "filter"
    steps = [
        CorpusReader(
            tasks, recipe.reading, tally=tally, faults_folder=attempt / "faults", progress_folder=layout.progress
        ),
        Normalize(tally=tally),
        *([StripBoilerplate(tally=tally)] if recipe.strip_boilerplate else []),
        QualityFilter(recipe.rules, exclusion_writer=RejectedWriter(attempt / "rejected"), tally=tally),
        shard_writer(attempt / "kept"),
        Publish(
            [
                Published(attempt=attempt / "faults", final=layout.work / "faults", suffix=".jsonl"),
                Published(attempt=attempt / "rejected", final=layout.output / "rejected" / "quality", suffix=_REJECTED),
                Published(attempt=attempt / "kept", final=layout.kept, suffix=_SHARD, always=True),
            ],
            tally_folder=layout.tally("filter"),
            tally=tally,
        ),
    ]
    return Stage(name="filter", steps=steps, num_tasks=len(tasks))


def _late_stages(dedup: ExactDedup | None, recipe: CurationRecipe, num_tasks: int, layout: _Layout) -> Iterator[Stage]:
    duplicates = layout.work / "duplicates"
    duplicates.mkdir(exist_ok=True)
    if dedup is not None and num_tasks:
        signatures = layout.work / "signatures"
        signing = [ReadShard(layout.kept), *exact_signatures(signatures, num_buckets=dedup.num_buckets)]
        yield Stage(name="signatures", steps=signing, num_tasks=num_tasks)
        yield Stage(name="duplicates", steps=exact_search(signatures, duplicates), num_tasks=dedup.num_buckets)
    tally = Tally()
    attempt = layout.attempt / "write"
    rejected = RejectedWriter(attempt / "rejected", tally=tally)
    steps = [
        ReadShard(layout.kept),
        *([] if dedup is None else [exact_filter(duplicates, rejected)]),
        CountOutcome(tally),
        document_writer(attempt / "documents", recipe.output_format),
        Publish(
            [
                Published(
                    attempt=attempt / "rejected",
                    final=layout.output / "rejected" / EXACT_DUPLICATE,
                    suffix=_REJECTED,
                ),
                Published(
                    attempt=attempt / "documents",
                    final=layout.output / "documents",
                    suffix=_DOCUMENTS[recipe.output_format],
                ),
            ],
            tally_folder=layout.tally("write"),
            tally=tally,
        ),
    ]
    yield Stage(name="write", steps=steps, num_tasks=num_tasks)


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


def _publish_faults(found: Inputs, layout: _Layout, num_tasks: int) -> None:
    with open_atomic(layout.output / "faults.jsonl", "wb") as merged:
        merged.writelines(fault_line(fault) for fault in found.faults)
        for rank in range(num_tasks):
            path = layout.work / "faults" / f"{rank:05d}.jsonl"
            merged.write(path.read_bytes())


@contextmanager
def _shown(
    progress: Progress, description: str, tasks: Sequence[Sequence[FoundFile]], layout: _Layout
) -> Generator[Callable[[int], None]]:
    """Show bytes and documents of the reading stage, as its tasks note them."""
    total = sum(file.num_bytes for task in tasks for file in task)
    bar = progress.task(description, total=total, unit="B")

    shown = [0]

    def on_wait(_num_done: int) -> None:
        noted = [_noted(layout.progress / f"{rank:05d}") for rank in range(len(tasks))]
        bar.set(sum(num_bytes for _, num_bytes in noted))
        num_documents = sum(count for count, _ in noted)
        if num_documents != shown[0]:
            shown[0] = num_documents
            bar.note(f"{num_documents:,} documents")

    yield on_wait
    on_wait(len(tasks))


def _noted(path: Path) -> tuple[int, int]:
    try:
        num_documents, num_bytes = path.read_text(encoding="ascii").split()
    except (FileNotFoundError, ValueError):
        # not begun, or read in the middle of a write
        return 0, 0
    return int(num_documents), int(num_bytes)
