import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from twllm_runs import Run, RunState, StoredState, open_run, read_run, run_lock
from twllm_types import ArtifactError, ConfigError, InputFile, JsonValue, LockedError, ModelIdentity, RunError

DIGEST, OTHER_DIGEST = "0a" * 32, "0b" * 32
START = datetime(2024, 5, 1, 8, 0, tzinfo=UTC)


def ticking() -> Callable[[], datetime]:
    """Return a clock that moves by a minute per look."""
    looks = iter(range(1_000))
    return lambda: START + timedelta(minutes=next(looks))


def start(
    output: Path,
    *,
    parameters: Mapping[str, JsonValue] | None = None,
    inputs: tuple[InputFile, ...] = (),
    seed: int | None = None,
    models: tuple[ModelIdentity, ...] = (),
    reopen: bool = False,
    clock: Callable[[], datetime] | None = None,
) -> AbstractContextManager[Run]:
    return open_run(
        output,
        command="demo work",
        parameters={"rules": {"min": 1, "strict": True}} if parameters is None else parameters,
        settings={"workers": 2},
        inputs=inputs,
        seed=seed,
        models=models,
        packages=["twllm-types", "surely-not-installed"],
        reopen=reopen,
        clock=clock or ticking(),
    )


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def edit(path: Path, **changes: object) -> None:
    row = json.loads(path.read_bytes())
    path.write_text(json.dumps(row | changes), encoding="utf-8")


