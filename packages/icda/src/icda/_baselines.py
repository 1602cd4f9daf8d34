"""Thresholds and scores of the rules that PVI is compared with. Pure.

Legend: N candidates, S seeds, D features, K classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from icda._pvi import FloatArray, IntArray, clip_logps, codes_of
from icda._thresholds import EstimatedOn, Thresholds, ThresholdScale, class_thresholds
from twllm_types import DataError

_BATCH_ROWS = 2048
# Length of a mean of unit vectors in float32 that may be rounding alone.
_NO_DIRECTION = 1e-6


def self_confidence_thresholds(
    logps: ArrayLike,
    labels: Sequence[str],
    *,
    estimated_on: EstimatedOn | str,
    min_count: int = 1,
    classes: Sequence[str] | None = None,
) -> Thresholds:
    """Mean probability of each intent's own rows: the thresholds of confident learning (Northcutt et al. 2021).

    Formula as in arXiv 1911.00068, eq. 2; computed here, without cleanlab. ICDA's mean of log p is its geometric
    cousin, never above it (Jensen).

    Args:
        logps: ln p(label | text) of held-out rows, nats, (N,).
        labels: true label of each row.
        estimated_on: which rows these are.
        min_count: an intent with fewer rows takes the mean of all rows.
        classes: all intents; None for those of `labels`.

    Raises:
        DataError: no row, other shapes, a value that is no log-probability, or a label that is none of the classes.
        ConfigError: `min_count` below 1, or no such source.
    """
    return class_thresholds(
        np.exp(clip_logps(logps, name="logps")),
        labels,
        estimated_on=estimated_on,
        min_count=min_count,
        classes=classes,
        scale=ThresholdScale.PROBABILITY,
    )


# features are dense arrays or sparse matrices of scipy, which this ring does not import; both know @ and .T
def nearest_intents(
    features_ND: Any, seed_features_SD: Any, seed_labels: Sequence[str], classes: Sequence[str]
) -> IntArray:
    """Place of the intent whose seeds are nearest by cosine to their mean direction, (N,); the first of equals.

    The idea of DDAIR (arXiv 2601.11234), which regenerates utterances that lie nearer to another intent.

    cos(x, c_k) with c_k the mean of the unit vectors of the seeds of k. The c_k are dense, D times K numbers;
    at most 2048 rows times K cosines are held. Products are in the precision of the features.

    Args:
        features_ND: of the candidates, dense or sparse.
        seed_features_SD: of the seeds.
        seed_labels: intent of each seed.
        classes: in the order of the result; one without a seed, or whose seeds cancel each other, is never nearest.

    Raises:
        DataError: no seed, shapes that do not fit, or a label that is none of the classes.
    """
    num_seeds = int(seed_features_SD.shape[0])
    if num_seeds != len(seed_labels) or not num_seeds or features_ND.shape[1] != seed_features_SD.shape[1]:
        raise DataError(
            f"features have shapes {features_ND.shape} and {seed_features_SD.shape} for {len(seed_labels)} seed "
            "labels; give one row per seed, at least one, and the same columns"
        )
    codes = codes_of(seed_labels, classes, strict=True)
    norms = _row_norms(seed_features_SD)
    shares_SK = np.zeros((num_seeds, len(classes)))
    # a seed without features has no direction
    shares_SK[np.arange(num_seeds), codes] = np.divide(1.0, norms, out=np.zeros(num_seeds), where=norms > 0)
    directions_DK = _dense(seed_features_SD.T @ shares_SK)
    lengths = np.linalg.norm(directions_DK, axis=0)
    # seeds that cancel each other leave rounding errors, which are no direction
    empty = lengths <= _NO_DIRECTION * np.bincount(codes, minlength=len(classes))
    directions_DK[:, ~empty] /= lengths[~empty]
    directions_DK = directions_DK.astype(np.result_type(features_ND.dtype, np.float32))
    found = np.empty(features_ND.shape[0], dtype=np.int64)
    for start in range(0, found.size, _BATCH_ROWS):
        cosines = _dense(features_ND[start : start + _BATCH_ROWS] @ directions_DK)
        cosines[:, empty] = -np.inf
        found[start : start + _BATCH_ROWS] = cosines.argmax(axis=1)
    return found


def _row_norms(features: Any) -> FloatArray:
    if hasattr(features, "multiply"):
        return np.sqrt(np.asarray(features.multiply(features).sum(axis=1), dtype=np.float64).ravel())
    return np.linalg.norm(np.asarray(features, dtype=np.float64), axis=1)


def _dense(product: Any) -> FloatArray:
    return np.asarray(product.toarray() if hasattr(product, "toarray") else product, dtype=np.float64)
