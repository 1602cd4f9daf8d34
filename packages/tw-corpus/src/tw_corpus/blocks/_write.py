"""Writers of a curation's documents, on datatrove's."""
# datatrove's blocks are untyped in part
# pyright: standard

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.writers.disk_base import DiskWriter
from datatrove.pipeline.writers.jsonl import JsonlWriter
from datatrove.pipeline.writers.parquet import ParquetWriter

from tw_corpus._recipe import OutputFormat
from tw_corpus._tally import INPUT_FIELD, Tally
from tw_corpus.blocks._exact import count_document

# own columns; everything else a document carries is one JSON object, so that shards of all inputs have one schema
_COLUMNS = ("input", "file", "source", "genre", "url", "title", "date")
DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        *(pa.field(name, pa.string()) for name in _COLUMNS),
        pa.field("num_chars", pa.int64(), nullable=False),
        pa.field("duplicate_count", pa.int64(), nullable=False),
        pa.field("near_duplicate_count", pa.int64(), nullable=False),
        pa.field("metadata", pa.string(), nullable=False),
    ]
)
_INTERNAL = ("_task", "duplicate_count", "minhash_cluster_size")


class ParquetDocuments(ParquetWriter):
    """Writes kept documents as `<folder>/<rank>.parquet`, one schema for all inputs."""

    name = "documents (Parquet)"

    def __init__(self, folder: Path) -> None:
        """Write to `folder`."""
        super().__init__(str(folder), "${rank}.parquet", compression="zstd", schema=DOCUMENT_SCHEMA, max_file_size=-1)

    # an override, since datatrove binds a given adapter in a way that only dill can pickle
    def _default_adapter(self, document: Document) -> dict[str, Any]:
        row = _document_row(document)
        row["metadata"] = orjson.dumps(row["metadata"], option=orjson.OPT_SORT_KEYS).decode()
        return row


class JsonlDocuments(JsonlWriter):
    """Writes kept documents as `<folder>/<rank>.jsonl.gz`."""

    name = "documents (JSONL)"

    def __init__(self, folder: Path) -> None:
        """Write to `folder`."""
        super().__init__(str(folder), "${rank}.jsonl", compression="gzip")

    def _default_adapter(self, document: Document) -> dict[str, Any]:
        return _document_row(document)


class RejectedWriter(JsonlWriter):
    """Writes rejected documents with what decided, `<folder>/<rank>.jsonl.gz`.

    `duplicate_count` is null before exact duplicates are counted. A near-duplicate keeps its own, so that the sum of
    1 + `duplicate_count` over documents and near-duplicates is the number of documents before deduplication.
    """

    name = "rejected documents"

    def __init__(self, folder: Path, *, reason: str | None = None, tally: Tally | None = None) -> None:
        """Write to `folder`.

        Args:
            folder: of the rejected documents of one stage.
            reason: of all of them, for stages that note none; None reads `filter_reason`.
            tally: counts the documents under `reason`, for stages that count none.
        """
        super().__init__(str(folder), "${rank}.jsonl", compression="gzip")
        self.reason = reason
        self.tally = tally

    def write(self, document: Document, rank: int = 0, **kwargs: Any) -> None:
        """Write one document."""
        if self.tally is not None and self.reason is not None:
            count_document(self.tally, document, self.reason)
        super().write(document, rank, **kwargs)

    def _default_adapter(self, document: Document) -> dict[str, Any]:
        metadata = _given_metadata(document)
        return {
            "id": document.id,
            "reason": self.reason or metadata.pop("filter_reason"),
            "value": metadata.pop("filter_value", None),
            "threshold": metadata.pop("filter_threshold", None),
            "input": metadata.pop(INPUT_FIELD, None),
            "file": metadata.pop("file", None),
            "url": metadata.pop("url", None),
            "text": document.text,
            "duplicate_count": document.metadata.get("duplicate_count"),
            "measures": metadata.pop("measures", None),
            "metadata": metadata,
        }


def document_writer(folder: Path, output_format: OutputFormat) -> DiskWriter:
    """Return the writer of final shards."""
    return {OutputFormat.PARQUET: ParquetDocuments, OutputFormat.JSONL: JsonlDocuments}[output_format](folder)


class ShardWriter(JsonlWriter):
    """Writes a shard that only the next stage reads, `<folder>/<rank>.jsonl.zst`."""

    name = "stage shard"

    def __init__(self, folder: Path) -> None:
        """Write to `folder`."""
        super().__init__(str(folder), "${rank}.jsonl", compression="zstd")

    # datatrove's adapter leaves out what is empty, and with it the text
    def _default_adapter(self, document: Document) -> dict[str, Any]:
        return {"id": document.id, "text": document.text, "metadata": document.metadata}


def _document_row(document: Document) -> dict[str, Any]:
    metadata = _given_metadata(document)
    columns = {name: metadata.pop(name, None) for name in _COLUMNS}
    return {
        "id": document.id,
        "text": document.text,
        **{name: None if value is None else str(value) for name, value in columns.items()},
        "num_chars": len(document.text),
        "duplicate_count": int(document.metadata.get("duplicate_count", 0)),
        "near_duplicate_count": int(document.metadata.get("minhash_cluster_size", 1)) - 1,
        "metadata": metadata,
    }


def _given_metadata(document: Document) -> dict[str, Any]:
    """Return the metadata that readers gave; what later blocks note for each other is left out."""
    return {key: value for key, value in document.metadata.items() if key not in _INTERNAL}
