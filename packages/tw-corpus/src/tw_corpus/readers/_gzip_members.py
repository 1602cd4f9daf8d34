"""The members of a gzip file, one after the other, past damaged ones. Reads from an open file."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from tw_corpus._records import FaultReason
from tw_corpus.readers._streams import Source

_READ_BYTES = 256 * 1024
_OUTPUT_BYTES = 1024 * 1024
_MEMBER_START = b"\x1f\x8b\x08"


@dataclass(frozen=True, slots=True)
class Data:
    """Some content, with the offset in the file where its member starts (of an uncompressed file: where it stands)."""

    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """The member at `offset` does not decode to its end."""

    offset: int
    reason: FaultReason
    detail: str


def gzip_members(file: Source, *, content_start: bytes) -> Iterator[Data | Break]:
    """Decompress member after member, at most 1 MiB at a time.

    After a break, reading goes on at the next place that looks like a member and decompresses to `content_start`;
    what lies between is lost.
    """
    return _Members(file, content_start).events()


class _Members:
    def __init__(self, file: Source, content_start: bytes) -> None:
        self._file = file
        self._content_start = content_start
        self._pending = b""
        self._offset = 0  # of the first pending byte, in the file
        self._is_lost = False

    def events(self) -> Iterator[Data | Break]:
        while self._find_member():
            start = self._offset
            try:
                yield from self._member(start)
            except zlib.error as error:
                if not self._is_lost:
                    yield Break(start, FaultReason.CORRUPT_ARCHIVE, f"a gzip member does not decode: {error}")
                self._is_lost = True
                self._file.seek(start + 1)
                self._pending, self._offset = b"", start + 1

    def _find_member(self) -> bool:
        """Go to the start of the next member; `False` at the end of the file."""
        while True:
            if not self._pending.strip(b"\x00"):  # nothing, or padding between members
                self._offset += len(self._pending)
                self._pending = b""
            if len(self._pending) < len(_MEMBER_START) and not self._read():
                return bool(self._pending) and not self._is_lost
            if not self._is_lost:
                return True
            found = self._pending.find(_MEMBER_START)
            self._drop(found if found >= 0 else max(len(self._pending) - len(_MEMBER_START) + 1, 0))
            if found >= 0:
                return True

    def _member(self, start: int) -> Iterator[Data | Break]:
        """Decompress one member.

        Raises:
            zlib.error: it is damaged, or was found by its looks and is none.
        """
        decoder, is_full = zlib.decompressobj(31), False
        while not decoder.eof:
            if not self._pending and not is_full and not self._read():
                if not self._is_lost:
                    yield Break(start, FaultReason.TRUNCATED_ARCHIVE, "the file ends within a gzip member")
                return
            out = decoder.decompress(self._pending, _OUTPUT_BYTES)
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            self._drop(len(self._pending) - len(rest))
            is_full = len(out) == _OUTPUT_BYTES
            if not out:
                continue
            if self._is_lost and not out.startswith(self._content_start):
                raise zlib.error("not the start of a member")
            self._is_lost = False
            yield Data(start, out)

    def _drop(self, length: int) -> None:
        self._pending = self._pending[length:]
        self._offset += length

    def _read(self) -> bool:
        more = self._file.read(_READ_BYTES)
        self._pending += more
        return bool(more)
