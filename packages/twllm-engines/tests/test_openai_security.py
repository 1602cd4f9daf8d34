import json
import logging
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock
from fault_server import FaultServer, Reply, Seen, ToyServer

from twllm_engines import OpenAISettings, RecordingEngine, load_engine, settings_to_json
from twllm_engines._openai import OpenAIEngine
from twllm_types import (
    Completion,
    ConfigError,
    Conversation,
    EngineFailure,
    FailureKind,
    GenerationRequest,
    LikelihoodRequest,
    Message,
    Role,
    SamplingParams,
)

KEY = "sk-planted-0123456789abcdef"
HEADER = "hdr-planted-0123456789abcdef"
QUERY = "qry-planted-0123456789abcdef"
PASSWORD = "pw-planted-0123456789abcdef"
SECRETS = (KEY, HEADER, QUERY, PASSWORD)


def chat(content: str = "abc", **params: Any) -> GenerationRequest:
    conversation = Conversation(messages=(Message(role=Role.USER, content=content),))
    return GenerationRequest(prompt=conversation, params=SamplingParams(**params))


def settings_of(server: FaultServer, **values: Any) -> OpenAISettings:
    return OpenAISettings(**{"model": "toy", "base_url": server.url, "max_attempts": 1, **values})


def test_keys_are_sent_and_reach_no_log_cache_recording_or_message(
    server: FaultServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = settings_of(
        server,
        extra_headers={"X-Gateway": HEADER},
        headers_from_env={"X-Tenant": "TENANT"},
        extra_query={"key": QUERY},
        cache=tmp_path / "answers.sqlite",
        max_attempts=2,
    )
    environment = {"OPENAI_API_KEY": KEY, "TENANT": PASSWORD}
    echo = json.dumps({"error": {"code": KEY, "message": f"{KEY} {HEADER} {QUERY} {PASSWORD}"}})
    server.script = [Reply(status=500, body=echo), server.answer(_seen("ab")), Reply(status=400, body=echo)]
    engine = OpenAIEngine(settings, environment=environment, clock=FakeClock())
    with RecordingEngine(engine, tmp_path / "answers.jsonl") as recording:
        answers = recording.generate([chat("1")]) + recording.generate([chat("2")])
        shown = [repr(settings), repr(engine), repr(answers), json.dumps(engine.settings), repr(engine.identity)]
        shown += [repr(engine.ledger()), json.dumps(settings_to_json(settings)), caplog.text]
    sent = server.seen[-1]
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert (sent.headers["x-gateway"], sent.headers["x-tenant"]) == (HEADER, PASSWORD)
    assert sent.path.endswith(f"?key={QUERY}")
    assert isinstance(answers[1], EngineFailure)
    files = [file.read_bytes().decode("utf-8", "replace") for file in tmp_path.iterdir()]
    assert len(files) >= 2
    for secret in SECRETS:
        assert not [text for text in (*shown, *files) if secret in text]


def _seen(content: str) -> Seen:
    return Seen(
        method="POST",
        path="/v1/chat/completions",
        headers={},
        body={"messages": [{"content": content}], "temperature": 0},
    )


def test_key_header_prefix_and_variable_are_settings(server: FaultServer) -> None:
    settings = settings_of(server, api_key_env="MY_KEY", api_key_header="api-key")
    with OpenAIEngine(settings, environment={"MY_KEY": KEY}) as engine:
        engine.generate([chat()])
        assert engine.settings["sends_key"] is True
    assert server.seen[0].headers["api-key"] == KEY
    assert "authorization" not in server.seen[0].headers
    with OpenAIEngine(replace(settings, api_key_prefix="Token "), environment={"MY_KEY": KEY}) as engine:
        engine.generate([chat()])
    assert server.seen[1].headers["api-key"] == f"Token {KEY}"


def test_server_on_this_machine_needs_no_key(server: FaultServer) -> None:
    with OpenAIEngine(settings_of(server), environment={}) as engine:
        engine.generate([chat()])
        assert engine.settings["sends_key"] is False
    assert "authorization" not in server.seen[0].headers


@pytest.mark.parametrize(
    ("values", "environment", "problem"),
    [
        ({"base_url": "https://models.example/v1"}, {}, "OPENAI_API_KEY .the server's key. is not set"),
        ({"base_url": "https://models.example/v1", "api_key_env": "OTHER"}, {}, "OTHER"),
        ({"base_url": "http://models.example/v1"}, {"OPENAI_API_KEY": KEY}, "travel unencrypted to models.example"),
        (
            {"base_url": "http://models.example/v1", "api_key_env": None, "headers_from_env": {"X": "V"}},
            {"V": KEY},
            "travel unencrypted",
        ),
        ({"headers_from_env": {"X": "V"}}, {}, "V .header 'X'. is not set"),
        ({}, {"OPENAI_API_KEY": f"{KEY}\nX: y"}, "holds characters that no header can"),
    ],
)
def test_key_that_cannot_be_used_is_refused_without_showing_it(
    server: FaultServer, values: dict[str, Any], environment: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        OpenAIEngine(settings_of(server, **values), environment=environment)
    assert KEY not in str(caught.value)


def test_key_over_http_is_sent_by_choice_only() -> None:
    settings = OpenAISettings(model="toy", base_url="http://models.example/v1", allow_key_over_http=True)
    OpenAIEngine(settings, environment={"OPENAI_API_KEY": KEY}).close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_a_failure_and_not_followed(server: FaultServer, status: int) -> None:
    with FaultServer() as other:
        server.answer = lambda _seen: Reply(status=status, headers={"Location": f"{other.url}/chat/completions"})
        with OpenAIEngine(settings_of(server), environment={"OPENAI_API_KEY": KEY}) as engine:
            answers = engine.generate([chat(), chat("2")])
        assert other.seen == []
    for answer in answers:
        assert isinstance(answer, EngineFailure)
        assert answer.kind is FailureKind.BAD_REQUEST
        assert "redirects are not followed" in answer.message


NO_OTHER_HOST = """
import json, sys
sys.path.insert(0, {importable!r})
contacted = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        contacted.append([event, repr(arguments[1:] if event == "socket.connect" else arguments)])
sys.addaudithook(watch)
from fault_server import FaultServer, Reply, ToyServer
from twllm_engines import OpenAISettings, load_engine
from twllm_types import GenerationRequest, LikelihoodRequest, SamplingParams
with FaultServer() as server:
    elsewhere = Reply(status=307, headers={{"Location": "http://192.0.2.1/v1", "Refresh": "0; http://192.0.2.2/"}})
    server.script = [elsewhere, Reply(status=500), Reply(status=429, headers={{"Retry-After": "0"}}), Reply(body="{{")]
    settings = OpenAISettings(model="toy", base_url=server.url, likelihood="echo", backoff_base_seconds=0.01)
    for _ in range(2):
        with load_engine(settings) as engine:
            engine.generate([GenerationRequest(prompt=str(at)) for at in range(6)])
            engine.loglikelihood([LikelihoodRequest(context="a", continuation="b")])
    print(json.dumps({{"port": server.port, "seen": len(server.seen), "contacted": contacted}}))
"""


def test_no_other_host_is_contacted() -> None:
    # A process of its own: an audit hook stays for the life of its process. The proxies there must not be used.
    program = NO_OTHER_HOST.format(importable=str(Path(__file__).parent / "importable"))
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"), "http://192.0.2.9:3128")
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ | proxies
    )
    result = json.loads(finished.stdout)
    assert result["seen"] >= 8
    connects = [place for event, place in result["contacted"] if event == "socket.connect"]
    assert connects
    assert set(connects) == {f"(('127.0.0.1', {result['port']}),)"}
    assert not [place for event, place in result["contacted"] if event != "socket.connect" and "127.0.0.1" not in place]


def test_redact_runs_before_anything_is_sent_or_cached(server: FaultServer, tmp_path: Path) -> None:
    settings = settings_of(server, cache=tmp_path / "answers.sqlite", likelihood="echo")
    with load_engine(settings, redact=lambda text: text.replace("王小明", "[姓名]")) as engine:
        engine.generate([chat("王小明好"), GenerationRequest(prompt="請找王小明")])
        assert isinstance(engine, OpenAIEngine)
        engine.loglikelihood([LikelihoodRequest(context="王小明", continuation="是王小明")])
        assert engine.settings["redacts"] is True
    assert [body.get("prompt") or body["messages"][0]["content"] for body in server.bodies()] == [
        "[姓名]好",
        "請找[姓名]",
        "[姓名]是[姓名]",
    ]
    assert not [file for file in tmp_path.iterdir() if "王小明".encode() in file.read_bytes()]


def test_redact_that_fails_sends_nothing(server: FaultServer) -> None:
    def broken(text: str) -> str:
        raise LookupError(text)

    with load_engine(settings_of(server), redact=broken) as engine, pytest.raises(LookupError):
        engine.generate([chat()])
    nothing: Any = lambda _text: None  # noqa: E731
    with load_engine(settings_of(server), redact=nothing) as engine, pytest.raises(ConfigError, match="NoneType"):
        engine.generate([chat()])
    assert server.seen == []


def _certificate(folder: Path, name: str, *arguments: str) -> tuple[Path, Path]:
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(certificate), "-subj", f"/CN={name}"]
    # The name is found on the path, as everywhere else openssl is called.
    command = ["openssl", "req", "-x509", *curve, *files, *arguments]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("tls")
    return {
        "server": _certificate(folder, "server", "-addext", "subjectAltName=IP:127.0.0.1"),
        "client": _certificate(folder, "client"),
    }


