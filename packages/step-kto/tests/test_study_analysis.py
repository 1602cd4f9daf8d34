"""The figures of benchmarks/step_kto/study.py on rows whose answers are known."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from twllm_runs.statistics import mean_estimate, paired_difference, ratio_estimate
from twllm_types import DataError, EstimateUnit

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks" / "step_kto"))
study = import_module("study_analysis")
difference, level, MEASURES = study.difference, study.level, study.MEASURES

GREEDY, SAMPLED, _, FLAWED, _ = MEASURES


def rows_of(*runs: str, num_seeds: int = 2, num_problems: int = 40):
    rng = np.random.default_rng(0)
    rows = {}
    for run in runs:
        for seed in range(num_seeds):
            right = rng.integers(1, 9, num_problems)
            columns = {
                "greedy": rng.integers(0, 2, num_problems),
                "majority": rng.integers(0, 2, num_problems),
                "right": right,
                "flawed": rng.integers(0, right + 1),
                "flawed_greedy": np.zeros(num_problems, dtype=int),
            }
            rows[run, seed] = {name: "".join(map(str, digits)) for name, digits in columns.items()}
    return rows


def digits(rows, run: str, seed: int, name: str) -> list[float]:
    return [float(digit) for digit in rows[run, seed][name]]


def test_level_of_seeds_equals_student_interval_of_their_means() -> None:
    rows = rows_of("a", num_seeds=3)
    found = level(rows, "a", (0, 1, 2), SAMPLED)
    means = [float(np.mean(digits(rows, "a", seed, "right"))) / 8 for seed in range(3)]
    expected = mean_estimate(means, unit=EstimateUnit.SHARE)
    assert found.seeds == pytest.approx(means)
    assert found.mean == pytest.approx(expected.mean)
    assert found.over_seeds == pytest.approx((expected.ci_low, expected.ci_high))


def test_level_of_one_seed_equals_delta_interval_of_its_ratio() -> None:
    rows = rows_of("a", num_seeds=1)
    found = level(rows, "a", (0,), FLAWED)
    expected = ratio_estimate(digits(rows, "a", 0, "flawed"), digits(rows, "a", 0, "right"))
    assert found.over_seeds is None
    assert found.mean == pytest.approx(expected.mean)
    assert found.within_seeds == pytest.approx((expected.ci_low, expected.ci_high))


def test_difference_within_seeds_equals_stratified_paired_interval() -> None:
    rows = rows_of("a", "b")
    found = difference(rows, "a", "b", (0, 1), GREEDY)
    first, second = ([one for seed in (0, 1) for one in digits(rows, run, seed, "greedy")] for run in ("a", "b"))
    expected = paired_difference(first, second, unit=EstimateUnit.SHARE, strata=[0] * 40 + [1] * 40)
    assert found.mean == pytest.approx(expected.mean)
    assert found.within_seeds == pytest.approx((expected.ci_low, expected.ci_high))


def test_difference_to_itself_is_zero_without_width() -> None:
    rows = rows_of("a")
    found = difference(rows, "a", "a", (0, 1), FLAWED)
    assert (found.mean, found.over_seeds, found.within_seeds) == (0.0, (0.0, 0.0), (0.0, 0.0))


def test_level_without_right_answers_is_refused() -> None:
    rows = rows_of("a")
    rows["a", 1]["right"] = "0" * 40
    with pytest.raises(DataError, match="nothing to be a share of"):
        level(rows, "a", (0, 1), FLAWED)


def test_level_without_a_run_is_refused() -> None:
    with pytest.raises(DataError, match="no result of 'b' with seed 0"):
        level(rows_of("a"), "b", (0, 1), GREEDY)
