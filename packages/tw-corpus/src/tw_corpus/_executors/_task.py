"""What every executor shares: a stage, one of its tasks with datatrove's bookkeeping, and what becomes of a failure."""
# datatrove's executors carry partial types only
# pyright: standard

import errno
import os
import resource
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from datatrove.data import Document
from datatrove.executor.base import DistributedEnvVars, PipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.stats import PipelineStats
from loguru import logger

from tw_corpus._foreign import FOREIGN_ERRORS, one_line
from tw_corpus._pii import redact
from twllm_types import (
    ArtifactError,
    ConfigError,
    DataError,
    EngineError,
    LockedError,
    MissingDependencyError,
    RunError,
    ShapeError,
    TwllmError,
)

_ERRORS: dict[str, type[TwllmError]] = {
    kind.__name__: kind
    for kind in (
        ArtifactError,
        ConfigError,
        DataError,
        EngineError,
        LockedError,
        MissingDependencyError,
        RunError,
        ShapeError,
        TwllmError,
    )
}


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


def ignore_note(_text: str) -> None:
    """Show nothing."""


class TaskExecutor(Protocol):
    """Runs the stages of one run, one after the other; use it in a `with` block.

    When the block ends by an error or a signal, tasks in progress are stopped, on whatever machine they are.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def run(
        self,
        stage: Stage,
        *,
        logging_folder: Path,
        on_wait: Callable[[int], None],
        on_note: Callable[[str], None] = ignore_note,
    ) -> None:
        """Run the tasks of `stage` that are not yet completed.

        Args:
            stage: what to run.
            logging_folder: datatrove's folder of logs, statistics and completions of this stage.
            on_wait: called again and again with the number of completed tasks.
            on_note: called with a line about what is waited for, when that changes.

        Raises:
            RunError: a task failed or a worker died; the other tasks' results are kept.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a task failed, as it travels from a worker to the command: a message, never texts of documents.

    Attributes:
        kind: class of the error.
        message: one line with the fix.
    """

    kind: str
    message: str

    @classmethod
    def of(cls, error: TwllmError) -> Self:
        """Describe an error of ours; a class that others do not know becomes its nearest known base."""
        known = next(kind for kind in type(error).mro() if kind in _ERRORS.values())
        # the text of a foreign exception may quote a document
        return cls(kind=known.__name__, message=redact(str(error)).text)

    def error(self) -> TwllmError:
        """Return the error that the command raises."""
        return _ERRORS[self.kind](self.message)


class TaskRunner(PipelineExecutor):
    """datatrove's bookkeeping for one stage; scheduling is left to the executors."""

    def __init__(self, stage: Stage, logging_folder: Path) -> None:
        super().__init__(list(stage.steps), logging_dir=str(logging_folder))
        self._folder = logging_folder
        self._num_tasks = stage.num_tasks
        self.stage_name = stage.name

    @property
    def world_size(self) -> int:
        return self._num_tasks

    def run(self) -> None:
        """Refuse; a `TaskExecutor` schedules the tasks of a stage."""
        raise TypeError("run the stage through a TaskExecutor")

    def incomplete_ranks(self) -> list[int]:
        """Return the tasks that are not yet completed, in order."""
        return self.get_incomplete_ranks()

    def log_of(self, rank: int) -> Path:
        """Return where the log of a task is written."""
        return self._folder / "logs" / f"task_{rank:05d}.log"

    def run_task(self, rank: int) -> None:
        """Run one task, store its statistics and mark it completed.

        datatrove's `_run_for_rank` does the same, but its log shows the variables of every frame of a traceback, and so
        texts of documents; ours shows lines of code only.
        """
        if self.is_rank_completed(rank):
            return
        logger.remove()
        log = logger.add(self.log_of(rank), level="INFO", mode="w", diagnose=False)
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


def run_rank(runner: TaskRunner, rank: int) -> Failure | None:
    """Run one task in this process; an error becomes a value, which reads alike whatever executor carries it."""
    try:
        runner.run_task(rank)
    except TwllmError as error:
        return Failure.of(error)
    except OSError as error:
        return Failure.of(_system_failure(error, runner.stage_name, rank))
    # the boundary of a task: the traceback is in its log, the command gets one line
    except FOREIGN_ERRORS as error:
        return Failure.of(
            RunError(
                f"stage {runner.stage_name!r}, task {rank} failed with {one_line(error)}; "
                f"see {runner.log_of(rank)}, then run the same command again, it continues"
            )
        )
    return None


def worker_died(stage: str, *, log: Path, fix: str = "use fewer --workers") -> RunError:
    """Return the error for a process that ended without a word."""
    return RunError(
        f"a worker process of stage {stage!r} died (out of memory?; its last words are in {log}); "
        f"{fix} and run the same command again, it continues"
    )


def raise_file_limit() -> None:
    """Let this process open as many files as it may: a search opens one per task, the soft limit is often 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def redirect_output(log: Path) -> None:
    """Send what this process prints to a file.

    Libraries draw bars and print warnings in their own way; on the terminal they would break the progress display.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _system_failure(error: OSError, stage: str, rank: int) -> RunError:
    if error.errno == errno.EMFILE:
        return RunError(
            f"stage {stage!r} opens one file for each of the tasks and the system allows too few; raise "
            "`ulimit -n`, or start anew with a larger tasks.target_bytes"
        )
    return RunError(
        f"stage {stage!r}, task {rank}: {error.strerror or error}"
        f"{f' ({error.filename})' if error.filename else ''}; "
        "mend it (free space, permissions) and run the same command again, it continues"
    )
