"""A server of our own on loopback: a toy model behind the chat-completions interface, and every fault on demand.

The toy model's tokens are characters. It answers with the words of the last message (or the prompt) turned round, token
i with the log-probability -(i + 1) / 10; with a seed it appends the seed. So every answer can be computed by a test.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server does with one request.

    Attributes:
        status: of HTTP; 0 resets the connection without an answer.
        body: JSON, or a string sent as it stands.
        headers: added.
        cut_after: reset the connection after so many bytes of the body; None sends it whole.
        stalls: send the head and then nothing until the server closes.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    stalls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyServer:
    """What the toy server can do.

    Attributes:
        model: id that it names.
        has_logprobs: it gives log-probabilities.
        max_top: most alternatives.
        has_schema: it answers a schema by an object that fits `{"letter": "A"}`.
        has_echo: it echoes prompts.
        has_samples: it gives `n` samples.
        is_reproducible: it honours seeds.
        reasoning: text of `reasoning_content`; None for none.
    """

    model: str = "toy"
    has_logprobs: bool = True
    max_top: int = 5
    has_schema: bool = True
    has_echo: bool = True
    has_samples: bool = True
    is_reproducible: bool = True
    reasoning: str | None = None

    def __call__(self, seen: Seen) -> Reply:
        """Answer as the model."""
        if seen.path.split("?")[0].endswith("/chat/completions"):
            return Reply(body=self._body(seen, self._chat_choice, seen.body["messages"][-1]["content"]))
        if not seen.path.split("?")[0].endswith("/completions"):
            return Reply(status=404, body={"error": {"code": "not_found", "message": seen.path}})
        if seen.body.get("echo"):
            return self._echo(seen.body) if self.has_echo else Reply(status=400, body={"error": {"type": "no_echo"}})
        return Reply(body=self._body(seen, self._raw_choice, seen.body["prompt"]))

    def _body(self, seen: Seen, choice: Callable[..., dict[str, Any]], prompt: str) -> dict[str, Any]:
        body = seen.body
        num_samples = body.get("n", 1) if self.has_samples else 1
        choices = [
            choice(body, *self._text(body, prompt, sample, seen), at) for at, sample in enumerate(range(num_samples))
        ]
        num_written = sum(choice_["num_tokens"] for choice_ in choices)
        for choice_ in choices:
            del choice_["num_tokens"]
        usage = {"prompt_tokens": len(prompt), "completion_tokens": num_written}
        return {"id": "1", "model": self.model, "choices": choices, "usage": usage}

    def _text(self, body: dict[str, Any], prompt: str, sample: int, seen: Seen) -> tuple[str, str]:
        text = prompt[::-1]
        if self.has_schema and ("response_format" in body or "guided_json" in body or "structured_outputs" in body):
            text = '{"letter": "A"}'
        if body.get("seed") is not None and body["temperature"] > 0:
            text += f"#{body['seed'] + sample}" if self.is_reproducible else f"#{id(seen)}"
        for stop in body.get("stop", ()):
            text = text.split(stop)[0]
        limit = body.get("max_tokens", body.get("max_completion_tokens", 16))
        return text[:limit], "length" if len(text) > limit else "stop"

    def _chat_choice(self, body: dict[str, Any], text: str, reason: str, at: int) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        if self.reasoning is not None:
            message["reasoning_content"] = self.reasoning
        logprobs = None
        if body.get("logprobs") and self.has_logprobs:
            top = min(body.get("top_logprobs", 0), self.max_top)
            logprobs = {
                "content": [
                    {"token": token, "logprob": value, "top_logprobs": _tops(token, value, top)}
                    for token, value in _scored(text)
                ]
            }
        return {
            "index": at,
            "message": message,
            "finish_reason": reason,
            "logprobs": logprobs,
            "num_tokens": len(text),
        }

    def _raw_choice(self, body: dict[str, Any], text: str, reason: str, at: int) -> dict[str, Any]:
        logprobs = None
        if body.get("logprobs") is not None and self.has_logprobs:
            logprobs = _raw_logprobs(_scored(text), min(body["logprobs"], self.max_top))
        return {"index": at, "text": text, "finish_reason": reason, "logprobs": logprobs, "num_tokens": len(text)}

    def _echo(self, body: dict[str, Any]) -> Reply:
        text = body["prompt"] + "!" * body["max_tokens"]
        scored: list[tuple[str, float | None]] = list(_scored(text))
        scored[0] = (scored[0][0], None)
        logprobs = _raw_logprobs(scored, 1)
        choice = {"index": 0, "text": text, "finish_reason": "length", "logprobs": logprobs}
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": body["max_tokens"]}
        return Reply(body={"model": self.model, "choices": [choice], "usage": usage})


def _scored(text: str) -> list[tuple[str, float]]:
    return [(token, -(at + 1) / 10) for at, token in enumerate(text)]


def _tops(token: str, value: float, count: int) -> list[dict[str, Any]]:
    return [{"token": token if at == 0 else f"alt{at}", "logprob": value - at} for at in range(count)]


def _raw_logprobs(scored: Any, count: int) -> dict[str, Any]:
    return {
        "tokens": [token for token, _ in scored],
        "token_logprobs": [value for _, value in scored],
        "top_logprobs": [
            None if value is None else {top["token"]: top["logprob"] for top in _tops(token, value, count)}
            for token, value in scored
        ],
    }


class FaultServer:
    """Serves on a free port of 127.0.0.1 in a thread; a context manager.

    `script` is used up in order, one reply per request; then `answer` speaks.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.script: list[Reply] = []
        self.answer: Callable[[Seen], Reply] = ToyServer()
        self.most_open = 0
        self.is_mute = False
        # Names of the clients' certificates; where CONNECT leads.
        self.peers: list[str] = []
        self.tunnels_to: int | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._num_open = 0
        self._tls = tls
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        """Base address."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()
        self._loop.close()

    def bodies(self) -> list[Any]:
        """Bodies of the requests, in order."""
        return [seen.body for seen in self.seen]

    def drop_connections(self) -> None:
        """Close every connection, as a server does with idle ones; returns when that is done."""
        done = threading.Event()

        def drop() -> None:
            for writer in self._writers:
                writer.close()
            done.set()

        self._loop.call_soon_threadsafe(drop)
        done.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._closing.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self.is_mute:
                await self._closing.wait()
            while seen := await _read(reader):
                self._num_open += 1
                self.most_open = max(self.most_open, self._num_open)
                self.seen.append(seen)
                if seen.method == "CONNECT" and self.tunnels_to is not None:
                    await self._tunnel(reader, writer, self.tunnels_to)
                    break
                self._note_peer(writer)
                reply = self.script.pop(0) if self.script else self.answer(seen)
                # Lets requests that are in flight meet, so that their number can be seen.
                await asyncio.sleep(0.005)
                self._num_open -= 1
                if not await self._send(writer, reply):
                    break
        except (ConnectionError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _note_peer(self, writer: asyncio.StreamWriter) -> None:
        certificate = writer.get_extra_info("peercert")
        if certificate:
            self.peers.append(dict(part[0] for part in certificate["subject"])["commonName"])

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, other_writer), _pump(other_reader, writer))

    async def _send(self, writer: asyncio.StreamWriter, reply: Reply) -> bool:
        if not reply.status:
            writer.transport.abort()
            return False
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body, ensure_ascii=False)
        content = text.encode("utf-8", "backslashreplace")
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content))} | reply.headers
        head = f"HTTP/1.1 {reply.status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(head.encode("latin-1") + b"\r\n")
        if reply.stalls:
            await writer.drain()
            await self._closing.wait()
            return False
        writer.write(content[: reply.cut_after])
        await writer.drain()
        if reply.cut_after is not None:
            writer.transport.abort()
            return False
        return True


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = dict(line.split(": ", 1) for line in lines if line)
    headers = {name.lower(): value for name, value in headers.items()}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method=method, path=path, headers=headers, body=json.loads(content) if content else None)
