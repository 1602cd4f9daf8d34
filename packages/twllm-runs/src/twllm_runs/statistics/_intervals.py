"""From a point and its error, or from draws, to an `Estimate`."""

from collections.abc import Callable

import numpy as np

from twllm_runs.statistics._design import Design, FloatArray, check_draws
from twllm_runs.statistics._special import check_level, student_quantile
from twllm_types import Estimate, EstimateUnit

Bounds = tuple[float, float]


def student_estimate(
    point: float,
    stderr: float | None,
    *,
    n: int,
    design: Design,
    unit: EstimateUnit,
    level: float,
    num_unscored: int,
    method: str = "student t",
    bounds: Bounds | None = None,
) -> Estimate:
    """Student interval point -+ t stderr, cut to `bounds`; t has the degrees of freedom of the design."""
    low = high = None
    if stderr is not None:
        reach = student_quantile((1 + level) / 2, design.degrees_of_freedom) * stderr
        low, high = point - reach, point + reach
        if bounds is not None:
            low, high = max(low, bounds[0]), min(high, bounds[1])
    return Estimate(
        mean=point,
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        level=level,
        method=design.describe(method),
        unit=unit,
        n=n,
        num_clusters=design.num_clusters,
        num_unscored=num_unscored,
    )


def percentile_estimate(
    point: float,
    draw: Callable[[], FloatArray],
    *,
    n: int,
    design: Design,
    unit: EstimateUnit,
    level: float,
    num_unscored: int,
    draws: int,
    seed: int,
    method: str = "percentile bootstrap",
) -> Estimate:
    """Percentile bootstrap (Efron 1979): quantiles and standard deviation of what `draw` returns.

    Where a stratum has one independent unit nothing is drawn, and the estimate has neither error nor interval.
    """
    stderr = low = high = None
    if design.has_error:
        drawn = draw()
        stderr = float(drawn.std(ddof=1))
        low, high = (float(x) for x in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    return Estimate(
        mean=point,
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        level=level,
        method=design.describe(method),
        unit=unit,
        n=n,
        num_clusters=design.num_clusters,
        num_unscored=num_unscored,
        draws=draws if design.has_error else None,
        seed=seed if design.has_error else None,
    )


def empty_estimate(*, method: str, unit: EstimateUnit, level: float, num_unscored: int) -> Estimate:
    """The estimate of no items: no mean, no error, no interval."""
    return Estimate(
        mean=None,
        stderr=None,
        ci_low=None,
        ci_high=None,
        level=level,
        method=method,
        unit=unit,
        n=0,
        num_unscored=num_unscored,
    )


def check_options(*, level: float, draws: int | None = None) -> None:
    """Refuse a level or a number of draws that gives no interval.

    Raises:
        ConfigError: `level` outside (0, 1) or `draws` below 2.
    """
    check_level(level)
    if draws is not None:
        check_draws(draws)
