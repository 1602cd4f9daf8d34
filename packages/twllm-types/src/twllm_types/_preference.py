"""Feedback on answers: per step, per answer, and in pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from twllm_types._errors import DataError
from twllm_types._json import JsonObject

_STEPWISE_FIELDS = ("prompt", "completions", "labels", "outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepwiseSolution:
    """A solution cut into steps, with a verdict on each step and on the outcome.

    Attributes:
        prompt: the problem.
        steps: texts of the steps, in order; joined as they stand they are the solution.
        step_labels: per step True (right), False (wrong) or None (unknown).
        outcome: True (final answer right), False (wrong) or None (unknown).

    Raises:
        DataError: there is no step, or labels and steps differ in number.
    """

    prompt: str
    steps: tuple[str, ...]
    step_labels: tuple[bool | None, ...]
    outcome: bool | None

    def __post_init__(self) -> None:
        if not self.steps:
            raise DataError("'completions' is empty; give at least one step")
        if len(self.steps) != len(self.step_labels):
            raise DataError(
                f"'labels' has {len(self.step_labels)} entries for {len(self.steps)} steps; "
                "give one label per step (true, false or null)"
            )

    def to_json(self) -> JsonObject:
        """Return the on-disk form `{"prompt", "completions", "labels", "outcome"}`."""
        return {
            "prompt": self.prompt,
            "completions": list(self.steps),
            "labels": list(self.step_labels),
            "outcome": self.outcome,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, object]) -> "StepwiseSolution":
        """Read the on-disk form; the inverse of `to_json`.

        Args:
            row: one JSON object. "outcome" may be missing, which means unknown; other keys are ignored.

        Raises:
            DataError: a field is missing or of the wrong type; the message names it, the caller adds file and line.
        """
        missing = [name for name in _STEPWISE_FIELDS[:3] if name not in row]
        if missing:
            raise DataError(f"field {missing[0]!r} is missing; a row has {', '.join(map(repr, _STEPWISE_FIELDS))}")
        prompt, outcome = row["prompt"], row.get("outcome")
        if not isinstance(prompt, str):
            raise DataError(f"'prompt' is {type(prompt).__name__}; give a string")
        if outcome is not None and not isinstance(outcome, bool):
            raise DataError(f"'outcome' is {outcome!r}; give true, false or null")
        return cls(
            prompt=prompt,
            steps=_strings("completions", row["completions"]),
            step_labels=_labels("labels", row["labels"]),
            outcome=outcome,
        )


def _strings(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise DataError(f"{name!r} is {type(value).__name__}; give a list of strings")
    items = cast("list[object]", value)
    for number, item in enumerate(items, start=1):
        if not isinstance(item, str):
            raise DataError(f"{name!r} entry {number} is {type(item).__name__}; give a string")
    return tuple(cast("list[str]", items))


def _labels(name: str, value: object) -> tuple[bool | None, ...]:
    if not isinstance(value, list):
        raise DataError(f"{name!r} is {type(value).__name__}; give a list of true, false or null")
    items = cast("list[object]", value)
    for number, item in enumerate(items, start=1):
        if item is not None and not isinstance(item, bool):
            raise DataError(f"{name!r} entry {number} is {item!r}; give true, false or null")
    return tuple(cast("list[bool | None]", items))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpairedExample:
    """One answer with thumbs up or down, in the form of TRL's unpaired preference sets.

    Attributes:
        prompt: what was asked.
        completion: what was answered.
        label: True for desirable, False for undesirable.
    """

    prompt: str
    completion: str
    label: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferencePair:
    """Two answers to one prompt, the better one first, in the form of TRL's preference sets.

    Attributes:
        prompt: what was asked.
        chosen: the better answer.
        rejected: the worse answer.

    Raises:
        DataError: both answers are the same text.
    """

    prompt: str
    chosen: str
    rejected: str

    def __post_init__(self) -> None:
        if self.chosen == self.rejected:
            raise DataError("'chosen' and 'rejected' are the same text, which teaches nothing; drop the pair")
