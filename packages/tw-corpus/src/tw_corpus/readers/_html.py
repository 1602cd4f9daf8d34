"""HTML and XHTML files, one document each."""

from collections.abc import Iterator
from pathlib import Path

from tw_corpus._records import Fault, Outcome
from tw_corpus.readers._options import ReadOptions
from tw_corpus.readers._page import page_outcome
from tw_corpus.readers._streams import OnBytes, chunks_of, content_of, guarded


def read_html_records(
    path: Path, *, options: ReadOptions, name: str | None = None, on_bytes: OnBytes | None = None
) -> Iterator[Outcome]:
    """Read one page: one record, or one fault.

    Args:
        path: the file.
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
    else:
        yield page_outcome(content, options, name=name, position="file", metadata={"format": "html"})
