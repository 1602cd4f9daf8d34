"""How near a judge's run comes to the ideal rate of a server.

A server of our own on loopback answers each request 50 ms after its last byte came, always with the same scores. With
32 requests in flight nobody can have more than 32 / 0.05 s = 640 answers per second. Measured is the share of that
which a whole run reaches while it asks: building requests, sending, parsing, and writing each judgement to its file.
What comes before and after (opening the folder, prompts and their hash, summary, report) is given beside it in seconds.
By turns with it run bare sockets in one event loop, without JSON or HTTP libraries, which show how much of the loss is
the machine's and the server's.

    uv run python benchmarks/llm_eval/judge_overhead.py
"""

import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path

from llm_eval import JudgeItem, JudgeSettings, PromptStyle, Turn
from llm_eval.jobs import run_judge
from twllm_engines import OpenAISettings, load_engine
from twllm_runs import hardware
from twllm_runs.statistics import mean_estimate
from twllm_types import EstimateUnit

NUM_REQUESTS = 3_000
NUM_IN_FLIGHT = 32
DELAY_SECONDS = 0.05
IDEAL_PER_SECOND = NUM_IN_FLIGHT / DELAY_SECONDS
NUM_REPETITIONS = int(os.environ.get("REPETITIONS", "5"))
REPORT = Path(__file__).with_suffix(".md")

SCORES = json.dumps({"content": 4.0, "grammar": 4.5, "relevance": 3.0, "appropriateness": 3.5})
ANSWER = json.dumps(
    {
        "id": "x",
        "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": SCORES}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 400, "completion_tokens": 30},
    }
).encode()
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
ITEMS = tuple(
    JudgeItem(
        id=str(number),
        context=(
            Turn(speaker="user", text=f"第{number}題：週末想去爬山，有推薦的路線嗎？"),
            Turn(speaker="bot", text="你平常有運動的習慣嗎？想走多久呢？"),
            Turn(speaker="user", text="大概三個小時，不要太陡。"),
        ),
        response="那可以試試看環湖步道，路面平緩，沿途還有幾個休息的涼亭。",
        references=("可以走環湖步道，大約三小時，坡度不大。",),
        system=f"system-{number % 4}",
        cluster=str(number // 4),
    )
    for number in range(NUM_REQUESTS)
)


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


class Watch:
    """The clock of one task: from its first count, the beginning of asking, to its last."""

    def __init__(self) -> None:
        self.started = 0.0
        self.ended = 0.0

    def advance(self, n: int = 1) -> None:
        """Note the time."""
        self.ended = time.perf_counter() if n else self.ended

    def set(self, completed: int, total: int | None = None) -> None:
        """Note the beginning."""
        self.started = time.perf_counter() if completed == 0 and total is None else self.started

    def note(self, text: str) -> None:
        """Show nothing."""
        assert text


class Stopwatch:
    """A progress display that only takes the time."""

    def __init__(self) -> None:
        self.watch = Watch()

    def task(self, description: str, total: int | None, unit: str) -> Watch:
        """Return the watch."""
        assert (description, total, unit) == ("judging", NUM_REQUESTS, "judgements")
        return self.watch


def rate_of_run(port: int) -> tuple[float, float]:
    """Return judgements per second while asking, and the seconds of a run before and after that."""
    settings = OpenAISettings(
        model="bench", base_url=f"http://127.0.0.1:{port}/v1", max_in_flight=NUM_IN_FLIGHT, api_key_env=None
    )
    stopwatch = Stopwatch()
    judge = JudgeSettings(style=PromptStyle.STRUCTURED)
    with tempfile.TemporaryDirectory() as folder, load_engine(settings) as engine:
        start = time.perf_counter()
        judged = run_judge(engine, ITEMS, judge, output=Path(folder) / "run", progress=stopwatch)
        total = time.perf_counter() - start
    assert (judged.num_asked, judged.num_faults) == (NUM_REQUESTS, 0)
    asking = stopwatch.watch.ended - stopwatch.watch.started
    return NUM_REQUESTS / asking, total - asking


def rate_of_sockets(port: int) -> float:
    """Return answers per second of bare sockets."""
    body = b"x" * 2_000
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
    shares: dict[str, list[float]] = {"run": [], "sockets": []}
    around: list[float] = []
    load = os.getloadavg()[0]
    for at in range(NUM_REPETITIONS):
        rate, seconds = rate_of_run(port)
        shares["run"].append(100 * rate / IDEAL_PER_SECOND)
        around.append(seconds)
        shares["sockets"].append(100 * rate_of_sockets(port) / IDEAL_PER_SECOND)
        now = ", ".join(f"{name} {values[-1]:.1f} %" for name, values in shares.items())
        print(f"{at + 1}/{NUM_REPETITIONS}: {now}, {seconds:.1f} s around", file=sys.stderr)
    server.terminate()
    server.join()
    machine = hardware()
    lines = [
        "# Overhead of a judge's run",
        "",
        f"A server on loopback answers {1000 * DELAY_SECONDS:.0f} ms after each request; {NUM_IN_FLIGHT} requests in",
        f"flight, so {IDEAL_PER_SECOND:.0f} judgements per second at best. {NUM_REQUESTS:,} items, one request each.",
        "",
        f"- Command: `uv run python benchmarks/llm_eval/judge_overhead.py`, {datetime.now(UTC).date()}",
        f"- Hardware: {machine['cores']} cores ({machine['processor']}), which client and server share",
        f"- {machine['python']}; load average {load:.1f} before the run",
        f"- llm-eval {version('llm-eval')}, twllm-engines {version('twllm-engines')}",
        "",
        "| | share of the ideal rate, % |",
        "|---|---|",
        f"| a judge's run, while it asks: requests, parsing, one line per judgement on disk | {shown(shares['run'])} |",
        f"| bare sockets (the machine's own limit) | {shown(shares['sockets'])} |",
        "",
        f"Mean and 95 % Student interval of {NUM_REPETITIONS} repetitions by turns; lowest {min(shares['run']):.1f} %.",
        f"Before and after the asking a run takes {shown(around, 2)} s: prompts, folder, summary, report.",
        "",
    ]
    REPORT.write_text("\n".join(lines), encoding="utf-8")
    print(REPORT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