def test_open_run_missing_folder_is_new_and_finishes(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "out"
    with start(output) as run:
        assert run.state is RunState.NEW
        assert run.folder == output
        assert run.work_folder == output / "work"
        assert run.work_folder.is_dir()
        assert read_run(output).state is StoredState.RUNNING
        with pytest.raises(RunError, match="no result yet"):
            _ = run.result
        run.finish({"kept": 3, "名稱": "臺"}, num_faults=2)
        assert run.result == {"kept": 3, "名稱": "臺"}
        assert run.num_faults == 2
    stored = read_run(output)
    assert stored.state is StoredState.FINISHED
    assert stored.num_faults == 2
    assert stored.summary == {"kept": 3, "名稱": "臺"}
    assert stored.reason is None
    assert stored.manifest == run.manifest
    assert stored.manifest.started_at == "2024-05-01T08:00:00+00:00"
    assert stored.manifest.ended_at == "2024-05-01T08:01:00+00:00"
    assert set(stored.manifest.packages) == {"twllm-types", "twllm-runs"}
    assert json.loads((output / "summary.json").read_bytes())["schema_version"] == 1


def test_open_run_empty_folder_is_new(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        assert run.state is RunState.NEW


def test_open_run_finished_run_is_left_untouched(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        run.finish({"kept": 3}, num_faults=1)
    before = contents(tmp_path)
    # A finished run needs no lock: readers may come at any time.
    with run_lock(tmp_path), start(tmp_path) as again:
        assert again.state is RunState.FINISHED
        assert again.result == {"kept": 3}
        assert again.num_faults == 1
        with pytest.raises(RunError, match="finished already"):
            again.finish({"kept": 4})
    assert contents(tmp_path).keys() == before.keys()
    assert {k: v for k, v in contents(tmp_path).items() if "lock" not in k} == {
        k: v for k, v in before.items() if "lock" not in k
    }


def finished(output: Path) -> None:
    with start(output) as run:
        (output / "items.jsonl").write_text("{}\n", encoding="utf-8")
        run.finish({"kept": 3}, num_faults=1)


def test_open_run_reopened_finished_run_is_continued_with_its_files(tmp_path: Path) -> None:
    finished(tmp_path)
    with start(tmp_path, reopen=True, clock=lambda: START + timedelta(days=1)) as run:
        assert run.state is RunState.CONTINUED
        assert (run.num_faults, run.manifest.ended_at) == (0, None)
        assert (tmp_path / "items.jsonl").read_text(encoding="utf-8") == "{}\n"
        with pytest.raises(RunError, match="no result yet"):
            _ = run.result
        stored = read_run(tmp_path)
        assert (stored.state, stored.summary, stored.num_faults) == (StoredState.RUNNING, None, 0)
        run.finish({"kept": 4})
    stored = read_run(tmp_path)
    assert (stored.state, stored.summary, stored.num_faults) == (StoredState.FINISHED, {"kept": 4}, 0)
    assert stored.manifest.started_at == "2024-05-01T08:00:00+00:00"
    assert stored.manifest.ended_at == "2024-05-02T08:00:00+00:00"
    assert [row["started_at"] for row in stored.continuations] == ["2024-05-02T08:00:00+00:00"]


def test_open_run_killed_while_reopened_is_continued_by_the_same_command(tmp_path: Path) -> None:
    finished(tmp_path)
    program = (
        "import os, signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]); import test_folder\n"
        "with test_folder.start(Path(sys.argv[1]), reopen=True):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parent)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert read_run(tmp_path).state is StoredState.RUNNING
    for reopen in (False, True):
        with start(tmp_path, reopen=reopen) as run:
            assert run.state is RunState.CONTINUED
            assert (tmp_path / "items.jsonl").exists()


@pytest.mark.parametrize("reopen", [False, True])
def test_open_run_reopened_with_other_parameters_is_refused_untouched(tmp_path: Path, reopen: bool) -> None:
    finished(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(ArtifactError, match="parameters"), start(tmp_path, parameters={"rules": 2}, reopen=reopen):
        pass
    assert contents(tmp_path) == before


def test_open_run_reopened_where_there_is_no_run_is_new_and_where_it_runs_is_refused(tmp_path: Path) -> None:
    with start(tmp_path, reopen=True) as run:
        assert run.state is RunState.NEW
        with pytest.raises(LockedError), start(tmp_path, reopen=True):
            pass


def test_open_run_left_without_finish_is_continued_with_first_start(tmp_path: Path) -> None:
    with start(tmp_path):
        pass
    with start(tmp_path, clock=lambda: START + timedelta(days=1)) as run:
        assert run.state is RunState.CONTINUED
        assert run.manifest.started_at == "2024-05-01T08:00:00+00:00"
        run.finish({})
    (continuation,) = read_run(tmp_path).continuations
    assert continuation["started_at"] == "2024-05-02T08:00:00+00:00"
    assert continuation["settings"] == {"workers": 2}


def test_open_run_exception_marks_failed_without_contents_and_continues(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="secret"), start(tmp_path):
        raise ValueError("secret text of a document")
    stored = read_run(tmp_path)
    assert stored.state is StoredState.FAILED
    assert stored.reason is not None
    assert stored.reason.startswith("ValueError in ")
    assert "secret" not in (tmp_path / "run.json").read_text(encoding="utf-8")
    with start(tmp_path) as run:
        assert run.state is RunState.CONTINUED
        assert read_run(tmp_path).reason is None


def test_open_run_exception_after_finish_stays_finished(tmp_path: Path) -> None:
    def finish_and_fail() -> None:
        with start(tmp_path) as run:
            run.finish({})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        finish_and_fail()
    assert read_run(tmp_path).state is StoredState.FINISHED


def test_open_run_keyboard_interrupt_stays_running(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), start(tmp_path):
        raise KeyboardInterrupt
    assert read_run(tmp_path).state is StoredState.RUNNING


def test_open_run_failure_that_cannot_be_marked_keeps_the_first_error(tmp_path: Path) -> None:
    def block_run_json_and_fail() -> None:
        with start(tmp_path):
            (tmp_path / "run.json").unlink()
            (tmp_path / "run.json").mkdir()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        block_run_json_and_fail()
    assert "could not be marked failed" in caught.value.__notes__[0]


def test_open_run_held_elsewhere_is_refused(tmp_path: Path) -> None:
    with start(tmp_path), pytest.raises(LockedError), start(tmp_path):
        pass


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rules": {"min": 2, "strict": True}}, r"parameters\.rules\.min = 1, asked is 2; give another --output"),
        ({"rules": {"min": True, "strict": True}}, r"parameters\.rules\.min = 1, asked is true"),
        ({"rules": {"min": 1}}, r"parameters\.rules\.strict = true, asked is absent"),
        ({"rules": {"min": 1, "strict": True}, "new": [1]}, r"parameters\.new = absent, asked is \[1\]"),
        ({"rules": ["x" * 200]}, r"parameters\.rules = .*, asked is \[\"x{78}…"),
    ],
)
def test_open_run_other_parameters_names_first_difference(
    tmp_path: Path, parameters: Mapping[str, JsonValue], message: str
) -> None:
    with start(tmp_path) as run:
        run.finish({})
    before = contents(tmp_path)
    with pytest.raises(ArtifactError, match=message), start(tmp_path, parameters=parameters):
        pass
    assert contents(tmp_path) == before


def test_open_run_other_inputs_seed_or_models_is_refused(tmp_path: Path) -> None:
    inputs = (InputFile(name="a", num_bytes=1, sha256=DIGEST),)
    with start(tmp_path, inputs=inputs, seed=1):
        pass
    other = (InputFile(name="a", num_bytes=1, sha256=OTHER_DIGEST),)
    with pytest.raises(ArtifactError, match=rf'inputs\[0\]\.sha256 = "{DIGEST}", asked is "{OTHER_DIGEST}"'):
        start(tmp_path, inputs=other, seed=1).__enter__()
    with pytest.raises(ArtifactError, match=r"seed = 1, asked is null"):
        start(tmp_path, inputs=inputs).__enter__()
    with pytest.raises(ArtifactError, match=r"models\[0\] = absent, asked is"):
        start(tmp_path, inputs=inputs, seed=1, models=(ModelIdentity(spec="hf:x"),)).__enter__()


def test_open_run_other_settings_is_the_same_run(tmp_path: Path) -> None:
    for workers in (1, 2):
        with open_run(tmp_path, command="demo", parameters={}, settings={"workers": workers}) as run:
            assert run.state is (RunState.NEW if workers == 1 else RunState.CONTINUED)


def test_open_run_other_schema_version_is_refused(tmp_path: Path) -> None:
    with start(tmp_path):
        pass
    edit(tmp_path / "run.json", schema_version=99)
    with (
        pytest.raises(ArtifactError, match=r"run\.json: schema_version is 99, this twllm-runs reads 1"),
        start(tmp_path),
    ):
        pass


def test_open_run_foreign_folder_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"holds files \(such as 'thesis\.txt'\) but no run\.json"), start(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_open_run_output_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="is a file"), start(tmp_path / "out"):
        pass


def test_open_run_below_a_file_is_run_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match="cannot be written"), start(tmp_path / "file" / "out"):
        pass


def test_open_run_leftovers_of_a_start_killed_before_run_json_are_new(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".00ff.twllm-tmp").write_bytes(b"torn")
    with start(tmp_path) as run:
        assert run.state is RunState.NEW
        assert not (tmp_path / ".00ff.twllm-tmp").exists()


def test_open_run_value_that_is_not_json_is_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="parameters: cannot be written as JSON"):
        start(tmp_path / "out", parameters={"x": float("inf")}).__enter__()
    assert not (tmp_path / "out").exists()


