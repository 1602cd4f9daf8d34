"""An engine that writes down what another one answers, for `replay:`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from twllm_engines._canonical import chat_to_json, generation_to_json, likelihood_to_json, sequence_to_json
from twllm_engines._engine import (
    Engine,
    EngineCapabilities,
    chat_renderer,
    collect,
    likelihood_scorer,
    sequence_scorer,
)
from twllm_engines._records import RecordWriter
from twllm_types import (
    Completion,
    Conversation,
    EngineFailure,
    GenerationRequest,
    JsonObject,
    Likelihood,
    LikelihoodRequest,
    ModelIdentity,
    SequenceLogprobs,
)


class RecordingEngine:
    """Passes requests on and appends each answer to a file as it comes; closing closes both.

    Requests that are equal share a record: the first answer stays. The file holds the contents of requests in the
    clear, so only its owner may read it.

    Args:
        engine: the one that answers.
        file: JSON lines, made where missing, else continued; its folder must exist.

    Raises:
        DataError: the file cannot be written, or holds something else than records.
    """

    def __init__(self, engine: Engine, file: Path) -> None:
        self._engine = engine
        self._writer = RecordWriter(file)

    @property
    def identity(self) -> ModelIdentity:
        """Identity of the engine that answers."""
        return self._engine.identity

    @property
    def settings(self) -> JsonObject:
        """Settings of the engine that answers."""
        return self._engine.settings

    @property
    def capabilities(self) -> EngineCapabilities:
        """Capabilities of the engine that answers."""
        return self._engine.capabilities

    def stream(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        """Yield the other engine's answers as they come, each recorded before it is yielded."""
        for index, answer in self._engine.stream(requests):
            self._writer.write(generation_to_json(requests[index]), answer)
            yield index, answer

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Completion | EngineFailure]:
        """Return the other engine's answers in the order of the requests."""
        return collect(self.stream(requests), len(requests))

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        """Return the other engine's scores.

        Raises:
            ConfigError: it cannot score.
        """
        answers = likelihood_scorer(self._engine).loglikelihood(requests)
        for request, answer in zip(requests, answers, strict=True):
            self._writer.write(likelihood_to_json(request), answer)
        return answers

    def sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
        """Return the other engine's log-probabilities.

        Raises:
            ConfigError: it cannot give them.
        """
        answers = sequence_scorer(self._engine).sequence_logprobs(texts)
        for text, answer in zip(texts, answers, strict=True):
            self._writer.write(sequence_to_json(text), answer)
        return answers

    def render_chat(self, conversation: Conversation) -> str:
        """Return the text that the other engine renders.

        Raises:
            ConfigError: it renders none.
        """
        text = chat_renderer(self._engine).render_chat(conversation)
        self._writer.write(chat_to_json(conversation), text)
        return text

    def close(self) -> None:
        """Close the file and the other engine."""
        self._writer.close()
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file and the other engine."""
        self.close()
