"""From the name of a model to its files."""

# huggingface_hub is partly untyped
# pyright: standard

from pathlib import Path

from twllm_engines._transformers._weights import ModelFiles, find_files
from twllm_types import ConfigError

_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt"]


def locate(model: str, *, revision: str | None, gguf_file: str | None, with_code: bool = False) -> ModelFiles:
    """Find a model in a folder, or fetch it from the hub through its own cache; pickled files are never fetched.

    Args:
        model: folder, or hub id.
        revision: branch, tag or commit of the hub; None for its default. Not read for a folder.
        gguf_file: name of the GGUF file to read; None for safetensors.
        with_code: fetch code of the repository, too.

    Returns:
        The files; for a hub id with the commit that the revision stands for.

    Raises:
        ConfigError: there is no such model, or its weights cannot be read.
    """
    folder = Path(model)
    if folder.is_dir():
        return find_files(folder, gguf_file=gguf_file)
    # A name that cannot be a hub id is a path: no network is asked for it.
    if folder.is_absolute() or model.startswith(".") or model.count("/") > 1:
        raise ConfigError(f"there is no folder {model}; give a folder that exists, or a hub id")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [*_HUB_FILES, *([gguf_file] if gguf_file else []), *(["*.py"] if with_code else [])]
    try:
        found = Path(snapshot_download(model, revision=revision, allow_patterns=patterns))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigError(
            f"{model!r} is no folder here and cannot be had from the hub ({one_line(error)}); "
            "give a folder, or an id that exists and may be read"
        ) from error
    return find_files(found, gguf_file=gguf_file, revision=found.name)


def one_line(error: Exception) -> str:
    """Return what an error says in one line, or its name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
