import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from twllm_runs import run_lock
from twllm_types import LockedError, RunError

# Takes the lock, says so, starts a sleeping worker if asked, and waits to be told to go on or killed.
HOLDER = """
import subprocess, sys
from pathlib import Path
from twllm_runs import run_lock
with run_lock(Path(sys.argv[1])):
    worker = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
    print(worker.pid, flush=True)
    sys.stdin.readline()
    worker.kill()
    worker.wait()
"""


def start_holder(folder: Path) -> tuple["subprocess.Popen[str]", int]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    return holder, int(holder.stdout.readline())


def test_run_lock_held_by_other_process_names_its_pid_until_released(tmp_path: Path) -> None:
    holder, _ = start_holder(tmp_path)
    with holder:
        with pytest.raises(LockedError, match=f"process {holder.pid} works on this run"), run_lock(tmp_path):
            pass
        holder.communicate("\n")
    with run_lock(tmp_path):
        assert (tmp_path / ".lock").read_text(encoding="ascii") == f"{os.getpid()}\n"


def test_run_lock_killed_holder_releases_though_its_worker_lives(tmp_path: Path) -> None:
    holder, worker = start_holder(tmp_path)
    with holder:
        holder.kill()
        holder.wait()
    try:
        os.kill(worker, 0)
        with run_lock(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)


def test_run_lock_twice_in_one_process_is_refused(tmp_path: Path) -> None:
    with run_lock(tmp_path):
        with pytest.raises(LockedError), run_lock(tmp_path):
            pass
        with pytest.raises(LockedError), run_lock(tmp_path):
            pass
    with run_lock(tmp_path):
        pass


def test_run_lock_killed_holder_releases_though_its_forked_child_lives(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from twllm_runs import run_lock\n"
        "with run_lock(Path(sys.argv[1])):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        print(os.getpid(), flush=True); sys.stdin.readline(); os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        holder.kill()
        holder.wait()
        os.kill(child, 0)
        with run_lock(tmp_path):
            pass


def test_run_lock_forked_child_that_unwinds_leaves_parents_lock(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from twllm_runs import run_lock\n"
        "from twllm_types import LockedError\n"
        "folder = Path(sys.argv[1])\n"
        "with run_lock(folder):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        sys.exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    try:\n"
        "        with run_lock(folder):\n"
        "            print('taken')\n"
        "    except LockedError:\n"
        "        print('held')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True, text=True)
    assert done.stdout == "held\n"


def test_run_lock_missing_folder_is_run_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="create the folder"), run_lock(tmp_path / "absent"):
        pass
