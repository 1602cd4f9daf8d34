"""JSON lines, plain or compressed, in UTF-8 or, where the file is not, in the one encoding that it uses."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tw_corpus._decode import Evidence, decode, decode_as
from tw_corpus._records import Fault, FaultReason, Ignored, IgnoredKind, Outcome
from tw_corpus.readers._given import GivenIds
from tw_corpus.readers._json import Outsized, ParseFault, kind_of, parse_object
from tw_corpus.readers._options import ReadOptions
from tw_corpus.readers._streams import Line, OnBytes, StreamFault, chunks_of, guarded, lines_of, utf16_to_utf8
from twllm_types import JsonObject, JsonValue

_SAMPLE_BYTES = 64 * 1024
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoding:
    name: str
    evidence: Evidence


def read_jsonl_records(
    path: Path, *, options: ReadOptions, name: str | None = None, on_bytes: OnBytes | None = None
) -> Iterator[Outcome]:
    """Read one object a line: each line is one record, fault or ignored blank line, in order.

    The encoding of the file is decided on its first lines that are not ASCII (64 KiB of them) and recorded with each
    record; a later line that does not decode in it is a fault. Memory: about `max_record_bytes`, and some 70 bytes for
    each given id, kept to make ids unique within the file.

    Args:
        path: the file; ``.gz`` and ``.zst`` are decompressed.
        options: see `ReadOptions`.
        name: what to call the file in ids and faults; its own name by default.
        on_bytes: see `read_file`.
    """
    name = path.name if name is None else name
    return guarded(_outcomes(path, options, name, on_bytes), name)


def _outcomes(path: Path, options: ReadOptions, name: str, on_bytes: OnBytes | None) -> Iterator[Outcome]:
    number = 0
    ids = GivenIds(name)
    try:
        for line, encoding in _with_encoding(
            lines_of(utf16_to_utf8(chunks_of(path, on_bytes)), max_bytes=options.max_record_bytes)
        ):
            number = line.number
            yield _outcome(line, encoding, options, name, ids)
    except StreamFault as fault:
        position = f"line {number + 1}" if number else "file"
        yield Fault(path=name, position=position, reason=fault.reason, detail=fault.detail)


def _with_encoding(lines: Iterable[Line]) -> Iterator[tuple[Line, _Encoding]]:
    """Put the encoding of the file beside each line; ASCII lines before the first other one need no decision."""
    rest = iter(lines)
    ascii_only = _Encoding(name="ascii", evidence=Evidence.DETECTED)
    for line in rest:
        if line.content is None or line.content.isascii():
            yield line, ascii_only
            continue
        sample, fault = _sample(line, rest)
        encoding = _decide([each.content for each in sample if each.content and not each.content.isascii()])
        for each in chain(sample, rest):
            yield each, encoding
        if fault is not None:
            raise fault


def _sample(first: Line, rest: Iterator[Line]) -> tuple[list[Line], StreamFault | None]:
    """Take lines until 64 KiB of them can tell the encoding; a break in the stream is held back until they are read."""
    sample, num_bytes = [first], first.num_bytes
    try:
        while num_bytes < _SAMPLE_BYTES and (line := next(rest, None)) is not None:
            sample.append(line)
            num_bytes += line.num_bytes
    except StreamFault as fault:
        return sample, fault
    return sample, None


def _decide(contents: list[bytes]) -> _Encoding:
    """Choose the encoding of most of the lines that are not ASCII: UTF-8, or what fits the others together."""
    if contents[0].startswith(_UTF8_MARK):
        return _Encoding(name="utf-8", evidence=Evidence.BOM)
    others = [content for content in contents if decode_as(content, "utf-8") is None]
    if 2 * len(others) <= len(contents):
        return _Encoding(name="utf-8", evidence=Evidence.DETECTED)
    decoded = decode(b"\n".join(others), html=False)
    return _Encoding(name=decoded.encoding, evidence=decoded.evidence)


def _outcome(line: Line, encoding: _Encoding, options: ReadOptions, name: str, ids: GivenIds) -> Outcome:
    position = f"line {line.number}"

    def fault(reason: FaultReason, detail: str) -> Fault:
        return Fault(path=name, position=position, reason=reason, detail=detail)

    if line.content is None:
        limit = options.max_record_bytes
        return fault(FaultReason.RECORD_TOO_LARGE, f"{line.num_bytes} bytes; max_record_bytes is {limit}")
    if not line.content.strip():
        return Ignored(path=name, position=position, kind=IgnoredKind.BLANK_LINE)
    text = decode_as(line.content, encoding.name)
    if text is None:
        return fault(FaultReason.UNDECODABLE, f"does not decode in {encoding.name}, the encoding of the file")
    parsed = parse_object(text)
    if isinstance(parsed, ParseFault):
        return fault(parsed.reason, parsed.detail)
    value = parsed.value.get(options.text_field)
    if value is None:
        return fault(FaultReason.MISSING_TEXT, f"no {options.text_field!r}; the fields are {_names(parsed.value)}")
    if not isinstance(value, str) or isinstance(value, Outsized):
        return fault(FaultReason.TEXT_NOT_STRING, f"{options.text_field!r} is {kind_of(value)}")
    metadata: dict[str, JsonValue] = {"format": "jsonl", "position": position}
    metadata |= {"encoding": encoding.name, "encoding_evidence": str(encoding.evidence)}
    if parsed.num_surrogates:
        metadata["num_surrogates_replaced"] = parsed.num_surrogates
    return ids.record(value, parsed.value, metadata, options)


def _names(value: JsonObject) -> str:
    return ", ".join(list(value)[:8]) or "none"
