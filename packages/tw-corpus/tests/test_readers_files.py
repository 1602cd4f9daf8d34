"""Text and HTML files, and finding inputs."""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tw_corpus.readers import (
    Fault,
    FaultReason,
    FileFormat,
    Ignored,
    IgnoredKind,
    Outcome,
    ReadOptions,
    Record,
    find_inputs,
    read_file,
)
from twllm_types import DataError

PROSE = "臺北市政府今天宣布，公車路線自下個月起重新調整，市民可以在網站上查詢新的時刻表。"


def read(path: Path, content: bytes, **options: object) -> list[Outcome]:
    path.write_bytes(content)
    return list(read_file(path, options=ReadOptions(**options)))  # type: ignore[arg-type]


def faults(outcomes: list[Outcome]) -> list[tuple[str, FaultReason]]:
    return [(outcome.position, outcome.reason) for outcome in outcomes if isinstance(outcome, Fault)]


@pytest.mark.parametrize(("codec", "encoding"), [("utf-8", "utf-8"), ("cp950", "cp950"), ("utf-16", "utf-16-le")])
def test_read_text_encoding_is_found_and_recorded(tmp_path: Path, codec: str, encoding: str) -> None:
    (record,) = read(tmp_path / "a.txt", f"{PROSE}\n{PROSE}\n".encode(codec))
    assert isinstance(record, Record)
    assert (record.id, record.text, record.metadata["encoding"]) == ("a.txt", f"{PROSE}\n{PROSE}\n", encoding)


def test_read_text_compressed_is_read_and_cut_is_a_fault(tmp_path: Path) -> None:
    stored = gzip.compress(PROSE.encode() * 100)
    assert len(read(tmp_path / "a.txt.gz", stored)) == 1
    assert faults(read(tmp_path / "a.txt.gz", stored[:-20])) == [("file", FaultReason.TRUNCATED_ARCHIVE)]


def test_read_text_lines_of_a_second_encoding_are_left_out_and_counted(tmp_path: Path) -> None:
    lines = [PROSE.encode()] * 30
    lines[6] = PROSE.encode("cp950")
    outcomes = read(tmp_path / "a.txt", b"\n".join(lines))
    assert faults(outcomes) == [("line 7", FaultReason.UNDECODABLE)]
    (record,) = [outcome for outcome in outcomes if isinstance(outcome, Record)]
    assert record.text == "\n".join([PROSE] * 29)
    assert record.metadata["num_lines_left_out"] == 1
    assert "num_replaced" not in record.metadata


def test_read_text_half_in_each_encoding_is_one_fault(tmp_path: Path) -> None:
    outcomes = read(tmp_path / "a.txt", (PROSE + "\n").encode() * 5 + (PROSE + "\n").encode("cp950") * 5)
    assert faults(outcomes) == [("file", FaultReason.UNDECODABLE)]
    assert len(outcomes) == 1


def test_read_text_one_stray_byte_in_one_long_line_is_kept_and_counted(tmp_path: Path) -> None:
    (record,) = read(tmp_path / "a.txt", PROSE.encode() * 20 + b"\xff")
    assert isinstance(record, Record)
    assert (record.text, record.metadata["num_replaced"]) == (PROSE * 20 + "\ufffd", 1)


def test_read_text_threshold_decides_over_replacements(tmp_path: Path) -> None:
    content = PROSE.encode() + b"\xff"
    assert faults(read(tmp_path / "a.txt", content)) == [("file", FaultReason.UNDECODABLE)]
    assert faults(read(tmp_path / "a.txt", content, max_replaced_share=0.1)) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"a\x00b", FaultReason.NUL_BYTE), (b"", FaultReason.EMPTY_FILE), (b"x" * 101, FaultReason.RECORD_TOO_LARGE)],
)
def test_read_text_bad_file_is_one_fault(tmp_path: Path, content: bytes, reason: FaultReason) -> None:
    assert faults(read(tmp_path / "a.txt", content, max_record_bytes=100)) == [("file", reason)]


def test_read_html_page_is_decoded_and_extracted(tmp_path: Path) -> None:
    html = f'<meta charset="big5"><title>公告</title><p>{PROSE}碁</p>'
    (record,) = read(tmp_path / "a.html", html.encode("cp950"))
    assert record == Record(
        id="a.html",
        text=f"{PROSE}碁",
        source="a.html",
        metadata={
            "format": "html",
            "position": "file",
            "encoding": "cp950",
            "encoding_evidence": "meta",
            "extractor": "resiliparse-main",
            "title": "公告",
        },
    )


