"""What comes back: bodies of answers, read into values; nothing is guessed."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from twllm_engines._openai._echo import EchoedToken, read_echo
from twllm_engines._openai._requests import ChatOrRaw, Echo, Question
from twllm_engines._settings_openai import OpenAISettings
from twllm_types import Completion, FailureKind, FinishReason, JsonObject, SamplingParams, TokenLogprob, Usage

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "refusal": FinishReason.REFUSAL,
    "tool_calls": FinishReason.TOOL_CALL,
    "function_call": FinishReason.TOOL_CALL,
}
_THINK, _END_THINK = "<think>", "</think>"
_ANSWER_STARTS = ("{", "[", "```")
# -2024-08-06, -20240806, and -0613 or -2411: month and day, or year and month. A size (-4096, -8b) is no date.
_MONTH, _DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_DATE = re.compile(rf"-(?:20\d\d-{_MONTH}-{_DAY}|20\d\d{_MONTH}{_DAY}|{_MONTH}{_DAY}|2\d{_MONTH})")
_MAX_MODEL_CHARS = 80
# Rounding lets a sure token end slightly above zero on some servers; more than this is no logarithm of a probability.
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoAnswer:
    """The scored tokens of an echoed text.

    Attributes:
        tokens: of context and continuation, in order.
        num_context: how many of them are the context's.
        usage: tokens taken; None where the server does not say.
        model: the id that the server named.
    """

    tokens: tuple[EchoedToken, ...]
    num_context: int
    usage: Usage | None
    model: str | None


Reading: TypeAlias = Completion | EchoAnswer


class UnreadableError(Exception):
    """An answer that cannot be used; the client turns it into a failure, so it never leaves the engine."""

    def __init__(self, kind: FailureKind, message: str, *, is_retried: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.is_retried = is_retried


def read_answer(content: str, question: Question, settings: OpenAISettings) -> Reading:
    """Read the body of a successful response.

    Args:
        content: the body.
        question: what was asked.
        settings: of the engine.

    Raises:
        UnreadableError: the body is not what was asked for.
    """
    body = _parse(content)
    model = _model(body, settings)
    usage = _usage(body.get("usage"))
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
        raise _malformed("has no list 'choices'", is_retried=True)
    rows = sorted(cast("list[dict[str, Any]]", choices), key=_place)
    match question:
        case ChatOrRaw():
            return _completion(rows, question, settings, usage=usage, model=model)
        case Echo():
            tokens, num_context = _read_echo(rows[0], question, num_written=settings.echo_max_tokens)
            return EchoAnswer(tokens=tokens, num_context=num_context, usage=usage, model=model)


def read_bill(content: str) -> tuple[str | None, Usage | None]:
    """Return the model and the count of tokens that a successful response names, whatever else is wrong with it.

    Args:
        content: the body.

    Returns:
        The model's id, at most 80 characters of it, and the count; each None where there is none that makes sense.
    """
    try:
        body = _parse(content)
    except UnreadableError:
        return None, None
    model = body.get("model")
    return model[:_MAX_MODEL_CHARS] if isinstance(model, str) and model else None, _usage(body.get("usage"))


def split_think(text: str) -> tuple[str, str]:
    """Return (reasoning, answer) of a text that begins with a `<think>` block.

    A block that never ends is all reasoning. Servers that put `<think>` into the prompt send only its end. A text
    without such a block has no reasoning, nor has one that begins as JSON or as a fenced block, where it is quoted.
    """
    stripped = text.lstrip()
    if stripped.startswith(_THINK):
        reasoning, _, answer = stripped.removeprefix(_THINK).partition(_END_THINK)
        return reasoning.strip(), answer.lstrip()
    if _END_THINK in text and _THINK not in text and not stripped.startswith(_ANSWER_STARTS):
        reasoning, _, answer = text.partition(_END_THINK)
        return reasoning.strip(), answer.lstrip()
    return "", text


def error_code(content: str) -> str | None:
    """Return the code, else the type, of a server's error; None where it has none that may be shown.

    The message is never shown: it may repeat the request or the key.
    """
    try:
        body: object = json.loads(content)
    except (ValueError, RecursionError):
        return None
    fields = cast("dict[str, object]", body) if isinstance(body, dict) else {}
    if isinstance(fields.get("error"), dict):
        fields = cast("dict[str, object]", fields["error"])
    for name in ("code", "type"):
        value = fields.get(name)
        if isinstance(value, str) and 0 < len(value) <= 40 and value.replace("_", "").isalpha() and value.isascii():
            return value
    return None


def is_context_overflow(content: str) -> bool:
    """Tell whether an error says that the prompt is longer than the model's context."""
    text = content.lower()
    return any(
        sign in text
        for sign in ("context_length", "context length", "maximum context", "max_model_len", "exceed_context_size")
    )


