"""What a run says about itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from twllm_types._checks import check_count, check_filled, check_sha256
from twllm_types._errors import DataError
from twllm_types._frozen import FrozenDict, freeze
from twllm_types._json import JsonValue

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitState:
    """Where the code stood.

    Attributes:
        commit: full hash, 40 or 64 lower-case hexadecimal digits.
        dirty: tracked files differed from the commit.

    Raises:
        DataError: the commit is no full hash.
    """

    commit: str
    dirty: bool

    def __post_init__(self) -> None:
        if not _COMMIT.fullmatch(self.commit):
            raise DataError(f"commit is {self.commit!r}; give the full hash, 40 or 64 hexadecimal digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One input as it was read.

    Attributes:
        name: path relative to the input that the user gave; no machine path.
        num_bytes: size, >= 0; None where the system does not say.
        sha256: hash of the content, 64 lower-case hexadecimal digits; None where the user chose not to hash, or the
            file could not be read.

    Raises:
        DataError: the name is empty or absolute, the size negative, or the hash no SHA-256.
    """

    name: str
    num_bytes: int | None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.name or self.name.startswith("/"):
            raise DataError(f"input name is {self.name!r}; give a path relative to the input of the user")
        if self.num_bytes is not None:
            check_count(f"num_bytes of input {self.name!r}", self.num_bytes)
        if self.sha256 is not None:
            check_sha256(f"sha256 of input {self.name!r}", self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which model answered.

    Attributes:
        spec: the engine spec as given, without secrets; not empty.
        revision: hub revision, or None.
        sha256: hashes by part, "weights", "tokenizer", "chat_template"; a part that cannot be seen is absent. Kept as
            a `FrozenDict`.
        reported_id: the model id that a server returned, or None.

    Raises:
        DataError: the spec is empty, or a hash no SHA-256.
    """

    spec: str
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=FrozenDict[str, str])
    reported_id: str | None = None

    def __post_init__(self) -> None:
        check_filled("spec of a model", self.spec)
        for part, digest in self.sha256.items():
            check_sha256(f"sha256 of {part!r} of model {self.spec!r}", digest)
        freeze(self, "sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """Everything needed to repeat a run, and to refuse one that does not fit.

    Mappings are kept as `FrozenDict`.

    Attributes:
        schema_version: of the run folder's layout, >= 1.
        command: the command's name, "tw-corpus curate"; not empty.
        parameters: what decides the result; two runs with equal parameters and inputs are the same run.
        settings: what does not decide the result (workers, verbosity).
        packages: name to version of the packages that did the work.
        git: state of the checkout, or None outside of one.
        seed: of all randomness, or None where there is none.
        inputs: the files read.
        models: the models asked.
        engine_settings: settings of the engines.
        hardware: processor, cores, memory, accelerators, as text or numbers.
        started_at: UTC, ISO 8601.
        ended_at: UTC, ISO 8601; None while the run is not finished. A clock that was set back may put it before the
            start, which must not lose a run and is no error.

    Raises:
        DataError: the version is below 1, the command empty, or a time not UTC in ISO 8601.
    """

    schema_version: int
    command: str
    parameters: Mapping[str, JsonValue]
    packages: Mapping[str, str]
    hardware: Mapping[str, JsonValue]
    started_at: str
    settings: Mapping[str, JsonValue] = field(default_factory=FrozenDict[str, JsonValue])
    git: GitState | None = None
    seed: int | None = None
    inputs: tuple[InputFile, ...] = ()
    models: tuple[ModelIdentity, ...] = ()
    engine_settings: Mapping[str, JsonValue] = field(default_factory=FrozenDict[str, JsonValue])
    ended_at: str | None = None

    def __post_init__(self) -> None:
        check_count("schema_version", self.schema_version, least=1)
        check_filled("command", self.command)
        _check_time("started_at", self.started_at)
        if self.ended_at is not None:
            _check_time("ended_at", self.ended_at)
        freeze(self, "parameters", "packages", "hardware", "settings", "engine_settings")


def _check_time(name: str, value: str) -> None:
    try:
        offset = datetime.fromisoformat(value).utcoffset()
    except ValueError:
        offset = None
    if offset != timedelta(0):
        raise DataError(f"{name} is {value!r}; give a time in UTC, such as 2026-01-31T08:00:00+00:00")
