from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from twllm_types import (
    ChatRenderer,
    Completion,
    ConfigError,
    Conversation,
    DataError,
    EngineFailure,
    FailureKind,
    FinishReason,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    LikelihoodScorer,
    Message,
    Role,
    SamplingParams,
    SequenceLogprobs,
    SequenceScorer,
    TextGenerator,
    TokenLogprob,
    Usage,
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
    with pytest.raises(DataError, match="EngineFailure"):
        Completion(texts=(), finish_reasons=())


@pytest.mark.parametrize("part", ["finish_reasons", "logprobs", "reasoning"])
def test_completion_parts_of_unequal_length_are_refused(part: str) -> None:
    parts: dict[str, Any] = {
        "finish_reasons": (FinishReason.STOP,),
        "logprobs": ((TokenLogprob(token="甲", logprob=-0.5),),),
        "reasoning": ("想",),
    }
    assert Completion(texts=("甲",), **parts).text == "甲"
    with pytest.raises(DataError, match=part):
        Completion(texts=("甲",), **{**parts, part: parts[part] * 2})


def test_likelihood_request_without_continuation_is_refused() -> None:
    with pytest.raises(ConfigError, match="continuation is empty"):
        LikelihoodRequest(context="問", continuation="")


@pytest.mark.parametrize("logprob", [float("nan"), 5.0, 1e-9, float("inf")])
def test_logprob_that_is_none_is_refused_wherever_it_stands(logprob: float) -> None:
    with pytest.raises(DataError, match=f"logprob of token '甲' is {logprob}"):
        TokenLogprob(token="甲", logprob=logprob)
    with pytest.raises(DataError, match="logprob of the alternative '乙'"):
        TokenLogprob(token="甲", logprob=-1.0, top={"甲": -1.0, "乙": logprob})
    with pytest.raises(DataError, match=r"logprob is .*EngineFailure"):
        Likelihood(logprob=logprob, num_tokens=1)


@pytest.mark.parametrize("logprob", [0.0, -0.5, float("-inf")])
def test_logprob_of_a_sure_or_an_impossible_text_is_accepted(logprob: float) -> None:
    assert TokenLogprob(token="甲", logprob=logprob, top={"甲": logprob}).top == {"甲": logprob}
    assert Likelihood(logprob=logprob, num_tokens=1).logprob == logprob


@pytest.mark.parametrize("num_tokens", [0, -3])
def test_likelihood_of_no_tokens_is_refused(num_tokens: int) -> None:
    with pytest.raises(DataError, match=f"num_tokens is {num_tokens}"):
        Likelihood(logprob=-1.0, num_tokens=num_tokens)


def test_usage_at_the_edges_is_accepted() -> None:
    assert Usage(num_prompt_tokens=0, num_completion_tokens=0).num_cached_tokens is None
    assert Usage(num_prompt_tokens=7, num_completion_tokens=0, num_cached_tokens=7).num_prompt_tokens == 7


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        ((-1, 0, None), "num_prompt_tokens is -1"),
        ((0, -1, None), "num_completion_tokens is -1"),
        ((0, 0, -1), "num_cached_tokens is -1"),
        ((3, 0, 4), "num_cached_tokens is 4 of 3 prompt tokens"),
    ],
)
def test_usage_of_impossible_counts_is_refused(counts: tuple[int, int, int | None], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        Usage(num_prompt_tokens=counts[0], num_completion_tokens=counts[1], num_cached_tokens=counts[2])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"num_attempts": 0}, "num_attempts is 0; give a count >= 1"),
        ({"message": " "}, "message of a failure is empty"),
        ({"message": "one\ntwo"}, "several lines"),
    ],
)
def test_engine_failure_that_breaks_its_contract_is_refused(changes: dict[str, Any], problem: str) -> None:
    parts: dict[str, Any] = {"kind": FailureKind.TIMEOUT, "message": "no answer in 60 s", **changes}
    with pytest.raises(DataError, match=problem):
        EngineFailure(**parts)


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


def test_sequence_logprobs_without_the_distribution_are_accepted() -> None:
    scored = SequenceLogprobs(tokens=("甲", "乙"), logprobs=(-1.5, 0.0))
    assert scored.expected_logprobs is None
    assert SequenceLogprobs(tokens=(), logprobs=(), expected_logprobs=(), logprob_stds=()).tokens == ()


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"logprobs": ()}, "logprobs has 0 entries for 1 tokens"),
        ({"logprobs": (0.1,)}, "logprob of token '甲' is 0.1"),
        ({"logprobs": (float("nan"),)}, "logprob of token '甲' is nan"),
        ({"expected_logprobs": (-1.0,)}, "give both or neither"),
        ({"logprob_stds": (1.0,)}, "give both or neither"),
        ({"expected_logprobs": (), "logprob_stds": (1.0,)}, "expected_logprobs has 0 entries"),
        ({"expected_logprobs": (-1.0,), "logprob_stds": (1.0, 2.0)}, "logprob_stds has 2 entries"),
        ({"expected_logprobs": (0.5,), "logprob_stds": (1.0,)}, "expected log-probability is 0.5"),
        ({"expected_logprobs": (float("-inf"),), "logprob_stds": (1.0,)}, "expected log-probability is -inf"),
        ({"expected_logprobs": (-1.0,), "logprob_stds": (-1.0,)}, "standard deviation of log-probabilities is -1.0"),
        ({"expected_logprobs": (-1.0,), "logprob_stds": (float("inf"),)}, "is inf"),
    ],
)
def test_sequence_logprobs_that_contradict_are_refused(parts: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        SequenceLogprobs(**({"tokens": ("甲",), "logprobs": (-1.0,)} | parts))


class _Local:
    def sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
        return [SequenceLogprobs(tokens=tuple(text), logprobs=(-1.0,) * len(text)) for text in texts]

    def render_chat(self, conversation: Conversation) -> str:
        return "".join(f"[{message.role}]{message.content}" for message in conversation.messages) + "[assistant]"


def test_sequence_scorer_and_chat_renderer_are_recognised_by_their_methods() -> None:
    local: object = _Local()
    assert isinstance(local, SequenceScorer)
    assert isinstance(local, ChatRenderer)
    assert not isinstance(local, TextGenerator)
    conversation = Conversation(messages=(Message(role=Role.USER, content="你好"),))
    assert local.render_chat(conversation) == "[user]你好[assistant]"
    assert local.sequence_logprobs(["ab"]) == [SequenceLogprobs(tokens=("a", "b"), logprobs=(-1.0, -1.0))]


def test_finish_reason_is_a_closed_set_that_tells_a_refusal_from_an_answer() -> None:
    assert {reason.value for reason in FinishReason} == {"stop", "length", "content_filter", "tool_call", "refusal"}
    assert FinishReason("refusal") is FinishReason.REFUSAL
