"""Paired differences, tests on the same items, corrections for many tests."""

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twllm_runs.statistics import (
    benjamini_hochberg,
    holm,
    mcnemar,
    mean_estimate,
    paired_difference,
    paired_scores_difference,
    permutation_test_paired,
)
from twllm_types import ConfigError, DataError, Estimate, EstimateUnit, Score

# scipy has no type stubs.
stats: Any = import_module("scipy.stats")

POINTS = EstimateUnit.POINTS
PAIRS = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=30)
P_VALUES = st.lists(st.floats(0, 1), max_size=30)
# The example of Benjamini and Hochberg 1995: fifteen p-values of a study of thrombolysis.
BH_1995 = [
    0.0001,
    0.0004,
    0.0019,
    0.0095,
    0.0201,
    0.0278,
    0.0298,
    0.0344,
    0.0459,
    0.3240,
    0.4262,
    0.5719,
    0.6528,
    0.7590,
    1.0,
]


def mean_gap(x: Any, y: Any, axis: int) -> Any:
    return (x - y).mean(axis=axis)


def interval(estimate: Estimate) -> tuple[float, float]:
    assert estimate.ci_low is not None
    assert estimate.ci_high is not None
    return estimate.ci_low, estimate.ci_high


@given(pairs=PAIRS)
def test_paired_difference_equals_scipy_paired_t_interval(pairs: list[tuple[float, float]]) -> None:
    a, b = np.array(pairs).T
    ours = paired_difference(a, b, unit=POINTS)
    d = a - b
    reach = stats.t.ppf(0.975, d.size - 1) * stats.sem(d)
    assert interval(ours) == pytest.approx((d.mean() - reach, d.mean() + reach), rel=1e-9, abs=1e-7)


@given(pairs=PAIRS)
def test_paired_difference_swapped_systems_change_only_the_sign(pairs: list[tuple[float, float]]) -> None:
    a, b = np.array(pairs).T
    there, back = paired_difference(a, b, unit=POINTS), paired_difference(b, a, unit=POINTS)
    assert there.mean is not None
    assert there.mean == pytest.approx(-(back.mean or 0.0), abs=1e-12)
    assert interval(there) == pytest.approx((-interval(back)[1], -interval(back)[0]), abs=1e-9)
    low, high = interval(there)
    assert low <= there.mean <= high


def test_paired_difference_shares_stay_within_one() -> None:
    estimate = paired_difference([1.0, 1.0, 0.9], [0.0, 0.2, 0.0], unit=EstimateUnit.SHARE)
    assert interval(estimate)[1] == 1.0


def test_paired_difference_bootstrap_agrees_with_student_and_is_repeatable() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(size=300)
    a, b = base + rng.normal(0.2, 0.5, size=300), base
    formula = paired_difference(a, b, unit=POINTS)
    drawn, again = (paired_difference(a, b, unit=POINTS, method="bootstrap", seed=5, draws=4000) for _ in range(2))
    assert drawn == again
    assert interval(drawn) == pytest.approx(interval(formula), abs=0.01)
    assert (drawn.method, drawn.draws, drawn.seed) == ("paired percentile bootstrap", 4000, 5)


@pytest.mark.parametrize("weighting", ["items", "strata"])
def test_paired_difference_stratified_bootstrap_agrees_with_the_stratified_formula(weighting: str) -> None:
    rng = np.random.default_rng(7)
    strata = np.repeat(["law", "history", "physics"], [200, 80, 40])
    shift = {"law": 0.0, "history": 1.0, "physics": 4.0}
    a = np.array([shift[str(s)] for s in strata]) + rng.normal(size=320)
    b = np.zeros(320)
    kind = "strata" if weighting == "strata" else "items"
    formula = paired_difference(a, b, unit=POINTS, strata=strata.tolist(), weighting=kind)
    drawn = paired_difference(
        a, b, unit=POINTS, strata=strata.tolist(), weighting=kind, method="bootstrap", seed=1, draws=4000
    )
    unstratified = paired_difference(a, b, unit=POINTS)
    assert drawn.stderr == pytest.approx(formula.stderr, rel=0.06)
    assert formula.stderr is not None
    assert unstratified.stderr is not None
    if weighting == "items":
        assert formula.stderr < 0.8 * unstratified.stderr
        assert formula.mean == pytest.approx(unstratified.mean)
    else:
        assert formula.mean == pytest.approx(np.mean([a[strata == s].mean() for s in shift]))


