"""What is asked of a model and what comes back.

One failed request is a value (`EngineFailure`), never an exception and never a score.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from typing import Protocol, runtime_checkable

from twllm_types._chat import Conversation
from twllm_types._checks import check_count, check_filled, check_logprob
from twllm_types._errors import ConfigError, DataError
from twllm_types._frozen import FrozenDict, freeze
from twllm_types._json import JsonValue


class FinishReason(StrEnum):
    """Why a generation ended.

    STOP: by the model, or at a stop string. LENGTH: at the limit of tokens. CONTENT_FILTER: by a filter of the server.
    TOOL_CALL: in a call of a tool. REFUSAL: the server marked the text as the model's refusal to answer, so nothing in
    it is an answer.
    """

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    TOOL_CALL = "tool_call"
    REFUSAL = "refusal"


class FailureKind(StrEnum):
    """Why a request gave nothing."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    BAD_REQUEST = "bad_request"
    AUTHENTICATION = "authentication"
    CONTEXT_LENGTH = "context_length"
    MALFORMED_RESPONSE = "malformed_response"
    MISSING_LOGPROBS = "missing_logprobs"
    NOT_RECORDED = "not_recorded"
    OUT_OF_MEMORY = "out_of_memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How to decode; the names are those of the chat-completions and vLLM interfaces.

    Attributes:
        max_tokens: most new tokens, > 0.
        temperature: >= 0; 0 is greedy.
        top_p: nucleus, in (0, 1].
        top_k: most candidates, > 0; None for all.
        num_samples: completions per request, > 0.
        stop: strings that end a completion; they are not part of its text.
        seed: of the sampler; None leaves it to the engine.
        top_logprobs: alternatives returned per position, >= 0; None returns no log-probabilities.
        json_schema: a JSON Schema that the text must satisfy, kept as a `FrozenDict`; None for free text.

    Raises:
        ConfigError: a value is out of its range.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int | None = None
    num_samples: int = 1
    stop: tuple[str, ...] = ()
    seed: int | None = None
    top_logprobs: int | None = None
    json_schema: Mapping[str, JsonValue] | None = None

    def __post_init__(self) -> None:
        checks = (
            ("max_tokens", self.max_tokens, self.max_tokens > 0, "> 0"),
            ("temperature", self.temperature, self.temperature >= 0 and isfinite(self.temperature), ">= 0"),
            ("top_p", self.top_p, 0 < self.top_p <= 1, "in (0, 1]"),
            ("top_k", self.top_k, self.top_k is None or self.top_k > 0, "> 0 or None"),
            ("num_samples", self.num_samples, self.num_samples > 0, "> 0"),
            ("top_logprobs", self.top_logprobs, self.top_logprobs is None or self.top_logprobs >= 0, ">= 0 or None"),
        )
        for name, value, holds, expected in checks:
            if not holds:
                raise ConfigError(f"{name} is {value}; give a value {expected}")
        if "" in self.stop:
            raise ConfigError("stop holds an empty string, which would end every completion at once; remove it")
        freeze(self, "json_schema")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One request for text.

    Attributes:
        prompt: raw text, continued as it stands, or a conversation, rendered by the engine's chat template.
        params: how to decode.
    """

    prompt: str | Conversation
    params: SamplingParams = field(default_factory=SamplingParams)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """Log-probability of one emitted token.

    Attributes:
        token: the token's text.
        logprob: natural logarithm, <= 0; -inf where the model gives the token the probability zero.
        top: the most likely alternatives at this position, token text to log-probability, of the same range; may be
            empty. Kept as a `FrozenDict`.

    Raises:
        DataError: a log-probability is NaN or above 0.
    """

    token: str
    logprob: float
    top: Mapping[str, float] = field(default_factory=FrozenDict[str, float])

    def __post_init__(self) -> None:
        check_logprob(f"logprob of token {self.token!r}", self.logprob)
        for token, logprob in self.top.items():
            check_logprob(f"logprob of the alternative {token!r}", logprob)
        freeze(self, "top")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that one request took.

    Attributes:
        num_prompt_tokens: tokens read, >= 0, those from a cache among them.
        num_completion_tokens: tokens written, >= 0, over all samples.
        num_cached_tokens: prompt tokens served from a cache, 0..num_prompt_tokens; None where the engine does not say.

    Raises:
        DataError: a count is negative, or more tokens were cached than read.
    """

    num_prompt_tokens: int
    num_completion_tokens: int
    num_cached_tokens: int | None = None

    def __post_init__(self) -> None:
        check_count("num_prompt_tokens", self.num_prompt_tokens)
        check_count("num_completion_tokens", self.num_completion_tokens)
        if self.num_cached_tokens is not None:
            check_count("num_cached_tokens", self.num_cached_tokens)
            if self.num_cached_tokens > self.num_prompt_tokens:
                raise DataError(
                    f"num_cached_tokens is {self.num_cached_tokens} of {self.num_prompt_tokens} prompt tokens; "
                    "count cached tokens among the prompt tokens"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The answer to one request.

    Attributes:
        texts: one text per sample, in order; never empty, a text may be.
        finish_reasons: one per sample.
        logprobs: tokens of each sample; None where none were asked for.
        reasoning: the reasoning text of each sample, kept apart from the answer; None where there is none.
        usage: tokens taken; None where the engine does not say.
        model: the model id that the engine or server names.

    Raises:
        DataError: the parts differ in length, or there is no sample.
    """

    texts: tuple[str, ...]
    finish_reasons: tuple[FinishReason, ...]
    logprobs: tuple[tuple[TokenLogprob, ...], ...] | None = None
    reasoning: tuple[str, ...] | None = None
    usage: Usage | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        if not self.texts:
            raise DataError("a completion needs at least one sample; report an EngineFailure instead")
        for name, part in (
            ("finish_reasons", self.finish_reasons),
            ("logprobs", self.logprobs),
            ("reasoning", self.reasoning),
        ):
            if part is not None and len(part) != len(self.texts):
                raise DataError(f"{name} has {len(part)} entries for {len(self.texts)} samples; give one per sample")

    @property
    def text(self) -> str:
        """The first sample's text."""
        return self.texts[0]

    @property
    def finish_reason(self) -> FinishReason:
        """Why the first sample ended."""
        return self.finish_reasons[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFailure:
    """A request that gave nothing, after the engine's own retries.

    Attributes:
        kind: why.
        message: one line, not empty, without keys or contents of the request.
        num_attempts: tries made, >= 1.

    Raises:
        DataError: the message is empty or has several lines, or there was no attempt.
    """

    kind: FailureKind
    message: str
    num_attempts: int = 1

    def __post_init__(self) -> None:
        check_filled("message of a failure", self.message)
        if len(self.message.splitlines()) > 1:
            raise DataError(f"message of a failure has several lines ({self.message!r}); join them into one")
        check_count("num_attempts", self.num_attempts, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodRequest:
    """Asks for log p(continuation | context).

    Attributes:
        context: text before; may be empty, then the engine's beginning-of-sequence rule applies.
        continuation: the text to score; not empty.

    Raises:
        ConfigError: the continuation is empty.
    """

    context: str
    continuation: str

    def __post_init__(self) -> None:
        if not self.continuation:
            raise ConfigError("continuation is empty, so there is nothing to score; give at least one character")


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """The answer to one `LikelihoodRequest`.

    Attributes:
        logprob: sum over the continuation's tokens, natural logarithm, <= 0; -inf where the model gives the
            continuation the probability zero, which ranks last and has no mean.
        num_tokens: tokens of the continuation, >= 1; one without tokens of its own is an `EngineFailure`.
        is_greedy: every token was the most likely one; None where the engine cannot tell.

    Raises:
        DataError: the log-probability is NaN or above 0, or there is no token.
    """

    logprob: float
    num_tokens: int
    is_greedy: bool | None = None

    def __post_init__(self) -> None:
        check_logprob("logprob", self.logprob)
        check_count("num_tokens", self.num_tokens, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceLogprobs:
    """Log-probabilities of the tokens of one text, each given those before it.

    Mean and standard deviation are those of log p(z) under z ~ p, over the whole vocabulary, at the token's position
    (Min-K%++, arXiv 2404.02936, eq. 3).

    Attributes:
        tokens: texts of the tokens that have a log-probability, in order; without a beginning-of-sequence token the
            text's first token has none and is absent. May be empty.
        logprobs: one per token, natural logarithm, <= 0.
        expected_logprobs: mean at each token's position, finite, <= 0; None where the engine does not see the whole
            distribution.
        logprob_stds: standard deviation at each token's position, finite, >= 0; None exactly where the mean is.

    Raises:
        DataError: the parts differ in length, only one of mean and standard deviation is given, or a value is out of
            its range.
    """

    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]
    expected_logprobs: tuple[float, ...] | None = None
    logprob_stds: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if (self.expected_logprobs is None) != (self.logprob_stds is None):
            raise DataError("one of expected_logprobs and logprob_stds is None; give both or neither")
        means, stds = self.expected_logprobs or (), self.logprob_stds or ()
        for name, part in (
            ("logprobs", self.logprobs),
            ("expected_logprobs", self.expected_logprobs),
            ("logprob_stds", self.logprob_stds),
        ):
            if part is not None and len(part) != len(self.tokens):
                raise DataError(f"{name} has {len(part)} entries for {len(self.tokens)} tokens; give one per token")
        for token, logprob in zip(self.tokens, self.logprobs, strict=True):
            check_logprob(f"logprob of token {token!r}", logprob)
        for mean in means:
            if not (mean <= 0 and isfinite(mean)):
                raise DataError(f"an expected log-probability is {mean}; give a finite number <= 0")
        for std in stds:
            if not (std >= 0 and isfinite(std)):
                raise DataError(f"a standard deviation of log-probabilities is {std}; give a finite number >= 0")


@runtime_checkable
class TextGenerator(Protocol):
    """Anything that answers requests for text; synchronous, over batches."""

    def stream(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        """Yield (index of the request, answer) as answers come, each index once."""
        ...

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Completion | EngineFailure]:
        """Return the answers in the order of the requests."""
        ...


@runtime_checkable
class LikelihoodScorer(Protocol):
    """Anything that scores continuations; synchronous, over batches."""

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        """Return the scores in the order of the requests."""
        ...


@runtime_checkable
class SequenceScorer(Protocol):
    """Anything that scores every token of a text; synchronous, over batches."""

    def sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
        """Return the log-probabilities in the order of the texts."""
        ...


@runtime_checkable
class ChatRenderer(Protocol):
    """Anything that writes a conversation as the raw text which its model was trained on."""

    def render_chat(self, conversation: Conversation) -> str:
        """Return the text up to where the assistant's next turn begins; a caller may append a prefill."""
        ...
