"""What is asked of vLLM and what comes back, as plain functions: no model, and vllm is not imported.

An `output` is vLLM's `RequestOutput`, of which only the attributes read here matter.
"""

# vllm's outputs are objects of a library that is absent where there is no GPU
# pyright: standard

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

from twllm_engines._transformers._splits import Split
from twllm_types import (
    Completion,
    EngineFailure,
    FailureKind,
    FinishReason,
    Likelihood,
    SamplingParams,
    SequenceLogprobs,
    TokenLogprob,
    Usage,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One prompt that gives the scores of some likelihood requests.

    Attributes:
        prompt: ids that the model reads.
        targets: for requests of one token each: their tokens, scored after the prompt.
        start: for a single longer request: the first of the prompt's tokens that is scored; None with `targets`.
        requests: indices of the requests, in the order of `targets`, or one.
    """

    prompt: tuple[int, ...]
    targets: tuple[int, ...]
    start: int | None
    requests: tuple[int, ...]


def plan_asks(splits: Mapping[int, Split], *, max_targets: int) -> list[Ask]:
    """Choose the prompts: one for all one-token continuations of a context, else one for each request.

    Args:
        splits: of the requests, by index.
        max_targets: most tokens that one prompt may be asked for, >= 1.
    """
    asks: list[Ask] = []
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, split in splits.items():
        tokens = tuple(split.tokens.tolist())
        if split.start == len(tokens) - 1:
            groups.setdefault(tokens[:-1], []).append(index)
        else:
            asks.append(Ask(prompt=tokens, targets=(), start=split.start, requests=(index,)))
    for prompt, indices in groups.items():
        for at in range(0, len(indices), max_targets):
            some = tuple(indices[at : at + max_targets])
            targets = tuple(int(splits[index].tokens[-1]) for index in some)
            asks.append(Ask(prompt=prompt, targets=targets, start=None, requests=some))
    return asks


def scoring_options(ask: Ask) -> dict[str, Any]:
    """Return vLLM's sampling parameters for an ask: one greedy token, with the log-probabilities wanted."""
    options: dict[str, Any] = {"max_tokens": 1, "temperature": 0.0, "detokenize": False}
    if ask.start is not None:
        return options | {"prompt_logprobs": 0}
    wanted = sorted(set(ask.targets))
    return options | {"logprobs": len(wanted), "logprob_token_ids": wanted}


def scores_of(ask: Ask, output: Any) -> dict[int, Likelihood | EngineFailure]:
    """Read the scores out of what vLLM returns for an ask.

    Args:
        ask: what was asked.
        output: vLLM's `RequestOutput`.
    """
    if ask.start is not None:
        return {ask.requests[0]: _sum(_prompt_entries(ask.prompt, output)[ask.start - 1 :])}
    (written,) = output.outputs
    table, best = written.logprobs[0], written.token_ids[0]
    return {
        index: _sum([(table[target].logprob, target == best)])
        for index, target in zip(ask.requests, ask.targets, strict=True)
    }


def generation_options(params: SamplingParams) -> dict[str, Any]:
    """Return vLLM's sampling parameters for a request; `json_schema` is no name of vLLM's, and None for free text."""
    return {
        "n": params.num_samples,
        "max_tokens": params.max_tokens,
        "temperature": params.temperature,
        "top_p": params.top_p,
        # vLLM's 0 is "all"
        "top_k": params.top_k or 0,
        "stop": list(params.stop),
        "seed": params.seed,
        "logprobs": params.top_logprobs,
        "json_schema": params.json_schema,
    }


def completion_of(output: Any, params: SamplingParams, *, model: str) -> Completion | EngineFailure:
    """Read a completion out of vLLM's `RequestOutput`."""
    if any(one.finish_reason not in {"stop", "length"} for one in output.outputs):
        return EngineFailure(kind=FailureKind.SERVER_ERROR, message="vLLM broke the request off; ask again")
    samples = sorted(output.outputs, key=lambda one: one.index)
    asked = params.top_logprobs
    return Completion(
        texts=tuple(one.text for one in samples),
        finish_reasons=tuple(FinishReason(one.finish_reason) for one in samples),
        logprobs=None if asked is None else tuple(_token_logprobs(one, asked) for one in samples),
        usage=Usage(
            num_prompt_tokens=len(output.prompt_token_ids),
            num_completion_tokens=sum(len(one.token_ids) for one in samples),
            num_cached_tokens=output.num_cached_tokens,
        ),
        model=model,
    )


def sequence_of(tokens: Sequence[int], output: Any) -> SequenceLogprobs:
    """Read the log-probabilities of a text out of vLLM's `RequestOutput`; vLLM shows no whole distribution."""
    entries = output.prompt_logprobs[1:]
    return SequenceLogprobs(
        tokens=tuple(entry[token].decoded_token or "" for token, entry in zip(tokens[1:], entries, strict=True)),
        logprobs=tuple(min(value, 0.0) for value, _ in _prompt_entries(tokens, output)),
    )


def _prompt_entries(tokens: Sequence[int], output: Any) -> list[tuple[float, bool]]:
    """Log-probability of each token after the first, and whether it was the most likely one."""
    found = [entry[token] for token, entry in zip(tokens[1:], output.prompt_logprobs[1:], strict=True)]
    return [(one.logprob, one.rank == 1) for one in found]


def _sum(entries: Sequence[tuple[float, bool]]) -> Likelihood | EngineFailure:
    total = sum(min(value, 0.0) for value, _ in entries)
    if isnan(total):
        return EngineFailure(kind=FailureKind.MALFORMED_RESPONSE, message="vLLM gave a log-probability that is NaN")
    return Likelihood(logprob=total, num_tokens=len(entries), is_greedy=all(best for _, best in entries))


def _token_logprobs(sample: Any, num_top: int) -> tuple[TokenLogprob, ...]:
    found: list[TokenLogprob] = []
    num_chars = 0
    # a text that ends by a token and not by a stop string holds that token as its last
    ids = list(sample.token_ids)
    ended_by_token = sample.finish_reason == "stop" and not isinstance(sample.stop_reason, str)
    for token, table in zip(ids[: len(ids) - ended_by_token], sample.logprobs, strict=False):
        # tokens after the beginning of a stop string are no part of the text
        if sample.finish_reason == "stop" and num_chars >= len(sample.text):
            break
        own = table[token]
        top: dict[str, float] = {}
        for other in sorted(table.values(), key=lambda one: one.rank):
            if other.rank <= num_top:
                top.setdefault(other.decoded_token or "", min(other.logprob, 0.0))
        found.append(TokenLogprob(token=own.decoded_token or "", logprob=min(own.logprob, 0.0), top=top))
        num_chars += len(own.decoded_token or "")
    return tuple(found)
