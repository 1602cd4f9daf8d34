from typing import Any

import pytest
from fault_server import FaultServer, Reply, ToyServer
from hypothesis import given
from hypothesis import strategies as st

from twllm_engines import OpenAISettings, SchemaStyle, load_engine
from twllm_engines._openai._answers import split_think
from twllm_engines._openai._echo import EchoedToken, read_echo
from twllm_engines._openai._pacing import Window, backoff_seconds, estimate_tokens, parse_retry_after
from twllm_types import (
    Completion,
    Conversation,
    DataError,
    EngineFailure,
    FailureKind,
    FinishReason,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    LikelihoodScorer,
    Message,
    Role,
    SamplingParams,
    SequenceLogprobs,
    SequenceScorer,
)


def chat(content: str = "abc", **params: Any) -> GenerationRequest:
    messages = (Message(role=Role.SYSTEM, content="sys"), Message(role=Role.USER, content=content))
    return GenerationRequest(prompt=Conversation(messages=messages), params=SamplingParams(**params))


def ask(server: FaultServer, request: GenerationRequest, **values: Any) -> Completion:
    with load_engine(OpenAISettings(model="toy", base_url=server.url, **values)) as engine:
        (answer,) = engine.generate([request])
    assert isinstance(answer, Completion), answer
    return answer


def answering(server: FaultServer, message: dict[str, Any], **fields: Any) -> None:
    choice = {"index": 0, "message": message, "finish_reason": "stop"} | fields
    server.answer = lambda _seen: Reply(body={"model": "toy", "choices": [choice]})


def test_chat_body_holds_what_was_asked_and_nothing_else(server: FaultServer) -> None:
    ask(server, chat())
    assert server.seen[0].path == "/v1/chat/completions"
    assert server.bodies()[0] == {
        "model": "toy",
        "messages": [{"role": "system", "content": "sys"}, {"role": "user", "content": "abc"}],
        "max_tokens": 256,
        "temperature": 0.0,
    }


def test_chat_body_with_every_parameter_names_each(server: FaultServer) -> None:
    request = chat(
        max_tokens=5, temperature=0.5, top_p=0.9, top_k=3, num_samples=2, stop=("x",), seed=0, top_logprobs=2
    )
    ask(server, request, max_tokens_field="max_completion_tokens")
    body = server.bodies()[0]
    assert body["max_completion_tokens"] == 5
    assert "max_tokens" not in body
    assert (body["temperature"], body["top_p"], body["top_k"], body["n"]) == (0.5, 0.9, 3, 2)
    assert (body["stop"], body["seed"], body["logprobs"], body["top_logprobs"]) == (["x"], 0, True, 2)


def test_raw_body_goes_to_completions_as_it_stands(server: FaultServer) -> None:
    answer = ask(server, GenerationRequest(prompt="甲\n乙", params=SamplingParams(top_logprobs=1)))
    assert server.seen[0].path == "/v1/completions"
    assert server.bodies()[0] == {
        "model": "toy",
        "prompt": "甲\n乙",
        "max_tokens": 256,
        "logprobs": 1,
        "temperature": 0.0,
    }
    assert answer.text == "乙\n甲"
    assert answer.logprobs is not None
    assert [token.token for token in answer.logprobs[0]] == ["乙", "\n", "甲"]


def test_lone_surrogate_of_an_answer_stays_and_one_of_a_redact_hook_is_sent_as_its_escape(server: FaultServer) -> None:
    settings = OpenAISettings(model="toy", base_url=server.url)
    with load_engine(settings, redact=lambda text: text.replace("?", "\ud800")) as engine:
        (answer,) = engine.generate([chat("a?")])
    assert isinstance(answer, Completion)
    assert answer.text == "\ud800a"


@pytest.mark.parametrize(
    ("style", "field"),
    [
        (SchemaStyle.RESPONSE_FORMAT, "response_format"),
        (SchemaStyle.STRUCTURED_OUTPUTS, "structured_outputs"),
        (SchemaStyle.GUIDED_JSON, "guided_json"),
    ],
)
def test_schema_is_sent_in_the_server_s_way(server: FaultServer, style: SchemaStyle, field: str) -> None:
    schema = {"type": "object", "properties": {"letter": {"type": "string"}}}
    answer = ask(server, chat(json_schema=schema), schema_style=style)
    assert answer.text == '{"letter": "A"}'
    sent = server.bodies()[0][field]
    assert schema in (sent, sent.get("json"), sent.get("json_schema", {}).get("schema"))


def test_schema_that_is_not_json_is_refused_before_any_request(server: FaultServer) -> None:
    with (
        load_engine(OpenAISettings(model="toy", base_url=server.url)) as engine,
        pytest.raises(DataError, match="JSON"),
    ):
        engine.generate([chat(json_schema={"default": float("nan")})])
    assert server.seen == []


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_field_is_kept_apart(server: FaultServer, field: str) -> None:
    answering(server, {"content": "A", field: " 想一想 "})
    answer = ask(server, chat())
    assert (answer.text, answer.reasoning) == ("A", ("想一想",))


