"""What decides a judge's answers beside items and model: what is asked, how, and what failures lead to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite

from llm_eval._dimensions import PAPER_DIMENSIONS, Dimension, check_dimensions, dimension_to_json
from llm_eval._expected import is_told_apart_at_once
from llm_eval._judgements import JudgementFailureKind, ScoreMethod
from llm_eval._prompts import PromptStyle
from llm_eval._scales import SCALE_0_5, NumberScale, Scale, scale_text
from twllm_types import ConfigError, FrozenDict, JsonObject

OVERALL = "overall"
"""Name of the summarising dimension: the weighted mean of the others, unless a judge is asked for it."""


class PromptForm(StrEnum):
    """How prompts reach a model."""

    RAW = "raw"
    """As raw text, continued as it stands."""
    CHAT = "chat"
    """As one user message that is rendered here, by the engine's chat template, and continued as raw text."""
    CHAT_API = "chat-api"
    """As one user message that the engine or its server renders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """What is asked again; every attempt is a line of its own in a run, and a judgement holds their number.

    Asking again until an answer can be read selects answers, so nothing is asked again unless it is said here.

    Attributes:
        max_attempts: tries per judgement, the first among them, >= 1.
        kinds: failures that are tried again; needed where there is more than one attempt.
        temperature: of further attempts, > 0; None for that of the first. Attempt k has a seed of its own.

    Raises:
        ConfigError: attempts without kinds, kinds without attempts, or a value out of its range.
    """

    max_attempts: int = 1
    kinds: frozenset[JudgementFailureKind] = frozenset()
    temperature: float | None = None

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ConfigError(f"max_attempts is {self.max_attempts}; give at least 1")
        if (self.max_attempts > 1) != bool(self.kinds):
            raise ConfigError(
                "a retry policy needs both max_attempts > 1 and the kinds of failure to try again; "
                f"kinds are {', '.join(JudgementFailureKind)}"
            )
        if self.temperature is not None and not (self.temperature > 0 and isfinite(self.temperature)):
            raise ConfigError(f"temperature of further attempts is {self.temperature}; give one > 0")

    def to_json(self) -> JsonObject:
        """Return what a run stores."""
        return {
            "max_attempts": self.max_attempts,
            "kinds": [*sorted(kind.value for kind in self.kinds)],
            "temperature": self.temperature,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """What decides the judgements of given items by a given model.

    Attributes:
        dimensions: what is rated, in the order of the prompt.
        scale: of all dimensions.
        style: wording of the prompt.
        taiwan_rule: whether Simplified characters and mainland wording lose points; for style `zh-TW`, where None
            means that they do.
        score_method: how a score is made; one that the engine cannot deliver is refused, never replaced.
        num_samples: answers per judgement; more than one for `sampled` alone.
        repeats: judgements of each item, each with a seed of its own; >= 1.
        temperature: of sampling, >= 0; None for 1 with `sampled` and 0 else.
        retry: what is asked again.
        form: how prompts reach the model.
        structured: hold the answer to a JSON Schema; an engine that cannot is refused.
        with_reason: ask for a reason after the scores; no score is ever read from it.
        max_tokens: most new tokens.
        min_captured_mass: least probability of the allowed scores for an expected score, in (0, 1]; None for any.
        shuffle_dimensions: put the dimensions in a seeded order of its own to each item; scores keep that order.
        weights: of the dimensions in `overall`, >= 0; one that is not named weighs 1. Their sum times the largest
            score of the scale is a finite number.
        seed: of sampling, orders and resamples, >= 0.

    Raises:
        ConfigError: a value is out of range, or two do not go together.
    """

    dimensions: tuple[Dimension, ...] = PAPER_DIMENSIONS
    scale: Scale = SCALE_0_5
    style: PromptStyle = PromptStyle.PAPER
    taiwan_rule: bool | None = None
    score_method: ScoreMethod = ScoreMethod.ARGMAX
    num_samples: int = 1
    repeats: int = 1
    temperature: float | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    form: PromptForm = PromptForm.CHAT_API
    structured: bool = False
    with_reason: bool = False
    max_tokens: int = 256
    min_captured_mass: float | None = None
    shuffle_dimensions: bool = False
    weights: Mapping[str, float] = field(default_factory=FrozenDict[str, float])
    seed: int = 0

    def __post_init__(self) -> None:
        check_dimensions(self.dimensions, self.scale, with_reason=self.with_reason)
        for name, value in (
            ("num_samples", self.num_samples),
            ("repeats", self.repeats),
            ("max_tokens", self.max_tokens),
        ):
            if value < 1:
                raise ConfigError(f"{name} is {value}; give at least 1")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; give one >= 0")
        self._check_method()
        self._check_retry()
        self._check_weights()
        object.__setattr__(self, "weights", FrozenDict(self.weights))

    @property
    def first_temperature(self) -> float:
        """Temperature of the first attempt."""
        if self.temperature is not None:
            return self.temperature
        return 1.0 if self.score_method is ScoreMethod.SAMPLED else 0.0

    def to_json(self) -> JsonObject:
        """Return what decides the judgements; a run of other values is another run."""
        return {
            "dimensions": [dimension_to_json(dimension) for dimension in self.dimensions],
            "scale": scale_text(self.scale),
            "style": self.style.value,
            "taiwan_rule": self.taiwan_rule,
            "score_method": self.score_method.value,
            "num_samples": self.num_samples,
            "repeats": self.repeats,
            "temperature": self.first_temperature,
            "retry": self.retry.to_json(),
            "form": self.form.value,
            "structured": self.structured,
            "with_reason": self.with_reason,
            "max_tokens": self.max_tokens,
            "min_captured_mass": self.min_captured_mass,
            "shuffle_dimensions": self.shuffle_dimensions,
            "weights": dict(self.weights),
        }

    def _check_method(self) -> None:
        method, mass = self.score_method, self.min_captured_mass
        if (method is ScoreMethod.SAMPLED) != (self.num_samples > 1):
            raise ConfigError(
                f"score method {method} with num_samples {self.num_samples}; give 'sampled' and several together"
            )
        if not (self.first_temperature >= 0 and isfinite(self.first_temperature)):
            raise ConfigError(f"temperature is {self.temperature}; give one >= 0")
        if method is ScoreMethod.SAMPLED and self.first_temperature == 0:
            raise ConfigError("samples at temperature 0 are all alike; give a temperature > 0, or another score method")
        if mass is not None and (method is not ScoreMethod.EXPECTED or not 0 < mass <= 1):
            raise ConfigError(f"min_captured_mass is {mass}; give one in (0, 1], with score method 'expected' alone")
        if method is not ScoreMethod.EXPECTED:
            return
        if isinstance(self.scale, NumberScale) and self.scale.values is None:
            raise ConfigError(
                "an expected score needs scores that can be counted, and this scale is continuous; "
                "use 0-5-int, 0-100, or list the scores (0,0.5,1)"
            )
        if not is_told_apart_at_once(self.scale) and self.form is PromptForm.CHAT_API:
            raise ConfigError(
                "some scores of this scale begin alike, so the expected score needs the likelihood of each after the "
                "rendered prompt; use form 'chat' or 'raw', or a scale such as 0-5-int"
            )

    def _check_retry(self) -> None:
        is_greedy = self.first_temperature == 0 and self.retry.temperature is None
        unchanged = self.retry.kinds - {JudgementFailureKind.ENGINE_ERROR}
        if is_greedy and unchanged:
            raise ConfigError(
                f"a greedy answer that fails by {min(unchanged)} comes back as it was; "
                "give the further attempts a temperature > 0"
            )

    def _check_weights(self) -> None:
        names = [dimension.name for dimension in self.dimensions]
        unknown = sorted(set(self.weights) - set(names))
        if unknown:
            raise ConfigError(f"weights name {unknown}, which are no dimensions; the dimensions are {', '.join(names)}")
        if self.weights and OVERALL in names:
            raise ConfigError(f"{OVERALL!r} is asked of the judge, so it is no weighted mean; leave the weights out")
        if any(not (value >= 0 and isfinite(value)) for value in self.weights.values()):
            raise ConfigError(f"weights are {dict(self.weights)}; give finite numbers >= 0")
        total = sum(self.weights.get(name, 1.0) for name in names)
        if total == 0:
            raise ConfigError("all weights are 0; give one dimension a weight > 0")
        scale = self.scale
        largest = max(abs(scale.minimum), abs(scale.maximum)) if isinstance(scale, NumberScale) else 1.0
        if not isfinite(total * largest):
            raise ConfigError(
                f"weights {dict(self.weights)} times the scores are too large for a number; give smaller ones, since "
                "only their ratios count"
            )
