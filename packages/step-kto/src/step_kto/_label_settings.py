"""Settings of the labelling stage."""

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from step_kto._judge_spec import JudgeSettings
from step_kto._steps import StepCut
from twllm_runs import recipe_to_json
from twllm_types import ConfigError, JsonObject

PercentName: TypeAlias = Literal["ratio", "number", "either"]
UnitsName: TypeAlias = Literal["ignore", "strict"]

_CUTS = ("auto", "markers", "blank-lines", "numbered")
_REGEX = "regex:"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings:
    """How solutions are labelled. None of the values is the paper's.

    Attributes:
        steps: where a step begins: "auto", "markers", "blank-lines", "numbered" or "regex:PATTERN" [ours].
        judge: of the steps.
        percent: convention of the answers; see `AnswerPolicy`.
        units: likewise.
        require_marked_answer: an answer that is neither boxed nor behind #### nor "the answer is" is wrong. A solution
            that was cut off at max_tokens always needs such a mark: the last number of a torn text is no answer [ours].
        timeout_seconds: of one comparison, > 0; beyond it the outcome is unknown.
        block_size: solutions judged together, >= 1.

    Raises:
        ConfigError: a value is out of its range.
    """

    steps: str = "auto"
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    percent: PercentName = "ratio"
    units: UnitsName = "ignore"
    require_marked_answer: bool = False
    timeout_seconds: float = 5.0
    block_size: int = 256

    def __post_init__(self) -> None:
        step_cut(self.steps)
        if self.block_size < 1:
            raise ConfigError(f"block_size is {self.block_size}; give a number >= 1")
        if self.timeout_seconds <= 0:
            raise ConfigError(f"timeout_seconds is {self.timeout_seconds}; give a value > 0")

    def to_json(self, judge: JsonObject) -> JsonObject:
        """Return the parameters of a run, the judge by its identity."""
        return {**recipe_to_json(self), "judge": judge}


def step_cut(steps: str) -> StepCut | re.Pattern[str]:
    """Read the word that says where steps begin.

    Raises:
        ConfigError: it is none, or no regular expression.
    """
    if steps.startswith(_REGEX):
        try:
            return re.compile(steps.removeprefix(_REGEX), re.MULTILINE)
        except re.error as error:
            raise ConfigError(f"steps is {steps!r}, which is no regular expression ({error}); correct it") from error
    if steps not in _CUTS:
        raise ConfigError(f"steps is {steps!r}; give {', '.join(_CUTS)} or regex:PATTERN")
    return steps
