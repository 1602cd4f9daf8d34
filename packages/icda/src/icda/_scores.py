"""Scores of candidates: what selection looks at, of constant size per row. Pure.

The table of log-probabilities (N rows by K classes) is read once, batch by batch, and not kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np
from numpy.typing import ArrayLike

from icda._pvi import LOG_FLOOR, FloatArray, IntArray, clip_logps, codes_of, gather_logps
from twllm_types import DataError


# arrays have no one answer to ==, and cached values need a __dict__
@dataclass(frozen=True, kw_only=True, eq=False)
class CandidateScores:
    """What a classifier says of N candidates.

    Attributes:
        ids: of the candidates.
        intents: the intent that each was asked for.
        classes: intents that the classifier knows, K.
        asked: place of each asked intent in `classes`, -1 where the classifier does not know it; (N,).
        logps: ln g'[x](asked), nats, >= ln 1e-12, and that where it is unknown; (N,).
        best: place of the intent with the highest probability, the first of equals; (N,).
        best_logps: its log-probability; (N,).
        null_logps: ln g[null](y) of the classes; (K,).
        nearest: place of the nearest intent by features, or None where it was not computed; (N,).
    """

    ids: tuple[str, ...]
    intents: tuple[str, ...]
    classes: tuple[str, ...]
    asked: IntArray
    logps: FloatArray
    best: IntArray
    best_logps: FloatArray
    null_logps: FloatArray
    nearest: IntArray | None = None

    def __post_init__(self) -> None:
        num_rows = len(self.ids)
        near = () if self.nearest is None else (self.nearest,)
        columns = (self.asked, self.logps, self.best, self.best_logps, *near)
        if len(self.intents) != num_rows or any(column.shape != (num_rows,) for column in columns):
            raise DataError(
                f"candidate scores have columns of other lengths than their {num_rows} ids; give one per row"
            )
        if self.null_logps.shape != (len(self.classes),):
            raise DataError(
                f"null_logps has shape {self.null_logps.shape} for {len(self.classes)} classes; give one per class"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def pvi(self) -> FloatArray:
        """PVI under the asked intent, bits, (N,); 0 where the classifier does not know it."""
        null = np.append(self.null_logps, LOG_FLOOR)[self.asked]
        return (self.logps - null) / log(2)

    @cached_property
    def best_pvi(self) -> FloatArray:
        """PVI under the intent that the classifier prefers, bits, (N,)."""
        return (self.best_logps - self.null_logps[self.best]) / log(2)


def scores_from_logps(
    ids: Sequence[str],
    intents: Sequence[str],
    logps_NK: ArrayLike,
    classes: Sequence[str],
    *,
    null_logps: ArrayLike,
    nearest: IntArray | None = None,
) -> CandidateScores:
    """Reduce one batch of log-probabilities; the table is read once and not changed.

    Args:
        ids: of the candidates.
        intents: asked for.
        logps_NK: natural log-probabilities, rows by classes.
        classes: of the columns, at least one.
        null_logps: of the null model, (K,), nats.
        nearest: from `nearest_intents`, where it shall be compared.

    Raises:
        DataError: shapes do not fit, no class, or a row's highest or asked log-probability is NaN or above 0.
    """
    table = np.asarray(logps_NK)
    if table.shape != (len(ids), len(classes)) or not classes or len(ids) != len(intents):
        raise DataError(
            f"log-probabilities have shape {table.shape} for {len(ids)} ids, {len(intents)} intents and "
            f"{len(classes)} classes; give one row per id and one column per class"
        )
    codes = codes_of(intents, classes)
    # NaN wins an argmax, so the highest value of a row shows one anywhere in it
    best = table.argmax(axis=1).astype(np.int64, copy=False)
    return CandidateScores(
        ids=tuple(ids),
        intents=tuple(intents),
        classes=tuple(classes),
        asked=codes,
        logps=gather_logps(table, codes, name="logps"),
        best=best,
        best_logps=gather_logps(table, best, name="best logps"),
        null_logps=clip_logps(null_logps, name="null_logps"),
        nearest=nearest,
    )


def join_scores(parts: Sequence[CandidateScores]) -> CandidateScores:
    """Put batches together, in their order.

    Raises:
        DataError: no batch, other classes or null models, or `nearest` in some only.
    """
    if not parts:
        raise DataError("there is no batch of scores to join; give at least one")
    first = parts[0]
    near = [part.nearest for part in parts if part.nearest is not None]
    same = all(part.classes == first.classes and np.array_equal(part.null_logps, first.null_logps) for part in parts)
    if not same or len(near) not in {0, len(parts)}:
        raise DataError("batches of scores differ in classes, null model or `nearest`; score all with one classifier")
    return CandidateScores(
        ids=tuple(one for part in parts for one in part.ids),
        intents=tuple(one for part in parts for one in part.intents),
        classes=first.classes,
        asked=np.concatenate([part.asked for part in parts]),
        logps=np.concatenate([part.logps for part in parts]),
        best=np.concatenate([part.best for part in parts]),
        best_logps=np.concatenate([part.best_logps for part in parts]),
        null_logps=first.null_logps,
        nearest=np.concatenate(near) if near else None,
    )
