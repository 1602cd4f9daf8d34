"""Shares of items: Wilson and Clopper-Pearson intervals."""

from math import sqrt

from twllm_runs.statistics._design import read_design
from twllm_runs.statistics._intervals import Frame, empty_estimate
from twllm_runs.statistics._special import beta_quantile, check_level, normal_quantile
from twllm_types import DataError, Estimate, EstimateUnit


def wilson_interval(num_successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion, without continuity correction.

    (p + z^2/2n -+ z sqrt(p (1 - p) / n + z^2/4n^2)) / (1 + z^2/n) (Wilson 1927, JASA 22). It stays within [0, 1],
    holds p, and has a width at p = 0 and p = 1, where the usual p -+ z SE collapses.

    Args:
        num_successes: 0..n.
        n: items, at least 1.
        level: coverage, in (0, 1).

    Raises:
        DataError: no items, or successes outside 0..n.
        ConfigError: a level outside (0, 1).
    """
    _check_counts(num_successes, n, level)
    z = normal_quantile((1 + level) / 2)
    p = num_successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if num_successes == 0 else centre - reach
    high = 1.0 if num_successes == n else centre + reach
    return low, high


def clopper_pearson_interval(num_successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a proportion: coverage is at least `level` for each true share, often more.

    Quantiles (1 - level)/2 of Beta(k, n - k + 1) and (1 + level)/2 of Beta(k + 1, n - k) (Clopper and Pearson 1934).

    Args:
        num_successes: 0..n.
        n: items, at least 1.
        level: coverage, in (0, 1).

    Raises:
        DataError: no items, or successes outside 0..n.
        ConfigError: a level outside (0, 1).
    """
    _check_counts(num_successes, n, level)
    tail = (1 - level) / 2
    low = 0.0 if num_successes == 0 else beta_quantile(tail, num_successes, n - num_successes + 1)
    high = 1.0 if num_successes == n else 1.0 - beta_quantile(tail, n - num_successes, num_successes + 1)
    return low, high


def proportion_estimate(num_successes: int, n: int, *, level: float = 0.95, num_unscored: int = 0) -> Estimate:
    """Share of independent items that succeeded, with its Wilson interval.

    `stderr` is sqrt(p (1 - p) / (n - 1)), the standard error of `mean_estimate` on the same zeros and ones; None at
    n = 1. At p = 0 or 1 it is 0: read the interval there. n = 0 gives an estimate without mean.

    Args:
        num_successes: 0..n.
        n: scored items.
        level: coverage, in (0, 1).
        num_unscored: items that gave no score.

    Raises:
        DataError: successes outside 0..n.
        ConfigError: a level outside (0, 1).
    """
    if n == 0 and num_successes == 0:
        check_level(level)
        nothing = Frame(n=0, design=read_design(0), unit=EstimateUnit.SHARE, level=level, num_unscored=num_unscored)
        return empty_estimate(nothing, method="wilson")
    low, high = wilson_interval(num_successes, n, level)
    p = num_successes / n
    return Estimate(
        mean=p,
        stderr=sqrt(p * (1 - p) / (n - 1)) if n > 1 else None,
        ci_low=low,
        ci_high=high,
        level=level,
        method="wilson",
        unit=EstimateUnit.SHARE,
        n=n,
        num_unscored=num_unscored,
    )


def _check_counts(num_successes: int, n: int, level: float) -> None:
    check_level(level)
    if n < 1:
        raise DataError(f"a share of n = {n} items has no interval; give at least one item")
    if not 0 <= num_successes <= n:
        raise DataError(f"{num_successes} successes in {n} items: successes must lie in 0..n; check what was counted")
