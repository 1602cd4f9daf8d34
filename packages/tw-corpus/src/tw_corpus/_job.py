"""Curating from paths to a finished run folder, and looking into one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.table import Table

from tw_corpus._benchmark_files import load_benchmarks
from tw_corpus._card import render_card
from tw_corpus._curate import run_curation
from tw_corpus._execution_options import ExecutorName
from tw_corpus._executors import check_executor
from tw_corpus._inspect import check_reason, iter_rejected, rejection_counts, show_counts, show_document
from tw_corpus._pii import RedactMode
from tw_corpus._pii._job import read_key
from tw_corpus._pii._key import key_fingerprint
from tw_corpus._plugin_summary import num_failed
from tw_corpus._plugins import PluginIdentity, identify
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
from twllm_types import ArtifactError, ConfigError, InputFile, JsonObject

_PACKAGES = ("tw-corpus", "twllm-runs", "twllm-types", "datatrove", "resiliparse", "orjson", "pyarrow", "numpy")
_MAX_WORKERS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Curation:
    """A finished curation.

    Attributes:
        folder: run folder: `documents/`, `rejected/`, `faults.jsonl`, `summary.json`, `report.html`, `README.md`.
        state: what was found on opening: new, continued, or finished before (then nothing was done).
        summary: what stands in `summary.json`.
        num_faults: records and files that could not be read, and failures of plug-in measures on a document.
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
    executor: ExecutorName = ExecutorName.LOCAL,
) -> Curation:
    """Curate files and folders into a run folder; continue where an earlier call was stopped.

    Calls start worker processes by `spawn`, so a script needs the usual `if __name__ == "__main__":`.

    Args:
        inputs: files and folders.
        output: run folder.
        recipe: decides the result.
        progress: display.
        workers: most tasks at once, 1 to 1,024; they change the speed, never the result.
        decontaminate: benchmark files or folders whose items stay out.
        executor: where the tasks run; a run may be continued with another one.

    Raises:
        ConfigError: nothing to read, an impossible number of workers, an executor that is not installed, or a plug-in
            measure that cannot be made here.
        DataError: an input does not exist.
        ArtifactError: the folder holds a run of other parameters.
        LockedError: another process works on the folder.
        RunError: the run stopped; the same call continues it.
    """
    if not 1 <= workers <= _MAX_WORKERS:
        raise ConfigError(f"--workers is {workers}; give a number from 1 to {_MAX_WORKERS}")
    check_executor(executor)
    plugins = _identify(recipe, progress)
    # the folder may lie inside an input; what an earlier start wrote is no input
    found = find_inputs(inputs, exclude=output)
    if not found.files:
        raise ConfigError(f"no readable file under {', '.join(map(str, inputs))}: {_why_none(inputs, output, found)}")
    decisive = recipe_to_json(recipe)
    execution = decisive.pop("execution")
    with open_run(
        output,
        command="tw-corpus curate",
        parameters={
            "recipe": decisive,
            "tables": _tables_sha256(),
            "benchmarks": _hashes(decontaminate),
            "plugins": plugins.code,
            "pii_key": _key_fingerprint(recipe),
        },
        settings={"workers": workers, "executor": executor, "execution": execution},
        inputs=_describe(found.files, recipe, progress),
        models=plugins.models,
        packages=_PACKAGES,
        decisive_packages=("tw-corpus",),
    ) as run:
        if run.state is not RunState.FINISHED:
            _work(found, recipe, tuple(decontaminate), run, executor, workers, progress)
        return Curation(folder=run.folder, state=run.state, summary=run.result, num_faults=run.num_faults)


def _why_none(inputs: Sequence[Path], output: Path, found: Inputs) -> str:
    """Say why nothing was found, with the fix."""
    if any(path.resolve().is_relative_to(output.resolve()) for path in inputs):
        return "what stands in --output is no input; give another --output"
    if found.faults:
        fault = found.faults[0]
        others = f" (and {len(found.faults) - 1:,} more files)" if len(found.faults) > 1 else ""
        return f"{fault.path} is left out as {fault.reason}{others}, {fault.detail}; give at least one file to read"
    return "there are only hidden files; give at least one file to read" if found.ignored else "give at least one file"


