"""WARC: every archive record has one outcome, and damage does not take what stands behind it."""
# brotli has no types
# pyright: basic

import gzip
import random
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import brotli
import pytest
import zstandard

from tw_corpus.readers import Fault, FaultReason, Ignored, IgnoredKind, Outcome, ReadOptions, Record, read_file

# without a time stamp, so that the names of the cases are the same in every process
compress = partial(gzip.compress, mtime=0)

PROSE = "臺北市政府今天宣布，公車路線自下個月起重新調整，市民可以在網站上查詢新的時刻表。"
GENERATOR_SEED = 7


def record(
    block: bytes, *, kind: str = "response", number: int = 0, content_type: str = "application/http; msgtype=response"
) -> bytes:
    header = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number}>\r\nWARC-Date: 2020-01-01T00:00:00Z\r\n"
        f"WARC-Target-URI: https://example.com/{number}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(block)}\r\n\r\n"
    )
    return header.encode() + block + b"\r\n\r\n"


def response(
    body: bytes, *, status: str = "200 OK", content_type: str = "text/html; charset=utf-8", headers: str = ""
) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{headers}\r\n".encode() + body


def page(number: int) -> bytes:
    noise = random.Random(number + GENERATOR_SEED).choices("甲乙丙丁戊己庚辛壬癸", k=300)
    return f"<html><body><p>第{number}頁。{''.join(noise)}</p></body></html>".encode()


def pages(numbers: Iterable[int]) -> list[bytes]:
    return [record(response(page(number)), number=number) for number in numbers]


def gzipped(records: Iterable[bytes]) -> list[bytes]:
    return [compress(each, mtime=0) for each in records]


def read(path: Path, content: bytes, **options: object) -> list[Outcome]:
    path.write_bytes(content)
    return list(read_file(path, options=ReadOptions(**options)))  # type: ignore[arg-type]


def read_one(tmp_path: Path, block: bytes, **options: str) -> Outcome:
    (outcome,) = read(tmp_path / "a.warc", record(block, **options))  # type: ignore[arg-type]
    return outcome


def numbers(outcomes: list[Outcome]) -> list[int]:
    return [int(outcome.text[1]) for outcome in outcomes if isinstance(outcome, Record)]


