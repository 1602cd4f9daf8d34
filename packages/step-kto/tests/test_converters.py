"""Converters: small invented records of each form, and the real sets where they are at hand."""

import functools
import json

import pytest

from step_kto._converters import (
    from_bigbench_mistake,
    from_math_shepherd,
    from_mr_gsm8k,
    from_processbench,
    from_trl_stepwise,
    from_unpaired,
    unpaired_from_record,
)
from step_kto._data import load_converted
from step_kto._foreign_files import convert_file
from step_kto._labels import count_labels
from step_kto._prm800k import from_prm800k, from_prm800k_rows
from twllm_types import ConfigError, DataError, UnpairedExample

PROCESSBENCH = {"problem": "3+4?", "steps": ["a", "b", "c"], "final_answer_correct": False, "label": 1}
MISTAKE = {"input": "3+4=", "steps": ["a", "b"], "answer": "8 ", "target": "8", "mistake_index": 0}
MR_GSM8K = {
    "question": "3+4?",
    "model_output_steps": ["Step 1: a", "Step 2: b", "Step 3: c"],
    "model_output_answer_correctness": "correct",
    "model_output_solution_correctness": "wrong",
    "model_output_solution_first_error_step": 2,
}
SHEPHERD = {
    "input": "Ann has 3 pens. Step 1: 3+1=4. ки\nStep 2: 4*2=9\nwhich is nine. The answer is: 9 ки",
    "label": "Ann has 3 pens. Step 1: 3+1=4. +\nStep 2: 4*2=9\nwhich is nine. The answer is: 9 -",
}


# --- ProcessBench --------------------------------------------------------------------------------------------------


def test_processbench_steps_after_the_first_error_are_unknown():
    solution = from_processbench(PROCESSBENCH)
    assert solution.steps == ("a\n\n", "b\n\n", "c")
    assert solution.step_labels == (True, False, None)
    assert (solution.prompt, solution.outcome) == ("3+4?", False)


def test_processbench_without_error_is_all_right():
    solution = from_processbench({**PROCESSBENCH, "label": -1, "final_answer_correct": True}, separator=" ")
    assert solution.step_labels == (True, True, True)
    assert "".join(solution.steps) == "a b c"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": 3}, r"the first error is step 3 \(from 0\), but there are 3 steps"),
        ({"label": -2}, "the first error is step -2"),
        ({"label": True}, "'label' is True; give a whole number"),
        ({"label": "1"}, "'label' is '1'"),
        ({"final_answer_correct": 1}, "'final_answer_correct' is 1; give true or false"),
        ({"steps": "a"}, "'steps' is str; give a list"),
        ({"steps": ["a", 1, "c"]}, "'steps' entry 2 is int; give a string"),
        ({"problem": None}, "'problem' is NoneType; give a string"),
    ],
)
def test_processbench_bad_field_is_named(changes, message):
    with pytest.raises(DataError, match=message):
        from_processbench({**PROCESSBENCH, **changes})


def test_processbench_missing_field_is_named():
    with pytest.raises(DataError, match="field 'label' is missing; the record has 'final_answer_correct', 'problem'"):
        from_processbench({name: value for name, value in PROCESSBENCH.items() if name != "label"})


# --- Math-Shepherd -------------------------------------------------------------------------------------------------


def test_math_shepherd_tags_become_labels():
    solution = from_math_shepherd(SHEPHERD)
    assert solution.prompt == "Ann has 3 pens."
    assert solution.steps == ("Step 1: 3+1=4.\n", "Step 2: 4*2=9\nwhich is nine. The answer is: 9")
    assert (solution.step_labels, solution.outcome) == ((True, False), False)


def test_math_shepherd_problem_that_speaks_of_step_one_is_kept_whole():
    renamed = {name: text.replace("Ann has", "Step 1: of Ann's plan has") for name, text in SHEPHERD.items()}
    assert from_math_shepherd(renamed).prompt == "Step 1: of Ann's plan has 3 pens."


