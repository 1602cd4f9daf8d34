"""HTTP messages as archives hold them: status, headers, and the body with its encodings undone. No input or output."""

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from tw_corpus._records import FaultReason
from tw_corpus.readers._brotli import unbrotli
from tw_corpus.readers._streams import StreamFault, inflate, unzstd

_GZIP_MAGIC, _ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml"})
_XML_TYPES = frozenset({"text/xml", "application/xml"})
_UNKNOWN_TYPES = frozenset({"", "application/octet-stream", "application/x-unknown-content-type", "unknown/unknown"})
_HTML_SIGN = re.compile(rb"<(?:!doctype\s+html|html|head|body|title|meta|table)[\s>]", re.IGNORECASE)
_SNIFF_BYTES = 1024
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?\s+(\d{3})\b")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")


class PayloadFault(Exception):  # noqa: N818
    """A payload cannot be read; carries the reason for the fault that its reader gives."""

    def __init__(self, reason: FaultReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response as it stands in an archive; names of headers are in lower case, the first of each name counts."""

    status: int
    headers: dict[str, str]
    raw_body: bytes


def parse_headers(block: bytes) -> dict[str, str]:
    """Parse header lines, folded ones joined; bytes that are not UTF-8 are read as ISO-8859-1 (RFC 9110, 5.5)."""
    headers: dict[str, list[str]] = {}
    last = ""
    for line in block.replace(b"\r\n", b"\n").split(b"\n"):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            text = line.decode("iso-8859-1")
        if text[:1] in (" ", "\t") and last:
            headers[last].append(text.strip())
            continue
        key, colon, value = text.partition(":")
        last = key.strip().lower() if colon else ""
        if last and last not in headers:
            headers[last] = [value.strip()]
        else:
            last = ""
    return {key: " ".join(values) for key, values in headers.items()}


def parse_response(block: bytes) -> Response:
    """Parse the block of a response record.

    Raises:
        PayloadFault: there is no status line (`malformed_record`).
    """
    match = _STATUS.match(block)
    if match is None:
        raise PayloadFault(FaultReason.MALFORMED_RECORD, "the block has no HTTP status line")
    end = re.search(rb"\r?\n\r?\n", block)
    head, body = (block, b"") if end is None else (block[: end.start()], block[end.end() :])
    return Response(status=int(match[1]), headers=parse_headers(head.partition(b"\n")[2]), raw_body=body)


def body_of(response: Response, *, max_bytes: int) -> bytes:
    """Undo transfer and content encoding.

    Crawlers often store a body decoded and keep the header: a body that does not look encoded is taken as it is.

    Raises:
        PayloadFault: an encoding is unknown or damaged (`corrupt_payload`), or more than `max_bytes` come out.
    """
    body = response.raw_body
    if "chunked" in response.headers.get("transfer-encoding", "").lower():
        body = _unchunk(body)
    codings = [name.strip().lower() for name in response.headers.get("content-encoding", "").split(",")]
    for coding in reversed(codings):
        if coding not in ("", "identity", "none") and body:
            body = _undo(coding, body, max_bytes)
    return body


def payload_kind(content_type: str, body: bytes) -> str:
    """Tell ``html``, ``text`` or ``other`` from the declared type; without one, and for XML, from the first bytes."""
    declared = content_type.partition(";")[0].strip().lower()
    if declared in _HTML_TYPES:
        return "html"
    if declared in _UNKNOWN_TYPES or declared in _XML_TYPES:
        return "html" if _HTML_SIGN.search(body[:_SNIFF_BYTES]) else "other"
    return "text" if declared == "text/plain" else "other"


def _unchunk(body: bytes) -> bytes:
    """Join the chunks of RFC 9112, 7.1; a body that does not start with a chunk's size was joined before."""
    if _CHUNK_SIZE.match(body) is None:
        return body
    pieces: list[bytes] = []
    position = 0
    while (size := _CHUNK_SIZE.match(body, position)) is not None:
        length = int(size[1], 16)
        if length == 0:
            return b"".join(pieces)
        start, end = size.end(), size.end() + length
        if end > len(body):
            break
        pieces.append(body[start:end])
        position = end + (2 if body[end : end + 2] == b"\r\n" else 1)
    raise PayloadFault(FaultReason.CORRUPT_PAYLOAD, f"the chunked body breaks off at byte {position}")


def _undo(coding: str, body: bytes, max_bytes: int) -> bytes:
    """Decode one content coding of RFC 9110, 8.4.1, or of the later br and zstd."""
    try:
        match coding:
            case "gzip" | "x-gzip":
                return _collect(inflate([body], wbits=31), max_bytes) if body.startswith(_GZIP_MAGIC) else body
            case "deflate":
                return _collect(inflate([body], wbits=_deflate_bits(body)), max_bytes)
            case "zstd":
                return _collect(unzstd([body]), max_bytes) if body.startswith(_ZSTD_MAGIC) else body
            case "br":
                return _collect(unbrotli(body), max_bytes)
            case _:
                raise PayloadFault(FaultReason.CORRUPT_PAYLOAD, f"content encoding {coding!r} is not supported")
    except StreamFault as fault:
        if coding in ("deflate", "br") and _HTML_SIGN.search(body[:_SNIFF_BYTES]):
            return body
        raise PayloadFault(FaultReason.CORRUPT_PAYLOAD, f"{coding}: {fault.detail}") from fault


def _collect(chunks: Iterable[bytes], max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    num_bytes = 0
    for chunk in chunks:
        num_bytes += len(chunk)
        if num_bytes > max_bytes:
            raise PayloadFault(FaultReason.RECORD_TOO_LARGE, f"the body decodes to more than {max_bytes} bytes")
        pieces.append(chunk)
    return b"".join(pieces)


def _deflate_bits(body: bytes) -> int:
    """Choose zlib format, which RFC 9110 means, or the raw deflate that some servers send."""
    try:
        zlib.decompressobj().decompress(body[:64], 1)
    except zlib.error:
        return -zlib.MAX_WBITS
    return zlib.MAX_WBITS