def _parse(content: str) -> JsonObject:
    try:
        body: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _malformed("is not JSON", is_retried=True) from error
    if not isinstance(body, dict):
        raise _malformed("is no JSON object", is_retried=True)
    return cast("JsonObject", body)


def _malformed(what: str, *, is_retried: bool = False) -> UnreadableError:
    return UnreadableError(FailureKind.MALFORMED_RESPONSE, f"the server's answer {what}", is_retried=is_retried)


def _model(body: JsonObject, settings: OpenAISettings) -> str | None:
    reported = body.get("model")
    if reported is None:
        return None
    if not isinstance(reported, str):
        raise _malformed("names its model by something else than a string")
    if not _is_expected(reported, settings):
        wanted = settings.reported_model or settings.model
        raise _malformed(
            f"comes from model {reported[:_MAX_MODEL_CHARS]!r}, not {wanted!r}; "
            "set reported_model if that is the same model"
        )
    return reported


def _is_expected(reported: str, settings: OpenAISettings) -> bool:
    if settings.reported_model is not None:
        return settings.reported_model in {"*", reported}
    wanted_path, _, wanted = settings.model.rpartition("/")
    found_path, _, found = reported.rpartition("/")
    if wanted_path and found_path and wanted_path != found_path:
        return False
    return found == wanted or (found.startswith(wanted) and _DATE.fullmatch(found, len(wanted)) is not None)


def _usage(value: object) -> Usage | None:
    """Read the count of tokens; None where there is none that makes sense."""
    row = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    details = row.get("prompt_tokens_details")
    cached = cast("dict[str, Any]", details).get("cached_tokens") if isinstance(details, dict) else None
    num_prompt, num_completion = row.get("prompt_tokens"), row.get("completion_tokens")
    if not (_is_count(num_prompt) and (_is_count(num_completion) or num_completion is None)):
        return None
    num_cached = cast("int", cached) if _is_count(cached) else None
    return Usage(
        num_prompt_tokens=cast("int", num_prompt),
        num_completion_tokens=cast("int", num_completion or 0),
        num_cached_tokens=None if num_cached is None else min(num_cached, cast("int", num_prompt)),
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _place(choice: dict[str, Any]) -> int:
    place = choice.get("index", 0)
    return place if isinstance(place, int) else 0


def _refuse_repeated_place(rows: list[dict[str, Any]]) -> None:
    """Refuse one sample sent twice, which would count as two; choices that name no place are samples in their order."""
    seen: set[int] = set()
    for place in (row["index"] for row in rows if isinstance(row.get("index"), int)):
        if place in seen:
            raise _malformed(f"has two choices with the index {place}")
        seen.add(place)


def _completion(
    rows: list[dict[str, Any]],
    question: ChatOrRaw,
    settings: OpenAISettings,
    *,
    usage: Usage | None,
    model: str | None,
) -> Completion:
    params = question.params
    if len(rows) != params.num_samples:
        raise _malformed(f"has {len(rows)} samples instead of {params.num_samples}")
    _refuse_repeated_place(rows)
    read = [_sample(row, is_chat=question.is_chat) for row in rows]
    reasons = tuple(_finish_reason(row) for row in rows)
    texts: list[str] = []
    reasoning: list[str] = []
    for text, thought in read:
        more, answer = split_think(text) if settings.think_blocks == "split" and not thought else ("", text)
        reasoning.append(thought or more)
        texts.append(_cut(answer, params.stop))
    logprobs = None
    if params.top_logprobs is not None:
        logprobs = tuple(
            # A refusal comes with tokens of its own, with those of the text, or without any.
            _logprobs(row, params, is_chat=question.is_chat, is_empty=not text or reason is FinishReason.REFUSAL)
            for row, (text, _), reason in zip(rows, read, reasons, strict=True)
        )
    return Completion(
        texts=tuple(texts),
        finish_reasons=reasons,
        logprobs=logprobs,
        reasoning=tuple(reasoning) if any(reasoning) else None,
        usage=usage,
        model=model,
    )


def _sample(row: dict[str, Any], *, is_chat: bool) -> tuple[str, str]:
    """Return text and reasoning of one choice."""
    if not is_chat:
        text = row.get("text")
        if not isinstance(text, str):
            raise _malformed("has a choice without 'text'")
        return text, ""
    message = row.get("message")
    if not isinstance(message, dict):
        raise _malformed("has a choice without 'message'")
    fields = cast("dict[str, object]", message)
    # Without content there may be a refusal, a call of a tool, or reasoning that took all tokens.
    text = _refusal(fields) or fields.get("content")
    if text is not None and not isinstance(text, str):
        raise _malformed("has a message whose 'content' is no string")
    thought = fields.get("reasoning_content") or fields.get("reasoning")
    return text or "", thought.strip() if isinstance(thought, str) else ""


def _refusal(message: object) -> str:
    """Return what a message says instead of an answer; empty where it does not refuse."""
    refusal = cast("dict[str, object]", message).get("refusal") if isinstance(message, dict) else None
    return refusal if isinstance(refusal, str) and refusal.strip() else ""


def _finish_reason(row: dict[str, Any]) -> FinishReason:
    """Return why a choice ended: servers that write a refusal apart from the content say "stop" there."""
    reason = row.get("finish_reason")
    known = _FINISH_REASONS.get(reason) if isinstance(reason, str) else None
    if known is None:
        raise _malformed(f"has the finish reason {str(reason)[:40]!r}, which is not known")
    return FinishReason.REFUSAL if _refusal(row.get("message")) else known


def _cut(text: str, stop: Sequence[str]) -> str:
    """Cut a text before its first stop string, for servers that leave it in."""
    places = [place for place in (text.find(string) for string in stop) if place >= 0]
    return text[: min(places)] if places else text


def _logprobs(
    row: dict[str, Any], params: SamplingParams, *, is_chat: bool, is_empty: bool
) -> tuple[TokenLogprob, ...]:
    value = row.get("logprobs")
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    try:
        tokens = _chat_tokens(fields) if is_chat else _raw_tokens(fields)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(
            FailureKind.MISSING_LOGPROBS, "the server's log-probabilities are not readable"
        ) from error
    if not tokens and not is_empty:
        raise UnreadableError(FailureKind.MISSING_LOGPROBS, "the server gave no log-probabilities")
    if params.top_logprobs and any(not token.top for token in tokens):
        raise UnreadableError(FailureKind.MISSING_LOGPROBS, "the server gave log-probabilities without alternatives")
    return tokens


def _chat_tokens(fields: dict[str, Any]) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            token=token["token"],
            logprob=as_logprob(token["logprob"]),
            top=_best((top["token"], top["logprob"]) for top in token.get("top_logprobs") or ()),
        )
        for token in fields.get("content") or fields.get("refusal") or ()
    )


