import json
from typing import Any

import pytest
from fake_clock import FakeClock
from fault_server import FaultServer, Reply, Seen, ToyServer
from openai_bench import Bench, chat, failure, text

from twllm_engines import OpenAISettings
from twllm_engines._openai import OpenAIEngine
from twllm_types import (
    Completion,
    FailureKind,
    FinishReason,
    GenerationRequest,
    SamplingParams,
)

ERROR = {"error": {"message": "secret request text", "code": "rate_limit_exceeded"}}


@pytest.fixture
def bench(server: FaultServer) -> Bench:
    return Bench(server)


def test_rate_limit_with_seconds_waits_as_long_as_asked(bench: Bench) -> None:
    answer = bench.ask(Reply(status=429, body=ERROR, headers={"Retry-After": "7"}), backoff_base_seconds=1.0)
    assert text(answer) == "cba"
    assert 7 <= bench.clock.now <= 8


def test_rate_limit_with_date_waits_until_then(bench: Bench) -> None:
    # 2026-01-01 00:00:00 UTC is the fake clock's beginning.
    reply = Reply(status=429, body=ERROR, headers={"Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT"})
    assert text(bench.ask(reply)) == "cba"
    assert 30 <= bench.clock.now <= 31


def test_rate_limit_without_header_backs_off_with_growing_ceilings(bench: Bench) -> None:
    answer = failure(
        bench.ask(
            *[Reply(status=429, body=ERROR)] * 5, max_attempts=5, backoff_base_seconds=2.0, backoff_max_seconds=6.0
        )
    )
    assert (answer.kind, answer.num_attempts) == (FailureKind.RATE_LIMITED, 5)
    assert len(bench.clock.slept) == 4
    assert all(waited <= ceiling for waited, ceiling in zip(bench.clock.slept, (2, 4, 6, 6), strict=True))
    assert len(set(bench.clock.slept)) == 4


def test_retry_after_longer_than_allowed_ends_the_request(bench: Bench) -> None:
    answer = failure(bench.ask(Reply(status=429, headers={"Retry-After": "301"})))
    assert (answer.kind, answer.num_attempts) == (FailureKind.RATE_LIMITED, 1)
    assert bench.clock.slept == []


def test_exhausted_quota_is_not_tried_again(bench: Bench) -> None:
    answer = failure(bench.ask(Reply(status=429, body={"error": {"code": "insufficient_quota"}})))
    assert (answer.kind, answer.num_attempts) == (FailureKind.RATE_LIMITED, 1)
    assert "insufficient_quota" in answer.message


def test_wait_beyond_the_deadline_ends_the_request_at_once(bench: Bench) -> None:
    answer = failure(bench.ask(Reply(status=429, headers={"Retry-After": "100"}), deadline_seconds=90))
    assert answer.num_attempts == 1
    assert bench.clock.slept == []


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_server_errors_are_tried_again(bench: Bench, status: int) -> None:
    assert text(bench.ask(Reply(status=status), Reply(status=status, body="<html>"))) == "cba"
    assert len(bench.server.seen) == 3


def test_server_error_that_stays_is_a_failure_without_contents(bench: Bench) -> None:
    answer = failure(bench.ask(*[Reply(status=500, body=ERROR)] * 3, max_attempts=3))
    assert (answer.kind, answer.num_attempts) == (FailureKind.SERVER_ERROR, 3)
    assert "secret" not in answer.message
    assert "rate_limit_exceeded" in answer.message


def test_reset_in_the_middle_of_the_body_is_tried_again(bench: Bench) -> None:
    assert text(bench.ask(Reply(body=ERROR, cut_after=10))) == "cba"
    answer = failure(bench.ask(*[Reply(body=ERROR, cut_after=10)] * 2, max_attempts=2))
    assert (answer.kind, answer.num_attempts) == (FailureKind.CONNECTION, 2)


def test_server_that_closes_idle_connections_costs_no_attempt(bench: Bench) -> None:
    bench.server.script = [Reply(status=200, body=bench.server.answer(_seen("x")).body)]
    with bench.engine(max_attempts=1) as engine:
        assert text(engine.generate([chat()])[0]) == "x"
        bench.server.drop_connections()
        assert text(engine.generate([chat()])[0]) == "cba"