@pytest.fixture
def tls_server(certificates: dict[str, tuple[Path, Path]]) -> Iterator[FaultServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates["server"])
    context.load_verify_locations(certificates["client"][0])
    context.verify_mode = ssl.CERT_OPTIONAL
    with FaultServer(tls=context) as server:
        yield server


def ask(settings: OpenAISettings, environment: dict[str, str] | None = None) -> Completion | EngineFailure:
    with OpenAIEngine(settings, environment=environment or {}, clock=FakeClock()) as engine:
        return engine.generate([chat()])[0]


def test_server_of_an_unknown_authority_is_refused(tls_server: FaultServer) -> None:
    answer = ask(settings_of(tls_server, max_attempts=3))
    assert isinstance(answer, EngineFailure)
    assert (answer.kind, answer.num_attempts) == (FailureKind.CONNECTION, 1)
    assert "ca_bundle" in answer.message
    assert tls_server.seen == []


def test_ca_bundle_and_client_certificate_are_used(
    tls_server: FaultServer, certificates: dict[str, tuple[Path, Path]]
) -> None:
    (bundle, _), (certificate, key) = certificates["server"], certificates["client"]
    settings = settings_of(tls_server, ca_bundle=bundle, client_certificate=certificate, client_key=key)
    assert isinstance(ask(settings), Completion)
    assert tls_server.peers == ["client"]


