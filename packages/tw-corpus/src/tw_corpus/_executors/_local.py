"""Worker processes on this machine."""
# datatrove's executors carry partial types only
# pyright: standard

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tw_corpus._executors._task import (
    Stage,
    TaskRunner,
    ignore_note,
    raise_file_limit,
    redirect_output,
    run_rank,
    worker_died,
)

_POLL_SECONDS = 0.2


def _start_worker(parent: int, log: str) -> None:
    """Prepare a child process: foreign output goes to a file, and there is no life after the parent."""
    raise_file_limit()
    redirect_output(Path(log))
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    # A killed parent cannot end its workers; a worker that went on would write beside the next run's workers.
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


class _TrackedSpawn(SpawnContext):
    """The spawn context, which also remembers its processes: the executor has no public way to end them."""

    def __init__(self) -> None:
        self.started: list[BaseProcess] = []

    # the executor calls the context like this
    def Process(self, *args: Any, **kwargs: Any) -> BaseProcess:  # type: ignore[override]  # noqa: N802
        process = SpawnContext.Process(*args, **kwargs)
        self.started.append(process)
        return process


class WorkerPool:
    """A fixed number of worker processes, shared by the stages of one run; a `TaskExecutor`."""

    def __init__(self, num_workers: int, *, log: Path) -> None:
        """Prepare the pool; processes start with the first task.

        Args:
            num_workers: processes that run at once, >= 1.
            log: file that takes what the processes print; its folder exists.
        """
        self._log = log
        # spawn: fork copies threads' locks (progress display), forkserver hides the death of the parent
        self._context = _TrackedSpawn()
        self._pool = ProcessPoolExecutor(
            max_workers=num_workers,
            mp_context=self._context,
            initializer=_start_worker,
            initargs=(os.getpid(), str(log)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # stopped or failed: what is through is kept, what is in progress will be done again
            for process in self._context.started:
                process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(
        self,
        stage: Stage,
        *,
        logging_folder: Path,
        on_wait: Callable[[int], None],
        # there is nothing to wait for but the tasks themselves
        on_note: Callable[[str], None] = ignore_note,  # noqa: ARG002
    ) -> None:
        """Run the tasks of `stage` that are not yet completed; see `TaskExecutor`.

        Raises:
            RunError: a task failed or a worker died; the other tasks' results are kept.
        """
        runner = TaskRunner(stage, logging_folder)
        ranks = runner.incomplete_ranks()
        num_done = stage.num_tasks - len(ranks)
        pending = {self._pool.submit(run_rank, runner, rank) for rank in ranks}
        while pending:
            done, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    failure = future.result()
                except BrokenProcessPool as error:
                    raise worker_died(stage.name, log=self._log) from error
                if failure is not None:
                    raise failure.error()
            num_done += len(done)
            on_wait(num_done)
        on_wait(num_done)
