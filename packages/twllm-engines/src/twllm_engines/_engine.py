"""What every engine is and can."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from twllm_engines._ledger import UsageLedger
from twllm_types import (
    ChatRenderer,
    Completion,
    ConfigError,
    Conversation,
    EngineFailure,
    GenerationRequest,
    JsonObject,
    LikelihoodScorer,
    ModelIdentity,
    SequenceScorer,
    TextGenerator,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCapabilities:
    """What an engine can do besides generating text; what it cannot is refused before any request.

    Attributes:
        likelihood: it is a `LikelihoodScorer`.
        sequence_logprobs: it is a `SequenceScorer`.
        chat: it answers conversations.
        raw_prompts: it continues raw text.
        json_schema: it holds a text to a JSON Schema.
        max_top_logprobs: most alternatives per position, >= 0; None where it cannot give log-probabilities.
        renders_chat: it is a `ChatRenderer`.
    """

    likelihood: bool
    sequence_logprobs: bool
    chat: bool
    raw_prompts: bool
    json_schema: bool
    max_top_logprobs: int | None
    renders_chat: bool = False


@runtime_checkable
class Engine(TextGenerator, Protocol):
    """A model that answers; a context manager, whose end closes it.

    What an engine can besides is a protocol of its own (`LikelihoodScorer`, `SequenceScorer`, `ChatRenderer`). A class
    may have a method that its settings do not allow, so `capabilities` decides; `likelihood_scorer`, `sequence_scorer`
    and `chat_renderer` look at both.
    """

    @property
    def identity(self) -> ModelIdentity:
        """Which model answers; a server's own id is known after its first answer."""
        ...

    @property
    def settings(self) -> JsonObject:
        """The settings as they ran, without secrets."""
        ...

    @property
    def capabilities(self) -> EngineCapabilities:
        """What the engine can do."""
        ...

    def close(self) -> None:
        """Free what the engine holds; a second call does nothing."""
        ...

    def __enter__(self) -> Self:
        """Return the engine."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the engine."""
        ...


@runtime_checkable
class MeteredEngine(Engine, Protocol):
    """An engine whose requests cost tokens on a server."""

    def ledger(self) -> UsageLedger:
        """Return what requests took so far."""
        ...


def check_requests(requests: Sequence[GenerationRequest], capabilities: EngineCapabilities, *, name: str) -> None:
    """Refuse requests that an engine cannot serve; every engine calls it before its first request.

    Args:
        requests: to be served; may be empty.
        capabilities: of the engine.
        name: of the engine, the beginning of the message.

    Raises:
        ConfigError: the first request that asks for too much; the message says what, and the request's place.
    """
    for at, request in enumerate(requests):
        problem = _problem(request, capabilities)
        if problem is not None:
            raise ConfigError(f"{name}: request {at} {problem}")


def collect(answers: Iterable[tuple[int, Completion | EngineFailure]], count: int) -> list[Completion | EngineFailure]:
    """Put streamed answers in the order of the requests; the body of every engine's `generate`.

    Raises:
        RuntimeError: an index is missing, out of range or came twice, which is a bug of the engine.
    """
    found: dict[int, Completion | EngineFailure] = {}
    for index, answer in answers:
        if index in found or not 0 <= index < count:
            raise RuntimeError(f"an engine gave index {index} of {count} twice or out of range; this is a bug")
        found[index] = answer
    if len(found) != count:
        raise RuntimeError(f"an engine gave {len(found)} answers to {count} requests; this is a bug")
    return [found[index] for index in range(count)]


def likelihood_scorer(engine: Engine) -> LikelihoodScorer:
    """Return the engine as what scores continuations.

    Raises:
        ConfigError: it cannot.
    """
    if engine.capabilities.likelihood and isinstance(engine, LikelihoodScorer):
        return engine
    raise ConfigError(f"engine {engine.identity.spec} cannot score continuations; use another engine or its settings")


def sequence_scorer(engine: Engine) -> SequenceScorer:
    """Return the engine as what scores every token of a text.

    Raises:
        ConfigError: it cannot.
    """
    if engine.capabilities.sequence_logprobs and isinstance(engine, SequenceScorer):
        return engine
    raise ConfigError(f"engine {engine.identity.spec} cannot score the tokens of a text; use a local engine")


def chat_renderer(engine: Engine) -> ChatRenderer:
    """Return the engine as what renders conversations.

    Raises:
        ConfigError: it cannot.
    """
    if engine.capabilities.renders_chat and isinstance(engine, ChatRenderer):
        return engine
    raise ConfigError(f"engine {engine.identity.spec} cannot render a chat template; use a local engine that has one")


def _problem(request: GenerationRequest, capabilities: EngineCapabilities) -> str | None:
    if isinstance(request.prompt, Conversation):
        if not capabilities.chat:
            return "is a conversation, which this engine does not answer; set a chat template, or give raw text"
    elif not capabilities.raw_prompts:
        return "is raw text, which this engine does not continue; give a conversation"
    if request.params.json_schema is not None and not capabilities.json_schema:
        return "asks for a JSON Schema, which this engine cannot hold a text to; leave json_schema out"
    wanted, most = request.params.top_logprobs, capabilities.max_top_logprobs
    if wanted is not None and most is None:
        return "asks for log-probabilities, which this engine does not give; leave top_logprobs out"
    if wanted is not None and most is not None and wanted > most:
        return f"asks for {wanted} alternatives per position; this engine gives at most {most}"
    return None
