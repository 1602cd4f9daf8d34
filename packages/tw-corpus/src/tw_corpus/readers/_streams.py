"""Bytes from disk: decompression in bounded steps, and lines of bounded length."""

import codecs
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

import zstandard

from tw_corpus._records import Fault, FaultReason, Outcome

_READ_BYTES = 256 * 1024
_OUTPUT_BYTES = 1024 * 1024
# One call gives all that its input holds. A kibibyte of zstd expands to 32 MiB at most: 256 blocks of 128 KiB.
_ZSTD_INPUT_BYTES = 1024
_ZSTD_WINDOW_BYTES = 128 * 1024 * 1024
_MAGICS = {
    "gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
    "zip": b"PK\x03\x04",
}


# Told how many bytes of a file were read since the last call; see `read_file`.
OnBytes: TypeAlias = Callable[[int], None]


class Source(Protocol):
    """An open file, as far as the readers use it."""

    def read(self, size: int, /) -> bytes: ...

    def seek(self, offset: int, /) -> int: ...


class StreamFault(Exception):  # noqa: N818
    """A stream cannot be read further; carries the reason for the fault that its reader gives."""

    def __init__(self, reason: FaultReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line.

    Attributes:
        number: from 1.
        content: the bytes without line end, or `None` where the line is longer than the limit.
        num_bytes: length of the line without line end.
    """

    number: int
    content: bytes | None
    num_bytes: int


def metered(file: BinaryIO, on_bytes: OnBytes | None) -> Source:
    """Let `on_bytes` know of each read; bytes that are read again after a step back count once."""
    return file if on_bytes is None else _Metered(file, on_bytes)


class _Metered:
    def __init__(self, file: BinaryIO, on_bytes: OnBytes) -> None:
        self._file = file
        self._on_bytes = on_bytes
        self._position = self._farthest = 0

    def read(self, size: int, /) -> bytes:
        content = self._file.read(size)
        self._position += len(content)
        if self._position > self._farthest:
            self._on_bytes(self._position - self._farthest)
            self._farthest = self._position
        return content

    def seek(self, offset: int, /) -> int:
        self._position = self._file.seek(offset)
        return self._position


def chunks_of(path: Path, on_bytes: OnBytes | None = None) -> Iterator[bytes]:
    """Yield the content of `path`, decompressed where its name ends in ``.gz``, ``.zst`` or ``.zstd``.

    Args:
        path: the file.
        on_bytes: told of the bytes on disk, a few hundred KiB at a time; see `read_file`.

    Raises:
        StreamFault: the file is empty, is compressed otherwise than its name says, or a compressed stream is damaged;
            what came before the damage has been yielded.
        OSError: the system refuses.
    """
    with path.open("rb") as file:
        check_magic(file, path.suffix)
        source = metered(file, on_bytes)
        pieces = iter(lambda: source.read(_READ_BYTES), b"")
        match path.suffix.lower():
            case ".gz":
                yield from inflate(pieces, wbits=31)
            case ".zst" | ".zstd":
                yield from unzstd(pieces)
            case _:
                yield from pieces


def check_magic(file: BinaryIO, suffix: str) -> None:
    """Compare the first bytes of `file` with its name's suffix; the file is left at its start.

    Raises:
        StreamFault: it is empty, is not compressed as the suffix says, or is compressed where the suffix says nothing.
    """
    head = file.read(8)
    file.seek(0)
    if not head:
        raise StreamFault(FaultReason.EMPTY_FILE, "the file has no content")
    # A Zstandard stream can start with a skippable frame, 0x184D2A5? in little-endian order (RFC 8878, 3.1.2).
    is_zstd = head.startswith(_MAGICS["zstd"]) or head[1:4] == b"\x2a\x4d\x18"
    match suffix.lower():
        case ".gz" if not head.startswith(_MAGICS["gzip"]):
            raise StreamFault(FaultReason.CORRUPT_ARCHIVE, "not gzip data, although its name ends in .gz")
        case ".zst" | ".zstd" if not is_zstd:
            raise StreamFault(FaultReason.CORRUPT_ARCHIVE, f"not Zstandard data, although its name ends in {suffix}")
        case ".gz" | ".zst" | ".zstd":
            return
        case _:
            for name, magic in _MAGICS.items():
                if head.startswith(magic):
                    detail = f"the content is {name} data; name it so (.gz, .zst) or unpack it"
                    raise StreamFault(FaultReason.UNKNOWN_FORMAT, detail)


def inflate(source: Iterable[bytes], *, wbits: int) -> Iterator[bytes]:
    """Decompress gzip, zlib or raw deflate, stream after stream, at most 1 MiB at a time.

    Args:
        source: compressed bytes.
        wbits: as for `zlib.decompressobj`; 31 is gzip.

    Raises:
        StreamFault: damaged, or the end is missing.
    """
    decoder, is_fresh = zlib.decompressobj(wbits), True
    for piece in source:
        data, is_full = piece, False
        # Where the output was cut at its limit, the decoder may hold more although it has taken all its input.
        while data or is_full:
            if decoder.eof:
                if not data.strip(b"\x00"):  # padding after the last stream, as tape tools leave it
                    break
                decoder = zlib.decompressobj(wbits)
            try:
                out = decoder.decompress(data, _OUTPUT_BYTES)
            except zlib.error as error:
                raise StreamFault(FaultReason.CORRUPT_ARCHIVE, f"compressed data is damaged: {error}") from error
            is_fresh, is_full = False, len(out) == _OUTPUT_BYTES and not decoder.eof
            if out:
                yield out
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    if not is_fresh and not decoder.eof:
        raise StreamFault(FaultReason.TRUNCATED_ARCHIVE, "the compressed data ends before its end mark")


def unzstd(source: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress Zstandard frame after frame, at most 32 MiB at a time.

    Raises:
        StreamFault: damaged, needs a window over 128 MiB, or the end is missing.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    decoder, is_fresh = decompressor.decompressobj(), True
    for piece in source:
        for start in range(0, len(piece), _ZSTD_INPUT_BYTES):
            data = piece[start : start + _ZSTD_INPUT_BYTES]
            while data:
                if decoder.eof:
                    decoder = decompressor.decompressobj()
                try:
                    out = decoder.decompress(data)
                except zstandard.ZstdError as error:
                    raise StreamFault(FaultReason.CORRUPT_ARCHIVE, f"compressed data is damaged: {error}") from error
                is_fresh = False
                if out:
                    yield out
                data = decoder.unused_data if decoder.eof else b""
    if not is_fresh and not decoder.eof:
        raise StreamFault(FaultReason.TRUNCATED_ARCHIVE, "the compressed data ends before its end mark")


def lines_of(chunks: Iterable[bytes], *, max_bytes: int) -> Iterator[Line]:
    """Cut a stream into lines at LF; the last line needs none.

    A line over `max_bytes` is skipped to its end while it is read: no more than `max_bytes` and one chunk are held.
    """
    number, pending, skipped = 1, bytearray(), 0
    for chunk in chunks:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            pending += chunk[start:end]
            yield _line(number, pending, skipped, max_bytes)
            number, pending, skipped, start = number + 1, bytearray(), 0, end + 1
        pending += memoryview(chunk)[start:]
        if skipped or len(pending) > max_bytes:
            skipped += len(pending)
            pending = bytearray()
    if pending or skipped:
        yield _line(number, pending, skipped, max_bytes)


def utf16_to_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass a stream on; one that starts with a UTF-16 byte-order mark is turned into UTF-8.

    Raises:
        StreamFault: the UTF-16 is broken.
    """
    decoder = None
    for number, chunk in enumerate(chunks):
        if number == 0 and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            decoder = codecs.getincrementaldecoder("utf-16")()
        if decoder is None:
            yield chunk
            continue
        try:
            yield decoder.decode(chunk).encode()
        except UnicodeDecodeError as error:
            raise StreamFault(FaultReason.UNDECODABLE, f"the file starts as UTF-16, but: {error.reason}") from error
    if decoder is not None and decoder.getstate()[0]:
        raise StreamFault(FaultReason.UNDECODABLE, "the file starts as UTF-16 and ends in the middle of a character")


def content_of(chunks: Iterable[bytes], *, name: str, max_bytes: int) -> bytes | Fault:
    """Join a stream that is one document; a fault where it is longer than `max_bytes`, which is then not held.

    Raises:
        StreamFault: as the stream does; a document cut short is not read in part.
    """
    pieces: list[bytes] = []
    num_bytes = 0
    for chunk in chunks:
        num_bytes += len(chunk)
        if num_bytes > max_bytes:
            detail = f"longer than {max_bytes} bytes (max_record_bytes)"
            return Fault(path=name, position="file", reason=FaultReason.RECORD_TOO_LARGE, detail=detail)
        pieces.append(chunk)
    return b"".join(pieces)


def guarded(outcomes: Iterable[Outcome], name: str) -> Iterator[Outcome]:
    """Pass `outcomes` on; where the system or the stream gives up, end with one fault of the whole file."""
    try:
        yield from outcomes
    except OSError as error:
        detail = error.strerror or type(error).__name__
        yield Fault(path=name, position="file", reason=FaultReason.UNREADABLE_FILE, detail=detail)
    except StreamFault as fault:
        yield Fault(path=name, position="file", reason=fault.reason, detail=fault.detail)


def _line(number: int, pending: bytearray, skipped: int, max_bytes: int) -> Line:
    length = skipped + len(pending)
    return Line(number=number, content=None if length > max_bytes else bytes(pending), num_bytes=length)