def test_math_shepherd_step_that_speaks_of_step_one_is_no_beginning():
    renamed = {name: text.replace("which is", "by Step 1: it is") for name, text in SHEPHERD.items()}
    assert len(from_math_shepherd(renamed).steps) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": "Ann has 3 pens. ки"}, "holds no 'Step 1:'"),
        ({"input": SHEPHERD["input"] + " so"}, "does not end with the tag"),
        ({"input": "Ann. Step 1: a"}, "does not end with the tag"),
        ({"label": SHEPHERD["label"][:-1] + "?"}, "step 2 of 'input' is not in 'label'"),
        ({"label": SHEPHERD["label"].replace("3+1", "3+2")}, "step 1 of 'input' is not in 'label'"),
        ({"label": "Bob" + SHEPHERD["label"][3:]}, "step 1 of 'input' is not in 'label'"),
    ],
)
def test_math_shepherd_misfitting_texts_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        from_math_shepherd({**SHEPHERD, **changes})


# --- BIG-Bench-Mistake and MR-GSM8K --------------------------------------------------------------------------------


def test_bigbench_mistake_right_answer_may_follow_a_mistake():
    solution = from_bigbench_mistake(MISTAKE)
    assert solution.steps == ("a\n", "b")
    assert (solution.step_labels, solution.outcome) == ((False, None), True)


def test_bigbench_mistake_null_means_no_mistake_but_a_missing_field_does_not():
    assert from_bigbench_mistake({**MISTAKE, "mistake_index": None}).step_labels == (True, True)
    with pytest.raises(DataError, match="field 'mistake_index' is missing"):
        from_bigbench_mistake({name: value for name, value in MISTAKE.items() if name != "mistake_index"})


def test_bigbench_mistake_outcome_is_what_the_comparison_says():
    assert from_bigbench_mistake(MISTAKE, same_answer=lambda *_: None).outcome is None
    assert from_bigbench_mistake({**MISTAKE, "target": "7"}).outcome is False


def test_mr_gsm8k_counts_steps_from_one():
    solution = from_mr_gsm8k(MR_GSM8K)
    assert solution.steps == ("Step 1: a\n", "Step 2: b\n", "Step 3: c")
    assert (solution.step_labels, solution.outcome) == ((True, False, None), True)


def test_mr_gsm8k_right_solution_needs_no_error_step():
    right = {**MR_GSM8K, "model_output_solution_correctness": "correct"}
    assert from_mr_gsm8k({**right, "model_output_solution_first_error_step": "N/A"}).step_labels == (True,) * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_output_solution_correctness": "partly"}, "is 'partly'; give 'correct' or 'wrong'"),
        ({"model_output_solution_first_error_step": 0}, "the first error is step -1"),
        ({"model_output_solution_first_error_step": "N/A"}, "is 'N/A'; give a whole number"),
    ],
)
def test_mr_gsm8k_bad_field_is_named(changes, message):
    with pytest.raises(DataError, match=message):
        from_mr_gsm8k({**MR_GSM8K, **changes})


# --- TRL and unpaired sets -----------------------------------------------------------------------------------------


def test_trl_stepwise_separator_ends_every_step_but_the_last():
    record = {"prompt": "p", "completions": ["a", "b"], "labels": [True, False]}
    solution = from_trl_stepwise(record)
    assert (solution.steps, solution.step_labels, solution.outcome) == (("a\n", "b"), (True, False), None)
    assert "".join(from_trl_stepwise(record, separator="\n\n").steps) == "a\n\nb"


def test_trl_stepwise_labels_must_match_the_steps():
    with pytest.raises(DataError, match="'labels' has 1 entries for 2 steps"):
        from_trl_stepwise({"prompt": "p", "completions": ["a", "b"], "labels": [True]})


