"""Plain text files, one document each, in any encoding that `decode` knows."""

from collections.abc import Iterator
from pathlib import Path

from tw_corpus._decode import Decoded, decode, decode_as
from tw_corpus._records import Fault, FaultReason, Outcome, Record
from tw_corpus.readers._options import ReadOptions
from tw_corpus.readers._page import encoding_metadata, undecodable
from tw_corpus.readers._streams import OnBytes, chunks_of, content_of, guarded

_MAX_BAD_LINE_SHARE = 0.1


def read_text_records(
    path: Path, *, options: ReadOptions, name: str | None = None, on_bytes: OnBytes | None = None
) -> Iterator[Outcome]:
    """Read one text file: one record, or one fault of the file.

    In a file of mixed encodings the lines that do not decode in the encoding of the rest are left out, each as a fault
    ``line N`` beside the record, whose `num_lines_left_out` counts them; if they are more than a tenth of the lines
    that are not ASCII, the file is one fault. A file with a NUL byte is a fault (UTF-16 with a byte-order mark is not).

    Args:
        path: the file; ``.gz`` and ``.zst`` are decompressed.
        options: see `ReadOptions`.
        name: what to call the file in ids and faults; its own name by default.
        on_bytes: see `read_file`.
    """
    name = path.name if name is None else name
    return guarded(_outcomes(path, options, name, on_bytes), name)


def _outcomes(path: Path, options: ReadOptions, name: str, on_bytes: OnBytes | None) -> Iterator[Outcome]:
    content = content_of(chunks_of(path, on_bytes), name=name, max_bytes=options.max_record_bytes)
    if isinstance(content, Fault):
        yield content
        return
    decoded = decode(content, html=False)
    if (nul := decoded.text.find("\x00")) >= 0:
        detail = f"NUL at character {nul + 1}; remove it, or save the file as UTF-8"
        yield Fault(path=name, position="file", reason=FaultReason.NUL_BYTE, detail=detail)
        return
    if decoded.num_replaced:
        yield from _line_by_line(content, decoded, options, name)
    else:
        yield _record(decoded, name, decoded.text, 0)


def _line_by_line(content: bytes, decoded: Decoded, options: ReadOptions, name: str) -> Iterator[Outcome]:
    """Keep the lines that decode exactly; too many others make the file undecodable."""
    lines = content.split(b"\n")
    texts = [decode_as(line, decoded.encoding) for line in lines]
    num_non_ascii = sum(not line.isascii() for line in lines)
    bad = [number for number, text in enumerate(texts, start=1) if text is None]
    if len(bad) > _MAX_BAD_LINE_SHARE * num_non_ascii:
        # A long line with a stray byte is better kept with its replacement character, within the usual limit.
        yield undecodable(decoded, options, name=name, position="file") or _record(decoded, name, decoded.text, 0)
        return
    for number in bad:
        detail = f"does not decode in {decoded.encoding}, the encoding of the file; left out of its record"
        yield Fault(path=name, position=f"line {number}", reason=FaultReason.UNDECODABLE, detail=detail)
    yield _record(decoded, name, "\n".join(text for text in texts if text is not None), len(bad))


def _record(decoded: Decoded, name: str, text: str, num_left_out: int) -> Record:
    metadata = {"format": "text", "position": "file", **encoding_metadata(decoded)}
    if num_left_out:
        metadata.pop("num_replaced", None)
        metadata["num_lines_left_out"] = num_left_out
    return Record(id=name, text=text, source=name, metadata=metadata)
