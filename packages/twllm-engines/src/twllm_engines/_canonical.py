"""Requests and answers as JSON, and the key of a request's content.

The key is the SHA-256 of the request's canonical JSON: sorted keys, no spaces, ASCII. It covers what is asked, not the
model: prompt, sampling and kind. The id of a conversation is no content.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, TypeAlias, cast

from twllm_types import (
    Completion,
    Conversation,
    DataError,
    EngineFailure,
    FailureKind,
    FinishReason,
    GenerationRequest,
    JsonObject,
    JsonValue,
    Likelihood,
    LikelihoodRequest,
    SequenceLogprobs,
    TokenLogprob,
    Usage,
)

Answer: TypeAlias = Completion | EngineFailure | Likelihood | SequenceLogprobs | str

# JSON has no infinity; a log-probability of minus infinity is written as this word.
_MINUS_INFINITY = "-inf"


def generation_to_json(request: GenerationRequest) -> JsonObject:
    """Return the content of a request for text."""
    params = request.params
    schema = params.json_schema
    prompt: JsonValue = request.prompt if isinstance(request.prompt, str) else _messages(request.prompt)
    return {
        "kind": "generation",
        "prompt": prompt,
        "params": {
            "max_tokens": params.max_tokens,
            # Equal requests have equal keys: 0, 0.0 and -0.0 are one temperature.
            "temperature": float(params.temperature) + 0.0,
            "top_p": float(params.top_p),
            "top_k": params.top_k,
            "num_samples": params.num_samples,
            "stop": list(params.stop),
            "seed": params.seed,
            "top_logprobs": params.top_logprobs,
            "json_schema": None if schema is None else dict(schema),
        },
    }


def likelihood_to_json(request: LikelihoodRequest) -> JsonObject:
    """Return the content of a request for a likelihood."""
    return {"kind": "likelihood", "context": request.context, "continuation": request.continuation}


def sequence_to_json(text: str) -> JsonObject:
    """Return the content of a request for the log-probabilities of a text."""
    return {"kind": "sequence_logprobs", "text": text}


def chat_to_json(conversation: Conversation) -> JsonObject:
    """Return the content of a request for the rendered text of a conversation."""
    return {"kind": "render_chat", "prompt": _messages(conversation)}


def canonical_json(content: Mapping[str, JsonValue]) -> str:
    """Return the one way in which equal contents are written.

    Raises:
        DataError: the content holds something that is not JSON, as a schema can.
    """
    try:
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"a request cannot be written as JSON ({error}); give JSON values only") from error


def request_key(content: Mapping[str, JsonValue]) -> str:
    """Return the key of a request: 64 hexadecimal digits, equal for equal contents."""
    return hashlib.sha256(canonical_json(content).encode("ascii")).hexdigest()


def answer_to_json(answer: Answer) -> JsonObject:
    """Return an answer as JSON; the inverse of `answer_from_json`."""
    match answer:
        case Completion():
            return _completion_to_json(answer)
        case EngineFailure():
            return {
                "type": "failure",
                "kind": answer.kind.value,
                "message": answer.message,
                "num_attempts": answer.num_attempts,
            }
        case Likelihood():
            return {
                "type": "likelihood",
                "logprob": _logprob_to_json(answer.logprob),
                "num_tokens": answer.num_tokens,
                "is_greedy": answer.is_greedy,
            }
        case SequenceLogprobs():
            return {
                "type": "sequence_logprobs",
                "tokens": list(answer.tokens),
                "logprobs": [_logprob_to_json(value) for value in answer.logprobs],
                "expected_logprobs": _optional_list(answer.expected_logprobs),
                "logprob_stds": _optional_list(answer.logprob_stds),
            }
        case str():
            return {"type": "text", "text": answer}


def answer_from_json(value: object, *, where: str) -> Answer:
    """Read an answer that `answer_to_json` wrote.

    Args:
        value: the JSON.
        where: what a message begins with, file and line.

    Raises:
        DataError: it is no such answer.
    """
    # Any: every access is checked by the handler below, which turns each way to fail into one error.
    row = cast("Any", value)
    try:
        return _READERS[row["type"]](row)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{where}: the response is not one that was recorded ({type(error).__name__}: {error}); record it again"
        ) from error


def _messages(conversation: Conversation) -> JsonObject:
    return {"messages": [{"role": message.role.value, "content": message.content} for message in conversation.messages]}


def _logprob_to_json(value: float) -> JsonValue:
    return _MINUS_INFINITY if value == -inf else value


def _logprob_from_json(value: Any) -> float:
    return -inf if value == _MINUS_INFINITY else float(value)


def _optional_list(values: tuple[float, ...] | None) -> JsonValue:
    return None if values is None else list(values)


def _completion_to_json(answer: Completion) -> JsonObject:
    usage = answer.usage
    return {
        "type": "completion",
        "texts": list(answer.texts),
        "finish_reasons": [reason.value for reason in answer.finish_reasons],
        "logprobs": None
        if answer.logprobs is None
        else [[_token_to_json(token) for token in sample] for sample in answer.logprobs],
        "reasoning": None if answer.reasoning is None else list(answer.reasoning),
        "usage": None
        if usage is None
        else {
            "num_prompt_tokens": usage.num_prompt_tokens,
            "num_completion_tokens": usage.num_completion_tokens,
            "num_cached_tokens": usage.num_cached_tokens,
        },
        "model": answer.model,
    }


def _token_to_json(token: TokenLogprob) -> JsonObject:
    return {
        "token": token.token,
        "logprob": _logprob_to_json(token.logprob),
        "top": {text: _logprob_to_json(value) for text, value in token.top.items()},
    }


def _token_from_json(row: Any) -> TokenLogprob:
    top = {str(text): _logprob_from_json(value) for text, value in row["top"].items()}
    return TokenLogprob(token=str(row["token"]), logprob=_logprob_from_json(row["logprob"]), top=top)


def _completion_from_json(row: Any) -> Completion:
    usage, logprobs, reasoning = row["usage"], row["logprobs"], row["reasoning"]
    return Completion(
        texts=_strings(row["texts"]),
        finish_reasons=tuple(FinishReason(reason) for reason in row["finish_reasons"]),
        logprobs=None
        if logprobs is None
        else tuple(tuple(_token_from_json(token) for token in sample) for sample in logprobs),
        reasoning=None if reasoning is None else _strings(reasoning),
        usage=None if usage is None else Usage(**usage),
        model=row["model"],
    )


def _sequence_from_json(row: Any) -> SequenceLogprobs:
    means, stds = row["expected_logprobs"], row["logprob_stds"]
    return SequenceLogprobs(
        tokens=_strings(row["tokens"]),
        logprobs=tuple(_logprob_from_json(value) for value in row["logprobs"]),
        expected_logprobs=None if means is None else tuple(float(value) for value in means),
        logprob_stds=None if stds is None else tuple(float(value) for value in stds),
    )


def _strings(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in cast("list[object]", values)):
        raise TypeError("a list of strings is missing")
    return tuple(cast("list[str]", values))


def _text_from_json(row: Any) -> str:
    return _strings([row["text"]])[0]


def _failure_from_json(row: Any) -> EngineFailure:
    return EngineFailure(kind=FailureKind(row["kind"]), message=row["message"], num_attempts=row["num_attempts"])


def _likelihood_from_json(row: Any) -> Likelihood:
    return Likelihood(
        logprob=_logprob_from_json(row["logprob"]), num_tokens=row["num_tokens"], is_greedy=row["is_greedy"]
    )


_READERS: dict[str, Callable[[Any], Answer]] = {
    "completion": _completion_from_json,
    "failure": _failure_from_json,
    "likelihood": _likelihood_from_json,
    "sequence_logprobs": _sequence_from_json,
    "text": _text_from_json,
}
