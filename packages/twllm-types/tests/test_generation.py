from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from twllm_types import (
    Completion,
    ConfigError,
    EngineFailure,
    FailureKind,
    FinishReason,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    LikelihoodScorer,
    SamplingParams,
    TextGenerator,
    TokenLogprob,
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 0),
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_k", 0),
        ("num_samples", 0),
        ("top_logprobs", -1),
    ],
)
def test_sampling_params_out_of_range_name_the_field(field: str, value: float) -> None:
    arguments: dict[str, Any] = {field: value}
    with pytest.raises(ConfigError, match=field):
        SamplingParams(**arguments)


def test_sampling_params_at_the_edges_are_accepted() -> None:
    params = SamplingParams(max_tokens=1, temperature=0, top_p=1, top_k=1, num_samples=1, top_logprobs=0)
    assert params.top_k == 1
    assert SamplingParams(stop=("\n",)).stop == ("\n",)


def test_sampling_params_empty_stop_string_is_refused() -> None:
    with pytest.raises(ConfigError, match="empty string"):
        SamplingParams(stop=("\n", ""))


def test_completion_first_sample_is_its_text() -> None:
    completion = Completion(texts=("甲", "乙"), finish_reasons=(FinishReason.STOP, FinishReason.LENGTH))
    assert (completion.text, completion.finish_reason) == ("甲", FinishReason.STOP)


def test_completion_without_samples_is_refused() -> None:
    with pytest.raises(ConfigError, match="EngineFailure"):
        Completion(texts=(), finish_reasons=())


@pytest.mark.parametrize("part", ["finish_reasons", "logprobs", "reasoning"])
def test_completion_parts_of_unequal_length_are_refused(part: str) -> None:
    parts: dict[str, Any] = {
        "finish_reasons": (FinishReason.STOP,),
        "logprobs": ((TokenLogprob(token="甲", logprob=-0.5),),),
        "reasoning": ("想",),
    }
    assert Completion(texts=("甲",), **parts).text == "甲"
    with pytest.raises(ConfigError, match=part):
        Completion(texts=("甲",), **{**parts, part: parts[part] * 2})


def test_likelihood_request_without_continuation_is_refused() -> None:
    with pytest.raises(ConfigError, match="continuation is empty"):
        LikelihoodRequest(context="問", continuation="")


class _Echo:
    def stream(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        yield from enumerate(self.generate(requests))

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Completion | EngineFailure]:
        return [
            Completion(texts=(request.prompt,), finish_reasons=(FinishReason.STOP,))
            if isinstance(request.prompt, str)
            else EngineFailure(kind=FailureKind.BAD_REQUEST, message="no chat template")
            for request in requests
        ]

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        return [Likelihood(logprob=-1.0, num_tokens=len(request.continuation)) for request in requests]


def test_protocols_are_met_by_shape() -> None:
    assert isinstance(_Echo(), TextGenerator)
    assert isinstance(_Echo(), LikelihoodScorer)
    assert not isinstance(object(), TextGenerator)
