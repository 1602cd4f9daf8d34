"""PRM800K (Lightman and others, arXiv 2305.20050) to `StepwiseSolution`, from its JSON and from rows of one step."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from step_kto._records import (
    SameAnswer,
    as_object,
    bool_field,
    list_field,
    object_field,
    optional_text,
    text_field,
    texts_field,
    with_separator,
)
from twllm_types import ConfigError, DataError, StepwiseSolution

NeutralPolicy: TypeAlias = Literal["unknown", "right", "wrong"]

_FINISH_REASONS = ("found_error", "solution", "bad_problem", "give_up")
_NEUTRAL: dict[NeutralPolicy, bool | None] = {"unknown": None, "right": True, "wrong": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A step's text and verdict."""

    text: str
    label: bool | None


def from_prm800k(
    record: Mapping[str, object],
    *,
    neutral: NeutralPolicy,
    alternatives: bool = False,
    separator: str = "\n",
    same_answer: SameAnswer | None = None,
) -> tuple[StepwiseSolution, ...]:
    """Convert a record of PRM800K's published JSON (`question`, `label`).

    The solution is the trajectory that was chosen. A step that a labeller wrote has no rating and is unknown, as is
    one whose rating is null. Where phase 2 stopped at an error, the error is the first completion of the last step, and
    the rest of the pre-generated solution follows with unknown labels. The outcome is right where labelling ended with
    "solution" (a step concluded in the correct answer), what `same_answer` says where an error was found, and unknown
    otherwise. A record with the reason "bad_problem" gives no solution.

    Args:
        record: one JSON object.
        neutral: what the rating 0 counts as; the set leaves it open, and users differ (TRL's script took it for wrong,
            Qwen's PRM for right).
        alternatives: add a solution for each completion that was rated but not chosen: the trajectory up to it, and it.
            The labels before it are then repeated: leave it off for training, where they would count more than once.
        separator: what goes between steps; the set has none.
        same_answer: compares the set's answer with that of the pre-generated solution; None leaves it unknown.

    Raises:
        DataError: a field is missing or wrong; the message names it.
        ConfigError: `neutral` has another value.
    """
    _check_neutral(neutral)
    question, label = object_field(record, "question"), object_field(record, "label")
    finish_reason = text_field(label, "finish_reason")
    if finish_reason not in _FINISH_REASONS:
        raise DataError(f"'finish_reason' is {finish_reason!r}; give one of {', '.join(_FINISH_REASONS)}")
    if finish_reason == "bad_problem":
        return ()
    prompt = text_field(question, "problem")
    trajectory: list[_Judged] = []
    others: list[tuple[_Judged, ...]] = []
    for number, entry in enumerate(list_field(label, "steps"), start=1):
        chosen, rest = _read_step(as_object(entry, f"steps entry {number}"), number, neutral)
        others.extend((*trajectory, judged) for judged in rest)
        if chosen is None:
            break
        trajectory.append(chosen)
    outcome: bool | None = True if finish_reason == "solution" else None
    if finish_reason == "found_error":
        remaining = _rest_of_pregenerated(question, trajectory)
        if remaining is not None:
            trajectory.extend(_Judged(text=text, label=None) for text in remaining)
            outcome = _pregenerated_outcome(question, same_answer)
    paths = [(tuple(trajectory), outcome)] if trajectory else []
    if alternatives:
        paths += [(other, None) for other in others]
    return tuple(_solution(prompt, path, separator, outcome=path_outcome) for path, path_outcome in paths)


