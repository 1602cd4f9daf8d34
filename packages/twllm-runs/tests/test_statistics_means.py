"""Means, ratios and bootstraps: parity with scipy, the cluster formula, degenerate samples, coverage."""

from importlib import import_module
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from twllm_runs.statistics import bootstrap_estimate, mean_estimate, ratio_estimate, scores_estimate
from twllm_types import ConfigError, DataError, Estimate, EstimateUnit, Score

# scipy has no type stubs.
stats: Any = import_module("scipy.stats")

POINTS = EstimateUnit.POINTS
FloatArray = NDArray[np.float64]
FLOATS = st.floats(-1e6, 1e6, allow_subnormal=False)
SAMPLES = st.lists(FLOATS, min_size=2, max_size=40)


def row_means(rows: FloatArray) -> FloatArray:
    return np.asarray(rows.mean(axis=1), dtype=np.float64)


def row_medians(rows: FloatArray) -> FloatArray:
    return np.asarray(np.median(rows, axis=1), dtype=np.float64)


def as_it_is(rows: FloatArray) -> FloatArray:
    return rows


def interval(estimate: Estimate) -> tuple[float, float]:
    assert estimate.ci_low is not None
    assert estimate.ci_high is not None
    return estimate.ci_low, estimate.ci_high


@given(values=SAMPLES, level=st.sampled_from([0.8, 0.95, 0.999]))
def test_mean_estimate_equals_scipy_student_interval(values: list[float], level: float) -> None:
    ours = mean_estimate(values, unit=POINTS, level=level)
    stderr = stats.sem(values)
    reach = stats.t.ppf((1 + level) / 2, len(values) - 1) * stderr
    assert ours.mean == pytest.approx(np.mean(values), abs=1e-6)
    assert ours.stderr == pytest.approx(stderr, rel=1e-9, abs=1e-6)
    assert interval(ours) == pytest.approx((np.mean(values) - reach, np.mean(values) + reach), rel=1e-9, abs=1e-5)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("n", [2, 3, 5, 12, 101, 1000, 1001, 1002, 30_000])
def test_mean_estimate_quantile_of_t_equals_scipy_to_nine_digits(n: int, level: float) -> None:
    values = np.arange(n, dtype=np.float64)
    ours = mean_estimate(values, unit=POINTS, level=level)
    assert ours.mean is not None
    assert ours.stderr is not None
    assert (interval(ours)[1] - ours.mean) / ours.stderr == pytest.approx(stats.t.ppf((1 + level) / 2, n - 1), rel=1e-9)


def clustered_stderr_by_definition(values: list[float], clusters: list[str]) -> float:
    """The clustered standard error of Miller 2024 with its three sums written out."""
    n, mean = len(values), sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / (n - 1) / n
    for i, j in permutations(range(n), 2):
        if clusters[i] == clusters[j]:
            variance += (values[i] - mean) * (values[j] - mean) / n**2
    return variance**0.5


@given(rows=st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abcd")), min_size=3, max_size=25))
def test_mean_estimate_clustered_stderr_equals_the_published_sum(rows: list[tuple[float, str]]) -> None:
    values, clusters = [v for v, _ in rows], [c for _, c in rows]
    ours = mean_estimate(values, unit=POINTS, clusters=clusters)
    assert ours.num_clusters == len(set(clusters))
    if ours.num_clusters == 1:
        assert ours.stderr is None
    else:
        assert ours.stderr == pytest.approx(clustered_stderr_by_definition(values, clusters), rel=1e-6, abs=1e-8)


def test_mean_estimate_one_item_per_cluster_equals_independent_items() -> None:
    values = [0.1, 0.7, 0.4, 0.9]
    clustered, plain = mean_estimate(values, unit=POINTS, clusters=[4, 3, 2, 1]), mean_estimate(values, unit=POINTS)
    assert clustered.stderr == pytest.approx(plain.stderr, rel=1e-12)
    assert interval(clustered) == pytest.approx(interval(plain), rel=1e-12)
    assert (clustered.method, plain.method) == ("student t, clustered", "student t")


def test_mean_estimate_copies_in_a_cluster_widen_the_interval() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0]
    copied, labels = values * 4, list(range(5)) * 4
    clustered, naive = (mean_estimate(copied, unit=POINTS, clusters=c) for c in (labels, None))
    assert clustered.stderr is not None
    assert naive.stderr is not None
    assert clustered.stderr > 1.8 * naive.stderr


