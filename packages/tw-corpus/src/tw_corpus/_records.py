"""What reading gives: a record, a fault, or something passed over on purpose. Values only, no input or output.

Every unit of an input (line, row, archive record, file) becomes exactly one of the three, so that
``records + faults + ignored`` accounts for all of it. Two faults stand beside the units: the one that says where a
compressed stream broke off, and the one for a line of a text file that is left out of the record of that file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from twllm_types import FrozenDict, JsonValue


class FaultReason(StrEnum):
    """Why something could not be read. The strings are stable: reports and tests rely on them."""

    UNREADABLE_FILE = "unreadable_file"  # the system refused (permission, disk error), or no regular file
    CHANGED_FILE = "changed_file"  # its size is another than when the run was planned
    UNKNOWN_FORMAT = "unknown_format"  # no reader for this name, or the content is not what the name says
    EMPTY_FILE = "empty_file"  # no byte in it
    TRUNCATED_ARCHIVE = "truncated_archive"  # the file ends in the middle of a compressed stream or record
    CORRUPT_ARCHIVE = "corrupt_archive"  # a compressed stream, Parquet file or row group does not decode
    MALFORMED_RECORD = "malformed_record"  # WARC or HTTP framing is broken
    CORRUPT_PAYLOAD = "corrupt_payload"  # a transfer or content encoding of a response does not decode
    RECORD_TOO_LARGE = "record_too_large"  # longer than `ReadOptions.max_record_bytes`
    UNDECODABLE = "undecodable"  # no character encoding fits the bytes
    NUL_BYTE = "nul_byte"  # a raw NUL where text must stand
    INVALID_JSON = "invalid_json"
    NESTED_TOO_DEEPLY = "nested_too_deeply"  # JSON with lists or objects in each other, deeper than writers can write
    NOT_AN_OBJECT = "not_an_object"  # JSON, but no object
    MISSING_TEXT = "missing_text"  # the text field or column is absent or null
    TEXT_NOT_STRING = "text_not_string"
    EXTRACTION_FAILED = "extraction_failed"  # the HTML parser raised


class IgnoredKind(StrEnum):
    """Why something readable was passed over on purpose; no fault, but counted."""

    BLANK_LINE = "blank_line"
    HIDDEN_FILE = "hidden_file"  # name starts with a dot
    WARC_RECORD_TYPE = "warc_record_type"  # warcinfo, request, metadata, revisit, ...
    HTTP_STATUS = "http_status"  # a response other than 200
    NOT_TEXT = "not_text"  # a payload that is neither HTML nor plain text (image, PDF, script)
    EMPTY_PAYLOAD = "empty_payload"  # a response without a body


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that could not be read.

    Attributes:
        path: the file, named relative to the input given (no machine path).
        position: where in it: "file", "line 12", "row 3", "row group 2", "record at byte 1034".
        reason: the closed reason.
        detail: one line for people; may be empty.
    """

    path: str
    position: str
    reason: FaultReason
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """One thing passed over on purpose: `kind` says why, the other fields are those of `Fault`."""

    path: str
    position: str
    kind: IgnoredKind
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One readable document.

    Attributes:
        id: unique and reproducible within its file: the given id, else source and position (`position_id`).
        text: decoded and, for HTML, extracted text; may be empty; always encodable as UTF-8.
        source: the file, named relative to the input given.
        metadata: JSON values: `format` and `position` always; `encoding`, `encoding_evidence`, `num_replaced`,
            `num_private_use`, `encoding_rejected`, `url`, `title`, `extractor`, `given_id`, `fields` (the other fields
            of a JSON object or columns of a row) and some named in the readers where they apply. `orjson` can write
            them: numbers beyond 64 bits are strings of their digits, and nothing is nested deeper than 200.
    """

    id: str
    text: str
    source: str
    metadata: Mapping[str, JsonValue] = field(default_factory=FrozenDict[str, JsonValue])

    def __post_init__(self) -> None:
        object.__setattr__(self, "metadata", FrozenDict(self.metadata))


Outcome: TypeAlias = Record | Fault | Ignored


def position_id(source: str, position: str) -> str:
    """Make an id from where a record stands: ``pages.jsonl#line-12``; the source alone for a whole file."""
    return source if position == "file" else f"{source}#{position.replace(' ', '-')}"
