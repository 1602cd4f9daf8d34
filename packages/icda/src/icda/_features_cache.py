"""Embeddings kept on disk by the hash of the model and of the text, so that no text is encoded twice.

One folder per model: `key.json`, `texts.sha256` (32 bytes per text) and `vectors.f32` (D little-endian floats per
text). Vectors are written before the hashes that name them; what a kill leaves half-written is cut off at the next
opening.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from icda._features import Embeddings, TextEncoder, UnknownTokens, measured_unknown_tokens
from twllm_runs import run_lock, write_json_atomic
from twllm_types import ArtifactError, ConfigError

_SCHEMA_VERSION = 1
_HASH_BYTES = 32
_FLOAT = np.dtype("<f4")


class CachedFeatures:
    """An encoder whose embeddings are kept.

    Texts are encoded in chunks, each of which is on disk before the next is begun; a killed run goes on with the chunk
    it was in, so chunks, and with them bits, are those of a run that was not killed.

    Args:
        encoder: whose embeddings are the same whatever they are fitted on.
        folder: of the cache; made where it is missing. Several models share it.
        chunk_size: texts that are encoded and written at once, at least 1.

    Raises:
        ConfigError: `chunk_size` is below 1.
        ArtifactError: the cache is of another layout.
        LockedError: another process uses it; raised when texts are read.
    """

    def __init__(self, encoder: TextEncoder, folder: Path, *, chunk_size: int = 1024) -> None:
        if chunk_size < 1:
            raise ConfigError(f"chunk_size is {chunk_size}; give at least 1")
        self._encoder = encoder
        self._chunk_size = chunk_size
        self._folder = folder / hashlib.sha256(encoder.key.encode("utf-8")).hexdigest()[:16]
        self._store: _Store | None = None

    @property
    def key(self) -> str:
        """What makes the embeddings; that of the encoder."""
        return self._encoder.key

    def fit(self, texts: Sequence[str]) -> "CachedFeatures":
        """Let the encoder refuse what it cannot read; embeddings stay as they are."""
        self._encoder.fit(texts)
        return self

    def unknown_tokens(self, texts: Sequence[str]) -> UnknownTokens | None:
        """What the encoder says."""
        return measured_unknown_tokens(self._encoder, texts)

    def transform(self, texts: Sequence[str]) -> Embeddings:
        """Return one embedding per text, shape (N, D), encoding those that are not kept yet."""
        if not texts:
            return self._encoder.transform(texts)
        self._folder.mkdir(parents=True, exist_ok=True)
        hashes = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        with run_lock(self._folder):
            store = self._opened()
            wanted = dict(zip(texts, hashes, strict=True))
            missing = [text for text, digest in wanted.items() if digest not in store.rows]
            for start in range(0, len(missing), self._chunk_size):
                chunk = missing[start : start + self._chunk_size]
                store.append(chunk, self._encoder.transform(chunk))
            return store.read(hashes)

    def _opened(self) -> "_Store":
        """Return what is kept, read again only where the files are not as they were left."""
        if self._store is None or not self._store.is_current():
            self._store = _Store(self._folder, self._encoder.key)
        return self._store


class _Store:
    """The files of one model, used while the lock is held."""

    def __init__(self, folder: Path, key: str) -> None:
        self._texts, self._vectors = folder / "texts.sha256", folder / "vectors.f32"
        self._about, self._key = folder / "key.json", key
        self._dim = self._read_dim()
        self.rows = self._read_rows() if self._dim else dict[bytes, int]()

    def is_current(self) -> bool:
        """Tell whether no other process has written since."""
        return self._texts.is_file() and self._texts.stat().st_size == len(self.rows) * _HASH_BYTES

    def append(self, texts: Sequence[str], vectors: Embeddings) -> None:
        """Write texts that are not there yet."""
        if not self._dim:
            self._dim = int(vectors.shape[1])
            about = {"schema_version": _SCHEMA_VERSION, "key": self._key, "dim": self._dim}
            write_json_atomic(self._about, cast("Any", about))
        if vectors.shape != (len(texts), self._dim):
            raise ArtifactError(
                f"{self._about}: embeddings have {self._dim} numbers, the encoder now gives {vectors.shape}; "
                "remove the folder"
            )
        digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        with self._vectors.open("ab") as file:
            file.write(np.ascontiguousarray(vectors, dtype=_FLOAT).tobytes())
        with self._texts.open("ab") as file:
            file.write(b"".join(digests))
        for digest in digests:
            self.rows[digest] = len(self.rows)

    def read(self, digests: Sequence[bytes]) -> Embeddings:
        """Return the embeddings of texts that are there, shape (N, D)."""
        whole = np.memmap(self._vectors, dtype=_FLOAT, mode="r", shape=(len(self.rows), self._dim))
        return np.asarray(whole[[self.rows[digest] for digest in digests]], dtype=np.float32)

    def _read_dim(self) -> int:
        """Return D; 0 where nothing is kept yet."""
        if not self._about.is_file():
            return 0
        try:
            about: object = json.loads(self._about.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ArtifactError(f"{self._about}: is not JSON ({error}); remove the folder") from error
        fields = cast("dict[str, object]", about) if isinstance(about, dict) else {}
        dim = fields.pop("dim", None)
        if fields != {"schema_version": _SCHEMA_VERSION, "key": self._key} or not isinstance(dim, int) or dim < 1:
            raise ArtifactError(
                f"{self._about}: is not of this model and schema version {_SCHEMA_VERSION}; remove the folder"
            )
        return dim

    def _read_rows(self) -> dict[bytes, int]:
        for path in (self._vectors, self._texts):
            path.touch()
        width = self._dim * _FLOAT.itemsize
        num_rows = min(self._vectors.stat().st_size // width, self._texts.stat().st_size // _HASH_BYTES)
        # A kill between the two writes leaves vectors without a name; they are encoded again.
        for path, size in ((self._vectors, width), (self._texts, _HASH_BYTES)):
            with path.open("r+b") as file:
                file.truncate(num_rows * size)
        content = self._texts.read_bytes()
        return {content[row * _HASH_BYTES : (row + 1) * _HASH_BYTES]: row for row in range(num_rows)}