def seconds(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def faults(outcomes: list[Outcome]) -> list[FaultReason]:
    return [outcome.reason for outcome in outcomes if isinstance(outcome, Fault)]


def test_read_warc_page_carries_address_date_and_encoding(tmp_path: Path) -> None:
    body = f"<title>公告</title><p>{PROSE}碁</p>".encode("cp950")
    block = response(body, content_type="text/html; charset=big5")
    assert read_one(tmp_path, block) == Record(
        id="a.warc#record-at-byte-0",
        text=f"{PROSE}碁",
        source="a.warc",
        metadata={
            "format": "warc",
            "url": "https://example.com/0",
            "date": "2020-01-01T00:00:00Z",
            "given_id": "<urn:uuid:0>",
            "position": "record at byte 0",
            "encoding": "cp950",
            "encoding_evidence": "http_header",
            "extractor": "resiliparse-main",
            "title": "公告",
        },
    )


@pytest.mark.parametrize("layout", ["plain", "member per record", "one member", "cut anywhere", "empty members"])
def test_read_warc_layouts_give_the_same_records(tmp_path: Path, layout: str) -> None:
    raw = pages(range(9))
    joined = b"".join(raw)
    content = {
        "plain": joined,
        "member per record": b"".join(gzipped(raw)),
        "one member": compress(joined),
        "cut anywhere": b"".join(gzipped(joined[start : start + 777] for start in range(0, len(joined), 777))),
        "empty members": compress(b"").join(gzipped(raw)),
    }[layout]
    outcomes = read(tmp_path / ("a.warc" if layout == "plain" else "a.warc.gz"), content)
    assert numbers(outcomes) == list(range(9))
    assert len({outcome.id for outcome in outcomes if isinstance(outcome, Record)}) == 9


def test_read_warc_position_is_the_offset_of_the_member(tmp_path: Path) -> None:
    members = gzipped(pages(range(3)))
    outcomes = read(tmp_path / "a.warc.gz", b"".join(members))
    starts = [0, len(members[0]), len(members[0] + members[1])]
    assert [outcome.metadata["position"] for outcome in outcomes if isinstance(outcome, Record)] == [
        f"record at byte {start}" for start in starts
    ]


def test_read_warc_records_and_outcomes_add_up(tmp_path: Path) -> None:
    raw = [
        record(b"software: x\r\n", kind="warcinfo", content_type="application/warc-fields"),
        record(b"GET / HTTP/1.1\r\n\r\n", kind="request", content_type="application/http; msgtype=request"),
        record(b"", kind="revisit"),
        record(b"x: 1", kind="metadata"),
        record(b"20200101 dns", content_type="text/dns"),
        record(response(page(1))),
        record(response(b"", status="301 Moved")),
        record(response(page(1), status="404 Not Found")),
        record(response(b"\x89PNG", content_type="image/png")),
        record(response(b"%PDF", content_type="application/pdf", headers="Content-Encoding: gzip\r\n")),
        record(response(b" \r\n")),
        record(response(b"{}", content_type="")),
        record(b"no status line"),
        record(response("純文字".encode(), content_type="text/plain; charset=utf-8")),
        record(response(b"a\x00b", content_type="text/plain")),
        record(response(b"\xff\xfd\x80\x81\xff\xfe\xfd", content_type="text/plain")),
        record("轉出的文字".encode(), kind="conversion", content_type="text/plain"),
        record(page(2), kind="resource", content_type="text/html"),
        record(b"log", kind="resource", content_type="text/plain").replace(
            b"https://example.com/0", b"metadata://x/log"
        ),
    ]
    outcomes = read(tmp_path / "a.warc.gz", b"".join(gzipped(raw)))
    assert len(outcomes) == len(raw)
    assert Counter(str(each.kind) for each in outcomes if isinstance(each, Ignored)) == {
        IgnoredKind.WARC_RECORD_TYPE: 5,
        IgnoredKind.HTTP_STATUS: 2,
        IgnoredKind.NOT_TEXT: 4,
        IgnoredKind.EMPTY_PAYLOAD: 1,
    }
    assert faults(outcomes) == [FaultReason.MALFORMED_RECORD, FaultReason.NUL_BYTE, FaultReason.UNDECODABLE]
    texts = [each.text[:3] for each in outcomes if isinstance(each, Record)]
    assert texts == ["第1頁", "純文字", "轉出的", "第2頁"]


def chunked(body: bytes, size: int = 100) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x;note=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nTrailer: x\r\n\r\n"


RAW_DEFLATE = zlib.compressobj(wbits=-15)
CODED = [
    ("gzip", compress(page(5))),
    ("x-gzip", compress(page(5))),
    ("deflate", zlib.compress(page(5))),
    ("deflate", RAW_DEFLATE.compress(page(5)) + RAW_DEFLATE.flush()),
    ("br", brotli.compress(page(5))),
    ("zstd", zstandard.compress(page(5))),
    ("deflate, gzip", compress(zlib.compress(page(5)))),
    ("identity", page(5)),
    ("gzip", page(5)),
    ("deflate", page(5)),
    ("br", page(5)),
    ("zstd", page(5)),
]


@pytest.mark.parametrize(("coding", "body"), CODED)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_read_warc_body_encodings_are_undone(tmp_path: Path, coding: str, body: bytes, is_chunked: bool) -> None:
    headers = f"Content-Encoding: {coding}\r\n" + ("Transfer-Encoding: chunked\r\n" if is_chunked else "")
    outcome = read_one(tmp_path, response(chunked(body) if is_chunked else body, headers=headers))
    assert isinstance(outcome, Record)
    assert outcome.text.startswith("第5頁")


def test_read_warc_body_joined_before_keeps_its_chunked_header(tmp_path: Path) -> None:
    outcome = read_one(tmp_path, response(page(5), headers="Transfer-Encoding: chunked\r\n"))
    assert isinstance(outcome, Record)


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ("Transfer-Encoding: chunked\r\n", chunked(page(5))[:250], FaultReason.CORRUPT_PAYLOAD),
        ("Transfer-Encoding: chunked\r\n", chunked(page(5))[:50], FaultReason.CORRUPT_PAYLOAD),
        ("Transfer-Encoding: chunked\r\n", b"2000\n\n" + page(5), FaultReason.CORRUPT_PAYLOAD),
        ("Content-Encoding: gzip\r\n", compress(page(5))[:-20], FaultReason.CORRUPT_PAYLOAD),
        ("Content-Encoding: br\r\n", brotli.compress(page(5))[:-20], FaultReason.CORRUPT_PAYLOAD),
        ("Content-Encoding: br\r\n", b"\xff\xff\xff\xff", FaultReason.CORRUPT_PAYLOAD),
        ("Content-Encoding: deflate\r\n", zlib.compress(page(5))[:-20], FaultReason.CORRUPT_PAYLOAD),
        ("Content-Encoding: zstd\r\n", zstandard.compress(page(5))[:-8], FaultReason.CORRUPT_PAYLOAD),
        ("Content-Encoding: compress\r\n", page(5), FaultReason.CORRUPT_PAYLOAD),
        ("Content-Encoding: gzip\r\n", compress(b"<p>" * 99_999), FaultReason.RECORD_TOO_LARGE),
        ("Content-Encoding: br\r\n", brotli.compress(b"<p>" * 99_999), FaultReason.RECORD_TOO_LARGE),
    ],
)
def test_read_warc_body_that_does_not_decode_is_a_fault(
    tmp_path: Path, headers: str, body: bytes, reason: FaultReason
) -> None:
    outcomes = read(tmp_path / "a.warc", record(response(body, headers=headers)), max_record_bytes=10_000)
    assert faults(outcomes) == [reason]


