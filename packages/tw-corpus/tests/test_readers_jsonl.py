"""JSON lines: good ones are read, bad ones are counted with their place, and nothing is lost in between."""

import gzip
import json
import tracemalloc
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import orjson
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tw_corpus.readers import Fault, FaultReason, Ignored, IgnoredKind, Outcome, ReadOptions, Record, read_file
from twllm_types import ConfigError

# without a time stamp, so that the names of the cases are the same in every process
compress = partial(gzip.compress, mtime=0)

PROSE = "臺北市政府今天宣布，公車路線自下個月起重新調整，市民可以在網站上查詢新的時刻表。"
SIMPLIFIED = "市政府今天宣布，公交线路从下个月起重新调整，市民可以在网站上查询新的时刻表。"


def read(path: Path, content: bytes, **options: object) -> list[Outcome]:
    path.write_bytes(content)
    return list(read_file(path, options=ReadOptions(**options)))  # type: ignore[arg-type]


def line(text: object, **fields: object) -> bytes:
    return json.dumps({"text": text, **fields}, ensure_ascii=False).encode()


def texts(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.text for outcome in outcomes if isinstance(outcome, Record)]


def faults(outcomes: Sequence[Outcome]) -> list[tuple[str, FaultReason]]:
    return [(outcome.position, outcome.reason) for outcome in outcomes if isinstance(outcome, Fault)]


def test_read_jsonl_record_carries_id_source_and_fields(tmp_path: Path) -> None:
    content = line(PROSE, id="n-1", url="https://example.com/1", n=3)
    (record,) = read(tmp_path / "a.jsonl", content)
    assert record == Record(
        id="n-1",
        text=PROSE,
        source="a.jsonl",
        metadata={
            "format": "jsonl",
            "position": "line 1",
            "encoding": "utf-8",
            "encoding_evidence": "detected",
            "fields": {"url": "https://example.com/1", "n": 3},
            "given_id": "n-1",
        },
    )


def test_read_jsonl_missing_id_is_made_from_name_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line("x") + b"\n" + line("y"))
    outcomes = list(read_file(path, options=ReadOptions(), name="部/a.jsonl"))
    assert [outcome.id for outcome in outcomes if isinstance(outcome, Record)] == [
        "部/a.jsonl#line-1",
        "部/a.jsonl#line-2",
    ]


@pytest.mark.parametrize("given_id", ["", None, True, 1.5, ["x"]])
def test_read_jsonl_id_that_is_no_name_is_not_used(tmp_path: Path, given_id: object) -> None:
    (record,) = read(tmp_path / "a.jsonl", line("x", id=given_id))
    assert isinstance(record, Record)
    assert record.id == "a.jsonl#line-1"


def test_read_jsonl_repeated_ids_are_made_unique(tmp_path: Path) -> None:
    rows = [line("a", id="1"), line("b", id=1), line("c", id="1#line-2"), line("d", id="1")]
    outcomes = read(tmp_path / "a.jsonl", b"\n".join(rows))
    ids = [outcome.id for outcome in outcomes if isinstance(outcome, Record)]
    assert ids == ["1", "1#line-2", "1#line-2#line-3", "1#line-4"]


def test_read_jsonl_every_bad_line_is_a_fault_in_its_place(tmp_path: Path) -> None:
    rows = [
        line("一"),
        b"{not json",
        b"[1, 2]",
        b'"text"',
        b"null",
        b"{}",
        b'{"text": null}',
        b'{"text": 5}',
        b'{"text": ["a"]}',
        b'{"text": {"a": 1}}',
        b'{"text": true}',
        b'{"text": "a\x00b"}',
        b"\xff\xfe{}",
        b"  ",
        b'{"text": "first", "text": "last"}',
        b'{"text": "' + b"[" * 3 + b'"}',
        b"[" * 3000,
        line("二"),
    ]
    outcomes = read(tmp_path / "a.jsonl", b"\n".join(rows) + b"\n")
    assert texts(outcomes) == ["一", "last", "[[[", "二"]
    assert faults(outcomes) == [
        ("line 2", FaultReason.INVALID_JSON),
        ("line 3", FaultReason.NOT_AN_OBJECT),
        ("line 4", FaultReason.NOT_AN_OBJECT),
        ("line 5", FaultReason.NOT_AN_OBJECT),
        ("line 6", FaultReason.MISSING_TEXT),
        ("line 7", FaultReason.MISSING_TEXT),
        ("line 8", FaultReason.TEXT_NOT_STRING),
        ("line 9", FaultReason.TEXT_NOT_STRING),
        ("line 10", FaultReason.TEXT_NOT_STRING),
        ("line 11", FaultReason.TEXT_NOT_STRING),
        ("line 12", FaultReason.NUL_BYTE),
        ("line 13", FaultReason.UNDECODABLE),
        ("line 17", FaultReason.NESTED_TOO_DEEPLY),
    ]
    blank = Ignored(path="a.jsonl", position="line 14", kind=IgnoredKind.BLANK_LINE)
    assert [outcome for outcome in outcomes if isinstance(outcome, Ignored)] == [blank]
    assert len(outcomes) == len(rows)


