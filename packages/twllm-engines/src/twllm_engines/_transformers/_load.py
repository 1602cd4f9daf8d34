"""From settings to a model, a tokenizer and an identity."""

# transformers is partly untyped
# pyright: standard

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from twllm_engines._settings import TOKENIZER_TEMPLATE, TransformersSettings
from twllm_engines._transformers._locate import locate, one_line
from twllm_engines._transformers._weights import ModelFiles, hash_files, hash_text, hash_tokenizer
from twllm_types import ConfigError, ModelIdentity

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# What loading a model raises where files, names or settings do not fit together.
_LOADING_ERRORS = (OSError, ValueError, KeyError, ImportError, RuntimeError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model ready to run.

    Attributes:
        model: on its device, in its dtype.
        tokenizer: with the chat template that was chosen, or none.
        identity: spec, revision and hashes.
        device: "cpu", "cuda:0", ...
        dtype: "float32", "bfloat16" or "float16".
        gguf_file: the GGUF file that was read, or None.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    identity: ModelIdentity
    device: str
    dtype: str
    gguf_file: str | None


def load(settings: TransformersSettings) -> Loaded:
    """Load a model from a folder, or from the hub through its own cache.

    Raises:
        ConfigError: there is no such model, device or template, its weights are pickled, or it needs code of its
            repository that the settings do not allow.
    """
    device = choose_device(settings.device)
    dtype = choose_dtype(settings.dtype, device)
    template = _read_template(settings.chat_template)
    files = locate(
        settings.model,
        revision=settings.revision,
        gguf_file=settings.gguf_file,
        with_code=settings.trust_remote_code,
    )
    tokenizer, tokenizer_sha256 = _load_tokenizer(settings, files)
    if settings.chat_template is None:
        tokenizer.chat_template = None
    elif template is not None:
        tokenizer.chat_template = template
    model = _load_model(settings, files, dtype).to(cast("Any", device))
    sha256 = {"weights": hash_files(files.weights), "tokenizer": tokenizer_sha256}
    if isinstance(tokenizer.chat_template, str):
        sha256["chat_template"] = hash_text(tokenizer.chat_template)
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        identity=ModelIdentity(spec=f"hf:{settings.model}", revision=files.revision, sha256=sha256),
        device=device,
        dtype=dtype,
        gguf_file=files.gguf_file,
    )


def choose_device(device: str) -> str:
    """Return the device that "auto" stands for, or the one named.

    Raises:
        ConfigError: torch knows or sees no such device.
    """
    if device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"device is {device!r}; give auto, cpu, cuda or cuda:N") from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device is {device!r}, and torch sees {torch.cuda.device_count()} GPUs; give auto or cpu")
    return device


def choose_dtype(dtype: str, device: str) -> str:
    """Return what "auto" stands for: float32 on a CPU, bfloat16 on a GPU."""
    if dtype != "auto":
        return dtype
    return "float32" if device == "cpu" else "bfloat16"


def _read_template(chat_template: str | None) -> str | None:
    if chat_template is None or chat_template == TOKENIZER_TEMPLATE:
        return None
    path = Path(chat_template)
    if not path.is_file():
        raise ConfigError(f"chat_template: there is no file {path}; give 'tokenizer', a Jinja file, or null")
    return path.read_text(encoding="utf-8")


def _load_tokenizer(settings: TransformersSettings, files: ModelFiles) -> tuple[PreTrainedTokenizerBase, str]:
    if settings.tokenizer is None:
        folder, options = files.folder, {"gguf_file": files.gguf_file} if files.gguf_file else {}
    else:
        folder, options = Path(settings.tokenizer), {}
    name = str(folder) if settings.tokenizer is None else settings.tokenizer
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=settings.trust_remote_code, **options)
    except _LOADING_ERRORS as error:
        raise ConfigError(f"{name}: the tokenizer cannot be loaded ({one_line(error)})") from error
    # A GGUF file is its own tokenizer: what was built from it is hashed.
    return tokenizer, hash_tokenizer(tokenizer, None if options else folder)


def _load_model(settings: TransformersSettings, files: ModelFiles, dtype: str) -> PreTrainedModel:
    options: dict[str, Any] = {
        "dtype": _DTYPES[dtype],
        "trust_remote_code": settings.trust_remote_code,
        "attn_implementation": settings.attn_implementation,
    }
    if files.gguf_file is not None:
        options |= {"gguf_file": files.gguf_file, "quantization_config": GgufConfig(dequantize=True)}
    else:
        options["use_safetensors"] = True
        if settings.quantization is not None:
            raise ConfigError(
                f"quantization is {settings.quantization!r}, which the transformers engine does not do; "
                "give weights that are quantized, a GGUF file, or use the vllm engine"
            )
    try:
        with _quiet():
            return AutoModelForCausalLM.from_pretrained(files.folder, **options)
    except _LOADING_ERRORS as error:
        fix = "" if settings.trust_remote_code else "; a model with code of its own needs trust_remote_code: true"
        raise ConfigError(f"{settings.model}: the model cannot be loaded ({one_line(error)}){fix}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Show no bars of transformers' own; the caller's progress is shown by the caller."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
