"""Exact deduplication on datatrove's stages: signatures, search, filter."""
# datatrove's blocks are untyped in part
# pyright: standard

from collections.abc import Iterable, Iterator
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup.exact_dedup import (
    ExactDedupConfig,
    ExactDedupFilter,
    ExactDedupSignature,
    ExactFindDedups,
)
from datatrove.pipeline.writers.disk_base import DiskWriter
from datatrove.utils.hashing import HashConfig

from tw_corpus._tally import INPUT_FIELD, KEPT, Cluster, Tally

_HIGHEST_PRIORITY = 65_535
_TASK_FIELD = "_task"


def exact_key(document: Document) -> bytes:
    """Return what two exact duplicates share: the text without white space, in UTF-8."""
    return "".join(document.text.split()).encode()


def exact_priority(document: Document) -> int:
    """Prefer the earlier task; within a task datatrove prefers the earlier document.

    datatrove's priorities have 16 bits, so all tasks from 65,534 on share the lowest one.
    """
    return max(1, _HIGHEST_PRIORITY - int(document.metadata[_TASK_FIELD]))


def exact_config() -> ExactDedupConfig:
    """Return the configuration that all three stages share: 64-bit xxhash of `exact_key`, first document kept."""
    return ExactDedupConfig(
        content_getter=exact_key,
        document_priority=exact_priority,
        hash_config=HashConfig(precision=64, hash_fc="xxhash"),
    )


class TagTask(PipelineStep):
    """Notes the task's number on each document, which `exact_priority` reads."""

    type = "🫂 - DEDUPS"
    name = "task number"

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield every document with its task."""
        for document in data or ():
            document.metadata[_TASK_FIELD] = rank
            yield document


def exact_signatures(folder: Path, *, num_buckets: int) -> list[PipelineStep]:
    """Return the steps that write the signatures of one task's documents to `folder`."""
    return [TagTask(), ExactDedupSignature(str(folder), exact_config(), finder_workers=num_buckets)]


def exact_search(signatures: Path, duplicates: Path) -> list[PipelineStep]:
    """Return the steps that search one bucket of `signatures` and write the duplicates found to `duplicates`."""
    return [ExactFindDedups(str(signatures), str(duplicates), exact_config(), save_cluster_size=True)]


def exact_filter(duplicates: Path, exclusion_writer: DiskWriter | None) -> PipelineStep:
    """Return the step that drops the duplicates and notes `duplicate_count` on the documents that stay."""
    return ExactDedupFilter(str(duplicates), exact_config(), exclusion_writer)


class CountOutcome(PipelineStep):
    """Counts the documents that pass as kept, and the clusters of near-duplicates that they stand for."""

    type = "📊 - STATS"
    name = "tw-corpus outcomes"

    def __init__(self, tally: Tally) -> None:
        """Count into `tally`."""
        super().__init__()
        self.tally = tally

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield every document."""
        for document in data or ():
            count_document(self.tally, document, KEPT)
            size = int(document.metadata.get("minhash_cluster_size", 1))
            if size > 1:
                source = str(document.metadata.get(INPUT_FIELD, "-"))
                self.tally.add_cluster(Cluster(size=size, id=document.id, source=source))
            yield document


def count_document(tally: Tally, document: Document, outcome: str, detail: str = "") -> None:
    """Count one document of a pipeline with its outcome."""
    tally.add_document(
        document_id=document.id,
        source=str(document.metadata.get(INPUT_FIELD, "-")),
        genre=str(document.metadata.get("genre", "-")),
        outcome=outcome,
        text=document.text,
        detail=detail,
    )