@pytest.mark.parametrize(
    ("escaped", "text", "num_replaced"),
    [
        (r"cut \ud83d", "cut \ufffd", 1),
        (r"\ude00\ud83d\ude00\ud800x", "\ufffd😀\ufffdx", 2),
        (r"\\ud800 \ud83d\ude00", r"\ud800 😀", None),
    ],
)
def test_read_jsonl_lone_surrogates_are_replaced_and_counted(
    tmp_path: Path, escaped: str, text: str, num_replaced: int | None
) -> None:
    (record,) = read(tmp_path / "a.jsonl", b'{"text": "%s"}' % escaped.encode())
    assert isinstance(record, Record)
    assert record.text == text
    assert record.metadata.get("num_surrogates_replaced") == num_replaced
    record.text.encode("utf-8")


def test_read_jsonl_lone_surrogate_in_a_broken_line_is_still_invalid(tmp_path: Path) -> None:
    assert faults(read(tmp_path / "a.jsonl", rb'{"text": "\ud800"')) == [("line 1", FaultReason.INVALID_JSON)]


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    """Make a line whose object holds `depth` - 1 levels more."""
    return b'{"text": "x", "extra": %s}' % (opening * (depth - 1) + "1" + closing * (depth - 1)).encode()


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_read_jsonl_row_nested_too_deeply_is_a_fault_and_the_rest_is_read(
    tmp_path: Path, opening: str, closing: str
) -> None:
    rows = [nested(depth, opening, closing) for depth in (2, 200, 201, 300, 1000, 1100, 5000)]
    outcomes = read(tmp_path / "a.jsonl", b"\n".join([*rows, line("二")]))
    assert texts(outcomes) == ["x", "x", "二"]
    assert faults(outcomes) == [(f"line {number}", FaultReason.NESTED_TOO_DEEPLY) for number in range(3, 8)]


def test_read_jsonl_every_record_can_be_written(tmp_path: Path) -> None:
    rows = [nested(200), b'{"text": "x", "id": %d, "n": [-1e400, %d]}' % (10**40, -(10**40)), rb'{"text": "\ud800"}']
    for outcome in read(tmp_path / "a.jsonl", b"\n".join(rows)):
        assert isinstance(outcome, Record)
        row = {"text": outcome.text, "id": outcome.id, "metadata": {"again": dict(outcome.metadata)}}
        assert orjson.loads(orjson.dumps(row)) == row


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("-123456789012345678901234567890", "-123456789012345678901234567890"),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", "18446744073709551616"),
        ("-9223372036854775808", -(2**63)),
        ("-9223372036854775809", "-9223372036854775809"),
        ("9" * 5000, "9" * 5000),
        ("1e400", "1e400"),
        ("-1e400", "-1e400"),
        ("1e29", 1e29),
        ("12345678901234567890.5", 12345678901234567890.5),
        ("1e-400", 0.0),
    ],
)
def test_read_jsonl_number_that_does_not_fit_is_kept_as_its_digits(
    tmp_path: Path, number: str, kept: float | str
) -> None:
    (record,) = read(tmp_path / "a.jsonl", f'{{"text": "x", "n": {number}, "m": [{{"n": {number}}}]}}'.encode())
    assert isinstance(record, Record)
    assert record.metadata["fields"] == {"n": kept, "m": [{"n": kept}]}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_read_jsonl_number_that_is_not_json_is_a_fault(tmp_path: Path, number: str) -> None:
    outcomes = read(tmp_path / "a.jsonl", f'{{"text": "x", "n": {number}}}'.encode())
    assert faults(outcomes) == [("line 1", FaultReason.INVALID_JSON)]