def test_certificates_of_the_environment_are_used_by_choice_only(
    tls_server: FaultServer, certificates: dict[str, tuple[Path, Path]]
) -> None:
    environment = {"SSL_CERT_FILE": str(certificates["server"][0])}
    assert isinstance(ask(settings_of(tls_server, trust_env=True), environment), Completion)
    assert isinstance(ask(settings_of(tls_server), environment), EngineFailure)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"ca_bundle": Path("absent.pem")}, "ca_bundle absent.pem: cannot be read"),
        ({"client_certificate": Path("absent.pem")}, "client_certificate absent.pem: cannot be used"),
        ({"proxy": f"socks5://user:{PASSWORD}@127.0.0.1:1"}, "proxy is no address of an HTTP proxy"),
        ({"proxy": f"http://user:{PASSWORD}@127.0.0.1:x"}, "proxy is no address of an HTTP proxy"),
    ],
)
def test_certificate_or_proxy_that_cannot_be_used_is_refused(
    server: FaultServer, values: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        OpenAIEngine(settings_of(server, **values), environment={})
    assert PASSWORD not in str(caught.value)


def test_proxy_is_asked_for_plain_http_with_its_login(server: FaultServer) -> None:
    with FaultServer() as proxy:
        address = f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}"
        settings = settings_of(server, proxy=address)
        assert isinstance(ask(settings), Completion)
        (seen,) = proxy.seen
        assert seen.path == f"{server.url}/chat/completions"
        assert seen.headers["proxy-authorization"].startswith("Basic ")
        assert PASSWORD not in repr(settings) + json.dumps(settings_to_json(settings))
    assert server.seen == []


