"""Coefficients against scipy, their laws, and what has none."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

import llm_eval
from llm_eval._correlation import CorrelationMethod, NoCorrelation, correlate
from twllm_types import ConfigError, DataError

SCIPY = {
    "pearson": stats.pearsonr,
    "spearman": stats.spearmanr,
    "kendall": lambda x, y: stats.kendalltau(x, y, method="asymptotic"),
}
METHODS = tuple(SCIPY)

numbers = st.integers(-50, 50).map(float)
columns = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=40)


def split(rows: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    x, y = [a for a, _ in rows], [b for _, b in rows]
    assume(len(set(x)) > 1 and len(set(y)) > 1)
    return x, y


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("num_items", [3, 4, 7, 50, 1000])
@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_correlate_equals_scipy_with_ties(method: str, num_items: int, decimals: int) -> None:
    rng = np.random.default_rng(num_items + decimals)
    x = np.round(2 * rng.normal(size=num_items), decimals)
    y = np.round(x / 2 + rng.normal(size=num_items), decimals)
    x[0], y[0] = 9.0, -9.0  # neither is constant
    found, expected = correlate(x, y, method), SCIPY[method](x, y)
    assert found.value == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.reason is None
    assert found.n == num_items


@given(columns)
def test_correlate_any_column_equals_scipy(rows: list[tuple[float, float]]) -> None:
    x, y = split(rows)
    for method, reference in SCIPY.items():
        value = correlate(x, y, method).value
        assert value == pytest.approx(reference(x, y).statistic, abs=1e-9)
        assert value is not None
        assert -1 <= value <= 1


@given(columns)
def test_correlate_ranks_rising_map_changes_nothing(rows: list[tuple[float, float]]) -> None:
    x, y = split(rows)
    mapped = [value**3 + np.exp(value / 10) for value in x]
    for method in ("spearman", "kendall"):
        assert correlate(mapped, y, method).value == pytest.approx(correlate(x, y, method).value, abs=1e-12)


@given(columns, st.floats(0.01, 100), st.floats(-100, 100))
def test_correlate_pearson_rising_line_changes_nothing(
    rows: list[tuple[float, float]], factor: float, shift: float
) -> None:
    x, y = split(rows)
    mapped = [factor * value + shift for value in x]
    assert correlate(mapped, y, "pearson").value == pytest.approx(correlate(x, y, "pearson").value, abs=1e-9)


@given(columns)
def test_correlate_turned_round_changes_sign(rows: list[tuple[float, float]]) -> None:
    x, y = split(rows)
    for method in METHODS:
        value = correlate(x, y, method).value
        assert value is not None
        assert correlate([-one for one in x], y, method).value == pytest.approx(-value, abs=1e-12)
        assert correlate(y, x, method).value == pytest.approx(value, abs=1e-12)


def test_correlate_huge_and_tiny_values_stay_finite() -> None:
    for scale in (1e300, 1e-300):
        value = correlate([scale, 2 * scale, 4 * scale], [1.0, 2.0, 4.0], "pearson").value
        assert value == pytest.approx(1.0)
    assert correlate([-1.7e308, 0.0, 1.7e308], [1.0, 2.0, 3.0], "pearson").value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([], [], NoCorrelation.TOO_FEW_ITEMS),
        ([1.0, 2.0], [2.0, 1.0], NoCorrelation.TOO_FEW_ITEMS),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], NoCorrelation.CONSTANT_X),
        ([1.0, 2.0, 3.0], [4.0, 4.0, 4.0], NoCorrelation.CONSTANT_Y),
        ([1.0, 1.0, 1.0], [4.0, 4.0, 4.0], NoCorrelation.CONSTANT_X),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_correlate_undefined_has_a_reason(x: list[float], y: list[float], reason: NoCorrelation, method: str) -> None:
    found = correlate(x, y, method)
    assert (found.value, found.p_value, found.reason, found.n) == (None, None, reason, len(x))


def test_correlate_bad_columns_are_refused() -> None:
    with pytest.raises(DataError, match="2 and 3 values"):
        correlate([1, 2], [1, 2, 3], "pearson")
    with pytest.raises(DataError, match=r"y\[1\] is nan"):
        correlate([1, 2, 3], [1, float("nan"), 3], "pearson")
    with pytest.raises(DataError, match="shape"):
        correlate(np.ones((2, 2)), [1, 2], "pearson")
    with pytest.raises(ConfigError, match="'rank'; give one of 'pearson', 'spearman', 'kendall'"):
        correlate([1, 2, 3], [1, 2, 3], "rank")
    with pytest.raises(ConfigError, match="no correlation method 'foo'"):
        llm_eval.correlate([1, 2, 3], [1, 2, 3], "foo")


def test_correlation_method_names_are_stable() -> None:
    assert [method.value for method in CorrelationMethod] == ["pearson", "spearman", "kendall"]


@pytest.mark.parametrize("method", METHODS)
def test_correlate_of_huge_numbers_is_that_of_their_likes(method: str) -> None:
    x, y = [1.0, -1.0, 0.25, 0.5, -0.125], [2.0, 1.0, 3.0, -1.0, 0.5]
    assert correlate([1e308 * one for one in x], y, method).value == pytest.approx(correlate(x, y, method).value)
