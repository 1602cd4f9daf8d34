"""Folds by position within the intent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icda import CrossFit, fold_of, seed_folds
from twllm_types import ConfigError, DataError


def test_seed_folds_go_by_position_within_the_intent():
    labels = ["a", "b", "a", "a", "b", "b", "b", "lone"]
    assert seed_folds(labels, 3).tolist() == [0, 0, 1, 2, 1, 2, 0, -1]


@given(st.lists(st.sampled_from("abc"), min_size=4), st.integers(2, 6))
def test_seed_folds_leave_a_seed_of_every_held_out_intent(labels, num_folds):
    folds = seed_folds(labels, num_folds).tolist()
    for fold in range(num_folds):
        held_out = {label for label, own in zip(labels, folds, strict=True) if own == fold}
        left = {label for label, own in zip(labels, folds, strict=True) if own != fold}
        assert held_out <= left


@pytest.mark.parametrize("labels", [[], ["a"], ["a", "b", "c"]], ids=["none", "one", "lone"])
def test_seed_folds_one_seed_per_intent_is_refused(labels):
    with pytest.raises(DataError, match="no intent has two seeds"):
        seed_folds(labels)


def test_folds_out_of_range_are_refused():
    for position, num_folds in ((-1, 5), (0, 1)):
        with pytest.raises(ConfigError, match="give a position >= 0"):
            fold_of(position, num_folds)
    assert [fold_of(position, 5) for position in (0, 4, 5, 11)] == [0, 4, 0, 1]
    assert CrossFit().num_folds == 5
    with pytest.raises(ConfigError, match="num_folds is 1"):
        CrossFit(num_folds=1)
