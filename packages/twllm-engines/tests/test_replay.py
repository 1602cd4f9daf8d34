import json
import stat
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twllm_engines import (
    EngineCapabilities,
    RecordingEngine,
    ReplaySettings,
    chat_renderer,
    load_engine,
    record_answers,
)
from twllm_engines._canonical import (
    Answer,
    answer_from_json,
    answer_to_json,
    generation_to_json,
    request_key,
)
from twllm_engines._engine import collect
from twllm_types import (
    Completion,
    ConfigError,
    Conversation,
    DataError,
    EngineFailure,
    FailureKind,
    FinishReason,
    GenerationRequest,
    JsonObject,
    Likelihood,
    LikelihoodRequest,
    LikelihoodScorer,
    Message,
    ModelIdentity,
    Role,
    SamplingParams,
    SequenceLogprobs,
    SequenceScorer,
    TokenLogprob,
    Usage,
)

HELLO = Conversation(messages=(Message(role=Role.USER, content="你好"),))


class OwnEngine:
    """A small engine of our own; it fails at requests that say so."""

    def __init__(self) -> None:
        self.fails = True
        self.is_closed = False
        self.identity = ModelIdentity(spec="own:1")
        self.settings: JsonObject = {"own": 1}
        self.capabilities = EngineCapabilities(
            likelihood=True,
            sequence_logprobs=True,
            chat=True,
            raw_prompts=True,
            json_schema=False,
            max_top_logprobs=3,
            renders_chat=True,
        )

    def stream(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        for index in reversed(range(len(requests))):
            prompt = requests[index].prompt
            if prompt == "fail" and self.fails:
                yield index, EngineFailure(kind=FailureKind.TIMEOUT, message="too slow", num_attempts=3)
            else:
                yield index, Completion(texts=(f"<{prompt}>",), finish_reasons=(FinishReason.STOP,), model="own-1")

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Completion | EngineFailure]:
        return collect(self.stream(requests), len(requests))

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        return [Likelihood(logprob=-inf, num_tokens=len(request.continuation)) for request in requests]

    def sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
        return [
            SequenceLogprobs(tokens=("a",), logprobs=(-inf,), expected_logprobs=(-1.0,), logprob_stds=(0.5,))
            for _ in texts
        ]

    def render_chat(self, conversation: Conversation) -> str:
        return f"[{conversation.messages[0].content}]"

    def close(self) -> None:
        self.is_closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.close()


def record(file: Path, *prompts: str | Conversation, fails: bool = True) -> list[Completion | EngineFailure]:
    engine = OwnEngine()
    engine.fails = fails
    with RecordingEngine(engine, file) as recording:
        answers = recording.generate([GenerationRequest(prompt=prompt) for prompt in prompts])
    assert engine.is_closed
    return answers