def test_read_jsonl_big_integer_is_an_id_by_its_digits(tmp_path: Path) -> None:
    rows = [f'{{"text": "x", "id": {number}}}'.encode() for number in (10**29, 10**29, 10**29 + 1)]
    outcomes = read(tmp_path / "a.jsonl", b"\n".join(rows))
    records = [outcome for outcome in outcomes if isinstance(outcome, Record)]
    assert [record.id for record in records] == [str(10**29), f"{10**29}#line-2", str(10**29 + 1)]
    assert records[0].metadata["given_id"] == str(10**29)


@pytest.mark.parametrize("number", [str(10**29), "1e400"])
def test_read_jsonl_big_number_is_no_text(tmp_path: Path, number: str) -> None:
    outcomes = read(tmp_path / "a.jsonl", f'{{"text": {number}}}'.encode())
    assert faults(outcomes) == [("line 1", FaultReason.TEXT_NOT_STRING)]
    assert [outcome.detail for outcome in outcomes if isinstance(outcome, Fault)] == ["'text' is a number"]


def test_read_jsonl_lone_surrogate_beside_a_big_integer_is_repaired(tmp_path: Path) -> None:
    (record,) = read(tmp_path / "a.jsonl", rb'{"text": "\ud800", "n": 99999999999999999999, "f": 1e29}')
    assert isinstance(record, Record)
    assert (record.text, record.metadata["num_surrogates_replaced"]) == ("\ufffd", 1)
    assert record.metadata["fields"] == {"n": "99999999999999999999", "f": 1e29}


def test_read_jsonl_id_that_is_no_name_stays_among_the_fields(tmp_path: Path) -> None:
    (record,) = read(tmp_path / "a.jsonl", line("x", id=1.5))
    assert isinstance(record, Record)
    assert record.metadata["fields"] == {"id": 1.5}


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_read_jsonl_progress_adds_up_to_the_bytes_on_disk(tmp_path: Path, suffix: str) -> None:
    content = b"\n".join(line(f"{PROSE}{number * number}") for number in range(20_000))
    compress = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[suffix]
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(compress(content))
    steps: list[int] = []
    outcomes = list(read_file(path, on_bytes=steps.append))
    assert len(outcomes) == 20_000
    assert sum(steps) == path.stat().st_size
    assert min(steps) > 0
    if not suffix:
        assert len(steps) > 5


def test_read_jsonl_progress_is_shown_while_reading_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(line(PROSE) for _ in range(20_000)))
    steps: list[int] = []
    outcomes = read_file(path, on_bytes=steps.append)
    for _ in range(10_000):
        next(outcomes)
    assert 0.4 < sum(steps) / path.stat().st_size < 0.7


def test_read_jsonl_other_text_field_is_read(tmp_path: Path) -> None:
    outcomes = read(tmp_path / "a.jsonl", b'{"content": "x", "key": "k"}', text_field="content", id_field="key")
    assert [(outcome.id, outcome.text) for outcome in outcomes if isinstance(outcome, Record)] == [("k", "x")]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".JSONL.GZ", ".ndjson"])