def test_reasoning_that_took_all_tokens_leaves_an_empty_text(server: FaultServer) -> None:
    answering(server, {"content": None, "reasoning_content": "想"}, finish_reason="length")
    answer = ask(server, chat())
    assert (answer.text, answer.reasoning, answer.finish_reason) == ("", ("想",), FinishReason.LENGTH)


def test_think_block_is_split_or_kept_by_choice(server: FaultServer) -> None:
    answering(server, {"content": "<think>想</think>\n\nA"})
    split, kept = ask(server, chat()), ask(server, chat(), think_blocks="keep")
    assert (split.text, split.reasoning) == ("A", ("想",))
    assert (kept.text, kept.reasoning) == ("<think>想</think>\n\nA", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A", ("", "A")),
        ("", ("", "")),
        (" <think>x</think> A ", ("x", "A ")),
        ("<think>x", ("x", "")),
        ("<think></think>A", ("", "A")),
        ("x</think>A", ("x", "A")),
        ('{"why": "it says </think>"}', ("", '{"why": "it says </think>"}')),
        ("A <think>x</think>", ("", "A <think>x</think>")),
    ],
)
def test_split_think_tells_reasoning_from_answer(text: str, expected: tuple[str, str]) -> None:
    assert split_think(text) == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("tool_calls", FinishReason.TOOL_CALL),
        ("eos", FinishReason.STOP),
    ],
)
def test_finish_reasons_are_read(server: FaultServer, reason: str, expected: FinishReason) -> None:
    answering(server, {"content": None, "refusal": None}, finish_reason=reason)
    answer = ask(server, chat())
    assert (answer.text, answer.finish_reason) == ("", expected)


def test_stop_string_that_a_server_leaves_in_is_cut(server: FaultServer) -> None:
    answering(server, {"content": "甲乙丙丁"})
    assert ask(server, chat(stop=("丁", "丙"))).text == "甲乙"


def test_samples_are_put_in_order(server: FaultServer) -> None:
    choices = [{"index": at, "message": {"content": str(at)}, "finish_reason": "stop"} for at in (2, 0, 1)]
    server.answer = lambda _seen: Reply(body={"choices": choices})
    assert ask(server, chat(num_samples=3)).texts == ("0", "1", "2")


def scorer(server: FaultServer, **values: Any) -> Any:
    return load_engine(OpenAISettings(model="toy", base_url=server.url, likelihood="echo", **values))


@pytest.mark.parametrize("num_tokens", [0, 1])
def test_likelihood_by_echo_sums_the_continuation(server: FaultServer, num_tokens: int) -> None:
    with scorer(server, echo_max_tokens=num_tokens) as engine:
        assert isinstance(engine, LikelihoodScorer)
        (answer,) = engine.loglikelihood([LikelihoodRequest(context="甲乙", continuation="丙丁")])
    assert isinstance(answer, Likelihood)
    # The toy model gives its token i the log-probability -(i + 1) / 10.
    assert answer.logprob == pytest.approx(-0.7)
    assert (answer.num_tokens, answer.is_greedy) == (2, True)
    assert server.bodies()[0]["max_tokens"] == num_tokens


def test_likelihood_without_context_or_echo_is_a_failure(server: FaultServer) -> None:
    with scorer(server) as engine:
        (answer,) = engine.loglikelihood([LikelihoodRequest(context="", continuation="丙")])
        assert isinstance(answer, EngineFailure)
        assert answer.kind is FailureKind.MISSING_LOGPROBS
        server.answer = ToyServer(has_echo=False)
        (answer,) = engine.loglikelihood([LikelihoodRequest(context="a", continuation="丙")])
        assert isinstance(answer, EngineFailure)
        assert answer.kind is FailureKind.BAD_REQUEST


@pytest.mark.parametrize("logprobs", [None, {}, {"tokens": ["a"], "token_logprobs": [], "top_logprobs": []}])
def test_echo_without_logprobs_is_a_failure(server: FaultServer, logprobs: Any) -> None:
    server.answer = lambda _seen: Reply(body={"choices": [{"text": "ab", "logprobs": logprobs}]})
    with scorer(server) as engine:
        (answer,) = engine.loglikelihood([LikelihoodRequest(context="a", continuation="b")])
    assert isinstance(answer, EngineFailure)
    assert answer.kind is FailureKind.MISSING_LOGPROBS


def test_greedy_is_unknown_without_alternatives(server: FaultServer) -> None:
    logprobs = {"tokens": ["a", "b"], "token_logprobs": [None, -1.0], "top_logprobs": [None, None]}
    server.answer = lambda _seen: Reply(body={"choices": [{"text": "ab", "logprobs": logprobs}]})
    with scorer(server) as engine:
        (answer,) = engine.loglikelihood([LikelihoodRequest(context="a", continuation="b")])
    assert answer == Likelihood(logprob=-1.0, num_tokens=1, is_greedy=None)


