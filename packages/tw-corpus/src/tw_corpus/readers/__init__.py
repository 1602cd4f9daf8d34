"""Readers of text files, pages and archives: every unit becomes a `Record`, a `Fault` or an `Ignored`."""

from tw_corpus._records import Fault, FaultReason, Ignored, IgnoredKind, Outcome, Record
from tw_corpus.readers._dispatch import read_file
from tw_corpus.readers._html import read_html_records
from tw_corpus.readers._inputs import FileFormat, FoundFile, Inputs, find_inputs
from tw_corpus.readers._jsonl import read_jsonl_records
from tw_corpus.readers._options import ReadOptions
from tw_corpus.readers._parquet import read_parquet_records
from tw_corpus.readers._text import read_text_records
from tw_corpus.readers._warc import read_warc_records

__all__ = [
    "Fault",
    "FaultReason",
    "FileFormat",
    "FoundFile",
    "Ignored",
    "IgnoredKind",
    "Inputs",
    "Outcome",
    "ReadOptions",
    "Record",
    "find_inputs",
    "read_file",
    "read_html_records",
    "read_jsonl_records",
    "read_parquet_records",
    "read_text_records",
    "read_warc_records",
]
