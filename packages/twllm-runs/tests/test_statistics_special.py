"""Student's t: quantiles, and the p-value of a correlation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from twllm_runs.statistics import correlation_p_value, student_quantile
from twllm_types import ConfigError


@pytest.mark.parametrize("degrees", [1, 2, 5, 30, 400, 20_000])
@pytest.mark.parametrize("r", [1e-12, 1e-4, 0.01, 0.1, 0.5, 0.71, 0.9, 0.999, 1 - 1e-9])
def test_correlation_p_value_equals_student(r: float, degrees: int) -> None:
    t = r * np.sqrt(degrees / ((1 - r) * (1 + r)))
    assert correlation_p_value(r, degrees) == pytest.approx(2 * stats.t.sf(t, degrees), rel=1e-9, abs=1e-300)
    assert correlation_p_value(-r, degrees) == correlation_p_value(r, degrees)


@pytest.mark.parametrize("degrees", [1, 2, 400])
def test_correlation_p_value_of_none_and_of_a_line(degrees: int) -> None:
    assert [correlation_p_value(r, degrees) for r in (0.0, 1e-200, 1.0, -1.0)] == [1.0, 1.0, 0.0, 0.0]


@given(st.floats(-1, 1), st.integers(1, 10**6))
def test_correlation_p_value_is_a_probability(r: float, degrees: int) -> None:
    assert 0 <= correlation_p_value(r, degrees) <= 1


@pytest.mark.parametrize(("r", "degrees"), [(1.5, 3), (float("nan"), 3), (0.5, 0)])
def test_correlation_p_value_of_what_is_no_correlation_is_refused(r: float, degrees: int) -> None:
    with pytest.raises(ConfigError, match="give r in"):
        correlation_p_value(r, degrees)


@pytest.mark.parametrize("degrees", [1, 2, 5, 30, 400, 1000, 20_000])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_student_quantile_equals_scipy(level: float, degrees: int) -> None:
    expected = stats.t.ppf((1 + level) / 2, degrees)
    assert student_quantile((1 + level) / 2, degrees) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("probability", [0.3, 1.0, float("nan")])
def test_student_quantile_of_no_upper_probability_is_refused(probability: float) -> None:
    with pytest.raises(ConfigError, match="must lie in"):
        student_quantile(probability, 3)


def test_student_quantile_without_degrees_of_freedom_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 degrees of freedom"):
        student_quantile(0.975, 0)
