"""datatrove blocks of tw-corpus.

Importing this package imports datatrove; `tw_corpus` itself does not. `CorpusReader`, `Normalize`, `StripBoilerplate`
and `QualityFilter` fit into any datatrove pipeline; the other names serve `tw-corpus curate`.
"""

# datatrove uses importlib.metadata without importing it
import importlib.metadata  # noqa: F401  # pyright: ignore[reportUnusedImport]

from tw_corpus.blocks._exact import CountOutcome, exact_filter, exact_search, exact_signatures
from tw_corpus.blocks._quality import QualityFilter
from tw_corpus.blocks._read import CorpusReader, fault_line
from tw_corpus.blocks._shard import Publish, Published, ReadShard, read_tally
from tw_corpus.blocks._text import Normalize, StripBoilerplate
from tw_corpus.blocks._write import RejectedWriter, document_writer, shard_writer

__all__ = [
    "CorpusReader",
    "CountOutcome",
    "Normalize",
    "Publish",
    "Published",
    "QualityFilter",
    "ReadShard",
    "RejectedWriter",
    "StripBoilerplate",
    "document_writer",
    "exact_filter",
    "exact_search",
    "exact_signatures",
    "fault_line",
    "read_tally",
    "shard_writer",
]