def test_unpaired_example_is_a_solution_of_one_step():
    example = UnpairedExample(prompt="p", completion="a\n\nb", label=False)
    unknown, labelled = from_unpaired(example), from_unpaired(example, step_label="outcome")
    assert (unknown.steps, unknown.step_labels, unknown.outcome) == (("a\n\nb",), (None,), False)
    assert labelled.step_labels == (False,)


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "p", "completion": "c"},
        {"prompt": [{"role": "user", "content": "p"}], "completion": [{"role": "assistant", "content": "c"}]},
        {"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}]},
        {"messages": [{"from": "human", "value": "p"}, {"from": "gpt", "value": "c"}]},
    ],
    ids=["plain", "conversation", "messages", "from-value"],
)
def test_unpaired_record_of_one_turn_is_read(record):
    assert unpaired_from_record({**record, "label": True}) == UnpairedExample(prompt="p", completion="c", label=True)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"prompt": "p", "completion": "c", "label": 1}, "'label' is 1"),
        ({"messages": [{"role": "user", "content": "p"}], "label": True}, "'messages' has not one user's"),
        (
            {"messages": [{"role": role, "content": "p"} for role in ("system", "user", "assistant")], "label": True},
            "apply the chat template first",
        ),
        (
            {"messages": [{"role": role, "content": "p"} for role in ("assistant", "user")], "label": True},
            "has a turn of 'assistant' where one of",
        ),
        ({"messages": ["p", "c"], "label": True}, "'messages' is str; give an object"),
    ],
    ids=["label", "short", "system", "order", "strings"],
)
def test_unpaired_record_that_needs_more_is_refused(record, message):
    with pytest.raises(DataError, match=message):
        unpaired_from_record(record)


# --- PRM800K, its own JSON -----------------------------------------------------------------------------------------


def completion(text, rating):
    return {"text": text, "rating": rating, "flagged": None}


def step(*completions, chosen: int | None = 0, human=None):
    return {"completions": list(completions), "human_completion": human, "chosen_completion": chosen}


def prm800k(*steps, finish_reason="solution", **question):
    return {
        "question": {"problem": "3+4?", **question},
        "label": {"steps": list(steps), "finish_reason": finish_reason},
    }


NEUTRAL_RECORD = prm800k(step(completion("a", 1)), step(completion("b", 0)), step(completion("c", None)))


@pytest.mark.parametrize(("neutral", "label"), [("unknown", None), ("right", True), ("wrong", False)])
def test_prm800k_neutral_follows_the_policy_and_null_stays_unknown(neutral, label):
    (solution,) = from_prm800k(NEUTRAL_RECORD, neutral=neutral)
    assert solution.steps == ("a\n", "b\n", "c")
    assert solution.step_labels == (True, label, None)
    assert solution.outcome is True


def test_prm800k_chosen_completions_are_the_solution_and_others_are_alternatives():
    record = prm800k(
        step(completion("a", 1)),
        step(completion("x", -1), completion("b", 1), chosen=1),
        step(completion("y", -1), chosen=None, human={"text": "h", "rating": None}),
    )
    (solution,) = from_prm800k(record, neutral="unknown", separator=" ")
    assert ("".join(solution.steps), solution.step_labels) == ("a b h", (True, True, None))
    with_others = from_prm800k(record, neutral="unknown", separator=" ", alternatives=True)
    assert [("".join(row.steps), row.step_labels, row.outcome) for row in with_others[1:]] == [
        ("a x", (True, False), None),
        ("a b y", (True, True, False), None),
    ]


def test_prm800k_human_completion_may_be_a_string():
    (solution,) = from_prm800k(prm800k(step(chosen=None, human="h")), neutral="unknown")
    assert (solution.steps, solution.step_labels) == (("h",), (None,))


def found_error(**question):
    return prm800k(
        step(completion("a", 1)),
        step(completion("b", -1), completion("x", 1), chosen=None),
        finish_reason="found_error",
        ground_truth_answer="7",
        **question,
    )


def test_prm800k_found_error_is_completed_with_unknown_steps():
    record = found_error(pre_generated_steps=["a", "b", "c", "d"], pre_generated_answer="8")
    (solution,) = from_prm800k(record, neutral="unknown")
    assert ("".join(solution.steps), solution.step_labels) == ("a\nb\nc\nd", (True, False, None, None))
    assert solution.outcome is None
    (compared,) = from_prm800k(record, neutral="unknown", same_answer=lambda gold, answer: gold == answer)
    assert compared.outcome is False


