"""What came back: the lines of `requests.jsonl`, and what they took."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from icda._generate_settings import PlannedRequest
from twllm_types import Completion, DataError, EngineFailure, JsonObject, JsonValue, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRequest:
    """One request and what the engine gave, raw.

    Attributes:
        id: of the request.
        intent: that was asked for.
        number: within its intent.
        prompt: as text.
        seed_ids: of the seeds shown.
        texts: completions; empty where the engine failed.
        finish_reasons: one per completion.
        usage: tokens; None where the engine does not say.
        model: that the engine or server named.
        failure: kind of the engine's failure; None where there are completions.
        message: of the failure.
    """

    id: str
    intent: str
    number: int
    prompt: str
    seed_ids: tuple[str, ...]
    texts: tuple[str, ...]
    finish_reasons: tuple[str, ...]
    usage: Usage | None = None
    model: str | None = None
    failure: str | None = None
    message: str | None = None

    def to_json(self) -> JsonObject:
        """Return the line of `requests.jsonl`."""
        usage = self.usage
        return {
            "id": self.id,
            "intent": self.intent,
            "number": self.number,
            "prompt": self.prompt,
            "seed_ids": list(self.seed_ids),
            "texts": list(self.texts),
            "finish_reasons": list(self.finish_reasons),
            "usage": None if usage is None else [getattr(usage, name) for name in usage.__dataclass_fields__],
            "model": self.model,
            "failure": self.failure,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTotals:
    """What requests took, those of the engine's own cache counted as if they were bought.

    Attributes:
        num_requests: put.
        num_failed: that the engine failed.
        num_without_usage: answered without a count of tokens, which the totals lack.
        num_prompt_tokens: read.
        num_completion_tokens: written.
        num_cached_tokens: of those read, served from a server's cache.
        models: that answered, as they name themselves.
        cost: by the engine's prices; None where it has none, or a count is missing.
        currency: of the cost.
    """

    num_requests: int
    num_failed: int
    num_without_usage: int
    num_prompt_tokens: int
    num_completion_tokens: int
    num_cached_tokens: int
    models: tuple[str, ...]
    cost: float | None = None
    currency: str | None = None

    def to_json(self) -> JsonObject:
        """Return the ledger of `summary.json`."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return cast("JsonObject", {**values, "models": list(self.models)})


def answered(planned: PlannedRequest, answer: Completion | EngineFailure) -> AnsweredRequest:
    """Join a request with its answer."""
    is_failure = isinstance(answer, EngineFailure)
    return AnsweredRequest(
        id=planned.id,
        intent=planned.intent,
        number=planned.number,
        prompt=planned.prompt,
        seed_ids=planned.seed_ids,
        texts=() if is_failure else answer.texts,
        finish_reasons=() if is_failure else tuple(reason.value for reason in answer.finish_reasons),
        usage=None if is_failure else answer.usage,
        model=None if is_failure else answer.model,
        failure=answer.kind.value if is_failure else None,
        message=answer.message if is_failure else None,
    )


def answered_from_json(row: Mapping[str, JsonValue]) -> AnsweredRequest:
    """Read a line of `requests.jsonl`.

    Raises:
        DataError: a field is missing or of the wrong type.
    """
    try:
        found = AnsweredRequest(
            id=_text(row, "id"),
            intent=_text(row, "intent"),
            number=_whole(row, "number"),
            prompt=_text(row, "prompt"),
            seed_ids=_texts(row, "seed_ids"),
            texts=_texts(row, "texts"),
            finish_reasons=_texts(row, "finish_reasons"),
            usage=None if row["usage"] is None else _usage(row["usage"]),
            model=_optional(row, "model"),
            failure=_optional(row, "failure"),
            message=_optional(row, "message"),
        )
    except KeyError as error:
        raise DataError(f"a request lacks {error}; restore the file") from error
    if len(found.texts) != len(found.finish_reasons) or bool(found.texts) == (found.failure is not None):
        raise DataError(f"request {found.id}: completions, finish reasons and failure do not fit; restore the file")
    return found


def token_totals(answers: Iterable[AnsweredRequest], engine_settings: Mapping[str, JsonValue]) -> TokenTotals:
    """Add up what requests took; the cost is by the engine's prices per million tokens."""
    rows = list(answers)
    usages = [row.usage for row in rows if row.usage is not None]
    totals = TokenTotals(
        num_requests=len(rows),
        num_failed=sum(row.failure is not None for row in rows),
        num_without_usage=sum(row.usage is None and row.failure is None for row in rows),
        num_prompt_tokens=sum(usage.num_prompt_tokens for usage in usages),
        num_completion_tokens=sum(usage.num_completion_tokens for usage in usages),
        num_cached_tokens=sum(usage.num_cached_tokens or 0 for usage in usages),
        models=tuple(sorted({row.model for row in rows if row.model is not None})),
    )
    prices = [engine_settings.get(name) for name in ("prompt_price", "completion_price", "cached_prompt_price")]
    prompt, completion, cached = (float(price) if isinstance(price, int | float) else None for price in prices)
    if prompt is None or completion is None or totals.num_without_usage:
        return totals
    tokens = totals.num_prompt_tokens - totals.num_cached_tokens
    cached_cost = totals.num_cached_tokens * (prompt if cached is None else cached)
    currency = engine_settings.get("currency")
    cost = (tokens * prompt + cached_cost + totals.num_completion_tokens * completion) / 1_000_000
    return replace(totals, cost=cost, currency=currency if isinstance(currency, str) else None)


def _usage(values: JsonValue) -> Usage:
    match values:
        case [int() as prompt, int() as completion, None | int() as cached]:
            return Usage(num_prompt_tokens=prompt, num_completion_tokens=completion, num_cached_tokens=cached)
        case _:
            raise DataError(f"'usage' of a request is {values!r}; restore the file")


def _text(row: Mapping[str, JsonValue], name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise DataError(f"{name!r} of a request is {value!r}; give a text")
    return value


def _optional(row: Mapping[str, JsonValue], name: str) -> str | None:
    return None if row[name] is None else _text(row, name)


def _whole(row: Mapping[str, JsonValue], name: str) -> int:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(f"{name!r} of a request is {value!r}; give a whole number")
    return value


def _texts(row: Mapping[str, JsonValue], name: str) -> tuple[str, ...]:
    value = row[name]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise DataError(f"{name!r} of a request is {value!r}; give a list of texts")
    return tuple(cast("list[str]", value))
