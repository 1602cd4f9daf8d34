"""Answers verified in processes: ordered, none lost, whatever hangs or dies.

Text and exact numbers are compared at once in the calling thread; what needs computer algebra goes to a server process
(`_verify_server`) which keeps forked workers. The server is a program of its own, not a `multiprocessing` child: it
does not run the caller's main module again, may be started from threads and from daemonic processes, and ends when the
caller does, however that ends.
"""

import atexit
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import isfinite
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from socket import SHUT_RDWR, socketpair
from types import TracebackType
from typing import Self, cast

from step_kto._answers import AnswerPolicy, Verdict
from step_kto._verify import decide_without_mathematics
from step_kto._verify_server import OUTCOMES, REASONS, Task
from twllm_types import ConfigError, RunError

_FRAME = 256
_MAX_RESTARTS = 3
_GRACE_SECONDS = 1.0
_GIB = 1 << 30
# what an address may be on the machines of today
_MAX_GIB = 1 << 17
# The package's face imports more than the server has use for: it runs the modules it needs under a bare package.
_START = (
    "import sys, types; face = types.ModuleType('step_kto'); face.__path__ = [sys.argv[1]]; "
    "sys.modules['step_kto'] = face; from step_kto._verify_server import serve; serve(*map(int, sys.argv[2:]))"
)

_Answer = tuple[int, Verdict]
_LIVING: "weakref.WeakSet[AnswerVerifier]" = weakref.WeakSet()


class AnswerVerifier:
    """A pool of processes that verify answers; a context manager, whose end stops them.

    Several threads may use one verifier. A process forked from the caller lets go of the caller's server and starts one
    of its own when it needs one; closing there ends nothing here.

    Args:
        num_workers: processes, >= 1; None for the processor cores that this process may use.
        timeout_seconds: most time for one answer, > 0; beyond it the answer is `unknown` (timeout) and its worker is
            replaced.
        policy: conventions; None for the defaults.
        max_memory_gib: address space of one worker, > 0; beyond it the answer is `unknown` (out of memory). None: no
            limit.

    Raises:
        ConfigError: a value is out of its range.
    """

    def __init__(
        self,
        *,
        num_workers: int | None = None,
        timeout_seconds: float = 5.0,
        policy: AnswerPolicy | None = None,
        max_memory_gib: float | None = 4.0,
    ) -> None:
        workers = num_workers if num_workers is not None else len(os.sched_getaffinity(0))
        checks = (
            ("num_workers", workers, type(workers) is int and workers >= 1, "of a whole number >= 1"),
            (
                "max_memory_gib",
                max_memory_gib,
                max_memory_gib is None or 0 < max_memory_gib <= _MAX_GIB,
                f"in (0, {_MAX_GIB}], or None for no limit",
            ),
        )
        for name, value, holds, expected in checks:
            if not holds:
                raise ConfigError(f"{name} is {value}; give a value {expected}")
        _check_timeout(timeout_seconds)
        self._num_workers = workers
        self._timeout_seconds = timeout_seconds
        self._policy = policy if policy is not None else AnswerPolicy()
        self._max_memory_bytes = 0 if max_memory_gib is None else int(max_memory_gib * _GIB)
        self._lock = threading.Lock()
        self._server: _ServerProcess | None = None
        _LIVING.add(self)

    def verify(self, gold: str, prediction: str) -> Verdict:
        """Verify one answer; see `verify_many`."""
        return self.verify_many([(gold, prediction)])[0]

    def verify_many(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        policy: AnswerPolicy | None = None,
        timeout_seconds: float | None = None,
    ) -> list[Verdict]:
        """Verify (gold, prediction) pairs; one verdict each, in order.

        Args:
            pairs: gold answer and prediction; see `verify_answer`.
            policy: conventions of this call; None for the verifier's.
            timeout_seconds: time limit of this call, > 0; None for the verifier's.

        Raises:
            ConfigError: the time is not above 0.
            RunError: the server process died several times in a row; a single answer never does that.
        """
        policy = policy if policy is not None else self._policy
        seconds = timeout_seconds if timeout_seconds is not None else self._timeout_seconds
        _check_timeout(seconds)
        verdicts: list[Verdict | None] = []
        call = _Call(server=self._running_server, policy=policy, timeout_seconds=seconds)
        try:
            for gold, prediction in pairs:
                verdicts.append(decide_without_mathematics(gold, prediction, policy))
                if verdicts[-1] is None:
                    call.add(len(verdicts) - 1, gold, prediction)
            for index, verdict in call.collect():
                verdicts[index] = verdict
        except BaseException:
            # an interrupted call leaves work behind that nobody waits for
            self.close()
            raise
        return [verdict for verdict in verdicts if verdict is not None]

    @property
    def server_pid(self) -> int | None:
        """Process id of the server; None while none runs."""
        server = self._server
        return None if server is None or server.gone else server.pid

    @property
    def num_processes(self) -> int:
        """Processes that run now: the server and its workers; 0 before the first answer that needs them."""
        server = self.server_pid
        if server is None:
            return 0
        children = Path(f"/proc/{server}/task/{server}/children")
        return 1 + (len(children.read_text(encoding="ascii").split()) if children.exists() else 0)

    def close(self) -> None:
        """Stop the processes; a later call starts them again."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def forget(self) -> None:
        """Let go of a server that is the parent's, in a process that was just forked."""
        # the lock may be held by a thread that does not exist here
        server, self._lock, self._server = self._server, threading.Lock(), None
        if server is not None:
            server.forget()

    def __enter__(self) -> Self:
        """Return the verifier."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the processes."""
        self.close()

    def _running_server(self) -> "_ServerProcess":
        with self._lock:
            if self._server is None or self._server.gone:
                if self._server is not None:
                    self._server.close()
                self._server = _ServerProcess(self._num_workers, self._max_memory_bytes)
            return self._server


