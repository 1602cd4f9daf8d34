"""Exact search for near-equal texts by the Jaccard similarity of their character trigrams. Pure.

An incremental join with prefix and length filters (Chaudhuri et al. 2006; Bayardo et al. 2007, AllPairs). Two sets of
similarity t or more, both sorted by one order of all trigrams, share a trigram among their first |A| - ceil(t |A|) + 1:
only these are indexed. The order is fixed when a trigram is first seen: rare ones first, so that lists stay short. What
is left is compared by signatures of 256 bits, whose differing bits are never more than the differing trigrams.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor

# ceil(0.9 * 10) must be 9 though 0.9 * 10 may be 9.000000000000002
_SLACK = 1e-9
_SIGNATURE_BITS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicate:
    """What a text is near to.

    Attributes:
        id: of the earlier row, None where it has none.
        similarity: Jaccard, in [threshold, 1].
    """

    id: str | None
    similarity: float


def trigrams(text: str) -> frozenset[str]:
    """Sets of three neighbouring characters; a shorter text is its own only one. An empty text has none."""
    if len(text) < 3:
        return frozenset((text,)) if text else frozenset()
    return frozenset(text[start : start + 3] for start in range(len(text) - 2))


class NearDuplicates:
    """Texts seen so far, in groups; finds one that is near to a new text.

    Args:
        threshold: least Jaccard similarity that counts, in (0, 1].
        common: texts like those to come, which say what trigrams are common; bears on speed only.
    """

    def __init__(self, threshold: float, *, common: Iterable[str] = ()) -> None:
        self._threshold = threshold
        counts = Counter(gram for text in common for gram in trigrams(text))
        # a high number is rare: unseen trigrams get the highest
        self._numbers = {gram: number for number, (gram, _) in enumerate(counts.most_common())}
        self._rows: list[tuple[tuple[int, ...], str | None]] = []
        self._signatures: list[int] = []
        # places by group and trigram, then by the size of their sets
        self._lists: dict[tuple[str | None, int], dict[int, list[int]]] = {}

    def add(self, text: str, *, group: str | None, row_id: str | None) -> None:
        """Remember a normalised text; group None is compared with every group. An empty text is near to none."""
        numbers = self._encode(text)
        for number in numbers[: self._prefix(len(numbers))]:
            by_size = self._lists.setdefault((group, number), {})
            by_size.setdefault(len(numbers), []).append(len(self._rows))
        self._rows.append((numbers, row_id))
        self._signatures.append(_signature(numbers))

    def find(self, text: str, *, group: str | None) -> NearDuplicate | None:
        """The first seen text of the group, or of no group, that is near enough; None where there is none."""
        numbers = self._encode(text)
        known = frozenset(numbers)
        for place in sorted(self._similar_signatures(numbers, group)):
            other, row_id = self._rows[place]
            shared = len(known.intersection(other))
            similarity = shared / (len(numbers) + len(other) - shared)
            if similarity >= self._threshold - _SLACK:
                return NearDuplicate(id=row_id, similarity=similarity)
        return None

    def _similar_signatures(self, numbers: tuple[int, ...], group: str | None) -> set[int]:
        """Places that may be near enough; none that is near enough is missing."""
        size, signature, signatures = len(numbers), _signature(numbers), self._signatures
        low, high = ceil(self._threshold * size - _SLACK), floor(size / self._threshold + _SLACK)
        places: set[int] = set()
        for number in numbers[: self._prefix(size)]:
            for key in {(group, number), (None, number)}:
                for other_size, listed in self._lists.get(key, {}).items():
                    if low <= other_size <= high:
                        most = self._most_differing(size + other_size)
                        places.update(at for at in listed if (signatures[at] ^ signature).bit_count() <= most)
        return places

    def _most_differing(self, sizes: int) -> int:
        """Most trigrams in one set and not in the other: sizes - 2 overlap, overlap >= t / (1 + t) sizes."""
        return sizes - 2 * ceil(self._threshold / (1 + self._threshold) * sizes - _SLACK)

    def _encode(self, text: str) -> tuple[int, ...]:
        """Numbers of the trigrams, rare first."""
        numbers = self._numbers
        # sorted, so that new numbers do not depend on the order of a set
        return tuple(sorted((numbers.setdefault(gram, len(numbers)) for gram in sorted(trigrams(text))), reverse=True))

    def _prefix(self, size: int) -> int:
        return size - ceil(self._threshold * size - _SLACK) + 1 if size else 0


def _signature(numbers: Iterable[int]) -> int:
    bits = 0
    for number in numbers:
        bits |= 1 << (number % _SIGNATURE_BITS)
    return bits
