"""datatrove blocks of tw-corpus.

Importing this package imports datatrove; `tw_corpus` itself does not. `CorpusReader`, `Normalize`, `StripBoilerplate`,
`Redact`, `QualityFilter`, `Decontaminate`, `ClassifyVariant` and `PluginFilter` fit into any datatrove pipeline; the
other names serve `tw-corpus curate`.
"""

# datatrove uses importlib.metadata without importing it
import importlib.metadata  # noqa: F401  # pyright: ignore[reportUnusedImport]

from tw_corpus.blocks._decontaminate import Decontaminate
from tw_corpus.blocks._exact import CountOutcome, exact_filter, exact_search, exact_signatures
from tw_corpus.blocks._near import NearClusters, NearSignature, near_filter, near_search
from tw_corpus.blocks._paragraphs import CollectParagraphs, CountParagraphs, RemoveParagraphs
from tw_corpus.blocks._plugin import PluginFilter
from tw_corpus.blocks._quality import QualityFilter
from tw_corpus.blocks._read import CorpusReader, fault_line
from tw_corpus.blocks._redact import Redact
from tw_corpus.blocks._shard import Publish, Published, ReadShard, read_tally
from tw_corpus.blocks._text import Normalize, StripBoilerplate
from tw_corpus.blocks._variant import ClassifyVariant
from tw_corpus.blocks._write import RejectedWriter, ShardWriter, document_writer

__all__ = [
    "ClassifyVariant",
    "CollectParagraphs",
    "CorpusReader",
    "CountOutcome",
    "CountParagraphs",
    "Decontaminate",
    "NearClusters",
    "NearSignature",
    "Normalize",
    "PluginFilter",
    "Publish",
    "Published",
    "QualityFilter",
    "ReadShard",
    "Redact",
    "RejectedWriter",
    "RemoveParagraphs",
    "ShardWriter",
    "StripBoilerplate",
    "document_writer",
    "exact_filter",
    "exact_search",
    "exact_signatures",
    "fault_line",
    "near_filter",
    "near_search",
    "read_tally",
]
