"""Verdicts: codes, what follows a first error, counts and weights."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from step_kto._labels import (
    LabelCounts,
    apply_after_first_error,
    check_classes,
    count_labels,
    label_code,
    label_codes,
    suggest_weights,
)
from twllm_types import ConfigError, DataError, StepwiseSolution

verdicts = st.lists(st.sampled_from([True, False, None]), max_size=8)


def solution(labels, outcome):
    return StepwiseSolution(
        prompt="1 + 1 = ?", steps=("so\n",) * len(labels), step_labels=tuple(labels), outcome=outcome
    )


def test_label_codes_are_padded_with_absent():
    assert label_codes([True, False, None], num_steps=5) == (1, 0, -1, -2, -2)
    assert [int(label_code(label)) for label in (True, False, None)] == [1, 0, -1]


def test_label_codes_of_too_many_labels_are_refused():
    with pytest.raises(DataError, match="3 step labels do not fit into 2 columns"):
        label_codes([True, True, True], num_steps=2)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("as_judged", (True, None, False, True, False, None)),
        ("mask", (True, None, False, None, None, None)),
        ("negative", (True, None, False, False, False, False)),
    ],
)
def test_after_first_error_policies(policy, expected):
    assert apply_after_first_error([True, None, False, True, False, None], policy) == expected


@given(labels=verdicts, policy=st.sampled_from(["as_judged", "mask", "negative"]))
def test_after_first_error_changes_nothing_up_to_the_first_error_and_is_idempotent(labels, policy):
    once = apply_after_first_error(labels, policy)
    end = labels.index(False) + 1 if False in labels else len(labels)
    assert once[:end] == tuple(labels[:end])
    assert len(once) == len(labels)
    assert apply_after_first_error(once, policy) == once


def test_after_first_error_of_unknown_policy_is_refused():
    with pytest.raises(ConfigError, match="after_first_error is 'drop'"):
        apply_after_first_error([True], "drop")  # pyright: ignore[reportArgumentType]


def test_count_labels_counts_both_levels_after_the_policy():
    rows = [solution([True, False, True], None), solution([True, None], True), solution([False], False)]
    counts = count_labels(rows)
    assert counts.outcomes == LabelCounts(num_right=1, num_wrong=1, num_unknown=1)
    assert counts.steps == LabelCounts(num_right=3, num_wrong=2, num_unknown=1)
    assert count_labels(rows, after_first_error="negative").steps.num_wrong == 3
    assert counts.steps.num_labelled == 5


@pytest.mark.parametrize(("right", "wrong", "present"), [(7, 0, "right"), (0, 7, "wrong")])
def test_check_classes_of_one_class_is_refused(right, wrong, present):
    with pytest.raises(DataError, match=f"rows.jsonl: all 7 step labels are {present}; .* set step_weight to 0"):
        check_classes(LabelCounts(num_right=right, num_wrong=wrong), level="step", where="rows.jsonl")


def test_check_classes_of_both_or_no_class_passes():
    check_classes(LabelCounts(num_right=1, num_wrong=9), level="outcome", where="rows.jsonl")
    check_classes(LabelCounts(num_unknown=9), level="outcome", where="rows.jsonl")


@given(right=st.integers(1, 10**6), wrong=st.integers(1, 10**6))
def test_suggested_weights_balance_the_classes_and_raise_one_at_most(right, wrong):
    weights = suggest_weights(LabelCounts(num_right=right, num_wrong=wrong))
    ratio = weights.desirable * right / (weights.undesirable * wrong)
    assert 1 - 1e-12 <= ratio <= 4 / 3 + 1e-12
    assert min(weights.desirable, weights.undesirable) == 1
    if 1 <= right / wrong <= 4 / 3:
        assert weights.desirable == weights.undesirable == 1


def test_suggested_weights_by_hand():
    few_right = suggest_weights(LabelCounts(num_right=10, num_wrong=40))
    few_wrong = suggest_weights(LabelCounts(num_right=40, num_wrong=10))
    assert (few_right.desirable, few_right.undesirable) == (4.0, 1.0)
    assert (few_wrong.desirable, few_wrong.undesirable) == (1.0, pytest.approx(3.0))


def test_suggested_weights_of_one_class_are_refused():
    with pytest.raises(DataError, match="5 right and 0 wrong"):
        suggest_weights(LabelCounts(num_right=5))
