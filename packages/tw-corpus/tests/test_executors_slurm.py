"""Slurm: what is told to it, and what becomes of jobs that fail, vanish, or outlive their command."""

import json
import pickle
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_corpus._execution_options import ContainerOptions, ExecutionOptions, ExecutorName, RayOptions, SlurmOptions
from tw_corpus._executors import SlurmArrays, Stage, check_executor, settle_earlier_jobs
from tw_corpus._executors._ray import run_on_ray
from tw_corpus._executors._shipment import pack_stage, run_packed
from tw_corpus._executors._slurm_script import ranks_per_element, render_script, sbatch_words
from tw_corpus._executors._slurm_submission import submission_folder
from tw_corpus._executors._task import TaskRunner
from tw_corpus.curation import CurationRecipe
from twllm_runs import parse_recipe, recipe_to_json
from twllm_types import ArtifactError, ConfigError, RunError

IMPORTABLE = Path(__file__).parent / "importable"
FAST: Any = {"poll_seconds": 0.1}


@pytest.fixture(autouse=True)
def _blocks_can_be_imported_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(IMPORTABLE))


def stage(folder: Path, failure: str = "", num_tasks: int = 2) -> Stage:
    from write_rank import WriteRank

    (folder / "out").mkdir(exist_ok=True)
    return Stage(name="write", steps=[WriteRank(folder / "out", failure)], num_tasks=num_tasks)


def run(folder: Path, options: SlurmOptions, *, failure: str = "", num_tasks: int = 2) -> list[str]:
    """Run the stage and return what was noted meanwhile."""
    notes: list[str] = []
    with SlurmArrays(1, options, work=folder) as executor:
        executor.run(
            stage(folder, failure, num_tasks),
            logging_folder=folder / "logs",
            on_wait=lambda _done: None,
            on_note=notes.append,
        )
    return notes


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").iterdir())


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# what is told to Slurm


def test_sbatch_words_hold_the_settings_of_the_recipe() -> None:
    options = SlurmOptions(
        account="project 7",
        partition="cpu",
        qos="low",
        time="02:00:00",
        cpus_per_task=2,
        mem="4G",
        sbatch={"constraint": "ib & ssd", "exclusive": None, "nice": 100},
    )
    words = sbatch_words(options, name="job", num_elements=7, workers=3, folder=Path("/runs/100%/f-1"))
    assert words == [
        "--parsable",
        "--job-name=job",
        "--array=0-6%3",
        "--ntasks=1",
        "--cpus-per-task=2",
        "--output=/runs/100%%/f-1/logs/%a.txt",
        "--account=project 7",
        "--partition=cpu",
        "--qos=low",
        "--time=02:00:00",
        "--mem=4G",
        "--no-requeue",
        "--constraint=ib & ssd",
        "--exclusive",
        "--nice=100",
        "/runs/100%/f-1/script.sh",
    ]


def test_sbatch_words_leave_requeueing_to_who_asks_for_it() -> None:
    words = sbatch_words(
        SlurmOptions(sbatch={"requeue": None}), name="job", num_elements=1, workers=1, folder=Path("/runs/f")
    )
    assert "--requeue" in words
    assert "--no-requeue" not in words


def test_script_runs_setup_then_becomes_the_task() -> None:
    options = SlurmOptions(setup=("module load python/3.11", "export OMP_NUM_THREADS=1"), python="python3")
    assert render_script(options, folder=Path("/runs/f"), python="/here/python").splitlines() == [
        "#!/bin/bash",
        "module load python/3.11",
        "export OMP_NUM_THREADS=1",
        'exec python3 -m tw_corpus._executors._slurm_task /runs/f "$SLURM_ARRAY_TASK_ID"',
    ]


def test_script_puts_containers_before_the_interpreter() -> None:
    prefix = SlurmOptions(command_prefix=("apptainer", "exec", "image.sif"))
    assert "exec apptainer exec image.sif /p/python -m" in render_script(prefix, folder=Path("/f"), python="/p/python")
    pyxis = SlurmOptions(container=ContainerOptions(image="org/image:1", mounts=("/data:/data", "/runs:/runs:rw")))
    assert (
        "exec srun --ntasks=1 --cpus-per-task=1 --container-image=org/image:1 "
        "--container-mounts=/data:/data,/runs:/runs:rw /p/python -m"
    ) in render_script(pyxis, folder=Path("/f"), python="/p/python")
    bare = SlurmOptions(container=ContainerOptions(image="org/image:1"))
    assert "--container-mounts" not in render_script(bare, folder=Path("/f"), python="/p/python")