def test_proxy_tunnels_https_and_sees_no_key(
    tls_server: FaultServer, certificates: dict[str, tuple[Path, Path]]
) -> None:
    with FaultServer() as proxy:
        proxy.tunnels_to = tls_server.port
        address = f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}"
        settings = settings_of(tls_server, proxy=address, ca_bundle=certificates["server"][0])
        answer = ask(settings, {"OPENAI_API_KEY": KEY})
        assert isinstance(answer, Completion), answer
        assert [(seen.method, seen.path) for seen in proxy.seen] == [("CONNECT", f"127.0.0.1:{tls_server.port}")]
        assert "authorization" not in proxy.seen[0].headers
        assert proxy.seen[0].headers["proxy-authorization"].startswith("Basic ")
    assert tls_server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert "proxy-authorization" not in tls_server.seen[0].headers


def test_proxy_that_opens_no_tunnel_is_a_connection_failure(tls_server: FaultServer) -> None:
    with FaultServer() as proxy:
        proxy.answer = lambda _seen: Reply(status=407)
        answer = ask(settings_of(tls_server, proxy=f"http://127.0.0.1:{proxy.port}"))
    assert isinstance(answer, EngineFailure)
    assert (answer.kind, answer.message) == (FailureKind.CONNECTION, "the proxy answered 407")


@pytest.mark.parametrize(
    ("variables", "is_proxied"),
    [
        ({}, True),
        ({"NO_PROXY": "models.example, 127.0.0.1"}, False),
        ({"no_proxy": "*"}, False),
        ({"NO_PROXY": "7.0.0.1,other"}, True),
    ],
)
def test_proxy_of_the_environment_is_used_by_choice_and_rules(
    server: FaultServer, variables: dict[str, str], is_proxied: bool
) -> None:
    with FaultServer() as proxy:
        environment = {"http_proxy": f"http://127.0.0.1:{proxy.port}"} | variables
        assert isinstance(ask(settings_of(server, trust_env=True), environment), Completion)
        assert bool(proxy.seen) is is_proxied
        assert bool(server.seen) is not is_proxied


def test_extra_body_is_sent_over_what_the_engine_sets(server: FaultServer) -> None:
    ask(settings_of(server, extra_body={"temperature": 0.5, "metadata": {"project": "x"}}))
    assert server.bodies()[0]["temperature"] == 0.5
    assert server.bodies()[0]["metadata"] == {"project": "x"}


def test_thread_of_the_engine_ends_with_it(server: FaultServer) -> None:
    before = threading.active_count()
    with load_engine(settings_of(server)) as engine:
        engine.generate([chat()])
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert server.answer == ToyServer()


def _answer(**choice: Any) -> Reply:
    whole = {"index": 0, "message": {"content": "x"}, "finish_reason": "stop"} | choice
    return Reply(body={"model": "toy", "choices": [whole]})


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