def test_read_jsonl_compressed_or_plain_gives_the_same(tmp_path: Path, suffix: str) -> None:
    content = b"\n".join(line(f"{PROSE}{number}") for number in range(500))
    stored = compress(content) if suffix.lower().endswith("gz") else content
    stored = zstandard.compress(content) if suffix.endswith("zst") else stored
    outcomes = read(tmp_path / f"a{suffix}", stored)
    assert texts(outcomes) == [f"{PROSE}{number}" for number in range(500)]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_read_jsonl_several_streams_in_one_file_are_read_on(tmp_path: Path, suffix: str) -> None:
    compress = gzip.compress if suffix == "gz" else zstandard.compress
    content = compress(line("一") + b"\n") + compress(line("二") + b"\n") + (b"\x00" * 512 if suffix == "gz" else b"")
    assert texts(read(tmp_path / f"a.jsonl.{suffix}", content)) == ["一", "二"]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_read_jsonl_cut_stream_gives_what_came_before_and_one_fault(tmp_path: Path, suffix: str) -> None:
    rows = [line(f"{PROSE}{number * number}") for number in range(20_000)]
    compress = gzip.compress if suffix == "gz" else zstandard.compress
    stored = compress(b"\n".join(rows))
    outcomes = read(tmp_path / f"a.jsonl.{suffix}", stored[: len(stored) // 2])
    read_texts = texts(outcomes)
    assert 1000 < len(read_texts) < 20_000
    assert read_texts == [f"{PROSE}{number * number}" for number in range(len(read_texts))]
    assert faults(outcomes) == [(f"line {len(read_texts) + 1}", FaultReason.TRUNCATED_ARCHIVE)]


def test_read_jsonl_cut_before_the_encoding_is_decided_loses_no_line(tmp_path: Path) -> None:
    stored = compress(line("plain") + b"\n" + line("一") + b"\n" + line("二"))
    outcomes = read(tmp_path / "a.jsonl.gz", stored[:-4])
    assert texts(outcomes) == ["plain", "一"]
    assert faults(outcomes) == [("line 3", FaultReason.TRUNCATED_ARCHIVE)]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_read_jsonl_damaged_stream_is_one_fault(tmp_path: Path, suffix: str) -> None:
    compress = gzip.compress if suffix == "gz" else zstandard.compress
    stored = bytearray(compress(b"\n".join(line(f"{PROSE}{number}") for number in range(5000))))
    stored[-40:-20] = b"\xff" * 20
    outcomes = read(tmp_path / f"a.jsonl.{suffix}", bytes(stored))
    assert [reason for _, reason in faults(outcomes)] == [FaultReason.CORRUPT_ARCHIVE]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", b"", FaultReason.EMPTY_FILE),
        ("a.jsonl.gz", b"", FaultReason.EMPTY_FILE),
        ("a.jsonl.gz", b'{"text": "x"}', FaultReason.CORRUPT_ARCHIVE),
        ("a.jsonl.zst", b'{"text": "x"}', FaultReason.CORRUPT_ARCHIVE),
        ("a.jsonl", compress(b'{"text": "x"}'), FaultReason.UNKNOWN_FORMAT),
        ("a.jsonl", zstandard.compress(b'{"text": "x"}'), FaultReason.UNKNOWN_FORMAT),
        ("a.csv", b"text\nx", FaultReason.UNKNOWN_FORMAT),
    ],
)
def test_read_jsonl_file_that_is_not_what_its_name_says_is_one_fault(
    tmp_path: Path, name: str, content: bytes, reason: FaultReason
) -> None:
    assert faults(read(tmp_path / name, content)) == [("file", reason)]


def test_read_jsonl_file_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    (fault,) = read_file(tmp_path / "gone.jsonl")
    assert isinstance(fault, Fault)
    assert (fault.path, fault.reason) == ("gone.jsonl", FaultReason.UNREADABLE_FILE)
    assert str(tmp_path) not in fault.detail


