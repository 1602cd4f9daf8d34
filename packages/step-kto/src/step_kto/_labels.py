"""Verdicts on steps and outcomes: codes in tensors, what follows a first error, counts, weights from counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, TypeAlias, get_args

from twllm_types import ConfigError, DataError, StepwiseSolution

AfterFirstError: TypeAlias = Literal["as_judged", "mask", "negative"]
LabelLevel: TypeAlias = Literal["outcome", "step"]

# KTO eq. 8 (arXiv 2402.01306): lambda_D n_D / (lambda_U n_U) in [1, 4/3].
_LEAST_RATIO = 1.0
_GREATEST_RATIO = 4 / 3


class LabelCode(IntEnum):
    """How a verdict stands in an int8 tensor."""

    RIGHT = 1
    WRONG = 0
    UNKNOWN = -1
    ABSENT = -2


# A verdict of three values, not a switch.
def label_code(label: bool | None) -> LabelCode:  # noqa: FBT001
    """Return the code of one verdict: True right, False wrong, None unknown."""
    if label is None:
        return LabelCode.UNKNOWN
    return LabelCode.RIGHT if label else LabelCode.WRONG


def label_codes(labels: Sequence[bool | None], *, num_steps: int) -> tuple[int, ...]:
    """Return the codes of a response's steps, filled up with `ABSENT`.

    Args:
        labels: one verdict per step, at most `num_steps`.
        num_steps: H, the length of the result.

    Raises:
        DataError: there are more than `num_steps` labels.
    """
    if len(labels) > num_steps:
        raise DataError(f"{len(labels)} step labels do not fit into {num_steps} columns; widen the batch")
    codes = [int(label_code(label)) for label in labels]
    return (*codes, *[int(LabelCode.ABSENT)] * (num_steps - len(labels)))


def apply_after_first_error(labels: Sequence[bool | None], policy: AfterFirstError) -> tuple[bool | None, ...]:
    """Decide what the labels behind the first wrong step are worth.

    Args:
        labels: True right, False wrong, None unknown; may be empty.
        policy: "as_judged" changes nothing (each step judged on its own), "mask" makes every step behind the first
            wrong one unknown (sets whose labellers stopped there), "negative" makes them wrong. Steps up to the first
            wrong one stay as they are, also the unknown ones.

    Raises:
        ConfigError: the policy has another name.
    """
    if policy not in get_args(AfterFirstError):
        raise ConfigError(f"after_first_error is {policy!r}; give 'as_judged', 'mask' or 'negative'")
    if policy == "as_judged" or False not in labels:
        return tuple(labels)
    num_kept = labels.index(False) + 1
    behind = None if policy == "mask" else False
    return (*labels[:num_kept], *[behind] * (len(labels) - num_kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCounts:
    """How many verdicts of each kind there are, each >= 0."""

    num_right: int = 0
    num_wrong: int = 0
    num_unknown: int = 0

    @property
    def num_labelled(self) -> int:
        """Verdicts that teach something."""
        return self.num_right + self.num_wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class SolutionCounts:
    """Verdicts of a set, per level."""

    outcomes: LabelCounts
    steps: LabelCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedWeights:
    """lambda_D and lambda_U, both >= 1; the class that is not short keeps 1."""

    desirable: float
    undesirable: float


def count_verdicts(labels: Iterable[bool | None]) -> LabelCounts:
    """Count verdicts; none gives zeros."""
    verdicts = list(labels)
    return LabelCounts(
        num_right=verdicts.count(True), num_wrong=verdicts.count(False), num_unknown=verdicts.count(None)
    )


def count_labels(
    solutions: Iterable[StepwiseSolution], *, after_first_error: AfterFirstError = "as_judged"
) -> SolutionCounts:
    """Count the verdicts of a set on both levels, after the policy for steps behind a first error.

    Raises:
        ConfigError: the policy has another name.
    """
    outcomes: list[bool | None] = []
    steps: list[bool | None] = []
    for solution in solutions:
        outcomes.append(solution.outcome)
        steps.extend(apply_after_first_error(solution.step_labels, after_first_error))
    return SolutionCounts(outcomes=count_verdicts(outcomes), steps=count_verdicts(steps))


def check_classes(counts: LabelCounts, *, level: LabelLevel, where: str) -> None:
    """Refuse a set whose verdicts on one level are all right or all wrong.

    With one class the term has no opposite to weigh against and only pushes all log-probabilities one way. A set
    without any verdict on the level passes: its term is 0. A batch may well have one class; this is for the set.

    Args:
        counts: of the level.
        level: "outcome" or "step", for the message.
        where: what the counts are of, such as a file; begins the message.

    Raises:
        DataError: there are verdicts and all are the same.
    """
    if counts.num_labelled == 0 or (counts.num_right and counts.num_wrong):
        return
    present, missing = ("right", "wrong") if counts.num_right else ("wrong", "right")
    raise DataError(
        f"{where}: all {counts.num_labelled} {level} labels are {present}; "
        f"add {level}s that are {missing}, or set {level}_weight to 0"
    )


def suggest_weights(counts: LabelCounts) -> SuggestedWeights:
    """Weights nearest to 1 that balance the classes as KTO advises.

    lambda_D n_D / (lambda_U n_U) shall lie in [1, 4/3] (KTO eq. 8, arXiv 2402.01306, for outcomes; that it holds for
    steps too is our assumption). Within the range both stay 1; outside only the class that is short is raised, to the
    nearer end.

    Raises:
        DataError: a class is missing, so no weight balances it.
    """
    if not (counts.num_right and counts.num_wrong):
        raise DataError(
            f"weights need both classes, and there are {counts.num_right} right and {counts.num_wrong} wrong labels; "
            "add the missing class or set the weights by hand"
        )
    ratio = counts.num_right / counts.num_wrong
    if ratio < _LEAST_RATIO:
        return SuggestedWeights(desirable=_LEAST_RATIO / ratio, undesirable=1.0)
    if ratio > _GREATEST_RATIO:
        return SuggestedWeights(desirable=1.0, undesirable=ratio / _GREATEST_RATIO)
    return SuggestedWeights(desirable=1.0, undesirable=1.0)
