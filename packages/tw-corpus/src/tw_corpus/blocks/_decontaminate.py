"""Keeps benchmark items out of training text, and notes which item stood where."""
# datatrove's blocks are untyped in part
# pyright: standard

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from tw_corpus._benchmark_files import load_benchmarks
from tw_corpus._contamination import BenchmarkIndex, DecontaminationOptions, Match, build_index, find_items
from tw_corpus._pii import redact
from tw_corpus._tally import Tally
from tw_corpus.blocks._exact import count_document

CONTAMINATED = "contaminated"


@lru_cache(maxsize=4)
def load_index(benchmarks: tuple[Path, ...], options: DecontaminationOptions) -> BenchmarkIndex:
    """Load benchmarks and prepare them for search; a process does it once.

    Raises:
        DataError: a file cannot be read or holds no usable item.
    """
    return build_index([item for benchmark in load_benchmarks(benchmarks) for item in benchmark.items], options)


class Decontaminate(BaseFilter):
    """Drops documents that hold an item of a benchmark."""

    name = "tw-corpus decontamination"

    def __init__(
        self,
        benchmarks: Sequence[Path],
        options: DecontaminationOptions,
        *,
        tally: Tally | None = None,
        hits_folder: Path | None = None,
        exclusion_writer: DiskWriter | None = None,
    ) -> None:
        """Look for the items of `benchmarks`.

        Args:
            benchmarks: files or folders.
            options: what counts.
            tally: counts the dropped documents.
            hits_folder: one line per item and document goes to `<hits_folder>/<rank>.jsonl`; None lists them nowhere.
            exclusion_writer: takes the dropped documents.
        """
        # datatrove annotates the optional argument without None
        super().__init__(exclusion_writer)  # pyright: ignore[reportArgumentType]
        self.benchmarks = tuple(benchmarks)
        self.options = options
        self.tally = tally
        self.hits_folder = hits_folder
        self._hits: BinaryIO | None = None

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield the documents that hold no item."""
        if self.hits_folder is None:
            yield from super().run(data, rank, world_size)
            return
        self.hits_folder.mkdir(parents=True, exist_ok=True)
        with (self.hits_folder / f"{rank:05d}.jsonl").open("wb") as self._hits:
            yield from super().run(data, rank, world_size)
        self._hits = None

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Return False with the reason where the document holds an item."""
        matches = find_items(doc.text, load_index(self.benchmarks, self.options))
        if not matches:
            return True
        if self._hits is not None:
            for match in matches:
                self._hits.write(orjson.dumps(_hit(doc, match), option=orjson.OPT_APPEND_NEWLINE))
        worst = max(matches, key=lambda match: match.coverage)
        doc.metadata["filter_value"] = worst.coverage
        doc.metadata["filter_threshold"] = self.options.min_coverage
        if self.tally is not None:
            count_document(self.tally, doc, CONTAMINATED, f"holds {worst.item.benchmark} {worst.item.id}")
        return False, CONTAMINATED


def _hit(doc: Document, match: Match) -> dict[str, Any]:
    return {
        "benchmark": match.item.benchmark,
        "item": match.item.id,
        "document": doc.id,
        "coverage": round(match.coverage, 4),
        "start": match.start,
        "end": match.end,
        # a report shows no personal data, whatever becomes of it in the documents
        "text": redact(doc.text[match.start : match.end]).text,
    }
