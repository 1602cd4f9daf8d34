"""How near the OpenAI-compatible engine comes to the ideal rate of a server.

A server of our own on loopback answers each request 50 ms after its last byte came. With 32 requests in flight no
client can have more than 32 / 0.05 s = 640 answers per second; the share of that which the engine reaches is measured,
over 2,000 requests, warm connections, several times. By turns with it run bare sockets in one event loop, without JSON
or HTTP libraries, which show how much of the loss is the machine's and the server's, and the clients that the engine
could stand on instead, bare, without the engine's own work: aiohttp, and httpx.AsyncClient (fewer requests, for it is
slow).

    uv run python benchmarks/twllm_engines/client_overhead.py
"""

import asyncio
import json
import multiprocessing
import os
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import httpx

from twllm_engines import OpenAISettings, load_engine
from twllm_runs import hardware
from twllm_runs.statistics import mean_estimate
from twllm_types import Completion, Conversation, EstimateUnit, GenerationRequest, Message, Role

NUM_REQUESTS = 2_000
NUM_IN_FLIGHT = 32
DELAY_SECONDS = 0.05
IDEAL_PER_SECOND = NUM_IN_FLIGHT / DELAY_SECONDS
NUM_HTTPX_REQUESTS = 400
NUM_REPETITIONS = int(os.environ.get("REPETITIONS", "7"))
REPORT = Path(__file__).with_suffix(".md")

ANSWER = json.dumps(
    {
        "id": "x",
        "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "A"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 1},
    }
).encode()
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
QUESTION = "下列何者是臺灣最高的山？(A) 玉山 (B) 雪山 (C) 合歡山 (D) 阿里山。答案：" * 5


class Slow(asyncio.Protocol):
    """Answers each request after the delay."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._missing = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Wait for a whole request, then for the delay."""
        self._buffer += data
        if self._missing < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            self._missing = end + 4 + int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        if len(self._buffer) >= self._missing:
            self._buffer.clear()
            self._missing = -1
            asyncio.get_running_loop().call_later(DELAY_SECONDS, self._transport.write, RESPONSE)


def serve(pipe: Connection) -> None:
    """Serve until killed; sends the port."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Slow, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def rate_of_engine(port: int) -> tuple[float, float]:
    """Return answers per second, and processor seconds of this process per answer."""
    settings = OpenAISettings(
        model="bench", base_url=f"http://127.0.0.1:{port}/v1", max_in_flight=NUM_IN_FLIGHT, api_key_env=None
    )
    requests = [
        GenerationRequest(prompt=Conversation(messages=(Message(role=Role.USER, content=f"{at} {QUESTION}"),)))
        for at in range(NUM_REQUESTS)
    ]
    with load_engine(settings) as engine:
        engine.generate(requests[: 2 * NUM_IN_FLIGHT])
        start, busy = time.perf_counter(), time.process_time()
        answers = engine.generate(requests)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
    assert all(isinstance(answer, Completion) and answer.text == "A" for answer in answers)
    return NUM_REQUESTS / seconds, busy / NUM_REQUESTS


def rate_of_sockets(port: int) -> float:
    """Return answers per second of bare sockets."""
    body = b"x" * 1_000
    request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    async def worker(left: list[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left:
            left.pop()
            writer.write(request)
            await reader.readexactly(len(RESPONSE))
        writer.close()

    async def run() -> float:
        left = list(range(NUM_REQUESTS))
        start = time.perf_counter()
        await asyncio.gather(*(worker(left) for _ in range(NUM_IN_FLIGHT)))
        return NUM_REQUESTS / (time.perf_counter() - start)

    return asyncio.run(run())


def rate_of_httpx(port: int) -> tuple[float, float]:
    """Return answers per second of httpx's asynchronous client, and processor seconds per answer."""
    body = {"model": "bench", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 256}

    async def worker(client: httpx.AsyncClient, left: list[int]) -> None:
        while left:
            left.pop()
            answer = await client.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body)
            assert answer.json()["choices"][0]["message"]["content"] == "A"

    async def run() -> tuple[float, float]:
        left = list(range(NUM_HTTPX_REQUESTS))
        async with httpx.AsyncClient(trust_env=False) as client:
            await asyncio.gather(*(worker(client, [0, 0]) for _ in range(NUM_IN_FLIGHT)))
            start, busy = time.perf_counter(), time.process_time()
            await asyncio.gather(*(worker(client, left) for _ in range(NUM_IN_FLIGHT)))
            seconds, busy = time.perf_counter() - start, time.process_time() - busy
        return NUM_HTTPX_REQUESTS / seconds, busy / NUM_HTTPX_REQUESTS

    return asyncio.run(run())