LETTERS_KEY = "abcdefghijklmnopqrstuvwxyz"
ECHOES = {
    "content": _answer(message={"content": f"your key is {KEY}."}),
    "reasoning": _answer(message={"content": "x", "reasoning_content": KEY}),
    "think": _answer(message={"content": f"<think>{KEY}</think>x"}),
    "model": Reply(body={"model": f"toy-{KEY}", "choices": []}),
    "finish reason": _answer(finish_reason=KEY),
    "field that is not read": Reply(body=_answer().body | {"debug": {"headers": [f"Bearer {KEY}"]}}),
    "name of a field": Reply(body=_answer().body | {KEY: 1}),
    "tokens": _answer(
        message={"content": "x"},
        logprobs={"content": [{"token": part, "logprob": -1.0} for part in (KEY[:9], KEY[9:])]},
    ),
    "escapes": Reply(body=json.dumps(_answer().body).replace('"x"', f'"{_escaped(KEY)}"')),
    "header of the environment": _answer(message={"content": PASSWORD}),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_answer_that_holds_a_key_is_a_failure_and_kept_nowhere(
    server: FaultServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, echo: Reply
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = settings_of(
        server, headers_from_env={"X-Tenant": "TENANT"}, cache=tmp_path / "answers.sqlite", max_attempts=3
    )
    server.script = [echo]
    engine = OpenAIEngine(settings, environment={"OPENAI_API_KEY": KEY, "TENANT": PASSWORD}, clock=FakeClock())
    with RecordingEngine(engine, tmp_path / "answers.jsonl") as recording:
        leaked, fine = recording.generate([chat("1", top_logprobs=0)]) + recording.generate([chat("2")])
        shown = [repr(leaked), json.dumps(engine.settings), repr(engine.identity), repr(engine.ledger()), caplog.text]
        shown += [file.read_bytes().decode("utf-8", "replace") for file in tmp_path.iterdir()]
    assert isinstance(leaked, EngineFailure)
    assert (leaked.kind, leaked.num_attempts) == (FailureKind.MALFORMED_RESPONSE, 1)
    assert "holds the key that was sent in header" in leaked.message
    assert isinstance(fine, Completion)
    assert not [text for text in shown for secret in (KEY, PASSWORD, _escaped(KEY)) if secret in text]


def test_echo_of_the_key_in_a_scored_text_is_a_failure(server: FaultServer) -> None:
    settings = settings_of(server, likelihood="echo")
    with OpenAIEngine(settings, environment={"OPENAI_API_KEY": KEY}) as engine:
        (answer,) = engine.loglikelihood([LikelihoodRequest(context="a", continuation=KEY)])
        server.script = [_without_text(server.answer, KEY)]
        (tokens_alone,) = engine.loglikelihood([LikelihoodRequest(context="a", continuation=KEY)])
    for failure in (answer, tokens_alone):
        assert isinstance(failure, EngineFailure)
        assert "holds the key that was sent in header 'Authorization'" in failure.message


def _without_text(answer: Any, prompt: str) -> Reply:
    body = {"prompt": f"a{prompt}", "max_tokens": 0, "echo": True}
    reply = answer(Seen(method="POST", path="/v1/completions", headers={}, body=body))
    del reply.body["choices"][0]["text"]
    return reply


@pytest.mark.parametrize(
    "body", [{"error": {"code": LETTERS_KEY}}, f"<b>{LETTERS_KEY}</b>", f'{{"error": "{LETTERS_KEY}']
)
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_key_in_an_error_body_is_not_shown(
    server: FaultServer, caplog: pytest.LogCaptureFixture, status: int, body: Any
) -> None:
    # A key of letters alone would pass for a code such as model_not_found.
    caplog.set_level(logging.DEBUG)
    server.answer = lambda _seen: Reply(status=status, body=body)
    settings = settings_of(server, max_attempts=2)
    with OpenAIEngine(settings, environment={"OPENAI_API_KEY": LETTERS_KEY}, clock=FakeClock()) as engine:
        (answer,) = engine.generate([chat()])
    assert isinstance(answer, EngineFailure)
    assert answer.message == f"the server answered {status}"
    assert LETTERS_KEY not in caplog.text


def test_cached_answer_that_holds_a_key_is_asked_for_again(server: FaultServer, tmp_path: Path) -> None:
    settings = settings_of(server, cache=tmp_path / "answers.sqlite")
    server.script = [_answer(message={"content": KEY})]
    with OpenAIEngine(settings, environment={"OPENAI_API_KEY": "another-key-of-ours"}) as engine:
        assert isinstance(engine.generate([chat()])[0], Completion)
    with OpenAIEngine(settings, environment={"OPENAI_API_KEY": KEY}) as engine:
        (answer,) = engine.generate([chat()])
    assert isinstance(answer, Completion)
    assert answer.text == "cba"
    assert KEY.encode() not in (tmp_path / "answers.sqlite").read_bytes()


def test_short_value_is_not_looked_for(server: FaultServer) -> None:
    with OpenAIEngine(settings_of(server), environment={"OPENAI_API_KEY": "EMPTY"}) as engine:
        (answer,) = engine.generate([chat("YTPME")])
    assert isinstance(answer, Completion)
    assert answer.text == "EMPTY"


def test_cookies_of_a_server_are_not_sent_back_and_requests_name_no_library(server: FaultServer) -> None:
    server.script = [replace(_answer(), headers={"Set-Cookie": "trace=1; Path=/"})]
    with load_engine(settings_of(server)) as engine:
        engine.generate([chat("1")])
        engine.generate([chat("2")])
    names = {"host", "content-type", "accept", "accept-encoding", "content-length"}
    assert [set(seen.headers) for seen in server.seen] == [names, names]
