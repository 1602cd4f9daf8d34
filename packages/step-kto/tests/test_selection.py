import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from step_kto._selection import Candidate, LeftOut, SelectionRules, select_solutions
from step_kto._stage_build import run_build
from twllm_runs import RunState
from twllm_types import ArtifactError, ConfigError, DataError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from step_fakes import make_labels, right_answer, summary_of, wrong_answer

EVERYTHING = SelectionRules(truncated="keep", repeated="keep")


def candidates_of(outcomes):
    return [
        Candidate(prompt=prompt, number=number, text=f"{prompt}{number}", outcome=outcome, is_truncated=False)
        for prompt, group in outcomes.items()
        for number, outcome in enumerate(group)
    ]


some = st.lists(
    st.builds(
        Candidate,
        prompt=st.sampled_from("abc"),
        number=st.integers(0, 9),
        text=st.sampled_from(["x", "y", "z"]),
        outcome=st.sampled_from([True, False, None]),
        is_truncated=st.booleans(),
    ),
    unique_by=lambda candidate: (candidate.prompt, candidate.number),
)
rules = st.builds(
    SelectionRules,
    all_right=st.sampled_from(["keep", "drop"]),
    all_wrong=st.sampled_from(["keep", "drop"]),
    unknown_outcomes=st.sampled_from(["keep", "drop"]),
    truncated=st.sampled_from(["keep", "drop"]),
    repeated=st.sampled_from(["keep", "drop"]),
    balance=st.sampled_from(["none", "prompt", "set"]),
    max_per_prompt=st.none() | st.integers(1, 4),
)


@given(some, rules, st.integers(0, 3))
def test_every_solution_is_kept_or_has_a_reason(candidates, chosen, seed):
    found = select_solutions(candidates, chosen, seed=seed)
    assert sorted([*found.kept, *found.left_out]) == list(range(len(candidates)))
    assert sum(found.counts.values()) == len(found.left_out)


@given(some, rules, st.integers(0, 3), st.randoms(use_true_random=False))
def test_choice_does_not_depend_on_the_order(candidates, chosen, seed, random):
    shuffled = random.sample(candidates, len(candidates))
    one, other = (
        {group[place] for place in select_solutions(group, chosen, seed=seed).kept} for group in (candidates, shuffled)
    )
    assert one == other


@given(some, rules, st.integers(0, 3))
def test_rules_hold_for_what_is_kept(candidates, chosen, seed):
    kept = [candidates[place] for place in select_solutions(candidates, chosen, seed=seed).kept]
    if chosen.truncated == "drop":
        assert not any(one.is_truncated for one in kept)
    if chosen.repeated == "drop":
        assert len({(one.prompt, one.text) for one in kept}) == len(kept)
    if chosen.max_per_prompt is not None:
        assert max(Counter(one.prompt for one in kept).values(), default=0) <= chosen.max_per_prompt
    if chosen.balance == "set":
        assert sum(one.outcome is True for one in kept) == sum(one.outcome is False for one in kept)


def test_prompts_of_one_class_are_dropped_where_asked():
    candidates = candidates_of({"right": [True, True], "wrong": [False, False], "both": [True, False]})
    found = select_solutions(candidates, SelectionRules(all_right="drop", all_wrong="drop"), seed=0)
    assert {candidates[place].prompt for place in found.kept} == {"both"}
    assert (found.counts["all_right"], found.counts["all_wrong"], found.num_prompts) == (2, 2, 1)
    assert len(select_solutions(candidates, EVERYTHING, seed=0).kept) == 6


def test_first_of_equal_solutions_stays():
    same = [Candidate(prompt="p", number=n, text="t", outcome=True, is_truncated=False) for n in (2, 0, 1)]
    assert select_solutions(same, SelectionRules(), seed=0).kept == (1,)


def test_unknown_outcomes_are_dropped_where_asked():
    found = select_solutions(candidates_of({"p": [None, True]}), SelectionRules(unknown_outcomes="drop"), seed=0)
    assert found.left_out == {0: LeftOut.UNKNOWN_OUTCOME}


def test_cap_takes_right_and_wrong_in_turn():
    candidates = candidates_of({"p": [True] * 8 + [False] * 2})
    kept = select_solutions(candidates, SelectionRules(max_per_prompt=4), seed=0).kept
    assert Counter(candidates[place].outcome for place in kept) == {True: 2, False: 2}


def test_balance_within_prompts_and_over_the_set_differ():
    candidates = candidates_of({"p": [True, True, True], "q": [False, False, True]})
    by_prompt = select_solutions(candidates, SelectionRules(balance="prompt"), seed=0)
    over_set = select_solutions(candidates, SelectionRules(balance="set"), seed=0)
    assert (len(by_prompt.kept), len(over_set.kept)) == (2, 4)


def test_draw_depends_on_the_seed():
    candidates = candidates_of({"p": [True] * 20 + [False] * 20})
    draws = {select_solutions(candidates, SelectionRules(max_per_prompt=6), seed=seed).kept for seed in range(5)}
    assert len(draws) > 1


def test_nothing_gives_nothing():
    found = select_solutions([], SelectionRules(balance="set"), seed=0)
    assert (found.kept, found.num_prompts) == ((), 0)


def test_cap_below_one_is_refused():
    with pytest.raises(ConfigError, match="max_per_prompt"):
        SelectionRules(max_per_prompt=0)


def test_run_build_writes_set_counts_reasons_and_weights(tmp_path):
    labelled = make_labels(tmp_path)
    run = run_build(labelled, SelectionRules(), seed=1, output=tmp_path / "b")
    assert run.num_solutions + sum(summary_of(run)["left_out"].values()) == summary_of(run)["num_labelled"] == 24
    assert summary_of(run)["left_out"]["repeated"] > 0
    assert summary_of(run)["step_judge"] == {"judge": "arithmetic"}
    assert set(summary_of(run)["suggested_weights"]) == {"outcome", "step"}
    lines = (tmp_path / "b" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == run.num_solutions
    again = run_build(labelled, SelectionRules(), seed=1, output=tmp_path / "b")
    assert (again.state, again.summary) == (RunState.FINISHED, run.summary)


def test_run_build_one_class_has_no_suggested_weight(tmp_path):
    labelled = make_labels(tmp_path, lambda problem, _: right_answer(problem))
    run = run_build(labelled, EVERYTHING, seed=0, output=tmp_path / "b")
    assert summary_of(run)["suggested_weights"] == {"outcome": None, "step": None}


def test_run_build_with_nothing_left_says_why(tmp_path):
    labelled = make_labels(tmp_path, lambda problem, _: wrong_answer(problem))
    with pytest.raises(DataError, match="20 repeated, 4 all_wrong"):
        run_build(labelled, SelectionRules(all_wrong="drop"), seed=0, output=tmp_path / "b")


def test_run_build_of_something_else_is_refused(tmp_path):
    labelled = make_labels(tmp_path)
    with pytest.raises(ArtifactError, match="no finished run of step-kto label"):
        run_build(tmp_path / "s", SelectionRules(), seed=0, output=tmp_path / "b")
    run_build(labelled, SelectionRules(), seed=0, output=tmp_path / "b")
    with pytest.raises(ArtifactError, match="seed"):
        run_build(labelled, SelectionRules(), seed=2, output=tmp_path / "b")