def rate_of_aiohttp(port: int) -> tuple[float, float]:
    """Return answers per second of aiohttp's client, and processor seconds per answer."""
    body = {"model": "bench", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 256}

    async def worker(session: aiohttp.ClientSession, left: list[int]) -> None:
        while left:
            left.pop()
            async with session.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as answer:
                assert (await answer.json())["choices"][0]["message"]["content"] == "A"

    async def run() -> tuple[float, float]:
        left = list(range(NUM_REQUESTS))
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            await asyncio.gather(*(worker(session, [0, 0]) for _ in range(NUM_IN_FLIGHT)))
            start, busy = time.perf_counter(), time.process_time()
            await asyncio.gather(*(worker(session, left) for _ in range(NUM_IN_FLIGHT)))
            seconds, busy = time.perf_counter() - start, time.process_time() - busy
        return NUM_REQUESTS / seconds, busy / NUM_REQUESTS

    return asyncio.run(run())


def shown(values: list[float], digits: int = 1) -> str:
    """Write a mean with its interval."""
    estimate = mean_estimate(values, unit=EstimateUnit.COUNT)
    return f"{estimate.mean:.{digits}f} [{estimate.ci_low:.{digits}f}, {estimate.ci_high:.{digits}f}]"


def main() -> None:
    """Measure and write the report."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    shares: dict[str, list[float]] = {"engine": [], "sockets": [], "aiohttp": [], "httpx": []}
    busy: dict[str, list[float]] = {"engine": [], "aiohttp": [], "httpx": []}
    clients = (("engine", rate_of_engine), ("aiohttp", rate_of_aiohttp), ("httpx", rate_of_httpx))
    load = os.getloadavg()[0]
    for at in range(NUM_REPETITIONS):
        for name, measure in clients:
            rate, cost = measure(port)
            shares[name].append(100 * rate / IDEAL_PER_SECOND)
            busy[name].append(1e6 * cost)
        shares["sockets"].append(100 * rate_of_sockets(port) / IDEAL_PER_SECOND)
        now = ", ".join(f"{name} {values[-1]:.1f} %" for name, values in shares.items())
        print(f"{at + 1}/{NUM_REPETITIONS}: {now}", file=sys.stderr)
    server.terminate()
    server.join()
    machine = hardware()
    lines = [
        "# Overhead of the OpenAI-compatible client",
        "",
        f"A server on loopback answers {1000 * DELAY_SECONDS:.0f} ms after each request; {NUM_IN_FLIGHT} requests in",
        f"flight, so {IDEAL_PER_SECOND:.0f} answers per second at best.",
        "",
        f"- Command: `uv run python benchmarks/twllm_engines/client_overhead.py`, {datetime.now(UTC).date()}",
        f"- Hardware: {machine['cores']} cores ({machine['processor']}), which client and server share",
        f"- {machine['python']}; load average {load:.1f} before the run",
        "- " + ", ".join(f"{name} {version(name)}" for name in ("twllm-engines", "h11", "aiohttp", "httpx")),
        "",
        "| client | share of the ideal rate, % | processor time per request, microseconds |",
        "|---|---|---|",
        f"| `openai:` engine | {shown(shares['engine'])} | {shown(busy['engine'], 0)} |",
        f"| bare sockets (the machine's own limit) | {shown(shares['sockets'])} | |",
        f"| aiohttp, bare | {shown(shares['aiohttp'])} | {shown(busy['aiohttp'], 0)} |",
        f"| httpx.AsyncClient, bare | {shown(shares['httpx'])} | {shown(busy['httpx'], 0)} |",
        "",
        f"Mean and 95 % Student interval of {NUM_REPETITIONS} repetitions by turns, {NUM_REQUESTS:,} requests each",
        f"(httpx {NUM_HTTPX_REQUESTS}); lowest of the engine {min(shares['engine']):.1f} %,",
        f"of aiohttp {min(shares['aiohttp']):.1f} %.",
        "",
    ]
    REPORT.write_text("\n".join(lines), encoding="utf-8")
    print(REPORT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
