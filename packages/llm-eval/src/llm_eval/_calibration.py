"""From a judge's scores to the human scale, checked on items that the map has not seen."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from llm_eval._columns import FloatArray, Labels, Units, Values, as_point_pair, as_points, near_one, read_units
from twllm_runs.statistics import mean_estimate
from twllm_types import ConfigError, Estimate, EstimateUnit

_Map: TypeAlias = Callable[[FloatArray], FloatArray]


class CalibrationMethod(StrEnum):
    """The shape of the map: a straight line, or any that never falls."""

    LINEAR = "linear"
    ISOTONIC = "isotonic"


class NoCalibration(StrEnum):
    """Why a calibration cannot be checked."""

    TOO_FEW_CLUSTERS = "too_few_clusters"
    """Fewer independent items, or clusters, than folds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Error of a judge before and after calibration.

    Attributes:
        method: shape of the map.
        before: mean absolute error of the scores as they are, in points of the human scale; None with a reason.
        after: the same of the calibrated scores, each by a map fitted without its fold.
        reduction: mean of the items' error before less after; positive where calibration helps.
        reason: why there is none of them.
        num_folds: parts of the cross-validation.
        n: items.
    """

    method: CalibrationMethod
    before: Estimate | None
    after: Estimate | None
    reduction: Estimate | None
    reason: NoCalibration | None
    num_folds: int
    n: int


def calibrate(
    judge: Values,
    human: Values,
    method: CalibrationMethod,
    *,
    seed: int,
    clusters: Labels | None = None,
    num_folds: int = 5,
    level: float = 0.95,
) -> Calibration:
    """Mean absolute error before and after calibration, cross-validated by whole clusters.

    Clusters are dealt at random into folds; the items of each fold are mapped by what the other folds teach. Intervals
    are Student's, clustered (`twllm_runs.statistics.mean_estimate`); they do not cover the choice of folds.

    Args:
        judge: scores, one per item.
        human: mean ratings.
        method: shape of the map.
        seed: of the deal.
        clusters: label per item; None where items are independent.
        num_folds: parts, at least 2.
        level: coverage, in (0, 1).

    Raises:
        DataError: columns of unequal length, values that are not finite or beyond ±1e100, or labels that do not fit.
        ConfigError: fewer than two folds, or a level outside (0, 1).
    """
    if num_folds < 2:
        raise ConfigError(f"num_folds = {num_folds}; give at least 2, so that each fold has others to learn from")
    x, y = as_point_pair(judge, human, names=("judge", "human"))
    units = read_units(x.size, clusters)
    if units.num_units < num_folds:
        reason = NoCalibration.TOO_FEW_CLUSTERS
        return Calibration(
            method=method, before=None, after=None, reduction=None, reason=reason, num_folds=num_folds, n=x.size
        )
    # A line goes on beyond the scores that it was fitted to, so its values may be larger than any rating.
    calibrated = as_points(_cross_fit(x, y, method, units=units, num_folds=num_folds, seed=seed), name="calibrated")
    errors = np.abs(x - y), np.abs(calibrated - y)
    before, after, reduction = (
        mean_estimate(values, unit=EstimateUnit.POINTS, clusters=clusters, level=level)
        for values in (*errors, errors[0] - errors[1])
    )
    return Calibration(
        method=method, before=before, after=after, reduction=reduction, reason=None, num_folds=num_folds, n=x.size
    )


def _cross_fit(
    x: FloatArray, y: FloatArray, method: CalibrationMethod, *, units: Units, num_folds: int, seed: int
) -> FloatArray:
    dealt = np.random.default_rng(seed).permutation(units.num_units) % num_folds
    folds = dealt[units.codes]
    calibrated = np.empty_like(y)
    for fold in range(num_folds):
        held = folds == fold
        calibrated[held] = fit_calibration(x[~held], y[~held], method)(x[held])
    return calibrated


def fit_calibration(judge: Values, human: Values, method: CalibrationMethod) -> _Map:
    """The map from scores to the human scale with the least squared error.

    LINEAR: the regression line; the mean where all scores are equal. ISOTONIC: the never falling map, by pooling
    adjacent violators (Ayer et al. 1955), with straight lines between the scores that it has seen and flat beyond them.

    Args:
        judge: scores, at least one.
        human: ratings of the same items.
        method: shape of the map.

    Raises:
        DataError: columns of unequal length, or values that are not finite or beyond ±1e100.
    """
    x, y = as_point_pair(judge, human, names=("judge", "human"))
    if method is CalibrationMethod.LINEAR:
        return _line(x, y)
    knots, heights = _isotonic(x, y)
    return lambda values: np.interp(values, knots, heights)


def _line(x: FloatArray, y: FloatArray) -> _Map:
    middle = float(y.mean())
    if x.min() == x.max():
        # Not by the spread: the mean of equal floats may be another float.
        return lambda values: np.full(values.shape, middle)
    scaled, exponent = near_one(x)
    center = float(scaled.mean())
    deviations = scaled - center
    slope = float(deviations @ (y - middle)) / float(deviations @ deviations)
    return lambda values: middle + slope * (np.ldexp(values, -exponent) - center)


def _isotonic(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    knots, codes = np.unique(x, return_inverse=True)
    sizes = np.bincount(codes).astype(np.float64)
    means = np.bincount(codes, weights=y) / sizes
    heights: list[float] = []
    masses: list[float] = []
    spans: list[int] = []
    for mean, size in zip(means.tolist(), sizes.tolist(), strict=True):
        height, mass, span = mean, size, 1
        while heights and heights[-1] >= height:
            other = masses.pop()
            height = (height * mass + heights.pop() * other) / (mass + other)
            mass += other
            span += spans.pop()
        heights.append(height)
        masses.append(mass)
        spans.append(span)
    return knots, np.repeat(np.asarray(heights), spans)