def test_paired_difference_clusters_within_strata_count_per_stratum() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    estimate = paired_difference(
        values, [0.0] * 8, unit=POINTS, clusters=["a", "a", "b", "b", "c", "c", "d", "d"], strata=["s"] * 4 + ["t"] * 4
    )
    assert estimate.num_clusters == 4
    assert estimate.method == "paired student t, clustered, stratified"


def test_paired_difference_no_pairs_or_one_pair_is_defined() -> None:
    none = paired_difference([], [], unit=POINTS, method="bootstrap", seed=1)
    one = paired_difference([2.0], [1.0], unit=POINTS, method="bootstrap", seed=1)
    assert (none.mean, none.n) == (None, 0)
    assert (one.mean, one.stderr, one.ci_low) == (1.0, None, None)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"first": [1.0], "second": [1.0, 2.0]}, "1 and 2 entries"),
        ({"first": [1.0], "second": [2.0], "unit": EstimateUnit.SHARE}, "second"),
        ({"first": [1.0], "second": [2.0], "method": "bootstrap"}, "seed"),
    ],
)
def test_paired_difference_unusable_data_are_refused(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(DataError, match=named):
        # Wrong on purpose.
        paired_difference(**{"unit": POINTS, **arguments})  # pyright: ignore[reportArgumentType]


def test_paired_scores_difference_drops_pairs_with_an_unscored_side() -> None:
    lost = Score(value=None, reason="refused")
    first = [Score(value=3.0), lost, Score(value=2.0), Score(value=5.0), lost]
    second = [Score(value=1.0), Score(value=9.0), Score(value=2.0), lost, lost]
    ours = paired_scores_difference(first, second, unit=POINTS, strata=["s"] * 5)
    assert ours == paired_difference([3.0, 2.0], [1.0, 2.0], unit=POINTS, strata=["s", "s"], num_unscored=3)


def test_paired_difference_equals_mean_estimate_of_differences() -> None:
    ours = paired_difference([3.0, 5.0, 4.0], [1.0, 4.0, 4.5], unit=POINTS)
    theirs = mean_estimate([2.0, 1.0, -0.5], unit=POINTS)
    assert (ours.mean, ours.stderr, interval(ours)) == (theirs.mean, theirs.stderr, interval(theirs))


@given(b=st.integers(0, 400), c=st.integers(0, 400))
def test_mcnemar_exact_equals_scipy_binomial_test(b: int, c: int) -> None:
    theirs = stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert mcnemar(b, c).p_value == pytest.approx(theirs, rel=1e-9, abs=1e-300)


def test_mcnemar_exact_of_many_pairs_equals_scipy_binomial_test() -> None:
    assert mcnemar(100_700, 99_900).p_value == pytest.approx(stats.binomtest(100_700, 200_600).pvalue, rel=1e-8)


def test_mcnemar_of_fagerland_example_gives_the_published_values() -> None:
    # Fagerland, Lydersen and Laake 2013: airway hyper-responsiveness, 1 against 7 discordant pairs.
    assert round(mcnemar(1, 7).p_value, 3) == 0.070
    assert round(mcnemar(1, 7, method="mid_p").p_value, 3) == 0.039


@given(b=st.integers(0, 200), c=st.integers(0, 200))
def test_mcnemar_mid_p_is_symmetric_and_below_the_exact_p(b: int, c: int) -> None:
    mid, exact = mcnemar(b, c, method="mid_p"), mcnemar(b, c)
    assert mid.p_value == mcnemar(c, b, method="mid_p").p_value
    assert mid.p_value < exact.p_value or b + c == 0


def test_mcnemar_mid_p_of_equal_counts_is_one_less_half_their_probability() -> None:
    assert mcnemar(2, 2, method="mid_p").p_value == pytest.approx(1 - stats.binom.pmf(2, 4, 0.5) / 2)


def test_mcnemar_without_discordant_pairs_shows_nothing() -> None:
    result = mcnemar(0, 0)
    assert (result.statistic, result.p_value, result.n) == (None, 1.0, 0)


def test_mcnemar_negative_count_is_refused() -> None:
    with pytest.raises(DataError, match="-1"):
        mcnemar(-1, 3)


@given(pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=9))
def test_permutation_test_paired_few_pairs_equal_scipy_enumeration(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, dtype=np.float64).T
    ours = permutation_test_paired(a, b, seed=1)
    theirs = stats.permutation_test(
        (a - b, np.zeros_like(a)), mean_gap, permutation_type="samples",
        vectorized=True, n_resamples=np.inf,
    )  # fmt: skip
    assert ours.p_value == pytest.approx(theirs.pvalue)
    assert ours.statistic == pytest.approx((a - b).mean())
    assert (ours.draws, ours.seed, ours.n) == (None, None, len(pairs))