@given(values=SAMPLES, data=st.data())
def test_mean_estimate_order_of_items_does_not_matter(values: list[float], data: st.DataObject) -> None:
    clusters = [str(position % 3) for position in range(len(values))]
    order = data.draw(st.permutations(range(len(values))))
    straight = mean_estimate(values, unit=POINTS, clusters=clusters)
    mixed = mean_estimate([values[i] for i in order], unit=POINTS, clusters=[clusters[i] for i in order])
    assert mixed.mean == pytest.approx(straight.mean, rel=1e-9, abs=1e-6)
    assert mixed.stderr == pytest.approx(straight.stderr, rel=1e-6, abs=1e-4)


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_mean_estimate_share_interval_holds_the_mean_within_zero_and_one(values: list[float]) -> None:
    estimate = mean_estimate(values, unit=EstimateUnit.SHARE)
    low, high = interval(estimate)
    assert estimate.mean is not None
    assert 0 <= low <= estimate.mean + 1e-12
    assert estimate.mean - 1e-12 <= high <= 1


def test_mean_estimate_strata_weighted_alike_is_the_mean_of_stratum_means() -> None:
    values, strata = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0], ["law", "law", "law", "law", "news", "news"]
    micro = mean_estimate(values, unit=POINTS, strata=strata)
    macro = mean_estimate(values, unit=POINTS, strata=strata, weighting="strata")
    assert micro.mean == pytest.approx(0.5)
    assert macro.mean == pytest.approx((0.75 + 0.0) / 2)
    assert macro.stderr == pytest.approx(np.sqrt(0.25 * stats.sem(values[:4]) ** 2))
    assert micro.stderr == pytest.approx(np.sqrt((4 / 6) ** 2 * stats.sem(values[:4]) ** 2))
    assert macro.method == "student t, stratified, strata weighted alike"


def test_mean_estimate_no_values_has_no_mean_and_no_interval() -> None:
    estimate = mean_estimate([], unit=EstimateUnit.BITS, num_unscored=7, strata=[], clusters=[])
    assert (estimate.mean, estimate.stderr, estimate.ci_low, estimate.n, estimate.num_unscored) == (
        None, None, None, 0, 7,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "clusters", "strata"),
    [([2.5], None, None), ([2.0, 3.0], ["x", "x"], None), ([2.0, 2.5, 3.0], None, ["s", "s", "lone"])],
)
def test_mean_estimate_one_independent_unit_has_neither_error_nor_interval(
    values: list[float], clusters: list[str] | None, strata: list[str] | None
) -> None:
    estimate = mean_estimate(values, unit=POINTS, clusters=clusters, strata=strata)
    assert estimate.mean == pytest.approx(2.5)
    assert (estimate.stderr, estimate.ci_low, estimate.ci_high) == (None, None, None)
    assert "only one independent unit" in estimate.method


def test_mean_estimate_constant_values_have_an_interval_without_width() -> None:
    estimate = mean_estimate([3.0] * 9, unit=POINTS)
    assert (estimate.stderr, estimate.ci_low, estimate.ci_high) == (0.0, 3.0, 3.0)


def test_mean_estimate_small_samples_are_covered_as_often_as_promised() -> None:
    rng = np.random.default_rng(11)
    samples = rng.normal(4.0, 2.0, size=(1500, 5))
    held = [low <= 4.0 <= high for low, high in (interval(mean_estimate(row, unit=POINTS)) for row in samples)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"values": [1.0, float("nan")]}, r"values\[1\] is nan"),
        ({"values": [[1.0]]}, "shape"),
        ({"values": [1.0, 2.0], "unit": EstimateUnit.SHARE}, "share"),
        ({"values": [1.0, 2.0], "clusters": ["a"]}, "clusters have 1 labels for 2"),
        ({"values": [1.0], "strata": []}, "strata have 0 labels for 1"),
        ({"values": [1.0, 2.0], "clusters": ["a", "a"], "strata": ["s", "t"]}, "two strata"),
    ],
)
def test_mean_estimate_unusable_data_are_refused(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(DataError, match=named):
        # Wrong on purpose.
        mean_estimate(**{"unit": POINTS, **arguments})  # pyright: ignore[reportArgumentType]


def test_mean_estimate_impossible_level_is_refused() -> None:
    with pytest.raises(ConfigError, match="level"):
        mean_estimate([1.0], unit=POINTS, level=1.5)


def test_scores_estimate_counts_unscored_and_drops_their_labels() -> None:
    scores = [Score(value=1.0), Score(value=None, reason="no_json"), Score(value=3.0), Score(value=5.0)]
    ours = scores_estimate(scores, unit=POINTS, clusters=["a", "lost", "b", "b"])
    assert ours == mean_estimate([1.0, 3.0, 5.0], unit=POINTS, clusters=["a", "b", "b"], num_unscored=1)


def test_scores_estimate_labels_for_scored_items_only_are_refused() -> None:
    with pytest.raises(DataError, match="1 labels for 2 scores"):
        scores_estimate([Score(value=1.0), Score(value=None, reason="x")], unit=POINTS, strata=["a"])


def test_bootstrap_estimate_mean_agrees_with_scipy_percentile_bootstrap() -> None:
    values = np.random.default_rng(2).gamma(2.0, size=80)
    ours = bootstrap_estimate(values, unit=POINTS, seed=1, draws=20_000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(3))
    assert interval(ours) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)
    assert ours.stderr == pytest.approx(theirs.standard_error, rel=0.03)
    assert (ours.draws, ours.seed, ours.method) == (20_000, 1, "percentile bootstrap")