def test_sequence_logprobs_by_echo_lack_the_first_token(server: FaultServer) -> None:
    with scorer(server) as engine:
        assert isinstance(engine, SequenceScorer)
        first, empty = engine.sequence_logprobs(["甲乙丙", ""])
    assert isinstance(first, SequenceLogprobs)
    assert first.tokens == ("乙", "丙")
    assert first.logprobs == pytest.approx((-0.2, -0.3))
    assert empty == SequenceLogprobs(tokens=(), logprobs=())
    assert len(server.seen) == 1


def tokens(*texts: str, is_first_scored: bool = False) -> tuple[EchoedToken, ...]:
    return tuple(
        EchoedToken(text=text, logprob=None if at == 0 and not is_first_scored else -1.0, best=-1.0)
        for at, text in enumerate(texts)
    )


@pytest.mark.parametrize(
    ("texts", "context", "continuation", "expected"),
    [
        (("你", "好", "嗎"), "你好", "嗎", (3, 2)),
        (("<s>", "你", "好"), "你", "好", (3, 2)),
        (("<s>", "好"), "", "好", (2, 1)),
        (("<s>", "�", "�", "好"), "你", "好", (4, 3)),
        (("bytes:\\xe4\\xbd", "bytes:\\xa0", "好"), "你", "好", (3, 2)),
        (("你", "�", "�"), "你", "好", (3, 1)),
        (("�",), "", "�", (1, 0)),
    ],
)
def test_read_echo_finds_the_boundary(
    texts: tuple[str, ...], context: str, continuation: str, expected: tuple[int, int]
) -> None:
    found, num_context = read_echo(tokens(*texts), context=context, continuation=continuation)
    assert (len(found), num_context) == expected


@pytest.mark.parametrize(("texts", "expected"), [(("你", "好", "!"), (2, 1)), (("你", "好"), (2, 1))])
def test_read_echo_drops_what_the_server_wrote(texts: tuple[str, ...], expected: tuple[int, int]) -> None:
    found, num_context = read_echo(tokens(*texts), context="你", continuation="好", num_written=1)
    assert (len(found), num_context) == expected


@pytest.mark.parametrize(
    ("texts", "context", "continuation"),
    [
        (("你好",), "你", "好"),
        (("你", "壞"), "你", "好"),
        (("你",), "你", "好"),
        ((), "你", "好"),
        (("�", "�", "�", "�"), "你", "好"),
        (("你", "", "好"), "你", "好"),
    ],
)
def test_read_echo_that_is_not_sure_is_refused(texts: tuple[str, ...], context: str, continuation: str) -> None:
    with pytest.raises(ValueError, match=r"token|end"):
        read_echo(tokens(*texts, is_first_scored=True), context=context, continuation=continuation)


# What stands for half a character is left out: here the tokens are whole.
_whole_tokens = st.text(min_size=1, max_size=3).filter(lambda text: "�" not in text and not text.startswith("bytes:"))


@given(st.lists(_whole_tokens, min_size=2, max_size=8), st.data())
def test_read_echo_of_whole_tokens_finds_every_boundary(texts: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(texts) - 1))
    context, continuation = "".join(texts[:place]), "".join(texts[place:])
    found, num_context = read_echo(tokens(*texts, is_first_scored=True), context=context, continuation=continuation)
    assert (len(found), num_context) == (len(texts), place)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0.01, 100), st.floats(0.01, 1000))
def test_backoff_stays_below_its_ceiling(attempt: int, draw: float, base: float, most: float) -> None:
    wait = backoff_seconds(attempt, draw, base_seconds=base, max_seconds=most)
    assert 0 <= wait <= most
    assert wait <= base * 2.0 ** min(attempt - 1, 64)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("12", 12.0),
        (" 0.5 ", 0.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thursday, 01-Jan-70 00:01:40 GMT", 40.0),
        ("Thu Jan  1 00:01:40 1970", 40.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, expected: float | None) -> None:
    assert parse_retry_after(value, 60.0) == expected


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 30)), max_size=40), st.floats(1, 40))
def test_window_never_spends_more_than_its_limit(steps: list[tuple[float, float]], limit: float) -> None:
    window = Window(limit)
    now = 0.0
    spent: list[tuple[float, float]] = []
    for pause, amount in steps:
        now += pause
        now += window.wait_seconds(amount, now)
        assert window.wait_seconds(amount, now) <= 1e-6
        window.spend(amount, now)
        spent.append((now, amount))
    for end, _ in spent:
        within = [amount for time, amount in spent if end - 60 + 1e-6 < time <= end]
        assert sum(within) <= limit + 1e-6 or len(within) == 1


def test_window_counts_what_was_really_spent() -> None:
    window = Window(10)
    cell = window.spend(9, 0.0)
    assert window.wait_seconds(5, 1.0) == 59.0
    window.correct(cell, 3)
    assert window.wait_seconds(5, 1.0) == 0.0
    assert window.wait_seconds(11, 60.0) == 0.0
    window.correct(cell, 50)
    assert window.wait_seconds(10, 60.0) == 0.0


def test_token_estimate_counts_han_characters_by_one_and_ascii_by_four() -> None:
    assert (estimate_tokens(""), estimate_tokens("臺灣"), estimate_tokens("abcde")) == (0, 2, 2)
