"""The sums over several texts: short ones together, since a call of numpy costs more than a short text does.

The sums are the same as of each text alone, to the last bit: the weights of a stored model have 16 bits, which 64-bit
floats add without rounding, in whatever order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tw_corpus._characters import NUM_CLASSES
from tw_corpus._joined import JoinedTexts, Numbers, groups, join_texts
from tw_corpus._variant._model import Doubles, Floats, VariantModel
from tw_corpus._variant._ngrams import Ids, find, fold_table, hash_ngrams, is_orthographic
from tw_corpus._variant._sums import COUNT_FROM, TextSums, add_sums, blocks, empty_sums, sum_block

# A longer text may hold so many n-grams that they are summed in another way, which rounds.
_SHORT_CHARS = COUNT_FROM // 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SumsOfEach:
    """Sums over D texts.

    Attributes:
        class_counts: characters of each `CharClass`, by text.
        wording: (D, 7) sums of wording weights.
        orthography: (D, 5) sums of orthography weights.
    """

    class_counts: list[list[int]]
    wording: Doubles
    orthography: Doubles


def sum_text(model: VariantModel, text: str) -> TextSums:
    """The sums over one text."""
    sums = empty_sums()
    for block in blocks(model, text):
        sums = add_sums(sums, sum_block(model, block))
    return sums


def as_sums_of_each(sums: TextSums) -> SumsOfEach:
    """The sums over one text as those over several."""
    return SumsOfEach(
        class_counts=[sums.class_counts.tolist()], wording=sums.wording[None], orthography=sums.orthography[None]
    )


def sum_each(model: VariantModel, texts: Sequence[str]) -> SumsOfEach:
    """The sums over each of `texts`."""
    class_counts: list[list[int]] = [[0] * NUM_CLASSES] * len(texts)
    wording = np.zeros((len(texts), model.wording_weights.shape[1]))
    orthography = np.zeros((len(texts), model.orthography_weights.shape[1]))
    for rows, sums in _parts(model, texts):
        wording[rows] = sums.wording
        orthography[rows] = sums.orthography
        for row, counts in zip(rows, sums.class_counts, strict=True):
            class_counts[row] = counts
    return SumsOfEach(class_counts=class_counts, wording=wording, orthography=orthography)


def _parts(model: VariantModel, texts: Sequence[str]) -> Iterator[tuple[Sequence[int], SumsOfEach]]:
    """Numbers and sums of texts: of each long one, and of groups of short ones."""
    short = [number for number, text in enumerate(texts) if len(text) <= _SHORT_CHARS]
    for number, text in enumerate(texts):
        if len(text) > _SHORT_CHARS:
            yield [number], as_sums_of_each(sum_text(model, text))
    start = 0
    for group in groups([texts[number] for number in short]):
        yield short[start : start + len(group)], _sum_joined(model, join_texts(group))
        start += len(group)


def _sum_joined(model: VariantModel, joined: JoinedTexts) -> SumsOfEach:
    singles, pairs, triples = hash_ngrams(fold_table().take(joined.codes))
    indexes, ids = find(model.wording, np.concatenate((singles, pairs, triples)))
    orders = np.searchsorted((len(singles), len(singles) + len(pairs)), indexes, side="right")
    offsets = np.array((0, len(singles), len(singles) + len(pairs)))
    wording = _sum_weights(joined, indexes - offsets[orders], orders, ids, model.wording_weights)
    marked = is_orthographic().take(joined.codes)
    places = marked.nonzero()[0], (marked[:-1] | marked[1:]).nonzero()[0]
    singles, pairs = hash_ngrams(joined.codes, 2)
    indexes, ids = find(model.orthography, np.concatenate((singles[places[0]], pairs[places[1]])))
    orders = (indexes >= len(places[0])).astype(np.intp)
    orthography = _sum_weights(joined, np.concatenate(places)[indexes], orders, ids, model.orthography_weights)
    return SumsOfEach(class_counts=joined.class_counts(), wording=wording, orthography=orthography)


def _sum_weights(joined: JoinedTexts, starts: Numbers, orders: Numbers, ids: Ids, weights: Floats) -> Doubles:
    """Sum the weights of the n-grams of each text.

    Args:
        joined: the texts.
        starts: position of the first character of each n-gram.
        orders: number of its further characters; where they reach the line feed behind a text it is none of the text.
        ids: its number.
        weights: of all n-grams.
    """
    numbers = joined.numbers[starts]
    inside = starts + orders < joined.ends[numbers]
    numbers, ids = numbers[inside], ids[inside]
    order = numbers.argsort(kind="stable")
    numbers, ids = numbers[order], ids[order]
    sums = np.zeros((len(joined.texts), weights.shape[1]))
    if len(ids):
        first = np.append(0, (numbers[1:] != numbers[:-1]).nonzero()[0] + 1)
        sums[numbers[first]] = np.add.reduceat(weights[ids], first, axis=0, dtype=np.float64)
    return sums
