"""Character n-grams found in one pass: every n-gram of a text is hashed, and the hash looked up in a table.

A slot of the table holds the number of the n-gram that hashes there, and the full hash of that n-gram must agree, so
that an n-gram which is not in the vocabulary is taken for one that is once in some 10**5 look-ups, not by design.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from tw_corpus._characters import Codes, codes_of

Ids = npt.NDArray[np.uint16]
Positions = npt.NDArray[np.intp]

MAX_ORDER = 3
# Numbers are 16 bits wide and 0 means "none".
MAX_NGRAMS = (1 << 16) - 1
_SLOT_BITS = 20
_SHIFT = np.uint32(32 - _SLOT_BITS)
# Odd 32-bit constants with well spread bits; their products select a slot by the high bits (Knuth, TAOCP 3, 6.4).
_MULTIPLIERS = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D))

# What the n-grams of wording run over, besides ideographs: Bopomofo letters all count as this one.
BOPOMOFO = "ㄅ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Numbered n-grams and the table that finds them; number 0 stands for no n-gram.

    Attributes:
        ngrams: strings of one to three characters; the n-gram of number i is `ngrams[i - 1]`.
        slots: number of the n-gram in each slot, 2**20 of them.
        hashes: hash of each number; that of number 0 belongs to no n-gram of ideographs.
    """

    ngrams: tuple[str, ...]
    slots: Ids
    hashes: npt.NDArray[np.uint32]


def build_vocabulary(ngrams: Sequence[str]) -> Vocabulary:
    """Number `ngrams`, most important first: where two share a slot, the later one is left out.

    Raises:
        ValueError: an n-gram is empty or longer than three characters, or there are too many.
    """
    if any(not 1 <= len(ngram) <= MAX_ORDER for ngram in ngrams) or len(ngrams) > MAX_NGRAMS:
        raise ValueError(f"a vocabulary takes up to {MAX_NGRAMS} n-grams of 1 to {MAX_ORDER} characters")
    hashes = _hash_each(ngrams)
    _, first = np.unique(hashes >> _SHIFT, return_index=True)
    kept = np.sort(first)
    slots = np.zeros(1 << _SLOT_BITS, dtype=np.uint16)
    slots[hashes[kept] >> _SHIFT] = np.arange(1, len(kept) + 1, dtype=np.uint16)
    return Vocabulary(
        ngrams=tuple(ngrams[int(index)] for index in kept.tolist()),
        slots=slots,
        hashes=np.concatenate((np.zeros(1, dtype=np.uint32), hashes[kept])),
    )


def _hash_each(ngrams: Sequence[str]) -> npt.NDArray[np.uint32]:
    """The hash of each n-gram."""
    orders = np.array([len(ngram) for ngram in ngrams], dtype=np.intp)
    hashes = np.zeros(len(ngrams), dtype=np.uint32)
    for order in range(1, MAX_ORDER + 1):
        members = np.flatnonzero(orders == order)
        if len(members):
            # One text of all n-grams of this order: every n-th hash is that of a whole one.
            joined = codes_of("".join(ngrams[int(index)] for index in members.tolist()))
            hashes[members] = hash_ngrams(joined, order)[-1][::order]
    return hashes


def hash_ngrams(codes: Codes, max_order: int = MAX_ORDER) -> list[npt.NDArray[np.uint32]]:
    """Hashes of the n-grams of each order 1 to `max_order` by their first position; arrays get shorter by one each."""
    hashes = [codes * _MULTIPLIERS[0]]
    for order in range(2, max_order + 1):
        hashes.append((hashes[-1][: max(len(codes) - order + 1, 0)] ^ codes[order - 1 :]) * _MULTIPLIERS[order - 1])
    return hashes


def find(vocabulary: Vocabulary, hashes: npt.NDArray[np.uint32]) -> tuple[Positions, Ids]:
    """Where the n-grams of the vocabulary stand among `hashes`, and their numbers."""
    ids = vocabulary.slots.take(hashes >> _SHIFT)
    positions = np.flatnonzero(ids)
    ids = ids[positions]
    same = vocabulary.hashes[ids] == hashes[positions]
    return positions[same], ids[same]


@lru_cache(maxsize=1)
def fold_table() -> Codes:
    """What stands for each code point in wording: ideographs folded to Simplified, Bopomofo to one letter, else 0."""
    from tw_corpus._characters import HAN_LAST, CharClass, class_table

    classes = class_table()
    table = np.where(classes <= HAN_LAST, np.arange(len(classes), dtype=np.uint32), np.uint32(0))
    table[classes == CharClass.BOPOMOFO] = ord(BOPOMOFO)
    for source, target in folded_characters().items():
        table[ord(source)] = ord(target)
    table.flags.writeable = False
    return table


@lru_cache(maxsize=1)
def folded_characters() -> dict[str, str]:
    """Traditional character to the Simplified one that stands for it (tables/folded_characters.txt)."""
    text = files("tw_corpus").joinpath("tables", "folded_characters.txt").read_text(encoding="utf-8")
    pairs = "".join(line for line in text.splitlines() if not line.startswith("#"))
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def fold(text: str) -> str:
    """Fold each character to Simplified, one for one; other characters stay."""
    return text.translate(_translation())


@lru_cache(maxsize=1)
def _translation() -> dict[int, str]:
    return {ord(source): target for source, target in folded_characters().items()}


@lru_cache(maxsize=1)
def is_orthographic() -> npt.NDArray[np.bool_]:
    """Code points that are one of several Traditional forms of one Simplified character: 後 后, 裡 裏 里, 為 爲.

    Which one stands in a text tells regions and converters apart.
    """
    from tw_corpus._characters import script_characters

    simplified_only, _ = script_characters()
    forms: dict[str, set[str]] = {}
    for source, target in folded_characters().items():
        forms.setdefault(target, {target} - simplified_only).add(source)
    table = np.zeros(0x110000, dtype=np.bool_)
    for alternatives in forms.values():
        if len(alternatives) > 1:
            table[[ord(character) for character in alternatives]] = True
    table.flags.writeable = False
    return table
