"""One pass over a text: class counts, and the sums of the weights of the n-grams that are found.

The text is taken in blocks, so that memory does not grow with its length; n-grams across a block's end are counted
once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tw_corpus._characters import NUM_CLASSES, Codes, class_table, codes_of, count_classes
from tw_corpus._variant._model import NUM_ORTHOGRAPHY_COLUMNS, NUM_WORDING_COLUMNS, Doubles, Floats, VariantModel
from tw_corpus._variant._ngrams import (
    MAX_ORDER,
    Ids,
    Positions,
    Vocabulary,
    find,
    fold_table,
    hash_ngrams,
    is_orthographic,
)

_BLOCK_CHARS = 1 << 15
# From this many n-grams on, counting them first is cheaper than fetching a row of weights for each.
COUNT_FROM = 1 << 13


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """N-grams of one vocabulary in one block.

    The n-grams that were looked up stand in one row, those of one character first; where each of them stands in the
    text is worked out when somebody asks.

    Attributes:
        indexes: places in that row, rising.
        ids: their numbers.
        offsets: where the n-grams of each order begin in that row.
        places: position in the block of each n-gram in the row; None where each order has all positions.
        start: position of the block in the text.
    """

    indexes: Positions
    ids: Ids
    offsets: tuple[int, ...]
    places: Positions | None
    start: int

    @property
    def orders(self) -> Positions:
        """Number of characters of each n-gram."""
        return np.searchsorted(self.offsets, self.indexes, side="right")

    @property
    def positions(self) -> Positions:
        """Position in the text of the first character of each n-gram."""
        if self.places is not None:
            return self.places[self.indexes] + self.start
        return self.indexes - np.array(self.offsets)[self.orders - 1] + self.start


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """What one block of a text holds."""

    class_counts: npt.NDArray[np.intp]
    wording: Found
    orthography: Found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextSums:
    """Sums over a whole text.

    Attributes:
        class_counts: characters of each `CharClass`.
        wording: (7,) sums of wording weights.
        orthography: (5,) sums of orthography weights.
    """

    class_counts: npt.NDArray[np.intp]
    wording: Doubles
    orthography: Doubles


def blocks(model: VariantModel, text: str) -> Iterator[Block]:
    """Find the n-grams of `text`, block by block; none for empty text."""
    for start in range(0, len(text), _BLOCK_CHARS):
        stop = min(start + _BLOCK_CHARS, len(text))
        # A character more on the left and two on the right: n-grams that cross the border belong to their first one.
        raw = codes_of(text[start : stop + MAX_ORDER - 1])
        size = stop - start
        yield Block(
            class_counts=count_classes(class_table()[raw[:size]]),
            wording=_find_wording(model.wording, raw, size, start),
            orthography=_find_orthography(model.orthography, raw, size, start),
        )


def _find_wording(vocabulary: Vocabulary, raw: Codes, size: int, start: int) -> Found:
    single, pair, triple = (hashes[:size] for hashes in hash_ngrams(fold_table()[raw]))
    indexes, ids = find(vocabulary, np.concatenate((single, pair, triple)))
    offsets = (0, len(single), len(single) + len(pair))
    return Found(indexes=indexes, ids=ids, offsets=offsets, places=None, start=start)


def _find_orthography(vocabulary: Vocabulary, raw: Codes, size: int, start: int) -> Found:
    marked = is_orthographic()[raw]
    singles = np.flatnonzero(marked[:size])
    pairs = np.flatnonzero((marked[:-1] | marked[1:])[:size])
    single, pair = hash_ngrams(raw, 2)
    indexes, ids = find(vocabulary, np.concatenate((single[singles], pair[pairs])))
    places = np.concatenate((singles, pairs))
    return Found(indexes=indexes, ids=ids, offsets=(0, len(singles)), places=places, start=start)


def sum_block(model: VariantModel, block: Block) -> TextSums:
    """The sums over one block."""
    return TextSums(
        class_counts=block.class_counts,
        wording=_sum_weights(block.wording, model.wording_weights),
        orthography=_sum_weights(block.orthography, model.orthography_weights),
    )


def add_sums(first: TextSums, second: TextSums) -> TextSums:
    """The sums over two pieces of a text."""
    return TextSums(
        class_counts=first.class_counts + second.class_counts,
        wording=first.wording + second.wording,
        orthography=first.orthography + second.orthography,
    )


def empty_sums() -> TextSums:
    """The sums of empty text."""
    return TextSums(
        class_counts=np.zeros(NUM_CLASSES, dtype=np.intp),
        wording=np.zeros(NUM_WORDING_COLUMNS),
        orthography=np.zeros(NUM_ORTHOGRAPHY_COLUMNS),
    )


def _sum_weights(found: Found, weights: Floats) -> Doubles:
    if len(found.ids) >= COUNT_FROM:
        counts = np.bincount(found.ids, minlength=len(weights)).astype(np.float32)
        return (counts @ weights).astype(np.float64)
    return weights[found.ids].sum(axis=0, dtype=np.float64)
