"""Settings of the generation, and what they make of one request."""

import hashlib
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from icda._clean import CleanRules
from icda._prompts import PromptStyle, build_prompt, choose_examples, stop_strings
from twllm_types import (
    ConfigError,
    Conversation,
    GenerationRequest,
    IntentExample,
    Message,
    Role,
    SamplingParams,
)

PromptForm: TypeAlias = Literal["text", "chat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateSettings:
    """How utterances are asked for.

    The paper's template and decoding are unknown to us. Temperature and top-p are those of its re-implementations
    (second-hand); the third value that they share, a repetition penalty of 1.1, is no setting of a request here.

    Attributes:
        style: template of the prompt. `sahu` [Sahu et al. 2022, whose later users keep it].
        form: "text" continues the prompt as it stands, "chat" makes it a user's message; None takes "text" for `sahu`
            and "chat" for the others.
        show_name: the prompt names the intent [Sahu et al.].
        num_examples: seeds that a prompt shows, >= 1; None shows all [Sahu et al.], in a new order for every request.
        num_new: utterances that a prompt asks for, >= 1 [ours].
        num_samples: completions per request, >= 1 [ours].
        num_per_intent: candidates wanted per intent, >= 1. 20 [ours; brief, 7b].
        max_requests_per_intent: budget, >= 1; it ends a generator that has nothing new to say [ours].
        requests_per_round: of one intent, asked before anyone looks at what was kept, >= 1 [ours].
        temperature: > 0. 0.9 [re-implementations].
        top_p: nucleus, in (0, 1]. 0.9 [one re-implementation].
        top_k: most candidates; None for all.
        max_tokens: most new tokens, >= 1. 32 for `sahu` [Sahu et al.]; lists of several lines need more.
        block_size: requests asked together, >= 1. A local model rounds by company, so this decides the last digit.
        clean: which lines are rejected.

    Raises:
        ConfigError: a value is out of its range.
    """

    style: PromptStyle = PromptStyle.SAHU
    form: PromptForm | None = None
    show_name: bool = True
    num_examples: int | None = None
    num_new: int = 1
    num_samples: int = 4
    num_per_intent: int = 20
    max_requests_per_intent: int = 25
    requests_per_round: int = 5
    temperature: float = 0.9
    top_p: float = 0.9
    top_k: int | None = None
    max_tokens: int = 32
    block_size: int = 256
    clean: CleanRules = field(default_factory=CleanRules)

    def __post_init__(self) -> None:
        counts = (
            "num_new",
            "num_samples",
            "num_per_intent",
            "max_requests_per_intent",
            "requests_per_round",
            "block_size",
        )
        for name in counts:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give a number >= 1")
        if self.num_examples is not None and self.num_examples < 1:
            raise ConfigError(f"num_examples is {self.num_examples}; give a number >= 1, or null for all seeds")
        if self.temperature == 0:
            raise ConfigError("temperature is 0, which gives the same utterance again and again; raise it")
        # what is left is checked where requests are made of it
        sampling_params(self, seed=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """A request to be put.

    Attributes:
        id: stable identity: 16 hexadecimal digits over intent, prompt and number.
        intent: that utterances are asked for.
        number: of the request within its intent, from 0.
        prompt: as text.
        seed_ids: of the seeds that the prompt shows, in its order.
        request: what the engine gets.
    """

    id: str
    intent: str
    number: int
    prompt: str
    seed_ids: tuple[str, ...]
    request: GenerationRequest


def plan_request(
    intent: str, number: int, seeds: tuple[IntentExample, ...], settings: GenerateSettings, *, seed: int
) -> PlannedRequest:
    """Make request `number` of an intent; it depends on the arguments alone, so a resumed run asks the same.

    Args:
        intent: the label.
        number: from 0.
        seeds: of the intent, at least one.
        settings: how to ask.
        seed: of the run.
    """
    shown = choose_examples(seeds, intent=intent, number=number, seed=seed, num_examples=settings.num_examples)
    prompt = build_prompt(
        intent,
        [example.text for example in shown],
        style=settings.style,
        show_name=settings.show_name,
        num_new=settings.num_new,
    )
    params = sampling_params(settings, seed=request_seed(seed, intent, number))
    form = settings.form or ("text" if settings.style is PromptStyle.SAHU else "chat")
    asked = prompt if form == "text" else Conversation(messages=(Message(role=Role.USER, content=prompt),))
    return PlannedRequest(
        id=_digest(intent, hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest(), str(number))[:16],
        intent=intent,
        number=number,
        prompt=prompt,
        seed_ids=tuple(example.id or "" for example in shown),
        request=GenerationRequest(prompt=asked, params=params),
    )


def request_seed(seed: int, intent: str, number: int) -> int:
    """The sampling seed of one request, 31 bits."""
    return int(_digest(str(seed), intent, str(number))[:8], 16) >> 1


def sampling_params(settings: GenerateSettings, *, seed: int) -> SamplingParams:
    """The parameters of one request."""
    return SamplingParams(
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        num_samples=settings.num_samples,
        stop=stop_strings(settings.style, num_new=settings.num_new),
        seed=seed,
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
