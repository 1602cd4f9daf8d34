"""Running the tasks of a stage: on this machine, on Ray, or as array jobs of Slurm. design/0002-workers.md says why."""

from tw_corpus._executors._local import WorkerPool
from tw_corpus._executors._open import check_executor, open_executor, settle_earlier_jobs
from tw_corpus._executors._ray import RayTasks
from tw_corpus._executors._slurm import SlurmArrays
from tw_corpus._executors._task import Stage, TaskExecutor

__all__ = [
    "RayTasks",
    "SlurmArrays",
    "Stage",
    "TaskExecutor",
    "WorkerPool",
    "check_executor",
    "open_executor",
    "settle_earlier_jobs",
]
