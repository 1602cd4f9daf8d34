"""Answers that refuse, and answers that are refused: what is read of them and what they cost."""

from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock
from fault_server import FaultServer, Reply

from twllm_engines import OpenAISettings, RecordingEngine, UsageLedger, load_engine
from twllm_engines._openai import OpenAIEngine
from twllm_engines._openai._cache import AnswerCache
from twllm_types import (
    Completion,
    Conversation,
    EngineFailure,
    FinishReason,
    GenerationRequest,
    Message,
    Role,
    SamplingParams,
    TokenLogprob,
)

USAGE = {"prompt_tokens": 10, "completion_tokens": 5}
KEY = "sk-0123456789"


def chat(**params: Any) -> GenerationRequest:
    conversation = Conversation(messages=(Message(role=Role.USER, content="abc"),))
    return GenerationRequest(prompt=conversation, params=SamplingParams(**params))


def reply(message: dict[str, Any] | None = None, **fields: Any) -> Reply:
    choice = {"index": 0, "message": message or {"content": "x"}, "finish_reason": "stop"}
    choice |= {name: fields.pop(name) for name in ("finish_reason", "logprobs") if name in fields}
    return Reply(body={"model": "toy", "choices": [choice], "usage": USAGE} | fields)


def ask(
    server: FaultServer, *script: Reply, request: GenerationRequest | None = None, **settings: Any
) -> tuple[Completion | EngineFailure, UsageLedger]:
    server.script = list(script)
    values: dict[str, Any] = {"model": "toy", "base_url": server.url, "max_attempts": len(script), **settings}
    with OpenAIEngine(OpenAISettings(**values), environment={"TOKEN": KEY}, clock=FakeClock()) as engine:
        (answer,) = engine.generate([request or chat()])
        return answer, engine.ledger()


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
@pytest.mark.parametrize("content", [None, "", "B"])
def test_message_with_a_refusal_is_a_refusal_whatever_else_it_holds(
    server: FaultServer, content: str | None, reason: str
) -> None:
    message = {"content": content, "refusal": "I can't help with option B"}
    answer, _ = ask(server, reply(message, finish_reason=reason))
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason) == ("I can't help with option B", FinishReason.REFUSAL)


@pytest.mark.parametrize("refusal", [None, "", " ", 3])
def test_message_with_an_empty_refusal_is_an_answer(server: FaultServer, refusal: object) -> None:
    answer, _ = ask(server, reply({"content": "B", "refusal": refusal}))
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason) == ("B", FinishReason.STOP)


def test_finish_reason_refusal_is_read(server: FaultServer) -> None:
    answer, _ = ask(server, reply({"content": "不行"}, finish_reason="refusal"))
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason) == ("不行", FinishReason.REFUSAL)


def test_refusal_needs_no_logprobs_and_keeps_its_own(server: FaultServer) -> None:
    message = {"content": None, "refusal": "no"}
    request = chat(top_logprobs=1)
    bare, _ = ask(server, reply(message, logprobs=None), request=request)
    tokens = [{"token": "no", "logprob": -0.5, "top_logprobs": [{"token": "no", "logprob": -0.5}]}]
    full, _ = ask(server, reply(message, logprobs={"content": None, "refusal": tokens}), request=request)
    assert isinstance(bare, Completion)
    assert isinstance(full, Completion)
    assert bare.logprobs == ((),)
    assert full.logprobs == ((TokenLogprob(token="no", logprob=-0.5, top={"no": -0.5}),),)


def test_refusal_is_cached_recorded_and_replayed_as_one(server: FaultServer, tmp_path: Path) -> None:
    server.script = [reply({"content": None, "refusal": "不行 B"})]
    settings = OpenAISettings(model="toy", base_url=server.url, cache=tmp_path / "cache")
    with RecordingEngine(load_engine(settings), tmp_path / "answers.jsonl") as engine:
        answers = engine.generate([chat()])
    with load_engine(settings) as engine:
        answers += engine.generate([chat()])
    with load_engine(f"replay:{tmp_path / 'answers.jsonl'}") as engine:
        answers += engine.generate([chat()])
    found = [(answer.text, answer.finish_reason) for answer in answers if isinstance(answer, Completion)]
    assert found == [("不行 B", FinishReason.REFUSAL)] * 3
    assert len(server.seen) == 1


REFUSED = {
    "another model": (reply(model="toy-mini"), "toy-mini"),
    "no log-probabilities": (reply(), "toy"),
    "too many samples": (Reply(body={"model": "toy", "choices": [{}, {}], "usage": USAGE}), "toy"),
    "no choices": (Reply(body={"model": "toy", "usage": USAGE}), "toy"),
    "no name": (Reply(body={"usage": USAGE}), "toy"),
    "a repeated key": (reply({"content": KEY}, model=f"toy-{KEY}"), "toy"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_ledger_books_an_answer_that_is_refused(server: FaultServer, tmp_path: Path, case: str) -> None:
    sent, name = REFUSED[case]
    cache = tmp_path / "cache"
    prices = {"prompt_price": 2.0, "completion_price": 10.0}
    answer, ledger = ask(
        server, sent, request=chat(top_logprobs=1), cache=cache, headers_from_env={"X-Own": "TOKEN"}, **prices
    )
    assert isinstance(answer, EngineFailure)
    (model,) = ledger.models
    assert (model.model, model.num_answers, model.num_refused, model.num_without_usage) == (name, 1, 1, 0)
    assert (model.num_prompt_tokens, model.num_completion_tokens) == (10, 5)
    assert ledger.cost == pytest.approx(70e-6)
    with AnswerCache(cache) as answers:
        summary = answers.summary()
    assert summary.num_answers == 0
    assert summary.ledgers[0].cost == pytest.approx(70e-6)


def test_ledger_books_every_refused_attempt_and_the_answer_in_the_end(server: FaultServer) -> None:
    no_choices = Reply(body={"model": "toy", "usage": USAGE})
    answer, ledger = ask(server, no_choices, Reply(body="{"), Reply(status=500), reply())
    assert isinstance(answer, Completion)
    (model,) = ledger.models
    assert (ledger.num_attempts, model.num_answers, model.num_refused, model.num_without_usage) == (4, 3, 2, 1)
    assert (model.num_prompt_tokens, model.num_completion_tokens) == (20, 10)


def test_tokens_per_minute_are_corrected_by_refused_answers(server: FaultServer) -> None:
    clock = FakeClock()
    server.answer = lambda _seen: reply(model="toy-mini")
    settings = OpenAISettings(model="toy", base_url=server.url, tokens_per_minute=1_500, max_in_flight=1)
    with OpenAIEngine(settings, environment={}, clock=clock) as engine:
        engine.generate([chat(max_tokens=1_000)] * 4)
    assert clock.now == 0