def test_connection_reset_before_an_answer_costs_no_attempt_only_when_it_was_reused(bench: Bench) -> None:
    answer = failure(bench.ask(Reply(status=0), max_attempts=1))
    assert answer.kind is FailureKind.CONNECTION
    with bench.engine(max_attempts=1) as engine:
        assert text(engine.generate([chat()])[0]) == "cba"
        bench.server.script = [Reply(status=0)]
        assert text(engine.generate([chat()])[0]) == "cba"
        bench.server.script = [Reply(body=ERROR, cut_after=10)]
        assert failure(engine.generate([chat()])[0]).kind is FailureKind.CONNECTION


def test_slow_body_times_out_by_silence(bench: Bench) -> None:
    answer = failure(bench.ask(Reply(body=ERROR, stalls=True), read_timeout_seconds=0.1, max_attempts=1))
    assert answer.kind is FailureKind.TIMEOUT
    assert "silent for 0.1 s" in answer.message


def test_slow_body_times_out_as_a_whole(bench: Bench) -> None:
    answer = failure(bench.ask(Reply(body=ERROR, stalls=True), attempt_timeout_seconds=0.1, max_attempts=1))
    assert answer.kind is FailureKind.TIMEOUT
    assert "no whole answer within 0.1 s" in answer.message


def test_slow_body_then_answer_is_an_answer(bench: Bench) -> None:
    assert text(bench.ask(Reply(body=ERROR, stalls=True), read_timeout_seconds=0.1)) == "cba"


@pytest.mark.parametrize("body", ["{", "[]", '"x"', "", '{"model": "toy"}', '{"choices": []}', '{"choices": [1]}'])
def test_malformed_body_is_tried_again_and_then_a_failure(bench: Bench, body: str) -> None:
    assert text(bench.ask(Reply(body=body))) == "cba"
    answer = failure(bench.ask(*[Reply(body=body)] * 2, max_attempts=2))
    assert (answer.kind, answer.num_attempts) == (FailureKind.MALFORMED_RESPONSE, 2)


def test_not_http_is_a_connection_failure(bench: Bench) -> None:
    answer = failure(bench.ask(Reply(headers={"bad header": "x"}), max_attempts=1))
    assert answer.kind is FailureKind.CONNECTION


def choice(**fields: Any) -> Reply:
    whole = {"index": 0, "message": {"content": "x"}, "finish_reason": "stop"} | fields
    return Reply(body={"model": "toy", "choices": [whole]})


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (choice(message=None), "without 'message'"),
        (choice(message={"content": 3}), "is no string"),
        (choice(finish_reason="abort"), "finish reason 'abort'"),
        (choice(finish_reason=None), "finish reason 'None'"),
        (Reply(body={"model": 3, "choices": [{}]}), "something else than a string"),
        (Reply(body={"model": "toy", "choices": [{}, {}]}), "2 samples instead of 1"),
    ],
)
def test_answer_that_is_not_what_was_asked_for_is_a_failure(bench: Bench, reply: Reply, problem: str) -> None:
    answer = failure(bench.ask(reply))
    assert (answer.kind, answer.num_attempts) == (FailureKind.MALFORMED_RESPONSE, 1)
    assert problem in answer.message


@pytest.mark.parametrize("places", [(0, 0), (1, 1), (0, 2, 2)])
def test_two_choices_of_one_index_are_a_failure_and_not_two_samples(bench: Bench, places: tuple[int, ...]) -> None:
    rows = [{"index": at, "message": {"content": str(n)}, "finish_reason": "stop"} for n, at in enumerate(places)]
    answer = failure(bench.ask(Reply(body={"choices": rows}), request=chat(num_samples=len(places))))
    assert (answer.kind, answer.num_attempts) == (FailureKind.MALFORMED_RESPONSE, 1)
    assert f"has two choices with the index {places[-1]}" in answer.message


def test_choices_without_index_are_samples_in_their_order(bench: Bench) -> None:
    rows = [{"text": letter, "finish_reason": "stop"} for letter in "ba"]
    request = GenerationRequest(prompt="x", params=SamplingParams(num_samples=2))
    answer = bench.ask(Reply(body={"choices": rows}), request=request)
    assert isinstance(answer, Completion)
    assert answer.texts == ("b", "a")


def test_raw_choice_without_text_is_a_failure(bench: Bench) -> None:
    reply = Reply(body={"choices": [{"finish_reason": "stop"}]})
    assert "without 'text'" in failure(bench.ask(reply, request=GenerationRequest(prompt="x"))).message


