"""The vLLM engine over a stand-in of the shape of vLLM: what the engine itself does, where vLLM cannot run."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_contract import CONTRACT
from fake_vllm import FakeVllm
from tiny_models import CONTEXT_TOKENS, make_tokenizer, save_model

from twllm_engines import Engine, TransformersSettings, VllmSettings, likelihood_scorer, load_engine, sequence_scorer
from twllm_engines._vllm import VllmEngine
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

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CHAT = Conversation(messages=(Message(role=Role.USER, content="嗨"),))


def make_engine(fake: FakeVllm, **settings: Any) -> VllmEngine:
    def start(_settings: VllmSettings, model: str) -> FakeVllm:
        fake.loaded.append(model)
        return fake

    return VllmEngine(VllmSettings(**settings), start=start)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("fake"), "llama", make_tokenizer(merges=False))


@pytest.fixture
def fake(folder: Path) -> FakeVllm:
    return FakeVllm(folder)


@pytest.fixture
def engine(folder: Path, fake: FakeVllm) -> VllmEngine:
    return make_engine(fake, model=str(folder))


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_contract_vllm_engine_over_a_stand_in_keeps_it(check: Callable[[Engine], None], engine: VllmEngine) -> None:
    check(engine)


def test_vllm_engine_scores_as_the_transformers_engine(engine: VllmEngine, folder: Path) -> None:
    asked = [
        LikelihoodRequest(context=context, continuation=end)
        for context in ("one two three", "臺灣最高的山是")
        for end in ("A", "B", "玉山")
    ]
    with load_engine(TransformersSettings(model=str(folder), device="cpu")) as other:
        expected = likelihood_scorer(other).loglikelihood(asked)
        (sequence,) = sequence_scorer(other).sequence_logprobs(["one two"])
    for found, wanted in zip(engine.loglikelihood(asked), expected, strict=True):
        assert isinstance(found, Likelihood)
        assert isinstance(wanted, Likelihood)
        assert found.logprob == pytest.approx(wanted.logprob, abs=1e-4)
        assert (found.num_tokens, found.is_greedy) == (wanted.num_tokens, wanted.is_greedy)
    (own,) = engine.sequence_logprobs(["one two"])
    assert isinstance(own, SequenceLogprobs)
    assert isinstance(sequence, SequenceLogprobs)
    assert own.logprobs == pytest.approx(sequence.logprobs, abs=1e-4)


def test_vllm_engine_asks_one_prompt_for_all_letters_of_a_question(engine: VllmEngine, fake: FakeVllm) -> None:
    engine.loglikelihood([LikelihoodRequest(context="Answer: ", continuation=letter) for letter in "ABCD"])
    assert fake.num_prompts == 1


def test_vllm_engine_too_long_and_empty_are_failures(engine: VllmEngine) -> None:
    long = "x" * (CONTEXT_TOKENS + 40)
    requests = [GenerationRequest(prompt=long), GenerationRequest(prompt=""), GenerationRequest(prompt="x")]
    too_long, empty, fits = engine.generate(requests)
    (unscored,) = engine.loglikelihood([LikelihoodRequest(context=long, continuation="A")])
    unread, nothing = engine.sequence_logprobs([long, ""])
    for failed in (too_long, unscored, unread):
        assert isinstance(failed, EngineFailure)
        assert failed.kind is FailureKind.CONTEXT_LENGTH
    assert isinstance(empty, EngineFailure)
    assert empty.kind is FailureKind.BAD_REQUEST
    assert isinstance(fits, Completion)
    assert nothing == SequenceLogprobs(tokens=(), logprobs=())


def test_vllm_engine_hands_a_schema_over(engine: VllmEngine, fake: FakeVllm) -> None:
    engine.generate([GenerationRequest(prompt="x", params=SamplingParams(max_tokens=1, json_schema={"enum": ["a"]}))])
    assert fake.schemas == [{"enum": ["a"]}]


def test_vllm_engine_settings_and_identity_tell_what_runs(engine: VllmEngine) -> None:
    assert engine.settings["max_model_len"] == CONTEXT_TOKENS
    assert engine.settings["dtype"] == "float32"
    assert set(engine.identity.sha256) == {"weights", "tokenizer", "chat_template"}


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_vllm_engine_hub_id_is_loaded_from_the_commit_that_it_records(
    folder: Path, tmp_path: Path, fake: FakeVllm, monkeypatch: pytest.MonkeyPatch, revision: str | None
) -> None:
    # What the hub's own cache looks like once a model was fetched; nothing is asked of the network.
    repository = tmp_path / "models--vendor--tiny"
    shutil.copytree(folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    engine = make_engine(fake, model="vendor/tiny", revision=revision)
    assert fake.loaded == [str(repository / "snapshots" / COMMIT)]
    assert engine.identity.revision == COMMIT
    assert engine.identity.spec == "vllm:vendor/tiny"
    assert engine.identity.sha256 == make_engine(fake, model=str(folder)).identity.sha256
    other = load_engine(TransformersSettings(model="vendor/tiny", revision=revision, device="cpu"))
    assert (other.identity.revision, other.identity.sha256) == (COMMIT, engine.identity.sha256)


def test_vllm_engine_hub_id_that_cannot_be_had_is_a_config_error(
    tmp_path: Path, fake: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="hub"):
        make_engine(fake, model="vendor/absent")
    assert fake.loaded == []


def test_vllm_engine_tokenizer_of_its_own_is_the_one_that_is_hashed(
    folder: Path, tmp_path: Path, fake: FakeVllm
) -> None:
    make_tokenizer(bos=True).save_pretrained(tmp_path)
    plain = make_engine(fake, model=str(folder)).identity.sha256
    own = make_engine(fake, model=str(folder), tokenizer=str(tmp_path)).identity.sha256
    assert own["weights"] == plain["weights"]
    assert own["tokenizer"] != plain["tokenizer"]


def test_vllm_engine_chat_template_from_a_file_none_and_missing(folder: Path, tmp_path: Path, fake: FakeVllm) -> None:
    file = tmp_path / "own.jinja"
    file.write_text("我問：{{ messages[0].content }}", encoding="utf-8")
    own = make_engine(fake, model=str(folder), chat_template=str(file))
    assert own.render_chat(CHAT) == "我問：嗨"
    with pytest.raises(ConfigError, match="no file"):
        make_engine(fake, model=str(folder), chat_template=str(tmp_path / "absent"))
    without = make_engine(fake, model=str(folder), chat_template=None)
    assert not without.capabilities.chat


def test_vllm_engine_pickled_weights_are_refused(tmp_path: Path, fake: FakeVllm) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="pickled"):
        make_engine(fake, model=str(tmp_path))


def test_vllm_engine_closed_frees_the_model_and_answers_no_more(engine: VllmEngine, fake: FakeVllm) -> None:
    engine.close()
    assert fake.is_closed
    with pytest.raises(EngineError, match="closed"):
        engine.sequence_logprobs(["one two"])
