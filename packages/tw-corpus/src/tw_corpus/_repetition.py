"""Repetition inside one text, by character n-grams: Gopher's rules (Rae et al. 2021, Table A1) for Chinese.

Words become characters: five words of Chinese are about eight to ten characters, so the n-grams are 2 and 4
(Gopher's 2 to 4 words hold most of the mass) and 10 and 20. N-grams are compared by polynomial hashes: of 64 bits where
every repetition counts, of 32 bits, which are faster, to find the commonest n-gram, where a rare one that shares a hash
by chance changes nothing, and to see that there is no repetition at all.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
AnyHashes = Any  # either; numpy's types do not say that a product keeps the width

# 2**64 over the golden ratio, of which short hashes take the odd lower half.
_BASE = 0x9E3779B97F4A7C15

_REPEATED = 2
_MARK_BITS = 16
BLOCK_CHARS = 1_000_000


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
    exceeds 1; the duplicates are every covered position, not a greedy scan. A text longer than a million characters
    is measured in blocks, of whose shares the mean by length is taken: repetition at a distance is then not seen, and
    memory does not grow with the text.
    """
    if len(codes) <= BLOCK_CHARS:
        return Repetition(**_shares(codes))
    sums = dict.fromkeys(Repetition.__slots__, 0.0)
    for start in range(0, len(codes), BLOCK_CHARS):
        block = codes[start : start + BLOCK_CHARS]
        for name, share in _shares(block).items():
            sums[name] += share * len(block)
    return Repetition(**{name: total / len(codes) for name, total in sums.items()})


def _shares(codes: Codes) -> dict[str, float]:
    pairs, fours, tens = _grams(codes)
    duplicate_tens = duplicate_twenties = 0.0
    places = _repeated_places(tens)
    if len(places):
        _, _, long_tens = _grams(codes.astype(np.uint64))
        duplicate_tens = _duplicate_share(long_tens, places, 10, len(codes))
        # A 20-gram that occurred before begins with a 10-gram that did.
        twenties = _join(long_tens, long_tens, 10, 10)
        duplicate_twenties = _duplicate_share(twenties, places[places < len(twenties)], 20, len(codes))
    return {
        "top_2gram_share": _top_share(pairs, 2, len(codes)),
        "top_4gram_share": _top_share(fours, 4, len(codes)),
        "duplicate_10gram_share": duplicate_tens,
        "duplicate_20gram_share": duplicate_twenties,
    }


def _grams(singles: AnyHashes) -> tuple[AnyHashes, AnyHashes, AnyHashes]:
    """Hashes of the 2-, 4- and 10-grams, of the width of `singles`."""
    pairs = _join(singles, singles, 1, 1)
    fours = _join(pairs, pairs, 2, 2)
    fives = _join(fours, singles, 4, 1)
    return pairs, fours, _join(fives, fives, 5, 5)


def _join(head: AnyHashes, tail: AnyHashes, head_length: int, tail_length: int) -> AnyHashes:
    """Hashes of all n-grams from those of their heads and tails; empty where the text is shorter than the n-gram."""
    tails = tail[head_length:]
    width = 8 * head.dtype.itemsize
    factor = head.dtype.type(pow(_BASE & ((1 << width) - 1), tail_length, 1 << width))
    return head[: len(tails)] * factor + tails


def _covered(starts: npt.NDArray[np.intp], length: int) -> int:
    """Characters covered by n-grams of `length` at `starts` (ascending)."""
    if len(starts) == 0:
        return 0
    return int(np.minimum(starts[1:] - starts[:-1], length).sum()) + length


def _top_share(hashes: Codes, length: int, total: int) -> float:
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


def _repeated_places(hashes: Codes) -> npt.NDArray[np.intp]:
    """Where n-grams stand that occur more than once, ascending; now and then one that does not."""
    ordered = hashes.copy()
    ordered.sort()
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return repeated.astype(np.intp)
    marked = np.zeros(1 << _MARK_BITS, dtype=np.bool_)
    marked[repeated >> np.uint32(32 - _MARK_BITS)] = True
    return marked.take(hashes >> np.uint32(32 - _MARK_BITS)).nonzero()[0]


def _duplicate_share(hashes: Hashes, places: npt.NDArray[np.intp], length: int, total: int) -> float:
    """Share of the characters inside an n-gram that occurred before; `places` holds all that occur more than once."""
    # The position takes the low bits, so that one sort groups equal n-grams and keeps them in order of occurrence.
    # Multiplied once more, the high bits tell apart n-grams whose last characters are neighbours in the code.
    position_mask = np.uint64((1 << len(places).bit_length()) - 1)
    keys = ((hashes[places] * np.uint64(_BASE)) & ~position_mask) | np.arange(len(places), dtype=np.uint64)
    keys.sort()
    again = (keys[1:] ^ keys[:-1]) <= position_mask
    starts = places[(keys[1:][again] & position_mask).astype(np.intp)]
    starts.sort()
    return _covered(starts, length) / total
