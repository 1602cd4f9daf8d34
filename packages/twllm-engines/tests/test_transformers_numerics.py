"""Log-probabilities against a plain forward pass of each request alone.

Tolerance: 1e-4 in float32 on a CPU, summed over a continuation; the logits of these models span tens of nats.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import ARCHITECTURES, CONTEXT_TOKENS, make_model
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    PreTrainedModel,
)

from twllm_engines._transformers._cache import cannot_share
from twllm_engines._transformers._forward import Predictor
from twllm_engines._transformers._plan import Limits
from twllm_engines._transformers._score import score_splits
from twllm_engines._transformers._sequences import SequenceStats, score_sequences
from twllm_engines._transformers._splits import Ids, Split
from twllm_types import EngineFailure, FailureKind, Likelihood

TOLERANCE = 1e-4
LIMITS = Limits(max_read=200, max_held=800, max_needed=64, enough=40)


@cache
def predictor(name: str) -> Predictor:
    return Predictor(make_model(name))


@torch.inference_mode()
def plain_logprobs(model: PreTrainedModel, tokens: Ids) -> torch.Tensor:
    logits = model(torch.from_numpy(tokens.astype(np.int64))[None], use_cache=False).logits[0, :-1].double()
    return logits.log_softmax(-1)


def own_logprobs(model: PreTrainedModel, tokens: Ids) -> torch.Tensor:
    targets = torch.from_numpy(tokens[1:].astype(np.int64))
    return plain_logprobs(model, tokens).gather(1, targets[:, None])[:, 0]


def assert_as_alone(found: Likelihood | EngineFailure, model: PreTrainedModel, split: Split) -> None:
    assert isinstance(found, Likelihood)
    expected = own_logprobs(model, split.tokens)[split.start - 1 :]
    assert found.logprob == pytest.approx(float(expected.sum()), abs=TOLERANCE)
    assert found.num_tokens == len(expected)
    best = plain_logprobs(model, split.tokens)[split.start - 1 :].argmax(-1).tolist()
    assert found.is_greedy == (best == split.tokens[split.start :].tolist())


def exam(seed: int, *, block: int, num_questions: int) -> list[Split]:
    """Two subjects with blocks of examples of their own; options of one and of several tokens."""
    numbers = np.random.default_rng(seed)

    def some(length: int) -> Ids:
        return numbers.integers(2, 330, length).astype(np.int32)

    splits: list[Split] = []
    for _ in range(2):
        head = some(block)
        for _ in range(num_questions):
            context = np.concatenate([head, some(int(numbers.integers(3, 30)))])
            for length in (1, 1, 1, int(numbers.integers(2, 6))):
                whole = np.concatenate([context, some(length)])
                splits.append(Split(tokens=whole, start=len(context), merged=False))
    return splits


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_score_exam_with_shared_blocks_equals_each_request_alone(name: str) -> None:
    assert predictor(name).shares, predictor(name).why_not
    splits = exam(3, block=60, num_questions=5)
    for found, split in zip(score_splits(predictor(name), splits, LIMITS), splits, strict=True):
        assert_as_alone(found, predictor(name).model, split)


@pytest.mark.parametrize("name", ARCHITECTURES)
@settings(max_examples=8)
@given(st.data())
def test_score_any_requests_equal_each_alone(name: str, data: st.DataObject) -> None:
    # Few different tokens and long heads: prefixes of every kind, longer and shorter than the windows.
    heads = data.draw(st.lists(st.lists(st.integers(2, 4), max_size=50), min_size=1, max_size=3))
    tails = data.draw(st.lists(st.lists(st.integers(2, 4), min_size=2, max_size=20), min_size=1, max_size=8))
    splits: list[Split] = []
    for at, tail in enumerate(tails):
        tokens = np.array([*heads[at % len(heads)], *tail], dtype=np.int32)
        start = data.draw(st.integers(1, len(tokens) - 1))
        splits.append(Split(tokens=tokens, start=start, merged=False))
    for found, split in zip(score_splits(predictor(name), splits, LIMITS), splits, strict=True):
        assert_as_alone(found, predictor(name).model, split)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_score_sequences_together_and_in_pieces_equal_a_plain_pass(name: str) -> None:
    numbers = np.random.default_rng(5)
    sequences = [numbers.integers(2, 330, length).astype(np.int32) for length in (2, 9, 40, 120, CONTEXT_TOKENS)]
    limits = Limits(max_read=100, max_held=400, max_needed=32, enough=20)
    model = predictor(name).model
    results = dict(score_sequences(predictor(name), sequences, limits))
    assert sorted(results) == list(range(len(sequences)))
    for index, tokens in enumerate(sequences):
        stats = results[index]
        assert isinstance(stats, SequenceStats)
        logprobs = plain_logprobs(model, tokens)
        p = logprobs.exp()
        means = (p * logprobs).sum(-1)
        stds = (p * (logprobs - means[:, None]) ** 2).sum(-1).sqrt()
        np.testing.assert_allclose(stats.logprobs, own_logprobs(model, tokens), atol=TOLERANCE)
        np.testing.assert_allclose(stats.means, means, atol=TOLERANCE)
        np.testing.assert_allclose(stats.stds, stds, atol=TOLERANCE)


def test_predictor_reads_a_shared_block_once() -> None:
    subject = Predictor(make_model("llama"))
    num_read = 0

    def count(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal num_read
        num_read += inputs[0].numel()

    subject.model.get_input_embeddings().register_forward_pre_hook(count)
    splits = exam(3, block=100, num_questions=10)
    score_splits(subject, splits, LIMITS)
    # twenty questions of 130 tokens each and eighty options would be 10,400 tokens
    assert num_read < 2 * 100 + 80 * 40


def test_predictor_of_a_recurrent_model_shares_nothing_and_is_right() -> None:
    torch.manual_seed(1)
    model = MambaForCausalLM(MambaConfig(vocab_size=330, hidden_size=16, num_hidden_layers=2, state_size=4)).eval()
    subject = Predictor(model)
    assert not subject.shares
    assert not subject.pads
    assert "LinearAttention" in str(subject.why_not)
    splits = exam(4, block=20, num_questions=2)
    for found, split in zip(score_splits(subject, splits, LIMITS), splits, strict=True):
        assert_as_alone(found, model, split)


def test_predictor_switched_off_says_so_and_is_right() -> None:
    subject = Predictor(make_model("llama"), share=False)
    assert (subject.shares, subject.why_not) == (False, "switched off")
    splits = exam(4, block=20, num_questions=2)
    for found, split in zip(score_splits(subject, splits, LIMITS), splits, strict=True):
        assert_as_alone(found, subject.model, split)


def test_predictor_of_a_model_that_misreads_a_prefix_shares_nothing_and_is_right() -> None:
    model = make_model("llama")

    def shift(
        _module: torch.nn.Module, args: tuple[object, ...], inputs: dict[str, torch.Tensor]
    ) -> tuple[Any, dict[str, Any]]:
        # positions after a prefix are one too many, as in a model that counts them by itself and wrongly
        if "position_ids" in inputs:
            inputs["position_ids"] = inputs["position_ids"] + (inputs["position_ids"] >= 20)
        return args, inputs

    model.register_forward_pre_hook(shift, with_kwargs=True)
    subject = Predictor(model)
    assert not subject.shares
    assert "differ" in str(subject.why_not)
    splits = exam(4, block=20, num_questions=2)
    for found, split in zip(score_splits(subject, splits, LIMITS), splits, strict=True):
        assert_as_alone(found, model, split)


def test_predictor_of_a_model_without_a_layer_to_select_at_is_right() -> None:
    class Headless(LlamaForCausalLM):
        def get_output_embeddings(self) -> None:  # type: ignore[override]  # what a model with a head of its own does
            return None

    torch.manual_seed(2)
    model = Headless(make_model("llama").config).eval()
    subject = Predictor(model)
    assert subject.shares
    assert not subject.selects
    splits = exam(4, block=20, num_questions=2)
    for found, split in zip(score_splits(subject, splits, LIMITS), splits, strict=True):
        assert_as_alone(found, model, split)


def test_predictor_of_a_very_short_context_shares_nothing() -> None:
    config = LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    config.max_position_embeddings = 9
    assert Predictor(LlamaForCausalLM(config)).why_not == "a context of 9 tokens"


def test_cannot_share_windows_of_one_token_and_keys_of_other_layers() -> None:
    assert "DynamicSlidingWindowLayer" in str(cannot_share(MistralConfig(sliding_window=1)))
    sharing: Any = LlamaConfig()
    sharing.num_kv_shared_layers = 2
    assert "other layers" in str(cannot_share(sharing))
    assert cannot_share(LlamaConfig()) is None


def test_predictor_in_bfloat16_shares_and_agrees_on_average() -> None:
    model: Any = make_model("llama")
    subject = Predictor(model.to(torch.bfloat16))
    assert subject.shares, subject.why_not


def limited_memory(subject: Predictor, most: int) -> None:
    def refuse(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].numel() > most:
            raise torch.OutOfMemoryError

    subject.model.get_input_embeddings().register_forward_pre_hook(refuse)


def test_score_memory_runs_out_for_a_batch_is_halved_and_right() -> None:
    subject = Predictor(make_model("llama"))
    limited_memory(subject, 64)
    splits = exam(6, block=50, num_questions=6)
    for found, split in zip(score_splits(subject, splits, LIMITS), splits, strict=True):
        assert_as_alone(found, predictor("llama").model, split)


def test_score_memory_runs_out_for_one_row_is_a_failure_of_it_alone() -> None:
    subject = Predictor(make_model("llama"))
    limited_memory(subject, 40)
    short = Split(tokens=np.arange(2, 12, dtype=np.int32), start=9, merged=False)
    long = Split(tokens=np.arange(50, 120, dtype=np.int32), start=69, merged=False)
    found, failed = score_splits(subject, [short, long], LIMITS)
    assert_as_alone(found, predictor("llama").model, short)
    assert isinstance(failed, EngineFailure)
    assert failed.kind is FailureKind.OUT_OF_MEMORY
    assert "70 tokens" in failed.message


def test_score_memory_runs_out_for_a_prefix_fails_what_needs_it() -> None:
    subject = Predictor(make_model("llama"))
    limited_memory(subject, 30)
    answers = score_splits(subject, exam(6, block=50, num_questions=3), LIMITS)
    assert {answer.kind for answer in answers if isinstance(answer, EngineFailure)} == {FailureKind.OUT_OF_MEMORY}
    assert len(answers) == 24


def test_score_sequences_memory_runs_out_pieces_are_halved() -> None:
    subject = Predictor(make_model("llama"))
    limited_memory(subject, 20)
    sequences = [np.arange(2, 100, dtype=np.int32), np.arange(2, 20, dtype=np.int32), np.arange(5, 22, dtype=np.int32)]
    limits = Limits(max_read=200, max_held=200, max_needed=200, enough=1000)
    for index, stats in score_sequences(subject, sequences, limits):
        assert isinstance(stats, SequenceStats)
        expected = own_logprobs(predictor("llama").model, sequences[index])
        np.testing.assert_allclose(stats.logprobs, expected, atol=TOLERANCE)


def test_score_sequences_no_memory_at_all_is_a_failure() -> None:
    subject = Predictor(make_model("llama"))
    limited_memory(subject, 0)
    ((_, failed),) = score_sequences(subject, [np.arange(2, 9, dtype=np.int32)], LIMITS)
    assert isinstance(failed, EngineFailure)
    assert failed.kind is FailureKind.OUT_OF_MEMORY


def test_score_error_that_is_no_lack_of_memory_is_raised() -> None:
    subject = Predictor(make_model("llama"))

    def fail(_module: torch.nn.Module, _inputs: tuple[torch.Tensor, ...]) -> None:
        raise RuntimeError("something else")

    subject.model.get_input_embeddings().register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="something else"):
        score_splits(subject, exam(6, block=50, num_questions=1), LIMITS)
    with pytest.raises(RuntimeError, match="something else"):
        list(score_sequences(subject, [np.arange(2, 9, dtype=np.int32)], LIMITS))


def head_of(subject: Predictor) -> torch.nn.Linear:
    head = subject.model.get_output_embeddings()
    assert isinstance(head, torch.nn.Linear)
    return head


def test_score_model_gives_nan_is_a_failure() -> None:
    subject = Predictor(make_model("llama"))
    head_of(subject).weight.data.fill_(float("nan"))
    splits = exam(6, block=5, num_questions=1)
    kinds = {found.kind for found in score_splits(subject, splits, LIMITS) if isinstance(found, EngineFailure)}
    assert kinds == {FailureKind.MALFORMED_RESPONSE}
    ((_, failed),) = score_sequences(subject, [splits[0].tokens], LIMITS)
    assert isinstance(failed, EngineFailure)
    assert failed.kind is FailureKind.MALFORMED_RESPONSE


def test_score_impossible_token_has_minus_infinity_and_finite_moments() -> None:
    subject = Predictor(make_model("llama"))

    def mask(_module: torch.nn.Module, _inputs: object, logits: torch.Tensor) -> torch.Tensor:
        return logits.index_fill(-1, torch.tensor([7]), float("-inf"))

    head_of(subject).register_forward_hook(mask)
    tokens = np.array([3, 4, 7], dtype=np.int32)
    (found,) = score_splits(subject, [Split(tokens=tokens, start=2, merged=False)], LIMITS)
    assert isinstance(found, Likelihood)
    assert found.logprob == float("-inf")
    ((_, stats),) = score_sequences(subject, [tokens], LIMITS)
    assert isinstance(stats, SequenceStats)
    assert np.isfinite(stats.means).all()
    assert np.isfinite(stats.stds).all()


def test_score_nothing_gives_nothing() -> None:
    assert score_splits(predictor("llama"), [], LIMITS) == []
