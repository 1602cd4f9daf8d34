"""Maps to the human scale, and their error on items that they have not seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_eval._calibration import CalibrationMethod, NoCalibration, calibrate, fit_calibration
from twllm_types import ConfigError, DataError, EstimateUnit

LINEAR, ISOTONIC = CalibrationMethod


def test_fit_linear_is_the_regression_line() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=30)
    y = 2 * x + rng.normal(size=30)
    slope, shift = np.polyfit(x, y, 1)
    np.testing.assert_allclose(fit_calibration(x, y, LINEAR)(x), slope * x + shift)


def test_fit_linear_constant_scores_give_the_mean() -> None:
    assert fit_calibration([2.0, 2.0], [1.0, 4.0], LINEAR)(np.array([0.0, 9.0])).tolist() == [2.5, 2.5]


def test_fit_isotonic_pools_adjacent_violators() -> None:
    found = fit_calibration([1, 2, 3, 4, 5], [1, 3, 2, 4, 4], ISOTONIC)
    assert found(np.array([1, 2, 3, 4, 5.0])).tolist() == [1, 2.5, 2.5, 4, 4]
    assert found(np.array([0.0, 1.5, 9.0])).tolist() == [1, 1.75, 4]


def test_fit_isotonic_weighs_repeated_scores() -> None:
    found = fit_calibration([1, 1, 1, 2], [3, 3, 3, 1], ISOTONIC)
    assert found(np.array([1.0, 2.0])).tolist() == [2.5, 2.5]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_fit_isotonic_never_falls_and_keeps_the_mean(rows: list[tuple[int, int]]) -> None:
    x, y = np.array([float(a) for a, _ in rows]), np.array([float(b) for _, b in rows])
    fitted = fit_calibration(x, y, ISOTONIC)(np.sort(x))
    assert (np.diff(fitted) >= -1e-12).all()
    assert fitted.mean() == pytest.approx(y.mean())
    # No worse than the best constant and than the line that rises, both of which never fall.
    own = ((fit_calibration(x, y, ISOTONIC)(x) - y) ** 2).sum()
    assert own <= ((y - y.mean()) ** 2).sum() + 1e-9


def test_calibrate_helps_a_judge_on_another_scale() -> None:
    rng = np.random.default_rng(2)
    human: list[float] = rng.uniform(1, 5, size=200).tolist()
    judge: list[float] = (20 * np.array(human) + rng.normal(size=200)).tolist()
    for method in CalibrationMethod:
        found = calibrate(judge, human, method, seed=1)
        assert found.before is not None
        assert found.after is not None
        assert found.reduction is not None
        assert found.before.mean == pytest.approx(np.abs(np.array(judge) - human).mean())
        assert found.after.mean is not None
        assert found.after.mean < 0.2
        assert found.reduction.ci_low is not None
        assert found.reduction.ci_low > 0
        assert found.after.unit is EstimateUnit.POINTS
        assert (found.num_folds, found.n, found.reason) == (5, 200, None)


def test_calibrate_a_useless_judge_gains_nothing_from_its_own_items() -> None:
    # Each item's score is its own number: a map that saw it would know the rating.
    rng = np.random.default_rng(3)
    human = rng.normal(size=100)
    found = calibrate([float(at) for at in range(100)], human, ISOTONIC, seed=1, num_folds=10)
    assert found.after is not None
    assert found.after.mean is not None
    assert found.after.mean > 0.9 * np.abs(human - human.mean()).mean()


def test_calibrate_holds_out_whole_clusters() -> None:
    # Both items of a cluster share score and rating, so that one would give the other away.
    rng = np.random.default_rng(4)
    human = np.repeat(rng.normal(size=40), 2)
    judge = np.repeat(rng.permutation(40).astype(float), 2)
    labels = [at // 2 for at in range(80)]
    split = calibrate(judge, human, ISOTONIC, seed=1)
    whole = calibrate(judge, human, ISOTONIC, clusters=labels, seed=1)
    assert split.after is not None
    assert whole.after is not None
    assert whole.after.num_clusters == 40
    assert split.after.mean is not None
    assert whole.after.mean is not None
    assert whole.after.mean >= split.after.mean


def test_calibrate_same_seed_gives_the_same() -> None:
    human, judge = [1.0, 2, 3, 4, 5, 2], [2.0, 1, 3, 5, 4, 2]
    assert calibrate(judge, human, LINEAR, seed=7, num_folds=3) == calibrate(judge, human, LINEAR, seed=7, num_folds=3)


def test_calibrate_fewer_clusters_than_folds_has_a_reason() -> None:
    found = calibrate([1.0, 2, 3], [1.0, 2, 3], LINEAR, seed=1)
    assert (found.before, found.after, found.reduction) == (None, None, None)
    assert found.reason is NoCalibration.TOO_FEW_CLUSTERS


def test_calibrate_bad_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="num_folds = 1"):
        calibrate([1.0], [1.0], LINEAR, seed=1, num_folds=1)
    with pytest.raises(DataError, match="2 and 1 values"):
        calibrate([1.0, 2.0], [1.0], LINEAR, seed=1)


@pytest.mark.parametrize("method", CalibrationMethod)
def test_calibrate_numbers_whose_squares_overflow_are_refused(method: CalibrationMethod) -> None:
    plain, huge = [float(at % 5) for at in range(20)], [1e308, -1e308, *map(float, range(18))]
    with pytest.raises(DataError, match=r"judge\[0\] is 1e\+308.* smaller scale"):
        calibrate(huge, plain, method, seed=1)
    with pytest.raises(DataError, match=r"human\[0\] is 1e\+308.* smaller scale"):
        calibrate(plain, huge, method, seed=1)


@pytest.mark.parametrize("scale", [2.0**-600, 2.0**300])
def test_fit_linear_tiny_or_huge_scores_give_the_same(scale: float) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=30)
    y = 2 * x + rng.normal(size=30)
    assert fit_calibration(scale * x, y, LINEAR)(scale * x).tolist() == fit_calibration(x, y, LINEAR)(x).tolist()


def test_fit_linear_constant_scores_that_no_float_holds_teach_nothing() -> None:
    # The mean of 12 times 0.1 is not 0.1, which is no slope.
    y = np.random.default_rng(1).normal(size=12)
    assert fit_calibration([0.1] * 12, y, LINEAR)(np.array([0.1, 5.0])).tolist() == [y.mean(), y.mean()]


def test_calibrate_of_a_line_that_leaves_what_can_be_squared_is_refused_with_the_fix() -> None:
    with pytest.raises(DataError, match=r"calibrated\[\d\] is .*smaller scale"):
        calibrate([1e100, -1e100, 0, 5], [1, 2, 3, 1e100], CalibrationMethod.LINEAR, num_folds=2, seed=0)
