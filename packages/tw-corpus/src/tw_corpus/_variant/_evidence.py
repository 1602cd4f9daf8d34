"""The spans that speak most for a variety, collected while a text is read."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tw_corpus._variant._model import NUM_TRAINED, TRAINED, Floats, VariantModel
from tw_corpus._variant._sums import Block, Found
from tw_corpus._variant._types import EvidenceKind, EvidenceSpan, Variant

# Weaker spans say nothing that a reader could follow.
_MIN_WEIGHT = 0.5
# Candidates kept for each span that is asked for: overlapping ones fall away.
_CANDIDATES_PER_SPAN = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Strengths:
    """How much each n-gram of one vocabulary shows, and the column of the variety that it shows (0 for conversion)."""

    kind: EvidenceKind
    weights: Floats
    columns: npt.NDArray[np.intp]


@lru_cache(maxsize=4)
def _strengths(model: VariantModel) -> tuple[_Strengths, _Strengths, _Strengths]:
    """The tables of wording, orthography and conversion; a model is compared by identity."""
    residue = model.orthography_weights[:, NUM_TRAINED]
    return (
        _margins(EvidenceKind.WORDING, model.wording_weights[:, :NUM_TRAINED]),
        _margins(EvidenceKind.ORTHOGRAPHY, model.orthography_weights[:, :NUM_TRAINED]),
        _Strengths(
            kind=EvidenceKind.CONVERSION,
            weights=residue,
            columns=np.zeros(len(residue), dtype=np.intp),
        ),
    )


def _margins(kind: EvidenceKind, weights: Floats) -> _Strengths:
    """The largest weight of each n-gram less the mean of the others."""
    top = weights.max(axis=1)
    margins = top - (weights.sum(axis=1) - top) / (NUM_TRAINED - 1)
    return _Strengths(kind=kind, weights=margins, columns=weights.argmax(axis=1))


# Minus the weight, first offset, minus the last offset, column of the label, kind: the strongest sorts first.
_Candidate: TypeAlias = tuple[float, int, int, int, EvidenceKind]


class EvidenceCollector:
    """Keeps the strongest n-grams seen so far; what it holds does not grow with the text."""

    def __init__(self, model: VariantModel, *, max_spans: int) -> None:
        self._strengths = _strengths(model)
        self._max_spans = max_spans
        self._candidates: dict[tuple[EvidenceKind, int], _Candidate] = {}
        self._limit = max_spans * _CANDIDATES_PER_SPAN

    def add(self, block: Block) -> None:
        """Look at the n-grams of one more block."""
        if not self._max_spans:
            return
        wording, orthography, conversion = self._strengths
        self._add(block.wording, wording)
        self._add(block.orthography, orthography)
        self._add(block.orthography, conversion)
        if len(self._candidates) > self._limit:
            strongest = sorted(self._candidates.items(), key=lambda item: item[1])
            self._candidates = dict(strongest[: self._limit])

    def _add(self, found: Found, strengths: _Strengths) -> None:
        weights = strengths.weights[found.ids]
        strong = np.flatnonzero(weights >= _MIN_WEIGHT)
        # Of an n-gram that stands in several places the first one is shown.
        _, first = np.unique(found.ids[strong], return_index=True)
        strong = strong[first]
        strong = strong[np.argsort(-weights[strong], kind="stable")[: self._limit]]
        chosen = replace(found, indexes=found.indexes[strong], ids=found.ids[strong])
        starts = chosen.positions
        columns = (
            chosen.ids.tolist(),
            (-weights[strong]).tolist(),
            starts.tolist(),
            (-starts - chosen.orders).tolist(),
            strengths.columns[chosen.ids].tolist(),
        )
        for number, weight, start, end, column in zip(*columns, strict=True):
            self._candidates.setdefault((strengths.kind, number), (weight, start, end, column, strengths.kind))

    def spans(self, text: str, *, orthography: bool) -> tuple[EvidenceSpan, ...]:
        """The strongest spans that do not overlap, strongest first.

        Args:
            text: the text that the blocks came from.
            orthography: whether character forms count; they say nothing in Simplified text.
        """
        taken: list[EvidenceSpan] = []
        for weight, start, minus_end, column, kind in sorted(self._candidates.values()):
            if len(taken) == self._max_spans:
                break
            allowed = orthography or kind is EvidenceKind.WORDING
            if allowed and all(-minus_end <= other.start or other.end <= start for other in taken):
                taken.append(
                    EvidenceSpan(
                        start=start,
                        end=-minus_end,
                        text=text[start:-minus_end],
                        label=Variant.ZH_CN if kind is EvidenceKind.CONVERSION else TRAINED[column],
                        weight=-weight,
                        kind=kind,
                    )
                )
        return tuple(taken)