def _check_timeout(seconds: float) -> None:
    if not (isfinite(seconds) and seconds > 0):
        raise ConfigError(f"timeout_seconds is {seconds}; give a finite value > 0")


@dataclass(slots=True, kw_only=True)
class _Call:
    """The answers of one `verify_many` that need mathematics."""

    server: "Callable[[], _ServerProcess]"
    policy: AnswerPolicy
    timeout_seconds: float
    open: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    unsent: list[int] = field(default_factory=list[int])
    inbox: "SimpleQueue[_Answer | None]" = field(default_factory=SimpleQueue["_Answer | None"])

    def add(self, index: int, gold: str, prediction: str) -> None:
        self.open[index] = (gold, prediction)
        self.unsent.append(index)
        if len(self.unsent) >= _FRAME:
            self._send()

    def collect(self) -> Iterable[_Answer]:
        num_restarts = 0
        self._send()
        while self.open:
            answer = self.inbox.get()
            if answer is None:
                num_restarts += 1
                if num_restarts > _MAX_RESTARTS:
                    raise RunError(
                        f"the answer verifier's server died {num_restarts} times with {len(self.open)} answers left; "
                        "give it more memory, or fewer workers"
                    )
                # Answers that came before its end were taken out of `open` already; the others are asked again.
                self.unsent, self.inbox = list(self.open), SimpleQueue()
                self._send()
            elif answer[0] in self.open:
                del self.open[answer[0]]
                yield answer

    def _send(self) -> None:
        if self.unsent:
            indices, self.unsent = self.unsent, []
            tasks = [
                Task(
                    ticket=index,
                    gold=self.open[index][0],
                    prediction=self.open[index][1],
                    policy=self.policy,
                    timeout_seconds=self.timeout_seconds,
                )
                for index in indices
            ]
            self.server().submit(tasks, self.inbox)


