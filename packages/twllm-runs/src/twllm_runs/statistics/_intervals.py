"""From a point and its error, or from draws, to an `Estimate`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twllm_runs.statistics._design import Design, FloatArray, check_draws
from twllm_runs.statistics._special import check_level, student_quantile
from twllm_types import DataError, Estimate, EstimateUnit

Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What an estimate says beside its figures; `design` is that of its `n` items."""

    n: int
    design: Design
    unit: EstimateUnit
    level: float
    num_unscored: int


def student_estimate(
    frame: Frame, point: float, stderr: float | None, *, method: str = "student t", bounds: Bounds | None = None
) -> Estimate:
    """Student interval point -+ t stderr, cut to `bounds`; t has the degrees of freedom of the design."""
    low = high = None
    if stderr is not None:
        reach = student_quantile((1 + frame.level) / 2, frame.design.degrees_of_freedom) * stderr
        low, high = point - reach, point + reach
        if bounds is not None:
            low, high = max(low, bounds[0]), min(high, bounds[1])
    return Estimate(
        mean=point,
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        level=frame.level,
        method=frame.design.describe(method),
        unit=frame.unit,
        n=frame.n,
        num_clusters=frame.design.num_clusters,
        num_unscored=frame.num_unscored,
    )


def percentile_estimate(
    frame: Frame,
    point: float,
    draw: Callable[[], FloatArray],
    *,
    draws: int,
    seed: int,
    method: str = "percentile bootstrap",
    obstacle: str | None = None,
) -> Estimate:
    """Percentile bootstrap: quantiles and standard deviation of what `draw` returns.

    Where a stratum has one independent unit, or `obstacle` says why a draw may have no figure, nothing is drawn, and
    the estimate has neither error nor interval but the reason in its method.
    """
    words = frame.design.describe(method)
    if frame.design.has_error and obstacle is not None:
        words = f"{words}, no error: {obstacle}"
    stderr = low = high = None
    can_draw = frame.design.has_error and obstacle is None
    if can_draw:
        drawn = draw()
        stderr = float(drawn.std(ddof=1))
        low, high = (float(x) for x in np.quantile(drawn, [(1 - frame.level) / 2, (1 + frame.level) / 2]))
    return Estimate(
        mean=point,
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        level=frame.level,
        method=words,
        unit=frame.unit,
        n=frame.n,
        num_clusters=frame.design.num_clusters,
        num_unscored=frame.num_unscored,
        draws=draws if can_draw else None,
        seed=seed if can_draw else None,
    )


def empty_estimate(frame: Frame, *, method: str) -> Estimate:
    """The estimate of no items: no mean, no error, no interval."""
    return Estimate(
        mean=None,
        stderr=None,
        ci_low=None,
        ci_high=None,
        level=frame.level,
        method=frame.design.describe(method),
        unit=frame.unit,
        n=0,
        num_unscored=frame.num_unscored,
    )


def needed_seed(seed: int | None) -> int:
    """The seed, which a bootstrap cannot do without.

    Raises:
        DataError: there is none.
    """
    if seed is None:
        raise DataError("a bootstrap needs a seed; give seed=..., so that the interval can be made again")
    return seed


def check_options(*, level: float, draws: int | None = None) -> None:
    """Refuse a level or a number of draws that gives no interval.

    Raises:
        ConfigError: `level` outside (0, 1) or `draws` below 2.
    """
    check_level(level)
    if draws is not None:
        check_draws(draws)
