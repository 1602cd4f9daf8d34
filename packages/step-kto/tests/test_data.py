"""Files of solutions: what is read, what is refused and how the message names it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from step_kto._converters import from_processbench
from step_kto._data import load_converted, load_solutions, solution_from_row, validate_solutions, write_solutions
from step_kto._prm800k import from_prm800k
from step_kto._problems import Problem, load_problems, write_problems
from twllm_types import DataError, StepwiseSolution

ROW = {
    "prompt": "3 + 4 * 2 = ?",
    "completions": ["4 * 2 = 8\n", "3 + 8 = 11"],
    "labels": [True, None],
    "outcome": True,
}
visible = st.text(max_size=20).filter(str.strip)


def write_rows(path, *rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def solution(labels, outcome, prompt="p"):
    return StepwiseSolution(prompt=prompt, steps=("s\n",) * len(labels), step_labels=tuple(labels), outcome=outcome)


@given(
    rows=st.lists(
        st.tuples(
            visible,
            st.lists(st.tuples(visible, st.sampled_from([True, False, None])), min_size=1, max_size=4),
            st.sampled_from([True, False, None]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_written_solutions_come_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "solutions.jsonl"
    solutions = tuple(
        StepwiseSolution(
            prompt=prompt,
            steps=tuple(text for text, _ in steps),
            step_labels=tuple(label for _, label in steps),
            outcome=outcome,
        )
        for prompt, steps, outcome in rows
    )
    assert write_solutions(path, solutions) == len(solutions)
    assert load_solutions(path) == solutions


def test_lone_surrogate_survives_a_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = StepwiseSolution(prompt="\ud800", steps=("a",), step_labels=(True,), outcome=None)
    write_solutions(path, [row])
    assert load_solutions(path) == (row,)


def test_lone_surrogate_of_a_problem_survives_a_file(tmp_path):
    problem = Problem(prompt="\ud800 + 1?", answer="2")
    write_problems(tmp_path / "problems.jsonl", [problem])
    assert load_problems(tmp_path / "problems.jsonl") == (problem,)


def test_missing_outcome_is_unknown(tmp_path):
    path = write_rows(tmp_path / "rows.jsonl", {name: ROW[name] for name in ("prompt", "completions", "labels")})
    assert load_solutions(path)[0].outcome is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [True]}, "'labels' has 1 entries for 2 steps"),
        ({"labels": [True, 1]}, "'labels' entry 2 is 1; give true, false or null"),
        ({"labels": [True, "true"]}, "'labels' entry 2 is 'true'"),
        ({"outcome": "yes"}, "'outcome' is 'yes'"),
        ({"completions": [], "labels": []}, "'completions' is empty"),
        ({"completions": ["a", " \n"]}, "'completions' entry 2 is blank"),
        ({"completions": "a"}, "'completions' is str"),
        ({"prompt": ""}, "'prompt' is blank"),
    ],
    ids=["count", "number", "text", "outcome", "no-step", "blank-step", "no-list", "prompt"],
)
def test_bad_row_is_refused_with_file_line_and_field(tmp_path, changes, message):
    path = write_rows(tmp_path / "rows.jsonl", ROW, {**ROW, **changes})
    with pytest.raises(DataError, match=f"rows.jsonl:2: {message}"):
        load_solutions(path)


def test_missing_field_is_named(tmp_path):
    with pytest.raises(DataError, match="row 7: field 'labels' is missing"):
        solution_from_row({"prompt": "p", "completions": ["s"]}, where="row 7")


def test_file_without_rows_is_refused(tmp_path):
    (tmp_path / "rows.jsonl").touch()
    with pytest.raises(DataError, match=r"rows.jsonl: holds no row"):
        load_solutions(tmp_path / "rows.jsonl")


def test_blank_solution_is_not_written_and_the_old_file_stays(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_solutions(path, [solution([True], True)])
    with pytest.raises(DataError, match=r"rows.jsonl:2: 'prompt' is blank"):
        write_solutions(path, [solution([True], True), solution([True], True, prompt=" ")])
    assert len(load_solutions(path)) == 1


def test_validate_solutions_counts_what_it_checked():
    checked = validate_solutions(
        iter([solution([True, False, True], True), solution([None], False)]), where="set", levels=("outcome", "step")
    )
    assert len(checked.solutions) == 2
    assert (checked.counts.steps.num_right, checked.counts.steps.num_wrong, checked.counts.steps.num_unknown) == (
        2,
        1,
        1,
    )


@pytest.mark.parametrize(
    ("rows", "levels", "message"),
    [
        ([], ("step",), "set: holds no solution"),
        ([solution([True, True], True)], ("step",), "set: all 2 step labels are right"),
        ([solution([True, False], False)], ("outcome", "step"), "set: all 1 outcome labels are wrong"),
        ([solution([None], None)], ("outcome", "step"), "set: no outcome and no step label is known"),
        ([solution([True], True), solution([True], True, prompt=" ")], ("step",), "set: solution 2: 'prompt' is blank"),
    ],
    ids=["empty", "steps", "outcomes", "unlabelled", "blank"],
)
def test_set_that_cannot_be_learned_from_is_refused(rows, levels, message):
    with pytest.raises(DataError, match=message):
        validate_solutions(rows, where="set", levels=levels)


def test_one_class_on_a_level_without_weight_passes():
    rows = [solution([True, False], True), solution([True], True)]
    assert len(validate_solutions(rows, where="set", levels=("step",)).solutions) == 2


def test_one_class_is_judged_after_the_policy():
    rows = [solution([False, True], True)]
    assert validate_solutions(rows, where="set", levels=("step",)).counts.steps.num_right == 1
    with pytest.raises(DataError, match="all 1 step labels are wrong"):
        validate_solutions(rows, where="set", levels=("step",), after_first_error="mask")


def test_converted_file_gives_the_solutions_of_its_records(tmp_path):
    record = {"problem": "p", "steps": ["a", "b"], "final_answer_correct": False, "label": 1}
    path = write_rows(tmp_path / "rows.jsonl", record, {**record, "label": -1})
    assert [row.step_labels for row in load_converted(path, from_processbench)] == [(True, False), (True, True)]


def test_converted_record_may_give_no_solution(tmp_path):
    record = {"question": {"problem": "p"}, "label": {"steps": [], "finish_reason": "bad_problem"}}
    path = write_rows(tmp_path / "rows.jsonl", record)
    assert load_converted(path, lambda row: from_prm800k(row, neutral="unknown")) == ()


@pytest.mark.parametrize(
    ("changes", "message"), [({"label": 9}, "the first error is step 9"), ({"steps": ["a", ""]}, "entry 2 is blank")]
)
def test_bad_record_is_refused_with_file_and_line(tmp_path, changes, message):
    record = {"problem": "p", "steps": ["a", "b"], "final_answer_correct": False, "label": 1}
    path = write_rows(tmp_path / "rows.jsonl", record, {**record, **changes})
    with pytest.raises(DataError, match=f"rows.jsonl:2: .*{message}"):
        load_converted(path, from_processbench)
