"""Figures of classifiers and filters, with intervals. Pure.

Legend: N rows, K classes, R resamples.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from icda._pvi import FloatArray, IntArray, codes_of
from twllm_runs.statistics import bootstrap_estimate, clopper_pearson_interval, proportion_estimate
from twllm_types import DataError, Estimate, EstimateUnit


def auroc(scores: ArrayLike, positives: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Share of pairs of a positive and a negative row that the score ranks rightly, ties as one half.

    Equals the area under the ROC curve (Hanley and McNeil 1982). The error is DeLong's (DeLong et al. 1988) by
    mid-ranks (Sun and Xu 2014), the interval normal, cut to [0, 1]. Where the order is perfect, or perfectly wrong,
    that error would be 0 and say nothing: there is none, and the interval is the exact one of as many independent pairs
    as the smaller side has rows. One row on a side gives neither error nor interval. No row on a side: no mean, the
    rows counted as unscored.

    Args:
        scores: higher for positives, finite, (N,).
        positives: truth of each row, (N,).
        level: coverage, in (0, 1).

    Raises:
        DataError: the columns differ in length, or a score is not finite.
        ConfigError: a level outside (0, 1).
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(positives, dtype=np.bool_)
    if values.ndim != 1 or values.shape != truth.shape:
        raise DataError(f"scores have shape {values.shape}, truth {truth.shape}; give one of each per row")
    if not np.isfinite(values).all():
        raise DataError(f"score of row {int(np.argmin(np.isfinite(values)))} is not finite; leave the row out")
    num_positive, num_negative = int(truth.sum()), int((~truth).sum())
    fewest = min(num_positive, num_negative)
    if not fewest:
        return _auroc_estimate(None, None, None, level=level, n=0, num_unscored=values.size)
    ranks = _mid_ranks(values)
    over_negatives = (ranks[truth] - _mid_ranks(values[truth])) / num_negative
    under_positives = 1 - (ranks[~truth] - _mid_ranks(values[~truth])) / num_positive
    mean = float(over_negatives.mean())
    if fewest == 1:
        return _auroc_estimate(mean, None, None, level=level, n=values.size)
    stderr = sqrt(over_negatives.var(ddof=1) / num_positive + under_positives.var(ddof=1) / num_negative)
    if mean in {0.0, 1.0}:
        interval = clopper_pearson_interval(int(mean) * fewest, fewest, level)
        return _auroc_estimate(mean, None, interval, level=level, n=values.size, exact=True)
    reach = NormalDist().inv_cdf((1 + level) / 2) * stderr
    return _auroc_estimate(mean, stderr, (max(0.0, mean - reach), min(1.0, mean + reach)), level=level, n=values.size)


def _auroc_estimate(
    mean: float | None,
    stderr: float | None,
    interval: tuple[float, float] | None,
    *,
    level: float,
    n: int,
    num_unscored: int = 0,
    exact: bool = False,
) -> Estimate:
    return Estimate(
        mean=mean,
        stderr=stderr,
        ci_low=None if interval is None else interval[0],
        ci_high=None if interval is None else interval[1],
        level=level,
        method="clopper-pearson over independent pairs" if exact else "delong",
        unit=EstimateUnit.SHARE,
        n=n,
        num_unscored=num_unscored,
    )


def _mid_ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1, the mean of their places for equal values."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def accuracy(predicted: Sequence[str], labels: Sequence[str], *, level: float = 0.95) -> Estimate:
    """Share of rows whose prediction is the label, with its Wilson interval. No rows: no mean.

    Raises:
        DataError: the columns differ in length.
        ConfigError: a level outside (0, 1).
    """
    _check_columns(predicted, labels)
    right = sum(one == other for one, other in zip(predicted, labels, strict=True))
    return proportion_estimate(right, len(labels), level=level)


def macro_f1(
    predicted: Sequence[str], labels: Sequence[str], *, seed: int, draws: int = 1000, level: float = 0.95
) -> Estimate:
    """Mean over classes of F1 = 2 tp / (rows of the class + predictions of it), with a percentile bootstrap interval.

    Classes are those that occur as label or prediction, as in sklearn's `f1_score(average="macro")`; each resample of
    rows has its own. No rows: no mean.

    Args:
        predicted: class of each row.
        labels: true class of each row.
        seed: of the resamples.
        draws: resamples, at least 2.
        level: coverage, in (0, 1).

    Raises:
        DataError: the columns differ in length.
        ConfigError: a level outside (0, 1), or fewer than two draws.
    """
    _check_columns(predicted, labels)
    names = tuple(dict.fromkeys([*labels, *predicted]))
    size = max(1, len(names))
    pairs = (codes_of(labels, names) * size + codes_of(predicted, names)).astype(np.float64)

    def statistic(rows: FloatArray) -> FloatArray:
        codes = rows.astype(np.int64)
        true, guess = codes // size, codes % size
        return _macro_f1_rows(true, guess, size)

    # resampled as pairs of codes, which are no shares; the figure is one
    found = bootstrap_estimate(pairs, statistic, unit=EstimateUnit.RATIO, seed=seed, draws=draws, level=level)
    return replace(found, unit=EstimateUnit.SHARE)


def _macro_f1_rows(true_RN: IntArray, guess_RN: IntArray, num_classes: int) -> FloatArray:
    hits = _count_rows(true_RN, true_RN == guess_RN, num_classes)
    everything = np.ones(true_RN.shape, dtype=np.bool_)
    either = _count_rows(true_RN, everything, num_classes) + _count_rows(guess_RN, everything, num_classes)
    f1 = np.divide(2 * hits, either, out=np.zeros(hits.shape), where=either > 0)
    return f1.sum(axis=1) / (either > 0).sum(axis=1)


def _count_rows(codes_RN: IntArray, counted_RN: NDArray[np.bool_], num_classes: int) -> IntArray:
    """How often each class occurs in each resample, (R, K)."""
    num_rows = codes_RN.shape[0]
    offsets: IntArray = num_classes * np.arange(num_rows, dtype=np.int64)[:, np.newaxis]
    moved: IntArray = codes_RN + offsets
    flat = moved[counted_RN]
    return np.bincount(flat, minlength=num_rows * num_classes).reshape(num_rows, num_classes)


def _check_columns(predicted: Sequence[str], labels: Sequence[str]) -> None:
    if len(predicted) != len(labels):
        raise DataError(f"{len(predicted)} predictions for {len(labels)} labels; give one of each per row")
