"""Options of the larger commands, as the command line gives them; nothing heavy is imported before they are used."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from cyclopts import Parameter

if TYPE_CHECKING:
    from llm_eval._judge_settings import JudgeSettings
    from llm_eval._pairwise_run import PairwiseSettings

Words: TypeAlias = Annotated[list[str] | None, Parameter(consume_multiple=(1, None))]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """Options of `llm-eval judge`.

    Attributes:
        engine: hf:MODEL, vllm:MODEL, openai:MODEL@URL, replay:FILE, or a YAML file with every setting.
        output: folder of the run; a run of other parameters is never overwritten.
        dimensions: names; those of the paper where none is given.
        dimensions_file: JSON list of names or {name, definition, levels}, instead of names.
        scale: 0-5, 0-5-int, 0-100, 1-10, 0,0.5,1 or good,fair,bad.
        style: wording; paper and repo are LLM-Eval's to the byte, structured and zh-TW are ours.
        taiwan_rule: with zh-TW, whether Simplified characters and mainland wording lose points; they do by default.
        score_method: what the model wrote, the mean under its probabilities, or the mean of samples.
        num_samples: answers per judgement, for sampled.
        repeats: judgements of each item, each with a seed of its own.
        temperature: of sampling; 0, and 1 for sampled, where not given.
        form: raw text, a chat rendered here (chat), or a chat that the server renders (chat-api).
        structured: hold answers to a JSON Schema; an engine that cannot is refused.
        with_reason: ask for a reason after the scores.
        max_tokens: most new tokens.
        min_captured_mass: least probability of the allowed scores, for expected.
        shuffle_dimensions: put the dimensions in a seeded order of its own to each item.
        weight: NAME=NUMBER, weight of a dimension in overall; 1 where not given.
        retry_kinds: failures that are asked again, such as no_json; recorded. None by default.
        max_attempts: tries per judgement, for retry_kinds.
        retry_temperature: of further attempts.
        seed: of sampling, orders and resamples.
        retry_failures: ask again where the engine failed; answers that cannot be read stay as they are.
    """

    engine: str
    output: Path
    dimensions: Words = None
    dimensions_file: Path | None = None
    scale: str = "0-5"
    style: Literal["paper", "repo", "structured", "zh-TW"] = "paper"
    taiwan_rule: bool | None = None
    score_method: Literal["argmax", "expected", "sampled"] = "argmax"
    num_samples: int = 1
    repeats: int = 1
    temperature: float | None = None
    form: Literal["raw", "chat", "chat-api"] = "chat-api"
    structured: bool = False
    with_reason: bool = False
    max_tokens: int = 256
    min_captured_mass: float | None = None
    shuffle_dimensions: bool = False
    weight: Words = None
    retry_kinds: Words = None
    max_attempts: int = 1
    retry_temperature: float | None = None
    seed: int = 0
    retry_failures: bool = False

    def to_settings(self) -> "JudgeSettings":
        """Return what decides the judgements.

        Raises:
            ConfigError: a value is out of range, is no value of its option, or two exclude each other.
            DataError: the file of dimensions cannot be read.
        """
        from llm_eval._cli_values import read_dimensions, read_kinds, read_numbers
        from llm_eval._judge import make_settings
        from llm_eval._judge_settings import RetryPolicy

        return make_settings(
            dimensions=read_dimensions(self.dimensions, self.dimensions_file),
            scale=self.scale,
            style=self.style,
            taiwan_rule=self.taiwan_rule,
            score_method=self.score_method,
            num_samples=self.num_samples,
            repeats=self.repeats,
            temperature=self.temperature,
            retry=RetryPolicy(
                max_attempts=self.max_attempts, kinds=read_kinds(self.retry_kinds), temperature=self.retry_temperature
            ),
            form=self.form,
            structured=self.structured,
            with_reason=self.with_reason,
            max_tokens=self.max_tokens,
            min_captured_mass=self.min_captured_mass,
            shuffle_dimensions=self.shuffle_dimensions,
            weights=read_numbers(self.weight, "--weight"),
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseOptions:
    """Options of `llm-eval pairwise`.

    Attributes:
        engine: hf:MODEL, vllm:MODEL, openai:MODEL@URL, replay:FILE, or a YAML file with every setting.
        output: folder of the run.
        questions: file of {question_id, turns}, for the latter two layouts.
        references: file of good answers to some of the questions.
        style: wording; the two of Taiwan-LLM are its own to the byte, structured and zh-TW are ours.
        form: raw text, a chat rendered here (chat), or a chat that the server renders (chat-api).
        structured: hold answers to a JSON Schema; for structured and zh-TW.
        with_reason: ask for a reason after the winner; for structured and zh-TW.
        max_tokens: most new tokens.
        seed: sent with each request.
        retry_failures: ask again where the engine failed.
    """

    engine: str
    output: Path
    questions: Path | None = None
    references: Path | None = None
    style: Literal["taiwan-llm", "taiwan-llm-score", "structured", "zh-TW"] = "zh-TW"
    form: Literal["raw", "chat", "chat-api"] = "chat-api"
    structured: bool = False
    with_reason: bool = False
    max_tokens: int = 1024
    seed: int = 0
    retry_failures: bool = False

    def to_settings(self) -> "PairwiseSettings":
        """Return what decides the comparisons.

        Raises:
            ConfigError: a value is out of range, or two exclude each other.
        """
        from llm_eval._judge_settings import PromptForm
        from llm_eval._pairwise_prompts import PairStyle
        from llm_eval._pairwise_run import PairwiseSettings

        return PairwiseSettings(
            style=PairStyle(self.style),
            form=PromptForm(self.form),
            structured=self.structured,
            with_reason=self.with_reason,
            max_tokens=self.max_tokens,
            seed=self.seed,
        )
