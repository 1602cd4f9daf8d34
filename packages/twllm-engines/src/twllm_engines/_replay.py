"""An engine that answers from a file of records."""

import hashlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TypeVar, cast

from twllm_engines._base import EngineBase
from twllm_engines._canonical import (
    Answer,
    canonical_json,
    chat_to_json,
    generation_to_json,
    likelihood_to_json,
    request_key,
    sequence_to_json,
)
from twllm_engines._engine import EngineCapabilities
from twllm_engines._records import Record, read_records
from twllm_engines._settings import ReplaySettings, settings_to_json
from twllm_types import (
    Completion,
    ConfigError,
    Conversation,
    EngineFailure,
    FailureKind,
    GenerationRequest,
    JsonObject,
    Likelihood,
    LikelihoodRequest,
    ModelIdentity,
    SequenceLogprobs,
)

_MAX_SHOWN_CHARS = 300

_Scored = TypeVar("_Scored", Completion, Likelihood, SequenceLogprobs)


class ReplayEngine(EngineBase):
    """Serves recorded answers, failures among them, keyed by the content of the request.

    All requests of a call are looked up before the first answer is given; one without a record is a `ConfigError`,
    unless the settings call it a failure. The identity holds the hash of the file under "recording", and the model
    that it names, if it is one.

    Args:
        settings: which file, and what a missing record is.

    Raises:
        DataError: the file is no recording.
    """

    def __init__(self, settings: ReplaySettings) -> None:
        records = read_records(settings.file)
        super().__init__(
            name="replay",
            identity=_identity(settings.file, records),
            settings=settings_to_json(settings),
            # A request that has no record is told so, whatever it asks for.
            checks=False,
        )
        self._settings = settings
        self._records = records
        self._capabilities = _capabilities(records)

    @property
    def capabilities(self) -> EngineCapabilities:
        """What the file holds records of."""
        return self._capabilities

    def render_chat(self, conversation: Conversation) -> str:
        """Return the recorded text of a conversation.

        Raises:
            ConfigError: it was not recorded.
        """
        content = chat_to_json(conversation)
        record = self._records.get(request_key(content))
        if record is None or not isinstance(record.answer, str):
            raise self._missing(content)
        return record.answer

    def close(self) -> None:
        """Do nothing; the file was read whole."""

    def _stream(self, requests: Sequence[GenerationRequest]) -> Generator[tuple[int, Completion | EngineFailure]]:
        found = self._look_up([generation_to_json(request) for request in requests], Completion)
        return (pair for pair in enumerate(found))

    def _loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        return self._look_up([likelihood_to_json(request) for request in requests], Likelihood)

    def _sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
        return self._look_up([sequence_to_json(text) for text in texts], SequenceLogprobs)

    def _look_up(self, contents: list[JsonObject], type_: type[_Scored]) -> list[_Scored | EngineFailure]:
        return [self._answer(content, type_) for content in contents]

    def _answer(self, content: JsonObject, type_: type[_Scored]) -> _Scored | EngineFailure:
        record = self._records.get(request_key(content))
        answer: Answer | None = None if record is None else record.answer
        if isinstance(answer, type_ | EngineFailure):
            return answer
        if self._settings.missing == "error":
            raise self._missing(content)
        return EngineFailure(kind=FailureKind.NOT_RECORDED, message=f"{self._settings.file} has no record of it")

    def _missing(self, content: JsonObject) -> ConfigError:
        escaped = canonical_json(content).encode("ascii").decode("unicode_escape", "replace")
        # JSON escapes a character beyond U+FFFF by two surrogates, which are one character only in UTF-16.
        shown = escaped.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if len(shown) > _MAX_SHOWN_CHARS:
            half = _MAX_SHOWN_CHARS // 2
            shown = f"{shown[:half]} ... {shown[-half:]}"
        return ConfigError(
            f"{self._settings.file}: has no record of the request {' '.join(shown.split())} "
            f"(key {request_key(content)[:12]}); record it by RecordingEngine, or repeat the recorded run's settings"
        )


def _identity(file: Path, records: dict[str, Record]) -> ModelIdentity:
    answers = [record.answer for record in records.values()]
    models = {answer.model for answer in answers if isinstance(answer, Completion)}
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return ModelIdentity(
        spec=f"replay:{file.as_posix()}",
        sha256={"recording": digest},
        reported_id=models.pop() if len(models) == 1 else None,
    )


def _capabilities(records: dict[str, Record]) -> EngineCapabilities:
    kinds = {str(record.request.get("kind")) for record in records.values()}
    params = [
        cast("JsonObject", record.request["params"])
        for record in records.values()
        if record.request.get("kind") == "generation"
    ]
    tops = [top for top in (param.get("top_logprobs") for param in params) if isinstance(top, int)]
    return EngineCapabilities(
        likelihood="likelihood" in kinds,
        sequence_logprobs="sequence_logprobs" in kinds,
        chat=True,
        raw_prompts=True,
        json_schema=True,
        max_top_logprobs=max(tops, default=None),
        renders_chat="render_chat" in kinds,
    )