def test_finish_bad_arguments_are_refused_and_run_stays_open(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        with pytest.raises(ConfigError, match="schema_version"):
            run.finish({"schema_version": 2})
        with pytest.raises(ConfigError, match="num_faults is -1"):
            run.finish({}, num_faults=-1)
        with pytest.raises(ConfigError, match="summary: cannot be written"):
            run.finish({"x": float("nan")})
        run.finish({})
    assert read_run(tmp_path).state is StoredState.FINISHED


def test_open_run_killed_between_summary_and_run_json_is_continued(tmp_path: Path) -> None:
    with start(tmp_path):
        (tmp_path / "summary.json").write_text('{"schema_version": 1, "kept": 9}', encoding="utf-8")
    assert read_run(tmp_path).summary is None
    with start(tmp_path) as run:
        assert run.state is RunState.CONTINUED
        run.finish({"kept": 3})
    assert read_run(tmp_path).summary == {"kept": 3}


def test_open_run_kill_in_the_middle_is_continued_by_the_same_command(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from twllm_runs import open_atomic, open_run\n"
        "with open_run(Path(sys.argv[1]), command='demo', parameters={}) as run:\n"
        "    with open_atomic(run.work_folder / 'part', 'wb') as file:\n"
        "        file.write(b'x' * 3_000_000)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_run(tmp_path).state is StoredState.RUNNING
    with open_run(tmp_path, command="demo", parameters={}) as run:
        assert run.state is RunState.CONTINUED
        assert list(run.work_folder.iterdir()) == []
        run.finish({})
    assert len(read_run(tmp_path).continuations) == 1


def test_open_run_forked_child_that_fails_does_not_mark_the_parents_run(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from twllm_runs import open_run\n"
        "with open_run(Path(sys.argv[1]), command='demo', parameters={}) as run:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        raise ZeroDivisionError\n"
        "    assert os.waitpid(child, 0)[1] != 0\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, stderr=subprocess.DEVNULL)
    assert read_run(tmp_path).state is StoredState.RUNNING


def test_open_run_finished_while_waiting_for_the_lock_is_found_finished(tmp_path: Path) -> None:
    # The other process finishes between our first look, which the clock marks, and our lock.
    with start(tmp_path):
        pass

    def finish_elsewhere() -> datetime:
        with start(tmp_path) as other:
            if other.state is not RunState.FINISHED:
                other.finish({"by": "other"})
        return START

    with start(tmp_path, clock=finish_elsewhere) as run:
        assert run.state is RunState.FINISHED
        assert run.result == {"by": "other"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"schema_version": 1, "sta', "is torn or was changed"),
        (b"[]", "is no JSON object"),
        (b"\xff", "is torn or was changed"),
        (b"{}", "'schema_version' is missing"),
        (b'{"schema_version": 1}', "'state' is missing"),
        (b'{"schema_version": true}', "'schema_version' is bool"),
    ],
)
def test_read_run_damaged_run_json_is_artifact_error(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"run\.json: {reason}"):
        read_run(tmp_path)
    with pytest.raises(ArtifactError, match=reason), start(tmp_path):
        pass


def test_read_run_edited_fields_are_named(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        run.finish({})
    path = tmp_path / "run.json"
    whole = path.read_bytes()
    edits: tuple[tuple[dict[str, object], str], ...] = (
        ({"state": "done"}, "state is 'done', none of running, finished, failed"),
        ({"num_faults": "3"}, "'num_faults' is str"),
        ({"manifest": []}, "'manifest' is list"),
        ({"continuations": [1]}, "'continuations' holds something that is no object"),
    )
    for changes, reason in edits:
        path.write_bytes(whole)
        edit(path, **changes)
        with pytest.raises(ArtifactError, match=reason):
            read_run(tmp_path)


def test_read_run_finished_without_whole_summary_is_artifact_error(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        run.finish({})
    edit(tmp_path / "summary.json", schema_version=7)
    with pytest.raises(ArtifactError, match=r"summary\.json: schema_version is 7"):
        read_run(tmp_path)
    (tmp_path / "summary.json").unlink()
    with pytest.raises(ArtifactError, match=r"summary\.json: cannot be read"):
        read_run(tmp_path)


def test_read_run_no_run_is_artifact_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"run\.json: cannot be read .*; give the folder of a run"):
        read_run(tmp_path)


def test_open_run_default_clock_is_utc_now(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    with open_run(tmp_path, command="demo", parameters={}) as run:
        started = datetime.fromisoformat(run.manifest.started_at)
    assert before <= started <= datetime.now(UTC)
    assert started.utcoffset() == timedelta(0)
    assert run.manifest.hardware["cores"] == len(os.sched_getaffinity(0))
