"""`run.json` and `summary.json`: what they hold, how they are read, and when two runs are the same run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import cast

from twllm_runs._manifest import FieldReader, manifest_from_json, manifest_to_json
from twllm_types import ArtifactError, JsonObject, JsonValue, RunManifest

RUN_SCHEMA_VERSION = 1
RUN_NAME = "run.json"
SUMMARY_NAME = "summary.json"
_DECISIVE_KEYS = ("parameters", "seed", "inputs", "models")
_MAX_SHOWN_CHARS = 80


class StoredState(StrEnum):
    """What `run.json` says; a killed run stays `running`."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run folder as a consumer reads it.

    Attributes:
        manifest: of the first start.
        state: how far the run came.
        num_faults: counted faults; 0 while not finished.
        summary: what `Run.finish` was given; None while not finished.
        reason: where and with which class of error a failed run stopped, without contents; else None.
        continuations: one object per later start: time, packages, git, settings.
    """

    manifest: RunManifest
    state: StoredState
    num_faults: int = 0
    summary: JsonObject | None = None
    reason: str | None = None
    continuations: tuple[JsonObject, ...] = ()


def read_run(folder: Path) -> StoredRun:
    """Read a run folder as a consumer; it may be unfinished, which `state` says.

    Raises:
        ArtifactError: there is no run, it has another schema version, or a file of it is torn or was changed.
    """
    path = folder / RUN_NAME
    row = _read_object(path)
    read = FieldReader(row, str(path))
    _check_version(row, path)
    text = read.required("state", str)
    if text not in set(StoredState):
        raise ArtifactError(f"{path}: state is {text!r}, none of {', '.join(StoredState)}; restore the file")
    state = StoredState(text)
    return StoredRun(
        manifest=manifest_from_json(read.required("manifest", dict[str, object]), source=f"{path}: manifest"),
        state=state,
        num_faults=read.required("num_faults", int),
        summary=_read_summary(folder / SUMMARY_NAME) if state is StoredState.FINISHED else None,
        reason=read.optional("reason", str),
        continuations=tuple(cast("list[JsonObject]", read.objects("continuations"))),
    )


def stored_to_json(stored: StoredRun) -> JsonObject:
    """Return the content of `run.json`."""
    return {
        "schema_version": RUN_SCHEMA_VERSION,
        "state": stored.state.value,
        "num_faults": stored.num_faults,
        "reason": stored.reason,
        "continuations": list(stored.continuations),
        "manifest": manifest_to_json(stored.manifest),
    }


def refuse_other(folder: Path, found: StoredRun, wanted: RunManifest, *, decisive_packages: Sequence[str] = ()) -> None:
    """Compare what decides a result; settings, other packages and machine do not count.

    Versions come before parameters: a new version may have new parameters, and is the cause then.

    Raises:
        ArtifactError: the runs differ; the message names the first difference and both values.
    """
    old, new = manifest_to_json(found.manifest), manifest_to_json(wanted)
    _refuse_difference(folder, old, new, ("command",))
    for name in decisive_packages:
        _refuse_other_version(folder, found, name, wanted.packages[name])
    _refuse_difference(folder, old, new, _DECISIVE_KEYS)


def _refuse_difference(folder: Path, old: JsonObject, new: JsonObject, keys: Sequence[str]) -> None:
    for key in keys:
        difference = _first_difference(key, old[key], new[key])
        if difference is not None:
            name, before, now = difference
            raise ArtifactError(
                f"{folder}: holds a run with {name} = {before}, asked is {now}; "
                "give another --output, or delete the folder"
            )


def _refuse_other_version(folder: Path, found: StoredRun, name: str, version: str) -> None:
    before = found.manifest.packages.get(name)
    if before == version:
        return
    made = "the result of a run" if found.state is StoredState.FINISHED else "an unfinished run"
    writer, fix = (f"{name} {before}", f"use {name} {before}, ") if before else (f"an unknown version of {name}", "")
    raise ArtifactError(
        f"{folder}: holds {made} by {writer}, this is {name} {version}; "
        f"{fix}give another --output, or delete the folder"
    )


def _first_difference(name: str, old: JsonValue, new: JsonValue) -> tuple[str, str, str] | None:
    """Return the dotted name of the first difference and both values as short text, None where there is none."""
    before, now = _members(old), _members(new)
    if before is None or now is None or type(old) is not type(new):
        # True == 1 in Python, not in a recipe.
        same = old == new and isinstance(old, bool) == isinstance(new, bool)
        return None if same else (name, _short(old), _short(new))
    for key in before | now:
        if key not in before or key not in now:
            shown = [_short(side[key]) if key in side else "absent" for side in (before, now)]
            return name + key, shown[0], shown[1]
        difference = _first_difference(name + key, before[key], now[key])
        if difference is not None:
            return difference
    return None


def _members(value: JsonValue) -> dict[str, JsonValue] | None:
    """Return the parts of an object or list by how they are written behind its name; None for anything else."""
    if isinstance(value, dict):
        return {f".{key}": part for key, part in value.items()}
    if isinstance(value, list):
        return {f"[{at}]": part for at, part in enumerate(value)}
    return None


def _short(value: JsonValue) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}…"


def _read_summary(path: Path) -> JsonObject:
    row = _read_object(path, fix="restore it, or delete the folder and run again")
    _check_version(row, path)
    return {key: value for key, value in row.items() if key != "schema_version"}


def _check_version(row: JsonObject, path: Path) -> None:
    found = FieldReader(row, str(path)).required("schema_version", int)
    if found != RUN_SCHEMA_VERSION:
        raise ArtifactError(
            f"{path}: schema_version is {found}, this twllm-runs reads {RUN_SCHEMA_VERSION}; "
            "use the version that wrote it, or give another --output"
        )


def _read_object(path: Path, *, fix: str = "give the folder of a run, or run it again") -> JsonObject:
    try:
        value: object = json.loads(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror}); {fix}") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: is torn or was changed ({error}); restore it, or delete the folder and run again"
        ) from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path}: is no JSON object; restore it, or delete the folder and run again")
    return cast("JsonObject", value)
