"""The curation job through its command: outcomes, continuation, independence of workers."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from twllm_runs import open_run

IMPORTABLE = Path(__file__).parent / "importable"
sys.path.insert(0, str(IMPORTABLE))
from sample_inputs import text_of, write_inputs  # noqa: E402 - found through the line above

COMMAND = Path(sys.executable).parent / "tw-corpus"
RECIPE = "rules: {min_han_chars: 20, max_simplified_share: 0.2}\ntasks: {max_files: 1}\n"


def start(inputs: Path, output: Path, *options: str) -> "subprocess.Popen[str]":
    recipe = inputs.parent / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return subprocess.Popen(
        [COMMAND, "--quiet", "curate", inputs, "--output", output, "--recipe", recipe, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def curate(inputs: Path, output: Path, *options: str) -> tuple[int, str, str]:
    process = start(inputs, output, *options)
    printed, errors = process.communicate(timeout=120)
    return process.returncode, printed, errors


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.rglob("*.jsonl.gz")) for line in gzip.open(path, "rb")]


def content(output: Path) -> dict[str, Any]:
    """Everything that must be equal between two runs: all but the clock."""
    documents = [
        (path.name, pq.read_table(path).to_pylist()) for path in sorted((output / "documents").glob("*.parquet"))
    ]
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    del summary["timing"]
    return {
        "documents": documents,
        "rejected": rows(output / "rejected"),
        "faults": (output / "faults.jsonl").read_text(encoding="utf-8"),
        "summary": summary,
        "card": (output / "README.md").read_text(encoding="utf-8"),
    }


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("curate") / "inputs")


@pytest.fixture(scope="module")
def undisturbed(inputs: Path) -> Path:
    output = inputs.parent / "undisturbed"
    code, printed, errors = curate(inputs, output)
    assert code == 3, errors
    assert f"Open {output / 'report.html'}" in printed
    return output


def test_curate_accounts_for_every_record(undisturbed: Path) -> None:
    counts = content(undisturbed)["summary"]["counts"]
    assert counts["num_records"] == 8 * 27
    assert counts["num_faults"] == 8
    assert counts["num_rejected"] == 8
    assert counts["num_kept"] + counts["num_duplicates"] == 8 * 25
    assert counts["num_duplicates"] > 0


def test_curate_keeps_the_first_of_equal_texts_with_the_number_dropped(undisturbed: Path) -> None:
    documents = [row for _, table in content(undisturbed)["documents"] for row in table]
    texts = [row["text"] for row in documents]
    assert len(set(texts)) == len(texts)
    first = next(row for row in documents if row["text"] == text_of(17))
    assert (first["id"], first["duplicate_count"]) == ("0-17", 1)
    duplicates = [row["id"] for row in rows(undisturbed / "rejected" / "exact_duplicate")]
    assert "1-0" in duplicates


def test_curate_stores_reason_and_measures_of_a_rejected_document(undisturbed: Path) -> None:
    rejected = rows(undisturbed / "rejected" / "quality")
    assert {row["reason"] for row in rejected} == {"min_han_chars"}
    assert {(row["value"], row["threshold"], row["measures"]["num_han_chars"]) for row in rejected} == {(2, 20, 2)}


def test_curate_lists_each_fault_with_file_and_position(undisturbed: Path) -> None:
    faults = [json.loads(line) for line in content(undisturbed)["faults"].splitlines()]
    assert [(fault["path"], fault["position"], fault["reason"]) for fault in faults] == [
        (f"part-{number}.jsonl.gz", "line 27", "invalid_json") for number in range(8)
    ]


def test_curate_gives_the_same_with_more_workers(inputs: Path, undisturbed: Path) -> None:
    output = inputs.parent / "two-workers"
    code, _, errors = curate(inputs, output, "--workers", "2")
    assert code == 3, errors
    assert content(output) == content(undisturbed)


def test_curate_killed_again_and_again_ends_with_the_same(inputs: Path, undisturbed: Path) -> None:
    output = inputs.parent / "killed"
    num_killed = 0
    # the delays fall into start-up, reading, deduplication and writing; an attempt that ends first is no kill
    for seconds in (0.6, 1.4, 1.9, 2.4, 2.9, 3.4):
        process = start(inputs, output, "--workers", "2")
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            num_killed += 1
    code, _, errors = curate(inputs, output)
    assert code == 3, errors
    assert num_killed >= 2
    assert content(output) == content(undisturbed)


def test_curate_run_again_after_the_end_does_nothing(inputs: Path, undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*") if path.is_file()}
    code, printed, _ = curate(inputs, undisturbed)
    assert code == 3
    assert "finished before; nothing was done" in printed
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*") if path.is_file()} == before


def test_curate_refuses_the_folder_of_a_run_with_other_parameters(inputs: Path, undisturbed: Path) -> None:
    done = subprocess.run(
        [COMMAND, "--quiet", "curate", inputs, "--output", undisturbed, "--recipe", "law"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "parameters.recipe" in done.stderr
    assert "another --output" in done.stderr


def test_curate_without_deduplication_writes_all_documents_as_jsonl(inputs: Path) -> None:
    recipe = inputs.parent / "plain.yaml"
    recipe.write_text("exact_dedup: null\nstrip_boilerplate: false\noutput_format: jsonl\n", encoding="utf-8")
    output = inputs.parent / "plain"
    subprocess.run(
        [COMMAND, "--quiet", "curate", inputs, "--output", output, "--recipe", recipe], capture_output=True, check=False
    )
    documents = rows(output / "documents")
    assert len(documents) == 8 * 25
    assert {row["duplicate_count"] for row in documents} == {0}
    assert "documents/*.jsonl.gz" in (output / "README.md").read_text(encoding="utf-8")


def test_inspect_of_an_unfinished_run_says_so(tmp_path: Path) -> None:
    with open_run(tmp_path / "out", command="tw-corpus curate", parameters={}):
        pass
    done = subprocess.run([COMMAND, "inspect", tmp_path / "out"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the run is not finished" in done.stderr


def test_inspect_negative_limit_is_refused(undisturbed: Path) -> None:
    done = subprocess.run(
        [COMMAND, "inspect", undisturbed, "--limit", "-1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "numbers >= 0" in done.stderr


def test_inspect_damaged_file_is_named(inputs: Path, undisturbed: Path) -> None:
    copy = inputs.parent / "damaged"
    shutil.copytree(undisturbed, copy)
    (path, *_) = sorted((copy / "rejected" / "quality").glob("*.gz"))
    path.write_bytes(path.read_bytes()[:-12])
    done = subprocess.run([COMMAND, "inspect", copy, "--limit", "1000"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{path} cannot be read" in done.stderr


def test_inspect_shows_reasons_and_documents(undisturbed: Path) -> None:
    shown = subprocess.run([COMMAND, "inspect", undisturbed], capture_output=True, text=True, check=True).stdout
    assert "min_han_chars" in shown
    one = subprocess.run(
        [COMMAND, "inspect", undisturbed, "--reason", "min_han_chars", "--limit", "1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "太短" in one
    assert "measured 2, threshold 20" in one


def test_inspect_unknown_reason_lists_those_of_the_run(undisturbed: Path) -> None:
    done = subprocess.run(
        [COMMAND, "inspect", undisturbed, "--reason", "nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "exact_duplicate, min_han_chars" in done.stderr
