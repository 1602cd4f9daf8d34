"""The curation job through its command: outcomes, continuation, independence of workers."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tw_corpus._rules import RULE_KEYS
from twllm_runs import open_run

IMPORTABLE = Path(__file__).parent / "importable"
sys.path.insert(0, str(IMPORTABLE))
from sample_inputs import text_of, write_inputs  # noqa: E402 - found through the line above

COMMAND = Path(sys.executable).parent / "tw-corpus"
RECIPE = """rules: {min_han_chars: 20, max_simplified_share: 0.2}
near_dedup: {min_shingles: 200}
tasks: {max_files: 1}
"""


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


def num_completed(output: Path, stage: str) -> int:
    folder = output / "work" / "logs" / stage / "completions"
    return len(list(folder.iterdir())) if folder.exists() else 0


def kill_inside(inputs: Path, output: Path, stage: str, *, after: int) -> int:
    """Start a run, kill it without warning once `after` tasks of a stage are through; return how many were then."""
    process = start(inputs, output, "--workers", "2")
    deadline = time.monotonic() + 60
    while num_completed(output, stage) < after and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.communicate()
    return num_completed(output, stage)


def test_curate_killed_in_every_stage_ends_with_the_same(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path / "inputs", num_files=24, num_rows=120)
    code, _, errors = curate(inputs, tmp_path / "undisturbed")
    assert code == 3, errors
    output = tmp_path / "killed"
    stages = [("filter", 3), ("filter", 12), ("exact-signatures", 5), ("near-signatures", 4), ("near-search", 4)]
    caught = [kill_inside(inputs, output, stage, after=after) for stage, after in [*stages, ("write", 5)]]
    code, _, errors = curate(inputs, output)
    assert code == 3, errors
    # killed in the middle of the stage, not before or after it
    assert sum(0 < done < total for done, total in zip(caught, (24, 24, 24, 24, 14, 24), strict=True)) >= 3, caught
    assert content(output) == content(tmp_path / "undisturbed")


def test_curate_worker_killed_is_one_error_and_the_next_start_continues(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path / "inputs", num_files=12, num_rows=200)
    process = start(inputs, tmp_path / "out")
    while not (children := worker_pids(process.pid)) and process.poll() is None:
        time.sleep(0.01)
    os.kill(children[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "worker process of stage 'filter' died" in errors
    assert curate(inputs, tmp_path / "out")[0] == 3


def worker_pids(parent: int) -> list[int]:
    """Find the spawned workers of a process; multiprocessing's resource tracker is no worker."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "status").read_text(encoding="ascii", errors="replace")
                command = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if f"PPid:\t{parent}\n" in status and b"spawn_main" in command:
                found.append(int(entry.name))
    return found


def test_curate_interrupted_stops_soon_and_continues(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path / "inputs", num_files=12, num_rows=200)
    process = start(inputs, tmp_path / "out")
    while num_completed(tmp_path / "out", "filter") < 2 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "the same command continues" in errors
    assert curate(inputs, tmp_path / "out")[0] == 3


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
    recipe.write_text(
        "exact_dedup: false\nnear_dedup: null\nstrip_boilerplate: false\noutput_format: jsonl\n", encoding="utf-8"
    )
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


