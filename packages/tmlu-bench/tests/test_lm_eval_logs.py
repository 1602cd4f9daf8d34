"""Logs as lm-eval writes them, and whether our protocol gives what lm-eval itself gives."""

import json
from pathlib import Path

import pytest

from tmlu_bench._compare import compare_runs
from tmlu_bench._lm_eval_logs import find_lm_eval_logs, read_lm_eval_run
from twllm_types import ConfigError, DataError

NAME = "samples_tmlu_AST_civics_2026-11-21T14-01-38.476408.jsonl"


def make_row(number: int, right: bool, **change: object) -> dict:
    row = {
        "doc_id": number,
        "doc": {"id": f"q{number}", "question": "問"},
        "target": "A",
        "arguments": {"gen_args_0": {"arg_0": f"問題{number}", "arg_1": " A"}},
        "filtered_resps": [["-1.0", "False"]],
        "filter": "none",
        "acc": float(right),
    }
    return row | change


def write(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_logs_of_a_folder_are_one_run_by_subject(tmp_path: Path) -> None:
    write(tmp_path / "out" / "model" / NAME, [make_row(0, True), make_row(1, False)])
    write(tmp_path / "out" / "model" / NAME.replace("AST_civics", "CAP_biology"), [make_row(0, True)])
    run = read_lm_eval_run(tmp_path / "out")
    assert run.name == "out"
    assert run.shares == {("AST_civics", "q0"): 1.0, ("AST_civics", "q1"): 0.0, ("CAP_biology", "q0"): 1.0}
    assert run.setting["scoring"] == "logprob, likelihood"


def test_log_of_data_without_ids_takes_the_place(tmp_path: Path) -> None:
    path = write(tmp_path / NAME, [make_row(7, True, doc={"question": "問"})])
    assert list(read_lm_eval_run(path).shares) == [("AST_civics", "7")]


def test_log_of_generated_answers_reads_exact_match(tmp_path: Path) -> None:
    row = make_row(0, True)
    del row["acc"]
    run = read_lm_eval_run(write(tmp_path / NAME, [row | {"exact_match": 1.0}]))
    assert run.setting["scoring"] == "generate"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([make_row(0, True), make_row(0, True)], r":2: question 'q0' occurs twice"),
        ([make_row(0, True), make_row(1, True, filter="strict")], r":2: the log holds filters none, strict"),
        ([make_row(0, True, acc=0.5)], r":1: has no acc or exact_match of 0 or 1 but 0.5"),
        ([make_row(0, True, arguments={})], r":1: has no prompt"),
        ([{"doc_id": 1}], r":1: is no sample of lm-eval"),
    ],
)
def test_log_that_cannot_be_read_names_its_line(tmp_path: Path, rows: list[dict], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_lm_eval_run(write(tmp_path / NAME, rows))


def test_log_of_a_task_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path / NAME, [make_row(0, True)])
    write(tmp_path / NAME.replace("T14", "T15"), [make_row(0, True)])
    with pytest.raises(ConfigError, match="is a second log of AST_civics"):
        read_lm_eval_run(tmp_path)


def test_folder_without_logs_is_refused(tmp_path: Path) -> None:
    assert find_lm_eval_logs(tmp_path) == ()
    with pytest.raises(ConfigError, match="--log_samples"):
        read_lm_eval_run(tmp_path)
    (tmp_path / "a.jsonl").write_text("", encoding="utf-8")
    assert find_lm_eval_logs(tmp_path / "a.jsonl") == ()


def test_two_logs_compare(tmp_path: Path) -> None:
    one = read_lm_eval_run(write(tmp_path / "one" / NAME, [make_row(k, k < 6) for k in range(10)]), name="one")
    other = read_lm_eval_run(write(tmp_path / "other" / NAME, [make_row(k, k < 3) for k in range(10)]), name="other")
    (pair,) = compare_runs([one, other]).pairs
    assert (pair.micro.mean, pair.num_only_first) == (pytest.approx(0.3), 3)
