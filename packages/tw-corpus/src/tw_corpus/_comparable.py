"""The form in which two texts are compared: script, case, width, punctuation and white space make no difference."""

import unicodedata
from functools import lru_cache
from importlib.resources import files
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tw_corpus._characters import Codes, codes_of

CodeTable: TypeAlias = npt.NDArray[np.uint32]
Hashes: TypeAlias = npt.NDArray[np.uint64]

_DROPPED = np.uint32(0)
# letters, digits and what stands for them; everything else (punctuation, symbols, blanks, marks) is dropped
_KEPT_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl"})
_ASTRAL_IDEOGRAPHS = (0x20000, 0x33480)
# splitmix64's finaliser (Steele, Lea, Flood 2014): spreads every input bit over the word
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_STEP = np.uint64(0x9E3779B97F4A7C15)


def comparable_codes(text: str) -> Codes:
    """Return the code points that count when texts are compared.

    Traditional and regional forms become the Simplified character that stands for them (tables/folded_characters.txt),
    letters lower case, full-width forms narrow; punctuation, symbols, marks and white space go. One character never
    becomes two. Text without any letter, digit or ideograph gives an empty array.
    """
    codes = _table()[codes_of(text)]
    return codes[codes != _DROPPED]


def comparable_codes_with_positions(text: str) -> tuple[Codes, npt.NDArray[np.intp]]:
    """Return `comparable_codes` and the position in `text` of each of them."""
    codes = _table()[codes_of(text)]
    positions = np.flatnonzero(codes != _DROPPED)
    return codes[positions], positions


def shingle_hashes(codes: Codes, size: int) -> Hashes:
    """Hash every run of `size` codes to 64 bits.

    Args:
        codes: from `comparable_codes`.
        size: characters per shingle, >= 1.

    Returns:
        One hash per run, in order, not made unique; empty where there are fewer than `size` codes.
    """
    num_shingles = len(codes) - size + 1
    if num_shingles <= 0:
        return np.empty(0, dtype=np.uint64)
    wide = codes.astype(np.uint64)
    hashes = np.zeros(num_shingles, dtype=np.uint64)
    for offset in range(size):
        hashes += wide[offset : offset + num_shingles]
        hashes *= _STEP
        hashes ^= hashes >> np.uint64(29)
    return mix(hashes)


def mix(hashes: Hashes) -> Hashes:
    """Spread the bits of 64-bit words; a bijection."""
    mixed = (hashes ^ (hashes >> np.uint64(30))) * _MIX_1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
    return mixed ^ (mixed >> np.uint64(31))


@lru_cache(maxsize=1)
def _table() -> CodeTable:
    """What every code point becomes; 0 for those that are dropped."""
    table = np.zeros(0x110000, dtype=np.uint32)
    for code in range(0x10000):
        character = chr(code)
        if unicodedata.category(character) in _KEPT_CATEGORIES:
            table[code] = _narrow_lower(character)
    first, last = _ASTRAL_IDEOGRAPHS
    table[first:last] = np.arange(first, last, dtype=np.uint32)
    for character, folded in _folded_characters().items():
        table[ord(character)] = ord(folded)
    table.flags.writeable = False
    return table


def _narrow_lower(character: str) -> int:
    narrow = unicodedata.normalize("NFKC", character).lower()
    return ord(narrow) if len(narrow) == 1 else ord(character)


def _folded_characters() -> dict[str, str]:
    lines = (files("tw_corpus") / "tables" / "folded_characters.txt").read_text(encoding="utf-8").splitlines()
    pairs = "".join(line for line in lines if not line.startswith("#"))
    return {pairs[at]: pairs[at + 1] for at in range(0, len(pairs), 2)}
