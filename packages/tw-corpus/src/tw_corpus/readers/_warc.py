"""WARC archives: pages that a crawler stored."""

from collections.abc import Iterator
from pathlib import Path

from tw_corpus._decode import decode
from tw_corpus._records import Fault, FaultReason, Ignored, IgnoredKind, Outcome, Record, position_id
from tw_corpus.readers._http import PayloadFault, body_of, parse_response, payload_kind
from tw_corpus.readers._options import ReadOptions
from tw_corpus.readers._page import encoding_metadata, page_outcome, undecodable
from tw_corpus.readers._streams import OnBytes, check_magic, guarded, metered
from tw_corpus.readers._warc_stream import Damage, RawRecord, records_of
from twllm_types import JsonValue

_OK = 200


def read_warc_records(
    path: Path, *, options: ReadOptions, name: str | None = None, on_bytes: OnBytes | None = None
) -> Iterator[Outcome]:
    """Read one archive record as one outcome, in order.

    A record becomes a document where it is a response with status 200, or a resource or conversion (as in WET files),
    and holds HTML or plain text. Other record types, statuses and payloads are `Ignored`, by kind. Transfer and content
    encodings (chunked, gzip, deflate, br, zstd) are undone. Memory: a few times `max_record_bytes`.

    Args:
        path: the file, plain or (``.gz``) in gzip members.
        options: see `ReadOptions`.
        name: what to call the file in ids and faults; its own name by default.
        on_bytes: see `read_file`.
    """
    name = path.name if name is None else name
    return guarded(_outcomes(path, options, name, on_bytes), name)


def _outcomes(path: Path, options: ReadOptions, name: str, on_bytes: OnBytes | None) -> Iterator[Outcome]:
    with path.open("rb") as file:
        check_magic(file, path.suffix)
        is_gzip = path.suffix.lower() == ".gz"
        for raw in records_of(metered(file, on_bytes), is_gzip=is_gzip, max_bytes=options.max_record_bytes):
            if isinstance(raw, Damage):
                yield Fault(path=name, position=raw.position, reason=raw.reason, detail=raw.detail)
            else:
                yield _outcome(raw, options, name)


def _outcome(raw: RawRecord, options: ReadOptions, name: str) -> Outcome:
    kind = raw.headers.get("warc-type", "").lower()
    url = raw.headers.get("warc-target-uri", "").strip("<>")
    if kind not in ("response", "resource", "conversion") or (kind == "response" and not _is_http(raw)):
        return Ignored(path=name, position=raw.position, kind=IgnoredKind.WARC_RECORD_TYPE, detail=kind or "no type")
    try:
        if kind == "response":
            return _response(raw, options, name, url)
        return _payload(raw, raw.block, raw.headers.get("content-type", ""), options, name, url)
    except PayloadFault as fault:
        return Fault(path=name, position=raw.position, reason=fault.reason, detail=f"{fault.detail}: {url}")


def _is_http(raw: RawRecord) -> bool:
    """Tell an HTTP response from that of another protocol (``text/dns``)."""
    return raw.headers.get("content-type", "application/http").lower().startswith("application/http")


def _response(raw: RawRecord, options: ReadOptions, name: str, url: str) -> Outcome:
    response = parse_response(raw.block)
    if response.status != _OK:
        detail = f"{response.status}: {url}"
        return Ignored(path=name, position=raw.position, kind=IgnoredKind.HTTP_STATUS, detail=detail)
    content_type = response.headers.get("content-type", "")
    if payload_kind(content_type, b"<html>") == "other":  # an image is passed over without undoing its encodings
        return Ignored(path=name, position=raw.position, kind=IgnoredKind.NOT_TEXT, detail=f"{content_type}: {url}")
    body = body_of(response, max_bytes=options.max_record_bytes)
    return _payload(raw, body, content_type, options, name, url)


def _payload(raw: RawRecord, body: bytes, content_type: str, options: ReadOptions, name: str, url: str) -> Outcome:
    position = raw.position
    if not body.strip():
        return Ignored(path=name, position=position, kind=IgnoredKind.EMPTY_PAYLOAD, detail=url)
    kind = payload_kind(content_type, body)
    if kind == "other" or url.startswith("metadata:"):  # wget stores its own log as a resource
        return Ignored(path=name, position=position, kind=IgnoredKind.NOT_TEXT, detail=f"{content_type}: {url}")
    metadata: dict[str, JsonValue] = {"format": "warc", "url": url or None}
    for header, key in (("warc-date", "date"), ("warc-truncated", "truncated"), ("warc-record-id", "given_id")):
        if header in raw.headers:
            metadata[key] = raw.headers[header]
    if kind == "html":
        return page_outcome(body, options, name=name, position=position, metadata=metadata, content_type=content_type)
    decoded = decode(body, content_type=content_type, html=False)
    if (fault := undecodable(decoded, options, name=name, position=position)) is not None:
        return fault
    if (nul := decoded.text.find("\x00")) >= 0:
        detail = f"NUL at character {nul + 1}: {url}"
        return Fault(path=name, position=position, reason=FaultReason.NUL_BYTE, detail=detail)
    metadata |= {"position": position, **encoding_metadata(decoded)}
    return Record(id=position_id(name, position), text=decoded.text, source=name, metadata=metadata)