@pytest.mark.parametrize(
    ("content_type", "body", "is_read"),
    [
        ("application/xhtml+xml", page(5), True),
        ("text/xml", b'<?xml version="1.0"?>' + page(5), True),
        ("application/xml", b'<?xml version="1.0"?><rss></rss>', False),
        ("", page(5), True),
        ("application/octet-stream", page(5), True),
        ("application/json", page(5), False),
    ],
)
def test_read_warc_kind_of_payload_follows_type_then_content(
    tmp_path: Path, content_type: str, body: bytes, is_read: bool
) -> None:
    assert isinstance(read_one(tmp_path, response(body, content_type=content_type)), Record) == is_read


def test_read_warc_folded_and_latin1_headers_are_read(tmp_path: Path) -> None:
    block = b"HTTP/1.1 200 OK\nX-Name: caf\xe9\nContent-Type: text/html;\n charset=big5\nnonsense\nX-Name: 2\n\n"
    outcome = read_one(tmp_path, block + f"<p>{PROSE}</p>".encode("cp950"))
    assert isinstance(outcome, Record)
    assert outcome.metadata["encoding_evidence"] == "http_header"


def test_read_warc_header_of_many_folded_lines_takes_no_quadratic_time(tmp_path: Path) -> None:
    block = b"HTTP/1.1 200 OK\r\nX-Long: a" + b"\r\n b" * 800_000 + b"\r\nContent-Type: text/html\r\n\r\n" + page(5)
    assert seconds(lambda: read_one(tmp_path, block)) < 5


def test_read_warc_many_small_records_that_claim_large_blocks_take_no_quadratic_time(tmp_path: Path) -> None:
    raw = record(b"x" * 100).replace(b"Content-Length: 100", b"Content-Length: 6000000") * 24_000
    outcomes: list[Outcome] = []
    assert seconds(lambda: outcomes.extend(read(tmp_path / "a.warc", raw))) < 5
    assert set(faults(outcomes)) == {FaultReason.MALFORMED_RECORD, FaultReason.TRUNCATED_ARCHIVE}
    assert len(outcomes) == 24_000


@pytest.mark.parametrize("is_gzip", [False, True])
def test_read_warc_progress_adds_up_to_the_bytes_on_disk(tmp_path: Path, is_gzip: bool) -> None:
    raw = pages(range(9))
    members = gzipped(raw)
    members[4] = members[4][:60] + bytes(40) + members[4][100:]  # read again from its start, and counted once
    path = tmp_path / ("a.warc.gz" if is_gzip else "a.warc")
    path.write_bytes(b"".join(members if is_gzip else raw))
    steps: list[int] = []
    assert len(list(read_file(path, on_bytes=steps.append))) == 9
    assert sum(steps) == path.stat().st_size


