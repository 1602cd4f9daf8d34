"""Best of several: ties and missing scores."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_eval._best_of import BestOf, best_of
from twllm_types import ConfigError


def test_best_of_highest_score_wins_and_a_tie_goes_to_the_first():
    assert best_of([1.0, None, 3.0, 3.0, 2.0]) == BestOf(index=2, tied=(2, 3), num_unscored=1)
    assert best_of([None, None]) == BestOf(index=None, tied=(), num_unscored=2)


@pytest.mark.parametrize("scores", [[], [1.0, float("nan")]])
def test_best_of_without_order_is_refused(scores):
    with pytest.raises(ConfigError):
        best_of(scores)


@given(st.lists(st.none() | st.floats(-5, 5), min_size=1))
def test_best_of_no_score_is_higher_than_the_best(scores):
    best = best_of(scores)
    known = [score for score in scores if score is not None]
    assert best.num_unscored == len(scores) - len(known)
    if known:
        assert best.index == scores.index(max(known)) == best.tied[0]
