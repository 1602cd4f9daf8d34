"""From the forms in which sets with step labels are published to `StepwiseSolution`; one record at a time, no files.

What a set does not say stays unknown. PRM800K has a module of its own, `_prm800k`.
"""

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

from step_kto._records import (
    SameAnswer,
    as_object,
    bool_field,
    int_field,
    labels_until,
    list_field,
    same_text,
    text_field,
    texts_field,
    with_separator,
)
from twllm_types import DataError, StepwiseSolution, UnpairedExample

UnpairedStepLabel: TypeAlias = Literal["unknown", "outcome"]

_SHEPHERD_STEP = re.compile(r"(?:(?<=\s)|^)Step 1:")
_SHEPHERD_TAG = "ки"
_SHEPHERD_LABELS = {"+": True, "-": False}
_CORRECTNESS = {"correct": True, "wrong": False}
_USER_ROLES = frozenset({"user", "human"})
_ASSISTANT_ROLES = frozenset({"assistant", "gpt"})


def from_processbench(record: Mapping[str, object], *, separator: str = "\n\n") -> StepwiseSolution:
    """Convert a record of ProcessBench: `problem`, `steps`, `final_answer_correct`, `label`.

    `label` is the place of the earliest wrong step from 0, or -1. Steps behind it were not judged: they are unknown.

    Args:
        record: one JSON object; other fields are ignored.
        separator: what stood between the steps.

    Raises:
        DataError: a field is missing or wrong; the message names it.
    """
    steps = texts_field(record, "steps")
    label = int_field(record, "label")
    return StepwiseSolution(
        prompt=text_field(record, "problem"),
        steps=with_separator(steps, separator),
        step_labels=labels_until(None if label == -1 else label, num_steps=len(steps)),
        outcome=bool_field(record, "final_answer_correct"),
    )


def from_math_shepherd(record: Mapping[str, object]) -> StepwiseSolution:
    """Convert a record of Math-Shepherd: `input` with a tag behind each step, `label` with + or - in its place.

    The problem is what stands before the last "Step 1:" ahead of the first tag. A label is an estimate: whether some
    continuation from the step reached the answer (arXiv 2312.08935, hard estimation). Nothing is left to continue
    behind the last step, so its label is taken for the outcome too. White space around steps becomes one line feed.

    Args:
        record: one JSON object; other fields are ignored.

    Raises:
        DataError: a field is missing, there is no "Step 1:" or no tag, or `input` and `label` differ in more than tags.
    """
    tagged, labelled = text_field(record, "input"), text_field(record, "label")
    starts = [match.start() for match in _SHEPHERD_STEP.finditer(tagged.split(_SHEPHERD_TAG)[0])]
    if not starts:
        raise DataError("'input' holds no 'Step 1:' before its first tag; the problem cannot be told from the solution")
    prompt = tagged[: starts[-1]]
    *pieces, rest = tagged[starts[-1] :].split(_SHEPHERD_TAG)
    if not pieces or rest.strip():
        raise DataError("'input' does not end with the tag; each step must have one")
    steps: list[str] = []
    labels: list[bool] = []
    place = len(prompt) if labelled.startswith(prompt) else len(labelled)
    for number, piece in enumerate(pieces, start=1):
        mark = labelled[place + len(piece) : place + len(piece) + 1]
        if not labelled.startswith(piece, place) or mark not in _SHEPHERD_LABELS:
            raise DataError(f"step {number} of 'input' is not in 'label' with + or - in place of the tag")
        steps.append(piece.strip())
        labels.append(_SHEPHERD_LABELS[mark])
        place += len(piece) + 1
    return StepwiseSolution(
        prompt=prompt.rstrip(), steps=with_separator(steps, "\n"), step_labels=tuple(labels), outcome=labels[-1]
    )


def from_bigbench_mistake(
    record: Mapping[str, object], *, separator: str = "\n", same_answer: SameAnswer = same_text
) -> StepwiseSolution:
    """Convert a record of BIG-Bench-Mistake: `input`, `steps`, `answer`, `target`, `mistake_index`.

    `mistake_index` is the place of the first mistake from 0, or null. Steps behind it are unknown.

    Args:
        record: one JSON object; other fields are ignored.
        separator: what stood between the steps.
        same_answer: compares `target` with `answer` for the outcome.

    Raises:
        DataError: a field is missing or wrong; the message names it.
    """
    steps = texts_field(record, "steps")
    # A record without the field must not read as one without a mistake.
    has_mistake = "mistake_index" not in record or record["mistake_index"] is not None
    mistake = int_field(record, "mistake_index") if has_mistake else None
    return StepwiseSolution(
        prompt=text_field(record, "input"),
        steps=with_separator(steps, separator),
        step_labels=labels_until(mistake, num_steps=len(steps)),
        outcome=same_answer(text_field(record, "target"), text_field(record, "answer")),
    )


