"""Readers of text files, pages and archives: every unit becomes a `Record`, a `Fault` or an `Ignored`."""

from tw_corpus._records import Fault, FaultReason, Ignored, IgnoredKind, Outcome, Record
from tw_corpus.readers._dispatch import read_file
from tw_corpus.readers._html import read_html
from tw_corpus.readers._inputs import FileFormat, FoundFile, Inputs, find_inputs
from tw_corpus.readers._jsonl import read_jsonl
from tw_corpus.readers._options import ReadOptions
from tw_corpus.readers._parquet import read_parquet
from tw_corpus.readers._text import read_text
from tw_corpus.readers._warc import read_warc

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
    "read_html",
    "read_jsonl",
    "read_parquet",
    "read_text",
    "read_warc",
]