def test_script_gives_the_shell_each_word_as_it_was(tmp_path: Path) -> None:
    hostile = f"$(touch {tmp_path}/owned) `touch {tmp_path}/owned` \"x\" 'y' ; touch {tmp_path}/owned"
    options = SlurmOptions(command_prefix=("printf", "%s\\n", hostile), python="a b")
    script = tmp_path / "script.sh"
    script.write_text(render_script(options, folder=tmp_path / "run folder", python="unused"), encoding="utf-8")
    printed = subprocess.run(
        ["/bin/bash", script], capture_output=True, text=True, check=True, env={"SLURM_ARRAY_TASK_ID": "4"}
    ).stdout
    assert printed.splitlines() == [
        hostile,
        "a b",
        "-m",
        "tw_corpus._executors._slurm_task",
        str(tmp_path / "run folder"),
        "4",
    ]
    assert not (tmp_path / "owned").exists()


@given(num_ranks=st.integers(0, 10_000), max_elements=st.integers(1, 2_000))
def test_ranks_per_element_is_the_least_that_fits(num_ranks: int, max_elements: int) -> None:
    each = ranks_per_element(num_ranks, max_elements=max_elements)
    assert each * max_elements >= num_ranks
    assert each == 1 or (each - 1) * max_elements < num_ranks


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('account: "a\\nb"', "account holds a line break"),
        ('partition: " "', "partition holds an empty text"),
        ('setup: ["module load x\\nrm y"]', "setup holds a line break"),
        ('sbatch: {comment: "a\\nb"}', "sbatch.comment holds a line break"),
        ("sbatch: {array: 0-9}", "'array', which the command sets itself"),
        ("sbatch: {outp: x}", "'outp', which the command sets itself"),
        *(
            (f"sbatch: {{{name}: x}}", f"'{name}', with which the command could not follow its job")
            for name in ("clusters", "cluster", "test-only", "help", "version", "M")
        ),
        ("sbatch: {--exclusive: null}", "long name of an option without dashes"),
        ("cpus_per_task: 0", "cpus_per_task is 0"),
        ("max_array_size: 0", "max_array_size is 0"),
        ("poll_seconds: 0", "poll_seconds is 0"),
        ("controller_patience_seconds: -1", "controller_patience_seconds is -1"),
        ('container: {image: ""}', "image holds an empty text"),
        ('container: {image: x, mounts: ["/a:/a\\n"]}', "mounts holds a line break"),
        ("partitions: cpu", "did you mean 'partition'"),
    ],
)
def test_slurm_options_that_cannot_be_used_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_recipe(f"execution: {{slurm: {{{text}}}}}", CurationRecipe, source="recipe.yaml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cpus_per_task": 0}, "cpus_per_task is 0"),
        ({"memory_bytes": 0}, "memory_bytes is 0"),
        ({"address": ""}, "address holds an empty text"),
        ({"address": "ray://head:10001"}, "give the cluster's own host:port"),
    ],
)
def test_ray_options_that_cannot_be_used_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RayOptions(**options)


def test_execution_options_survive_json() -> None:
    options = ExecutionOptions(
        slurm=SlurmOptions(
            sbatch={"exclusive": None, "nice": 3}, container=ContainerOptions(image="i", mounts=("a:b",))
        )
    )
    recipe = CurationRecipe(execution=options)
    assert parse_recipe(json.dumps(recipe_to_json(recipe)), CurationRecipe, source="json") == recipe


def test_recipe_in_the_documentation_is_one() -> None:
    page = (Path(__file__).parents[3] / "docs" / "tw-corpus.md").read_text(encoding="utf-8")
    (example,) = (part.split("```")[0] for part in page.split("```yaml\n")[1:] if "slurm:" in part)
    execution = parse_recipe(example, CurationRecipe, source="docs/tw-corpus.md").execution
    assert (execution.slurm.account, execution.ray.address) == ("corpus", "auto")


# what becomes of jobs


def test_slurm_without_its_commands_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="needs the command sbatch, which is not on PATH"):
        check_executor(ExecutorName.SLURM)


