"""What every executor does alike, with small blocks of its own: on this machine, on Ray, on a fake and a real Slurm."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tw_corpus._execution_options import ExecutionOptions, ExecutorName, RayOptions, SlurmOptions
from tw_corpus._executors import RayTasks, Stage, TaskExecutor, open_executor
from twllm_types import ConfigError, DataError, RunError

OPTIONS = ExecutionOptions(slurm=SlurmOptions(poll_seconds=0.2), ray=RayOptions(memory_bytes=1_000_000))
ALL = (ExecutorName.LOCAL, ExecutorName.RAY, "fake slurm", ExecutorName.SLURM)


@pytest.fixture(autouse=True)
def _blocks_can_be_imported_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    # workers take over the import paths that are no part of the environment; pytest's own modules they could not import
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "importable"))


@pytest.fixture(params=ALL)
def open_one(request: pytest.FixtureRequest) -> Callable[[Path, int], TaskExecutor]:
    """Return a function that opens the executor: folder of intermediate files, tasks at once."""
    needed = {ExecutorName.RAY: "ray_here", "fake slurm": "fake_slurm_state", ExecutorName.SLURM: "real_slurm"}
    if request.param in needed:
        request.getfixturevalue(needed[request.param])
    name = ExecutorName.SLURM if request.param == "fake slurm" else request.param
    return lambda work, workers: open_executor(name, OPTIONS, workers=workers, work=work)


def run(executor: TaskExecutor, folder: Path, num_tasks: int, failure: str = "") -> list[int]:
    seen: list[int] = []
    output = folder / "out"
    output.mkdir(exist_ok=True)
    from write_rank import WriteRank

    with executor:
        stage = Stage(name="write", steps=[WriteRank(output, failure)], num_tasks=num_tasks)
        executor.run(stage, logging_folder=folder / "logs", on_wait=seen.append)
    return seen


def written(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="ascii") for path in sorted((folder / "out").iterdir())}


def test_executor_runs_every_task_once_and_skips_completed_ones(
    open_one: Callable[[Path, int], TaskExecutor], tmp_path: Path
) -> None:
    assert run(open_one(tmp_path, 2), tmp_path, 2)[-1] == 2
    assert set(run(open_one(tmp_path, 1), tmp_path, 2)) == {2}
    assert written(tmp_path) == {"0": "2", "1": "2"}


def test_executor_stage_without_tasks_does_nothing(
    open_one: Callable[[Path, int], TaskExecutor], tmp_path: Path
) -> None:
    assert set(run(open_one(tmp_path, 1), tmp_path, 0)) == {0}
    assert written(tmp_path) == {}


ERRORS = {
    "killed": (RunError, "a worker process of stage 'write' died .*run the same command again, it continues"),
    "disk": (RunError, r"stage 'write', task 1: No space left on device \(shard\); mend it"),
    "files": (RunError, "stage 'write' opens one file for each of the tasks"),
    "data": (DataError, "^pages.jsonl: line 3 is wrong; mend it$"),
    "bug": (RunError, "stage 'write', task 1 failed with ZeroDivisionError: division by zero; see .*task_00001.log"),
}
# a task takes seconds to start on Slurm, so each failure is tried where it takes another way
FAILURES = [
    *((ExecutorName.LOCAL, failure) for failure in ERRORS),
    *((ExecutorName.RAY, failure) for failure in ("killed", "data", "bug")),
    *(("fake slurm", failure) for failure in ("killed", "data")),
    *((ExecutorName.SLURM, failure) for failure in ("killed", "disk")),
]


@pytest.mark.parametrize(("open_one", "failure"), FAILURES, indirect=["open_one"])
def test_executor_failed_task_is_the_same_error_everywhere_and_the_next_run_continues(
    open_one: Callable[[Path, int], TaskExecutor], tmp_path: Path, failure: str
) -> None:
    error, message = ERRORS[failure]
    with pytest.raises(error, match=message):
        run(open_one(tmp_path, 1), tmp_path, 2, failure)
    assert written(tmp_path) == {"0": "2"}
    run(open_one(tmp_path, 1), tmp_path, 2)
    assert written(tmp_path) == {"0": "2", "1": "2"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            RayOptions(cpus_per_task=10_000),
            r"execution\.ray\.cpus_per_task is 10000, and no node",
        ),
        (RayOptions(memory_bytes=2**60), r"execution\.ray\.memory_bytes is 1152921504606846976, and no node"),
    ],
)
def test_ray_task_that_no_node_can_take_is_refused(
    options: RayOptions, message: str, ray_here: None, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message), RayTasks(1, options, log=tmp_path / "workers.log"):
        pass


def test_executor_stopped_ends_its_tasks(open_one: Callable[[Path, int], TaskExecutor], tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    from write_rank import WriteRank

    def stop_once_it_runs(_num_done: int) -> None:
        if (output / "waiting").exists():
            raise KeyboardInterrupt

    stage = Stage(name="write", steps=[WriteRank(output, "waits")], num_tasks=2)
    executor = open_one(tmp_path, 1)
    with pytest.raises(KeyboardInterrupt), executor:
        executor.run(stage, logging_folder=tmp_path / "logs", on_wait=stop_once_it_runs)
    # a task that went on would write as soon as it may
    (output / "waiting").unlink()
    assert run(open_one(tmp_path, 1), tmp_path, 2)[-1] == 2
    assert written(tmp_path) == {"0": "2", "1": "2"}
