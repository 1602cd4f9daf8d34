"""Pointwise V-information: how much a text tells a family of classifiers about its label.

Legend: N rows, K classes. Log-probabilities are natural (nats) where they enter; information leaves in bits. Pure.

Mind the names of Ethayarajh et al. 2022 (Understanding Dataset Difficulty with V-Usable Information): g' is the model
that sees the input and g the null model, fitted on empty inputs. Much second-hand text swaps them.
"""

from collections.abc import Sequence
from math import log
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twllm_runs.statistics import mean_estimate
from twllm_types import DataError, Estimate, EstimateUnit

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

# Probability zero counts as this, as in the pilots of the brief (§7): -inf would decide every mean.
LOG_FLOOR = log(1e-12)
# log-softmax in float32 may end a rounding error above zero
_ROUNDING = 1e-6


def pointwise_v_information(logp_with_input: ArrayLike, logp_null: ArrayLike) -> FloatArray:
    """PVI(x -> y) = -log2 g[null](y) + log2 g'[x](y), shape (N,), bits (Ethayarajh et al. 2022, eq. 4).

    At most -log2 g[null](y), which is log2 K for balanced classes; negative where the text misleads the model. The two
    models must have been fitted on real seeds only. No rows give an empty array.

    Args:
        logp_with_input: ln g'[x](y) of each row's label, shape (N,).
        logp_null: ln g[null](y), shape (N,), or one number for all.

    Returns:
        (logp_with_input - logp_null) / ln 2, after both were raised to ln 1e-12 where they are lower (-inf too).

    Raises:
        DataError: a value is NaN or above 0 (by more than float32 rounding, 1e-6), or the shapes differ; the first such
            row is named.
    """
    given = clip_logps(logp_with_input, name="logp_with_input")
    null = clip_logps(logp_null, name="logp_null")
    if given.ndim != 1 or null.shape not in {(), given.shape}:
        raise DataError(
            f"logp_with_input has shape {given.shape}, logp_null {null.shape}; give one number per row each"
        )
    return (given - null) / log(2)


def clip_logps(logps: ArrayLike, *, name: str) -> FloatArray:
    """Natural log-probabilities as float64 within [ln 1e-12, 0].

    Raises:
        DataError: a value is NaN or above 0; it and its place are named.
    """
    values = np.asarray(logps, dtype=np.float64)
    # written so that NaN, for which no comparison holds, does not pass
    wrong = ~(values <= _ROUNDING)
    if wrong.any():
        place = np.unravel_index(int(np.argmax(wrong)), values.shape)
        where = ", ".join(str(int(axis)) for axis in place)
        raise DataError(f"{name}[{where}] is {values[place]}; give a natural logarithm of a probability, <= 0")
    return np.clip(values, LOG_FLOOR, 0.0)


def prior_null_logps(labels: Sequence[str], classes: Sequence[str]) -> FloatArray:
    """The null model in closed form: ln of each class's share of the seeds, shape (K,), nats.

    A softmax with nothing but a bias, fitted by log loss, IS the empirical prior. A class without seeds has ln 1e-12.

    Args:
        labels: of the seeds that the classifier was fitted on.
        classes: in the order of the result.

    Raises:
        DataError: no label, or one that is none of the classes.
    """
    if not labels:
        raise DataError("there is no label to take shares of; give the labels of the seeds")
    counts = np.bincount(codes_of(labels, classes, strict=True), minlength=len(classes))
    shares = np.maximum(counts / len(labels), np.exp(LOG_FLOOR))
    return np.maximum(np.log(shares), LOG_FLOOR)


def codes_of(labels: Sequence[str], classes: Sequence[str], *, strict: bool = False) -> IntArray:
    """Place of each label among the classes, shape (N,); -1 for an unknown one.

    Raises:
        DataError: a class stands there twice, or, where `strict`, a label is unknown.
    """
    places = {name: place for place, name in enumerate(classes)}
    if len(places) != len(classes):
        raise DataError(f"{len(classes)} classes have {len(places)} distinct names; name each class once")
    codes = np.fromiter((places.get(label, -1) for label in labels), dtype=np.int64, count=len(labels))
    if strict and codes.size and codes.min() < 0:
        row = int(np.argmin(codes))
        raise DataError(f"label {labels[row]!r} of row {row} is none of the {len(classes)} classes; correct it")
    return codes


def label_logps(logps_NK: ArrayLike, labels: Sequence[str], classes: Sequence[str]) -> FloatArray:
    """Log-probability of each row's own label, shape (N,), nats; ln 1e-12 where the classifier does not know it.

    Args:
        logps_NK: natural log-probabilities, rows by classes.
        labels: one per row.
        classes: of the columns.

    Raises:
        DataError: shapes do not fit, or a value that is taken is NaN or above 0.
    """
    table = np.asarray(logps_NK)
    if table.shape != (len(labels), len(classes)):
        raise DataError(
            f"log-probabilities have shape {table.shape} for {len(labels)} labels and {len(classes)} classes; "
            f"give shape ({len(labels)}, {len(classes)})"
        )
    codes = codes_of(labels, classes)
    return gather_logps(table, codes, name="logps")


def gather_logps(logps_NK: NDArray[np.floating], codes: IntArray, *, name: str) -> FloatArray:
    """The column `codes` of each row, clipped; ln 1e-12 where the code is -1. Without classes, all are -1."""
    if not logps_NK.shape[1]:
        return np.full(codes.size, LOG_FLOOR)
    taken = clip_logps(logps_NK[np.arange(codes.size), np.maximum(codes, 0)], name=name)
    return np.where(codes >= 0, taken, LOG_FLOOR)


def v_information(pvi: ArrayLike, *, intents: Sequence[str] | None = None, level: float = 0.95) -> Estimate:
    """I_V(X -> Y), the mean PVI of held-out rows, in bits, with a Student interval.

    Meaningful only for rows that the classifier was not fitted on. No rows: no mean.

    Args:
        pvi: bits, shape (N,), of distinct rows.
        intents: label per row, where rows of one intent shall count as dependent (clusters).
        level: coverage, in (0, 1).

    Raises:
        DataError: a value is not finite, or there is another number of intents.
        ConfigError: a level outside (0, 1).
    """
    values = np.asarray(pvi, dtype=np.float64)
    return mean_estimate(values, unit=EstimateUnit.BITS, clusters=intents, level=level)