@pytest.mark.parametrize("question", [{}, {"pre_generated_steps": ["a", "other", "c"], "pre_generated_answer": "7"}])
def test_prm800k_found_error_without_its_pregenerated_steps_ends_at_the_error(question):
    (solution,) = from_prm800k(found_error(**question), neutral="unknown", same_answer=lambda *_: True)
    assert (solution.step_labels, solution.outcome) == ((True, False), None)


def test_prm800k_without_gold_answer_has_unknown_outcome():
    record = found_error(pre_generated_steps=["a", "b"], pre_generated_answer=None)
    (solution,) = from_prm800k(record, neutral="unknown", same_answer=lambda *_: True)
    assert solution.outcome is None


def test_prm800k_given_up_ends_where_nothing_was_chosen():
    record = prm800k(step(completion("a", 1)), step(completion("b", 0), chosen=None), finish_reason="give_up")
    (solution,) = from_prm800k(record, neutral="right")
    assert (solution.steps, solution.outcome) == (("a",), None)
    assert len(from_prm800k(record, neutral="right", alternatives=True)) == 2


@pytest.mark.parametrize("record", [prm800k(finish_reason="bad_problem"), prm800k(finish_reason="give_up")])
def test_prm800k_without_trajectory_gives_no_solution(record):
    assert from_prm800k(record, neutral="unknown") == ()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (prm800k(finish_reason="tired"), "'finish_reason' is 'tired'; give one of found_error"),
        (prm800k(step(completion("a", 2))), "'rating' is 2; give -1, 0, 1 or null"),
        (prm800k(step(completion("a", True))), "'rating' is True"),
        (prm800k(step(completion("a", 1), chosen=1)), "'chosen_completion' of step 1 is 1; there are 1 completions"),
        (prm800k("a"), "'steps entry 1' is str; give an object"),
        ({"question": {}}, "field 'label' is missing"),
    ],
    ids=["reason", "rating", "bool", "chosen", "entry", "label"],
)
def test_prm800k_bad_record_is_refused(record, message):
    with pytest.raises(DataError, match=message):
        from_prm800k(record, neutral="unknown")


@pytest.mark.parametrize(
    "convert", [lambda n: from_prm800k(NEUTRAL_RECORD, neutral=n), lambda n: from_prm800k_rows([], neutral=n)]
)
def test_prm800k_needs_a_policy_for_neutral(convert):
    with pytest.raises(ConfigError, match="neutral is 'positive'"):
        convert("positive")


# --- PRM800K, rows of one step -------------------------------------------------------------------------------------


def row(path, rating, *, preferred=False, solution=False):
    *responses, last = path
    return {
        "instruction": "3+4?",
        "responses": list(responses),
        "next_response": last,
        "rating": rating,
        "is_preferred_response": preferred,
        "is_solution": solution,
    }


TREE = [
    row("a", 1.0, preferred=True),
    row("ab", 0.0, preferred=True),
    row("ax", -1.0),
    row("abc", float("nan"), preferred=True, solution=True),
    row("aby", -1.0),
]


def test_prm800k_rows_of_a_tree_become_its_preferred_path():
    (solution,) = from_prm800k_rows(reversed(TREE), neutral="right")
    assert (solution.prompt, "".join(solution.steps)) == ("3+4?", "a\nb\nc")
    assert (solution.step_labels, solution.outcome) == ((True, True, None), True)


def test_prm800k_rows_with_alternatives_become_every_path_to_a_leaf():
    solutions = from_prm800k_rows(TREE, neutral="unknown", alternatives=True, separator="")
    assert {"".join(row.steps): (row.step_labels, row.outcome) for row in solutions} == {
        "ax": ((True, False), None),
        "abc": ((True, None, None), True),
        "aby": ((True, None, False), None),
    }


def test_prm800k_rows_that_disagree_are_unknown_and_repeated_ones_count_once():
    rows = [*TREE, row("a", 1.0), row("aby", 1.0)]
    solutions = from_prm800k_rows(rows, neutral="unknown", alternatives=True, separator="")
    assert {"".join(row.steps): row.step_labels for row in solutions}["aby"] == (True, None, None)


