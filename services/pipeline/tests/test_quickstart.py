"""The quickstart as a newcomer runs it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from icda import Outcome, RejectReason
from icda.jobs import IcdaRecipe
from tmlu_bench import Severity, load_questions, validate_questions
from twllm_pipeline._intents_sample import intents_recipe
from twllm_runs import load_recipe

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
    assert "intents/report.html" in page
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


def intent_rows(output: Path, stage: str, name: str) -> list[dict[str, Any]]:
    (folder,) = (output / "intents").glob(f"{stage}-*")
    return [json.loads(row) for row in (folder / name).read_text(encoding="utf-8").splitlines()]


def test_quickstart_intents_meet_every_outcome_and_no_line_is_lost(
    quickstart: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    output, _ = quickstart
    rejected, decisions = (
        intent_rows(output, "generate", "rejected.jsonl"),
        intent_rows(output, "select", "decisions.jsonl"),
    )
    assert {row["reason"] for row in rejected} == set(RejectReason)
    assert {row["outcome"] for row in decisions} == {Outcome.KEPT, Outcome.DROPPED}
    (generated,) = (output / "intents").glob("generate-*/summary.json")
    summary = json.loads(generated.read_text(encoding="utf-8"))
    assert summary["tokens"]["models"] == ["written by hand"]
    assert {row["end"] for row in summary["intents"]} == {"filled", "budget_spent"}
    shown = json.loads((output / "summary.json").read_text(encoding="utf-8"))["intents"]
    surplus = sum(row["num_surplus"] for row in summary["intents"])
    assert shown["num_lines"] == len(rejected) + len(decisions) + surplus
    assert shown["num_kept"] == sum(row["outcome"] == Outcome.KEPT for row in decisions)


def test_quickstart_intents_are_said_to_be_recorded_and_every_choice_stands_beside_the_seeds(
    quickstart: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    output, done = quickstart
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "were written by hand for this sample and are replayed; no model wrote them" in page
    assert "recorded generations, written by hand; no model wrote them" in done.stdout
    shown = json.loads((output / "summary.json").read_text(encoding="utf-8"))["intents"]
    assert set(shown["accuracy"]) == {"seeds-only", "selected", "keep-all", "random", "argmax"}
    assert {(one["n"], one["ci_low"] < one["mean"] < one["ci_high"]) for one in shown["accuracy"].values()} == {
        (180, True)
    }
    assert shown["verdict"] in done.stdout
    assert shown["verdict"][1:] in page
    best = max(shown["accuracy"].values(), key=lambda one: one["mean"])
    assert ("Higher on these test rows" in page) is (best["mean"] > shown["accuracy"]["selected"]["mean"])


def test_quickstart_intents_follow_the_published_recipe_where_they_do_not_ask_for_less() -> None:
    recipe = load_recipe(Path(__file__).parents[3] / "recipes" / "icda" / "help-desk-zh-tw.yaml", IcdaRecipe)
    ours = intents_recipe(SAMPLE / "intents")
    assert (ours.classifier, ours.score, ours.thresholds, ours.select, ours.guards, ours.allow_guards) == (
        recipe.classifier,
        recipe.score,
        recipe.thresholds,
        recipe.select,
        recipe.guards,
        recipe.allow_guards,
    )
    sampling = ("style", "form", "num_examples", "temperature", "top_p", "top_k", "max_tokens", "clean")
    assert [getattr(ours.generate, name) for name in sampling] == [getattr(recipe.generate, name) for name in sampling]


def test_quickstart_recorded_generations_are_what_the_tool_makes_of_their_source(tmp_path: Path) -> None:
    tool = Path(__file__).parents[1] / "tools" / "build_intents_sample.py"
    subprocess.run([sys.executable, tool, "--output", tmp_path], check=True, capture_output=True, timeout=120)
    assert (tmp_path / "recorded.jsonl").read_bytes() == (SAMPLE / "intents" / "recorded.jsonl").read_bytes()


def test_quickstart_again_does_nothing_and_names_the_report(
    quickstart: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    output, _ = quickstart
    again = subprocess.run(
        [COMMAND, "quickstart", "--output", output], capture_output=True, text=True, check=True, timeout=180
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