def test_read_jsonl_disk_error_while_reading_is_a_fault(tmp_path: Path) -> None:
    # The memory of a process starts with no page mapped: reading there is a real input/output error.
    (tmp_path / "a.jsonl").symlink_to("/proc/self/mem")
    assert faults(list(read_file(tmp_path / "a.jsonl"))) == [("file", FaultReason.UNREADABLE_FILE)]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_read_jsonl_giant_line_is_skipped_in_bounded_memory(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    giant = b'{"text": "' + b"a" * (200 * 1024 * 1024) + b'"}'
    content = line("一") + b"\n" + giant + b"\n" + line("二")
    length = len(giant)
    if suffix:
        content = compress(content, 1) if suffix == ".gz" else zstandard.compress(content)
    path.write_bytes(content)
    del giant, content
    tracemalloc.start()
    outcomes = list(read_file(path, options=ReadOptions(max_record_bytes=1024 * 1024)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert texts(outcomes) == ["一", "二"]
    assert faults(outcomes) == [("line 2", FaultReason.RECORD_TOO_LARGE)]
    assert any(str(length) in outcome.detail for outcome in outcomes if isinstance(outcome, Fault))
    assert peak < 80 * 1024 * 1024


def test_read_jsonl_giant_last_line_without_end_is_a_fault(tmp_path: Path) -> None:
    outcomes = read(tmp_path / "a.jsonl", b'{"text": "' + b"a" * 1000, max_record_bytes=100)
    assert faults(outcomes) == [("line 1", FaultReason.RECORD_TOO_LARGE)]


@pytest.mark.parametrize(("codec", "text", "encoding"), [("cp950", PROSE, "cp950"), ("gb18030", SIMPLIFIED, "gb18030")])
def test_read_jsonl_in_another_encoding_is_detected_for_the_file(
    tmp_path: Path, codec: str, text: str, encoding: str
) -> None:
    rows = ['{"text": "plain"}', *(f'{{"text": "{text}{number}"}}' for number in range(2000)), '{"text": "end"}']
    outcomes = read(tmp_path / "a.jsonl", "\n".join(rows).encode(codec))
    assert texts(outcomes) == ["plain", *(f"{text}{number}" for number in range(2000)), "end"]
    assert {str(outcome.metadata["encoding"]) for outcome in outcomes[1:] if isinstance(outcome, Record)} == {encoding}


def test_read_jsonl_lines_in_a_second_encoding_are_faults(tmp_path: Path) -> None:
    rows = [line(PROSE), line("plain"), line(PROSE).decode().encode("cp950"), line(PROSE)]
    outcomes = read(tmp_path / "a.jsonl", b"\n".join(rows))
    assert texts(outcomes) == [PROSE, "plain", PROSE]
    assert faults(outcomes) == [("line 3", FaultReason.UNDECODABLE)]


def test_read_jsonl_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    outcomes = read(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + line("一") + b"\n" + line("二"))
    assert texts(outcomes) == ["一", "二"]
    assert [outcome.metadata["encoding_evidence"] for outcome in outcomes if isinstance(outcome, Record)] == ["bom"] * 2


def test_read_jsonl_utf16_with_mark_is_read(tmp_path: Path) -> None:
    assert texts(read(tmp_path / "a.jsonl", '{"text": "一"}\r\n{"text": "二"}'.encode("utf-16"))) == ["一", "二"]


@pytest.mark.parametrize("content", [b"\xff\xfe{\x00}\x00\n", b"\xff\xfe\x00\xdc\x00\x00"])
def test_read_jsonl_broken_utf16_is_a_fault(tmp_path: Path, content: bytes) -> None:
    assert faults(read(tmp_path / "a.jsonl", content))[-1][1] is FaultReason.UNDECODABLE


ROWS = st.sampled_from(
    [
        line("好"),
        line("x", id="same"),
        b"",
        b"  ",
        b"{",
        b"[]",
        b"{}",
        b'{"text":1}',
        b"\xff",
        b'{"text":"\x00"}',
        b'"',
    ],
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, min_size=1, max_size=12), st.sampled_from([b"\n", b"\r\n"]))
def test_read_jsonl_outcomes_are_as_many_as_lines_and_ids_are_unique(
    tmp_path: Path, rows: list[bytes], end: bytes
) -> None:
    outcomes = read(tmp_path / "a.jsonl", end.join(rows) + end)
    assert len(outcomes) == len(rows)
    assert [outcome.position for outcome in outcomes if not isinstance(outcome, Record)] == [
        f"line {number}" for number, outcome in enumerate(outcomes, start=1) if not isinstance(outcome, Record)
    ]
    ids = [outcome.id for outcome in outcomes if isinstance(outcome, Record)]
    assert len(set(ids)) == len(ids)
    assert list(read_file(tmp_path / "a.jsonl")) == outcomes


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"text_field": ""}, "text_field"),
        ({"id_field": ""}, "id_field"),
        ({"id_field": "text"}, "text_field and id_field are both 'text'"),
        ({"max_record_bytes": 0}, "max_record_bytes"),
        ({"max_replaced_share": 1.5}, "max_replaced_share"),
    ],
)
def test_read_options_out_of_range_are_refused_by_name(options: dict[str, object], name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        ReadOptions(**options)  # type: ignore[arg-type]