def _key_fingerprint(recipe: CurationRecipe) -> str | None:
    """Return which key makes the pseudonyms, if any does: two keys in one run would give one value two of them."""
    if recipe.pii is None or recipe.pii.mode is not RedactMode.PSEUDONYMISE or recipe.pii.key_file is None:
        return None
    return key_fingerprint(read_key(recipe.pii.key_file))


def _describe(files: Sequence[FoundFile], recipe: CurationRecipe, progress: Progress) -> tuple[InputFile, ...]:
    bar = progress.task("hash inputs", total=sum(file.num_bytes for file in files), unit="B")
    return describe_inputs(
        ((file.name, file.path) for file in files),
        hash_contents=recipe.hash_inputs,
        on_bytes=bar.advance,
        # the reader counts and lists it as a fault
        unreadable="none",
    )


def _identify(recipe: CurationRecipe, progress: Progress) -> PluginIdentity:
    if not recipe.measures:
        return PluginIdentity(code={}, models=())
    bar = progress.task("hash models", total=None, unit="B")
    return identify(recipe.measures, on_bytes=bar.advance)


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
        benchmark.name: hashlib.sha256(
            "\0".join(f"{item.id}\0{item.text}" for item in benchmark.items).encode()
        ).hexdigest()
        for benchmark in load_benchmarks(benchmarks)
    }


def _work(
    found: Inputs,
    recipe: CurationRecipe,
    benchmarks: tuple[Path, ...],
    run: Run,
    executor: ExecutorName,
    workers: int,
    progress: Progress,
) -> None:
    outcome = run_curation(
        found, recipe, benchmarks=benchmarks, run=run, executor=executor, workers=workers, progress=progress
    )
    write_text_atomic(run.folder / "README.md", render_card(run.manifest, outcome.summary))
    write_text_atomic(
        run.folder / "report.html", render_curation_report(run.manifest, outcome.summary, outcome.documents)
    )
    run.finish(outcome.summary, num_faults=outcome.counts.num_faults + num_failed(outcome.documents))


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
    if counts["num_faults"]:
        console.print(f"{counts['num_faults']:,} records could not be read; see {curation.folder / 'faults.jsonl'}")
    for row in cast("list[Any]", curation.summary["contamination"]):
        if row["num_unused_files"]:
            console.print(
                f"benchmark {row['benchmark']}: {row['num_unused_files']:,} files gave no question "
                f"({', '.join(row['unused_files'])})",
                markup=False,
            )
    for row in cast("list[Any]", curation.summary["plugin_measures"]):
        if row["num_failed"]:
            console.print(f"measure {row['measure']} failed on {row['num_failed']:,} documents; see report.html")
    console.print(f"Open {curation.report}", soft_wrap=True)


def show_rejected(console: Console, output: Path, *, reason: str | None, limit: int, max_chars: int) -> None:
    """Print rejected documents of a finished run.

    Raises:
        ConfigError: no document was rejected for that reason, or a limit is negative.
        ArtifactError: the folder holds no run of this version, or rejected documents were deleted from it.
    """
    if limit < 0 or max_chars < 0:
        raise ConfigError("--limit and --max-chars take numbers >= 0")
    run = read_run(output)
    if run.summary is None:
        raise ConfigError(f"{output}: the run is not finished; run the same tw-corpus curate command to its end")
    check_reason(run, reason)
    if reason is None:
        show_counts(console, run)
    counts = rejection_counts(run)
    num_expected = min(limit, sum(counts.values()) if reason is None else counts[reason])
    num_shown = 0
    for document in islice(iter_rejected(output, reason=reason), limit):
        show_document(console, document, max_chars=max_chars)
        num_shown += 1
    if num_shown < num_expected:
        raise ArtifactError(
            f"{output / 'rejected'}: holds {num_shown:,} of these documents, the run left out more; "
            "files were deleted: restore them, or delete the folder and curate again"
        )