def test_prm800k_rows_without_their_prefix_leave_it_unknown():
    (solution,) = from_prm800k_rows([row("zb", -1.0, preferred=True)], neutral="unknown")
    assert (solution.step_labels, solution.outcome) == ((None, False), None)


def test_prm800k_bad_row_is_named():
    with pytest.raises(DataError, match=r"row 2: 'rating' is 0\.5"):
        from_prm800k_rows([TREE[0], row("b", 0.5)], neutral="unknown")


# --- the sets themselves -------------------------------------------------------------------------------------------


def test_shared_mr_gsm8k_converts_whole(shared_data):
    solutions = load_converted(shared_data("math/step_labels/mr_gsm8k_wrong_solutions.jsonl"), from_mr_gsm8k)
    counts = count_labels(solutions)
    assert len(solutions) == counts.steps.num_wrong == 590
    assert (counts.outcomes.num_right, counts.outcomes.num_wrong) == (19, 571)


@pytest.mark.parametrize(("name", "num_wrong"), [("multistep_arithmetic", 238), ("word_sorting", 266)])
def test_shared_bigbench_mistake_converts_whole(shared_data, name, num_wrong):
    path = shared_data(f"math/step_labels/bigbench_mistake_{name}.jsonl")
    solutions = load_converted(path, from_bigbench_mistake)
    assert (len(solutions), count_labels(solutions).steps.num_wrong) == (300, num_wrong)


def test_shared_math_shepherd_samples_convert(shared_data):
    solutions = load_converted(shared_data("math/step_labels/openr_samples_math-shepherd.jsonl"), from_math_shepherd)
    assert [len(row.steps) for row in solutions] == [5, 3, 2, 5, 5, 2, 3]
    assert not any("ки" in step for row in solutions for step in row.steps)


def test_shared_prm800k_samples_convert(shared_data):
    convert = functools.partial(from_prm800k, neutral="unknown")
    solutions = load_converted(shared_data("math/step_labels/openr_samples_prm800k.jsonl"), convert)
    found, *solved = solutions
    assert [len(row.steps) for row in solutions] == [13, 5, 12]
    assert found.step_labels.index(False) == 6
    assert set(found.step_labels[7:]) == {None}
    assert (found.outcome, [row.outcome for row in solved]) == (None, [True, True])


def test_shared_prm800k_rows_convert_whole(shared_data):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = shared_data("math/step_labels/prm800k_phase1_trainplus_full.parquet")
    names = [
        "instruction",
        "responses",
        "next_response",
        "rating",
        "is_preferred_response",
        "is_solution",
    ]
    rows = parquet.read_table(path, columns=names).to_pylist()
    preferred = from_prm800k_rows(rows, neutral="unknown")
    assert len(preferred) == 888
    assert sum(row.outcome is True for row in preferred) == 808
    assert len(from_prm800k_rows(rows, neutral="unknown", alternatives=True)) == 32_049


def test_shared_kto_sample_converts_where_a_conversation_has_one_turn(shared_data):
    rows = json.loads(shared_data("preference/kto_en_demo.json").read_text(encoding="utf-8"))
    assert len(rows) == 300
    one_turn = [row for row in rows if len(row["messages"]) == 2]
    solutions = [from_unpaired(unpaired_from_record(row)) for row in one_turn]
    assert [row.outcome for row in solutions] == [row["label"] for row in one_turn]
    for row in rows:
        if len(row["messages"]) > 2:
            with pytest.raises(DataError, match="apply the chat template first"):
                unpaired_from_record(row)


@pytest.mark.parametrize(
    "content", ["", '{"question": {"problem": "p"}, "label": {"steps": [], "finish_reason": "bad_problem"}}\n']
)
def test_converted_file_without_solutions_is_refused_and_nothing_is_written(tmp_path, content):
    (tmp_path / "in.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"in.jsonl: holds no record that gives a solution"):
        convert_file(tmp_path / "in.jsonl", "prm800k", tmp_path / "out.jsonl", neutral="unknown")
    assert not (tmp_path / "out.jsonl").exists()
