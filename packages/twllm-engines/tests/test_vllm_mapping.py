"""What is asked of vLLM and what is read out of its answers, on plain data of the shape that vllm 0.32 returns."""

from dataclasses import dataclass

import numpy as np
import pytest

from twllm_engines._transformers._splits import Split
from twllm_engines._vllm_mapping import (
    Ask,
    completion_of,
    generation_options,
    plan_asks,
    scores_of,
    scoring_options,
    sequence_of,
)
from twllm_types import Completion, EngineFailure, FailureKind, FinishReason, Likelihood, SamplingParams


@dataclass
class Entry:
    logprob: float
    rank: int = 1
    decoded_token: str | None = None


@dataclass
class Sample:
    index: int = 0
    text: str = ""
    token_ids: tuple[int, ...] = ()
    finish_reason: str | None = "length"
    stop_reason: str | int | None = None
    logprobs: list[dict[int, Entry]] | None = None


@dataclass
class Output:
    outputs: list[Sample]
    prompt_token_ids: tuple[int, ...] = (1, 2)
    prompt_logprobs: list[dict[int, Entry] | None] | None = None
    num_cached_tokens: int | None = None


def split(*tokens: int, start: int) -> Split:
    return Split(tokens=np.array(tokens, dtype=np.int32), start=start, merged=False)


def test_plan_asks_letters_of_one_context_are_one_prompt() -> None:
    splits = {0: split(1, 2, 7, start=2), 1: split(1, 2, 8, start=2), 4: split(1, 2, 8, 9, start=2)}
    long, letters = plan_asks(splits, max_targets=5)
    assert letters == Ask(prompt=(1, 2), targets=(7, 8), start=None, requests=(0, 1))
    assert long == Ask(prompt=(1, 2, 8, 9), targets=(), start=2, requests=(4,))


def test_plan_asks_more_letters_than_vllm_gives_are_several_prompts() -> None:
    splits = {index: split(1, index, start=1) for index in range(5)}
    assert [len(ask.targets) for ask in plan_asks(splits, max_targets=2)] == [2, 2, 1]


def test_scoring_options_ask_for_exactly_what_is_read() -> None:
    letters = Ask(prompt=(1, 2), targets=(8, 7, 8), start=None, requests=(0, 1, 2))
    assert scoring_options(letters)["logprob_token_ids"] == [7, 8]
    assert scoring_options(letters)["logprobs"] == 2
    long = Ask(prompt=(1, 2, 3), targets=(), start=1, requests=(0,))
    assert scoring_options(long)["prompt_logprobs"] == 0


def test_scores_of_letters_reads_each_target_and_the_greedy_one() -> None:
    ask = Ask(prompt=(1, 2), targets=(8, 7), start=None, requests=(3, 5))
    table = {7: Entry(-0.5), 8: Entry(-2.0)}
    found = scores_of(ask, Output(outputs=[Sample(token_ids=(7,), logprobs=[table])]))
    assert found == {
        3: Likelihood(logprob=-2.0, num_tokens=1, is_greedy=False),
        5: Likelihood(logprob=-0.5, num_tokens=1, is_greedy=True),
    }


def test_scores_of_a_long_continuation_sums_its_own_tokens() -> None:
    ask = Ask(prompt=(1, 2, 3, 4), targets=(), start=2, requests=(0,))
    entries = [None, {2: Entry(-9.0)}, {3: Entry(-1.0)}, {4: Entry(-0.5, rank=3), 9: Entry(-0.1)}]
    found = scores_of(ask, Output(outputs=[Sample()], prompt_logprobs=entries))
    assert found == {0: Likelihood(logprob=-1.5, num_tokens=2, is_greedy=False)}


def test_scores_of_nan_is_a_failure() -> None:
    ask = Ask(prompt=(1,), targets=(8,), start=None, requests=(0,))
    (found,) = scores_of(ask, Output(outputs=[Sample(token_ids=(8,), logprobs=[{8: Entry(float("nan"))}])])).values()
    assert isinstance(found, EngineFailure)
    assert found.kind is FailureKind.MALFORMED_RESPONSE


def test_generation_options_map_every_parameter() -> None:
    params = SamplingParams(
        max_tokens=5, temperature=0.7, top_p=0.9, top_k=3, num_samples=2, stop=("。",), seed=4, top_logprobs=1
    )
    assert generation_options(params) == {
        "max_tokens": 5,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 3,
        "n": 2,
        "stop": ["。"],
        "seed": 4,
        "logprobs": 1,
        "json_schema": None,
    }
    assert generation_options(SamplingParams())["top_k"] == 0


def test_completion_of_samples_are_in_order_with_usage() -> None:
    output = Output(
        outputs=[Sample(index=1, text="b", token_ids=(5, 6), finish_reason="stop"), Sample(text="a", token_ids=(7,))],
        num_cached_tokens=1,
    )
    found = completion_of(output, SamplingParams(num_samples=2), model="m")
    assert isinstance(found, Completion)
    assert found.texts == ("a", "b")
    assert found.finish_reasons == (FinishReason.LENGTH, FinishReason.STOP)
    assert found.logprobs is None
    assert found.usage is not None
    assert (found.usage.num_prompt_tokens, found.usage.num_completion_tokens, found.usage.num_cached_tokens) == (
        2,
        3,
        1,
    )


@pytest.mark.parametrize(
    ("text", "stop_reason", "expected"),
    [("玉山", None, ["玉", "山"]), ("玉", "山", ["玉"]), ("玉山", 99, ["玉", "山"])],
)
def test_completion_of_logprobs_stop_with_the_text(
    text: str, stop_reason: str | int | None, expected: list[str]
) -> None:
    tables = [
        {5: Entry(-0.1, 1, "玉"), 6: Entry(-3.0, 2, "高")},
        {7: Entry(-0.2, 1, "山")},
        {0: Entry(-0.3, 1, "<end>")},
    ]
    sample = Sample(text=text, token_ids=(5, 7, 0), finish_reason="stop", stop_reason=stop_reason, logprobs=tables)
    found = completion_of(Output(outputs=[sample]), SamplingParams(top_logprobs=1), model="m")
    assert isinstance(found, Completion)
    assert found.logprobs is not None
    assert [one.token for one in found.logprobs[0]] == expected
    assert dict(found.logprobs[0][0].top) == {"玉": -0.1}


def test_completion_of_a_request_broken_off_is_a_failure() -> None:
    found = completion_of(Output(outputs=[Sample(finish_reason="abort")]), SamplingParams(), model="m")
    assert isinstance(found, EngineFailure)
    assert found.kind is FailureKind.SERVER_ERROR


def test_sequence_of_gives_each_token_after_the_first() -> None:
    entries = [None, {2: Entry(-1.0, 4, "b")}, {3: Entry(1e-9, 1, None)}]
    found = sequence_of((1, 2, 3), Output(outputs=[Sample()], prompt_logprobs=entries))
    assert found.tokens == ("b", "")
    assert found.logprobs == (-1.0, 0.0)
    assert found.expected_logprobs is None
