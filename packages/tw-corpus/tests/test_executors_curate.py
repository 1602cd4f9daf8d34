"""The same recipe on every executor gives the same content, also when the executor changes in the middle."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tw_corpus.curation import Curation, ExecutorName, curate, load_curation_recipe
from twllm_runs import RunState, open_progress
from twllm_types import ConfigError

sys.path.insert(0, str(Path(__file__).parent / "importable"))
from sample_inputs import REPEATED, write_every_outcome, write_inputs, write_questions

COMMAND = Path(sys.executable).parent / "tw-corpus"
IMPORTABLE = Path(__file__).parent / "importable"
# one bucket and few hashes: with more there are more tasks, and a task takes seconds to start on Slurm
RECIPE = """rules: {min_han_chars: 20, max_simplified_share: null}
near_dedup: {num_buckets: 1, hashes_per_bucket: 4}
repeated_paragraphs: {min_documents: 4}
measures: [{name: loudness, factory: "own_measures:share_of", options: {characters: "！"}, maximum: 0.05}]
tasks: {target_bytes: 800}
"""
ELSEWHERE = "execution: {slurm: {poll_seconds: 0.2, partition: all, setup: [export OMP_NUM_THREADS=1]}}\n"


def run(inputs: Path, output: Path, executor: ExecutorName, *, workers: int = 2, more: str = ELSEWHERE) -> Curation:
    recipe = output.with_suffix(".yaml")
    recipe.write_text(RECIPE + more, encoding="utf-8")
    with open_progress(quiet=True) as progress:
        return curate(
            [inputs],
            output=output,
            recipe=load_curation_recipe(str(recipe)),
            progress=progress,
            workers=workers,
            executor=executor,
            decontaminate=[inputs.parent / "exam.jsonl"],
        )


def content(output: Path) -> dict[str, Any]:
    """Everything that must be equal between two runs: all but the clock."""
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    del summary["timing"]
    rejected = sorted((output / "rejected").rglob("*.jsonl.gz"))
    return {
        "documents": {path.name: pq.read_table(path).to_pylist() for path in (output / "documents").iterdir()},
        "rejected": {str(path.relative_to(output)): gzip.decompress(path.read_bytes()) for path in rejected},
        "faults": (output / "faults.jsonl").read_bytes(),
        "contamination": (output / "contamination.jsonl").read_bytes(),
        "summary": summary,
        "card": (output / "README.md").read_bytes(),
    }


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("executors")
    write_questions(folder / "exam.jsonl")
    return write_every_outcome(folder / "inputs")


@pytest.fixture(scope="module")
def local(inputs: Path) -> dict[str, Any]:
    output = inputs.parent / "local"
    run(inputs, output, ExecutorName.LOCAL, workers=1)
    return content(output)


def test_inputs_of_these_tests_are_several_tasks_with_every_outcome(local: dict[str, Any]) -> None:
    assert len(local["documents"]) == 2
    summary = local["summary"]
    counts = {
        name: summary["counts"][f"num_{name}"] for name in ("duplicates", "near_duplicates", "rejected", "faults")
    }
    outcomes = dict.fromkeys(("kept", "contaminated", "min_han_chars", "max_loudness"), 0)
    for row in summary["funnel"]:
        outcomes[row["outcome"]] = outcomes.get(row["outcome"], 0) + row["count"]
    (benchmark,) = summary["contamination"]
    items = {name: benchmark[name] for name in ("clean", "found", "too_short")}
    more = {name: summary["personal_data"].get(name, 0) for name in ("mobile", "email")}
    more["repeated"] = summary["boilerplate_lines"].get("repeated_across_documents", 0)
    assert min((counts | outcomes | items | more).values()) > 0, (counts, outcomes, items, more)


def test_inputs_of_these_tests_have_duplicates_that_only_all_tasks_together_show(local: dict[str, Any]) -> None:
    dropped = {
        path: [json.loads(line)["id"] for line in lines.splitlines()] for path, lines in local["rejected"].items()
    }
    near = "rejected/near_duplicate"
    # the Simplified mirror goes, though its source comes later
    assert (dropped[f"{near}/00000.jsonl.gz"], dropped[f"{near}/00001.jsonl.gz"]) == (["mirror"], ["near"])
    assert dropped["rejected/exact_duplicate/00001.jsonl.gz"] == ["exact"]
    texts = {row["id"]: row["text"] for rows in local["documents"].values() for row in rows}
    assert "source" in texts
    assert not [key for key, text in texts.items() if REPEATED in text]
    assert "0912-345-678" not in texts["personal"]


@pytest.mark.parametrize("executor", ["ray", "slurm"])
def test_same_recipe_on_local_ray_and_slurm_gives_the_same_content(
    executor: str, request: pytest.FixtureRequest, inputs: Path, local: dict[str, Any], tmp_path: Path
) -> None:
    request.getfixturevalue({"ray": "ray_here", "slurm": "real_slurm"}[executor])
    run(inputs, tmp_path / "out", ExecutorName(executor))
    assert content(tmp_path / "out") == local
    settings = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["manifest"]["settings"]
    assert settings["executor"] == executor
    assert settings["execution"]["slurm"]["partition"] == "all"
    assert not (tmp_path / "out" / "work" / "attempts").exists()


def start(inputs: Path, output: Path, *options: str | Path) -> "subprocess.Popen[str]":
    recipe = output.with_suffix(".yaml")
    recipe.write_text(RECIPE, encoding="utf-8")
    words = [COMMAND, "--quiet", "curate", inputs, "--output", output, "--recipe", recipe, *options]
    path = os.pathsep.join(filter(None, (str(IMPORTABLE), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_a_task(process: "subprocess.Popen[str]", output: Path) -> None:
    while not list(output.glob("work/logs/filter/completions/*")) and process.poll() is None:
        time.sleep(0.005)


def test_run_that_was_killed_on_one_executor_continues_on_another(
    ray_here: None, inputs: Path, local: dict[str, Any], tmp_path: Path
) -> None:
    process = start(inputs, tmp_path / "out", "--decontaminate", inputs.parent / "exam.jsonl")
    wait_for_a_task(process, tmp_path / "out")
    process.kill()
    process.communicate()
    # other settings of the executors are no other run
    assert run(inputs, tmp_path / "out", ExecutorName.RAY).state is RunState.CONTINUED
    assert content(tmp_path / "out") == local


def test_command_starts_ray_itself_and_stops_it_on_a_signal(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path / "inputs", num_files=12, num_rows=200)
    process = start(inputs, tmp_path / "out", "--executor", "ray")
    wait_for_a_task(process, tmp_path / "out")
    process.send_signal(signal.SIGTERM)
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed) == (143, ""), errors
    assert errors.splitlines()[-1] == "stopped; the same command continues"
    assert not [line for line in errors.splitlines() if "ray" in line.lower()]


def test_ray_address_without_a_cluster_is_one_error(inputs: Path, tmp_path: Path) -> None:
    # a port that nobody listens on
    (tmp_path / "ray.yaml").write_text('execution: {ray: {address: "127.0.0.1:1"}}', encoding="utf-8")
    words = [COMMAND, "curate", inputs, "--output", tmp_path / "out", "--executor", "ray"]
    done = subprocess.run(
        [*words, "--recipe", tmp_path / "ray.yaml"], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 2, done.stderr
    assert "no Ray cluster lets us in at '127.0.0.1:1'" in done.stderr


def test_ray_that_does_not_start_is_one_error(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "no-folder").touch()
    done = subprocess.run(
        [COMMAND, "curate", inputs, "--output", tmp_path / "out", "--executor", "ray"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env=os.environ | {"RAY_TMPDIR": str(tmp_path / "no-folder")},
    )
    assert done.returncode == 1, done.stderr
    assert "error: Ray does not start here" in done.stderr


@pytest.mark.parametrize(
    ("executor", "message"),
    [
        (ExecutorName.RAY, r"needs the package ray, .*pip install 'tw-corpus\[ray\]'"),
        (ExecutorName.SLURM, "needs the command sbatch"),
    ],
)
def test_executor_that_is_not_installed_is_refused_before_any_work(
    executor: ExecutorName, message: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    # a module that is None is, for Python, not installed
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=message):
        run(inputs, tmp_path / "out", executor)
    assert not (tmp_path / "out").exists()
