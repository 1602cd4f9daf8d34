"""What a run says about itself: inputs, code, machine; and the manifest as JSON."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from stat import S_ISREG
from typing import Literal, TypeVar, cast

from twllm_types import (
    ArtifactError,
    DataError,
    GitState,
    InputFile,
    JsonObject,
    JsonValue,
    ModelIdentity,
    RunManifest,
)

_BLOCK_BYTES = 1 << 20
_GIT_TIMEOUT_SECONDS = 30
_CHANGED = "the file was changed or is not of twllm-runs: restore it, or delete the folder and run again"
_T = TypeVar("_T")


def hash_file(path: Path, *, on_bytes: Callable[[int], None] | None = None) -> str:
    """Return the SHA-256 of a file's content, hexadecimal.

    Args:
        path: the file, read in blocks.
        on_bytes: called with the size of each block once it is read, for progress.

    Raises:
        DataError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                if on_bytes is not None:
                    on_bytes(len(block))
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def describe_inputs(
    files: Iterable[tuple[str, Path]],
    *,
    hash_contents: bool = True,
    on_bytes: Callable[[int], None] | None = None,
    unreadable: Literal["raise", "none"] = "raise",
) -> tuple[InputFile, ...]:
    """Describe the input files in the order given.

    Args:
        files: per file its name in the manifest, relative so that no machine path is kept, and where it stands.
        hash_contents: read every file for its SHA-256; else `sha256` is None and a changed file of equal size passes.
        on_bytes: called with the bytes read so far since the last call; never called without hashing.
        unreadable: what a file gives that is missing, cannot be read or is not a regular file: "raise" an error, or
            "none": no hash and, where the system does not say it or it means nothing, no size; then the reader of the
            contents has to count it.

    Raises:
        DataError: a name is empty or absolute; or, with "raise", a file cannot be read or is not a regular file.
    """
    described: list[InputFile] = []
    for name, path in files:
        try:
            num_bytes = _size(path)
            sha256 = hash_file(path, on_bytes=on_bytes) if hash_contents else None
        except DataError:
            if unreadable == "raise":
                raise
            num_bytes, sha256 = _size_or_none(path), None
        described.append(InputFile(name=name, num_bytes=num_bytes, sha256=sha256))
    return tuple(described)


def git_state(folder: Path) -> GitState | None:
    """Return commit and dirty flag of the checkout whose tracked files `folder` holds.

    None outside of a checkout, in a checkout without commits, where git does not track the folder (an environment
    that merely lies inside somebody's checkout), and where git is missing or refuses.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    tracked = _git(folder, "ls-files", "--", ".")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if commit is None or not tracked or changes is None:
        return None
    return GitState(commit=commit, dirty=bool(changes))


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Return name to version of the named distributions; one that is not installed is absent."""
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, str] = {}
    for name in sorted(set(names)):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def hardware() -> dict[str, JsonValue]:
    """Return what the machine is, not which: no host name, no user.

    Keys: "cores" (usable by this process), "processor" (model, None where the system does not say), "memory_bytes"
    (of the machine), "python", "platform" (system, architecture and C library).
    """
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor_model(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": " ".join((platform.system(), platform.machine(), *platform.libc_ver())).strip(),
    }


def manifest_to_json(manifest: RunManifest) -> JsonObject:
    """Return the manifest as JSON; `manifest_from_json` is its inverse."""
    return {
        "schema_version": manifest.schema_version,
        "command": manifest.command,
        "parameters": dict(manifest.parameters),
        "settings": dict(manifest.settings),
        "packages": dict(manifest.packages),
        "git": None if manifest.git is None else cast("JsonObject", asdict(manifest.git)),
        "seed": manifest.seed,
        "inputs": [cast("JsonObject", asdict(file)) for file in manifest.inputs],
        "models": [_model_to_json(model) for model in manifest.models],
        "engine_settings": dict(manifest.engine_settings),
        "hardware": dict(manifest.hardware),
        "started_at": manifest.started_at,
        "ended_at": manifest.ended_at,
    }


def manifest_from_json(row: Mapping[str, object], *, source: str = "run.json") -> RunManifest:
    """Read the form that `manifest_to_json` writes; unknown keys are ignored.

    Args:
        row: the JSON object.
        source: what messages begin with, a file.

    Raises:
        ArtifactError: a key is missing or of the wrong type, or a value is none that a run writes.
    """
    try:
        return _manifest_from_json(FieldReader(row, source), source)
    except DataError as error:
        raise ArtifactError(f"{source}: {error}; {_CHANGED}") from error


