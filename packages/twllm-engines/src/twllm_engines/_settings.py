"""Settings of the engines: frozen, checked where they are made, and JSON for the manifest of a run.

Every field is a key of a YAML spec. This module imports no engine.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, cast

from twllm_types import ConfigError, JsonObject, JsonValue

Dtype: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
Truncation: TypeAlias = Literal["refuse", "left"]

# Read by pydantic, which checks YAML specs: a key that no field has is refused.
FORBID_UNKNOWN_KEYS: dict[str, Any] = {"extra": "forbid"}

TOKENIZER_TEMPLATE = "tokenizer"


class BosRule(StrEnum):
    """When a beginning-of-sequence token stands before a text; never twice.

    Members:
        TOKENIZER: as the tokenizer does by itself.
        ALWAYS: always; a tokenizer without such a token is refused.
        NEVER: only where the text itself begins with it.
    """

    TOKENIZER = "tokenizer"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """What every engine is told whose model runs in this process.

    Attributes:
        model: folder, or hub id.
        revision: commit, tag or branch of the hub; None for its default.
        tokenizer: folder or hub id of another tokenizer; None for the model's own.
        gguf_file: name of a GGUF file in `model`; None for safetensors.
        dtype: of weights and arithmetic; "auto" is the engine's choice.
        quantization: as the model library names it; None for the weights as they stand.
        max_model_len: longest sequence in tokens, prompt and answer together, > 0; None for what the model states.
        bos: when a beginning-of-sequence token is added to raw text.
        chat_template: how a conversation becomes text: "tokenizer" for the tokenizer's own template, a path of a Jinja
            file, or None to refuse conversations. Raw text is never rendered.
        trust_remote_code: run code from the model's repository.
        seed: of sampling where a request names none, >= 0.

    Raises:
        ConfigError: a value is out of its range.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_UNKNOWN_KEYS

    model: str
    revision: str | None = None
    tokenizer: str | None = None
    gguf_file: str | None = None
    dtype: Dtype = "auto"
    quantization: str | None = None
    max_model_len: int | None = None
    bos: BosRule = BosRule.TOKENIZER
    chat_template: str | None = TOKENIZER_TEMPLATE
    trust_remote_code: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_model_name(self.model)
        check_number("max_model_len", self.max_model_len, least=1)
        check_number("seed", self.seed, least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformersSettings(LocalSettings):
    """A model in this process, by transformers (spec `hf:MODEL`; extra `transformers`).

    A GGUF file is read dequantized; the `dtype` "auto" is float32 on a CPU and bfloat16 on a GPU. What every local
    engine is told stands at `LocalSettings`.

    Attributes:
        device: "auto", "cpu", "cuda" or "cuda:N"; "auto" takes the first GPU, if there is one.
        attn_implementation: as transformers names it; None for its choice.
        truncation: what happens to a longer request than `max_model_len`: "refuse" makes it a failure, "left" cuts its
            beginning, and the engine counts how often.
        batch_tokens: most tokens in one forward pass, padding among them, > 0.
        share_prefixes: compute what requests begin with in common once; off, each is computed from its beginning.

    Raises:
        ConfigError: a value is out of its range.
    """

    device: str = "auto"
    attn_implementation: str | None = None
    truncation: Truncation = "refuse"
    batch_tokens: int = 8192
    share_prefixes: bool = True

    def __post_init__(self) -> None:
        # super() without arguments looks for the class that slots=True has replaced.
        LocalSettings.__post_init__(self)
        check_number("batch_tokens", self.batch_tokens, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmSettings(LocalSettings):
    """A model in this process, by vLLM (spec `vllm:MODEL`; extra `vllm`).

    The `dtype` "auto" is what the weights are stored in; a request longer than `max_model_len` is a failure, never cut.
    What every local engine is told stands at `LocalSettings`.

    Attributes:
        max_logprobs: most alternatives that a request may ask for, >= 0.
        tensor_parallel_size: GPUs that share one model, >= 1.
        gpu_memory_utilization: share of the GPU's memory that vLLM takes, in (0, 1].
        enable_prefix_caching: compute a prefix that requests share once.
        enforce_eager: do without CUDA graphs; slower, starts sooner.

    Raises:
        ConfigError: a value is out of its range.
    """

    max_logprobs: int = 20
    tensor_parallel_size: int = 1
    gpu_memory_utilization: float = 0.9
    enable_prefix_caching: bool = True
    enforce_eager: bool = False

    def __post_init__(self) -> None:
        LocalSettings.__post_init__(self)
        check_number("max_logprobs", self.max_logprobs, least=0)
        check_number("tensor_parallel_size", self.tensor_parallel_size, least=1)
        if not 0 < self.gpu_memory_utilization <= 1:
            raise ConfigError(f"gpu_memory_utilization is {self.gpu_memory_utilization}; give a value in (0, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """Recorded answers (spec `replay:FILE`; no extra).

    Attributes:
        file: JSON lines as `RecordingEngine` writes them.
        missing: what a request without a record is: "error" stops at once, "failure" answers `not_recorded`.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_UNKNOWN_KEYS

    file: Path
    missing: Literal["error", "failure"] = "error"


def settings_to_json(settings: object) -> JsonObject:
    """Return settings as JSON values for the manifest of a run, without secrets.

    A field whose metadata say `secret` keeps the names in it and shows no value.

    Args:
        settings: an instance of a settings dataclass.
    """
    return {
        field.name: _to_json(getattr(settings, field.name), secret=bool(field.metadata.get("secret")))
        # The callers give instances; the parameter is `object` because dataclasses share no base class.
        for field in dataclasses.fields(cast("Any", settings))
    }


def check_model_name(model: str) -> None:
    """Refuse a blank model.

    Raises:
        ConfigError: it is empty or white space.
    """
    if not model.strip():
        raise ConfigError("model is empty; name a folder, a hub id or the server's model")


def check_number(name: str, value: float | None, *, least: float, positive: bool = False) -> None:
    """Refuse a number below `least`, or 0 where it must be positive; None passes.

    Raises:
        ConfigError: it is out of its range or not finite.
    """
    if value is None:
        return
    if not (value >= least and isfinite(value)) or (positive and value == 0):
        raise ConfigError(f"{name} is {value}; give a number {'>' if positive else '>='} {least}")


def _to_json(value: object, *, secret: bool) -> JsonValue:
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return {str(key): "(hidden)" if secret else _to_json(item, secret=False) for key, item in items}
    if secret and value is not None:
        return "(hidden)"
    if isinstance(value, Enum):
        return cast("JsonValue", value.value)
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, list | tuple):
        return [_to_json(item, secret=False) for item in cast("tuple[object, ...]", value)]
    return cast("JsonValue", value)
