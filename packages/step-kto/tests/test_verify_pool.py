import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from step_kto._answers import AnswerOutcome, AnswerPolicy, Verdict, VerdictReason
from step_kto._verify_pool import AnswerVerifier, verify_answer
from step_kto._verify_server import (
    OUTCOMES,
    REASONS,
    Server,
    Task,
    allowed_memory_bytes,
    judge_task,
    work_through,
)
from twllm_types import ConfigError, RunError

# computer algebra never comes back from either
HANGS = ("$5$", r"$10^{10^{10}} + 1$")
EQUAL = ("$x^2 + 3x$", r"\boxed{x(x + 3)}")
UNEQUAL = ("$x^2 + 3x$", r"\boxed{x(x + 4)}")


def unknown(reason: VerdictReason) -> Verdict:
    return Verdict(outcome=AnswerOutcome.UNKNOWN, reason=reason)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def wait_for_end(*pids: int, seconds: float = 60) -> None:
    """Wait until processes have ended, children of this one or not."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert select.select([handle], [], [], seconds)[0], f"process {pid} outlived its caller"
        finally:
            os.close(handle)


def server_of(verifier: AnswerVerifier) -> int:
    pid = verifier.server_pid
    assert pid is not None
    return pid


# starting a server takes a second, and ten on a busy machine
@pytest.fixture(scope="module")
def pool() -> Iterator[AnswerVerifier]:
    with AnswerVerifier(num_workers=2, timeout_seconds=60) as verifier:
        yield verifier


def test_verify_many_hanging_answers_are_unknown_and_no_other_is_lost(pool: AnswerVerifier) -> None:
    pairs = [(f"$x^2 + {n}x$", f"\\boxed{{x(x + {n + n % 2})}}") for n in range(24)]
    pairs[4] = pairs[5] = pairs[20] = HANGS
    verdicts = pool.verify_many(pairs, timeout_seconds=1.5)
    assert [verdicts[at] for at in (4, 5, 20)] == [unknown(VerdictReason.TIMEOUT)] * 3
    labels = [verdict.label for at, verdict in enumerate(verdicts) if at not in (4, 5, 20)]
    assert labels == [n % 2 == 0 for n in range(24) if n not in (4, 5, 20)]


def test_verify_many_easy_answers_start_no_process() -> None:
    verifier = AnswerVerifier(num_workers=1)
    verdicts = verifier.verify_many([("1,000", "1000"), ("2", "3")])
    assert [verdict.label for verdict in verdicts] == [True, False]
    assert verifier.num_processes == 0


def test_verify_many_more_than_a_frame_keeps_order(pool: AnswerVerifier) -> None:
    pairs = [(f"$x + {n}$", f"${n} + x$") if n % 3 else ("4", "4") for n in range(400)]
    assert [verdict.label for verdict in pool.verify_many(pairs)] == [True] * 400


def test_verify_many_several_threads_share_one_verifier(pool: AnswerVerifier) -> None:
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(pool.verify_many, [EQUAL, UNEQUAL] * 3) for _ in range(4)]
        labels = [[verdict.label for verdict in call.result()] for call in calls]
    assert labels == [[True, False] * 3] * 4


def test_verify_many_killed_idle_workers_lose_nothing(pool: AnswerVerifier) -> None:
    assert pool.verify(*EQUAL).label is True
    workers = children_of(server_of(pool))
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    wait_for_end(*workers)
    assert [verdict.label for verdict in pool.verify_many([EQUAL, UNEQUAL])] == [True, False]


def test_verify_many_killed_server_is_started_again_and_so_after_close(pool: AnswerVerifier) -> None:
    assert pool.verify(*EQUAL).label is True
    server = server_of(pool)
    os.kill(server, signal.SIGKILL)
    assert [verdict.label for verdict in pool.verify_many([EQUAL, UNEQUAL])] == [True, False]
    second = server_of(pool)
    workers = children_of(second)
    assert second != server
    pool.close()
    pool.close()
    wait_for_end(second, *workers)
    assert pool.num_processes == 0
    assert pool.verify(*UNEQUAL).label is False


def close_in_child(
    verifier: AnswerVerifier, results: "multiprocessing.SimpleQueue[tuple[bool | None, int | None]]"
) -> None:
    inherited = verifier.server_pid
    verifier.close()
    results.put((verify_answer(*EQUAL).label, inherited))


def test_forked_daemon_has_a_server_of_its_own_and_leaves_ours_alone(pool: AnswerVerifier) -> None:
    assert pool.verify(*EQUAL).label is True
    server = server_of(pool)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=close_in_child, args=(pool, results), daemon=True)
    process.start()
    assert results.get() == (True, None)
    process.join()
    assert pool.verify(*UNEQUAL).label is False
    assert server_of(pool) == server


def test_interrupted_call_stops_its_processes() -> None:
    verifier = AnswerVerifier(num_workers=1)

    def pairs() -> Iterator[tuple[str, str]]:
        yield from [EQUAL] * 300
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verifier.verify_many(pairs())
    assert verifier.num_processes == 0


def test_verify_many_server_that_never_lives_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with AnswerVerifier(num_workers=1) as verifier, pytest.raises(RunError, match="died 4 times with 1 answers left"):
        verifier.verify(*EQUAL)


def test_verify_many_limits_of_the_caller_hold_for_workers() -> None:
    # a cluster's `ulimit -v` below the limit that is asked for
    script = (
        "import resource; from step_kto import AnswerVerifier;"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30));"
        "v = AnswerVerifier(num_workers=2, timeout_seconds=60, max_memory_gib=64);"
        "print([x.label for x in v.verify_many([('$x + 1$', '$1 + x$'), ('$x$', '$y + 1$')] * 2)]); v.close()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout.strip(), done.returncode) == ("[True, False, True, False]", 0)


def test_verify_answer_thread_is_bounded_without_signals() -> None:
    found: list[Verdict] = []
    thread = threading.Thread(target=lambda: found.append(verify_answer(*HANGS, timeout_seconds=0.5)))
    thread.start()
    thread.join(60)
    assert found == [unknown(VerdictReason.TIMEOUT)]


def test_verify_answer_policy_and_bare_numbers() -> None:
    assert verify_answer("0.1", r"10\%").label is True
    assert verify_answer("0.1", r"10\%", policy=AnswerPolicy(percent="number")).label is False


SCRIPT = """
from pathlib import Path
from step_kto._verify_pool import AnswerVerifier
verifier = AnswerVerifier(num_workers=1, timeout_seconds=600)
verifier.verify("$x + 1$", "$1 + x$")
server = verifier.server_pid
print(server, Path(f"/proc/{server}/task/{server}/children").read_text(), flush=True)
verifier.verify("$5$", r"$10^{10^{10}} + 1$")
"""


def test_stopped_caller_leaves_no_process() -> None:
    with ExitStack() as stack:
        callers = [
            stack.enter_context(
                subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            )
            for _ in range(3)
        ]
        for caller, number in zip(callers, (signal.SIGTERM, signal.SIGKILL, signal.SIGINT), strict=True):
            assert caller.stdout is not None
            pids = [int(pid) for pid in caller.stdout.readline().split()]
            assert len(pids) == 2
            caller.send_signal(number)
            caller.wait(60)
            wait_for_end(*pids)


class ServerHere:
    """A server that runs in this process, one event at a time."""

    def __init__(self, *pairs: tuple[str, str], timeout_seconds: float = 60, max_memory_bytes: int = 0) -> None:
        # workers are forks of this process, and fast where it has loaded what they need
        assert judge_task(task(*EQUAL)).label is True
        ours, theirs = socket.socketpair()
        self._channel = Connection(ours.detach())
        self.server = Server(channel=Connection(theirs.detach()), num_workers=1, max_memory_bytes=max_memory_bytes)
        self._num_open = len(pairs)
        self._channel.send(
            [
                Task(ticket=at, gold=gold, prediction=answer, policy=AnswerPolicy(), timeout_seconds=timeout_seconds)
                for at, (gold, answer) in enumerate(pairs)
            ]
        )

    def start_worker(self) -> int:
        """Fork the worker and give it the first task."""
        assert self.server.step()
        self.server.give_work()
        return self.server.workers[0].pid

    def verdicts(self) -> list[Verdict]:
        found: dict[int, Verdict] = {}
        while len(found) < self._num_open:
            assert self.server.step()
            while self._channel.poll():
                for ticket, outcome, reason in self._channel.recv():
                    found[ticket] = Verdict(outcome=OUTCOMES[outcome], reason=REASONS[reason])
        return [found[at] for at in range(self._num_open)]

    def end(self) -> None:
        self.server.stop()
        self._channel.close()
        self.server.channel.close()


# a fork of a process with threads warns from Python 3.12 on; the server proper has none
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_server_killed_worker_loses_one_answer_only() -> None:
    here = ServerHere(HANGS, EQUAL, UNEQUAL)
    os.kill(here.start_worker(), signal.SIGKILL)
    verdicts = here.verdicts()
    here.end()
    assert verdicts[0] == unknown(VerdictReason.WORKER_DIED)
    assert [verdict.label for verdict in verdicts[1:]] == [True, False]


# as above
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_server_stopped_worker_is_late_and_replaced() -> None:
    here = ServerHere(EQUAL, EQUAL, timeout_seconds=1)
    os.kill(here.start_worker(), signal.SIGSTOP)
    verdicts = here.verdicts()
    here.end()
    assert (verdicts[0], verdicts[1].label) == (unknown(VerdictReason.TIMEOUT), True)


# as above
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_server_worker_that_wants_too_much_memory_is_unknown() -> None:
    # less than a process needs to begin with: whatever it wants beyond what it was forked with is refused
    here = ServerHere(("$x$", r"$\binom{20000000}{10000000}$"), max_memory_bytes=1 << 20)
    verdicts = here.verdicts()
    here.end()
    assert verdicts[0].outcome is AnswerOutcome.UNKNOWN


def test_allowed_memory_is_never_above_what_the_process_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    assert allowed_memory_bytes(0) in (0, resource.getrlimit(resource.RLIMIT_AS)[1])
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    assert [allowed_memory_bytes(wanted) for wanted in (0, 50, 500)] == [100, 50, 100]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (-1, resource.RLIM_INFINITY))
    assert [allowed_memory_bytes(wanted) for wanted in (0, 50)] == [0, 50]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("num_workers is 0", {"num_workers": 0}),
        ("num_workers is True", {"num_workers": True}),
        ("num_workers is 2.5", {"num_workers": 2.5}),
        ("timeout_seconds is 0", {"timeout_seconds": 0.0}),
        ("timeout_seconds is inf", {"timeout_seconds": float("inf")}),
        ("timeout_seconds is nan", {"timeout_seconds": float("nan")}),
        ("max_memory_gib is 0", {"max_memory_gib": 0.0}),
        ("max_memory_gib is inf", {"max_memory_gib": float("inf")}),
    ],
)
def test_answer_verifier_bad_option_is_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=name):
        AnswerVerifier(**options)


def test_verify_answer_time_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="timeout_seconds is 0"):
        verify_answer("1", "1", timeout_seconds=0)


def task(gold: str, prediction: str) -> Task:
    return Task(ticket=0, gold=gold, prediction=prediction, policy=AnswerPolicy(), timeout_seconds=1)


def test_work_through_writes_two_codes_for_each_task() -> None:
    reading, writing = os.pipe()
    work_through([task(*EQUAL), task("", "x")], writing)
    codes = os.read(reading, 10)
    os.close(reading)
    os.close(writing)
    assert [OUTCOMES[code] for code in codes[::2]] == [AnswerOutcome.EQUIVALENT, AnswerOutcome.UNKNOWN]
    assert [REASONS[code] for code in codes[1::2]] == [VerdictReason.SAME_VALUE, VerdictReason.GOLD_UNPARSEABLE]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(MemoryError, VerdictReason.OUT_OF_MEMORY), (ZeroDivisionError, VerdictReason.COMPARISON_FAILED)],
    ids=["memory", "other"],
)
def test_judge_task_error_inside_is_unknown(
    error: type[BaseException], reason: VerdictReason, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Verdict:
        raise error

    monkeypatch.setattr("step_kto._verify_server.compare_texts", fail)
    assert judge_task(task("1", "1")) == Verdict(outcome=AnswerOutcome.UNKNOWN, reason=reason)


def test_judge_task_unreadable_answer_near_the_memory_limit_is_unknown() -> None:
    unreadable = task("$x$", "There is no way to tell")
    verdict = judge_task(unreadable, max_memory_bytes=1)
    assert verdict == Verdict(outcome=AnswerOutcome.UNKNOWN, reason=VerdictReason.OUT_OF_MEMORY)
    assert judge_task(unreadable, max_memory_bytes=1 << 50).reason is VerdictReason.PREDICTION_UNPARSEABLE