def from_prm800k_rows(
    rows: Iterable[Mapping[str, object]],
    *,
    neutral: NeutralPolicy,
    alternatives: bool = False,
    separator: str = "\n",
) -> tuple[StepwiseSolution, ...]:
    """Convert PRM800K as rows of one step: `instruction`, `responses`, `next_response`, `rating` and flags.

    Each row is a node of its problem's tree; a solution is a path to a leaf, and its labels are the ratings on the way.
    Nodes without rating are unknown, as are nodes that rows rate differently. The outcome is right where the leaf is
    marked `is_solution`, else unknown.

    Args:
        rows: all rows of the set, in any order; they are read once.
        neutral: what the rating 0 counts as.
        alternatives: keep leaves that were not the preferred response too; they repeat the labels of their prefixes.
        separator: what goes between steps; the set has none.

    Returns:
        Solutions in the order in which their leaves came.

    Raises:
        DataError: a field is missing or wrong; the message counts rows from 1.
        ConfigError: `neutral` has another value.
    """
    _check_neutral(neutral)
    nodes: dict[tuple[str, ...], _Node] = {}
    inner: set[tuple[str, ...]] = set()
    for number, row in enumerate(rows, start=1):
        try:
            path, node = _read_row(row, neutral)
        except DataError as error:
            raise DataError(f"row {number}: {error}") from error
        inner.add(path[:-1])
        nodes[path] = node if path not in nodes else nodes[path].merged(node)
    solutions: list[StepwiseSolution] = []
    for path, node in nodes.items():
        if path in inner or not (alternatives or node.is_preferred):
            continue
        judged = tuple(
            _Judged(text=path[end - 1], label=nodes[path[:end]].label if path[:end] in nodes else None)
            for end in range(2, len(path) + 1)
        )
        solutions.append(_solution(path[0], judged, separator, outcome=True if node.is_solution else None))
    return tuple(solutions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """What the rows of one path say together."""

    label: bool | None
    is_preferred: bool
    is_solution: bool

    def merged(self, other: "_Node") -> "_Node":
        return _Node(
            label=self.label if self.label == other.label else None,
            is_preferred=self.is_preferred or other.is_preferred,
            is_solution=self.is_solution or other.is_solution,
        )


def _read_row(row: Mapping[str, object], neutral: NeutralPolicy) -> tuple[tuple[str, ...], _Node]:
    path = (text_field(row, "instruction"), *texts_field(row, "responses"), text_field(row, "next_response"))
    node = _Node(
        label=_read_rating(row, neutral),
        is_preferred=bool_field(row, "is_preferred_response"),
        is_solution=bool_field(row, "is_solution"),
    )
    return path, node


def _read_step(
    entry: Mapping[str, object], number: int, neutral: NeutralPolicy
) -> tuple[_Judged | None, tuple[_Judged, ...]]:
    """The step that the trajectory takes (None where it ends before), and the others that were rated."""
    completions = [
        _read_completion(as_object(item, "completions"), neutral) for item in list_field(entry, "completions")
    ]
    chosen = entry.get("chosen_completion")
    if chosen is None:
        if entry.get("human_completion") is not None:
            return _Judged(text=_human_text(entry), label=None), tuple(completions)
        # Phase 2 ends like this: the step that was found wrong comes first, alternatives to it follow.
        if completions and completions[0].label is False:
            return completions[0], tuple(completions[1:])
        return None, tuple(completions)
    if isinstance(chosen, bool) or not isinstance(chosen, int) or not 0 <= chosen < len(completions):
        raise DataError(f"'chosen_completion' of step {number} is {chosen!r}; there are {len(completions)} completions")
    return completions[chosen], (*completions[:chosen], *completions[chosen + 1 :])


def _read_completion(completion: Mapping[str, object], neutral: NeutralPolicy) -> _Judged:
    return _Judged(text=text_field(completion, "text"), label=_read_rating(completion, neutral))


def _read_rating(record: Mapping[str, object], neutral: NeutralPolicy) -> bool | None:
    rating = record.get("rating")
    # Parquet written from pandas holds floats, and NaN for null.
    if rating is None or rating != rating:
        return None
    if isinstance(rating, bool) or rating not in (-1, 0, 1):
        raise DataError(f"'rating' is {rating!r}; give -1, 0, 1 or null")
    return _NEUTRAL[neutral] if rating == 0 else rating == 1


def _human_text(entry: Mapping[str, object]) -> str:
    human = entry["human_completion"]
    return human if isinstance(human, str) else text_field(as_object(human, "human_completion"), "text")


def _rest_of_pregenerated(question: Mapping[str, object], trajectory: list[_Judged]) -> tuple[str, ...] | None:
    """Steps behind the labelled ones; None where the labelled steps are no beginning of the pre-generated solution."""
    if question.get("pre_generated_steps") is None:
        return None
    steps = texts_field(question, "pre_generated_steps")
    labelled = tuple(judged.text for judged in trajectory)
    return steps[len(labelled) :] if steps[: len(labelled)] == labelled else None


def _pregenerated_outcome(question: Mapping[str, object], same_answer: SameAnswer | None) -> bool | None:
    gold, answer = optional_text(question, "ground_truth_answer"), optional_text(question, "pre_generated_answer")
    if same_answer is None or gold is None or answer is None:
        return None
    return same_answer(gold, answer)


def _solution(prompt: str, path: tuple[_Judged, ...], separator: str, *, outcome: bool | None) -> StepwiseSolution:
    return StepwiseSolution(
        prompt=prompt,
        steps=with_separator([judged.text for judged in path], separator),
        step_labels=tuple(judged.label for judged in path),
        outcome=outcome,
    )


def _check_neutral(neutral: str) -> None:
    if neutral not in get_args(NeutralPolicy):
        raise ConfigError(f"neutral is {neutral!r}; give 'unknown', 'right' or 'wrong'")
