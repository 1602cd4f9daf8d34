"""How an estimate is written."""

import pytest

from twllm_runs.statistics import estimate_text, format_estimate, mean_estimate, proportion_estimate
from twllm_types import Estimate, EstimateUnit


def estimate(  # one invented figure; each test changes what it is about
    mean: float | None = 0.614,
    low: float | None = 0.598,
    high: float | None = 0.63,
    *,
    unit: EstimateUnit = EstimateUnit.SHARE,
    n: int = 1180,
    level: float = 0.95,
    num_unscored: int = 0,
    num_clusters: int | None = None,
) -> Estimate:
    return Estimate(
        mean=mean, stderr=None, ci_low=low, ci_high=high, level=level, method="invented", unit=unit, n=n,
        num_unscored=num_unscored, num_clusters=num_clusters,
    )  # fmt: skip


def test_format_estimate_share_is_written_in_per_cent_with_counts() -> None:
    assert format_estimate(estimate(num_unscored=20)) == "61.4 % [59.8, 63.0], n = 1,180, 20 unscored"


def test_format_estimate_clusters_and_other_levels_are_named() -> None:
    text = format_estimate(estimate(num_clusters=40, level=0.9))
    assert text == "61.4 % [59.8, 63.0] (90 %), n = 1,180 in 40 clusters"


def test_format_estimate_difference_of_shares_is_signed_percentage_points() -> None:
    text = format_estimate(estimate(0.005, -0.009, 0.018), difference=True)
    assert text == "+0.5 pp [-0.9, +1.8], n = 1,180"


def test_format_estimate_rounded_zero_has_no_sign() -> None:
    assert format_estimate(estimate(-0.0001, -0.01, 0.0001), difference=True) == "0.0 pp [-1.0, 0.0], n = 1,180"


@pytest.mark.parametrize(
    ("unit", "figures", "written"),
    [
        (EstimateUnit.POINTS, (3.42, 3.31, 3.53), "3.42 [3.31, 3.53], n = 1,180"),
        (EstimateUnit.BITS, (1.5, 1.25, 1.75), "1.500 bits [1.250, 1.750], n = 1,180"),
        (EstimateUnit.NATS, (1.5, 1.25, 1.75), "1.500 nats [1.250, 1.750], n = 1,180"),
        (EstimateUnit.BITS_PER_BYTE, (0.9, 0.8, 1.0), "0.9000 bits/byte [0.8000, 1.0000], n = 1,180"),
        (EstimateUnit.SECONDS, (0.01234, 0.01, 0.02), "0.0123 s [0.0100, 0.0200], n = 1,180"),
        (EstimateUnit.SECONDS, (4321.0, 4000.0, 5000.0), "4,321 s [4,000, 5,000], n = 1,180"),
        (EstimateUnit.RATIO, (1.372, 1.3, 1.44), "1.37× [1.30, 1.44], n = 1,180"),
        (EstimateUnit.CORRELATION, (0.5, -0.25, 0.75), "0.500 [-0.250, 0.750], n = 1,180"),
        (EstimateUnit.COUNT, (0.0, 0.0, 0.0), "0 [0, 0], n = 1,180"),
    ],
)
def test_format_estimate_each_unit_has_its_form(
    unit: EstimateUnit, figures: tuple[float, float, float], written: str
) -> None:
    assert format_estimate(estimate(*figures, unit=unit)) == written


def test_format_estimate_every_unit_can_be_written() -> None:
    assert all(format_estimate(mean_estimate([0.5, 0.7], unit=unit)).endswith("n = 2") for unit in EstimateUnit)


def test_format_estimate_without_value_or_interval_says_so() -> None:
    assert format_estimate(proportion_estimate(0, 0, num_unscored=3)) == "no value, n = 0, 3 unscored"
    assert format_estimate(mean_estimate([2.0], unit=EstimateUnit.POINTS)) == "2.00, no interval, n = 1"


def test_estimate_text_parts_are_those_of_the_line() -> None:
    text = estimate_text(estimate())
    assert (text.value, text.interval, text.counts) == ("61.4 %", "[59.8, 63.0]", "n = 1,180")
