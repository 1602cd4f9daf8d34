"""Agreement of raters by hand-computed tables, ceilings, baselines of people, halo and repetition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_eval._correlation import CorrelationMethod, NoCorrelation, correlate
from llm_eval._reliability import (
    NoReliability,
    halo,
    leave_one_rater_out,
    partial_correlation,
    reliability,
    self_consistency,
)
from twllm_types import ConfigError, DataError

P, S, K = CorrelationMethod

# Shrout and Fleiss 1979, table 2: six targets, four judges; ICC(1,1) = .17 and ICC(1,4) = .44.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def anova(ratings: list[list[float]]) -> tuple[float, float, float]:
    """The definition, term by term."""
    n, total = len(ratings), sum(map(len, ratings))
    grand = sum(map(sum, ratings)) / total
    means = [sum(row) / len(row) for row in ratings]
    between = sum(len(row) * (mean - grand) ** 2 for row, mean in zip(ratings, means, strict=True)) / (n - 1)
    within = sum((x - mean) ** 2 for row, mean in zip(ratings, means, strict=True) for x in row) / (total - n)
    k0 = (total - sum(len(row) ** 2 for row in ratings) / total) / (n - 1)
    return (between - within) / (between + (k0 - 1) * within), (between - within) / between, k0


def test_reliability_published_example() -> None:
    found = reliability(SHROUT_FLEISS, seed=1, draws=200)
    assert found.icc_single == pytest.approx(0.17, abs=0.005)
    assert found.icc_mean == pytest.approx(0.44, abs=0.005)
    assert found.raters_per_item == 4
    assert (found.n, found.num_ratings, found.reason) == (6, 24, None)
    assert found.icc_mean is not None
    assert found.ceiling is not None
    assert found.ceiling.mean == pytest.approx(found.icc_mean**0.5)


def test_reliability_unequal_raters_follow_the_definition() -> None:
    ratings = [[1.0, 2.0, 1.0], [4.0, 5.0], [2.0, 2.0, 3.0, 3.0], [5.0], [3.0, 1.0]]
    found = reliability(ratings, seed=1, draws=50)
    single, mean, k0 = anova(ratings)
    assert found.icc_single == pytest.approx(single)
    assert found.icc_mean == pytest.approx(mean)
    assert found.raters_per_item == pytest.approx(k0)


def test_reliability_items_without_ratings_are_left_out() -> None:
    with_gaps = [[], *SHROUT_FLEISS, []]
    clusters = ["x", "a", "a", "b", "b", "c", "c", "x"]
    found = reliability(with_gaps, clusters=clusters, seed=1, draws=50)
    plain = reliability(SHROUT_FLEISS, clusters=clusters[1:-1], seed=1, draws=50)
    assert found == plain
    assert found.ceiling is not None
    assert found.ceiling.num_clusters == 3
    assert "clustered" in found.ceiling.method


def test_reliability_of_a_resample_is_that_of_its_items() -> None:
    rng = np.random.default_rng(1)
    ratings = np.round(rng.normal(size=(30, 1)) * 2 + rng.normal(size=(30, 3))).tolist()
    found = reliability(ratings, seed=9, draws=100)
    drawn = np.random.default_rng(9)
    ceilings = [max(0.0, anova([ratings[at] for at in drawn.integers(0, 30, size=30)])[1]) ** 0.5 for _ in range(100)]
    assert found.ceiling is not None
    assert found.ceiling.ci_low == pytest.approx(np.quantile(ceilings, 0.025))
    assert found.ceiling.ci_high == pytest.approx(np.quantile(ceilings, 0.975))


def test_reliability_below_zero_has_a_ceiling_of_zero() -> None:
    found = reliability([[1.0, 5.0], [5.0, 1.0], [2.0, 4.5]], seed=1, draws=50)
    assert found.icc_mean is not None
    assert found.icc_mean < 0
    assert found.ceiling is not None
    assert found.ceiling.mean == 0
    assert "negative ones as 0" in found.ceiling.method


@pytest.mark.parametrize(
    ("ratings", "reason"),
    [
        ([], NoReliability.TOO_FEW_ITEMS),
        ([[1.0, 2.0]], NoReliability.TOO_FEW_ITEMS),
        ([[1.0], [2.0], [3.0]], NoReliability.ONE_RATING_EACH),
        ([[1.0, 2.0], [4.0, 5.0]], NoReliability.TOO_FEW_ITEMS),
        ([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]], NoReliability.CONSTANT_RATINGS),
    ],
)
def test_reliability_undefined_has_a_reason(ratings: list[list[float]], reason: NoReliability) -> None:
    found = reliability(ratings, seed=1, draws=10)
    assert (found.icc_single, found.icc_mean, found.ceiling, found.raters_per_item) == (None,) * 4
    assert found.reason is reason


def test_reliability_one_cluster_has_a_ceiling_without_interval() -> None:
    found = reliability(SHROUT_FLEISS, clusters=["a"] * 6, seed=1, draws=20)
    assert found.ceiling is not None
    assert found.ceiling.ci_low is None
    assert "no error" in found.ceiling.method


def test_reliability_draws_without_an_icc_are_counted() -> None:
    found = reliability([[1.0, 2.0], [4.0, 5.0], [8.0, 9.0]], seed=1, draws=100)
    assert found.ceiling is not None
    assert "of 100 draws undefined and left out" in found.ceiling.method


def test_reliability_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="not finite"):
        reliability([[1.0, float("inf")], [2.0, 3.0]], seed=1)
    with pytest.raises(ConfigError, match="draws"):
        reliability(SHROUT_FLEISS, seed=1, draws=1)


def test_leave_one_rater_out_averages_the_positions() -> None:
    ratings = [[1.0, 2.0, 1.0], [4.0, 5.0, 3.0], [2.0, 2.0, 3.0], [3.0, 1.0, 4.0]]
    found = leave_one_rater_out(ratings, P)
    values = []
    for at in range(3):
        others = [(sum(row) - row[at]) / 2 for row in ratings]
        values.append(correlate([row[at] for row in ratings], others, P).value)
    assert found.value == pytest.approx(sum(values) / 3)
    assert (found.lowest, found.highest) == (min(values), max(values))
    assert (found.num_averaged, found.num_undefined) == (3, 0)


def test_leave_one_rater_out_skips_lonely_ratings_and_counts_what_is_undefined() -> None:
    found = leave_one_rater_out([[1.0, 2.0], [2.0, 3.0], [3.0, 1.0], [4.0], [5.0, 5.0, 5.0]], S)
    assert (found.num_averaged, found.num_undefined) == (2, 1)
    nobody = leave_one_rater_out([[1.0], [2.0]], S)
    assert (nobody.value, nobody.lowest, nobody.highest) == (None, None, None)
    assert leave_one_rater_out([], S).num_undefined == 0


@given(st.integers(0, 10_000))
def test_partial_correlation_equals_that_of_residuals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=20)
    x, y = z + rng.normal(size=20), z - rng.normal(size=20)
    design = np.stack([np.ones(20), z], axis=1)
    rest = [column - design @ np.linalg.lstsq(design, column, rcond=None)[0] for column in (x, y)]
    assert partial_correlation(x, y, z, P).value == pytest.approx(correlate(rest[0], rest[1], P).value, abs=1e-9)


def test_partial_correlation_of_ranks_and_of_tau() -> None:
    rng = np.random.default_rng(3)
    x, y, z = (np.round(3 * rng.normal(size=30)) for _ in range(3))
    for method in (S, K):
        xy, xz, yz = (correlate(*pair, method).value or 0.0 for pair in ((x, y), (x, z), (y, z)))
        expected = (xy - xz * yz) / ((1 - xz**2) * (1 - yz**2)) ** 0.5
        assert partial_correlation(x, y, z, method).value == pytest.approx(expected)


def test_partial_correlation_edges() -> None:
    x, y = [1.0, 2.0, 3.0, 5.0], [2.0, 1.0, 5.0, 3.0]
    assert partial_correlation(x, y, [7.0] * 4, P).value == correlate(x, y, P).value
    assert partial_correlation(x, y, [2 * v for v in x], P).reason is NoCorrelation.CONSTANT_X
    assert partial_correlation(x, y, [2 * v for v in y], P).reason is NoCorrelation.CONSTANT_Y
    assert partial_correlation([1.0] * 4, y, x, P).reason is NoCorrelation.CONSTANT_X


def test_halo_correlates_each_two_dimensions_that_both_have() -> None:
    judge = {"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0], "c": [3.0, 1.0, 2.0], "own": [0.0, 1.0, 0.0]}
    human = {"a": [1.0, 2.0, 3.0], "b": [2.0, 1.0, 3.0], "c": [2.0, 2.0, 2.0]}
    found = halo(judge, human)
    assert [(one.first, one.second) for one in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found[0].judge.value == pytest.approx(1)
    assert found[0].human.value == pytest.approx(0.5)
    assert found[1].human.reason is NoCorrelation.CONSTANT_Y


def test_self_consistency_counts_equal_items_and_skips_failed_repeats() -> None:
    repeats = [[1.0, 1.0, 1.0], [2.0, 4.0, 3.0], [5.0, None, 5.0], [3.0, 2.0, None], [4.0, None, None]]
    found = self_consistency(repeats, P)
    assert (found.n, found.num_repeats) == (4, 3)
    assert found.identical_share == 0.5
    assert found.mean_within_sd == pytest.approx((0 + 1 + 0 + 0.5**0.5) / 4)
    assert found.between_repeats.num_averaged + found.between_repeats.num_undefined == 3
    assert found.between_repeats.value is not None


def test_self_consistency_of_one_repeat_is_unknown() -> None:
    found = self_consistency([[1.0], [2.0]])
    assert (found.identical_share, found.mean_within_sd, found.n, found.num_repeats) == (None, None, 0, 1)
    assert found.between_repeats.value is None


def test_ratings_whose_squares_overflow_are_refused() -> None:
    rows = [[1.0, 2.0], [2.0, 1e308], [4.0, 1.0]]
    for refused in (
        lambda: reliability(rows, seed=1),
        lambda: leave_one_rater_out(rows, P),
        lambda: self_consistency(rows),
    ):
        with pytest.raises(DataError, match=r"1e\+308 in row 1.* smaller scale"):
            refused()
