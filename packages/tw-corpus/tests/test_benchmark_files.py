import gzip
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tw_corpus._benchmark_files import load_benchmarks
from twllm_types import DataError

# without a time stamp, so that the names of the cases are the same in every process
compress = partial(gzip.compress, mtime=0)

if TYPE_CHECKING:
    from tw_corpus._contamination import BenchmarkItem

ROW = {"question": "臺灣最高的山是哪一座？", "A": "玉山", "B": "雪山", "answer": "A"}


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Give up the rights of root, to whom no folder is closed."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def items_of(*paths: Path) -> "list[BenchmarkItem]":
    return [item for benchmark in load_benchmarks(paths) for item in benchmark.items]


def test_benchmark_jsonl_gives_one_item_per_question_without_options(tmp_path: Path) -> None:
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps(ROW) + "\n\n" + json.dumps({"id": "q7", "prompt": "題目"}), encoding="utf-8")
    assert [(item.benchmark, item.id, item.text) for item in items_of(path)] == [
        ("exam.jsonl", "exam:1", ROW["question"]),
        ("exam.jsonl", "exam:q7", "題目"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp950"])
def test_benchmark_csv_is_read_with_mark_or_in_big5(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "exam.csv"
    rows = "".join(f'{number},"第{number}題：臺灣最高的山，是哪一座呢？",A\n' for number in range(40))
    path.write_bytes(f",content.Q,content.A\n{rows}".encode(encoding))
    items = items_of(path)
    assert len(items) == 40
    assert items[0].text == "第0題：臺灣最高的山，是哪一座呢？"


def test_benchmark_folder_names_items_by_subject(tmp_path: Path) -> None:
    for subject in ("geography", "history"):
        folder = tmp_path / "tmlu" / subject
        folder.mkdir(parents=True)
        (folder / "test.jsonl").write_text(json.dumps(ROW), encoding="utf-8")
        (folder / "notes.md").write_text("not a benchmark", encoding="utf-8")
    assert [(item.benchmark, item.id) for item in items_of(tmp_path / "tmlu")] == [
        ("tmlu", "geography/test:1"),
        ("tmlu", "history/test:1"),
    ]


def test_benchmark_json_list_parquet_and_turns_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"turns": ["第一輪", "第二輪"]}]), encoding="utf-8")
    pq.write_table(pa.table({"question": ["甲", None]}), tmp_path / "b.parquet")
    assert [item.text for item in items_of(tmp_path)] == ["第一輪", "甲"]


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
        ("a.json", b"[" * 100_000, r"a\.json: lists and objects are nested too deeply"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl:1: lists and objects are nested too deeply"),
        ("a.csv", b"question\n" + b"a" * 140_000, "cannot be read as CSV .field larger than field limit"),
        ("a.jsonl.gz", compress(b'{"question": "a"}')[:-9], "cannot be read .the compressed data ends"),
        ("a.jsonl.zst", b'{"question": "a"}', "cannot be read .not Zstandard data"),
    ],
)
def test_benchmark_without_usable_items_says_why(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    path = tmp_path if name.endswith(".txt") else tmp_path / name
    with pytest.raises(DataError, match=problem):
        items_of(path)


def test_benchmark_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        items_of(tmp_path / "missing.jsonl")


def test_benchmark_of_another_format_given_by_itself_lists_the_endings(tmp_path: Path) -> None:
    (tmp_path / "exam.md").write_text("# exam", encoding="utf-8")
    with pytest.raises(DataError, match=r"exam\.md: no reader for this name; the endings are \.jsonl"):
        load_benchmarks([tmp_path / "exam.md"])


def test_benchmark_line_separators_that_unicode_adds_end_no_line(tmp_path: Path) -> None:
    question = "上一段\u2028下一段\u0085最後一段"
    (tmp_path / "exam.jsonl").write_text(json.dumps({"question": question}, ensure_ascii=False), encoding="utf-8")
    assert [item.text for item in items_of(tmp_path / "exam.jsonl")] == [question]


def test_benchmark_lone_surrogates_are_replaced_in_id_and_question(tmp_path: Path) -> None:
    (tmp_path / "exam.jsonl").write_bytes('{"id": "q\\ud83d", "question": "題\\ude00目"}'.encode())
    assert [(item.id, item.text) for item in items_of(tmp_path / "exam.jsonl")] == [("exam:q\ufffd", "題\ufffd目")]


def test_benchmark_repeated_ids_are_told_apart_by_their_rows(tmp_path: Path) -> None:
    rows = [{"id": 1, "question": "甲"}, {"id": 1, "question": "乙"}, {"question": "丙"}, {"id": 3, "question": "丁"}]
    (tmp_path / "exam.json").write_text(json.dumps(rows), encoding="utf-8")
    assert [item.id for item in items_of(tmp_path / "exam.json")] == [
        "exam:1",
        "exam:1#row-2",
        "exam:3",
        "exam:3#row-4",
    ]


def test_benchmark_files_that_differ_in_the_ending_alone_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text(json.dumps([ROW]), encoding="utf-8")
    (tmp_path / "test.jsonl").write_text(json.dumps(ROW), encoding="utf-8")
    assert [item.id for item in items_of(tmp_path)] == ["test.json:1", "test.jsonl:1"]


def test_benchmarks_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [tmp_path / "2023" / "exam.jsonl", tmp_path / "2024" / "exam.jsonl"]
    for path in paths:
        path.parent.mkdir()
        path.write_text(json.dumps(ROW), encoding="utf-8")
    assert [benchmark.name for benchmark in load_benchmarks(paths)] == ["2023/exam.jsonl", "2024/exam.jsonl"]
    assert {item.benchmark for item in items_of(*paths)} == {"2023/exam.jsonl", "2024/exam.jsonl"}


def test_benchmark_folder_and_one_of_its_name_inside_have_two_names(tmp_path: Path) -> None:
    (tmp_path / "exam" / "exam").mkdir(parents=True)
    (tmp_path / "exam" / "exam" / "a.json").write_text(json.dumps([ROW]), encoding="utf-8")
    paths = [tmp_path / "exam", tmp_path / "exam" / "exam"]
    assert [benchmark.name for benchmark in load_benchmarks(paths)] == ["exam", "exam/exam"]


def test_benchmark_given_twice_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "exam.jsonl").write_text(json.dumps(ROW), encoding="utf-8")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "exam.jsonl")
    monkeypatch.chdir(tmp_path)
    given = [Path("exam.jsonl"), tmp_path / "exam.jsonl", Path("link.jsonl")]
    assert [benchmark.name for benchmark in load_benchmarks(given)] == ["exam.jsonl"]


