"""Wilson and Clopper-Pearson intervals, and what sample size can show."""

from importlib import import_module
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twllm_runs.statistics import (
    clopper_pearson_interval,
    mean_estimate,
    minimum_detectable_difference,
    proportion_estimate,
    wilson_interval,
)
from twllm_types import ConfigError, DataError, EstimateUnit

# scipy has no type stubs.
stats: Any = import_module("scipy.stats")

COUNTS = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVELS = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999])


@given(counts=COUNTS, level=LEVELS)
def test_wilson_interval_equals_scipy(counts: tuple[int, int], level: float) -> None:
    theirs = stats.binomtest(*counts).proportion_ci(level, method="wilson")
    assert wilson_interval(*counts, level) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
@pytest.mark.parametrize(
    "counts", [(0, 1), (1, 1), (0, 30), (1, 30), (15, 30), (30, 30), (7, 2500), (123_456, 400_000)]
)
def test_clopper_pearson_interval_equals_scipy(counts: tuple[int, int], level: float) -> None:
    theirs = stats.binomtest(*counts).proportion_ci(level, method="exact")
    assert clopper_pearson_interval(*counts, level) == pytest.approx((theirs.low, theirs.high), rel=1e-9, abs=1e-12)


def test_wilson_interval_of_newcombe_example_is_the_published_one() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263, method 3.
    low, high = wilson_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@given(counts=COUNTS, level=LEVELS)
def test_proportion_estimate_interval_holds_the_share_within_zero_and_one(
    counts: tuple[int, int], level: float
) -> None:
    estimate = proportion_estimate(*counts, level=level)
    assert estimate.mean is not None
    assert estimate.ci_low is not None
    assert estimate.ci_high is not None
    assert 0 <= estimate.ci_low <= estimate.mean <= estimate.ci_high <= 1
    assert estimate.ci_low < estimate.ci_high


@given(counts=COUNTS)
def test_proportion_estimate_of_failures_mirrors_that_of_successes(counts: tuple[int, int]) -> None:
    successes, n = counts
    low, high = wilson_interval(successes, n)
    assert wilson_interval(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_proportion_estimate_stderr_equals_that_of_the_mean_of_zeros_and_ones() -> None:
    ours = proportion_estimate(7, 20, num_unscored=3)
    theirs = mean_estimate([1.0] * 7 + [0.0] * 13, unit=EstimateUnit.SHARE)
    assert ours.stderr == pytest.approx(theirs.stderr, rel=1e-12)
    assert (ours.mean, ours.n, ours.num_unscored, ours.method) == (0.35, 20, 3, "wilson")
    assert ours.unit is EstimateUnit.SHARE


def test_proportion_estimate_without_items_has_no_mean() -> None:
    estimate = proportion_estimate(0, 0, num_unscored=4)
    assert (estimate.mean, estimate.ci_low, estimate.stderr, estimate.n) == (None, None, None, 0)
    assert estimate.num_unscored == 4


def test_proportion_estimate_of_one_item_has_an_interval_but_no_stderr() -> None:
    estimate = proportion_estimate(1, 1)
    assert estimate.stderr is None
    assert (estimate.ci_low, estimate.ci_high) == (pytest.approx(0.2065, abs=1e-4), 1.0)


@pytest.mark.parametrize("counts", [(-1, 3), (4, 3), (1, 0), (0, -1)])
def test_proportion_estimate_impossible_counts_are_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="items"):
        proportion_estimate(*counts)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
@pytest.mark.parametrize("interval", [wilson_interval, clopper_pearson_interval])
def test_intervals_impossible_level_is_refused(interval: object, level: float) -> None:
    with pytest.raises(ConfigError, match="level"):
        (wilson_interval if interval is wilson_interval else clopper_pearson_interval)(1, 2, level)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_wilson_interval_covers_the_true_share_about_as_often_as_it_says(share: float) -> None:
    n = 60
    weights = stats.binom.pmf(np.arange(n + 1), n, share)
    held = [low <= share <= high for low, high in (wilson_interval(k, n) for k in range(n + 1))]
    assert 0.92 < float(weights @ np.asarray(held)) < 0.98


def test_minimum_detectable_difference_unpaired_is_found_with_the_power_asked_for() -> None:
    n, share = 2000, 0.4
    difference = minimum_detectable_difference(n, share=share, power=0.8)
    assert difference == pytest.approx((1.959964 + 0.841621) * sqrt(2 * 0.24 / n), rel=1e-6)


def test_minimum_detectable_difference_paired_solves_connors_equation() -> None:
    n, s = 500, 0.3
    d = minimum_detectable_difference(n, discordant_share=s, level=0.95, power=0.9)
    assert d is not None
    z_a, z_b = stats.norm.ppf(0.975), stats.norm.ppf(0.9)
    assert d * sqrt(n) == pytest.approx(z_a * sqrt(s) + z_b * sqrt(s - d * d), rel=1e-9)


def test_minimum_detectable_difference_paired_is_found_by_mcnemar_in_simulation() -> None:
    n, s, power = 800, 0.2, 0.8
    d = minimum_detectable_difference(n, discordant_share=s, power=power)
    assert d is not None
    rng = np.random.default_rng(5)
    draws = rng.multinomial(n, [(s + d) / 2, (s - d) / 2, 1 - s], size=4000)
    z = (draws[:, 0] - draws[:, 1]) / np.sqrt(draws[:, 0] + draws[:, 1])
    assert float((np.abs(z) > 1.959964).mean()) == pytest.approx(power, abs=0.03)


@pytest.mark.parametrize(("n", "share", "discordant_share"), [(4, 0.5, None), (1, None, 0.5), (20, None, 0.05)])
def test_minimum_detectable_difference_too_few_items_detect_nothing(
    n: int, share: float | None, discordant_share: float | None
) -> None:
    assert minimum_detectable_difference(n, share=share, discordant_share=discordant_share) is None


@given(n=st.integers(50, 100_000), s=st.floats(0.2, 1))
def test_minimum_detectable_difference_more_items_detect_less(n: int, s: float) -> None:
    few, many = (minimum_detectable_difference(size, discordant_share=s) for size in (n, 2 * n))
    assert few is None or (many is not None and many < few)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"n": 0, "share": 0.5}, "n = 0"),
        ({"n": 9, "share": 0.5, "power": 0.5}, "power"),
        ({"n": 9, "share": 1.0}, "share"),
        ({"n": 9, "discordant_share": 0.0}, "discordant_share"),
        ({"n": 9}, "exactly one"),
        ({"n": 9, "share": 0.5, "discordant_share": 0.5}, "exactly one"),
        ({"n": 9, "share": 0.5, "level": 1.0}, "level"),
    ],
)
def test_minimum_detectable_difference_impossible_arguments_are_refused(
    arguments: dict[str, float], named: str
) -> None:
    options = {key: value for key, value in arguments.items() if key != "n"}
    with pytest.raises(ConfigError, match=named):
        minimum_detectable_difference(int(arguments["n"]), **options)