def _manifest_from_json(read: "FieldReader", source: str) -> RunManifest:
    git = read.optional("git", dict[str, object])
    return RunManifest(
        schema_version=read.required("schema_version", int),
        command=read.required("command", str),
        parameters=cast("JsonObject", read.required("parameters", dict[str, object])),
        settings=cast("JsonObject", read.required("settings", dict[str, object])),
        packages=read.texts("packages"),
        git=None if git is None else _git_from_json(git, f"{source}: git"),
        seed=read.optional("seed", int),
        inputs=tuple(_input_from_json(item, f"{source}: inputs") for item in read.objects("inputs")),
        models=tuple(_model_from_json(item, f"{source}: models") for item in read.objects("models")),
        engine_settings=cast("JsonObject", read.required("engine_settings", dict[str, object])),
        hardware=cast("JsonObject", read.required("hardware", dict[str, object])),
        started_at=read.required("started_at", str),
        ended_at=read.optional("ended_at", str),
    )


class FieldReader:
    """Reads typed fields out of one JSON object and names the field that does not fit.

    Args:
        row: the object.
        source: what messages begin with.
    """

    def __init__(self, row: Mapping[str, object], source: str) -> None:
        self._row = row
        self._source = source

    def required(self, key: str, kind: type[_T]) -> _T:
        """Return the field; `kind` is a JSON type, containers by their generic alias.

        Raises:
            ArtifactError: it is missing or not of this type (a bool is no int).
        """
        if key not in self._row:
            raise self._error(f"{key!r} is missing")
        value = self._row[key]
        if not isinstance(value, getattr(kind, "__origin__", kind)) or (isinstance(value, bool) and kind is not bool):
            raise self._error(f"{key!r} is {type(value).__name__}")
        return cast("_T", value)

    def optional(self, key: str, kind: type[_T]) -> _T | None:
        """Return the field, None where it is null.

        Raises:
            ArtifactError: it is missing or neither null nor of this type.
        """
        return None if self._row.get(key, ...) is None else self.required(key, kind)

    def objects(self, key: str) -> list[dict[str, object]]:
        """Return a list of objects.

        Raises:
            ArtifactError: it is something else.
        """
        items = self.required(key, list[object])
        if not all(isinstance(item, dict) for item in items):
            raise self._error(f"{key!r} holds something that is no object")
        return cast("list[dict[str, object]]", items)

    def texts(self, key: str) -> dict[str, str]:
        """Return an object whose values are strings.

        Raises:
            ArtifactError: it is something else.
        """
        items = self.required(key, dict[str, object])
        if not all(isinstance(item, str) for item in items.values()):
            raise self._error(f"{key!r} holds something that is no string")
        return cast("dict[str, str]", items)

    def _error(self, problem: str) -> ArtifactError:
        return ArtifactError(f"{self._source}: {problem}; {_CHANGED}")


def _size(path: Path) -> int:
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if not S_ISREG(status.st_mode):
        raise DataError(f"{path}: is not a regular file; give files")
    return status.st_size


def _size_or_none(path: Path) -> int | None:
    try:
        return _size(path)
    except DataError:
        return None


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be read ({error.strerror}); check path and permissions")


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, None where it fails."""
    # A hook's GIT_DIR would answer for another checkout; git must not write its index or start a monitor for us.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(
            command,
            env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            check=True,
            timeout=_GIT_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip()


def _processor_model(source: Path = Path("/proc/cpuinfo")) -> str | None:
    try:
        lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, None)


def _model_to_json(model: ModelIdentity) -> JsonObject:
    return {
        "spec": model.spec,
        "revision": model.revision,
        "sha256": dict(model.sha256),
        "reported_id": model.reported_id,
    }


def _model_from_json(row: Mapping[str, object], source: str) -> ModelIdentity:
    read = FieldReader(row, source)
    return ModelIdentity(
        spec=read.required("spec", str),
        revision=read.optional("revision", str),
        sha256=read.texts("sha256"),
        reported_id=read.optional("reported_id", str),
    )


def _input_from_json(row: Mapping[str, object], source: str) -> InputFile:
    read = FieldReader(row, source)
    return InputFile(
        name=read.required("name", str),
        num_bytes=read.optional("num_bytes", int),
        sha256=read.optional("sha256", str),
    )


def _git_from_json(row: Mapping[str, object], source: str) -> GitState:
    read = FieldReader(row, source)
    return GitState(commit=read.required("commit", str), dirty=read.required("dirty", bool))
