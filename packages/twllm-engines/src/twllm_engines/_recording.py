"""An engine that writes down what another one answers, for `replay:`."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from twllm_engines._base import EngineBase
from twllm_engines._canonical import chat_to_json, generation_to_json, likelihood_to_json, sequence_to_json
from twllm_engines._engine import (
    Engine,
    EngineCapabilities,
    chat_renderer,
    likelihood_scorer,
    sequence_scorer,
)
from twllm_engines._records import RecordWriter
from twllm_types import (
    Completion,
    Conversation,
    EngineFailure,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    ModelIdentity,
    SequenceLogprobs,
)


class RecordingEngine(EngineBase):
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
        super().__init__(name=engine.identity.spec, identity=engine.identity, settings=engine.settings)
        self._engine = engine
        self._writer = RecordWriter(file)

    @property
    def identity(self) -> ModelIdentity:
        """Identity of the engine that answers."""
        return self._engine.identity

    @property
    def capabilities(self) -> EngineCapabilities:
        """Capabilities of the engine that answers."""
        return self._engine.capabilities

    def _stream(self, requests: Sequence[GenerationRequest]) -> Generator[tuple[int, Completion | EngineFailure]]:
        # Asked for here, so that what the other engine refuses is an error before the first answer.
        return self._recorded(requests, self._engine.stream(requests))

    def _recorded(
        self, requests: Sequence[GenerationRequest], answers: Iterator[tuple[int, Completion | EngineFailure]]
    ) -> Generator[tuple[int, Completion | EngineFailure]]:
        for index, answer in answers:
            self._writer.write(generation_to_json(requests[index]), answer)
            yield index, answer

    def _loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        answers = likelihood_scorer(self._engine).loglikelihood(requests)
        for request, answer in zip(requests, answers, strict=True):
            self._writer.write(likelihood_to_json(request), answer)
        return answers

    def _sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
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
