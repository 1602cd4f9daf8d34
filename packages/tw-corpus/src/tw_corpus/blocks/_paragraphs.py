"""Repeated paragraphs across documents: collect hashes by task, count them by bucket, remove them."""
# datatrove's blocks are untyped in part
# pyright: standard

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from tw_corpus._comparable import Hashes, comparable_codes
from tw_corpus._paragraphs import ParagraphOptions, paragraph_hashes, remove_repeated, repeated_hashes
from tw_corpus._tally import Tally
from tw_corpus.blocks._exact import count_document

ONLY_REPEATED = "only_repeated_paragraphs"
_REPEATED = "repeated_across_documents"


class CollectParagraphs(PipelineStep):
    """Writes the hashes of one task's paragraphs, by bucket of their value."""

    type = "🫂 - DEDUPS"
    name = "tw-corpus paragraph hashes"

    def __init__(self, folder: Path, options: ParagraphOptions, *, num_buckets: int) -> None:
        """Write `<folder>/<bucket>/<rank>.u64`."""
        super().__init__()
        self.folder = folder
        self.options = options
        self.num_buckets = num_buckets

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Write the hashes of all documents; yields nothing."""
        hashes = [paragraph_hashes(document.text, self.options) for document in data or ()]
        values = np.concatenate(hashes) if hashes else np.empty(0, dtype=np.uint64)
        for bucket in range(self.num_buckets):
            path = self.folder / f"{bucket:04d}" / f"{rank:05d}.u64"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(values[values % self.num_buckets == bucket].astype("<u8").tobytes())
        yield from ()


class CountParagraphs(PipelineStep):
    """Finds the paragraphs of one bucket that many documents hold."""

    type = "🫂 - DEDUPS"
    name = "tw-corpus repeated paragraphs"

    def __init__(self, folder: Path, output: Path, options: ParagraphOptions) -> None:
        """Read what `CollectParagraphs` wrote to `folder`, write `<output>/<bucket>.u64`."""
        super().__init__()
        self.folder = folder
        self.output = output
        self.options = options

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Count one bucket; yields nothing."""
        files = sorted((self.folder / f"{rank:04d}").glob("*.u64"))
        repeated = repeated_hashes([np.fromfile(path, dtype="<u8") for path in files], self.options)
        self.stat_update("repeated_paragraphs", value=len(repeated))
        self.output.mkdir(parents=True, exist_ok=True)
        (self.output / f"{rank:04d}.u64").write_bytes(repeated.astype("<u8").tobytes())
        yield from ()


class RemoveParagraphs(BaseFilter):
    """Removes repeated paragraphs, and drops documents that held nothing else."""

    name = "tw-corpus repeated paragraphs"

    def __init__(
        self, repeated: Path, options: ParagraphOptions, *, tally: Tally, exclusion_writer: DiskWriter | None = None
    ) -> None:
        """Remove what `CountParagraphs` found.

        Args:
            repeated: its output folder.
            options: the same.
            tally: counts the removed paragraphs among the boilerplate lines, and the dropped documents.
            exclusion_writer: takes the dropped documents, with their whole text.
        """
        # datatrove annotates the optional argument without None
        super().__init__(exclusion_writer)  # pyright: ignore[reportArgumentType]
        self.repeated = repeated
        self.options = options
        self.tally = tally
        self._hashes: Hashes | None = None

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Change the text; return False with the reason where nothing is left."""
        if self._hashes is None:
            files = sorted(self.repeated.glob("*.u64"))
            self._hashes = np.unique(np.concatenate([np.fromfile(path, dtype="<u8") for path in files]))
        stripped = remove_repeated(doc.text, self._hashes, self.options)
        if not stripped.num_removed:
            return True
        if len(comparable_codes(stripped.text)) < self.options.min_chars:
            count_document(self.tally, doc, ONLY_REPEATED, f"{stripped.num_removed} paragraphs that other pages share")
            return False, ONLY_REPEATED
        doc.text = stripped.text
        self.stat_update(_REPEATED, value=stripped.num_removed)
        self.tally.boilerplate[_REPEATED] += stripped.num_removed
        return True
