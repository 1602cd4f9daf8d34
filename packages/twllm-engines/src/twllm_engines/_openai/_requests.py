"""What is sent: bodies of requests, built from values."""

import json
from dataclasses import dataclass
from typing import TypeAlias, cast

from twllm_engines._canonical import request_key
from twllm_engines._openai._pacing import estimate_tokens
from twllm_engines._settings_openai import OpenAISettings, Redact, SchemaStyle
from twllm_types import ConfigError, Conversation, DataError, GenerationRequest, JsonObject, JsonValue, SamplingParams

CHAT = "/chat/completions"
RAW = "/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOrRaw:
    """Asks for text.

    Attributes:
        params: how to decode.
        is_chat: of a conversation, else of raw text.
    """

    params: SamplingParams
    is_chat: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """Asks for the log-probabilities of a text that is sent.

    Attributes:
        context: text before what is scored.
        continuation: what is scored.
    """

    context: str
    continuation: str


Question: TypeAlias = ChatOrRaw | Echo


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request as it is sent.

    Attributes:
        index: of the caller's request.
        endpoint: path below the base address.
        content: the body, JSON.
        question: what the answer is read for.
        key: of the cache; None without one.
        num_tokens_estimate: prompt and longest answer, about.
    """

    index: int
    endpoint: str
    content: bytes
    question: Question
    key: str | None
    num_tokens_estimate: int


def generation_body(request: GenerationRequest, settings: OpenAISettings, redact: Redact | None) -> JsonObject:
    """Return the body of a request for text, without what `extra_body` adds."""
    params = request.params
    body: JsonObject = {"model": settings.model}
    if isinstance(request.prompt, Conversation):
        body["messages"] = [
            {"role": message.role.value, "content": apply_redact(redact, message.content)}
            for message in request.prompt.messages
        ]
        body[settings.max_tokens_field] = params.max_tokens
        if params.top_logprobs is not None:
            body["logprobs"] = True
            body["top_logprobs"] = params.top_logprobs
    else:
        body["prompt"] = apply_redact(redact, request.prompt)
        body["max_tokens"] = params.max_tokens
        if params.top_logprobs is not None:
            body["logprobs"] = params.top_logprobs
    body["temperature"] = float(params.temperature)
    optional: tuple[tuple[str, JsonValue, bool], ...] = (
        ("top_p", float(params.top_p), params.top_p < 1),
        ("top_k", params.top_k, params.top_k is not None),
        ("n", params.num_samples, params.num_samples > 1),
        ("stop", list(params.stop), bool(params.stop)),
        ("seed", params.seed, params.seed is not None),
    )
    body |= {name: value for name, value, is_sent in optional if is_sent}
    return body | _schema_fields(params, settings.schema_style)


def _schema_fields(params: SamplingParams, style: SchemaStyle) -> JsonObject:
    if params.json_schema is None:
        return {}
    schema: JsonObject = dict(params.json_schema)
    if style is SchemaStyle.STRUCTURED_OUTPUTS:
        return {"structured_outputs": {"json": schema}}
    if style is SchemaStyle.GUIDED_JSON:
        return {"guided_json": schema}
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": schema},
        }
    }


def generation_job(
    index: int, request: GenerationRequest, settings: OpenAISettings, redact: Redact | None, *, repeat: int
) -> Job:
    """Return a request for text as it is sent.

    Args:
        index: of the request.
        request: what is asked.
        settings: of the engine.
        redact: applied to every message or prompt.
        repeat: how many equal requests stand before it whose samples are independent; part of the cache's key.
    """
    is_chat = isinstance(request.prompt, Conversation)
    params = request.params
    return _job(
        index,
        CHAT if is_chat else RAW,
        generation_body(request, settings, redact),
        ChatOrRaw(params=params, is_chat=is_chat),
        settings,
        num_new_tokens=params.max_tokens * params.num_samples,
        repeat=repeat,
    )


def echo_job(index: int, context: str, continuation: str, settings: OpenAISettings, redact: Redact | None) -> Job:
    """Return a request for the log-probabilities of a text as it is sent; both parts are redacted by themselves."""
    question = Echo(context=apply_redact(redact, context), continuation=apply_redact(redact, continuation))
    body: JsonObject = {
        "model": settings.model,
        "prompt": question.context + question.continuation,
        "max_tokens": settings.echo_max_tokens,
        "echo": True,
        "logprobs": 1,
        "temperature": 0.0,
    }
    return _job(index, RAW, body, question, settings, num_new_tokens=settings.echo_max_tokens, repeat=0)


def apply_redact(redact: Redact | None, text: str) -> str:
    """Return what may be sent of a text.

    Raises:
        ConfigError: the hook gives something else than a string.
    """
    if redact is None:
        return text
    # The hook is the user's; its type is a promise only.
    redacted = cast("object", redact(text))
    if not isinstance(redacted, str):
        raise ConfigError(f"the redact hook returned {type(redacted).__name__}; return the text that may be sent")
    return redacted


def _job(
    index: int,
    endpoint: str,
    body: JsonObject,
    question: Question,
    settings: OpenAISettings,
    *,
    num_new_tokens: int,
    repeat: int,
) -> Job:
    merged = body | dict(settings.extra_body)
    try:
        text = json.dumps(merged, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"request {index} cannot be written as JSON ({error}); give JSON values only") from error
    return Job(
        index=index,
        endpoint=endpoint,
        # UTF-8 fails on lone surrogates only, which a redact hook or `extra_body` may bring; Python's escape of one is
        # JSON's escape of it.
        content=text.encode("utf-8", "backslashreplace"),
        question=question,
        key=None if settings.cache is None else _key(endpoint, merged, settings, repeat),
        num_tokens_estimate=estimate_tokens(text) + num_new_tokens,
    )


def _key(endpoint: str, body: JsonObject, settings: OpenAISettings, repeat: int) -> str:
    identity: JsonObject = {"base_url": settings.base_url, "endpoint": endpoint, "body": body}
    if repeat:
        identity["repeat"] = repeat
    return request_key(identity)
