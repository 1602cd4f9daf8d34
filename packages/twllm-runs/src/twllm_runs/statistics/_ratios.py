"""Ratios of two sums, such as bits per byte, or the time of one program over that of another."""

from functools import partial
from typing import Literal, TypeAlias

import numpy as np

from twllm_runs.statistics._design import (
    FloatArray,
    Labels,
    Stratum,
    Values,
    as_values,
    check_same_length,
    mean_stderr,
    read_design,
    resampled_sums,
)
from twllm_runs.statistics._intervals import (
    Frame,
    check_options,
    empty_estimate,
    needed_seed,
    percentile_estimate,
    student_estimate,
)
from twllm_types import DataError, Estimate, EstimateUnit

RatioMethod: TypeAlias = Literal["delta", "bootstrap"]
_LABELS: dict[RatioMethod, str] = {"delta": "delta method, student t", "bootstrap": "percentile bootstrap"}
# So seldom that no number of draws anybody makes will meet it.
_NEGLIGIBLE = 1e-15


def ratio_estimate(
    numerators: Values,
    denominators: Values,
    *,
    unit: EstimateUnit = EstimateUnit.RATIO,
    clusters: Labels | None = None,
    method: RatioMethod = "delta",
    draws: int = 2000,
    seed: int | None = None,
    level: float = 0.95,
    num_unscored: int = 0,
) -> Estimate:
    """R = sum of numerators / sum of denominators over the same items, with its error.

    "delta": the standard error of the mean of (x_i - R y_i) / mean(y) (ratio estimators in Cochran 1977, chapter 6,
    without the finite population factor; clusters as in `mean_estimate`) and a Student interval. "bootstrap":
    percentiles over items or whole clusters. The mean of x_i / y_i is another figure; it weighs short items like long.

    No items: no mean. One item or one cluster: neither error nor interval. A bootstrap has neither where a draw may
    have only zeros below: k of m items (or clusters) have the denominator 0 and (k/m)^m > 1e-15, whatever the seed.

    Args:
        numerators: one finite number per item, for example bits of a document.
        denominators: one number >= 0 per item, for example its bytes; their sum is above 0.
        unit: of the ratio.
        clusters: label per item; items of one label depend on each other.
        method: how error and interval are made.
        draws: resamples, for "bootstrap".
        seed: of the draws; needed for "bootstrap", unused otherwise.
        level: coverage, in (0, 1).
        num_unscored: items that gave no score.

    Raises:
        DataError: unequal lengths, a denominator below 0, all of them 0, labels that do not fit, or no seed.
        ConfigError: a level outside (0, 1), or fewer than two draws.
    """
    check_options(level=level, draws=draws)
    x, y = as_values(numerators, name="numerators"), as_values(denominators, name="denominators")
    check_same_length(x, y, "numerators and denominators")
    design = read_design(x.size, clusters=clusters)
    frame = Frame(n=x.size, design=design, unit=unit, level=level, num_unscored=num_unscored)
    if not x.size:
        return empty_estimate(frame, method=_LABELS[method])
    if y.min() < 0 or y.sum() <= 0:
        raise DataError(f"denominators sum to {y.sum()}, least {y.min()}; give numbers >= 0, one of them above 0")
    if method == "bootstrap":
        return _bootstrap(frame, x, y, draws=draws, seed=needed_seed(seed))
    point = float(x.sum() / y.sum())
    return student_estimate(frame, point, mean_stderr((x - point * y) / y.mean(), design), method=_LABELS[method])


def _bootstrap(frame: Frame, x: FloatArray, y: FloatArray, *, draws: int, seed: int) -> Estimate:
    stratum = frame.design.strata[0]
    return percentile_estimate(
        frame,
        float(x.sum() / y.sum()),
        partial(_resampled_ratios, np.stack([x, y]), stratum, draws=draws, seed=seed),
        draws=draws,
        seed=seed,
        method=_LABELS["bootstrap"],
        obstacle="a draw may have only zeros as denominators" if _may_draw_zeros(y, stratum) else None,
    )


def _may_draw_zeros(denominators: FloatArray, stratum: Stratum) -> bool:
    sums = np.bincount(stratum.clusters, weights=denominators)
    share = np.count_nonzero(sums == 0) / sums.size
    return bool(share**sums.size > _NEGLIGIBLE)


def _resampled_ratios(columns: FloatArray, stratum: Stratum, *, draws: int, seed: int) -> FloatArray:
    sums = resampled_sums(columns, stratum, draws=draws, rng=np.random.default_rng(seed))
    return sums[0] / sums[1]
