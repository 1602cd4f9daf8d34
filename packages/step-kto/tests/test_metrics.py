"""Figures of an evaluation against enumeration, by hand, and in their empty cases."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from step_kto._metrics import (
    SampleCounts,
    accuracy,
    majority_vote,
    pass_at_k,
    pass_at_k_estimate,
    stepwise_errors_in_correct,
)
from twllm_types import ConfigError, DataError, StepwiseSolution


@given(data=st.data(), n=st.integers(1, 9))
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_sample(data, n):
    right, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    samples = [place < right for place in range(n)]
    draws = [any(draw) for draw in combinations(samples, k)]
    assert pass_at_k(n, right, k) == pytest.approx(sum(draws) / len(draws), abs=1e-12)


@given(n=st.integers(1, 10**6), share=st.floats(0, 1))
def test_pass_at_one_is_the_share_of_right_samples(n, share):
    assert pass_at_k(n, round(n * share), 1) == pytest.approx(round(n * share) / n)


@pytest.mark.parametrize(("n", "k"), [(4, 5), (4, 0)])
def test_pass_at_k_of_too_few_samples_is_refused(n, k):
    with pytest.raises(ConfigError, match=f"pass@{k} cannot be estimated from {n} samples"):
        pass_at_k(n, 2, k)


@pytest.mark.parametrize(("n", "right"), [(0, 0), (3, 4), (3, -1)])
def test_sample_counts_out_of_range_are_refused(n, right):
    with pytest.raises(DataError, match=f"{right} right of {n} samples"):
        SampleCounts(num_samples=n, num_right=right)


def test_pass_at_k_estimate_is_the_mean_over_problems():
    problems = [SampleCounts(num_samples=4, num_right=right) for right in (0, 1, 4)]
    estimate = pass_at_k_estimate(problems, 2)
    assert estimate.mean == pytest.approx((0 + 0.5 + 1) / 3)
    assert estimate.n == 3
    assert estimate.ci_low is not None
    assert pass_at_k_estimate([], 2).mean is None


def test_majority_vote_takes_the_answer_given_most_often():
    assert majority_vote(["7", "8", None, "8"]) == "8"


def test_majority_vote_breaks_ties_by_the_earliest_sample():
    assert majority_vote(["9", "7", "7", "9"]) == "9"


def test_majority_vote_groups_equivalent_answers_under_the_first():
    assert (
        majority_vote(["3", "1/2", "0.5", "3", "0.50"], equivalent=lambda a, b: eval_half(a) == eval_half(b)) == "1/2"
    )


def test_majority_vote_joins_the_first_group_where_equivalence_does_not_carry_over():
    assert majority_vote(["1", "3", "2"], equivalent=lambda a, b: abs(int(a) - int(b)) <= 1) == "1"


def eval_half(answer: str) -> float:
    top, _, bottom = answer.partition("/")
    return float(top) / float(bottom or 1)


@pytest.mark.parametrize("answers", [[], [None, None]])
def test_majority_vote_of_nobody_is_none(answers):
    assert majority_vote(answers) is None


def test_accuracy_counts_unknown_outcomes_as_unscored():
    estimate = accuracy([True, False, None, True])
    assert (estimate.mean, estimate.n, estimate.num_unscored) == (pytest.approx(2 / 3), 3, 1)
    assert estimate.method == "wilson"


def test_accuracy_of_several_answers_per_problem_is_clustered():
    outcomes: list[bool | None] = [True, True, False, False, None, True]
    estimate = accuracy(outcomes, problems=["a", "a", "b", "b", "c", "c"])
    alone = accuracy(outcomes)
    assert estimate.mean == alone.mean == 0.6
    assert (estimate.num_clusters, estimate.num_unscored) == (3, 1)
    assert estimate.stderr is not None
    assert alone.stderr is not None
    assert estimate.stderr > alone.stderr


def test_accuracy_with_misfitting_problems_is_refused():
    with pytest.raises(DataError, match="1 problems for 2 outcomes"):
        accuracy([True, False], problems=["a"])


def solution(prompt, labels, outcome):
    return StepwiseSolution(prompt=prompt, steps=("s",) * len(labels), step_labels=labels, outcome=outcome)


def test_stepwise_errors_are_counted_in_right_solutions_only():
    rows = [
        solution("a", (True, True), True),
        solution("b", (True, False, None), True),
        solution("c", (True, None), True),
        solution("d", (False, False), False),
        solution("e", (False,), None),
    ]
    estimate = stepwise_errors_in_correct(rows)
    assert (estimate.mean, estimate.n, estimate.num_unscored) == (0.5, 2, 1)
    assert estimate.num_clusters is None
    doubled = stepwise_errors_in_correct(rows * 2)
    assert (doubled.mean, doubled.n, doubled.num_clusters) == (0.5, 4, 2)


def test_stepwise_errors_without_right_solutions_have_no_mean():
    assert stepwise_errors_in_correct([solution("d", (False,), False)]).mean is None