def test_slurm_with_more_tasks_than_elements_does_several_in_one(tmp_path: Path, fake_slurm_state: Path) -> None:
    check_executor(ExecutorName.SLURM)
    run(tmp_path, SlurmOptions(max_array_size=1, **FAST), num_tasks=3)
    assert written(tmp_path) == ["0", "1", "2"]
    assert "--array=0-0%1" in (fake_slurm_state / "1.job").read_text(encoding="utf-8").splitlines()


def test_slurm_job_that_is_refused_is_one_error_with_slurms_words(tmp_path: Path, fake_slurm_state: Path) -> None:
    (fake_slurm_state / "refuse").touch()
    with pytest.raises(RunError, match=r"sbatch failed: .*invalid partition.*; correct execution\.slurm"):
        run(tmp_path, SlurmOptions(**FAST))
    assert not settle_earlier_jobs(ExecutorName.LOCAL, tmp_path)


def test_slurm_cluster_without_arrays_is_named(tmp_path: Path, fake_slurm_state: Path) -> None:
    (fake_slurm_state / "no_arrays").touch()
    with pytest.raises(RunError, match="MaxArraySize"):
        run(tmp_path, SlurmOptions(**FAST))


def test_slurm_that_is_gone_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match=r"scontrol does not answer .*run the same command again when Slurm answers"):
        run(tmp_path, SlurmOptions(**FAST))


def test_slurm_job_that_never_started_is_one_error_that_says_where_to_look(
    tmp_path: Path, fake_slurm_state: Path
) -> None:
    (fake_slurm_state / "lose").touch()
    with pytest.raises(RunError, match=r"Slurm job 1 of stage 'write' ended without doing its tasks, and left no log"):
        run(tmp_path, SlurmOptions(**FAST))


def test_slurm_setup_that_fails_is_found_in_the_named_log(tmp_path: Path, fake_slurm_state: Path) -> None:
    with pytest.raises(RunError, match="its last words are in") as caught:
        run(tmp_path, SlurmOptions(setup=("echo no such module; exit 1",), **FAST))
    log = Path(str(caught.value).split("last words are in ")[1].split(")")[0])
    assert log.read_text(encoding="utf-8") == "no such module\n"


def test_slurm_that_is_silent_for_a_while_is_waited_for(tmp_path: Path, fake_slurm_state: Path) -> None:
    (fake_slurm_state / "silent").write_text("2", encoding="ascii")
    notes = run(tmp_path, SlurmOptions(**FAST))
    assert written(tmp_path) == ["0", "1"]
    assert any("waits for Slurm: squeue failed" in note for note in notes)


def test_slurm_that_stays_silent_stops_the_run_and_the_next_start_finds_the_job(
    tmp_path: Path, fake_slurm_state: Path
) -> None:
    (fake_slurm_state / "silent").write_text("1000", encoding="ascii")
    with pytest.raises(RunError, match=r"Unable to contact slurm controller.*it finds job 1, which goes on"):
        run(tmp_path, SlurmOptions(controller_patience_seconds=0, **FAST), failure="waits")
    (record,) = (tmp_path / "slurm").glob("*/job.json")
    assert json.loads(record.read_text(encoding="utf-8"))["state"] == "active"
    with pytest.raises(RunError, match="may still work on this run"):
        settle_earlier_jobs(ExecutorName.LOCAL, tmp_path)
    (fake_slurm_state / "silent").unlink()
    # nobody cancelled it: it goes on as soon as it may, and does all there is
    mark = tmp_path / "out" / "waiting"
    wait_until(mark.exists)
    assert settle_earlier_jobs(ExecutorName.SLURM, tmp_path)
    mark.unlink()
    notes = run(tmp_path, SlurmOptions(**FAST))
    assert notes[0] == "waits for Slurm job 1 of an earlier start"
    assert written(tmp_path) == ["0", "1"]
    assert [path.name for path in (tmp_path / "slurm").iterdir()] == ["write-1"]


def test_slurm_job_that_waits_says_why(tmp_path: Path, fake_slurm_state: Path) -> None:
    (fake_slurm_state / "hold").touch()
    notes: list[str] = []

    def stop_once_noted(_num_done: int) -> None:
        if notes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), SlurmArrays(1, SlurmOptions(**FAST), work=tmp_path) as executor:
        executor.run(stage(tmp_path), logging_folder=tmp_path / "logs", on_wait=stop_once_noted, on_note=notes.append)
    assert notes == ["Slurm job 1: pending (Priority)"]
    assert not settle_earlier_jobs(ExecutorName.LOCAL, tmp_path)


DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, {importable!r})
from tw_corpus._execution_options import SlurmOptions
from tw_corpus._executors import SlurmArrays, Stage
from write_rank import WriteRank
folder = Path({folder!r})
(folder / "out").mkdir()
stage = Stage(name="write", steps=[WriteRank(folder / "out", "waits")], num_tasks=2)
with SlurmArrays(1, SlurmOptions(poll_seconds=0.1), work=folder) as executor:
    executor.run(stage, logging_folder=folder / "logs", on_wait=lambda done: None)
"""


@pytest.mark.parametrize("slurm", ["fake_slurm_state", "real_slurm"])
def test_slurm_command_that_is_killed_leaves_its_job_to_the_next_start(
    slurm: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    request.getfixturevalue(slurm)
    driver = DRIVER.format(importable=str(IMPORTABLE), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", driver])
    mark = tmp_path / "out" / "waiting"
    while not mark.exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    with pytest.raises(RunError, match="of an earlier start still works on this run; continue with --executor slurm"):
        settle_earlier_jobs(ExecutorName.LOCAL, tmp_path)
    assert settle_earlier_jobs(ExecutorName.SLURM, tmp_path)
    # the old job may go on now, and does the rest
    mark.unlink()
    run(tmp_path, SlurmOptions(**FAST))
    assert {path.name: path.read_text(encoding="ascii") for path in (tmp_path / "out").iterdir()} == {
        "0": "2",
        "1": "2",
    }
    assert [path.name for path in (tmp_path / "slurm").iterdir()] == ["write-1"]
    assert not settle_earlier_jobs(ExecutorName.LOCAL, tmp_path)


def test_job_that_ended_unseen_is_no_hindrance(tmp_path: Path, fake_slurm_state: Path) -> None:
    (fake_slurm_state / "silent").write_text("1000", encoding="ascii")
    with pytest.raises(RunError, match="Unable to contact"):
        run(tmp_path, SlurmOptions(controller_patience_seconds=0, **FAST))
    wait_until((fake_slurm_state / "1.ended").exists)
    (fake_slurm_state / "silent").unlink()
    assert not settle_earlier_jobs(ExecutorName.LOCAL, tmp_path)


def test_damaged_record_of_a_job_is_named(tmp_path: Path) -> None:
    record = tmp_path / "slurm" / "write-1" / "job.json"
    record.parent.mkdir(parents=True)
    record.write_text("{", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"job\.json is missing or damaged"):
        settle_earlier_jobs(ExecutorName.LOCAL, tmp_path)


def test_submission_folder_is_new_after_one_was_deleted(tmp_path: Path) -> None:
    # of another stage whose name begins alike
    submission_folder(tmp_path, "write-all")
    first, second = (submission_folder(tmp_path, "write") for _ in range(2))
    assert (first.name, second.name) == ("write-1", "write-2")
    shutil.rmtree(first)
    assert submission_folder(tmp_path, "write").name == "write-3"


# a node that is not fit


def test_stage_on_a_node_that_is_not_fit_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    packed = pack_stage(TaskRunner(stage(tmp_path), logs), logs)
    # what stands three lines above
    header = pickle.loads(packed)  # noqa: S301
    monkeypatch.chdir(tmp_path)

    def message(**changes: Any) -> str:
        failure = run_packed(pickle.dumps(header | changes), 0)
        assert failure is not None
        return str(failure.error())

    assert "the command tw-corpus 9.9; install the same versions" in message(versions={"tw-corpus": "9.9"})
    assert "cannot start on" in message(runner=pickle.dumps(header["runner"])[:0] + b"cno_such_module\nName\n.")
    shutil.rmtree(logs)
    assert f"does not see {logs}; run folder, inputs" in message()
    # where the run folder is not, there is no place for the log either
    failure = run_on_ray(packed, 0, str(logs / "workers.log"))
    assert failure is not None
    assert f"does not see {logs}; run folder, inputs" in failure.message


def test_script_quotes_like_the_shell_expects() -> None:
    # the words of the last line are what was asked for, whatever they hold
    options = SlurmOptions(command_prefix=("a'b", 'c"d', "e f", "$g"))
    line = render_script(options, folder=Path("/f"), python="p").splitlines()[-1]
    assert shlex.split(line)[1:6] == ["a'b", 'c"d', "e f", "$g", "p"]