@pytest.mark.parametrize(
    "reported", ["toy", "toy-2026-01-01", "toy-20260101", "toy-0613", "toy-2411", "vendor/toy", "vendor/toy-0613", None]
)
def test_model_of_the_same_name_is_accepted(bench: Bench, reported: str | None) -> None:
    bench.server.answer = ToyServer(model=reported)  # type: ignore[arg-type]
    answer = bench.ask()
    assert isinstance(answer, Completion)
    assert answer.model == reported


@pytest.mark.parametrize(
    "reported",
    [
        *("other", "toyota", "toy2", "toy-mini", "toy-mini-2026-01-01", "toy-Base", "vendor/toy-Base", "toy-latest"),
        *("toy-4096", "toy-2026", "toy-2026-13-01", "toy-2026-01-01-x", "toy-0613-preview", "toy-8b"),
    ],
)
def test_model_of_another_name_is_a_failure_unless_expected(bench: Bench, reported: str) -> None:
    bench.server.answer = ToyServer(model=reported)
    answer = failure(bench.ask())
    assert (answer.kind, answer.num_attempts) == (FailureKind.MALFORMED_RESPONSE, 1)
    assert "reported_model" in answer.message
    assert text(bench.ask(reported_model=reported)) == "cba"
    assert text(bench.ask(reported_model="*")) == "cba"
    failure(bench.ask(reported_model="toy"))


@pytest.mark.parametrize(
    ("model", "reported", "is_same"),
    [
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", True),
        ("Qwen/Qwen3-8B", "Qwen3-8B", True),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B-2507", True),
        ("Qwen/Qwen3-8B", "other/Qwen3-8B", False),
        ("Qwen/Qwen3-8B", "other/Qwen3-8B-Base", False),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B-Base", False),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06", False),
        ("gpt-4o-2024-05-13", "gpt-4o", False),
    ],
)
def test_model_with_a_path_or_a_date_is_the_same_only_where_nothing_else_differs(
    bench: Bench, model: str, reported: str, *, is_same: bool
) -> None:
    bench.server.answer = ToyServer(model=reported)
    assert isinstance(bench.ask(model=model), Completion) is is_same


def test_missing_logprobs_are_a_failure_never_a_score(bench: Bench) -> None:
    bench.server.answer = ToyServer(has_logprobs=False)
    for request in (chat(top_logprobs=1), GenerationRequest(prompt="ab", params=SamplingParams(top_logprobs=1))):
        answer = failure(bench.ask(request=request))
        assert (answer.kind, answer.num_attempts) == (FailureKind.MISSING_LOGPROBS, 1)


@pytest.mark.parametrize(
    "logprobs",
    [
        {"content": [{"token": "x"}]},
        {"content": [{"token": "x", "logprob": 0.5}]},
        {"content": [{"token": "x", "logprob": True}]},
        {"content": [{"token": "x", "logprob": float("nan")}]},
        {"content": [{"token": "x", "logprob": -1.0, "top_logprobs": []}]},
        {"content": 3},
        [],
    ],
)
def test_unreadable_logprobs_are_a_failure(bench: Bench, logprobs: Any) -> None:
    answer = failure(bench.ask(choice(logprobs=logprobs), request=chat(top_logprobs=1)))
    assert answer.kind is FailureKind.MISSING_LOGPROBS


def test_logprob_rounded_above_zero_is_zero_and_the_likelier_twin_counts(bench: Bench) -> None:
    tops = [{"token": "�", "logprob": -3.0}, {"token": "�", "logprob": -2.0}, {"token": "z", "logprob": -2.5}]
    content = [{"token": "x", "logprob": 1e-6, "top_logprobs": tops}]
    answer = bench.ask(choice(logprobs={"content": content}), request=chat(top_logprobs=3))
    assert isinstance(answer, Completion)
    assert answer.logprobs is not None
    assert answer.logprobs[0][0].logprob == 0.0
    assert answer.logprobs[0][0].top == {"�": -2.0, "z": -2.5}


def test_answer_without_text_needs_no_logprobs(bench: Bench) -> None:
    answer = bench.ask(choice(message={"content": ""}, logprobs=None), request=chat(top_logprobs=1))
    assert isinstance(answer, Completion)
    assert answer.logprobs == ((),)


