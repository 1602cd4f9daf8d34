"""Intervals, differences and permutations against plain loops over scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from llm_eval._columns import read_units
from llm_eval._correlation import CorrelationMethod, correlate
from llm_eval._draws import draw_correlations
from llm_eval._resample import bootstrap_correlation_difference, bootstrap_correlations, permutation_p_values
from twllm_types import ConfigError, DataError, EstimateUnit

P, S, K = CorrelationMethod
SCIPY = {P: stats.pearsonr, S: stats.spearmanr, K: stats.kendalltau}


def invent(num_items: int, *, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    smooth = rng.normal(size=num_items)
    coarse = np.round(smooth + rng.normal(size=num_items))
    return [smooth, coarse, np.round(2 * rng.normal(size=num_items) + coarse), smooth + rng.normal(size=num_items)]


PAIRS = [(0, 1), (1, 2), (0, 3), (2, 1), (3, 3)]


def loop(columns, codes, num_units, *, draws: int, seed: int) -> dict[CorrelationMethod, np.ndarray]:
    """What a reader would write: draw, build the resample, call scipy."""
    rng = np.random.default_rng(seed)
    found = {method: np.full((len(PAIRS), draws), np.nan) for method in SCIPY}
    for draw in range(draws):
        units = rng.integers(0, num_units, size=num_units)
        items = np.concatenate([np.flatnonzero(codes == unit) for unit in units])
        for at, (i, j) in enumerate(PAIRS):
            x, y = columns[i][items], columns[j][items]
            if len(x) >= 3 and np.ptp(x) > 0 and np.ptp(y) > 0:
                for method, function in SCIPY.items():
                    found[method][at, draw] = function(x, y).statistic
    return found


@pytest.mark.parametrize(("num_items", "clustered"), [(3, False), (9, False), (60, False), (200, True), (13, True)])
def test_draws_equal_a_loop_over_scipy(num_items: int, clustered: bool) -> None:
    columns = invent(num_items)
    clusters = [f"context {at // 6}" for at in range(num_items)] if clustered else None
    units = read_units(num_items, clusters)
    ours = draw_correlations(columns, PAIRS, (P, S, K), units=units, draws=60, seed=3)
    theirs = loop(columns, units.codes, units.num_units, draws=60, seed=3)
    for method in SCIPY:
        np.testing.assert_allclose(ours[method], theirs[method], rtol=0, atol=1e-9, err_msg=method)


def test_draws_of_many_blocks_equal_those_of_one() -> None:
    columns = invent(9000)
    units = read_units(9000, None)
    ours = draw_correlations(columns[:2], [(0, 1)], (P, S), units=units, draws=20, seed=3)
    rng = np.random.default_rng(3)
    for draw in range(20):
        items = rng.integers(0, 9000, size=9000)
        assert ours[S][0, draw] == pytest.approx(stats.spearmanr(columns[0][items], columns[1][items])[0], abs=1e-9)
        assert ours[P][0, draw] == pytest.approx(stats.pearsonr(columns[0][items], columns[1][items])[0], abs=1e-9)


def test_draws_without_the_outlier_keep_their_digits() -> None:
    x = np.array([1e6, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5])
    y = np.array([3.0, 1.0, 2.0, 1.0, 4.0, 2.0, 5.0])
    ours = draw_correlations([x, y], [(0, 1)], (P,), units=read_units(7, None), draws=200, seed=1)[P][0]
    rng = np.random.default_rng(1)
    num_without = 0
    for draw in range(200):
        items = rng.integers(0, 7, size=7)
        num_without += 0 not in items
        value = correlate(x[items], y[items], "pearson").value
        assert ours[draw] == pytest.approx(np.nan if value is None else value, abs=1e-9, nan_ok=True)
    assert num_without > 50


def test_bootstrap_says_how_it_was_made() -> None:
    columns = invent(40)
    (found,) = bootstrap_correlations(
        [columns[0]], [columns[3]], clusters=[at % 8 for at in range(40)], draws=300, seed=5, level=0.9
    )
    for method in CorrelationMethod:
        estimate = found[method].estimate
        assert estimate is not None
        assert estimate.mean is not None
        assert estimate.mean == correlate(columns[0], columns[3], method).value
        assert estimate.ci_low is not None
        assert estimate.ci_high is not None
        assert estimate.ci_low < estimate.mean < estimate.ci_high
        assert estimate.unit is EstimateUnit.CORRELATION
        assert (estimate.draws, estimate.seed, estimate.num_clusters, estimate.n) == (300, 5, 8, 40)
        assert estimate.level == 0.9
        assert estimate.method == f"{method.value}, percentile bootstrap, clustered"


@given(st.integers(0, 50))
@settings(max_examples=10, deadline=None)
def test_bootstrap_items_alone_in_their_clusters_equal_plain_items(seed: int) -> None:
    columns = invent(20, seed=seed)
    plain = bootstrap_correlations([columns[0]], [columns[3]], draws=50, seed=seed)[0]
    alone = bootstrap_correlations([columns[0]], [columns[3]], clusters=list(range(20)), draws=50, seed=seed)[0]
    for method in CorrelationMethod:
        one, other = plain[method].estimate, alone[method].estimate
        assert one is not None
        assert other is not None
        assert (one.ci_low, one.ci_high, one.stderr) == (other.ci_low, other.ci_high, other.stderr)


def test_bootstrap_counts_draws_without_a_coefficient() -> None:
    x, y = [1.0, 1.0, 1.0, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0, 5.0]
    (found,) = bootstrap_correlations([x], [y], methods=(S,), draws=400, seed=1)
    estimate = found[S].estimate
    assert estimate is not None
    # all five are equal with probability 0.8^5, or nearly so
    assert 90 < found[S].num_undefined_draws < 180
    assert f"{found[S].num_undefined_draws:,} of 400 draws undefined and left out" in estimate.method


def test_bootstrap_undefined_coefficient_has_no_interval() -> None:
    (constant, few) = (
        bootstrap_correlations([[1.0] * 5], [[1.0, 2, 3, 4, 5]], draws=10, seed=1)[0],
        bootstrap_correlations([[1.0, 2.0]], [[1.0, 2.0]], draws=10, seed=1)[0],
    )
    for found in (constant, few):
        assert found[P].estimate is None
        assert found[P].correlation.reason is not None
        assert found[P].num_undefined_draws == 10


def test_bootstrap_one_cluster_has_no_interval_but_says_so() -> None:
    (found,) = bootstrap_correlations([[1.0, 2, 3]], [[1.0, 3, 2]], clusters=["a"] * 3, draws=10, seed=1, methods=(P,))
    estimate = found[P].estimate
    assert estimate is not None
    assert estimate.ci_low is None
    assert "one cluster only" in estimate.method


def test_bootstrap_no_defined_draw_has_no_interval_but_says_so() -> None:
    # Of two clusters of one and two items, draws of the first twice have two items; two draws with seed 4 are such.
    x, y, clusters = [1.0, 1.0, 2.0], [1.0, 2.0, 3.0], ["a", "a", "b"]
    for seed in range(200):
        (found,) = bootstrap_correlations([x], [y], clusters=clusters, draws=2, seed=seed, methods=(P,))
        if found[P].num_undefined_draws == 2:
            estimate = found[P].estimate
            assert estimate is not None
            assert estimate.ci_low is None
            assert "2 of 2 draws undefined" in estimate.method
            return
    pytest.fail("no seed draws one cluster twice in both draws")


def test_bootstrap_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="1 and 0 columns"):
        bootstrap_correlations([[1.0, 2, 3]], [], seed=1)
    with pytest.raises(DataError, match="3 and 2 values"):
        bootstrap_correlations([[1.0, 2, 3]], [[1.0, 2]], seed=1)
    with pytest.raises(DataError, match="2 labels for 3 items"):
        bootstrap_correlations([[1.0, 2, 3]], [[1.0, 2, 3]], clusters=["a", "b"], seed=1)
    with pytest.raises(ConfigError, match="draws = 1"):
        bootstrap_correlations([[1.0, 2, 3]], [[1.0, 2, 3]], draws=1, seed=1)
    with pytest.raises(ConfigError, match="level 95"):
        bootstrap_correlations([[1.0, 2, 3]], [[1.0, 2, 3]], level=95, seed=1)
    assert bootstrap_correlations([], [], seed=1) == ()


def test_difference_equals_a_paired_loop() -> None:
    first, second, _, human = invent(50)
    found = bootstrap_correlation_difference(first, second, human, method=S, draws=100, seed=2)
    rng = np.random.default_rng(2)
    drawn = []
    for _ in range(100):
        items = rng.integers(0, 50, size=50)
        one, other = (correlate(judge[items], human[items], S).value or 0.0 for judge in (first, second))
        drawn.append(one - other)
    assert found.estimate is not None
    assert found.estimate.ci_low == pytest.approx(np.quantile(drawn, 0.025), abs=1e-9)
    assert found.estimate.ci_high == pytest.approx(np.quantile(drawn, 0.975), abs=1e-9)
    assert found.first.value is not None
    assert found.second.value is not None
    assert found.estimate.mean == pytest.approx(found.first.value - found.second.value)


def test_difference_of_equal_judges_is_no_difference() -> None:
    first, *_, human = invent(30)
    found = bootstrap_correlation_difference(first, first, human, method=P, draws=50, seed=2)
    assert found.estimate is not None
    assert (found.estimate.mean, found.estimate.ci_low, found.estimate.ci_high, found.p_value) == (0, 0, 0, 1)


def test_difference_with_a_constant_judge_is_undefined() -> None:
    *_, human = invent(30)
    found = bootstrap_correlation_difference(human, [1.0] * 30, human, method=P, draws=50, seed=2)
    assert (found.estimate, found.p_value, found.num_undefined_draws) == (None, None, 50)


def test_permutation_equals_a_plain_loop() -> None:
    smooth, coarse, *_ = invent(25)
    (found,) = permutation_p_values([smooth], [coarse], draws=99, seed=4)
    for method in (P, S, K):
        rng = np.random.default_rng(4)
        observed = abs(SCIPY[method](smooth, coarse).statistic)
        orders = rng.permuted(np.tile(np.arange(25), (99, 1)), axis=1)
        hits = sum(abs(SCIPY[method](smooth, coarse[order]).statistic) >= observed - 1e-12 for order in orders)
        assert found[method] == pytest.approx((1 + hits) / 100)


def test_permutation_unrelated_columns_have_no_small_p() -> None:
    rng = np.random.default_rng(7)
    values = [
        permutation_p_values([rng.normal(size=20)], [rng.normal(size=20)], draws=99, seed=at, methods=(P,))[0][P]
        for at in range(200)
    ]
    # binomial: 200 tests at 0.05 give 10, and more than 20 with a probability below 0.002
    assert sum(value is not None and value <= 0.05 for value in values) <= 20


def test_permutation_of_clusters_is_not_fooled_by_what_they_share() -> None:
    rng = np.random.default_rng(11)
    clusters = np.repeat(np.arange(12), 10)
    plain, clustered = [], []
    for at in range(60):
        x, y = (np.repeat(rng.normal(size=12), 10) + 0.1 * rng.normal(size=120) for _ in range(2))
        plain.append(permutation_p_values([x], [y], draws=99, seed=at, methods=(P,))[0][P])
        clustered.append(
            permutation_p_values([x], [y], draws=99, seed=at, methods=(P,), clusters=clusters.tolist())[0][P]
        )
    assert sum(p <= 0.05 for p in plain) > 20
    # binomial: of 60 tests at 0.05 more than 9 have a probability below 0.002
    assert sum(p <= 0.05 for p in clustered) <= 9


def test_permutation_undefined_has_no_p_value() -> None:
    (found,) = permutation_p_values([[1.0, 1, 1]], [[1.0, 2, 3]], draws=9, seed=1)
    assert found == {P: None, S: None, K: None}
    with pytest.raises(ConfigError, match="draws = 0"):
        permutation_p_values([[1.0, 1, 1]], [[1.0, 2, 3]], draws=0, seed=1)


def test_permutation_clusters_of_unequal_size_stay_in_their_kind() -> None:
    x = [1.0, 2.0, 3.0, 4.0, 5.0]
    (found,) = permutation_p_values([x], [x], clusters=["a", "b", "b", "c", "c"], draws=999, seed=1, methods=(P,))
    # The first never moves; of 2 x 2 x 2 orders of the others one is the data's own.
    assert found[P] == pytest.approx(1 / 8, abs=0.04)