def test_benchmark_that_is_the_current_folder_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmlu").mkdir()
    (tmp_path / "tmlu" / "exam.jsonl").write_text(json.dumps(ROW), encoding="utf-8")
    monkeypatch.chdir(tmp_path / "tmlu")
    assert [benchmark.name for benchmark in load_benchmarks([Path()])] == ["tmlu"]


def test_benchmark_folder_reads_compressed_files_and_any_case_of_letters(tmp_path: Path) -> None:
    (tmp_path / "a.JSONL").write_text(json.dumps(ROW), encoding="utf-8")
    (tmp_path / "b.jsonl.gz").write_bytes(compress(json.dumps(ROW).encode()))
    assert [item.id for item in items_of(tmp_path)] == ["a:1", "b:1"]


def test_benchmark_folder_names_the_files_that_gave_no_item(tmp_path: Path) -> None:
    for name, content in {"a.json": json.dumps([ROW]), "info.json": "{}", "README.md": "#", ".git/config": ""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    (benchmark,) = load_benchmarks([tmp_path])
    assert [item.id for item in benchmark.items] == ["a:1"]
    assert benchmark.unused == (".git", "README.md", "info.json")


def test_benchmark_folder_with_a_broken_link_or_pipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([ROW]), encoding="utf-8")
    os.mkfifo(tmp_path / "b.json")
    with pytest.raises(DataError, match=r"b\.json: is a broken link, or no regular file"):
        load_benchmarks([tmp_path])


def test_benchmark_folder_that_cannot_be_listed_is_refused() -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "a.json").write_text(json.dumps([ROW]), encoding="utf-8")
        (root / "closed").mkdir(mode=0)
        with as_ordinary_user(), pytest.raises(DataError, match="closed: cannot be read"):
            load_benchmarks([root])
        (root / "closed").chmod(0o755)


def test_benchmark_parquet_string_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    ends = pa.py_buffer(b"\0\0\0\0\2\0\0\0")
    broken = pa.StringArray.from_buffers(1, ends, pa.py_buffer(b"\xff\xfe"))
    pq.write_table(pa.table({"question": broken}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        load_benchmarks([tmp_path / "a.parquet"])
