"""What the engines share: how they are used, what they say of themselves, and the check of every text."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import Self, TypeVar

from twllm_engines._engine import EngineCapabilities, check_requests, collect
from twllm_engines._unicode import refusal, texts_of
from twllm_types import (
    Completion,
    EngineFailure,
    GenerationRequest,
    JsonObject,
    Likelihood,
    LikelihoodRequest,
    ModelIdentity,
    SequenceLogprobs,
)

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


class EngineBase(ABC):
    """An `Engine` that leaves answering to its subclass; closed at the end of a `with`.

    A request with a text that is none (`_unicode.refusal`) is a failure and reaches no subclass.

    Args:
        name: beginning of the message where a request asks for what the engine cannot do.
        identity: which model answers.
        settings: as they ran, without secrets.
        checks: requests are held against the capabilities before the first one is answered.
    """

    def __init__(self, *, name: str, identity: ModelIdentity, settings: JsonObject, checks: bool = True) -> None:
        self._name = name
        self._identity = identity
        self._described = settings
        self._checks = checks

    @property
    def identity(self) -> ModelIdentity:
        """Which model answers."""
        return self._identity

    @property
    def settings(self) -> JsonObject:
        """The settings as they ran, what "auto" and None became among them; no secret."""
        return dict(self._described)

    @property
    @abstractmethod
    def capabilities(self) -> EngineCapabilities:
        """What the engine can do."""

    @abstractmethod
    def close(self) -> None:
        """Free what the engine holds; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Completion | EngineFailure]:
        """Return the answers in the order of the requests; errors as `stream`."""
        return collect(self.stream(requests), len(requests))

    def stream(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        """Yield (index, answer) as answers come, each index once.

        Raises:
            ConfigError: a request asks for what the engine cannot do; nothing was answered.
            DataError: a schema is not JSON; nothing was answered.
            EngineError: the engine is closed.
        """
        if self._checks:
            check_requests(requests, self.capabilities, name=self._name)
        refused, places = _sort_out(requests, texts_of)
        answers = self._stream([requests[place] for place in places])
        return _merge(refused, places, answers)

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        """Return log p(continuation | context) of every request, in order.

        Raises:
            ConfigError: the engine cannot score continuations.
            EngineError: the engine is closed.
        """
        return _in_order(requests, lambda request: (request.context, request.continuation), self._loglikelihood)

    def sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
        """Return the log-probability of every token of every text, in order.

        Raises:
            ConfigError: the engine cannot score the tokens of a text.
            EngineError: the engine is closed.
        """
        return _in_order(texts, lambda text: (text,), self._sequence_logprobs)

    @abstractmethod
    def _stream(self, requests: Sequence[GenerationRequest]) -> Generator[tuple[int, Completion | EngineFailure]]:
        """Answer requests that the capabilities allow and whose texts can be encoded; may be none."""

    @abstractmethod
    def _loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        """Score requests whose texts can be encoded; may be none."""

    @abstractmethod
    def _sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
        """Score texts that can be encoded; may be none."""


def _sort_out(
    requests: Sequence[_Request], texts: Callable[[_Request], Iterable[str]]
) -> tuple[dict[int, EngineFailure], list[int]]:
    """Return the failures of requests whose texts cannot be encoded, by index, and the indices of all others."""
    refused = {
        index: failure for index, request in enumerate(requests) if (failure := refusal(texts(request))) is not None
    }
    return refused, [index for index in range(len(requests)) if index not in refused]


def _merge(
    refused: Mapping[int, EngineFailure],
    places: Sequence[int],
    answers: Generator[tuple[int, Completion | EngineFailure]],
) -> Generator[tuple[int, Completion | EngineFailure]]:
    # A reader that leaves closes this generator, and so the engine's own.
    with closing(answers):
        yield from refused.items()
        for index, answer in answers:
            yield places[index], answer


def _in_order(
    requests: Sequence[_Request],
    texts: Callable[[_Request], Iterable[str]],
    score: Callable[[list[_Request]], list[_Answer | EngineFailure]],
) -> list[_Answer | EngineFailure]:
    refused, places = _sort_out(requests, texts)
    found: dict[int, _Answer | EngineFailure] = dict(refused)
    found |= zip(places, score([requests[place] for place in places]), strict=True)
    return [found[index] for index in range(len(requests))]
