import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twllm_types import DataError, PreferencePair, StepwiseSolution, UnpairedExample

verdicts = st.sampled_from([True, False, None])


@given(prompt=st.text(), steps=st.lists(st.tuples(st.text(), verdicts), min_size=1), outcome=verdicts)
def test_stepwise_solution_through_json_comes_back_equal(
    prompt: str, steps: list[tuple[str, bool | None]], outcome: bool | None
) -> None:
    texts, labels = zip(*steps, strict=True)
    solution = StepwiseSolution(prompt=prompt, steps=texts, step_labels=labels, outcome=outcome)
    assert StepwiseSolution.from_json(json.loads(json.dumps(solution.to_json()))) == solution


def test_stepwise_solution_without_outcome_is_unknown() -> None:
    row = {"prompt": "1+1?", "completions": ["2"], "labels": [True], "dataset": "ignored"}
    assert StepwiseSolution.from_json(row).outcome is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"prompt": 3}, "'prompt' is int"),
        ({"completions": "2"}, "'completions' is str"),
        ({"completions": ["2", 3]}, "'completions' entry 2 is int"),
        ({"completions": [], "labels": []}, "'completions' is empty"),
        ({"labels": None}, "'labels' is NoneType"),
        ({"labels": [1]}, "'labels' entry 1 is 1"),
        ({"labels": [True, True]}, "'labels' has 2 entries for 1 steps"),
        ({"outcome": "yes"}, "'outcome' is 'yes'"),
    ],
)
def test_stepwise_row_that_does_not_fit_names_the_field(changes: dict[str, Any], problem: str) -> None:
    row = {"prompt": "1+1?", "completions": ["2"], "labels": [True], "outcome": True}
    with pytest.raises(DataError, match=problem):
        StepwiseSolution.from_json({**row, **changes})


def test_stepwise_row_without_labels_names_the_field() -> None:
    with pytest.raises(DataError, match="'labels' is missing"):
        StepwiseSolution.from_json({"prompt": "1+1?", "completions": ["2"]})


def test_preference_pair_of_equal_texts_is_refused() -> None:
    assert PreferencePair(prompt="問", chosen="好", rejected="壞").chosen == "好"
    with pytest.raises(DataError, match="same text"):
        PreferencePair(prompt="問", chosen="好", rejected="好")


def test_unpaired_example_keeps_its_label() -> None:
    assert UnpairedExample(prompt="問", completion="答", label=False).label is False
