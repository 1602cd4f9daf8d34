"""One process per run folder, by a lock that the kernel releases when its holder dies."""

import fcntl
import functools
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from twllm_runs._atomic import write_error
from twllm_types import LockedError

LOCK_NAME = ".lock"

# Which descriptors this process holds. A forked child shares the parent's open files, and with them its lock, so the
# child has to close them; the fork hook that does it can only reach them here.
_held: set[int] = set()


@contextmanager
def run_lock(folder: Path) -> Generator[None]:
    """Hold `folder` for this process during the with-block.

    The lock is `flock` on `<folder>/.lock`. It goes with the process, also at kill -9; workers, forked or executed,
    do not inherit it and so cannot keep it alive. The file stays, for removing it would let two processes in.

    Raises:
        LockedError: another process (or another with-block of this one) holds it; the message names its pid.
        RunError: the lock file cannot be made.
    """
    _close_in_children()
    path = folder / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise write_error(path, error) from error
    _held.add(descriptor)
    try:
        _acquire(descriptor, folder)
        yield
    finally:
        _release(descriptor)


def _acquire(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    except BlockingIOError as error:
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "of unknown number"
        raise LockedError(
            f"{folder}: process {pid} works on this run; wait for it or end it, then run the same command again"
        ) from error
    except OSError as error:
        raise write_error(folder / LOCK_NAME, error) from error


def _release(descriptor: int) -> None:
    # Absent in a forked child, which has closed it already and may have another file under the same number.
    if descriptor in _held:
        _held.discard(descriptor)
        os.close(descriptor)


@functools.cache
def _close_in_children() -> None:
    """Register the fork hook, once per process: hooks cannot be taken back."""
    os.register_at_fork(after_in_child=_close_all)


def _close_all() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()
