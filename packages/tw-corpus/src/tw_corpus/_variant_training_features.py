"""From texts to the counts that weights are fitted on: the n-grams worth counting, and their counts.

Shapes: N texts, V wording n-grams, U orthography n-grams.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tw_corpus._characters import NUM_CLASSES, class_table, codes_of
from tw_corpus._script import TRADITIONAL, decide_script, script_counts
from tw_corpus._variant._classify import scaled
from tw_corpus._variant._model import (
    NUM_ORTHOGRAPHY_COLUMNS,
    NUM_RESIDUE,
    NUM_TRAINED,
    NUM_WORDING_COLUMNS,
    TRAINED,
    VariantModel,
)
from tw_corpus._variant._ngrams import MAX_NGRAMS, build_vocabulary, fold, fold_table, is_orthographic
from tw_corpus._variant._other import MARKED
from tw_corpus._variant._sums import blocks
from tw_corpus._variant_training_fit import SparseRows, sparse_rows
from tw_corpus._variant_training_labels import regional_terms

_BITS = 21


def untrained_model(texts: Sequence[str], min_count: Sequence[int], *, exclude: frozenset[str]) -> VariantModel:
    """A model with the hand-written words and the frequent n-grams of `texts`, prior weights, and no calibration.

    Args:
        texts: to count n-grams in.
        min_count: occurrences of an n-gram of order 1, 2, 3 below which it is left out.
        exclude: script-folded n-grams to leave out.
    """
    terms = regional_terms()
    codes = codes_of("\n".join(texts))
    frequent = _frequent(fold_table()[codes], min_count, first=list(terms))
    wording = build_vocabulary([ngram for ngram in frequent if ngram not in exclude])
    forms = _frequent_around(codes, min_count)
    orthography = build_vocabulary([ngram for ngram in forms if fold(ngram) not in exclude])
    weights = np.zeros((len(wording.ngrams) + 1, NUM_WORDING_COLUMNS), dtype=np.float32)
    columns = [*(variant.value for variant in TRAINED), *(reason.value for reason in MARKED)]
    for number, ngram in enumerate(wording.ngrams, 1):
        for label, weight in terms.get(ngram, {}).items():
            weights[number, columns.index(label)] = weight
    weights[:, :NUM_TRAINED] -= weights[:, :NUM_TRAINED].mean(axis=1, keepdims=True)
    return VariantModel(
        wording=wording,
        wording_weights=weights,
        orthography=orthography,
        orthography_weights=np.zeros((len(orthography.ngrams) + 1, NUM_ORTHOGRAPHY_COLUMNS), dtype=np.float32),
        lengths=np.array([1.0, 2.0]),
        scales=np.ones(2),
        biases=np.zeros((2, NUM_TRAINED)),
        residue=np.zeros(NUM_RESIDUE),
    )


def _packed(codes: npt.NDArray[np.uint32], order: int) -> npt.NDArray[np.uint64]:
    """Each n-gram as one number, 21 bits a character; 0 where a character of it is 0."""
    size = max(len(codes) - order + 1, 0)
    packed = np.zeros(size, dtype=np.uint64)
    whole = np.ones(size, dtype=np.bool_)
    for offset in range(order):
        part = codes[offset : offset + size].astype(np.uint64)
        packed = (packed << np.uint64(_BITS)) | part
        whole &= part != 0
    return np.where(whole, packed, np.uint64(0))


def _unpacked(value: int, order: int) -> str:
    mask = (1 << _BITS) - 1
    return "".join(chr((value >> (_BITS * (order - 1 - offset))) & mask) for offset in range(order))


def _frequent(codes: npt.NDArray[np.uint32], min_count: Sequence[int], *, first: Sequence[str]) -> list[str]:
    """The n-grams that occur often enough, after `first`, most frequent first."""
    counted: Counter[str] = Counter()
    for order, least in enumerate(min_count, 1):
        values, counts = np.unique(_packed(codes, order), return_counts=True)
        often = (counts >= least) & (values != 0)
        for value, count in zip(values[often].tolist(), counts[often].tolist(), strict=True):
            counted[_unpacked(value, order)] = count
    known = set(first)
    rest = [ngram for ngram, _ in counted.most_common() if ngram not in known]
    return [*first, *rest][:MAX_NGRAMS]


def _frequent_around(raw: npt.NDArray[np.uint32], min_count: Sequence[int]) -> list[str]:
    """The n-grams of order 1 and 2, as written, that hold a character with several Traditional forms."""
    codes = np.where(fold_table()[raw] != 0, raw, np.uint32(0))
    marked = is_orthographic()
    frequent = _frequent(codes, min_count[:2], first=[])
    return [ngram for ngram in frequent if any(marked[ord(character)] for character in ngram)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """What the weights are multiplied by, for N texts.

    Attributes:
        wording: (N, V + 1) counts of the wording n-grams, scaled by the length.
        forms: (N, U + 1) the same of the orthography n-grams; zero for text that is not Traditional.
        num_han: (N,) ideographs.
        traditional: (N,) whether the script is Traditional or mixed.
    """

    wording: SparseRows
    forms: SparseRows
    num_han: npt.NDArray[np.int64]
    traditional: npt.NDArray[np.bool_]


def extract_features(model: VariantModel, texts: Sequence[str]) -> Features:
    """The features of many texts in one pass over all of them; line feeds part them, which no n-gram crosses."""
    joined = "\n".join(texts)
    ends = np.cumsum([len(text) + 1 for text in texts])
    classes = class_table()[codes_of(joined)]
    of_text = np.repeat(np.arange(len(texts)), np.diff(ends, prepend=0))[: len(joined)]
    counts = np.bincount(of_text * NUM_CLASSES + classes, minlength=len(texts) * NUM_CLASSES)
    counts = counts.reshape(len(texts), NUM_CLASSES)
    scripts = [script_counts(row) for row in counts]
    num_han = np.array([script.num_han for script in scripts], dtype=np.int64)
    traditional = np.array([decide_script(script) in TRADITIONAL for script in scripts], dtype=np.bool_)
    wording: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []
    forms: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []
    for block in blocks(model, joined):
        wording.append((of_text[block.wording.positions], block.wording.ids))
        forms.append((of_text[block.orthography.positions], block.orthography.ids))
    scales = np.array([float(scaled(np.ones(1), int(length))[0]) for length in num_han])
    rows, ids = (np.concatenate([pair[side] for pair in forms]) for side in (0, 1))
    kept = traditional[rows]
    return Features(
        wording=sparse_rows(
            np.concatenate([rows for rows, _ in wording]),
            np.concatenate([ids for _, ids in wording]),
            scales,
            len(model.wording_weights),
        ),
        forms=sparse_rows(rows[kept], ids[kept], scales, len(model.orthography_weights)),
        num_han=num_han,
        traditional=traditional,
    )


def beside(first: SparseRows, second: SparseRows) -> SparseRows:
    """The columns of `second` behind those of `first`."""
    sizes = np.diff(first.starts) + np.diff(second.starts)
    columns = np.concatenate([first.columns, second.columns + np.int32(first.num_columns)])
    row_of = np.concatenate([np.repeat(np.arange(part.num_rows), np.diff(part.starts)) for part in (first, second)])
    order = np.argsort(row_of, kind="stable")
    return SparseRows(
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        columns=columns[order],
        values=np.concatenate([first.values, second.values])[order],
        num_columns=first.num_columns + second.num_columns,
    )
