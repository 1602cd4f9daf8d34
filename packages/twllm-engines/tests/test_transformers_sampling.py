import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twllm_engines._transformers._sampling import choose, sampler
from twllm_engines._transformers._stops import find_stop, num_kept_tokens, tail_length
from twllm_types import SamplingParams

LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0, float("-inf")]])


def share(params: SamplingParams) -> list[float]:
    """Share of each token over evenly spaced uniform numbers: what the drawing integrates to."""
    chosen = [choose(LOGITS, [params], [(step + 0.5) / 2000])[0] for step in range(2000)]
    drawn = [token for token in chosen if token is not None]
    return (np.bincount(drawn, minlength=5) / 2000).tolist()


def test_choose_temperature_zero_takes_the_best() -> None:
    assert choose(LOGITS, [SamplingParams()], [0.99]) == [0]


def test_choose_plain_sampling_follows_the_probabilities() -> None:
    expected = LOGITS[0].softmax(-1).tolist()
    assert share(SamplingParams(temperature=1.0)) == pytest.approx(expected, abs=1e-3)


def test_choose_temperature_flattens() -> None:
    expected = (LOGITS[0] / 2).softmax(-1).tolist()
    assert share(SamplingParams(temperature=2.0)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("params", [SamplingParams(), SamplingParams(temperature=1.0, top_k=2, top_p=0.5)])
@pytest.mark.parametrize(
    "bad", [[float("nan"), 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, float("inf"), 0.0, 0.0], [float("-inf")] * 5]
)
def test_choose_row_without_probabilities_is_none_and_the_others_stand(
    bad: list[float], params: SamplingParams
) -> None:
    logits = torch.cat([LOGITS, torch.tensor([bad]), LOGITS])
    assert choose(logits, [params] * 3, [0.1, 0.1, 0.1]) == [0, None, 0]


def test_choose_top_k_leaves_the_rest_out() -> None:
    expected = [*LOGITS[0, :2].softmax(-1).tolist(), 0, 0, 0]
    assert share(SamplingParams(temperature=1.0, top_k=2)) == pytest.approx(expected, abs=1e-3)
    assert share(SamplingParams(temperature=1.0, top_k=99))[4] == 0


def test_choose_top_p_keeps_the_smallest_set_that_holds_it() -> None:
    # probabilities: 0.644, 0.237, 0.087, 0.032
    assert share(SamplingParams(temperature=1.0, top_p=0.6)) == [1, 0, 0, 0, 0]
    expected = [*LOGITS[0, :2].softmax(-1).tolist(), 0, 0, 0]
    assert share(SamplingParams(temperature=1.0, top_p=0.7)) == pytest.approx(expected, abs=1e-3)


@given(st.floats(0, 1, exclude_max=True), st.floats(0.1, 3), st.floats(0.01, 1))
def test_choose_never_draws_what_is_impossible(uniform: float, temperature: float, top_p: float) -> None:
    (token,) = choose(LOGITS, [SamplingParams(temperature=temperature, top_p=top_p)], [uniform])
    assert token is not None
    assert token < 4


def test_sampler_depends_on_seed_and_sample_and_not_on_the_request_where_a_seed_is_named() -> None:
    def first(params: SamplingParams, *, sample: int = 0, number: int = 0, engine: int = 0) -> float:
        return sampler(params, sample=sample, engine_seed=engine, request_number=number).random()

    named, unnamed = SamplingParams(seed=5), SamplingParams()
    assert first(named) == first(named, number=7, engine=3)
    assert len({first(named), first(named, sample=1), first(SamplingParams(seed=-5)), first(unnamed)}) == 4
    assert len({first(unnamed), first(unnamed, number=1), first(unnamed, engine=1)}) == 3


def test_find_stop_gives_the_earliest() -> None:
    assert find_stop("一二三二", ("三", "二")) == 1
    assert find_stop("一二三", ("四",)) is None
    assert find_stop("一二三", ()) is None


@given(st.text(min_size=1, max_size=8), st.text(max_size=30))
def test_tail_length_of_single_bytes_holds_a_stop_that_ends_the_text(stop: str, text: str) -> None:
    whole = (text + stop).encode("utf-8")
    assert stop in whole[-tail_length((stop,)) :].decode("utf-8", errors="replace")


@given(st.lists(st.text(max_size=3), max_size=8), st.integers(0, 12))
def test_num_kept_tokens_are_those_that_begin_before_the_end(pieces: list[str], end: int) -> None:
    kept = num_kept_tokens(range(len(pieces)), lambda ids: "".join(pieces[at] for at in ids), end)
    assert kept == len(pieces) or len("".join(pieces[:kept])) >= end
    assert kept == 0 or len("".join(pieces[: kept - 1])) < end
