"""Writing text with the transformers engine, over tiny random models."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import CONTEXT_TOKENS, make_model, make_tokenizer, save_model
from transformers import MambaConfig, MambaForCausalLM

from twllm_engines import TransformersSettings
from twllm_engines._transformers import TransformersEngine
from twllm_types import (
    Completion,
    ConfigError,
    Conversation,
    EngineFailure,
    FailureKind,
    FinishReason,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    SamplingParams,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama on disk, safetensors."""
    return save_model(tmp_path_factory.mktemp("llama"), "llama", make_tokenizer())


@pytest.fixture(scope="module")
def engine(folder: Path) -> TransformersEngine:
    return make_engine(folder)


def make_engine(folder: Path, **settings: object) -> TransformersEngine:
    return TransformersEngine(dataclasses.replace(TransformersSettings(model=str(folder), device="cpu"), **settings))


def answer(engine: TransformersEngine, prompt: str | Conversation, **params: object) -> Completion:
    (found,) = engine.generate([GenerationRequest(prompt=prompt, params=SamplingParams(**params))])  # type: ignore[arg-type]
    assert isinstance(found, Completion)
    return found


def score(engine: TransformersEngine, context: str, *continuations: str) -> list[Likelihood | EngineFailure]:
    return engine.loglikelihood([LikelihoodRequest(context=context, continuation=end) for end in continuations])