def test_read_html_doubtful_evidence_is_recorded(tmp_path: Path) -> None:
    html = f'<meta charset="utf-8"><p>{PROSE}\ue000</p>'.replace("\ue000", "")
    (record,) = read(tmp_path / "a.html", html.encode("cp950"))
    assert isinstance(record, Record)
    assert record.metadata["encoding_rejected"] == ["meta utf-8: does not decode"]
    (record,) = read(tmp_path / "b.html", "<p>造\ue001字</p>".encode())
    assert isinstance(record, Record)
    assert record.metadata["num_private_use"] == 1


def test_read_html_ptt_page_is_read_without_people(tmp_path: Path) -> None:
    html = (
        '<div id="main-content"><div class="article-metaline"><span class="article-meta-tag">標題</span>'
        '<span class="article-meta-value">爬山</span></div><div class="push"><span class="push-tag">推 </span>'
        '<span class="push-userid">mochi</span><span class="push-content">: 好山</span></div></div>'
    )
    (record,) = read(tmp_path / "a.html", html.encode())
    assert isinstance(record, Record)
    assert (record.text, record.metadata["extractor"]) == ("爬山\n\n推 好山", "ptt")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", FaultReason.EMPTY_FILE),
        (b"<p>" + b"x" * 5000, FaultReason.RECORD_TOO_LARGE),
        (b"<p>\xff\xfd\x80\x81\xff\xfe\xfd", FaultReason.UNDECODABLE),
        (b"<div>" * 1001, FaultReason.EXTRACTION_FAILED),
    ],
)
def test_read_html_bad_file_is_one_fault(tmp_path: Path, content: bytes, reason: FaultReason) -> None:
    limit = 5005 if reason is FaultReason.EXTRACTION_FAILED else 5000
    assert faults(read(tmp_path / "a.html", content, max_record_bytes=limit)) == [("file", reason)]


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Give up the rights of root, to whom no file is closed."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_find_inputs_folder_is_listed_by_name_and_named_from_the_folder(tmp_path: Path) -> None:
    make(
        tmp_path / "in",
        "b.txt",
        "a/z.jsonl.gz",
        "a/y.HTM",
        "a.warc.gz",
        "c.parquet",
        "a/x.csv",
        ".hidden.txt",
        ".git/config",
    )
    found = find_inputs([tmp_path / "in"])
    assert [(file.name, file.format) for file in found.files] == [
        ("a.warc.gz", FileFormat.WARC),
        ("a/y.HTM", FileFormat.HTML),
        ("a/z.jsonl.gz", FileFormat.JSONL),
        ("b.txt", FileFormat.TEXT),
        ("c.parquet", FileFormat.PARQUET),
    ]
    assert [(fault.path, fault.reason) for fault in found.faults] == [("a/x.csv", FaultReason.UNKNOWN_FORMAT)]
    assert found.ignored == (
        Ignored(path=".git", position="file", kind=IgnoredKind.HIDDEN_FILE),
        Ignored(path=".hidden.txt", position="file", kind=IgnoredKind.HIDDEN_FILE),
    )
    assert {file.num_bytes for file in found.files} == {1}


def test_find_inputs_names_stay_when_the_folder_moves(tmp_path: Path) -> None:
    make(tmp_path / "in", "a/x.txt", "b.txt")
    before = [file.name for file in find_inputs([tmp_path / "in"]).files]
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    assert [file.name for file in find_inputs([tmp_path / "elsewhere"]).files] == before == ["a/x.txt", "b.txt"]


def test_find_inputs_files_keep_the_order_given_and_one_met_twice_is_read_once(tmp_path: Path) -> None:
    make(tmp_path, "b.txt", "a.txt", "c/d.txt")
    found = find_inputs([tmp_path / "b.txt", tmp_path / "a.txt", tmp_path / "c", tmp_path / "c/d.txt"])
    assert [file.name for file in found.files] == ["b.txt", "a.txt", "d.txt"]


def test_find_inputs_equal_names_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    make(tmp_path, "2023/part.jsonl", "2024/part.jsonl")
    for inputs in (["2023", "2024"], ["2023/part.jsonl", "2024/part.jsonl"]):
        found = find_inputs([tmp_path / name for name in inputs])
        assert [file.name for file in found.files] == ["2023/part.jsonl", "2024/part.jsonl"]


