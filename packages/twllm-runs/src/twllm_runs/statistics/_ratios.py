"""Ratios of two sums, such as bits per byte, or the time of one program over that of another."""

from typing import Literal, TypeAlias

import numpy as np

from twllm_runs.statistics._design import (
    FloatArray,
    Labels,
    Values,
    as_values,
    check_same_length,
    mean_stderr,
    read_design,
    resampled_sums,
)
from twllm_runs.statistics._intervals import check_options, empty_estimate, percentile_estimate, student_estimate
from twllm_types import DataError, Estimate, EstimateUnit

RatioMethod: TypeAlias = Literal["delta", "bootstrap"]


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

    "delta": the standard error of the mean of (x_i - R y_i) / mean(y) (Cochran 1977, eq. 6.10 without the finite
    population factor; clusters as in `mean_estimate`) and a Student interval. "bootstrap": percentiles over items or
    whole clusters. The mean of x_i / y_i is another figure; it weighs short items like long ones.

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

    Returns:
        The ratio; without mean where there are no items; without error for one item or one cluster, and for a
        bootstrap in which a draw has only zeros below.

    Raises:
        DataError: unequal lengths, a denominator below 0, all of them 0, labels that do not fit, or no seed.
        ConfigError: a level outside (0, 1), or fewer than two draws.
    """
    check_options(level=level, draws=draws)
    x, y = as_values(numerators, name="numerators"), as_values(denominators, name="denominators")
    check_same_length(x, y, "numerators and denominators")
    design = read_design(x.size, clusters=clusters)
    if not x.size:
        label = "delta method, student t" if method == "delta" else "percentile bootstrap"
        return empty_estimate(method=design.describe(label), unit=unit, level=level, num_unscored=num_unscored)
    if y.min() < 0 or y.sum() <= 0:
        raise DataError(f"denominators sum to {y.sum()}, least {y.min()}; give numbers >= 0, one of them above 0")
    point = float(x.sum() / y.sum())
    if method == "delta":
        return student_estimate(
            point,
            mean_stderr((x - point * y) / y.mean(), design),
            n=x.size,
            design=design,
            unit=unit,
            level=level,
            num_unscored=num_unscored,
            method="delta method, student t",
        )
    if seed is None:
        raise DataError("a bootstrap needs a seed; give seed=..., so that the interval can be made again")

    def draw() -> FloatArray:
        rng = np.random.default_rng(seed)
        sums = resampled_sums(np.stack([x, y]), design.strata[0], draws=draws, rng=rng)
        if not sums[1].all():
            raise DataError("a bootstrap draw has only zero denominators; use method='delta' or leave such items out")
        return sums[0] / sums[1]

    return percentile_estimate(
        point,
        draw,
        n=x.size,
        design=design,
        unit=unit,
        level=level,
        num_unscored=num_unscored,
        draws=draws,
        seed=seed,
    )
