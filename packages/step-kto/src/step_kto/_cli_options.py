"""Options that several commands share: how solutions are sampled, and how they are labelled."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from step_kto._label_settings import LabelSettings
    from step_kto._sample_settings import SampleSettings

Words = Annotated[tuple[str, ...], Parameter(consume_multiple=(1, None))]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    """How solutions are sampled.

    Attributes:
        temperature: of sampling; 0 is greedy.
        top_p: nucleus.
        top_k: most candidates.
        max_tokens: most new tokens.
        stop: strings that end a solution.
        seed: each sample has its own, made of this, its problem and its number.
        prompt_format: text continues the prompt as it stands, chat makes it a user message.
        system_prompt: of chat.
        block_size: samples asked together; decides the last digit of a local model.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    max_tokens: int = 1024
    stop: Words = ()
    seed: int = 0
    prompt_format: Literal["text", "chat"] = "text"
    system_prompt: str | None = None
    block_size: int = 256

    def settings(self, *, num_samples: int) -> "SampleSettings":
        """The settings of the stage.

        Raises:
            ConfigError: a value is out of its range.
        """
        from step_kto._sample_settings import SampleSettings

        return SampleSettings(
            num_samples=num_samples, **{name: getattr(self, name) for name in self.__dataclass_fields__}
        )


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOptions:
    """How solutions are labelled.

    Attributes:
        steps: auto, markers, blank-lines, numbered or regex:PATTERN.
        language: of an LLM judge's prompt.
        max_reasoning_tokens: room for an LLM judge's reasoning.
        threshold: least P(right) of a right step, for a reward model; other formats of such models through a recipe.
        percent: whether 10 % is 0.1 (ratio), 10 (number), or both.
        units: drop units of answers, or compare them.
        require_marked_answer: an answer that is neither boxed, nor behind #### or "the answer is", is wrong.
        timeout_seconds: of one comparison; beyond it the outcome is unknown.
    """

    steps: str = "auto"
    language: Literal["en", "zh-TW"] = "en"
    max_reasoning_tokens: int = 0
    threshold: float = 0.5
    percent: Literal["ratio", "number", "either"] = "ratio"
    units: Literal["ignore", "strict"] = "ignore"
    require_marked_answer: bool = False
    timeout_seconds: float = 5.0

    def settings(self, *, judge: str) -> "LabelSettings":
        """The settings of the stage.

        Raises:
            ConfigError: a value is out of its range, or the judge is unknown.
        """
        from step_kto._judge_spec import JudgeSettings
        from step_kto._label_settings import LabelSettings

        return LabelSettings(
            steps=self.steps,
            judge=JudgeSettings(
                judge=judge,
                language=self.language,
                max_reasoning_tokens=self.max_reasoning_tokens,
                threshold=self.threshold,
            ),
            percent=self.percent,
            units=self.units,
            require_marked_answer=self.require_marked_answer,
            timeout_seconds=self.timeout_seconds,
        )


# Defaults of the commands' parameters, which are immutable.
SAMPLE_DEFAULTS = SampleOptions()
LABEL_DEFAULTS = LabelOptions()
