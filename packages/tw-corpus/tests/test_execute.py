"""The worker pool with small blocks of its own."""

from pathlib import Path

import pytest

from tw_corpus._execute import Stage, WorkerPool
from twllm_types import DataError, RunError


@pytest.fixture(autouse=True)
def _blocks_can_be_imported_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    # spawned workers take over sys.path; pytest's own modules they could not import
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "importable"))


def run(folder: Path, num_tasks: int, failure: str = "", workers: int = 1) -> list[int]:
    seen: list[int] = []
    output = folder / "out"
    output.mkdir(exist_ok=True)
    from write_rank import WriteRank

    with WorkerPool(workers, log=folder / "workers.log") as pool:
        stage = Stage(name="write", steps=[WriteRank(output, failure)], num_tasks=num_tasks)
        pool.run(stage, logging_folder=folder / "logs", on_wait=seen.append)
    return seen


def written(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="ascii") for path in sorted((folder / "out").iterdir())}


def test_pool_runs_every_task_once_and_skips_completed_ones(tmp_path: Path) -> None:
    assert run(tmp_path, 3, workers=2)[-1] == 3
    assert run(tmp_path, 3) == [3]
    assert written(tmp_path) == {"0": "3", "1": "3", "2": "3"}


def test_pool_stage_without_tasks_does_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, 0) == [0]
    assert written(tmp_path) == {}


@pytest.mark.parametrize(
    ("failure", "error", "message"),
    [
        ("killed", RunError, "a worker process of stage 'write' died"),
        ("disk", RunError, "No space left on device"),
        ("data", DataError, "line 3 is wrong"),
        ("bug", RunError, "task 1 failed with ZeroDivisionError"),
    ],
)
def test_pool_failed_task_is_one_error_and_the_next_run_continues(
    tmp_path: Path, failure: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(tmp_path, 3, failure)
    run(tmp_path, 3)
    assert written(tmp_path) == {"0": "3", "1": "3", "2": "3"}
