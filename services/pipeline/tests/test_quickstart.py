"""The quickstart as a newcomer runs it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tmlu_bench import Severity, load_questions, validate_questions

COMMAND = Path(sys.executable).parent / "taiwan-llm"
SAMPLE = Path(__file__).parents[1] / "src" / "twllm_pipeline" / "sample"


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    output = tmp_path_factory.mktemp("quickstart") / "out"
    done = subprocess.run(
        [COMMAND, "quickstart", "--output", output], capture_output=True, text=True, check=False, timeout=300
    )
    return output, done


def expected() -> list[dict[str, Any]]:
    return [json.loads(row) for row in (SAMPLE / "expected.jsonl").read_text(encoding="utf-8").splitlines()]


def test_quickstart_ends_clean_and_names_a_report_that_stands_alone(
    quickstart: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    output, done = quickstart
    assert done.returncode == 0, done.stderr
    assert f"Open {output / 'report.html'}" in done.stdout
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "<link" not in page
    assert 'src="http' not in page
    assert "corpus/report.html" in page
    assert "exam/report.html" in page
    assert "judge/report.html" in page
    assert "documents kept" in (output / "corpus" / "report.html").read_text(encoding="utf-8")


def test_quickstart_reads_every_document_of_the_sample(
    quickstart: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    output, _ = quickstart
    counts = json.loads((output / "corpus" / "summary.json").read_text(encoding="utf-8"))["counts"]
    assert counts["num_records"] - counts["num_ignored"] == len(expected())
    assert counts["num_faults"] == 0


def test_quickstart_outcomes_are_those_that_the_sample_was_written_for(
    quickstart: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    output, _ = quickstart
    kept = {
        key
        for path in (output / "corpus" / "documents").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
        for key in (row["id"], row["url"])
        if key
    }
    wrong = [
        f"{row['id']} ({row['genre']}) should be {row['expected_final']}"
        for row in expected()
        if (row["expected_final"] in ("kept", "tagged"))
        is not bool({row["id"], row["path"].removeprefix("corpus/"), row["url"]} & kept)
    ]
    assert wrong == []


def test_quickstart_looks_for_the_exam_in_the_corpus_and_says_what_it_found(
    quickstart: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    output, _ = quickstart
    (row,) = json.loads((output / "corpus" / "summary.json").read_text(encoding="utf-8"))["contamination"]
    assert (row["benchmark"], row["found"]) == ("exam", 0)
    assert row["clean"] + row["too_short"] == 3 * (10 + 5)
    assert "exam questions found in the corpus" in (output / "report.html").read_text(encoding="utf-8")


def test_quickstart_exam_counts_every_question_and_its_interval_holds_chance(
    quickstart: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    output, _ = quickstart
    overall = json.loads((output / "exam" / "summary.json").read_text(encoding="utf-8"))["overall"]
    assert overall["counts"] | {"correct": 0, "wrong": 0} == dict.fromkeys(overall["counts"], 0)
    assert overall["counts"]["correct"] + overall["counts"]["wrong"] == 30
    assert overall["micro"]["ci_low"] < 0.25 < overall["micro"]["ci_high"]


def test_quickstart_exam_is_a_set_that_its_own_checks_pass() -> None:
    questions = load_questions(SAMPLE / "exam")
    assert questions.faults == ()
    assert [finding for finding in validate_questions(questions) if finding.severity is Severity.ERROR] == []
    assert {subject.id: (len(subject.test), len(subject.dev)) for subject in questions.subjects} == dict.fromkeys(
        ("chinese_usage", "everyday_mathematics", "taiwan_geography"), (10, 5)
    )


def test_quickstart_judgements_are_read_whole_and_said_to_be_recorded(
    quickstart: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    output, done = quickstart
    summary = json.loads((output / "judge" / "summary.json").read_text(encoding="utf-8"))
    assert summary["reported_models"] == {"written by hand": 12}
    assert (summary["all"]["num_judgements"], summary["all"]["failures"]) == (12, {})
    assert "are replayed; no model judged here" in (output / "report.html").read_text(encoding="utf-8")
    assert "recorded answers, written by hand; no model judged" in done.stdout


def test_quickstart_recorded_judgements_are_what_the_tool_makes_of_their_source(tmp_path: Path) -> None:
    tool = Path(__file__).parents[1] / "tools" / "build_judge_sample.py"
    subprocess.run([sys.executable, tool, "--output", tmp_path], check=True, capture_output=True, timeout=120)
    assert (tmp_path / "recorded.jsonl").read_bytes() == (SAMPLE / "judge" / "recorded.jsonl").read_bytes()


def test_quickstart_again_does_nothing_and_names_the_report(
    quickstart: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    output, _ = quickstart
    again = subprocess.run(
        [COMMAND, "quickstart", "--output", output], capture_output=True, text=True, check=True, timeout=60
    )
    assert "finished before; nothing was done" in again.stdout
    assert "report.html" in again.stdout


def test_quickstart_masks_personal_data_everywhere(
    quickstart: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    output, _ = quickstart
    values = [finding["value"] for row in expected() for finding in row["pii"] if len(finding["value"]) > 7]
    assert len(values) > 15
    pages = [(output / "corpus" / "report.html").read_text(encoding="utf-8")]
    for path in (output / "corpus" / "documents").glob("*.parquet"):
        pages += pq.read_table(path)["text"].to_pylist()
    for path in (output / "corpus" / "rejected").rglob("*.gz"):
        pages.append(gzip.decompress(path.read_bytes()).decode())
    assert [value for value in values if any(value in page for page in pages)] == []