def from_mr_gsm8k(record: Mapping[str, object], *, separator: str = "\n") -> StepwiseSolution:
    """Convert a record of MR-GSM8K: `question`, `model_output_steps` and the verdicts on them.

    `model_output_solution_first_error_step` counts from 1; it is read where the solution is "wrong". Steps behind it
    are unknown. A right answer may stand under a wrong solution.

    Args:
        record: one JSON object; other fields are ignored.
        separator: what stood between the steps.

    Raises:
        DataError: a field is missing or wrong; the message names it.
    """
    steps = texts_field(record, "model_output_steps")
    is_right = _correctness(record, "model_output_solution_correctness")
    first_error = None if is_right else int_field(record, "model_output_solution_first_error_step") - 1
    return StepwiseSolution(
        prompt=text_field(record, "question"),
        steps=with_separator(steps, separator),
        step_labels=labels_until(first_error, num_steps=len(steps)),
        outcome=_correctness(record, "model_output_answer_correctness"),
    )


def from_trl_stepwise(record: Mapping[str, object], *, separator: str = "\n") -> StepwiseSolution:
    """Convert TRL's stepwise supervision (until 1.13): `prompt`, `completions`, `labels`.

    There the steps lack the separator, which PRMTrainer put behind each; here steps joined are the solution, so the
    separator ends each step but the last, behind which the solution ends. The form names no outcome.

    Args:
        record: one JSON object; "outcome" is ignored, other fields too.
        separator: PRMConfig.step_separator.

    Raises:
        DataError: a field is missing or wrong, or labels and steps differ in number; the message names it.
    """
    solution = StepwiseSolution.from_json({name: record[name] for name in record if name != "outcome"})
    return StepwiseSolution(
        prompt=solution.prompt,
        steps=with_separator(solution.steps, separator),
        step_labels=solution.step_labels,
        outcome=None,
    )


def from_unpaired(example: UnpairedExample, *, step_label: UnpairedStepLabel = "unknown") -> StepwiseSolution:
    """Make an answer with thumbs up or down a solution of one step.

    Args:
        example: prompt, completion, label; the label becomes the outcome.
        step_label: "unknown", since nobody judged a step, so that only the outcome term learns, which is KTO; or
            "outcome" to give the one step the same label.
    """
    return StepwiseSolution(
        prompt=example.prompt,
        steps=(example.completion,),
        step_labels=(example.label if step_label == "outcome" else None,),
        outcome=example.label,
    )


def unpaired_from_record(record: Mapping[str, object]) -> UnpairedExample:
    """Read a record of an unpaired preference set whose conversation has one turn.

    Three forms: `prompt`, `completion` as strings; both as lists of one message; `messages` of a user's and an
    assistant's turn. Messages have role and content, or from and value. `label` is true or false.

    Raises:
        DataError: a field is missing or wrong, or the conversation has more turns or a system message, which need a
            chat template.
    """
    label = bool_field(record, "label")
    if "messages" in record:
        turns = list_field(record, "messages")
        prompt_turns, completion_turns, names = turns[:-1], turns[-1:], ("messages", "messages")
    elif isinstance(record.get("prompt"), list):
        prompt_turns, completion_turns = list_field(record, "prompt"), list_field(record, "completion")
        names = ("prompt", "completion")
    else:
        prompt, completion = text_field(record, "prompt"), text_field(record, "completion")
        return UnpairedExample(prompt=prompt, completion=completion, label=label)
    return UnpairedExample(
        prompt=_only_turn(prompt_turns, names[0], _USER_ROLES),
        completion=_only_turn(completion_turns, names[1], _ASSISTANT_ROLES),
        label=label,
    )


def _only_turn(turns: list[object], name: str, roles: frozenset[str]) -> str:
    if len(turns) != 1:
        raise DataError(f"{name!r} has not one user's and one assistant's turn; apply the chat template first")
    turn = as_object(turns[0], name)
    role_name, text_name = ("role", "content") if "role" in turn else ("from", "value")
    role = text_field(turn, role_name)
    if role not in roles:
        raise DataError(f"{name!r} has a turn of {role!r} where one of {sorted(roles)} belongs; reorder the turns")
    return text_field(turn, text_name)


def _correctness(record: Mapping[str, object], name: str) -> bool:
    value = text_field(record, name)
    if value not in _CORRECTNESS:
        raise DataError(f"{name!r} is {value!r}; give 'correct' or 'wrong'")
    return _CORRECTNESS[value]
