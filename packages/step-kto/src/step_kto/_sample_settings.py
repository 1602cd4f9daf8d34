"""Settings of the sampling stage, and what they make of one request."""

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

from twllm_runs import recipe_to_json
from twllm_types import ConfigError, JsonObject, SamplingParams

PromptForm: TypeAlias = Literal["text", "chat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSettings:
    """How solutions are sampled. None of the values is the paper's, which are not known to us.

    Attributes:
        num_samples: of each problem, >= 1 [ours].
        temperature: > 0, unless there is one sample, which may be greedy (0) [ours].
        top_p: nucleus, in (0, 1].
        top_k: most candidates; None for all.
        max_tokens: most new tokens, >= 1 [ours].
        stop: strings that end a solution and are not part of it.
        seed: each sample has its own, made of this, its problem and its number.
        prompt_format: "text" continues the prompt as it stands, "chat" makes it a user message.
        system_prompt: of "chat"; None for none.
        block_size: samples asked together, >= 1. A local model rounds by company, so this decides the last digit.

    Raises:
        ConfigError: a value is out of its range.
    """

    num_samples: int = 4
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    seed: int = 0
    prompt_format: PromptForm = "text"
    system_prompt: str | None = None
    block_size: int = 256

    def __post_init__(self) -> None:
        for name in ("num_samples", "block_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give a number >= 1")
        if self.temperature == 0 and self.num_samples > 1:
            raise ConfigError(
                f"temperature is 0, which gives {self.num_samples} equal samples; raise it, or ask for one sample"
            )
        if self.system_prompt is not None and self.prompt_format != "chat":
            raise ConfigError("system_prompt is set with prompt_format 'text'; set prompt_format: chat")
        # what is left is checked where requests are made of it
        sampling_params(self, seed=0)

    def to_json(self) -> JsonObject:
        """Return the values as the parameters of a run."""
        return recipe_to_json(self)


def sample_seed(seed: int, prompt: str, number: int) -> int:
    """The seed of one sample, 31 bits: it depends on nothing but these three, so adding problems changes no other."""
    digest = hashlib.sha256(f"{seed}\0{number}\0{prompt}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def sampling_params(settings: SampleSettings, *, seed: int) -> SamplingParams:
    """The parameters of one request."""
    return SamplingParams(
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        stop=settings.stop,
        seed=seed,
    )
