"""Repetition inside one text, by character n-grams: Gopher's rules (Rae et al. 2021, Table A1) for Chinese.

Words become characters: five words of Chinese are about eight to ten characters, so the n-grams are 2 and 4
(Gopher's 2 to 4 words hold most of the mass) and 10 and 20. N-grams are compared by polynomial hashes: of 64 bits where
every repetition counts, of 32 bits, which are faster, to find the commonest n-gram, where a rare one that shares a hash
by chance changes nothing, and to see that there is no repetition at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
AnyHashes = Any  # either; numpy's types do not say that a product keeps the width
Positions = npt.NDArray[np.intp]

# 2**64 over the golden ratio, of which short hashes take the odd lower half.
_BASE = 0x9E3779B97F4A7C15

_REPEATED = 2
_MARK_BITS = 16
_HALF_BITS = 32
_HALF_MASK = (1 << _HALF_BITS) - 1
BLOCK_CHARS = 1_000_000


class Repetition(NamedTuple):
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


def measure_repetition(codes: Codes, sizes: Sequence[int]) -> list[Repetition]:
    """Measure repetition in each of some texts, from which blanks and rules have been taken out.

    Deviations from Gopher: overlapping occurrences are counted by the characters they cover, so that no share
    exceeds 1; the duplicates are every covered position, not a greedy scan. A text longer than a million characters
    is measured in blocks, of whose shares the mean by length is taken: repetition at a distance is then not seen, and
    memory does not grow with the text.

    Args:
        codes: code points of the texts, one behind the other.
        sizes: number of them in each text.
    """
    if len(codes) <= BLOCK_CHARS:
        return _measure_texts(codes, sizes)
    ends = list(accumulate(sizes, initial=0))
    return [_measure_blocks(codes[start:end]) for start, end in pairwise(ends)]


def _measure_blocks(codes: Codes) -> Repetition:
    blocks = [codes[start : start + BLOCK_CHARS] for start in range(0, len(codes), BLOCK_CHARS)]
    measured = [_measure_texts(block, [len(block)])[0] for block in blocks]
    if len(blocks) == 1:
        return measured[0]
    sums = [0.0] * len(Repetition._fields)
    for block, shares in zip(blocks, measured, strict=True):
        sums = [total + share * len(block) for total, share in zip(sums, shares, strict=True)]
    return Repetition(*[total / max(len(codes), 1) for total in sums])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Grams:
    """Hashes of the n-grams of one length that lie inside a text, text by text.

    Attributes:
        hashes: of the n-grams, in the order of the texts.
        numbers: the text that each belongs to.
        bounds: where the n-grams of each text begin, and the end of all.
        ordered: the hashes, sorted inside each text.
        length: characters of an n-gram.
    """

    hashes: Codes
    numbers: Positions
    bounds: list[int]
    ordered: Codes
    length: int


def _measure_texts(codes: Codes, sizes: Sequence[int]) -> list[Repetition]:
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    pairs, fours, tens = (
        _inside_texts(hashes, numbers, sizes, length) for hashes, length in zip(_grams(codes), (2, 4, 10), strict=True)
    )
    covered = zip(sizes, _top_covered(pairs), _top_covered(fours), _duplicate_shares(codes, sizes, tens), strict=True)
    return [
        Repetition(
            top_2gram_share=pair / max(size, 1),
            top_4gram_share=four / max(size, 1),
            duplicate_10gram_share=ten,
            duplicate_20gram_share=twenty,
        )
        for size, pair, four, (ten, twenty) in covered
    ]


def _inside_texts(hashes: Codes, numbers: Positions, sizes: Sequence[int], length: int) -> _Grams:
    """Leave out the n-grams that reach from one text into the next."""
    numbers_of_first = numbers[: len(hashes)]
    if len(sizes) > 1:
        inside = numbers_of_first == numbers[length - 1 :]
        hashes, numbers_of_first = hashes[inside], numbers_of_first[inside]
    bounds = list(accumulate([max(size - length + 1, 0) for size in sizes], initial=0))
    ordered = hashes.copy()
    for start, end in pairwise(bounds):
        ordered[start:end].sort()
    return _Grams(hashes=hashes, numbers=numbers_of_first, bounds=bounds, ordered=ordered, length=length)


def _grams(singles: AnyHashes) -> tuple[AnyHashes, AnyHashes, AnyHashes]:
    """Hashes of the 2-, 4- and 10-grams, of the width of `singles`."""
    pairs = _join(singles, singles, 1, 1)
    fours = _join(pairs, pairs, 2, 2)
    fives = _join(fours, singles, 4, 1)
    return pairs, fours, _join(fives, fives, 5, 5)


def _join(head: AnyHashes, tail: AnyHashes, head_length: int, tail_length: int) -> AnyHashes:
    """Hashes of all n-grams from those of their heads and tails; empty where the text is shorter than the n-gram."""
    tails = tail[head_length:]
    return head[: len(tails)] * _factor(head.dtype, tail_length) + tails


@lru_cache(maxsize=16)
def _factor(dtype: Any, power: int) -> Any:
    """The base to a power, of the type of the hashes."""
    width = 8 * dtype.itemsize
    return dtype.type(pow(_BASE & ((1 << width) - 1), power, 1 << width))


def _top_covered(grams: _Grams) -> list[int]:
    """Characters of each text that its most frequent n-gram covers; 0 where none occurs twice.

    Of several that are equally frequent the one with the smallest hash counts.
    """
    num_texts = len(grams.bounds) - 1
    is_top = np.zeros(num_texts, dtype=np.bool_)
    tops = np.zeros(num_texts, dtype=np.uint32)
    starts = np.array([start for start, end in pairwise(grams.bounds) if end > start], dtype=np.intp)
    if len(starts):
        # Where runs of equal hashes end: their lengths are the numbers of occurrences.
        changes = grams.ordered[1:] != grams.ordered[:-1]
        changes[starts[1:] - 1] = True
        ends = np.append(changes.nonzero()[0], len(grams.ordered) - 1)
        lengths = ends.copy()
        lengths[1:] -= ends[:-1]
        lengths[0] += 1
        # One number for both, so that the greatest has the greatest length and of those the first end.
        keys = (lengths << _HALF_BITS) + (_HALF_MASK - ends)
        best = np.maximum.reduceat(keys, ends.searchsorted(starts))
        texts = grams.numbers[starts]
        is_top[texts] = best >= _REPEATED << _HALF_BITS
        tops[texts] = grams.ordered[_HALF_MASK - (best & _HALF_MASK)]
    found = ((grams.hashes == tops.take(grams.numbers)) & is_top.take(grams.numbers)).nonzero()[0]
    if not len(found):
        return [0] * num_texts
    texts = grams.numbers[found]
    covered = np.full(len(found), grams.length)
    np.minimum(found[1:] - found[:-1], grams.length, out=covered[:-1])
    covered[:-1][texts[1:] != texts[:-1]] = grams.length
    return np.bincount(texts, covered, minlength=num_texts).astype(np.int64).tolist()


def _duplicate_shares(codes: Codes, sizes: Sequence[int], tens: _Grams) -> list[tuple[float, float]]:
    """Shares of the characters of each text inside a 10-gram, and inside a 20-gram, that occurred before."""
    shares = [(0.0, 0.0)] * len(sizes)
    again = tens.ordered[1:] == tens.ordered[:-1]
    again &= tens.numbers[1:] == tens.numbers[:-1]
    if not again.any():
        return shares
    ends = list(accumulate(sizes, initial=0))
    for text in np.unique(tens.numbers[1:][again]).tolist():
        start, end = tens.bounds[text : text + 2]
        repeated = tens.ordered[start + 1 : end][again[start : end - 1]]
        places = _repeated_places(tens.hashes[start:end], repeated)
        shares[text] = _duplicates_of_text(codes[ends[text] : ends[text + 1]], places)
    return shares


def _repeated_places(hashes: Codes, repeated: Codes) -> Positions:
    """Where n-grams stand whose hash is one of `repeated`, ascending; now and then one that is not."""
    marked = np.zeros(1 << _MARK_BITS, dtype=np.bool_)
    marked[repeated >> np.uint32(32 - _MARK_BITS)] = True
    return marked.take(hashes >> np.uint32(32 - _MARK_BITS)).nonzero()[0]


def _duplicates_of_text(codes: Codes, places: Positions) -> tuple[float, float]:
    """Shares of 10- and of 20-grams; `places` holds all 10-grams that occur more than once."""
    _, _, tens = _grams(codes.astype(np.uint64))
    # A 20-gram that occurred before begins with a 10-gram that did.
    twenties = _join(tens, tens, 10, 10)
    return (
        _duplicate_share(tens, places, 10, len(codes)),
        _duplicate_share(twenties, places[places < len(twenties)], 20, len(codes)),
    )


def _duplicate_share(hashes: Hashes, places: Positions, length: int, total: int) -> float:
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


def _covered(starts: Positions, length: int) -> int:
    """Characters covered by n-grams of `length` at `starts` (ascending)."""
    if len(starts) == 0:
        return 0
    return int(np.minimum(starts[1:] - starts[:-1], length).sum()) + length
