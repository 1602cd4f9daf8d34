# transformers and torch have no complete types
# pyright: standard
"""Folders of models of transformers: read from safetensors only, never with code of their own, named by their hash."""

import hashlib
import importlib
from pathlib import Path
from typing import Any

from twllm_runs import hash_file
from twllm_types import ConfigError, MissingDependencyError

# Weights and everything beside them that decides what the model answers.
_PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "*/config.json")


def import_extra(module: str) -> Any:
    """Import a module of the extra `transformers`.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"models of transformers need {module}; install the extra: pip install 'icda[transformers]'"
        ) from error


def check_model_folder(folder: Path) -> None:
    """Refuse what is no folder with a model in safetensors.

    Raises:
        ConfigError: there is no such folder, no `config.json`, or no safetensors; pickled weights are not read.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: is no folder; give one with a model, such as `hf download NAME --local-dir` makes"
        )
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{folder}: holds no config.json; give the folder of a model of transformers")
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(f"{folder}: holds no *.safetensors; save the model as such, pickled weights are not read")


def hash_model_folder(folder: Path) -> str:
    """Return the SHA-256 of the lines `<sha256>  <relative path>` of weights, settings and tokenizer, sorted."""
    files = sorted({path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file()})
    lines = "".join(f"{hash_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of a folder.

    Raises:
        ConfigError: it cannot be read, or has no token to pad with.
    """
    transformers = import_extra("transformers")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{folder}: its tokenizer cannot be read ({reason}); give a folder with one") from error
    if tokenizer.pad_token_id is None:
        raise ConfigError(f"{folder}: its tokenizer has no padding token; set pad_token in tokenizer_config.json")
    return tokenizer


def load_model(kind: Any, folder: Path, **options: Any) -> Any:
    """Load a model of a folder by an automatic class of transformers, from its safetensors alone.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return kind.from_pretrained(str(folder), use_safetensors=True, local_files_only=True, **options)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{folder}: its model cannot be read ({reason}); give a whole model folder") from error
