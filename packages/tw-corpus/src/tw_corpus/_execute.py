"""Running the tasks of a stage in worker processes, on top of datatrove's executor contract.

It keeps datatrove's folders of completed tasks, task logs and statistics. design/0002-workers.md says why datatrove's
own local executor does not serve.
"""
# datatrove's executors carry partial types only
# pyright: standard

import errno
import os
import resource
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from datatrove.data import Document
from datatrove.executor.base import DistributedEnvVars, PipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.stats import PipelineStats
from loguru import logger

from twllm_types import RunError, TwllmError

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One datatrove pipeline over a fixed number of tasks.

    Attributes:
        name: folder name of its logs and completions.
        steps: the pipeline's blocks; they are pickled once per task.
        num_tasks: how many tasks there are, whatever the number of workers.
    """

    name: str
    steps: Sequence[PipelineStep]
    num_tasks: int


class _TaskRunner(PipelineExecutor):
    """datatrove's bookkeeping for one stage; scheduling is left to `WorkerPool`."""

    def __init__(self, stage: Stage, logging_folder: Path) -> None:
        super().__init__(list(stage.steps), logging_dir=str(logging_folder))
        self._folder = logging_folder
        self._num_tasks = stage.num_tasks

    @property
    def world_size(self) -> int:
        return self._num_tasks

    def run(self) -> None:
        """Refuse; `WorkerPool` schedules the tasks of a stage."""
        raise TypeError("run the stage through WorkerPool")

    def run_task(self, rank: int) -> None:
        """Run one task, store its statistics and mark it completed.

        datatrove's `_run_for_rank` does the same, but its log shows the variables of every frame of a traceback, and so
        texts of documents; ours shows lines of code only.
        """
        if self.is_rank_completed(rank):
            return
        logger.remove()
        log = logger.add(self._folder / "logs" / f"task_{rank:05d}.log", level="INFO", mode="w", diagnose=False)
        try:
            documents: Iterable[Document] | None = None
            for step in self.pipeline:
                documents = step(documents, rank, self.world_size)
            deque(documents or (), maxlen=0)
            with self.logging_dir.open(f"stats/{rank:05d}.json", "w") as file:
                PipelineStats(self.pipeline).save_to_disk(file)
            self.mark_rank_as_completed(rank)
        except Exception:
            logger.exception(f"task {rank} failed")
            raise
        finally:
            logger.remove(log)

    # the argument belongs to datatrove's signature
    def get_distributed_env(self, node_rank: int = -1) -> DistributedEnvVars:  # noqa: ARG002
        return DistributedEnvVars(
            datatrove_node_ips="localhost",
            datatrove_cpus_per_task="-1",
            datatrove_mem_per_cpu="-1",
            datatrove_gpus_on_node="-1",
            datatrove_executor="LOCAL",
        )


def _start_worker(parent: int, log: str) -> None:
    """Prepare a child process: foreign output goes to a file, and there is no life after the parent."""
    # a search opens one file per task; the soft limit is often 1,024
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # libraries draw bars and print warnings in their own way; on the terminal they would break the progress display
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    # A killed parent cannot end its workers; a worker that went on would write beside the next run's workers.
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


def _run_task(runner: _TaskRunner, rank: int) -> None:
    runner.run_task(rank)


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
    """A fixed number of worker processes, shared by the stages of one run; use it in a `with` block."""

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

    def run(self, stage: Stage, *, logging_folder: Path, on_wait: Callable[[int], None]) -> None:
        """Run the tasks of `stage` that are not yet completed.

        Args:
            stage: what to run.
            logging_folder: datatrove's folder of logs, statistics and completions of this stage.
            on_wait: called several times a second with the number of completed tasks.

        Raises:
            RunError: a task failed or a worker died; the other tasks' results are kept.
        """
        runner = _TaskRunner(stage, logging_folder)
        ranks = runner.get_incomplete_ranks()
        num_done = stage.num_tasks - len(ranks)
        futures = {self._pool.submit(_run_task, runner, rank): rank for rank in ranks}
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                self._check(future, stage, futures[future], logging_folder)
            num_done += len(done)
            on_wait(num_done)
        on_wait(num_done)

    def _check(self, future: Future[None], stage: Stage, rank: int, logging_folder: Path) -> None:
        log = logging_folder / "logs" / f"task_{rank:05d}.log"
        try:
            future.result()
        except BrokenProcessPool as error:
            raise RunError(
                f"a worker process of stage {stage.name!r} died (out of memory?; its last words are in {self._log}); "
                "use fewer --workers and run the same command again, it continues"
            ) from error
        except TwllmError:
            raise
        except OSError as error:
            if error.errno == errno.EMFILE:
                raise RunError(
                    f"stage {stage.name!r} opens one file for each of the tasks and the system allows too few; raise "
                    "`ulimit -n`, or start anew with a larger tasks.target_bytes"
                ) from error
            raise RunError(
                f"stage {stage.name!r}, task {rank}: {error.strerror or error}"
                f"{f' ({error.filename})' if error.filename else ''}; "
                "mend it (free space, permissions) and run the same command again, it continues"
            ) from error
        except Exception as error:
            raise RunError(
                f"stage {stage.name!r}, task {rank} failed with {type(error).__name__}: {error}; "
                f"see {log}, then run the same command again, it continues"
            ) from error
