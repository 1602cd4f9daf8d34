"""The process behind `AnswerVerifier`: it forks workers, gives them answers, and kills one that hangs.

It runs one thread and has math-verify loaded, so a worker is a fork of milliseconds, also when it replaces another.
Over its channel come lists of `Task`; back go lists of (ticket, code of the outcome, code of the reason). When the
channel closes it ends, and its workers with it.
"""

import ctypes
import logging
import os
import resource
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import NoReturn

from step_kto._answers import AnswerOutcome, AnswerPolicy, Verdict, VerdictReason
from step_kto._verify import compare_texts

OUTCOMES, REASONS = tuple(AnswerOutcome), tuple(VerdictReason)

_MAX_CHUNK = 16
_FLUSH_SECONDS = 0.02
_FLUSH_RESULTS = 64
_PR_SET_PDEATHSIG = 1
# the system counts milliseconds in 32 bits
_MAX_WAIT_SECONDS = 3600.0
# a number that no longer fits was preceded by one that took half of its place, so a quarter is near
_NEAR_THE_LIMIT = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One comparison.

    Attributes:
        ticket: names it in the answer.
        gold: text with the right answer.
        prediction: text with the answer to judge.
        policy: conventions.
        timeout_seconds: most wall-clock time for it alone.
    """

    ticket: int
    gold: str
    prediction: str
    policy: AnswerPolicy
    timeout_seconds: float


@dataclass(slots=True, kw_only=True)
class _Worker:
    pid: int
    channel: socket.socket
    tasks: deque[Task] = field(default_factory=deque[Task])
    deadline: float = 0.0


def serve(channel_fd: int, num_workers: int, max_memory_bytes: int) -> None:
    """Serve until the channel closes.

    Args:
        channel_fd: of a connected socket.
        num_workers: processes that compare.
        max_memory_bytes: address space of each; 0 for no limit.
    """
    # math-verify warns once that its own time-outs are off; the whole point is that ours are on
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    _load_mathematics()
    server = Server(
        channel=Connection(channel_fd), num_workers=num_workers, max_memory_bytes=allowed_memory_bytes(max_memory_bytes)
    )
    try:
        while server.step():
            pass
    finally:
        server.stop()


def allowed_memory_bytes(wanted: int) -> int:
    """The address space that a worker gets: what is wanted, or less where this process may not have as much.

    Args:
        wanted: 0 for no limit of ours.

    Returns:
        Bytes; 0 where nothing limits.
    """
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, most) if wanted else most


def _load_mathematics() -> None:
    """Load and warm up what every worker needs, before the forks."""
    compare_texts("$x^2 - 1$", "$(x - 1)(x + 1)$", AnswerPolicy())
    compare_texts("$[0, 1)$", r"$\{x : 0 \le x < 1\}$", AnswerPolicy())


@dataclass(slots=True, kw_only=True)
class Server:
    """Keeps workers busy with what comes over the channel, one event a `step`.

    Attributes:
        channel: to the client.
        num_workers: most processes that compare.
        max_memory_bytes: address space of each; 0 for no limit.
        waiting: tasks that no worker has.
        workers: those that live, each with its tasks.
        results: not sent yet.
        flushed_at: when results were last sent.
    """

    channel: Connection
    num_workers: int
    max_memory_bytes: int
    waiting: deque[Task] = field(default_factory=deque[Task])
    workers: list[_Worker] = field(default_factory=list[_Worker])
    results: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    flushed_at: float = 0.0

    def step(self) -> bool:
        """Wait for one event and handle it; False when the client is gone."""
        self.give_work()
        ready = self._wait()
        for worker in [worker for worker in self.workers if worker.channel in ready]:
            self._read(worker)
        self._stop_late_workers()
        if self.channel in ready:
            try:
                self.waiting.extend(self.channel.recv())
            except (EOFError, ConnectionError):
                return False
        return self._flush()

    def stop(self) -> None:
        """Kill the workers."""
        for worker in self.workers:
            _kill(worker)

    def _wait(self) -> set[object]:
        busy = [worker for worker in self.workers if worker.tasks]
        seconds = min((worker.deadline - time.monotonic() for worker in busy), default=None)
        if self.results:
            seconds = _FLUSH_SECONDS if seconds is None else min(seconds, _FLUSH_SECONDS)
        channels: list[Connection | socket.socket] = [self.channel, *(worker.channel for worker in self.workers)]
        poll = select.poll()
        by_fd = {channel.fileno(): channel for channel in channels}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        found = poll.poll(None if seconds is None else min(max(0.0, seconds), _MAX_WAIT_SECONDS) * 1000 + 1)
        return {by_fd[fd] for fd, _ in found}

    def give_work(self) -> None:
        """Give waiting tasks to workers that have none, and fork workers where there are too few."""
        for worker in self.workers:
            if not worker.tasks and self.waiting:
                self._give(worker)
        while self.waiting and len(self.workers) < self.num_workers:
            worker = self._fork()
            self.workers.append(worker)
            self._give(worker)

    def _give(self, worker: _Worker) -> None:
        size = min(_MAX_CHUNK, max(1, len(self.waiting) // (2 * self.num_workers)))
        worker.tasks.extend(self.waiting.popleft() for _ in range(min(size, len(self.waiting))))
        worker.deadline = time.monotonic() + worker.tasks[0].timeout_seconds
        connection = Connection(os.dup(worker.channel.fileno()))
        try:
            connection.send(list(worker.tasks))
        except ConnectionError:
            # it died between two chunks; reading finds the end of its channel and starts another
            pass
        finally:
            connection.close()

    def _read(self, worker: _Worker) -> None:
        try:
            codes = worker.channel.recv(2 * _MAX_CHUNK)
        except ConnectionError:
            codes = b""
        if not codes:
            self._replace(worker, VerdictReason.WORKER_DIED)
            return
        for outcome, reason in zip(codes[::2], codes[1::2], strict=True):
            self.results.append((worker.tasks.popleft().ticket, outcome, reason))
        if worker.tasks:
            worker.deadline = time.monotonic() + worker.tasks[0].timeout_seconds

    def _stop_late_workers(self) -> None:
        now = time.monotonic()
        for worker in [worker for worker in self.workers if worker.tasks and worker.deadline <= now]:
            if not select.select([worker.channel], [], [], 0)[0]:
                self._replace(worker, VerdictReason.TIMEOUT)

    def _replace(self, worker: _Worker, reason: VerdictReason) -> None:
        """Give up the answer that a worker was at, put the others back in front, and forget the worker."""
        _kill(worker)
        self.workers.remove(worker)
        if worker.tasks:
            lost = worker.tasks.popleft()
            self.results.append((lost.ticket, OUTCOMES.index(AnswerOutcome.UNKNOWN), REASONS.index(reason)))
        self.waiting.extendleft(reversed(worker.tasks))

    def _flush(self) -> bool:
        now = time.monotonic()
        idle = not self.waiting and not any(worker.tasks for worker in self.workers)
        if self.results and (idle or len(self.results) >= _FLUSH_RESULTS or now - self.flushed_at >= _FLUSH_SECONDS):
            try:
                self.channel.send(self.results)
            except ConnectionError:
                return False
            self.results, self.flushed_at = [], now
        return True

    def _fork(self) -> _Worker:
        ours, theirs = socket.socketpair()
        # a worker that is full of undelivered output must not hold what would be shared with the fork
        sys.stdout.flush()
        sys.stderr.flush()
        server_pid = os.getpid()
        pid = os.fork()
        if pid:
            theirs.close()
            return _Worker(pid=pid, channel=ours)
        ours.close()  # pragma: no cover - see _run_worker, also below
        self.channel.close()  # pragma: no cover
        for worker in self.workers:  # pragma: no cover
            worker.channel.close()
        return _run_worker(theirs, server_pid, self.max_memory_bytes)  # pragma: no cover


def _kill(worker: _Worker) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    os.waitpid(worker.pid, 0)
    worker.channel.close()


# what runs between a fork and a kill leaves no trace of coverage
def _run_worker(channel: socket.socket, server_pid: int, max_memory_bytes: int) -> NoReturn:  # pragma: no cover
    """Compare until the channel closes."""
    # Whatever happens, a worker must not go back into the server's code, whose workers and channel it would end.
    try:
        _limit_worker(server_pid, max_memory_bytes)
        connection = Connection(channel.detach())
        while True:
            work_through(connection.recv(), connection.fileno(), max_memory_bytes=max_memory_bytes)
    finally:
        os._exit(0)


def _limit_worker(server_pid: int, max_memory_bytes: int) -> None:  # pragma: no cover - see _run_worker
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server_pid:  # pragma: no cover - the server ended between the fork and the line above
        os._exit(0)
    if max_memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (max_memory_bytes, max_memory_bytes))
    try:
        # where memory ends all the same, the kernel takes the worker, whose loss is counted, and not the run
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:  # noqa: PTH123 - a kernel switch, not a file
            score.write("1000")
    except OSError:
        # a kernel or container that has no such switch decides for itself
        pass


def work_through(tasks: Sequence[Task], reply_fd: int, *, max_memory_bytes: int = 0) -> None:
    """Compare one task after the other, and write two bytes for each as soon as it is done."""
    for task in tasks:
        verdict = judge_task(task, max_memory_bytes=max_memory_bytes)
        os.write(reply_fd, bytes((OUTCOMES.index(verdict.outcome), REASONS.index(verdict.reason))))


def judge_task(task: Task, *, max_memory_bytes: int = 0) -> Verdict:
    """Compare; whatever goes wrong inside computer algebra is an unknown of this one answer.

    Args:
        task: what to compare.
        max_memory_bytes: limit under which this process runs; 0 for none. math-verify takes an answer for unreadable
            when memory runs out while it reads, so that of a process that came near its limit is unknown.
    """
    try:
        verdict = compare_texts(task.gold, task.prediction, task.policy)
    except MemoryError:
        return Verdict(outcome=AnswerOutcome.UNKNOWN, reason=VerdictReason.OUT_OF_MEMORY)
    # the boundary of one record: sympy raises of every kind, and its answer stays unknown
    except Exception:  # noqa: BLE001
        return Verdict(outcome=AnswerOutcome.UNKNOWN, reason=VerdictReason.COMPARISON_FAILED)
    unreadable = verdict.reason in (VerdictReason.PREDICTION_UNPARSEABLE, VerdictReason.GOLD_UNPARSEABLE)
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if unreadable and max_memory_bytes and peak_bytes > max_memory_bytes * _NEAR_THE_LIMIT:
        return Verdict(outcome=AnswerOutcome.UNKNOWN, reason=VerdictReason.OUT_OF_MEMORY)
    return verdict
