import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tw_corpus._benchmark_files import load_benchmark
from twllm_types import DataError

ROW = {"question": "臺灣最高的山是哪一座？", "A": "玉山", "B": "雪山", "answer": "A"}


def test_benchmark_jsonl_gives_one_item_per_question_without_options(tmp_path: Path) -> None:
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps(ROW) + "\n\n" + json.dumps({"id": "q7", "prompt": "題目"}), encoding="utf-8")
    assert [(item.benchmark, item.id, item.text) for item in load_benchmark(path)] == [
        ("exam.jsonl", "exam:1", ROW["question"]),
        ("exam.jsonl", "exam:q7", "題目"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp950"])
def test_benchmark_csv_is_read_with_mark_or_in_big5(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "exam.csv"
    rows = "".join(f'{number},"第{number}題：臺灣最高的山，是哪一座呢？",A\n' for number in range(40))
    path.write_bytes(f",content.Q,content.A\n{rows}".encode(encoding))
    items = load_benchmark(path)
    assert len(items) == 40
    assert items[0].text == "第0題：臺灣最高的山，是哪一座呢？"


def test_benchmark_folder_names_items_by_subject(tmp_path: Path) -> None:
    for subject in ("geography", "history"):
        folder = tmp_path / "tmlu" / subject
        folder.mkdir(parents=True)
        (folder / "test.jsonl").write_text(json.dumps(ROW), encoding="utf-8")
        (folder / "notes.md").write_text("not a benchmark", encoding="utf-8")
    assert [(item.benchmark, item.id) for item in load_benchmark(tmp_path / "tmlu")] == [
        ("tmlu", "geography/test:1"),
        ("tmlu", "history/test:1"),
    ]


def test_benchmark_json_list_parquet_and_turns_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"turns": ["第一輪", "第二輪"]}]), encoding="utf-8")
    pq.write_table(pa.table({"question": ["甲", None]}), tmp_path / "b.parquet")
    assert [item.text for item in load_benchmark(tmp_path)] == ["第一輪", "甲"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", b"", "no row holds a question"),
        ("a.jsonl", b'{"answer": "A"}', "no row holds a question"),
        ("a.jsonl", b"{broken", r"a\.jsonl:1: is not JSON"),
        ("a.jsonl", b"[1]", r"a\.jsonl:1: is no JSON object"),
        ("a.json", b"[3]", "entry 1: is no JSON object"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
        ("a.txt", b"question", "no row holds a question"),
    ],
)
def test_benchmark_without_usable_items_says_why(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    path = tmp_path if name.endswith(".txt") else tmp_path / name
    with pytest.raises(DataError, match=problem):
        load_benchmark(path)


def test_benchmark_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_benchmark(tmp_path / "missing.jsonl")