def test_generate_greedy_equals_transformers_own_generate(engine: TransformersEngine) -> None:
    prompts = ["one two three four five six seven", "臺灣最高", "A"]
    tokenizer = make_tokenizer()
    # its type hides that a model can generate
    model: Any = make_model("llama")
    for prompt, found in zip(
        prompts,
        engine.generate([GenerationRequest(prompt=text, params=SamplingParams(max_tokens=15)) for text in prompts]),
        strict=True,
    ):
        ids = tokenizer(prompt, return_tensors="pt")
        written = model.generate(
            input_ids=ids["input_ids"], attention_mask=ids["attention_mask"], do_sample=False, max_new_tokens=15
        )
        assert isinstance(found, Completion)
        assert found.text == tokenizer.decode(written[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)


def test_generate_seed_gives_the_same_sample_in_any_company(engine: TransformersEngine) -> None:
    request = GenerationRequest(
        prompt="one two", params=SamplingParams(max_tokens=10, temperature=1.3, top_p=0.9, top_k=50, seed=3)
    )
    others = [GenerationRequest(prompt="three " * n, params=SamplingParams(temperature=1.0)) for n in (1, 9)]
    (alone,) = engine.generate([request])
    beside = engine.generate([*others, request])[-1]
    assert isinstance(alone, Completion)
    assert isinstance(beside, Completion)
    assert alone.texts == beside.texts


def test_generate_samples_of_one_request_differ_and_do_not_depend_on_their_number(engine: TransformersEngine) -> None:
    three = answer(engine, "one two", max_tokens=12, temperature=1.5, num_samples=3, seed=1)
    two = answer(engine, "one two", max_tokens=12, temperature=1.5, num_samples=2, seed=1)
    assert len(set(three.texts)) == 3
    assert three.texts[:2] == two.texts


def test_generate_without_seed_draws_anew_and_repeats_with_the_engine(folder: Path) -> None:
    def draws(seed: int) -> list[str]:
        engine = make_engine(folder, seed=seed)
        return [answer(engine, "one two", max_tokens=12, temperature=1.5).text for _ in range(2)]

    first = draws(4)
    assert first[0] != first[1]
    assert draws(4) == first
    assert draws(5) != first


def test_generate_stop_across_tokens_cuts_text_and_logprobs(engine: TransformersEngine) -> None:
    whole = answer(engine, "臺灣最高的山", max_tokens=30, top_logprobs=0)
    assert whole.logprobs is not None
    middle = len(whole.text) // 2
    stop = whole.text[middle : middle + 3]
    cut = answer(engine, "臺灣最高的山", max_tokens=30, stop=(stop,), top_logprobs=0)
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason is FinishReason.STOP
    assert cut.logprobs is not None
    assert len(cut.logprobs[0]) < len(whole.logprobs[0])


def test_generate_end_token_stops_with_its_reason(tmp_path: Path) -> None:
    model = make_model("llama")
    with torch.inference_mode():
        first = model(make_tokenizer()("one two", return_tensors="pt")["input_ids"]).logits[0, -1].argmax()
    model.generation_config.eos_token_id = [int(first)]
    model.save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    found = answer(make_engine(tmp_path), "one two", max_tokens=9, top_logprobs=1)
    assert (found.text, found.finish_reason, found.logprobs) == ("", FinishReason.STOP, ((),))
    assert found.usage is not None
    assert found.usage.num_completion_tokens == 1


def test_generate_to_the_end_of_the_context_ends_by_length(folder: Path) -> None:
    engine = make_engine(folder, max_model_len=12)
    found = answer(engine, "one two three", max_tokens=50)
    assert found.finish_reason is FinishReason.LENGTH
    assert found.usage is not None
    assert found.usage.num_prompt_tokens + found.usage.num_completion_tokens == 12


def test_generate_prompt_too_long_is_refused_or_cut_as_chosen(folder: Path) -> None:
    request = GenerationRequest(prompt="one two three four " * 40, params=SamplingParams(max_tokens=5))
    (failed,) = make_engine(folder).generate([request])
    assert isinstance(failed, EngineFailure)
    assert failed.kind is FailureKind.CONTEXT_LENGTH
    engine = make_engine(folder, truncation="left")
    (found,) = engine.generate([request])
    assert isinstance(found, Completion)
    assert found.usage is not None
    assert found.usage.num_prompt_tokens == CONTEXT_TOKENS - 5
    assert engine.num_cut == 1


def test_generate_empty_prompt_is_a_failure(engine: TransformersEngine) -> None:
    (failed,) = engine.generate([GenerationRequest(prompt="")])
    assert isinstance(failed, EngineFailure)
    assert failed.kind is FailureKind.BAD_REQUEST


def test_generate_json_schema_is_refused_before_any_request(engine: TransformersEngine) -> None:
    request = GenerationRequest(prompt="x", params=SamplingParams(json_schema={"type": "object"}))
    with pytest.raises(ConfigError, match="JSON Schema"):
        engine.stream([request])


def test_generate_memory_runs_out_for_a_batch_is_halved(folder: Path) -> None:
    engine, reference = make_engine(folder), make_engine(folder)
    requests = [
        GenerationRequest(prompt="one two three " * number, params=SamplingParams(max_tokens=4))
        for number in (1, 2, 3, 20)
    ]

    def refuse(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].numel() > 40:
            raise torch.OutOfMemoryError

    engine._predictor.model.get_input_embeddings().register_forward_pre_hook(refuse)
    *found, failed = engine.generate(requests)
    assert found == reference.generate(requests)[:3]
    assert isinstance(failed, EngineFailure)
    assert failed.kind is FailureKind.OUT_OF_MEMORY


def test_generate_recurrent_model_writes_what_plain_passes_give(tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = MambaConfig(vocab_size=330, hidden_size=16, num_hidden_layers=2, state_size=4, eos_token_id=0)
    model = MambaForCausalLM(config).eval()
    model.save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    engine = make_engine(tmp_path)
    prompts = ["one two three four", "玉山"]
    requests = [
        GenerationRequest(prompt=prompt, params=SamplingParams(max_tokens=5, num_samples=2)) for prompt in prompts
    ]
    for prompt, found in zip(prompts, engine.generate(requests), strict=True):
        ids = make_tokenizer()(prompt)["input_ids"]
        with torch.inference_mode():
            for _ in range(5):
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        assert isinstance(found, Completion)
        assert found.texts == (make_tokenizer().decode(ids[-5:]),) * 2


def test_generate_error_that_is_no_lack_of_memory_is_raised(folder: Path) -> None:
    engine = make_engine(folder)

    def fail(_module: torch.nn.Module, _inputs: object) -> None:
        raise RuntimeError("something else")

    engine._predictor.model.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="something else"):
        engine.generate([GenerationRequest(prompt="one")])


def spoil(engine: TransformersEngine, text: str) -> None:
    """Make the model compute NaN behind the first token of a text."""
    (token, *_) = make_tokenizer()(text)["input_ids"]
    embeddings: Any = engine._predictor.model.get_input_embeddings()
    embeddings.weight.data[token] = float("nan")


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(max_tokens=4),
        SamplingParams(max_tokens=4, top_logprobs=3),
        SamplingParams(max_tokens=4, temperature=1.0, num_samples=3, seed=1),
        SamplingParams(max_tokens=4, temperature=1.0, top_k=5, top_p=0.5, seed=1, top_logprobs=0),
    ],
)
def test_generate_of_a_model_that_gives_nan_is_a_failure_and_others_are_answered(
    folder: Path, params: SamplingParams
) -> None:
    engine = make_engine(folder)
    well = [GenerationRequest(prompt=prompt, params=params) for prompt in ("one two three", "seven")]
    expected = engine.generate(well)
    spoil(engine, "\n")
    first, failed, last = engine.generate([well[0], GenerationRequest(prompt="nine\n", params=params), well[1]])
    (scored,) = score(engine, "nine\n", "ten")
    assert isinstance(failed, EngineFailure)
    assert failed == scored
    assert failed.kind is FailureKind.MALFORMED_RESPONSE
    for found, wanted in zip((first, last), expected, strict=True):
        assert isinstance(found, Completion)
        assert isinstance(wanted, Completion)
        assert found.texts == wanted.texts


def test_generate_nan_in_the_midst_of_an_answer_is_a_failure(folder: Path) -> None:
    engine, model = make_engine(folder), make_model("llama")
    ids: list[int] = make_tokenizer()("one two three")["input_ids"]
    with torch.inference_mode():
        first = int(model(torch.tensor([ids])).logits[0, -1].argmax())
    assert first not in ids
    embeddings: Any = engine._predictor.model.get_input_embeddings()
    embeddings.weight.data[first] = float("nan")
    request = GenerationRequest(prompt="one two three", params=SamplingParams(max_tokens=6, num_samples=2))
    (failed,) = engine.generate([request])
    assert isinstance(failed, EngineFailure)
    assert "not a number" in failed.message