class _ServerProcess:
    """One server, its channel, and the thread that hands out its answers."""

    def __init__(self, num_workers: int, max_memory_bytes: int) -> None:
        ours, theirs = socketpair()
        arguments = (str(Path(__file__).parent), str(theirs.fileno()), str(num_workers), str(max_memory_bytes))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            # an interrupt from the terminal is the caller's to handle
            start_new_session=True,
        )
        theirs.close()
        self._socket, self._channel = ours, Connection(os.dup(ours.fileno()))
        self._send_lock = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[SimpleQueue[_Answer | None], int]] = {}
        self._next_ticket = 0
        self.gone = False
        self._reader = threading.Thread(target=self._read, name="answer-verifier", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the server."""
        return self._process.pid

    def submit(self, tasks: list[Task], inbox: "SimpleQueue[_Answer | None]") -> None:
        """Send tasks; (ticket, verdict), or None when the server has died, come to the inbox."""
        renumbered: list[Task] = []
        with self._lock:
            if self.gone:
                inbox.put(None)
                return
            for task in tasks:
                renumbered.append(replace(task, ticket=self._next_ticket))
                self._waiting[self._next_ticket] = (inbox, task.ticket)
                self._next_ticket += 1
        try:
            with self._send_lock:
                self._channel.send(renumbered)
        except OSError:
            # the reader finds the end of the channel and tells every inbox
            pass

    def close(self) -> None:
        """End the server and its workers."""
        with suppress(OSError):
            self._socket.shutdown(SHUT_RDWR)
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            # it is still loading: nothing is lost by not waiting for it
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._channel.close()
        self._socket.close()

    def forget(self) -> None:
        """Close this process's ends of the channel, and leave the server to the process that started it."""
        # A shutdown would reach the parent; its server must also see the parent's end while this process lives on.
        self.gone = True
        self._channel.close()
        self._socket.close()

    def _read(self) -> None:
        try:
            while True:
                for ticket, outcome, reason in cast("list[tuple[int, int, int]]", self._channel.recv()):
                    with self._lock:
                        inbox, index = self._waiting.pop(ticket)
                    inbox.put((index, Verdict(outcome=OUTCOMES[outcome], reason=REASONS[reason])))
        except (EOFError, OSError):
            with self._lock:
                self.gone = True
                inboxes = {id(inbox): inbox for inbox, _ in self._waiting.values()}
                self._waiting.clear()
            for inbox in inboxes.values():
                inbox.put(None)


@dataclass(slots=True, kw_only=True)
class _Shared:
    """The verifier behind `verify_answer`; started by the first answer that needs it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    verifier: AnswerVerifier | None = None

    def get(self) -> AnswerVerifier:
        with self.lock:
            if self.verifier is None:
                self.verifier = AnswerVerifier(num_workers=1)
                atexit.register(self.verifier.close)
            return self.verifier


_SHARED = _Shared()


def _forget_in_child() -> None:
    _SHARED.lock = threading.Lock()
    for verifier in tuple(_LIVING):
        verifier.forget()


os.register_at_fork(after_in_child=_forget_in_child)


def verify_answer(
    gold: str, prediction: str, *, policy: AnswerPolicy | None = None, timeout_seconds: float = 5.0
) -> Verdict:
    r"""Say whether a prediction gives the gold answer; bounded in time by a process, in any thread.

    Both may be bare answers or whole solutions: `extract_answer` finds `\boxed{}`, `#### N` or "the answer is N". What
    text and exact numbers settle is decided at once; the rest goes to one worker process that the first such answer
    starts (about a second). For many answers use `AnswerVerifier`.

    Args:
        gold: the right answer.
        prediction: the answer to judge.
        policy: conventions; None for the defaults.
        timeout_seconds: most time for computer algebra, > 0.

    Returns:
        `equivalent`, `different` (also where the prediction holds no answer, or none that can be read), or `unknown`:
        the gold answer cannot be read, the time is up, or computer algebra failed.

    Raises:
        ConfigError: the time is not above 0.
        RunError: the process died several times in a row.
    """
    _check_timeout(timeout_seconds)
    chosen = policy if policy is not None else AnswerPolicy()
    easy = decide_without_mathematics(gold, prediction, chosen)
    if easy is not None:
        return easy
    pairs = [(gold, prediction)]
    return _SHARED.get().verify_many(pairs, policy=chosen, timeout_seconds=timeout_seconds)[0]
