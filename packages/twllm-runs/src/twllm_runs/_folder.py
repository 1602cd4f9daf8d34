"""Run folders: what a command writes, so that it can be killed at any moment and continued by the same command.

A run folder holds `run.json` (state and manifest), `summary.json` once finished, `work/` for intermediate files, and
whatever the command writes. `run.json` is always whole, and `summary.json` is written before `run.json` says finished.

What `open_run` finds:

- nothing or an empty folder: the run is new.
- an unfinished run of equal command, parameters, seed, inputs, models and versions of the decisive packages: it is
  continued; the first start's manifest is kept, this start with its own versions is listed under "continuations",
  temporary files of killed writers are removed.
- a finished run that is equal in the same: nothing on disk is touched, and no lock is taken; with `reopen` it is
  continued like an unfinished one, its files stay, and it is unfinished until `finish` is called again.
- any other run, whatever its state: refused, with the first difference.

An `Exception` inside the block marks the run failed and propagates. A kill, `KeyboardInterrupt` or a block that ends
without `finish` leaves it unfinished, and the same command continues it.
"""

import json
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import cast

from twllm_runs._atomic import encode_json, is_temporary, remove_temporaries, write_error, write_json_atomic
from twllm_runs._lock import LOCK_NAME, run_lock
from twllm_runs._manifest import git_state, hardware, installed_versions, manifest_to_json
from twllm_runs._stored import (
    RUN_NAME,
    RUN_SCHEMA_VERSION,
    SUMMARY_NAME,
    StoredRun,
    StoredState,
    read_run,
    refuse_other,
    stored_to_json,
)
from twllm_types import (
    ConfigError,
    DataError,
    InputFile,
    JsonObject,
    JsonValue,
    ModelIdentity,
    RunError,
    RunManifest,
)

_WORK_NAME = "work"
_NOTHING: Mapping[str, JsonValue] = MappingProxyType({})


class RunState(StrEnum):
    """What `open_run` found in the folder."""

    NEW = "new"
    CONTINUED = "continued"
    FINISHED = "finished"


class Run:
    """An open run; made by `open_run` only."""

    def __init__(self, record: "_Record", state: RunState, clock: Callable[[], datetime]) -> None:
        self._record = record
        self._state = state
        self._clock = clock

    @property
    def folder(self) -> Path:
        """The run folder, as given."""
        return self._record.folder

    @property
    def work_folder(self) -> Path:
        """Where intermediate files go; exists unless the run was found finished."""
        return self.folder / _WORK_NAME

    @property
    def manifest(self) -> RunManifest:
        """The manifest; `ended_at` is set once finished."""
        return self._record.stored.manifest

    @property
    def state(self) -> RunState:
        """What was found on opening; `finish` does not change it."""
        return self._state

    @property
    def num_faults(self) -> int:
        """Counted faults of the finished run; 0 before."""
        return self._record.stored.num_faults

    @property
    def result(self) -> JsonObject:
        """The finished run's summary, as `finish` was given it.

        Raises:
            RunError: the run is not finished.
        """
        if self._record.stored.summary is None:
            raise RunError(f"{self.folder}: has no result yet; run the same command to its end")
        return self._record.stored.summary

    def finish(self, summary: JsonObject, *, num_faults: int = 0) -> None:
        """Write `summary.json`, then mark the run finished; a kill between the two leaves a run that continues.

        Args:
            summary: the result; "schema_version" is added and must not be in it.
            num_faults: records or files that could not be used, >= 0; counted, not hidden.

        Raises:
            ConfigError: the summary is not JSON or names a schema_version, or num_faults is negative.
            RunError: the run is finished already, or the system refuses a write.
        """
        if self._record.is_finished:
            raise RunError(f"{self.folder}: this run is finished already; look at `state` before working")
        if "schema_version" in summary:
            raise ConfigError("summary holds 'schema_version', which is added on writing; give the key another name")
        if num_faults < 0:
            raise ConfigError(f"num_faults is {num_faults}; give a count >= 0")
        kept = _as_json(summary, where="summary")
        write_json_atomic(self.folder / SUMMARY_NAME, {"schema_version": RUN_SCHEMA_VERSION, **kept})
        self._record.keep(
            replace(
                self._record.stored,
                manifest=replace(self.manifest, ended_at=_timestamp(self._clock)),
                state=StoredState.FINISHED,
                num_faults=num_faults,
                summary=kept,
            )
        )


class _Record:
    """The folder's `run.json` and what it says; the one place that writes it."""

    def __init__(self, folder: Path, stored: StoredRun) -> None:
        self.folder = folder
        self.stored = stored
        self._owner = os.getpid()

    @property
    def is_finished(self) -> bool:
        """The run on disk is finished."""
        return self.stored.state is StoredState.FINISHED

    def keep(self, stored: StoredRun) -> None:
        """Write `stored`, then hold it."""
        write_json_atomic(self.folder / RUN_NAME, stored_to_json(stored))
        self.stored = stored

    def fail(self, error: Exception) -> None:
        """Mark the run failed; a mark that cannot be written is noted on the error.

        A finished run stays finished, and a forked child that unwinds does not speak for its parent.
        """
        if self.is_finished or os.getpid() != self._owner:
            return
        try:
            self.keep(replace(self.stored, state=StoredState.FAILED, reason=_reason(error)))
        except RunError as second:
            error.add_note(f"and the run could not be marked failed: {second}")


def _now() -> datetime:
    return datetime.now(UTC)


