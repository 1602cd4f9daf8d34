import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from step_kto._answers import AnswerOutcome, AnswerPolicy, Verdict, VerdictReason
from step_kto._verify_pool import AnswerVerifier, verify_answer
from step_kto._verify_server import OUTCOMES, REASONS, Task, judge_task, work_through
from twllm_types import ConfigError, RunError

# computer algebra never comes back from either
HANGS = ("$5$", r"$10^{10^{10}} + 1$")
EQUAL = ("$x^2 + 3x$", r"\boxed{x(x + 3)}")
UNEQUAL = ("$x^2 + 3x$", r"\boxed{x(x + 4)}")


def timeout() -> Verdict:
    return Verdict(outcome=AnswerOutcome.UNKNOWN, reason=VerdictReason.TIMEOUT)


def test_verify_many_hanging_answers_are_unknown_and_no_other_is_lost() -> None:
    pairs = [(f"$x^2 + {n}x$", f"\\boxed{{x(x + {n + n % 2})}}") for n in range(60)]
    pairs[20] = pairs[21] = pairs[50] = HANGS
    with AnswerVerifier(num_workers=2, timeout_seconds=1.0) as verifier:
        verdicts = verifier.verify_many(pairs)
    assert [verdicts[at] for at in (20, 21, 50)] == [timeout()] * 3
    labels = [verdict.label for at, verdict in enumerate(verdicts) if at not in (20, 21, 50)]
    assert labels == [n % 2 == 0 for n in range(60) if n not in (20, 21, 50)]


def test_verify_many_easy_answers_start_no_process() -> None:
    verifier = AnswerVerifier(num_workers=1)
    verdicts = verifier.verify_many([("1,000", "1000"), ("2", "3")])
    assert [verdict.label for verdict in verdicts] == [True, False]
    assert verifier.num_processes == 0


def test_verify_many_more_than_a_frame_keeps_order() -> None:
    pairs = [(f"$x + {n}$", f"${n} + x$") if n % 3 else ("4", "4") for n in range(700)]
    with AnswerVerifier(num_workers=2, timeout_seconds=30) as verifier:
        assert [verdict.label for verdict in verifier.verify_many(pairs)] == [True] * 700


def test_verify_many_too_much_memory_is_unknown() -> None:
    # less than a process needs to begin with: whatever it wants beyond what it was forked with is refused
    pair = ("$x$", r"$\binom{20000000}{10000000}$")
    with AnswerVerifier(num_workers=1, timeout_seconds=60, max_memory_gib=0.001) as verifier:
        verdicts = verifier.verify_many([pair] * 3)
    assert [verdict.outcome for verdict in verdicts] == [AnswerOutcome.UNKNOWN] * 3


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def wait_for_worker(verifier: AnswerVerifier) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        server = verifier.server_pid
        workers = children_of(server) if server is not None else []
        if workers:
            return workers[0]
        time.sleep(0.02)
    raise AssertionError("no worker was started")


def test_verify_many_killed_worker_loses_one_answer_only() -> None:
    with AnswerVerifier(num_workers=1, timeout_seconds=60) as verifier, ThreadPoolExecutor(1) as pool:
        future = pool.submit(verifier.verify_many, [HANGS, EQUAL, UNEQUAL])
        os.kill(wait_for_worker(verifier), signal.SIGKILL)
        verdicts = future.result()
    assert verdicts[0] == Verdict(outcome=AnswerOutcome.UNKNOWN, reason=VerdictReason.WORKER_DIED)
    assert [verdict.label for verdict in verdicts[1:]] == [True, False]


def test_verify_many_killed_server_is_started_again() -> None:
    with AnswerVerifier(num_workers=1, timeout_seconds=3) as verifier, ThreadPoolExecutor(1) as pool:
        future = pool.submit(verifier.verify_many, [HANGS, EQUAL])
        wait_for_worker(verifier)
        server = verifier.server_pid
        assert server is not None
        os.kill(server, signal.SIGKILL)
        assert [verdict.label for verdict in future.result()] == [None, True]


def test_verify_many_server_that_never_lives_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with AnswerVerifier(num_workers=1) as verifier, pytest.raises(RunError, match="died 4 times with 1 answers left"):
        verifier.verify(*EQUAL)


def test_verify_many_several_threads_share_one_verifier() -> None:
    with AnswerVerifier(num_workers=2, timeout_seconds=30) as verifier, ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(verifier.verify_many, [EQUAL, UNEQUAL] * 5) for _ in range(4)]
        labels = [[verdict.label for verdict in call.result()] for call in calls]
    assert labels == [[True, False] * 5] * 4


def test_close_twice_and_use_again_works() -> None:
    verifier = AnswerVerifier(num_workers=1, timeout_seconds=30)
    assert verifier.verify(*EQUAL).label is True
    pid = verifier.server_pid
    verifier.close()
    verifier.close()
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()
    assert verifier.verify(*UNEQUAL).label is False
    verifier.close()


def verify_in_child(results: "multiprocessing.SimpleQueue[bool | None]") -> None:
    results.put(verify_answer(*EQUAL).label)


def test_verify_answer_daemonic_process_works() -> None:
    # the server of this process must not be taken for the child's
    assert verify_answer(*UNEQUAL).label is False
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=verify_in_child, args=(results,), daemon=True)
    process.start()
    assert results.get() is True
    process.join()


def test_verify_answer_thread_is_bounded_without_signals() -> None:
    found: list[Verdict] = []
    thread = threading.Thread(target=lambda: found.append(verify_answer(*HANGS, timeout_seconds=0.5)))
    thread.start()
    thread.join(60)
    assert found == [timeout()]


def test_verify_answer_policy_and_bare_numbers() -> None:
    assert verify_answer("0.1", r"10\%").label is True
    assert verify_answer("0.1", r"10\%", policy=AnswerPolicy(percent="number")).label is False


SCRIPT = """
import sys
from step_kto._verify_pool import AnswerVerifier
verifier = AnswerVerifier(num_workers=1, timeout_seconds=600)
import threading
threading.Thread(target=verifier.verify, args=("$5$", r"$10^{10^{10}} + 1$"), daemon=True).start()
import time
while not verifier.server_pid or not open(f"/proc/{verifier.server_pid}/task/{verifier.server_pid}/children").read():
    time.sleep(0.02)
print(verifier.server_pid, open(f"/proc/{verifier.server_pid}/task/{verifier.server_pid}/children").read(), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT], ids=["term", "kill", "int"])
def test_stopped_caller_leaves_no_process(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as caller:
        assert caller.stdout is not None
        pids = [int(pid) for pid in caller.stdout.readline().split()]
        assert len(pids) == 2
        caller.send_signal(number)
        caller.wait(60)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "a process outlived its caller"
        time.sleep(0.05)


def test_interrupted_call_stops_its_processes() -> None:
    verifier = AnswerVerifier(num_workers=1)

    def pairs():
        yield from [EQUAL] * 300
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verifier.verify_many(pairs())
    assert verifier.num_processes == 0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("num_workers", {"num_workers": 0}),
        ("timeout_seconds", {"timeout_seconds": 0.0}),
        ("max_memory_gib", {"max_memory_gib": 0.0}),
    ],
)
def test_answer_verifier_bad_option_is_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{name} is 0"):
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
