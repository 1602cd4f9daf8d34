"""Problems of reasoning-gym, each scored by its own verifier (extra `tasks`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from twllm_types import ConfigError, MissingDependencyError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningGymTask:
    """A list of problems of one reasoning-gym task; the same name, count and seed give the same list.

    Attributes:
        name: of the task, such as "basic_arithmetic".
        questions: what to ask, in order.
        answers: one right answer each; the verifier may accept others.
        score_answer: (answer, place of the question) to reasoning-gym's own score in [0, 1].
    """

    name: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    score_answer: Callable[[str, int], float]


def load_reasoning_gym_task(name: str, *, count: int, seed: int) -> ReasoningGymTask:
    """Generate problems of one task.

    Args:
        name: of the task, as reasoning-gym registers it.
        count: problems, >= 1.
        seed: of the generator.

    Raises:
        MissingDependencyError: reasoning-gym is not installed.
        ConfigError: there is no such task, or the count is below 1.
    """
    if count < 1:
        raise ConfigError(f"count is {count}; give a value >= 1")
    try:
        gym = cast("Any", import_module("reasoning_gym"))
    except ImportError as error:
        raise MissingDependencyError("reasoning-gym is not installed; install step-kto[tasks]") from error
    try:
        dataset = gym.create_dataset(name, size=count, seed=seed)
    except ValueError as error:
        raise ConfigError(f"reasoning-gym has no task {name!r} of these settings ({error})") from error
    entries = cast("list[Mapping[str, Any]]", [dataset[at] for at in range(count)])

    def score(answer: str, at: int) -> float:
        return float(dataset.score_answer(answer, entries[at]))

    return ReasoningGymTask(
        name=name,
        questions=tuple(str(entry["question"]) for entry in entries),
        answers=tuple(str(entry["answer"]) for entry in entries),
        score_answer=score,
    )
