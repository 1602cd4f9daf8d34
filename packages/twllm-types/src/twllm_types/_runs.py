"""What a run says about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from twllm_types._json import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class GitState:
    """Where the code stood.

    Attributes:
        commit: full hash.
        dirty: tracked files differed from the commit.
    """

    commit: str
    dirty: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One input as it was read.

    Attributes:
        name: path relative to the input that the user gave; no machine path.
        num_bytes: size.
        sha256: hash of the content, hexadecimal; None where the user chose not to hash.
    """

    name: str
    num_bytes: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which model answered.

    Attributes:
        spec: the engine spec as given, without secrets.
        revision: hub revision, or None.
        sha256: hashes by part: "weights", "tokenizer", "chat_template"; a part that cannot be seen is absent.
        reported_id: the model id that a server returned, or None.
    """

    spec: str
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    reported_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """Everything needed to repeat a run, and to refuse one that does not fit.

    Attributes:
        schema_version: of the run folder's layout.
        command: the command's name, "tw-corpus curate".
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
        ended_at: UTC, ISO 8601; None while the run is not finished.
    """

    schema_version: int
    command: str
    parameters: Mapping[str, JsonValue]
    packages: Mapping[str, str]
    hardware: Mapping[str, JsonValue]
    started_at: str
    settings: Mapping[str, JsonValue] = field(default_factory=lambda: MappingProxyType({}))
    git: GitState | None = None
    seed: int | None = None
    inputs: tuple[InputFile, ...] = ()
    models: tuple[ModelIdentity, ...] = ()
    engine_settings: Mapping[str, JsonValue] = field(default_factory=lambda: MappingProxyType({}))
    ended_at: str | None = None
