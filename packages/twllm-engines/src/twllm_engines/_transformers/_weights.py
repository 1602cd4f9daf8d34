"""Which files a model consists of, and their hashes. Weights are read from safetensors or GGUF; pickle is refused."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twllm_types import ConfigError

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_TOKENIZER_FILES = (
    "added_tokens.json",
    "merges.txt",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """A model on disk.

    Attributes:
        folder: where it lies.
        gguf_file: name of the GGUF file to read, or None for safetensors.
        weights: files of the weights, sorted.
        revision: commit of the hub that the folder holds, or None.
    """

    folder: Path
    gguf_file: str | None
    weights: tuple[Path, ...]
    revision: str | None = None


def find_files(folder: Path, *, gguf_file: str | None, revision: str | None = None) -> ModelFiles:
    """Find the weights in a folder: the GGUF file named, else safetensors, else a GGUF file that lies there alone.

    Raises:
        ConfigError: there are none, there is no way to choose, or there are only pickled ones.
    """
    if gguf_file is not None:
        if not (folder / gguf_file).is_file():
            raise ConfigError(f"{folder} holds no file {gguf_file!r}; name one of its GGUF files in gguf_file")
        return ModelFiles(folder=folder, gguf_file=gguf_file, weights=(folder / gguf_file,), revision=revision)
    tensors = tuple(sorted(folder.glob("*.safetensors")))
    if tensors:
        return ModelFiles(folder=folder, gguf_file=None, weights=tensors, revision=revision)
    ggufs = sorted(folder.glob("*.gguf"))
    if len(ggufs) == 1:
        return ModelFiles(folder=folder, gguf_file=ggufs[0].name, weights=(ggufs[0],), revision=revision)
    if ggufs:
        names = ", ".join(path.name for path in ggufs)
        raise ConfigError(f"{folder} holds {len(ggufs)} GGUF files ({names}); name one in gguf_file")
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ConfigError(
            f"{folder} holds pickled weights only ({', '.join(pickles)}), which can run code when they are read; "
            "save the model as safetensors"
        )
    raise ConfigError(f"{folder} holds no weights; give a folder with safetensors or a GGUF file, or a hub id")


def hash_files(paths: Iterable[Path]) -> str:
    """Hash files as one: a single file by its own SHA-256, several by that of their names and SHA-256s, one a line.

    The latter is what `sha256sum` prints for them, sorted by name, so that anyone can repeat it.
    """
    found = sorted(paths)
    digests = [_hash_file(path) for path in found]
    if len(found) == 1:
        return digests[0]
    lines = "".join(f"{digest}  {path.name}\n" for digest, path in zip(digests, found, strict=True))
    return hash_text(lines)


def hash_text(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def tokenizer_files(folder: Path) -> tuple[Path, ...]:
    """Return the files that make up the tokenizer in a folder; none where it is part of the weights."""
    return tuple(folder / name for name in _TOKENIZER_FILES if (folder / name).is_file())


def hash_tokenizer(tokenizer: Any, folder: Path | None) -> str:
    """Hash a tokenizer: its files in a folder, else, where it came from elsewhere, what was built from them."""
    found = () if folder is None else tokenizer_files(folder)
    if found:
        return hash_files(found)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return hash_text(backend.to_str() if backend is not None else repr(sorted(tokenizer.get_vocab().items())))


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