def test_find_inputs_links_are_followed_once_and_broken_ones_are_faults(tmp_path: Path) -> None:
    make(tmp_path / "in", "a/x.txt")
    (tmp_path / "in/a/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/gone.txt").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "in/pipe.txt")
    found = find_inputs([tmp_path / "in"])
    assert [file.name for file in found.files] == ["a/x.txt"]
    assert [(fault.path, fault.reason) for fault in found.faults] == [
        ("gone.txt", FaultReason.UNREADABLE_FILE),
        ("pipe.txt", FaultReason.UNREADABLE_FILE),
    ]


def test_find_inputs_link_to_itself_is_a_fault(tmp_path: Path) -> None:
    make(tmp_path, "in/a.txt")
    (tmp_path / "in/self.jsonl").symlink_to("self.jsonl")
    found = find_inputs([tmp_path / "in"], exclude=tmp_path / "out")
    assert [file.name for file in found.files] == ["a.txt"]
    assert [(fault.path, fault.reason) for fault in found.faults] == [("self.jsonl", FaultReason.UNREADABLE_FILE)]


def test_find_inputs_name_that_is_not_utf8_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / os.fsdecode(b"\xa4\xa4.txt")).write_bytes(b"x")
    (found,) = find_inputs([tmp_path / "in"]).files
    assert found.name == "\\xa4\\xa4.txt"


@pytest.mark.parametrize("output", ["in/out", "in/a/out", "elsewhere", "in/out/deep"])
def test_find_inputs_output_folder_is_left_out(tmp_path: Path, output: str) -> None:
    make(tmp_path, "in/a/x.txt", "in/outer.txt")
    before = find_inputs([tmp_path / "in"], exclude=tmp_path / output)  # not there yet
    make(tmp_path, f"{output}/part.jsonl", f"{output}/.lock", f"{output}/b/y.csv")
    assert find_inputs([tmp_path / "in"], exclude=tmp_path / output) == before
    assert [file.name for file in before.files] == ["a/x.txt", "outer.txt"]
    assert (before.faults, before.ignored) == ((), ())


def test_find_inputs_excluded_folder_is_left_out_behind_links_and_by_itself(tmp_path: Path) -> None:
    make(tmp_path, "in/x.txt", "out/part.jsonl")
    (tmp_path / "in/link").symlink_to(tmp_path / "out")
    (tmp_path / "in/part.jsonl").symlink_to(tmp_path / "out/part.jsonl")
    (tmp_path / "other").symlink_to(tmp_path / "out")
    inputs = [tmp_path / "in", tmp_path / "out", tmp_path / "out/part.jsonl"]
    assert [file.name for file in find_inputs(inputs, exclude=tmp_path / "other").files] == ["x.txt"]


def test_find_inputs_hidden_excluded_folder_is_not_ignored_either(tmp_path: Path) -> None:
    make(tmp_path, "in/x.txt", "in/.out/part.jsonl")
    assert find_inputs([tmp_path / "in"], exclude=tmp_path / "in/.out").ignored == ()


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.html"])
def test_read_file_progress_adds_up_to_the_bytes_on_disk(tmp_path: Path, name: str) -> None:
    content = (PROSE + "\n").encode() * 10_000
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    steps: list[int] = []
    assert len(list(read_file(tmp_path / name, on_bytes=steps.append))) == 1
    assert sum(steps) == (tmp_path / name).stat().st_size


def test_find_inputs_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        find_inputs([tmp_path / "gone"])


def test_find_inputs_folder_that_cannot_be_listed_is_a_fault() -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        make(root, "in/a.txt", "in/closed/b.txt")
        (root / "in/closed").chmod(0)
        with as_ordinary_user():
            found = find_inputs([root / "in"])
        (root / "in/closed").chmod(0o755)
    assert [file.name for file in found.files] == ["a.txt"]
    assert [(fault.path, fault.reason) for fault in found.faults] == [("closed", FaultReason.UNREADABLE_FILE)]


def test_read_file_without_permission_is_a_fault() -> None:
    with TemporaryDirectory() as name:
        path = Path(name) / "a.txt"
        Path(name).chmod(0o755)
        path.write_bytes(b"x")
        path.chmod(0)
        with as_ordinary_user():
            outcomes = list(read_file(path))
    assert faults(outcomes) == [("file", FaultReason.UNREADABLE_FILE)]


def test_find_inputs_empty_folder_gives_nothing(tmp_path: Path) -> None:
    found = find_inputs([tmp_path])
    assert (found.files, found.faults, found.ignored) == ((), (), ())
