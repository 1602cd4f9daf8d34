"""One door to all readers."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from tw_corpus._records import Fault, FaultReason, Outcome
from tw_corpus.readers._html import read_html_records
from tw_corpus.readers._inputs import FileFormat, format_of
from tw_corpus.readers._jsonl import read_jsonl_records
from tw_corpus.readers._options import ReadOptions
from tw_corpus.readers._parquet import read_parquet_records
from tw_corpus.readers._streams import OnBytes
from tw_corpus.readers._text import read_text_records
from tw_corpus.readers._warc import read_warc_records


class _Reader(Protocol):
    def __call__(
        self, path: Path, *, options: ReadOptions, name: str | None = None, on_bytes: OnBytes | None = None
    ) -> Iterator[Outcome]: ...


_READERS: Mapping[FileFormat, _Reader] = MappingProxyType(
    {
        FileFormat.JSONL: read_jsonl_records,
        FileFormat.PARQUET: read_parquet_records,
        FileFormat.TEXT: read_text_records,
        FileFormat.HTML: read_html_records,
        FileFormat.WARC: read_warc_records,
    }
)


def read_file(
    path: Path, *, options: ReadOptions | None = None, name: str | None = None, on_bytes: OnBytes | None = None
) -> Iterator[Outcome]:
    """Read one file by the format that its name tells.

    Streams; memory is bounded as each reader says. Nothing that the file holds, and no error of the system while it is
    read, ends the iteration with an exception: each becomes a `Fault`. The same file gives the same outcomes again.

    Args:
        path: the file.
        options: see `ReadOptions`; the defaults where `None`.
        name: what to call the file in ids and faults; its own name by default. Let it hold no machine path.
        on_bytes: told, while reading goes on, how many bytes of the file on disk (before decompression) were read
            since the last call: every few hundred KiB, in a Parquet file every 64 rows by their share of all rows. The
            calls add up to the size of a file that was read to its end, to less where damage ended the reading early.
            It must not raise.

    Yields:
        One `Record`, `Fault` or `Ignored` for each line, row, archive record or file.
    """
    file_format = format_of(path.name)
    called = path.name if name is None else name
    if file_format is None:
        detail = f"no reader for {path.suffix or 'a name without suffix'}"
        yield Fault(path=called, position="file", reason=FaultReason.UNKNOWN_FORMAT, detail=detail)
        return
    yield from _READERS[file_format](path, options=options or ReadOptions(), name=called, on_bytes=on_bytes)
