"""Curating from paths to a finished run folder, and looking into one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tw_corpus._benchmark_files import load_benchmark
from tw_corpus._card import render_card
from tw_corpus._curate import run_curation
from tw_corpus._inspect import check_reason, iter_rejected, show_counts, show_document
from tw_corpus._recipe import CurationRecipe
from tw_corpus._report import render_curation_report
from tw_corpus._summary import CurationCounts
from tw_corpus.readers import FoundFile, Inputs, find_inputs
from twllm_runs import (
    Progress,
    Run,
    RunState,
    describe_inputs,
    open_run,
    read_run,
    recipe_to_json,
    write_text_atomic,
)
from twllm_types import ConfigError, InputFile, JsonObject

_PACKAGES = ("tw-corpus", "twllm-runs", "twllm-types", "datatrove", "resiliparse", "orjson", "pyarrow", "numpy")
_MAX_WORKERS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Curation:
    """A finished curation.

    Attributes:
        folder: run folder: `documents/`, `rejected/`, `faults.jsonl`, `summary.json`, `report.html`, `README.md`.
        state: what was found on opening: new, continued, or finished before (then nothing was done).
        summary: what stands in `summary.json`.
        num_faults: records and files that could not be read.
    """

    folder: Path
    state: RunState
    summary: JsonObject
    num_faults: int

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.folder / "report.html"


def curate(
    inputs: Sequence[Path],
    *,
    output: Path,
    recipe: CurationRecipe,
    progress: Progress,
    workers: int = 1,
    decontaminate: Sequence[Path] = (),
) -> Curation:
    """Curate files and folders into a run folder; continue where an earlier call was stopped.

    Calls start worker processes by `spawn`, so a script needs the usual `if __name__ == "__main__":`.

    Args:
        inputs: files and folders.
        output: run folder.
        recipe: decides the result.
        progress: display.
        workers: worker processes, 1 to 1,024; they change the speed, never the result.
        decontaminate: benchmark files or folders whose items stay out.

    Raises:
        ConfigError: nothing to read, or an impossible number of workers.
        DataError: an input does not exist.
        ArtifactError: the folder holds a run of other parameters.
        LockedError: another process works on the folder.
        RunError: the run stopped; the same call continues it.
    """
    if not 1 <= workers <= _MAX_WORKERS:
        raise ConfigError(f"--workers is {workers}; give a number from 1 to {_MAX_WORKERS}")
    # the folder may lie inside an input; what an earlier start wrote is no input
    found = find_inputs(inputs, exclude=output)
    if not found.files:
        raise ConfigError(f"no readable file under {', '.join(map(str, inputs))}; give at least one file to read")
    with open_run(
        output,
        command="tw-corpus curate",
        parameters={"recipe": recipe_to_json(recipe), "tables": _tables_sha256(), "benchmarks": _hashes(decontaminate)},
        settings={"workers": workers},
        inputs=_describe(found.files, recipe, progress),
        packages=_PACKAGES,
        decisive_packages=("tw-corpus",),
    ) as run:
        if run.state is not RunState.FINISHED:
            _work(found, recipe, tuple(decontaminate), run, workers, progress)
        return Curation(folder=run.folder, state=run.state, summary=run.result, num_faults=run.num_faults)


def _describe(files: Sequence[FoundFile], recipe: CurationRecipe, progress: Progress) -> tuple[InputFile, ...]:
    bar = progress.task("hash inputs", total=sum(file.num_bytes for file in files), unit="B")
    return describe_inputs(
        ((file.name, file.path) for file in files),
        hash_contents=recipe.hash_inputs,
        on_bytes=bar.advance,
        # the reader counts and lists it as a fault
        unreadable="none",
    )


def _tables_sha256() -> str:
    """Return the hash of the tables and models that ship with this version: they decide the result too."""
    digest = hashlib.sha256()
    for folder in ("tables", "models"):
        for item in sorted((resources.files("tw_corpus") / folder).iterdir(), key=lambda item: item.name):
            digest.update(item.name.encode() + b"\0" + item.read_bytes())
    return digest.hexdigest()


def _hashes(benchmarks: Sequence[Path]) -> JsonObject:
    """Return the hash of each benchmark's items; loading them here also refuses an unusable one before any work."""
    return {
        path.name: hashlib.sha256(
            "\0".join(f"{item.id}\0{item.text}" for item in load_benchmark(path)).encode("utf-8", "surrogatepass")
        ).hexdigest()
        for path in benchmarks
    }


def _work(
    found: Inputs,
    recipe: CurationRecipe,
    benchmarks: tuple[Path, ...],
    run: Run,
    workers: int,
    progress: Progress,
) -> None:
    outcome = run_curation(found, recipe, benchmarks=benchmarks, run=run, workers=workers, progress=progress)
    write_text_atomic(run.folder / "README.md", render_card(run.manifest, outcome.summary))
    write_text_atomic(
        run.folder / "report.html", render_curation_report(run.manifest, outcome.summary, outcome.documents)
    )
    run.finish(outcome.summary, num_faults=outcome.counts.num_faults)


def show_curation(console: Console, curation: Curation) -> None:
    """Print what a curation did and where to look."""
    counts: Any = curation.summary["counts"]
    table = Table(title="curation")
    table.add_column("records")
    table.add_column("number", justify="right")
    for field in fields(CurationCounts):
        table.add_row(field.name.removeprefix("num_"), f"{counts[field.name]:,}")
    console.print(table)
    if curation.state is RunState.FINISHED:
        console.print("This run was finished before; nothing was done.")
    if curation.num_faults:
        console.print(f"{curation.num_faults:,} records could not be read; see {curation.folder / 'faults.jsonl'}")
    console.print(f"Open {curation.report}", soft_wrap=True)


def show_rejected(console: Console, output: Path, *, reason: str | None, limit: int, max_chars: int) -> None:
    """Print rejected documents of a finished run.

    Raises:
        ConfigError: no document was rejected for that reason, or a limit is negative.
        ArtifactError: the folder holds no run of this version.
    """
    if limit < 0 or max_chars < 0:
        raise ConfigError("--limit and --max-chars take numbers >= 0")
    run = read_run(output)
    if run.summary is None:
        raise ConfigError(f"{output}: the run is not finished; run the same tw-corpus curate command to its end")
    check_reason(run, reason)
    if reason is None:
        show_counts(console, run)
    for document in islice(iter_rejected(output, reason=reason), limit):
        show_document(console, document, max_chars=max_chars)
