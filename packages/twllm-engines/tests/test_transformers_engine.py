"""The transformers engine as people use it, over tiny random models."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from engine_contract import CONTRACT
from tiny_models import CONTEXT_TOKENS, make_model, make_tokenizer, merging_tokenizer, save_model
from transformers import ByT5Tokenizer

from twllm_engines import BosRule, Engine, TransformersSettings, load_engine
from twllm_engines._transformers import TransformersEngine
from twllm_engines._transformers._encoding import TextEncoder
from twllm_types import (
    Completion,
    ConfigError,
    Conversation,
    EngineError,
    EngineFailure,
    FailureKind,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    Message,
    Role,
    SamplingParams,
    SequenceLogprobs,
)

Check = Callable[[Engine], None]


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


def plain_sum(folder: Path, tokens: list[int], start: int) -> float:
    """Log-probability of tokens[start:] by a plain forward pass."""
    model = make_model("llama")
    with torch.inference_mode():
        logprobs = model(torch.tensor([tokens]), use_cache=False).logits[0].log_softmax(-1)
    return float(sum(logprobs[at - 1, tokens[at]] for at in range(start, len(tokens))))


@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2"])
@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_contract_transformers_engine_keeps_it(
    check: Check, name: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    # Tokens that merge across a border are split by what is asked together, on purpose: here none do.
    cache = request.config.stash.setdefault(FOLDERS, {})
    if name not in cache:
        cache[name] = save_model(tmp_path_factory.mktemp(name), name, make_tokenizer(merges=False))
    with load_engine(TransformersSettings(model=str(cache[name]), device="cpu")) as loaded:
        check(loaded)


FOLDERS = pytest.StashKey[dict[str, Path]]()


def test_engine_settings_tell_what_auto_became(engine: TransformersEngine) -> None:
    assert engine.settings["device"] == "cpu"
    assert engine.settings["dtype"] == "float32"
    assert engine.settings["max_model_len"] == CONTEXT_TOKENS
    assert engine.settings["shared_prefixes"] == "on"
    assert engine.capabilities.chat
    assert not engine.capabilities.json_schema


def test_engine_identity_changes_with_weights_tokenizer_and_template(folder: Path, tmp_path: Path) -> None:
    parts = make_engine(folder).identity.sha256
    assert set(parts) == {"weights", "tokenizer", "chat_template"}
    other = save_model(tmp_path / "a", "gpt2", make_tokenizer(bos=True, template=False))
    changed = make_engine(other).identity.sha256
    assert set(changed) == {"weights", "tokenizer"}
    assert changed["weights"] != parts["weights"]
    assert changed["tokenizer"] != parts["tokenizer"]


def test_loglikelihood_equals_a_plain_pass(engine: TransformersEngine, folder: Path) -> None:
    context = "以下為地理的單選題。臺灣最高的山是玉山。\nAnswer:"
    tokenizer = make_tokenizer()
    start = len(tokenizer(context)["input_ids"])
    for end, found in zip((" A", " B", " one two"), score(engine, context, " A", " B", " one two"), strict=True):
        tokens = tokenizer(context + end)["input_ids"]
        assert isinstance(found, Likelihood)
        assert found.num_tokens == len(tokens) - start
        assert found.logprob == pytest.approx(plain_sum(folder, tokens, start), abs=1e-4)


def test_loglikelihood_does_not_depend_on_what_stands_beside_it(engine: TransformersEngine) -> None:
    head = "問題：下列何者為哺乳類？\n" * 3
    requests = [
        LikelihoodRequest(context=f"{head}{number}", continuation=end) for number in range(9) for end in (" A", "(B)")
    ]
    together = engine.loglikelihood(requests)
    for request, found in zip(requests, together, strict=True):
        (alone,) = engine.loglikelihood([request])
        assert isinstance(found, Likelihood)
        assert isinstance(alone, Likelihood)
        assert found.logprob == pytest.approx(alone.logprob, abs=1e-4)


def test_loglikelihood_context_too_long_is_a_failure_with_lengths(engine: TransformersEngine) -> None:
    long, fits = *score(engine, "玉山" * 200, "A"), *score(engine, "玉山", "A")
    assert isinstance(long, EngineFailure)
    assert long.kind is FailureKind.CONTEXT_LENGTH
    assert str(CONTEXT_TOKENS) in long.message
    assert "玉" not in long.message
    assert isinstance(fits, Likelihood)


def test_loglikelihood_truncation_left_cuts_and_counts(folder: Path) -> None:
    engine = make_engine(folder, truncation="left", max_model_len=20)
    found = score(engine, "one two three four five " * 20, " A", " B")
    assert all(isinstance(one, Likelihood) for one in found)
    assert engine.num_cut == 2
    tokens = make_tokenizer()("one two three four five " * 20 + " A")["input_ids"][-21:]
    assert isinstance(found[0], Likelihood)
    assert found[0].logprob == pytest.approx(plain_sum(folder, tokens, 21 - found[0].num_tokens), abs=1e-4)


def test_loglikelihood_merged_border_scores_all_options_from_the_same_token(tmp_path: Path) -> None:
    engine = make_engine(save_model(tmp_path, "llama", merging_tokenizer()))
    merged, plain = score(engine, "xy(", "A", "B")
    assert isinstance(merged, Likelihood)
    assert isinstance(plain, Likelihood)
    # '(A' is one token after 'xy', '(B' two: both begin after 'xy'.
    assert (merged.num_tokens, plain.num_tokens) == (1, 2)
    assert engine.num_merged == 2
    vocabulary = merging_tokenizer().get_vocab()
    x, y, opened, b, both = (vocabulary[token] for token in ("x", "y", "(", "B", "(A"))
    assert merged.logprob == pytest.approx(plain_sum(tmp_path, [x, y, both], 2), abs=1e-4)
    assert plain.logprob == pytest.approx(plain_sum(tmp_path, [x, y, opened, b], 2), abs=1e-4)


def test_loglikelihood_empty_context_needs_an_opening(engine: TransformersEngine, folder: Path) -> None:
    (failed,) = score(engine, "", "玉山")
    assert isinstance(failed, EngineFailure)
    assert failed.kind is FailureKind.BAD_REQUEST
    (found,) = score(make_engine(folder, bos=BosRule.ALWAYS), "", "玉山")
    assert isinstance(found, Likelihood)
    tokens = make_tokenizer()("<s>玉山")["input_ids"]
    assert found.logprob == pytest.approx(plain_sum(folder, tokens, 1), abs=1e-4)


def test_bos_rules_add_it_once(folder: Path, tmp_path: Path) -> None:
    opening = save_model(tmp_path, "llama", make_tokenizer(bos=True))
    expected = score(make_engine(folder, bos=BosRule.ALWAYS), "玉山", "A")
    assert score(make_engine(opening), "玉山", "A") == expected
    assert score(make_engine(opening), "<s>玉山", "A") == expected
    assert score(make_engine(opening, bos=BosRule.NEVER), "玉山", "A") == score(make_engine(folder), "玉山", "A")
    assert make_engine(opening).settings["opening_tokens"] == [1]


def test_bos_always_without_such_a_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bos: tokenizer"):
        make_engine(save_model(tmp_path, "llama", merging_tokenizer()), bos=BosRule.ALWAYS)


def test_sequence_logprobs_sum_to_the_likelihood_of_the_text(engine: TransformersEngine, folder: Path) -> None:
    text = "one two three 臺灣"
    (found,) = engine.sequence_logprobs([text])
    assert isinstance(found, SequenceLogprobs)
    tokens = make_tokenizer()(text)["input_ids"]
    assert len(found.tokens) == len(tokens) - 1
    assert sum(found.logprobs) == pytest.approx(plain_sum(folder, tokens, 1), abs=1e-4)
    assert found.expected_logprobs is not None
    assert found.logprob_stds is not None


def test_sequence_logprobs_empty_long_and_opened_texts(engine: TransformersEngine, folder: Path) -> None:
    empty, long = engine.sequence_logprobs(["", "玉山" * 200])
    assert isinstance(empty, SequenceLogprobs)
    assert empty.tokens == ()
    assert isinstance(long, EngineFailure)
    assert long.kind is FailureKind.CONTEXT_LENGTH
    cutting = make_engine(folder, truncation="left", bos=BosRule.ALWAYS)
    (cut,) = cutting.sequence_logprobs(["玉山" * 200])
    assert isinstance(cut, SequenceLogprobs)
    assert len(cut.tokens) == CONTEXT_TOKENS - 1
    assert cutting.num_cut == 1


def test_chat_is_rendered_with_open_turn_or_prefill(engine: TransformersEngine) -> None:
    user = Message(role=Role.USER, content="嗨")
    assert engine.render_chat(Conversation(messages=(user,))) == "<user>嗨<assistant>"
    prefilled = Conversation(messages=(user, Message(role=Role.ASSISTANT, content="答案：")))
    assert engine.render_chat(prefilled) == "<user>嗨<assistant>答案："
    assert (
        answer(engine, Conversation(messages=(user,)), max_tokens=5).texts
        == answer(engine, "<user>嗨<assistant>", max_tokens=5).texts
    )


def test_chat_template_from_a_file_none_and_missing(folder: Path, tmp_path: Path) -> None:
    conversation = Conversation(messages=(Message(role=Role.USER, content="嗨"),))
    file = tmp_path / "own.jinja"
    file.write_text("我問：{{ messages[0].content }}", encoding="utf-8")
    assert make_engine(folder, chat_template=str(file)).render_chat(conversation) == "我問：嗨"
    without = make_engine(folder, chat_template=None)
    assert not without.capabilities.chat
    with pytest.raises(ConfigError, match="chat_template"):
        without.render_chat(conversation)
    with pytest.raises(ConfigError, match="no file"):
        make_engine(folder, chat_template=str(tmp_path / "absent.jinja"))
    file.write_text("{{ raise_exception('turns must alternate') }}", encoding="utf-8")
    with pytest.raises(ConfigError, match="turns must alternate"):
        make_engine(folder, chat_template=str(file)).render_chat(conversation)


def test_load_pickled_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save(make_model("llama").state_dict(), tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="safetensors"):
        make_engine(tmp_path / "pickled")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "/no/such/folder"}, "no folder"),
        ({"device": "abacus"}, "abacus"),
        ({"device": "cuda:99"}, "sees"),
        ({"quantization": "fp8"}, "quantization"),
        ({"gguf_file": "absent.gguf"}, "gguf_file"),
        ({"tokenizer": "/no/such/tokenizer"}, "tokenizer"),
    ],
)
def test_load_what_cannot_be_had_is_a_config_error(folder: Path, settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_engine(folder, **settings)


def test_load_folder_without_weights_or_with_damaged_ones_is_a_config_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no weights"):
        make_engine(tmp_path)
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConfigError, match="2 GGUF files"):
        make_engine(tmp_path)
    shutil.copytree(folder, tmp_path / "damaged")
    (tmp_path / "damaged" / "config.json").write_text('{"model_type": "none such"}', encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        make_engine(tmp_path / "damaged")


def test_load_hub_id_that_cannot_be_had_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="hub"):
        make_engine(Path("nobody/no-such-model"))


def test_load_code_of_the_model_is_not_run_unless_allowed(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "coded")
    config = tmp_path / "coded" / "config.json"
    text = config.read_text(encoding="utf-8").replace(
        '"model_type": "llama"',
        '"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}',
    )
    config.write_text(text, encoding="utf-8")
    (tmp_path / "coded" / "own.py").write_text("raise SystemExit('ran')\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="trust_remote_code"):
        make_engine(tmp_path / "coded")


def test_close_then_asking_is_an_error(folder: Path) -> None:
    engine = make_engine(folder)
    engine.close()
    for ask in (engine.generate, engine.loglikelihood, engine.sequence_logprobs):
        with pytest.raises(EngineError, match="closed"):
            ask([])


def test_tokenizer_file_with_truncation_and_padding_is_read_whole(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "cutting")
    tokenizer = make_tokenizer()
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.enable_padding(length=50)
    tokenizer.backend_tokenizer.save(str(tmp_path / "cutting" / "tokenizer.json"))
    context = "one two three four five six"
    assert score(make_engine(tmp_path / "cutting"), context, " A") == score(make_engine(folder), context, " A")


def test_sequence_logprobs_of_a_model_that_gives_nan_are_failures(folder: Path) -> None:
    engine = make_engine(folder)
    next(engine._predictor.model.parameters()).data.fill_(float("nan"))
    (failed,) = engine.sequence_logprobs(["one two"])
    assert isinstance(failed, EngineFailure)
    assert failed.kind is FailureKind.MALFORMED_RESPONSE


def test_encoder_of_a_tokenizer_in_python_opens_and_encodes() -> None:
    # ByT5 closes a text by a token, which is no opening.
    encoder = TextEncoder(ByT5Tokenizer(), BosRule.TOKENIZER)
    assert encoder.opening == []
    assert [ids.tolist() for ids in encoder.encode(["ab", ""])] == [[100, 101], []]
    assert encoder.decode([100, 101]) == "ab"
