"""Repetition inside one text, by character n-grams: Gopher's rules (Rae et al. 2021, Table A1) for Chinese.

Words become characters: five words of Chinese are about eight to ten characters, so the n-grams are 2 and 4
(Gopher's 2 to 4 words hold most of the mass) and 10 and 20. N-grams are compared by a 64-bit polynomial hash; 2-grams
exactly.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]

# 2**64 over the golden ratio: its multiples by code points lie far apart, so that no two 2-grams share a hash.
_BASE = 0x9E3779B97F4A7C15

_REPEATED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """Shares of the characters given; each 0 to 1, and 0 where the text is shorter than the n-gram.

    Attributes:
        top_2gram_share: characters covered by the most frequent 2-gram, if it occurs at least twice.
        top_4gram_share: the same for 4-grams.
        duplicate_10gram_share: characters inside a 10-gram that occurred before in the text.
        duplicate_20gram_share: the same for 20-grams.
    """

    top_2gram_share: float
    top_4gram_share: float
    duplicate_10gram_share: float
    duplicate_20gram_share: float


def measure_repetition(codes: Codes) -> Repetition:
    """Measure repetition in `codes`, from which blanks and rules have been taken out.

    Deviations from Gopher: overlapping occurrences are counted by the characters they cover, so that no share
    exceeds 1; the duplicates are every covered position, not a greedy scan.
    """
    singles = codes.astype(np.uint64)
    pairs = _join(singles, singles, 1, 1)
    fours = _join(pairs, pairs, 2, 2)
    fives = _join(fours, singles, 4, 1)
    tens = _join(fives, fives, 5, 5)
    twenties = _join(tens, tens, 10, 10)
    return Repetition(
        top_2gram_share=_top_share(pairs, 2, len(codes)),
        top_4gram_share=_top_share(fours, 4, len(codes)),
        duplicate_10gram_share=_duplicate_share(tens, 10, len(codes)),
        duplicate_20gram_share=_duplicate_share(twenties, 20, len(codes)),
    )


def _join(head: Hashes, tail: Hashes, head_length: int, tail_length: int) -> Hashes:
    """Hashes of all n-grams from those of their heads and tails; empty where the text is shorter than the n-gram."""
    tails = tail[head_length:]
    return head[: len(tails)] * np.uint64(pow(_BASE, tail_length, 1 << 64)) + tails


def _covered(starts: npt.NDArray[np.intp], length: int) -> int:
    """Characters covered by n-grams of `length` at `starts` (ascending)."""
    if len(starts) == 0:
        return 0
    return int(np.minimum(starts[1:] - starts[:-1], length).sum()) + length


def _top_share(hashes: Hashes, length: int, total: int) -> float:
    if len(hashes) < _REPEATED:
        return 0.0
    ordered = hashes.copy()
    ordered.sort()
    # Where runs of equal hashes end: their lengths are the numbers of occurrences.
    ends = np.concatenate(((ordered[1:] != ordered[:-1]).nonzero()[0], (len(ordered) - 1,)))
    sizes = ends.copy()
    sizes[1:] -= ends[:-1]
    sizes[0] += 1
    best = int(sizes.argmax())
    if sizes[best] < _REPEATED:
        return 0.0
    return _covered((hashes == ordered[ends[best]]).nonzero()[0], length) / total


def _duplicate_share(hashes: Hashes, length: int, total: int) -> float:
    size = len(hashes)
    if size < _REPEATED:
        return 0.0
    # The position takes the low bits, so that one sort groups equal n-grams and keeps them in order of occurrence.
    position_mask = np.uint64((1 << size.bit_length()) - 1)
    keys = (hashes & ~position_mask) | np.arange(size, dtype=np.uint64)
    keys.sort()
    again = (keys[1:] ^ keys[:-1]) <= position_mask
    starts = (keys[1:][again] & position_mask).astype(np.intp)
    starts.sort()
    return _covered(starts, length) / total
