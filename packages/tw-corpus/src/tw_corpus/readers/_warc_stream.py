"""WARC framing: records from bytes, with a way back into step after damage.

Written here because the archive readers at hand lose records without a word: on a cut record fastwarc 2.0 returns the
part as if it were whole, a wrong Content-Length swallows the records behind it, and a damaged gzip member ends the file
(benchmarks/tw_corpus/extraction.md). Format: ISO 28500 (WARC 1.1), sections 4 and 5, annex D for gzip.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from tw_corpus._records import FaultReason
from tw_corpus.readers._gzip_members import Break, Data, gzip_members
from tw_corpus.readers._http import parse_headers
from tw_corpus.readers._streams import Source

_READ_BYTES = 256 * 1024
_MAX_HEADER_BYTES = 64 * 1024
_VERSION = b"WARC/"
_NEXT_RECORD = b"\nWARC/1."
_LINE_ENDS = b"\r\n"
_LENGTH = re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRecord:
    """One archive record.

    Attributes:
        position: where it starts in the file: "record at byte 1034"; of a compressed file the start of the gzip
            member, with the distance from there where a member holds several ("record at byte 0+2210").
        headers: names in lower case.
        block: the content.
    """

    position: str
    headers: dict[str, str]
    block: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A place where no record could be read."""

    position: str
    reason: FaultReason
    detail: str


def records_of(file: Source, *, is_gzip: bool, max_bytes: int) -> Iterator[RawRecord | Damage]:
    """Read records one after the other.

    After damage, reading goes on at the next gzip member or the next line that starts a record. Records that stand
    inside the damaged part cannot be counted; the damage is. At most `max_bytes` and a few MiB are held.

    Args:
        file: at its start.
        is_gzip: the file consists of gzip members.
        max_bytes: longest block that is read.
    """
    pieces = gzip_members(file, content_start=_VERSION) if is_gzip else _plain(file)
    feed = _Feed(pieces, is_gzip=is_gzip)
    while True:
        feed.skip_line_ends()
        if not feed.require(1):
            if (found := feed.resume()) is None:
                return
            yield Damage(position=f"record at byte {found.offset}", reason=found.reason, detail=found.detail)
        else:
            yield _record(feed, max_bytes)


class _Feed:
    """The decompressed stream, with where each byte comes from."""

    def __init__(self, events: Iterator[Data | Break], *, is_gzip: bool) -> None:
        self._events = events
        self._is_gzip = is_gzip
        self._buffer = bytearray()
        self._consumed = 0
        self._starts: deque[tuple[int, int]] = deque()  # (position in the stream, offset in the file)
        self.damage: Break | None = None

    def require(self, length: int) -> bool:
        """Fill the buffer to `length` bytes; `False` where the stream ends or breaks before."""
        while len(self._buffer) < length:
            if self.damage is not None:
                return False
            event = next(self._events, None)
            if event is None:
                return False
            if isinstance(event, Break):
                self.damage = event
                return False
            if not self._starts or self._starts[-1][1] != event.offset:
                self._starts.append((self._consumed + len(self._buffer), event.offset))
            self._buffer += event.content
        return True

    def resume(self) -> Break | None:
        """Drop what came before the damage and go on behind it; `None` where there is none."""
        found, self.damage = self.damage, None
        if found is not None:
            self.take(len(self._buffer))
        return found

    def position(self) -> str:
        """Name the place of the next byte in the file."""
        while len(self._starts) > 1 and self._starts[1][0] <= self._consumed:
            self._starts.popleft()
        at, offset = self._starts[0]
        inner = self._consumed - at
        if not self._is_gzip:
            return f"record at byte {offset + inner}"
        return f"record at byte {offset}+{inner}" if inner else f"record at byte {offset}"

    def peek(self, length: int, *, start: int = 0) -> bytes:
        self.require(start + length)
        return bytes(self._buffer[start : start + length])

    def find_record(self, end: int) -> int:
        """Find the line that starts a record in the first `end` bytes of the buffer; -1 for none."""
        return self._buffer.find(_NEXT_RECORD, 0, end)

    def take(self, length: int) -> bytes:
        """Take up to `length` bytes that `require` has made available."""
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._consumed += len(taken)
        return taken

    def skip_line_ends(self) -> None:
        while self.require(1) and self._buffer[0] in _LINE_ENDS:
            self.take(1)

    def take_header(self) -> bytes | None:
        """Take up to the first empty line; `None`, with nothing taken, where there is none within 64 KiB."""
        length = 1024
        while True:
            is_all = not self.require(length)
            ends = [self._buffer.find(mark, 0, _MAX_HEADER_BYTES) + len(mark) for mark in (b"\r\n\r\n", b"\n\n")]
            found = [end for end in ends if end >= 4]
            if found:
                return self.take(min(found))
            if is_all or length >= _MAX_HEADER_BYTES:
                return None
            length *= 4

    def skip_to_record(self) -> None:
        """Go to the next line that starts a record, at least one byte on; to the end or the damage where none does."""
        self.take(1)
        while True:
            found = self._buffer.find(_NEXT_RECORD)
            if found >= 0:
                self.take(found + 1)
                return
            self.take(len(self._buffer) - len(_NEXT_RECORD))
            if not self.require(len(self._buffer) + 1):
                self.take(len(self._buffer))
                return


