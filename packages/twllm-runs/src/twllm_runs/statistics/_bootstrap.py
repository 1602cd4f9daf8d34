"""Percentile bootstrap of any statistic of one sample."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from twllm_runs.statistics._design import (
    Design,
    FloatArray,
    Labels,
    Values,
    as_values,
    check_shares,
    read_design,
    resampled_means,
    weighted_mean,
)
from twllm_runs.statistics._intervals import Frame, check_options, empty_estimate, percentile_estimate
from twllm_types import DataError, Estimate, EstimateUnit

_CHUNK = 1 << 20


def bootstrap_estimate(
    values: Values,
    statistic: Literal["mean"] | Callable[[FloatArray], FloatArray] = "mean",
    *,
    unit: EstimateUnit,
    seed: int,
    clusters: Labels | None = None,
    draws: int = 2000,
    level: float = 0.95,
    num_unscored: int = 0,
) -> Estimate:
    """A statistic of one sample with its percentile bootstrap interval.

    Resampling after Efron 1979 (Annals of Statistics 7), the interval after Efron and Tibshirani 1993, chapter 13. With
    clusters, whole clusters are drawn with replacement (Davison and Hinkley 1997, chapter 3, on hierarchical data), so
    that a draw may have another number of items. No values: no figure. One item or one cluster: neither error nor
    interval. The same seed gives the same interval.

    Args:
        values: one finite number per scored item.
        statistic: "mean", or a function from samples of shape (rows, n) to one finite figure per row, shape (rows,),
            such as ``lambda rows: np.median(rows, axis=1)``. With clusters it is called once for each draw.
        unit: of the statistic.
        seed: of the draws.
        clusters: label per item; None where items are independent.
        draws: resamples, at least 2.
        level: coverage, in (0, 1).
        num_unscored: items that gave no score.

    Raises:
        DataError: a value is not finite or no share, labels do not fit, or the statistic returns another shape.
        ConfigError: a level outside (0, 1), or fewer than two draws.
    """
    check_options(level=level, draws=draws)
    array = as_values(values, name="values")
    check_shares(array, unit=unit, name="values")
    design = read_design(array.size, clusters=clusters)
    frame = Frame(n=array.size, design=design, unit=unit, level=level, num_unscored=num_unscored)
    if not array.size:
        return empty_estimate(frame, method="percentile bootstrap")
    if statistic == "mean":
        point, draw = weighted_mean(array, design), partial(resampled_means, array, design, draws=draws, seed=seed)
    else:
        point = float(_apply(statistic, array[np.newaxis, :])[0])
        draw = partial(_resampled_statistic, array, statistic, design, draws=draws, seed=seed)
    return percentile_estimate(frame, point, draw, draws=draws, seed=seed)


def _resampled_statistic(
    values: FloatArray, statistic: Callable[[FloatArray], FloatArray], design: Design, *, draws: int, seed: int
) -> FloatArray:
    rng = np.random.default_rng(seed)
    stratum = design.strata[0]
    result = np.empty(draws)
    if design.clustered:
        order = np.argsort(stratum.clusters, kind="stable")
        sizes = np.bincount(stratum.clusters)
        members = np.split(order, np.cumsum(sizes)[:-1])
        for row in range(draws):
            picked = rng.integers(0, stratum.num_clusters, size=stratum.num_clusters)
            sample = values[np.concatenate([members[int(code)] for code in picked.tolist()])]
            result[row] = _apply(statistic, sample[np.newaxis, :])[0]
        return result
    rows = max(1, _CHUNK // values.size)
    for start in range(0, draws, rows):
        picked = rng.integers(0, values.size, size=(min(rows, draws - start), values.size))
        result[start : start + rows] = _apply(statistic, values[picked])
    return result


def _apply(statistic: Callable[[FloatArray], FloatArray], samples: FloatArray) -> FloatArray:
    figures = np.asarray(statistic(samples), dtype=np.float64)
    if figures.shape != (len(samples),):
        raise DataError(
            f"the statistic turned samples of shape {samples.shape} into {figures.shape}; "
            f"return one figure per row, shape ({len(samples)},)"
        )
    return figures