def test_inspect_deleted_files_are_missed(inputs: Path, undisturbed: Path) -> None:
    copy = inputs.parent / "deleted"
    shutil.copytree(undisturbed, copy)
    shutil.rmtree(copy / "rejected" / "quality")
    done = subprocess.run(
        [COMMAND, "inspect", copy, "--reason", "min_han_chars"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "holds 0 of these documents, the run left out more; files were deleted" in done.stderr


def test_curate_finished_run_without_its_summary_says_what_helps(inputs: Path, undisturbed: Path) -> None:
    copy = inputs.parent / "no-summary"
    shutil.copytree(undisturbed, copy)
    (copy / "summary.json").unlink()
    code, _, errors = curate(inputs, copy)
    assert code == 2
    assert "restore it, or delete the folder and run again" in errors


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


def test_curate_keeps_benchmark_items_out_and_reports_each(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    question = "小明用三枝鉛筆換了兩塊橡皮擦，如果他有十二枝鉛筆，最多可以換到幾塊橡皮擦？"
    texts = [f"補習班講義：{question}（A）六（B）八，請大家寫在筆記本上。", text_of(3), text_of(40)]
    rows_in = [json.dumps({"id": str(number), "text": text}) for number, text in enumerate(texts)]
    (inputs / "a.jsonl").write_text("\n".join(rows_in), encoding="utf-8")
    exam = tmp_path / "exam.jsonl"
    items = [question, "這一題沒有出現在任何地方，所以不會被找到，對吧？", "短"]
    exam.write_text("\n".join(json.dumps({"question": item}) for item in items), encoding="utf-8")
    code, _, errors = curate(inputs, tmp_path / "out", "--decontaminate", str(exam))
    assert code == 0, errors
    report = [
        json.loads(line) for line in (tmp_path / "out" / "contamination.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [(row["item"], row["outcome"], row["num_documents"]) for row in report] == [
        ("exam:1", "found", 1),
        ("exam:2", "clean", 0),
        ("exam:3", "too_short", 0),
    ]
    (hit,) = report[0]["documents"]
    assert texts[0][hit["start"] : hit["end"]] == hit["text"] == question.rstrip("？")
    (rejected,) = rows(tmp_path / "out" / "rejected" / "contaminated")
    assert (rejected["id"], rejected["reason"], rejected["value"]) == ("0", "contaminated", 1.0)


def test_curate_with_an_unusable_benchmark_is_refused_before_any_work(inputs: Path, tmp_path: Path) -> None:
    empty = tmp_path / "exam.jsonl"
    empty.write_text('{"answer": "A"}\n', encoding="utf-8")
    code, _, errors = curate(inputs, tmp_path / "out", "--decontaminate", str(empty))
    assert code == 2
    assert "no row holds a question" in errors
    assert not (tmp_path / "out").exists()


def test_curate_finds_benchmark_items_in_documents_of_any_name_and_tells_exams_apart(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    question = "小明用三枝鉛筆換了兩塊橡皮擦，如果他有十二枝鉛筆，最多可以換到幾塊橡皮擦？"
    row = json.dumps({"id": "上\u2028下\u0085", "text": f"{question}{text_of(3)}"}, ensure_ascii=False)
    (inputs / "a.jsonl").write_text(row, encoding="utf-8")
    for year, text in (("2023", question), ("2024", "這一題沒有出現在任何地方，所以不會被找到，對吧？")):
        (tmp_path / year).mkdir()
        (tmp_path / year / "exam.jsonl").write_text(json.dumps({"question": text}), encoding="utf-8")
    (tmp_path / "2024" / "README.md").write_text("# exam", encoding="utf-8")
    exams = ("--decontaminate", str(tmp_path / "2023" / "exam.jsonl"))
    code, printed, errors = curate(inputs, tmp_path / "out", *exams, str(tmp_path / "2024" / "exam.jsonl"))
    assert code == 0, errors
    lines = (tmp_path / "out" / "contamination.jsonl").read_text(encoding="utf-8").split("\n")
    report = [json.loads(line) for line in lines[:-1]]
    assert [(row["benchmark"], row["outcome"], row["num_documents"]) for row in report] == [
        ("2023/exam.jsonl", "found", 1),
        ("2024/exam.jsonl", "clean", 0),
    ]
    # another exam of the same file name is another run
    code, _, errors = curate(inputs, tmp_path / "out", "--decontaminate", str(tmp_path / "2023" / "exam.jsonl"))
    assert (code, "parameters.benchmarks" in errors) == (2, True)
    code, printed, errors = curate(inputs, tmp_path / "folder", "--decontaminate", str(tmp_path / "2024"))
    assert code == 0, errors
    assert "benchmark 2024: 1 files gave no question (README.md)" in printed


def test_curate_with_another_key_is_another_run(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path / "inputs", num_files=1)
    recipe, key = tmp_path / "pseudonyms.yaml", tmp_path / "key"
    recipe.write_text(json.dumps({"pii": {"mode": "pseudonymise", "key_file": str(key)}}), encoding="utf-8")
    command = [COMMAND, "--quiet", "curate", inputs, "--output", tmp_path / "out", "--recipe", recipe]
    for content, code, said in ((b"one key for this test", 3, ""), (b"one more key for this", 2, "parameters.pii_key")):
        key.write_bytes(content)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        assert content not in (tmp_path / "out" / "run.json").read_bytes()


@pytest.mark.parametrize("pii", ["{mode: tag}", "null"])
def test_curate_that_leaves_personal_data_shows_none_in_its_reports(tmp_path: Path, pii: str) -> None:
    (tmp_path / "inputs").mkdir()
    rows_in = [{"text": f"{text_of(3)}請洽wu@example.tw。"}, {"body": 1, "0940-000-118": 2}]
    (tmp_path / "inputs" / "a.jsonl").write_text("\n".join(map(json.dumps, rows_in)), encoding="utf-8")
    recipe = tmp_path / "left.yaml"
    recipe.write_text(f"pii: {pii}\n", encoding="utf-8")
    command = [COMMAND, "--quiet", "curate", tmp_path / "inputs", "--output", tmp_path / "out", "--recipe", recipe]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 3
    (kept,) = (row for _, table in content(tmp_path / "out")["documents"] for row in table)
    assert "wu@example.tw" in kept["text"]
    shown = [(tmp_path / "out" / name).read_text(encoding="utf-8") for name in ("report.html", "faults.jsonl")]
    assert ["[遮蔽:電子郵件]" in shown[0], "[遮蔽:手機號碼]" in shown[1]] == [True, True]
    assert not [page for page in shown if "wu@example.tw" in page or "0940-000-118" in page]


def test_curate_removes_paragraphs_that_many_documents_share(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    footer = "本報導由社區通訊提供，歡迎大家把身邊的新鮮事寄給我們，讓更多鄰居知道。"
    texts = [f"{text_of(number * 37)}\n{footer}" for number in range(6)] + [footer]
    rows_in = [json.dumps({"id": str(number), "text": text}) for number, text in enumerate(texts)]
    (inputs / "a.jsonl").write_text("\n".join(rows_in), encoding="utf-8")
    recipe = tmp_path / "paragraphs.yaml"
    recipe.write_text("repeated_paragraphs: {min_documents: 5}\nnear_dedup: null\n", encoding="utf-8")
    command = [COMMAND, "--quiet", "curate", inputs, "--output", tmp_path / "out", "--recipe", recipe]
    subprocess.run(command, capture_output=True, check=True)
    kept = [row for _, table in content(tmp_path / "out")["documents"] for row in table]
    assert [row["text"] for row in kept] == [text_of(number * 37) for number in range(6)]
    (rejected,) = rows(tmp_path / "out" / "rejected" / "paragraphs")
    assert (rejected["id"], rejected["reason"]) == ("6", "only_repeated_paragraphs")


def test_curate_into_a_folder_inside_the_input_can_be_run_again(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path / "inputs", num_files=1)
    code, _, errors = curate(inputs, inputs / "clean")
    assert code == 3, errors
    code, printed, errors = curate(inputs, inputs / "clean")
    assert code == 3, errors
    assert "finished before" in printed


def test_curate_says_which_file_a_document_came_from(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    for name in ("x", "y"):
        (inputs / "a").mkdir(parents=True, exist_ok=True)
        row = json.dumps({"id": "1", "text": text_of(len(name) + ord(name) % 7)})
        (inputs / "a" / f"{name}.jsonl").write_text(row, encoding="utf-8")
    assert curate(inputs, tmp_path / "out")[0] == 0
    kept = [row for _, table in content(tmp_path / "out")["documents"] for row in table]
    assert [(row["id"], row["input"], row["file"]) for row in kept] == [
        ("1", "a", "a/x.jsonl"),
        ("1", "a", "a/y.jsonl"),
    ]


def test_curate_with_every_rule_off_keeps_an_empty_text(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "a.jsonl").write_text('{"text": ""}\n{"text": "一"}\n', encoding="utf-8")
    recipe = tmp_path / "off.yaml"
    recipe.write_text(json.dumps({"rules": dict.fromkeys(RULE_KEYS)}), encoding="utf-8")
    command = [COMMAND, "--quiet", "curate", tmp_path / "inputs", "--output", tmp_path / "out", "--recipe", recipe]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = [row for _, table in content(tmp_path / "out")["documents"] for row in table]
    assert [row["text"] for row in kept] == ["", "一"]