def _record(feed: _Feed, max_bytes: int) -> RawRecord | Damage:
    """Read the record at which `feed` stands, or say what is wrong with it and go to the next."""
    position = feed.position()

    def damaged(reason: FaultReason, detail: str) -> Damage:
        return Damage(position=position, reason=reason, detail=detail)

    is_start = _VERSION.startswith(feed.peek(len(_VERSION)))
    header = feed.take_header() if is_start else None
    if header is None:
        if is_start and (found := feed.resume()) is not None:
            return damaged(found.reason, found.detail)
        feed.skip_to_record()
        return damaged(FaultReason.MALFORMED_RECORD, "no whole WARC header where a record must start")
    headers = parse_headers(header.partition(b"\n")[2])
    length = headers.get("content-length", "")
    if not _LENGTH.fullmatch(length):
        feed.skip_to_record()
        return damaged(FaultReason.MALFORMED_RECORD, f"Content-Length is {length!r}, not a number")
    if int(length) > max_bytes:
        feed.skip_to_record()
        return damaged(FaultReason.RECORD_TOO_LARGE, f"{length} bytes; max_record_bytes is {max_bytes}")
    if (problem := _check_block(feed, int(length))) is not None:
        return damaged(*problem)
    return RawRecord(position=position, headers=headers, block=feed.take(int(length)))


def _check_block(feed: _Feed, length: int) -> tuple[FaultReason, str] | None:
    """See whether `length` bytes and then the end of a record are there; if not, go to where reading can go on."""
    is_whole = feed.require(length)
    tail = feed.peek(9, start=length)
    if is_whole and (not tail.strip(_LINE_ENDS) or tail.lstrip(_LINE_ENDS).startswith(_VERSION)):
        return None
    if is_whole and tail.startswith((b"\r\n\r\n", b"\n\n")):
        return None  # what stands behind the record is no record, but that is not this record's fault
    # Nothing is taken before it is known how much: a small record that claims a large block costs its own size.
    if (found := feed.find_record(length)) >= 0:
        feed.take(found + 1)
        return FaultReason.MALFORMED_RECORD, f"Content-Length {length} reaches into the next record"
    rest = feed.take(length)
    if is_whole:
        feed.skip_to_record()
        return FaultReason.MALFORMED_RECORD, f"the record does not end after its Content-Length of {length} bytes"
    if (broken := feed.resume()) is not None:
        return broken.reason, broken.detail
    return FaultReason.TRUNCATED_ARCHIVE, f"the file ends after {len(rest)} of {length} bytes"


def _plain(file: Source) -> Iterator[Data]:
    yield from (Data(0, content) for content in iter(lambda: file.read(_READ_BYTES), b""))