def test_replay_gives_what_was_recorded_failures_among_it(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    recorded = record(file, "x", "fail", HELLO)
    with load_engine(ReplaySettings(file=file)) as engine:
        requests = [GenerationRequest(prompt=prompt) for prompt in ("x", "fail", HELLO, "x")]
        assert engine.generate(requests) == [*recorded, recorded[0]]
        assert engine.identity.reported_id == "own-1"
        assert set(engine.identity.sha256) == {"recording"}
        assert engine.settings == {"file": file.as_posix(), "missing": "error"}


def test_recording_keeps_scores_and_renderings(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    asked = [LikelihoodRequest(context="a", continuation="bc")]
    with RecordingEngine(OwnEngine(), file) as recording:
        assert recording.identity.spec == "own:1"
        assert recording.settings == {"own": 1}
        first = (recording.loglikelihood(asked), recording.sequence_logprobs(["a"]), recording.render_chat(HELLO))
    with load_engine(f"replay:{file}") as engine:
        assert isinstance(engine, LikelihoodScorer)
        assert isinstance(engine, SequenceScorer)
        assert engine.capabilities.likelihood
        assert engine.capabilities.sequence_logprobs
        again = (engine.loglikelihood(asked), engine.sequence_logprobs(["a"]), chat_renderer(engine).render_chat(HELLO))
    assert again == first


def test_recording_file_is_private_and_equal_requests_share_a_line(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    record(file, "x", "x")
    record(file, "x", "y")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text(encoding="utf-8").splitlines()) == 2


def test_recorded_failure_is_replaced_by_a_later_answer(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    record(file, "fail")
    record(file, "fail")
    record(file, "fail", fails=False)
    (answer,) = load_engine(f"replay:{file}").generate([GenerationRequest(prompt="fail")])
    assert isinstance(answer, Completion)
    assert len(file.read_text(encoding="utf-8").splitlines()) == 3


def test_recording_goes_on_behind_a_line_that_a_kill_cut(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    record(file, "x", "y")
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    record(file, "x", "y")
    assert sorted(file.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_recording_into_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("my notes\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"notes\.txt:1"):
        RecordingEngine(OwnEngine(), file)
    assert file.read_text(encoding="utf-8") == "my notes\n"
    with pytest.raises(DataError, match="cannot be written"):
        RecordingEngine(OwnEngine(), tmp_path / "no" / "a.jsonl")


def test_missing_record_is_one_error_that_shows_the_request(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    record(file, "x")
    engine = load_engine(f"replay:{file}")
    long = "問" * 1_000 + "\n完"
    with pytest.raises(ConfigError, match=r"a\.jsonl: has no record of the request") as caught:
        engine.stream([GenerationRequest(prompt="x"), GenerationRequest(prompt=long)])
    message = str(caught.value)
    assert "問問問" in message
    assert len(message) < 700
    assert len(message.splitlines()) == 1
    with pytest.raises(ConfigError, match="no record"):
        engine.generate([GenerationRequest(prompt="x", params=SamplingParams(max_tokens=1))])
    assert isinstance(engine, LikelihoodScorer)
    with pytest.raises(ConfigError, match="no record"):
        engine.loglikelihood([LikelihoodRequest(context="", continuation="x")])
    with pytest.raises(ConfigError, match="cannot render"):
        chat_renderer(engine)


def test_missing_rendering_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    with RecordingEngine(OwnEngine(), file) as recording:
        recording.render_chat(HELLO)
    other = Conversation(messages=(Message(role=Role.USER, content="再見"),))
    with pytest.raises(ConfigError, match="再見"):
        chat_renderer(load_engine(f"replay:{file}")).render_chat(other)


def test_missing_record_is_a_failure_by_choice(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    record(file, "x")
    (answer,) = load_engine(ReplaySettings(file=file, missing="failure")).generate([GenerationRequest(prompt="y")])
    assert isinstance(answer, EngineFailure)
    assert answer.kind is FailureKind.NOT_RECORDED


def line(request: Any, response: Any, key: str | None = None) -> str:
    return json.dumps({"key": key or request_key(request), "request": request, "response": response})


ASKED = generation_to_json(GenerationRequest(prompt="x"))
ANSWERED = answer_to_json(Completion(texts=("y",), finish_reasons=(FinishReason.STOP,)))


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("[]", "is no record"),
        ('{"key": 1}', "is no record"),
        (line(ASKED, ANSWERED, key="0" * 64), "changed by hand"),
        (line(ASKED, ANSWERED), "answers the request of line 1 again"),
        (line({"kind": "other"}, None), "not one that was recorded"),
        (line({"kind": "other"}, {"type": "other"}), "not one that was recorded"),
        (line({"kind": "other"}, {"type": "text"}), "not one that was recorded"),
        (line({"kind": "other"}, {**ANSWERED, "texts": "y"}), "not one that was recorded"),
        (line({"kind": "other"}, {**ANSWERED, "finish_reasons": ["gone"]}), "not one that was recorded"),
        (line({"kind": "other"}, {**ANSWERED, "usage": {"tokens": 1}}), "not one that was recorded"),
        (line({"kind": "other"}, {"type": "failure", "kind": "timeout", "message": "", "num_attempts": 1}), "not one"),
        (line({"kind": "other"}, {"type": "likelihood", "logprob": 1, "num_tokens": 1, "is_greedy": None}), "not one"),
    ],
)
def test_damaged_record_names_file_and_line(tmp_path: Path, broken: str, problem: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(f"{line(ASKED, ANSWERED)}\n{broken}\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"a\.jsonl:2: .*{problem}"):
        load_engine(f"replay:{file}")


def test_recording_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_engine(f"replay:{tmp_path / 'a.jsonl'}")


def test_empty_recording_answers_nothing_and_can_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.touch()
    engine = load_engine(f"replay:{file}")
    assert engine.generate([]) == []
    assert not engine.capabilities.likelihood
    assert engine.capabilities.max_top_logprobs is None


def test_key_covers_content_not_names_or_spelling() -> None:
    base = GenerationRequest(prompt=HELLO)
    named = GenerationRequest(prompt=Conversation(messages=HELLO.messages, id="7"))
    whole = GenerationRequest(prompt=HELLO, params=SamplingParams(temperature=0, top_p=1))
    minus = GenerationRequest(prompt=HELLO, params=SamplingParams(temperature=-0.0))
    assert len({request_key(generation_to_json(request)) for request in (base, named, whole, minus)}) == 1
    changes: list[dict[str, Any]] = [
        {"max_tokens": 1},
        {"temperature": 1.0},
        {"top_p": 0.5},
        {"top_k": 1},
        {"num_samples": 2},
        {"stop": ("x",)},
        {"seed": 0},
        {"top_logprobs": 0},
        {"json_schema": {}},
    ]
    others = [
        GenerationRequest(prompt="你好"),
        GenerationRequest(prompt=Conversation(messages=(Message(role=Role.SYSTEM, content="你好"),))),
        *(GenerationRequest(prompt=HELLO, params=SamplingParams(**changed)) for changed in changes),
    ]
    assert len({request_key(generation_to_json(request)) for request in (base, *others)}) == len(others) + 1


_logprobs = st.floats(max_value=0, allow_nan=False, allow_infinity=True)
_texts = st.text(max_size=5)


@st.composite
def _completions(draw: st.DrawFn) -> Completion:
    count = draw(st.integers(1, 3))

    def some(part: st.SearchStrategy[Any]) -> Any:
        return tuple(draw(part) for _ in range(count))

    token = st.builds(TokenLogprob, token=_texts, logprob=_logprobs, top=st.dictionaries(_texts, _logprobs, max_size=2))
    return Completion(
        texts=some(_texts),
        finish_reasons=some(st.sampled_from(FinishReason)),
        logprobs=draw(st.sampled_from([None, some(st.lists(token, max_size=2).map(tuple))])),
        reasoning=draw(st.sampled_from([None, some(_texts)])),
        usage=draw(st.sampled_from([None, Usage(num_prompt_tokens=3, num_completion_tokens=1, num_cached_tokens=2)])),
        model=draw(st.none() | _texts),
    )


_answers = st.one_of(
    _completions(),
    st.builds(Likelihood, logprob=_logprobs, num_tokens=st.integers(1, 9), is_greedy=st.none() | st.booleans()),
    st.builds(EngineFailure, kind=st.sampled_from(FailureKind), message=st.just("why"), num_attempts=st.integers(1, 9)),
    st.just(SequenceLogprobs(tokens=("甲",), logprobs=(-inf,))),
    _texts,
)


@given(_answers)
def test_answers_come_back_from_json_as_they_were(answer: Answer) -> None:
    row = json.loads(json.dumps(answer_to_json(answer), allow_nan=False))
    assert answer_from_json(row, where="x:1") == answer


def test_collect_refuses_what_breaks_the_contract() -> None:
    answer = Completion(texts=("x",), finish_reasons=(FinishReason.STOP,))
    for answers, count in (([(0, answer)], 2), ([(0, answer), (0, answer)], 2), ([(2, answer)], 2)):
        with pytest.raises(RuntimeError, match="bug"):
            collect(answers, count)


def test_answers_from_elsewhere_can_be_recorded(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    asked, scored = GenerationRequest(prompt="x"), LikelihoodRequest(context="a", continuation="b")
    answer = Completion(texts=("y",), finish_reasons=(FinishReason.STOP,))
    likelihood = Likelihood(logprob=-1.0, num_tokens=1)
    record_answers(file, [(asked, answer), (scored, likelihood)])
    engine = load_engine(f"replay:{file}")
    assert engine.generate([asked]) == [answer]
    assert isinstance(engine, LikelihoodScorer)
    assert engine.loglikelihood([scored]) == [likelihood]