def test_read_warc_cut_record_of_the_crawler_is_marked(tmp_path: Path) -> None:
    raw = record(response(page(1))).replace(b"WARC-Date", b"WARC-Truncated: length\r\nWARC-Date")
    (outcome,) = read(tmp_path / "a.warc", raw)
    assert isinstance(outcome, Record)
    assert outcome.metadata["truncated"] == "length"


def test_read_warc_damaged_member_costs_one_record(tmp_path: Path) -> None:
    members = gzipped(pages(range(5)))
    members[2] = members[2][:60] + bytes(40) + members[2][100:]
    outcomes = read(tmp_path / "a.warc.gz", b"".join(members))
    assert numbers(outcomes) == [0, 1, 3, 4]
    assert faults(outcomes) == [FaultReason.CORRUPT_ARCHIVE]
    position = outcomes[2].position if isinstance(outcomes[2], Fault) else ""
    assert position == f"record at byte {len(members[0] + members[1])}"


def test_read_warc_damaged_member_header_costs_one_record(tmp_path: Path) -> None:
    members = gzipped(pages(range(4)))
    members[1] = b"\x00" * 4 + b"\xff" + members[1][5:]
    outcomes = read(tmp_path / "a.warc.gz", b"".join(members))
    assert numbers(outcomes) == [0, 2, 3]
    assert faults(outcomes) == [FaultReason.CORRUPT_ARCHIVE]


def test_read_warc_what_looks_like_a_member_in_damage_is_passed_over(tmp_path: Path) -> None:
    members = gzipped(pages(range(3)))
    members[1] = members[1][:60] + bytes(40) + b"\x1f\x8b\x08zzzz" + compress(b"no record") + members[1][-9:]
    outcomes = read(tmp_path / "a.warc.gz", b"".join(members))
    assert numbers(outcomes) == [0, 2]
    assert faults(outcomes) == [FaultReason.CORRUPT_ARCHIVE]


@pytest.mark.parametrize(("cut", "read_before"), [(3, [0, 1, 2]), (40, [0, 1]), (300, [0, 1]), (480, [0, 1])])
def test_read_warc_cut_in_the_last_member_is_one_fault(tmp_path: Path, cut: int, read_before: list[int]) -> None:
    members = gzipped(pages(range(3)))
    outcomes = read(tmp_path / "a.warc.gz", b"".join(members)[:-cut])
    assert numbers(outcomes) == read_before  # a cut in the member's checksum leaves its record whole
    assert faults(outcomes) == [FaultReason.TRUNCATED_ARCHIVE]


def test_read_warc_damage_behind_the_last_good_record_leaves_a_fault(tmp_path: Path) -> None:
    outcomes = read(tmp_path / "a.warc.gz", b"".join(gzipped(pages(range(2)))) + b"garbage" * 9)
    assert numbers(outcomes) == [0, 1]
    assert faults(outcomes) == [FaultReason.CORRUPT_ARCHIVE]


@pytest.mark.parametrize("cut", [1, 5, 300, 1100])
def test_read_warc_plain_file_cut_short_is_a_fault_unless_only_its_last_line_ends_are_gone(
    tmp_path: Path, cut: int
) -> None:
    raw = pages(range(3))
    outcomes = read(tmp_path / "a.warc", b"".join(raw)[:-cut])
    is_whole = cut <= 4
    assert numbers(outcomes) == ([0, 1, 2] if is_whole else [0, 1])
    cut_in_header = cut > len(response(page(2))) + 4
    reason = FaultReason.MALFORMED_RECORD if cut_in_header else FaultReason.TRUNCATED_ARCHIVE
    assert faults(outcomes) == ([] if is_whole else [reason])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Content-Length: ", b"Content-Length: 9"),
        (b"Content-Length: ", b"Content-Length: 99999"),
        (b"Content-Length: ", b"Content-Length: 9999999999"),
        (b"Content-Length: ", b"Content-Length: -"),
        (b"Content-Length: ", b"Content-Lungth: "),
        (b"WARC/1.0", b"WURC/1.0"),
        (b"\r\n\r\nHTTP", b"\r\nHTTP"),
    ],
)
@pytest.mark.parametrize("is_gzip", [False, True])
def test_read_warc_broken_header_costs_one_record(tmp_path: Path, old: bytes, new: bytes, is_gzip: bool) -> None:
    raw = pages(range(5))
    raw[2] = raw[2].replace(old, new, 1)
    outcomes = read(tmp_path / ("a.warc.gz" if is_gzip else "a.warc"), b"".join(gzipped(raw) if is_gzip else raw))
    assert numbers(outcomes) == [0, 1, 3, 4]
    assert len(faults(outcomes)) == 1