def _raw_tokens(fields: dict[str, Any]) -> tuple[TokenLogprob, ...]:
    tokens = fields.get("tokens") or ()
    tops = fields.get("top_logprobs") or [None] * len(tokens)
    return tuple(
        TokenLogprob(token=token, logprob=as_logprob(logprob), top=_best((top or {}).items()))
        for token, logprob, top in zip(tokens, fields.get("token_logprobs") or (), tops, strict=True)
    )


def _best(pairs: Any) -> dict[str, float]:
    """Return alternatives by text; of two tokens with one text (halves of a character) the likelier counts."""
    best: dict[str, float] = {}
    for token, value in pairs:
        logprob = as_logprob(value)
        if token not in best or logprob > best[token]:
            best[token] = logprob
    return best


def as_logprob(value: object) -> float:
    """Return a server's log-probability; a rounding error above zero is zero.

    Raises:
        ValueError: it is no natural logarithm of a probability.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= _ROUNDING:
        raise ValueError("no log-probability")
    return min(float(value), 0.0)


def _read_echo(row: dict[str, Any], question: Echo, *, num_written: int) -> tuple[tuple[EchoedToken, ...], int]:
    value = row.get("logprobs")
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    try:
        tokens = tuple(
            EchoedToken(
                text=token,
                logprob=None if logprob is None else as_logprob(logprob),
                best=max(_best((top or {}).items()).values(), default=None),
            )
            for token, logprob, top in zip(
                fields["tokens"], fields["token_logprobs"], fields["top_logprobs"], strict=True
            )
        )
        return read_echo(tokens, context=question.context, continuation=question.continuation, num_written=num_written)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = "the server's echo has no log-probabilities that can be told apart by text"
        raise UnreadableError(FailureKind.MISSING_LOGPROBS, f"{message} ({type(error).__name__})") from error