def test_permutation_test_paired_many_pairs_agree_with_the_t_test_and_are_repeatable() -> None:
    rng = np.random.default_rng(8)
    a, b = rng.normal(0.15, 1, size=200), rng.normal(size=200)
    ours, again = (permutation_test_paired(a, b, seed=4, draws=20_000) for _ in range(2))
    assert ours == again
    assert ours.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)
    assert (ours.draws, ours.seed) == (20_000, 4)


def test_permutation_test_paired_a_certain_difference_has_the_smallest_p_possible() -> None:
    result = permutation_test_paired([1.0] * 60, [0.0] * 60, seed=1, draws=999)
    assert result.p_value == pytest.approx(1 / 1000)


def test_permutation_test_paired_clusters_flip_as_a_whole() -> None:
    result = permutation_test_paired([1.0] * 40, [0.0] * 40, seed=1, clusters=[i % 4 for i in range(40)])
    assert result.p_value == pytest.approx(2 / 2**4)
    assert result.method.endswith("clustered")


def test_permutation_test_paired_no_pairs_show_nothing() -> None:
    result = permutation_test_paired([], [], seed=1)
    assert (result.statistic, result.p_value, result.n) == (None, 1.0, 0)


def test_permutation_test_paired_unusable_arguments_are_refused() -> None:
    with pytest.raises(DataError, match="1 and 0 entries"):
        permutation_test_paired([1.0], [], seed=1)
    with pytest.raises(ConfigError, match="draws"):
        permutation_test_paired([1.0], [2.0], seed=1, draws=0)


@given(p_values=P_VALUES)
def test_benjamini_hochberg_equals_scipy(p_values: list[float]) -> None:
    theirs: Any = stats.false_discovery_control(p_values, method="bh") if p_values else ()
    assert benjamini_hochberg(p_values) == pytest.approx(tuple(theirs))


def test_benjamini_hochberg_of_the_1995_example_rejects_the_published_four() -> None:
    assert [p <= 0.05 for p in benjamini_hochberg(BH_1995)] == [True] * 4 + [False] * 11


def test_holm_of_the_1995_example_rejects_the_published_three() -> None:
    # The same paper: Bonferroni's procedure, and Hochberg's, reject the first three.
    assert [p <= 0.05 for p in holm(BH_1995)] == [True] * 3 + [False] * 12


def test_holm_of_a_small_family_equals_the_hand_computation() -> None:
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx((0.06, 0.03, 0.06, 0.02))


@given(p_values=P_VALUES)
def test_holm_lies_between_benjamini_hochberg_and_bonferroni(p_values: list[float]) -> None:
    bonferroni = [min(1.0, p * len(p_values)) for p in p_values]
    for ours, lower, upper in zip(holm(p_values), benjamini_hochberg(p_values), bonferroni, strict=True):
        assert lower - 1e-12 <= ours <= upper + 1e-12


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_corrections_impossible_p_value_is_refused(correct: object) -> None:
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        (holm if correct is holm else benjamini_hochberg)([0.5, 1.5])