def test_read_warc_too_short_length_costs_one_record(tmp_path: Path) -> None:
    raw = pages(range(3))
    length = len(response(page(1)))
    raw[1] = raw[1].replace(f"Content-Length: {length}".encode(), b"Content-Length: 100")
    outcomes = read(tmp_path / "a.warc", b"".join(raw))
    assert numbers(outcomes) == [0, 2]
    assert faults(outcomes) == [FaultReason.MALFORMED_RECORD]


def test_read_warc_garbage_between_records_is_a_fault_of_its_own(tmp_path: Path) -> None:
    outcomes = read(tmp_path / "a.warc", b"garbage\r\n\r\n".join(pages(range(3))))
    assert numbers(outcomes) == [0, 1, 2]
    assert faults(outcomes) == [FaultReason.MALFORMED_RECORD] * 2


def test_read_warc_page_about_warc_is_not_torn(tmp_path: Path) -> None:
    body = b"<pre>\r\n\r\nWARC/1.0\r\nWARC-Type: response\r\n\r\n</pre>" + page(1)
    outcomes = read(tmp_path / "a.warc", record(response(body)) + pages([2])[0])
    assert len(outcomes) == 2
    assert all(isinstance(outcome, Record) for outcome in outcomes)


def test_read_warc_record_over_the_limit_is_skipped(tmp_path: Path) -> None:
    raw = [pages([0])[0], record(response(b"<p>" + b"a" * 3_000_000)), pages([2])[0]]
    for name, content in (("a.warc", b"".join(raw)), ("a.warc.gz", b"".join(gzipped(raw)))):
        outcomes = read(tmp_path / name, content, max_record_bytes=100_000)
        assert numbers(outcomes) == [0, 2]
        assert faults(outcomes) == [FaultReason.RECORD_TOO_LARGE]


@pytest.mark.parametrize(
    ("name", "content", "reasons"),
    [
        ("a.warc", b"", [FaultReason.EMPTY_FILE]),
        ("a.warc.gz", b"WARC/1.0\r\n", [FaultReason.CORRUPT_ARCHIVE]),
        ("a.warc", compress(b"x"), [FaultReason.UNKNOWN_FORMAT]),
        ("a.warc", b"hello\n" * 50, [FaultReason.MALFORMED_RECORD]),
        ("a.warc", b"WARC/1.0\r\n" + b"x: y\r\n" * 20_000, [FaultReason.MALFORMED_RECORD]),
        ("a.warc.gz", compress(b"hello\n" * 50), [FaultReason.MALFORMED_RECORD]),
        ("a.warc", b"\r\n\r\n", []),
    ],
)
def test_read_warc_file_that_holds_no_archive_is_counted(
    tmp_path: Path, name: str, content: bytes, reasons: list[FaultReason]
) -> None:
    assert faults(read(tmp_path / name, content)) == reasons


def test_read_warc_file_that_cannot_be_opened_is_a_fault(tmp_path: Path) -> None:
    assert faults(list(read_file(tmp_path / "gone.warc.gz"))) == [FaultReason.UNREADABLE_FILE]


def test_read_warc_large_member_is_read_in_steps(tmp_path: Path) -> None:
    body = b"<p>" + "大".encode() * 1_500_000
    outcomes = read(tmp_path / "a.warc.gz", compress(record(response(body)) + pages([3])[0]))
    assert [len(outcome.text) > 1000 for outcome in outcomes if isinstance(outcome, Record)] == [True, False]
