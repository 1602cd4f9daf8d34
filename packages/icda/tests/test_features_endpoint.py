import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from icda._features_endpoint import EndpointEmbeddings, EndpointSettings
from twllm_types import ConfigError, EngineError

Reply = tuple[int, Any, dict[str, str]]


class Server:
    """A server on loopback; `reply` turns the number of a request and its body into an answer."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.keys: list[str | None] = []
        self.reply: Callable[[int, Any], Reply] = lambda _, body: (200, lengths(body["input"]), {})
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.bodies.append(body)
                outer.keys.append(self.headers.get("authorization"))
                status, content, headers = outer.reply(len(outer.bodies), body)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            # the base class names the argument
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                del format, args

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1/"


def lengths(texts: list[str]) -> dict[str, Any]:
    """Embeddings in reverse order, each with its index."""
    rows = [{"index": place, "embedding": [len(text), 1]} for place, text in enumerate(texts)]
    return {"data": rows[::-1]}


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    thread = threading.Thread(target=one.http.serve_forever, args=(0.01,))
    thread.start()
    yield one
    one.http.shutdown()
    thread.join()
    one.http.server_close()


def test_endpoint_batches_are_asked_in_order_with_the_key(server: Server) -> None:
    encoder = EndpointEmbeddings(
        server.url,
        "tiny",
        EndpointSettings(batch_size=2, api_key_env="SOME_KEY"),
        environment={"SOME_KEY": "not-a-real-key"},
    )

    rows = encoder.fit([]).transform(["餘額", "a", "ccc"])

    assert rows.tolist() == [[2, 1], [1, 1], [3, 1]]
    assert [body["input"] for body in server.bodies] == [["餘額", "a"], ["ccc"]]
    assert server.keys == ["Bearer not-a-real-key"] * 2
    assert encoder.transform([]).shape == (0, 0)


def test_endpoint_key_tells_models_and_revisions_apart(server: Server) -> None:
    plain = EndpointEmbeddings(server.url, "tiny")
    revised = EndpointEmbeddings(server.url, "tiny", EndpointSettings(revision="2"))

    assert plain.key == f"endpoint-{server.url.rstrip('/')}-tiny"
    assert revised.key == f"{plain.key}@2"


def test_endpoint_busy_server_is_asked_again_after_growing_waits(server: Server) -> None:
    waits: list[float] = []
    server.reply = lambda number, body: (
        (200, lengths(body["input"]), {})
        if number == 4
        else (429, {}, {"retry-after": "7"})
        if number == 2
        else (503, {}, {})
    )
    settings = EndpointSettings(first_wait_seconds=1, max_wait_seconds=5)

    assert EndpointEmbeddings(server.url, "tiny", settings, wait=waits.append).transform(["a"]).tolist() == [[1, 1]]
    assert waits == [1, 5, 4]


def test_endpoint_failing_for_ever_ends_with_the_last_reason(server: Server) -> None:
    server.reply = lambda _number, _body: (500, {}, {})
    encoder = EndpointEmbeddings(server.url, "tiny", EndpointSettings(max_attempts=3), wait=lambda _: None)

    with pytest.raises(EngineError, match="failed 3 times, at last: status 500"):
        encoder.transform(["a"])
    assert len(server.bodies) == 3


def test_endpoint_refusal_is_not_repeated_and_never_shows_the_key(server: Server) -> None:
    server.reply = lambda number, _body: (401, b"wrong key: not-a-real-key" if number == 1 else b"no\naccess", {})
    encoder = EndpointEmbeddings(
        server.url, "tiny", EndpointSettings(api_key_env="SOME_KEY"), environment={"SOME_KEY": "not-a-real-key"}
    )

    with pytest.raises(EngineError, match=r"status 401: \(left out, it holds the key\)") as caught:
        encoder.transform(["a"])
    assert "not-a-real-key" not in str(caught.value)
    with pytest.raises(EngineError, match="status 401: no access"):
        encoder.transform(["a"])
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>", "what is not JSON: <html>"),
        ([], "without 'data'"),
        ({"data": [{"index": 0}]}, "without 'index' and 'embedding'"),
        ({"data": []}, "0 embeddings for 2 texts"),
        ({"data": [{"index": 0, "embedding": [1]}] * 2}, "2 embeddings for 2 texts"),
        ({"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}, "different lengths"),
        ({"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": [1]}]}, "empty or holds"),
        ({"data": [{"index": 0, "embedding": [float("nan")]}, {"index": 1, "embedding": [1]}]}, "no finite number"),
        ({"data": [{"index": 0, "embedding": ["1"]}, {"index": 1, "embedding": [1]}]}, "no finite number"),
    ],
    ids=["html", "list", "no-embedding", "none", "twice", "lengths", "empty", "nan", "text"],
)
def test_endpoint_answer_that_is_no_embeddings_is_named(server: Server, content: Any, message: str) -> None:
    server.reply = lambda _number, _body: (200, content, {})

    with pytest.raises(EngineError, match=message):
        EndpointEmbeddings(server.url, "tiny").transform(["a", "b"])


def test_endpoint_width_that_changes_between_batches_is_refused(server: Server) -> None:
    server.reply = lambda number, _body: (200, {"data": [{"index": 0, "embedding": [1.0] * number}]}, {})

    with pytest.raises(EngineError, match="embeddings of 1 and 2 numbers"):
        EndpointEmbeddings(server.url, "tiny", EndpointSettings(batch_size=1)).transform(["a", "b"])


def test_endpoint_silent_server_times_out(server: Server) -> None:
    release = threading.Event()

    def silent(number: int, body: Any) -> Reply:
        release.wait(10)
        return 200, {}, {}

    server.reply = silent
    encoder = EndpointEmbeddings(server.url, "tiny", EndpointSettings(timeout_seconds=0.1, max_attempts=1))
    with pytest.raises(EngineError, match=r"failed 1 times, at last: no answer within 0\.1 s"):
        encoder.transform(["a"])
    release.set()


def test_endpoint_nobody_listens_is_a_connection_failure(server: Server) -> None:
    closed = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    url = f"http://127.0.0.1:{closed.server_address[1]}/v1"
    closed.server_close()

    with pytest.raises(EngineError, match="failed 2 times, at last: no connection"):
        EndpointEmbeddings(url, "tiny", EndpointSettings(max_attempts=2), wait=lambda _: None).transform(["a"])


def test_endpoint_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="variable SOME_KEY is not set"):
        EndpointEmbeddings("http://127.0.0.1/v1", "m", EndpointSettings(api_key_env="SOME_KEY"), environment={})
    for url, model in (("ftp://host", "m"), ("http://user:word@host/v1", "m"), ("http://host/v1", " ")):
        with pytest.raises(ConfigError, match="need a base URL"):
            EndpointEmbeddings(url, model)
    with pytest.raises(ConfigError, match="max_attempts is 0"):
        EndpointSettings(max_attempts=0)
    with pytest.raises(ConfigError, match="timeout_seconds is 0"):
        EndpointSettings(timeout_seconds=0)
    with pytest.raises(ConfigError, match="0 <= first <= max"):
        EndpointSettings(first_wait_seconds=9, max_wait_seconds=1)
