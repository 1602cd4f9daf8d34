"""Choosing an executor, and what stands in its way."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from tw_corpus._execution_options import ExecutionOptions, ExecutorName
from tw_corpus._executors._local import WorkerPool
from tw_corpus._executors._ray import RayTasks
from tw_corpus._executors._slurm import SlurmArrays
from tw_corpus._executors._slurm_commands import ControllerError, missing_commands, queue
from tw_corpus._executors._slurm_submission import JobState, open_submissions
from tw_corpus._executors._task import TaskExecutor
from twllm_types import ConfigError, RunError


def _local(workers: int, _options: ExecutionOptions, work: Path) -> TaskExecutor:
    return WorkerPool(workers, log=work / "workers.log")


def _ray(workers: int, options: ExecutionOptions, work: Path) -> TaskExecutor:
    return RayTasks(workers, options.ray, log=work / "workers.log")


def _slurm(workers: int, options: ExecutionOptions, work: Path) -> TaskExecutor:
    return SlurmArrays(workers, options.slurm, work=work)


_EXECUTORS: dict[ExecutorName, Callable[[int, ExecutionOptions, Path], TaskExecutor]] = {
    ExecutorName.LOCAL: _local,
    ExecutorName.RAY: _ray,
    ExecutorName.SLURM: _slurm,
}


def open_executor(name: ExecutorName, options: ExecutionOptions, *, workers: int, work: Path) -> TaskExecutor:
    """Return the executor, to be used in a `with` block.

    Args:
        name: which one.
        options: of all executors.
        workers: tasks at once, >= 1.
        work: the run's folder of intermediate files; exists.
    """
    return _EXECUTORS[name](workers, options, work)


def check_executor(name: ExecutorName) -> None:
    """Refuse an executor that is not installed here.

    Raises:
        ConfigError: what is missing, and how to get it.
    """
    if name is ExecutorName.RAY and find_spec("ray") is None:
        raise ConfigError("--executor ray needs the package ray, which is not installed; pip install 'tw-corpus[ray]'")
    if name is ExecutorName.SLURM and (missing := missing_commands()):
        raise ConfigError(
            f"--executor slurm needs the command {missing[0]}, which is not on PATH; start on a login node of the "
            "cluster, or use --executor local"
        )


def settle_earlier_jobs(name: ExecutorName, work: Path) -> bool:
    """Settle what earlier commands left open: their Slurm jobs.

    With `slurm` nothing is changed: `SlurmArrays` waits for such jobs. With another executor, a job that has left the
    queue is recorded as ended, so that no later command asks for it again; one that has not is an error.

    Args:
        name: executor of this command.
        work: the run's folder of intermediate files.

    Returns:
        Whether such a job may still work in the folder; True with `slurm` only.

    Raises:
        RunError: such a job is alive, or may be, and this command would work beside it.
        ArtifactError: the record of a job is damaged.
    """
    submissions = open_submissions(work)
    if name is ExecutorName.SLURM or not submissions:
        return bool(submissions)
    for submission in submissions:
        try:
            alive = bool(queue(submission.name))
        except ControllerError as error:
            raise RunError(
                f"Slurm job {submission.job or submission.name} of an earlier start may still work on this run "
                f"({error}); continue where Slurm answers, or, if it has ended, delete {submission.folder}"
            ) from error
        if alive:
            raise RunError(
                f"Slurm job {submission.job} of an earlier start still works on this run; continue with --executor "
                f"slurm, or end it with `scancel --name={submission.name}` and run the same command again"
            )
        submission.store(state=JobState.ENDED)
    return False