def test_truncated_answer_says_so(bench: Bench) -> None:
    answer = bench.ask(request=chat("abcdef", max_tokens=2))
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason) == ("fe", FinishReason.LENGTH)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"code": "context_length_exceeded"}}, FailureKind.CONTEXT_LENGTH),
        (400, {"message": "This model's maximum context length is 16 tokens"}, FailureKind.CONTEXT_LENGTH),
        (400, {"error": {"type": "invalid_request_error"}}, FailureKind.BAD_REQUEST),
        (422, "no JSON", FailureKind.BAD_REQUEST),
        (401, {"error": {"code": "invalid_api_key"}}, FailureKind.AUTHENTICATION),
        (403, [], FailureKind.AUTHENTICATION),
        (404, {"error": {"code": "model_not_found"}}, FailureKind.BAD_REQUEST),
    ],
)
def test_refusal_is_a_failure_of_its_kind_and_not_tried_again(
    bench: Bench, status: int, body: Any, kind: FailureKind
) -> None:
    answer = failure(bench.ask(Reply(status=status, body=body)))
    assert (answer.kind, answer.num_attempts) == (kind, 1)
    assert str(status) in answer.message


@pytest.mark.parametrize("code", ["sk-abcdef0123456789", "x" * 41, "秘密", 7])
def test_error_code_that_may_be_a_secret_is_not_shown(bench: Bench, code: Any) -> None:
    answer = failure(bench.ask(Reply(status=400, body={"error": {"code": code}})))
    assert answer.message == "the server answered 400"


def test_timeout_status_is_a_timeout(bench: Bench) -> None:
    assert failure(bench.ask(Reply(status=408), max_attempts=1)).kind is FailureKind.TIMEOUT


def test_refused_key_stops_requests_that_would_fail_alike(bench: Bench) -> None:
    bench.server.answer = lambda _seen: Reply(status=401)
    with bench.engine(max_in_flight=1) as engine:
        answers = engine.generate([chat(str(at)) for at in range(50)])
    assert all(failure(answer).kind is FailureKind.AUTHENTICATION for answer in answers)
    assert len(bench.server.seen) == 1
    assert "not sent" in failure(answers[-1]).message


def test_refused_key_after_answers_stops_nothing(bench: Bench) -> None:
    bench.server.script = [bench.server.answer(_seen("ab")), Reply(status=403)]
    with bench.engine(max_in_flight=1) as engine:
        answers = engine.generate([chat(), chat(), chat()])
    assert [isinstance(answer, Completion) for answer in answers] == [True, False, True]


def test_missing_endpoint_stops_neither_the_other_nor_later_calls(bench: Bench) -> None:
    raw = GenerationRequest(prompt="abc")
    toy = ToyServer()
    bench.server.answer = lambda seen: toy(seen) if "chat" in seen.path else Reply(status=404)
    with bench.engine(max_in_flight=1) as engine:
        answers = engine.generate([raw, raw, chat()])
        assert [isinstance(answer, Completion) for answer in answers] == [False, False, True]
        assert len(bench.server.seen) == 2
        bench.server.answer = toy
        assert text(engine.generate([raw])[0]) == "cba"


def _seen(content: str) -> Seen:
    body = {"messages": [{"content": content[::-1]}], "temperature": 0}
    return Seen(method="POST", path="/v1/chat/completions", headers={}, body=body)


def test_no_server_is_a_connection_failure() -> None:
    with FaultServer() as server:
        url = server.url
    with OpenAIEngine(
        OpenAISettings(model="toy", base_url=url, max_attempts=2), environment={}, clock=FakeClock()
    ) as engine:
        answer = failure(engine.generate([chat()])[0])
    assert (answer.kind, answer.num_attempts) == (FailureKind.CONNECTION, 2)


def test_unreachable_server_times_out_while_it_connects(bench: Bench) -> None:
    # The port listens, but nobody speaks TLS there, so the handshake gets no answer.
    url = bench.server.url.replace("http://", "https://")
    bench.server.is_mute = True
    answer = failure(bench.ask(base_url=url, connect_timeout_seconds=0.1, max_attempts=1))
    assert answer.kind is FailureKind.TIMEOUT
    assert "no connection within 0.1 s" in answer.message


def test_failure_messages_never_hold_contents(bench: Bench) -> None:
    scripts = [
        [Reply(status=400, body=json.dumps({"error": {"message": "abc", "code": "abc abc"}}))],
        [Reply(body="abc")],
        [Reply(status=302, headers={"Location": "http://127.0.0.1:1/abc"})],
    ]
    for script in scripts:
        answer = failure(bench.ask(*script, request=chat("abc"), max_attempts=1))
        assert "abc" not in answer.message
