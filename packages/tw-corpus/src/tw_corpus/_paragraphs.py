"""Paragraphs that many documents repeat: found by hash, removed from each; values only."""

from dataclasses import dataclass

import numpy as np
from xxhash import xxh64_intdigest

from tw_corpus._comparable import Hashes, comparable_codes
from twllm_types import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ParagraphOptions:
    """Which repeated paragraphs are boilerplate.

    Attributes:
        min_documents: documents that must hold a paragraph before it is removed from all of them, >= 2.
        min_chars: shorter paragraphs are left alone, counted in characters that compare (letters, digits,
            ideographs), >= 1: short turns such as 謝謝大家 are repeated by right.

    Raises:
        ConfigError: a number is too small.
    """

    min_documents: int = 5
    min_chars: int = 12

    def __post_init__(self) -> None:
        if self.min_documents < 2:
            raise ConfigError(f"min_documents is {self.min_documents}; give a number >= 2")
        if self.min_chars < 1:
            raise ConfigError(f"min_chars is {self.min_chars}; give a number >= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutRepeated:
    """A text without the paragraphs that many documents repeat.

    Attributes:
        text: what stays, lines as they were.
        num_removed: paragraphs removed.
    """

    text: str
    num_removed: int


def paragraph_hashes(text: str, options: ParagraphOptions) -> Hashes:
    """Return the hashes of a text's paragraphs (lines) that are long enough, each once, sorted."""
    found = [value for line in text.split("\n") if (value := _hash_of(line, options.min_chars)) is not None]
    return np.unique(np.array(found, dtype=np.uint64))


def remove_repeated(text: str, repeated: Hashes, options: ParagraphOptions) -> WithoutRepeated:
    """Remove the paragraphs whose hash is in `repeated`.

    Args:
        text: of one document.
        repeated: sorted, unique.
        options: the same that gave the hashes.
    """
    if not len(repeated):
        return WithoutRepeated(text=text, num_removed=0)
    lines = text.split("\n")
    kept = [line for line in lines if not _holds(repeated, _hash_of(line, options.min_chars))]
    if len(kept) == len(lines):
        return WithoutRepeated(text=text, num_removed=0)
    return WithoutRepeated(text="\n".join(kept).strip("\n"), num_removed=len(lines) - len(kept))


def repeated_hashes(hashes: list[Hashes], options: ParagraphOptions) -> Hashes:
    """Return the hashes that at least `min_documents` documents hold, sorted.

    Args:
        hashes: those of many documents, concatenated in any way; a document's own are unique.
        options: the threshold.
    """
    if not hashes:
        return np.empty(0, dtype=np.uint64)
    values, counts = np.unique(np.concatenate(hashes), return_counts=True)
    return values[counts >= options.min_documents]


def _hash_of(line: str, min_chars: int) -> np.uint64 | None:
    codes = comparable_codes(line)
    if len(codes) < min_chars:
        return None
    return np.uint64(xxh64_intdigest(codes.tobytes()))


def _holds(values: Hashes, value: np.uint64 | None) -> bool:
    if value is None:
        return False
    at = int(np.searchsorted(values, value))
    return at < len(values) and bool(values[at] == value)