def open_run(
    output: Path,
    *,
    command: str,
    parameters: Mapping[str, JsonValue],
    settings: Mapping[str, JsonValue] = _NOTHING,
    inputs: Sequence[InputFile] = (),
    models: Sequence[ModelIdentity] = (),
    engine_settings: Mapping[str, JsonValue] = _NOTHING,
    seed: int | None = None,
    packages: Sequence[str] = (),
    decisive_packages: Sequence[str] = (),
    reopen: bool = False,
    clock: Callable[[], datetime] = _now,
) -> AbstractContextManager[Run]:
    """Open `output` for one run and hold it for this process; `Run.state` says what was found.

    Args:
        output: the run folder; made with its parents.
        command: "tw-corpus curate".
        parameters: what decides the result, JSON values only (`recipe_to_json`).
        settings: what does not decide it (workers, verbosity).
        inputs: `describe_inputs`.
        models: the models asked.
        engine_settings: settings of the engines; recorded, not compared.
        seed: of all randomness.
        packages: distributions whose versions are recorded; twllm-runs is always among them.
        decisive_packages: distributions that decide the result, the command's own; another version is refused.
        reopen: continue a finished run, whose files stay, instead of returning it as finished.
        clock: gives the time, with its zone.

    Raises:
        ArtifactError: the folder holds a run of other parameters, versions or schema version, or a damaged one.
        ConfigError: the folder holds no run but files, a value is not JSON, a decisive package is not installed.
        LockedError: another process works on it.
        RunError: the system refuses a write.
    """
    wanted = RunManifest(
        schema_version=RUN_SCHEMA_VERSION,
        command=command,
        parameters=_as_json(parameters, where="parameters"),
        settings=_as_json(settings, where="settings"),
        packages=_versions(packages, decisive_packages),
        hardware=hardware(),
        started_at=_timestamp(clock),
        git=git_state(Path(__file__).parent),
        seed=seed,
        inputs=tuple(inputs),
        models=tuple(models),
        engine_settings=_as_json(engine_settings, where="engine_settings"),
    )
    return _hold(output, wanted, decisive_packages, reopen=reopen, clock=clock)


@contextmanager
def _hold(
    output: Path,
    wanted: RunManifest,
    decisive_packages: Sequence[str],
    *,
    reopen: bool,
    clock: Callable[[], datetime],
) -> Generator[Run]:
    found = _look(output, wanted, decisive_packages)
    if found is not None and found.state is StoredState.FINISHED and not reopen:
        yield Run(_Record(output, found), RunState.FINISHED, clock)
        return
    _make_folder(output)
    with run_lock(output):
        # Another process may have finished between the look and the lock.
        record, state = _start(output, _look(output, wanted, decisive_packages), wanted, reopen=reopen)
        try:
            yield Run(record, state, clock)
        except Exception as error:
            record.fail(error)
            raise


def _versions(packages: Sequence[str], decisive_packages: Sequence[str]) -> dict[str, str]:
    versions = installed_versions([*packages, *decisive_packages, "twllm-runs"])
    for name in decisive_packages:
        if name not in versions:
            raise ConfigError(f"decisive package {name!r} is not installed, so it has no version; name a distribution")
    return versions


def _look(folder: Path, wanted: RunManifest, decisive_packages: Sequence[str]) -> StoredRun | None:
    """Return the run in `folder` if it is the wanted one, None if there is none; writes nothing."""
    if not (folder / RUN_NAME).exists():
        _refuse_foreign(folder)
        return None
    found = read_run(folder)
    refuse_other(folder, found, wanted, decisive_packages=decisive_packages)
    return found


def _start(folder: Path, found: StoredRun | None, wanted: RunManifest, *, reopen: bool) -> tuple[_Record, RunState]:
    """Record this start in `run.json` and clear what killed writers left."""
    if found is None:
        stored, state = StoredRun(manifest=wanted, state=StoredState.RUNNING), RunState.NEW
    elif found.state is StoredState.FINISHED and not reopen:
        return _Record(folder, found), RunState.FINISHED
    else:
        starts = (*found.continuations, _continuation(wanted))
        stored = StoredRun(
            manifest=replace(found.manifest, ended_at=None), state=StoredState.RUNNING, continuations=starts
        )
        state = RunState.CONTINUED
    remove_temporaries(folder)
    record = _Record(folder, stored)
    record.keep(stored)
    _make_folder(folder / _WORK_NAME)
    return record, state


def _continuation(wanted: RunManifest) -> JsonObject:
    row = manifest_to_json(wanted)
    return {key: row[key] for key in ("started_at", "packages", "git", "settings")}


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; give a folder as --output")
    if not folder.exists():
        return
    # A run killed before its first run.json leaves a lock and at most a temporary file.
    foreign = [path.name for path in folder.iterdir() if path.name != LOCK_NAME and not is_temporary(path)]
    if foreign:
        raise ConfigError(
            f"{folder}: holds files (such as {min(foreign)!r}) but no {RUN_NAME}; "
            "give a new or empty folder as --output"
        )


def _reason(error: Exception) -> str:
    """Say which error stopped the run and where; never its message, which may hold contents or paths."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return type(error).__name__
    return f"{type(error).__name__} in {frame.tb_frame.f_globals.get('__name__', '?')}, line {frame.tb_lineno}"


def _as_json(value: Mapping[str, JsonValue], *, where: str) -> JsonObject:
    """Return what comes back when `value` is written and read, so that equality means equality on disk."""
    try:
        return cast("JsonObject", json.loads(encode_json(dict(value), where=where)))
    except DataError as error:
        raise ConfigError(str(error)) from error


def _timestamp(clock: Callable[[], datetime]) -> str:
    return clock().astimezone(UTC).isoformat(timespec="seconds")