def test_bootstrap_estimate_median_agrees_with_scipy_percentile_bootstrap() -> None:
    values = np.random.default_rng(4).normal(size=61)
    ours = bootstrap_estimate(values, row_medians, unit=POINTS, seed=1, draws=8000)
    theirs = stats.bootstrap((values,), np.median, n_resamples=8000, method="percentile", rng=np.random.default_rng(3))
    assert ours.mean == pytest.approx(np.median(values))
    assert interval(ours) == pytest.approx(tuple(theirs.confidence_interval), abs=0.06)


def test_bootstrap_estimate_more_items_than_one_chunk_is_close_to_the_formula() -> None:
    values = np.random.default_rng(6).normal(size=300_000)
    for statistic in ("mean", row_means):
        ours = bootstrap_estimate(values, statistic, unit=POINTS, seed=8, draws=40)
        assert ours.stderr == pytest.approx(stats.sem(values), rel=0.4)


def test_bootstrap_estimate_clusters_agree_with_the_cluster_formula() -> None:
    rng = np.random.default_rng(9)
    labels = np.repeat(np.arange(60), rng.integers(1, 8, size=60))
    values = rng.normal(size=60)[labels] + 0.3 * rng.normal(size=labels.size)
    formula = mean_estimate(values, unit=POINTS, clusters=labels.tolist())
    naive = mean_estimate(values, unit=POINTS)
    for statistic in ("mean", row_means):
        drawn = bootstrap_estimate(values, statistic, unit=POINTS, clusters=labels.tolist(), seed=1, draws=3000)
        assert drawn.stderr == pytest.approx(formula.stderr, rel=0.1)
        assert drawn.num_clusters == 60
    assert formula.stderr is not None
    assert naive.stderr is not None
    assert formula.stderr > 1.5 * naive.stderr


@given(values=SAMPLES, seed=st.integers(0, 2**32))
def test_bootstrap_estimate_same_seed_gives_the_same_interval_within_the_range(values: list[float], seed: int) -> None:
    first, again = (bootstrap_estimate(values, unit=POINTS, seed=seed, draws=50) for _ in range(2))
    assert first == again
    low, high = interval(first)
    slack = 1e-9 * (1 + max(abs(v) for v in values))
    assert min(values) - slack <= low <= high <= max(values) + slack


def test_bootstrap_estimate_other_seed_gives_another_interval() -> None:
    values = np.random.default_rng(1).normal(size=50)
    first, other = (bootstrap_estimate(values, unit=POINTS, seed=seed) for seed in (1, 2))
    assert interval(first) != interval(other)


def test_bootstrap_estimate_degenerate_samples_are_defined() -> None:
    none = bootstrap_estimate([], unit=POINTS, seed=1)
    one = bootstrap_estimate([4.0], unit=POINTS, seed=1)
    constant = bootstrap_estimate([2.0] * 5, unit=POINTS, seed=1)
    assert (none.mean, none.ci_low, none.draws) == (None, None, None)
    assert (one.mean, one.stderr, one.ci_low, one.draws, one.seed) == (4.0, None, None, None, None)
    assert (constant.stderr, interval(constant)) == (0.0, (2.0, 2.0))


def test_bootstrap_estimate_statistic_of_another_shape_is_refused() -> None:
    with pytest.raises(DataError, match="one figure per row"):
        bootstrap_estimate([1.0, 2.0], as_it_is, unit=POINTS, seed=1)


def test_bootstrap_estimate_one_draw_is_refused() -> None:
    with pytest.raises(ConfigError, match="draws = 1"):
        bootstrap_estimate([1.0, 2.0], unit=POINTS, seed=1, draws=1)


def test_ratio_estimate_is_the_ratio_of_sums_not_the_mean_of_ratios() -> None:
    estimate = ratio_estimate([10.0, 1.0], [10.0, 4.0], unit=EstimateUnit.BITS_PER_BYTE)
    assert estimate.mean == pytest.approx(11 / 14)
    assert estimate.unit is EstimateUnit.BITS_PER_BYTE


