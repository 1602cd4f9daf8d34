"""Many requests at once: limits, streams, what is refused before sending, and the ledger."""

from typing import Any

import pytest
from fault_server import FaultServer, Reply
from openai_bench import Bench, chat, text

from twllm_engines import SchemaStyle
from twllm_types import (
    ConfigError,
    EngineError,
    GenerationRequest,
    LikelihoodRequest,
)


@pytest.fixture
def bench(server: FaultServer) -> Bench:
    return Bench(server)


def test_requests_in_flight_never_exceed_the_limit(bench: Bench) -> None:
    with bench.engine(max_in_flight=3) as engine:
        answers = engine.generate([chat(str(at)) for at in range(20)])
    assert [text(answer) for answer in answers] == [str(at)[::-1] for at in range(20)]
    assert bench.server.most_open == 3


def test_requests_per_minute_are_kept(bench: Bench) -> None:
    with bench.engine(requests_per_minute=2, max_in_flight=1) as engine:
        engine.generate([chat(str(at)) for at in range(5)])
    assert bench.clock.now == pytest.approx(120)


def test_tokens_per_minute_are_estimated_and_then_corrected(bench: Bench) -> None:
    # About 1,030 tokens are reserved; the server counts six, so the next request need not wait.
    with bench.engine(tokens_per_minute=1_500, max_in_flight=1) as engine:
        engine.generate([chat(str(at), max_tokens=1_000) for at in range(4)])
    assert bench.clock.now == 0
    bench.server.answer = lambda _seen: Reply(status=400)
    with bench.engine(tokens_per_minute=1_500, max_in_flight=1) as engine:
        engine.generate([chat(str(at), max_tokens=1_000) for at in range(3)])
    assert bench.clock.now == pytest.approx(120)


def test_reader_that_leaves_stops_the_stream(bench: Bench) -> None:
    with bench.engine(max_in_flight=1) as engine:
        answers = engine.stream([chat(str(at)) for at in range(200)])
        next(answers)
        answers.close()  # type: ignore[attr-defined]
        num_seen = len(bench.server.seen)
        assert text(engine.generate([chat("after")])[0]) == "retfa"
    assert len(bench.server.seen) <= num_seen + 3


def test_reader_that_stands_still_holds_back_the_requests_beyond_the_limit(bench: Bench) -> None:
    with bench.engine(max_in_flight=4) as engine, bench.engine(max_in_flight=1) as other:
        answers = engine.stream([chat(str(at)) for at in range(200)])
        next(answers)
        # in the time of these, a stream without bounds would send many more of its own
        other.generate([chat(f"other {at}") for at in range(30)])
        assert len(bench.server.seen) - 30 <= 4
        assert len(list(answers)) == 199


def test_stream_sends_nothing_before_the_first_answer_is_asked_for(bench: Bench) -> None:
    with bench.engine() as engine:
        answers = engine.stream([chat()])
        assert bench.server.seen == []
        assert len(list(answers)) == 1


def test_closed_engine_refuses_requests(bench: Bench) -> None:
    engine = bench.engine()
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="is closed"):
        engine.generate([chat()])


def test_engine_closed_while_it_answers_says_so(bench: Bench) -> None:
    engine = bench.engine(max_in_flight=1)
    answers = engine.stream([chat(str(at)) for at in range(50)])
    next(answers)
    engine.close()
    with pytest.raises(EngineError, match="closed while it answered"):
        list(answers)


def test_two_streams_at_once_share_the_limit(bench: Bench) -> None:
    with bench.engine(max_in_flight=2) as engine:
        one, other = (engine.stream([chat(f"{name}{at}") for at in range(6)]) for name in "ab")
        firsts = [next(one), next(other)]
        assert len(firsts) + len(list(one)) + len(list(other)) == 12
    assert bench.server.most_open == 2


def test_what_settings_exclude_is_refused_before_any_request(bench: Bench) -> None:
    cases: list[tuple[dict[str, Any], GenerationRequest, str]] = [
        ({"raw_prompts": False}, GenerationRequest(prompt="x"), "raw text"),
        ({"schema_style": SchemaStyle.NONE}, chat(json_schema={}), "JSON Schema"),
        ({"max_top_logprobs": None}, chat(top_logprobs=0), "log-probabilities"),
        ({"max_top_logprobs": 5}, chat(top_logprobs=6), "at most 5"),
    ]
    for settings, request, problem in cases:
        with bench.engine(**settings) as engine, pytest.raises(ConfigError, match=problem):
            engine.stream([chat(), request])
    with bench.engine() as engine, pytest.raises(ConfigError, match="likelihood is off"):
        engine.loglikelihood([LikelihoodRequest(context="a", continuation="b")])
    with bench.engine() as engine, pytest.raises(ConfigError, match="likelihood is off"):
        engine.sequence_logprobs(["a"])
    assert bench.server.seen == []


def test_ledger_counts_attempts_failures_tokens_and_cost(bench: Bench) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}
    body = {
        "model": "toy-0101",
        "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
        "usage": usage,
    }
    bench.server.script = [
        Reply(status=500),
        Reply(body=body),
        Reply(body=body | {"usage": None}),
        Reply(status=400),
        Reply(body=body | {"model": "toy-0102", "usage": {"prompt_tokens": True}}),
    ]
    with bench.engine(
        max_in_flight=1, prompt_price=2.0, completion_price=10.0, cached_prompt_price=1.0, currency="TWD"
    ) as engine:
        engine.generate([chat(str(at)) for at in range(4)])
        ledger = engine.ledger()
        assert engine.identity.reported_id == "toy-0101"
    assert (ledger.num_attempts, ledger.num_failures, ledger.currency) == (5, 1, "TWD")
    one, two = ledger.models
    assert (one.model, one.num_answers, one.num_without_usage) == ("toy-0101", 2, 1)
    assert (one.num_prompt_tokens, one.num_completion_tokens, one.num_cached_tokens) == (1000, 100, 400)
    assert (one.num_refused, two.num_refused) == (0, 0)
    assert (two.model, two.num_answers, two.num_without_usage, two.cost) == ("toy-0102", 1, 1, None)
    # 600 at 2, 400 at 1, 100 at 10, per million
    assert ledger.cost == pytest.approx(0.0026)
