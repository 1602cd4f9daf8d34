"""Who says whether a step is right: the protocol, and any function made into a judge."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

from twllm_types import DataError

StepLabels: TypeAlias = tuple[bool | None, ...]


class JudgeFailure(StrEnum):
    """Why a judge gave no label at all for a solution."""

    ENGINE = "engine"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    NO_JSON = "no_json"
    WRONG_SHAPE = "wrong_shape"
    WRONG_COUNT = "wrong_count"
    TOO_LONG = "too_long"
    NOT_FINITE = "not_finite"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepItem:
    """A solution whose steps are to be judged.

    Attributes:
        problem: what was asked.
        reference: a right solution; empty where there is none.
        steps: texts of the steps, in order, at least one.

    Raises:
        DataError: there is no step.
    """

    problem: str
    reference: str
    steps: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise DataError("'steps' is empty; give at least one step")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepJudgement:
    """What a judge says about one solution.

    Attributes:
        labels: one per step: True right, False wrong, None unknown.
        failure: why every label is None; None where the judge answered.
        detail: one line about the failure; empty without one.
    """

    labels: StepLabels
    failure: JudgeFailure | None = None
    detail: str = ""


@runtime_checkable
class StepJudge(Protocol):
    """Anything that labels the steps of solutions."""

    def judge(self, problem: str, reference: str, steps: Sequence[str]) -> StepLabels:
        """Return one label per step: True right, False wrong, None unknown."""
        ...

    def judge_many(self, items: Sequence[StepItem]) -> list[StepJudgement]:
        """Judge solutions, in order."""
        ...


class CallableJudge:
    """A judge made of a function from problem, reference and steps to labels.

    Args:
        function: returns one label per step.
    """

    def __init__(self, function: Callable[[str, str, tuple[str, ...]], Iterable[bool | None]]) -> None:
        self._function = function

    def judge(self, problem: str, reference: str, steps: Sequence[str]) -> StepLabels:
        """Return the function's labels.

        Raises:
            DataError: it gave another number of labels than there are steps, or something that is no label.
        """
        found = self._function(problem, reference, tuple(steps))
        # a function of the user may return anything; the type is only what it promised
        if not isinstance(found, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DataError(f"a judge gave {found!r}; return one label per step")
        labels = tuple(found)
        if len(labels) != len(steps):
            raise DataError(f"a judge gave {len(labels)} labels for {len(steps)} steps; return one label per step")
        for number, label in enumerate(labels, start=1):
            # as above
            if label is not None and not isinstance(label, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise DataError(f"a judge gave {label!r} for step {number}; return True, False or None")
        return labels

    def judge_many(self, items: Sequence[StepItem]) -> list[StepJudgement]:
        """Judge solutions, in order."""
        return [StepJudgement(labels=self.judge(item.problem, item.reference, item.steps)) for item in items]


def failed(item: StepItem, failure: JudgeFailure, detail: str) -> StepJudgement:
    """Return a judgement without any label."""
    line = " ".join(detail.split())
    return StepJudgement(labels=(None,) * len(item.steps), failure=failure, detail=line)


def count_failures(judgements: Iterable[StepJudgement]) -> dict[JudgeFailure, int]:
    """Count the judgements without labels, by reason; a reason that never occurred is absent."""
    counts: dict[JudgeFailure, int] = {}
    for judgement in judgements:
        if judgement.failure is not None:
            counts[judgement.failure] = counts.get(judgement.failure, 0) + 1
    return counts