def test_ratio_estimate_delta_method_agrees_with_bootstrap_and_with_the_textbook_formula() -> None:
    rng = np.random.default_rng(12)
    y = rng.gamma(5.0, size=400)
    x = 1.7 * y + rng.normal(size=400)
    delta = ratio_estimate(x, y)
    drawn = ratio_estimate(x, y, method="bootstrap", seed=3, draws=4000)
    r = x.sum() / y.sum()
    textbook = np.sqrt((x.var(ddof=1) + r**2 * y.var(ddof=1) - 2 * r * np.cov(x, y)[0, 1]) / 400) / y.mean()
    assert delta.stderr == pytest.approx(textbook, rel=1e-9)
    assert drawn.stderr == pytest.approx(textbook, rel=0.06)
    assert interval(drawn) == pytest.approx(interval(delta), abs=0.01)
    assert (drawn.draws, drawn.seed) == (4000, 3)


@given(scale=st.floats(0.1, 100), rows=st.lists(st.tuples(st.floats(0, 10), st.floats(1, 10)), min_size=2, max_size=20))
def test_ratio_estimate_scales_with_its_numerators(scale: float, rows: list[tuple[float, float]]) -> None:
    x, y = np.array([a for a, _ in rows]), [b for _, b in rows]
    plain, scaled = ratio_estimate(x, y), ratio_estimate(scale * x, y)
    assert plain.mean is not None
    assert plain.stderr is not None
    assert scaled.mean == pytest.approx(scale * plain.mean, rel=1e-9)
    assert scaled.stderr == pytest.approx(scale * plain.stderr, rel=1e-6, abs=1e-9)


def test_ratio_estimate_constant_denominators_equal_the_mean() -> None:
    ratio, mean = ratio_estimate([1.0, 4.0, 7.0], [1.0] * 3), mean_estimate([1.0, 4.0, 7.0], unit=POINTS)
    assert interval(ratio) == pytest.approx(interval(mean))


def test_ratio_estimate_degenerate_samples_are_defined() -> None:
    assert ratio_estimate([], [], clusters=[]).mean is None
    one = ratio_estimate([3.0], [2.0], method="bootstrap", seed=1)
    assert (one.mean, one.stderr, one.ci_low) == (1.5, None, None)


@pytest.mark.parametrize(
    ("x", "y", "named"),
    [
        ([1.0], [], "1 and 0 entries"),
        ([1.0, 1.0], [1.0, -1.0], "denominators"),
        ([1.0, 1.0], [0.0, 0.0], "denominators"),
    ],
)
def test_ratio_estimate_unusable_columns_are_refused(x: list[float], y: list[float], named: str) -> None:
    with pytest.raises(DataError, match=named):
        ratio_estimate(x, y)


@pytest.mark.parametrize(
    ("x", "y", "clusters"),
    [([1.0, 2.0, 3.0], [0.0, 0.0, 1.0], None), ([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 0.0], ["a", "a", "b", "b"])],
)
def test_ratio_estimate_bootstrap_whose_draws_may_be_zero_has_no_error_whatever_the_seed(
    x: list[float], y: list[float], clusters: list[str] | None
) -> None:
    estimates = [ratio_estimate(x, y, method="bootstrap", seed=seed, clusters=clusters, draws=20) for seed in range(30)]
    assert estimates == estimates[:1] * 30
    (estimate,) = estimates[:1]
    assert estimate.mean == pytest.approx(sum(x))
    assert (estimate.stderr, estimate.ci_low, estimate.ci_high) == (None, None, None)
    assert (estimate.draws, estimate.seed) == (None, None)
    assert estimate.method.endswith("no error: a draw may have only zeros as denominators")


def test_ratio_estimate_bootstrap_of_one_zero_cluster_and_one_other_says_one_reason() -> None:
    one = ratio_estimate([1.0, 2.0], [0.0, 1.0], method="bootstrap", seed=0, clusters=["a", "a"])
    assert one.method.count("no error") == 1


def test_ratio_estimate_bootstrap_of_many_items_with_a_few_zeros_has_an_interval() -> None:
    drawn = ratio_estimate([1.0] * 50, [0.0] * 5 + [2.0] * 45, method="bootstrap", seed=0)
    delta = ratio_estimate([1.0] * 50, [0.0] * 5 + [2.0] * 45)
    assert drawn.stderr == pytest.approx(delta.stderr, rel=0.15)
    assert drawn.draws == 2000


def test_ratio_estimate_bootstrap_without_seed_is_refused() -> None:
    with pytest.raises(DataError, match="seed"):
        ratio_estimate([1.0, 1.0], [1.0, 1.0], method="bootstrap")
