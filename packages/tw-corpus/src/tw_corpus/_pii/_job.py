"""Redacting a file: line by line, to a file that appears whole or not at all."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import orjson
from orjson import Fragment

from tw_corpus._pii._kinds import Finding, PiiKind, Redaction, RedactMode
from tw_corpus._pii._pseudonyms import MIN_KEY_BYTES
from tw_corpus._pii._redact import ALL_KINDS, check_kinds, check_mode, pseudonymiser_of, redact
from tw_corpus._records import FaultReason
from tw_corpus.readers import FileFormat
from tw_corpus.readers._inputs import format_of
from tw_corpus.readers._json import Outsized, ParseFault, parse_object
from tw_corpus.readers._options import MEBIBYTE
from tw_corpus.readers._streams import Line, StreamFault, chunks_of, lines_of
from twllm_runs import open_atomic
from twllm_types import ConfigError, DataError, JsonObject, JsonValue

FINDINGS_FIELD = "pii"
_Redactor: TypeAlias = Callable[[str], Redaction]
_Treated: TypeAlias = tuple[bytes, tuple[Finding, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionCounts:
    """What `redact_file` did.

    Attributes:
        num_records: lines written.
        num_with_findings: of them, those with at least one finding.
        num_findings: by kind; kinds without findings are left out.
        faults: lines that could not be read and were therefore left out of the output, by reason.
    """

    num_records: int
    num_with_findings: int
    num_findings: Mapping[PiiKind, int]
    faults: Mapping[FaultReason, int]

    @property
    def num_faults(self) -> int:
        """Lines left out."""
        return sum(self.faults.values())


def read_key(path: Path) -> bytes:
    """Read a key for mode `pseudonymise`; line ends at its end do not count.

    Raises:
        ConfigError: the file cannot be read or holds fewer than 16 bytes; the message holds none of them.
    """
    try:
        key = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be read ({error.strerror}); check the path") from error
    if len(key) < MIN_KEY_BYTES:
        raise ConfigError(f"{path}: holds {len(key)} bytes; write at least {MIN_KEY_BYTES} random bytes into it")
    return key


def redact_file(
    path: Path,
    output: Path,
    *,
    mode: RedactMode | str = RedactMode.MASK,
    key: bytes | None = None,
    kinds: Collection[PiiKind | str] = ALL_KINDS,
    text_fields: Collection[str] = ("text",),
    max_line_bytes: int = 64 * MEBIBYTE,
) -> RedactionCounts:
    """Redact a JSONL file or a text file line by line; memory is that of the longest line.

    Of a JSON object only `text_fields` are redacted; the other fields are written as they are, numbers of any size too.
    In mode `tag` the object gains the field ``pii``: a list of field, kind, start and end. A line that cannot be read
    is left out, because nobody knows what it holds, and counted.

    Args:
        path: ``.jsonl``, ``.ndjson`` or ``.txt``, also ``.gz`` and ``.zst``, in UTF-8.
        output: plain UTF-8 in the same format; replaced where it exists.
        mode: see `redact`.
        key: see `redact`.
        kinds: see `redact`.
        text_fields: fields to redact; a record without any of them is a fault.
        max_line_bytes: longer lines are faults.

    Raises:
        ConfigError: mode, kinds, key, formats or `text_fields` cannot be used.
        DataError: the file cannot be read, or in mode `tag` a record has a field ``pii`` already; no output appears.
        RunError: the output cannot be written.
    """
    chosen = check_mode(mode)
    wanted = check_kinds(kinds)
    pseudonymiser_of(chosen, key)
    file_format = _check_formats(path, output, chosen)
    if not text_fields:
        raise ConfigError("text_fields is empty; name at least one field")

    def redactor(text: str) -> Redaction:
        return redact(text, chosen, key=key, kinds=wanted)

    def treat(line: bytes) -> _Treated | FaultReason:
        if file_format is FileFormat.TEXT:
            return _treat_text(line, redactor)
        return _treat_object(line, redactor, tuple(text_fields), is_tagging=chosen is RedactMode.TAG)

    try:
        with open_atomic(output, "wb") as file:
            return _write(_lines(path, max_line_bytes), treat, file.write)
    except _TakenFieldError as error:
        raise DataError(
            f"{path}:{error.line_number}: has a field {FINDINGS_FIELD!r} already, where mode 'tag' writes its "
            "findings; rename it, or use mode 'mask'"
        ) from error


class _TakenFieldError(Exception):
    """A record holds the field that the findings would be written to."""

    line_number = 0


def _check_formats(path: Path, output: Path, mode: RedactMode) -> FileFormat:
    file_format = format_of(path.name)
    if file_format is None or file_format not in (FileFormat.JSONL, FileFormat.TEXT):
        raise ConfigError(f"{path}: is neither .jsonl, .ndjson nor .txt; run tw-corpus curate on other formats first")
    if format_of(output.name) is not file_format or output.suffix in (".gz", ".zst", ".zstd"):
        raise ConfigError(f"--output {output}: the output is plain {file_format}; give it the ending of that format")
    if output.resolve() == path.resolve():
        raise ConfigError(f"--output {output}: is the input; give another file")
    if mode is RedactMode.TAG and file_format is FileFormat.TEXT:
        raise ConfigError(f"{path}: mode 'tag' has no place for findings in plain text; give a .jsonl file")
    return file_format


def _lines(path: Path, max_bytes: int) -> Iterator[Line]:
    try:
        yield from lines_of(chunks_of(path), max_bytes=max_bytes)
    except StreamFault as fault:
        raise DataError(f"{path}: {fault.detail}; give an undamaged file") from fault
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _write(
    lines: Iterable[Line], treat: Callable[[bytes], _Treated | FaultReason], write: Callable[[bytes], int]
) -> RedactionCounts:
    num_records = num_with_findings = 0
    num_findings: Counter[PiiKind] = Counter()
    faults: Counter[FaultReason] = Counter()
    for line in lines:
        if line.content is not None and not line.content.strip():
            write(line.content + b"\n")
            continue
        try:
            treated = FaultReason.RECORD_TOO_LARGE if line.content is None else treat(line.content)
        except _TakenFieldError as error:
            error.line_number = line.number
            raise
        if isinstance(treated, FaultReason):
            faults[treated] += 1
            continue
        content, findings = treated
        write(content + b"\n")
        num_records += 1
        num_with_findings += bool(findings)
        num_findings.update(finding.kind for finding in findings)
    return RedactionCounts(
        num_records=num_records,
        num_with_findings=num_with_findings,
        num_findings=dict(sorted(num_findings.items())),
        faults=dict(sorted(faults.items())),
    )


def _decode(line: bytes) -> str | None:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _treat_text(line: bytes, redactor: _Redactor) -> _Treated | FaultReason:
    text = _decode(line)
    if text is None:
        return FaultReason.UNDECODABLE
    redaction = redactor(text)
    return redaction.text.encode("utf-8"), redaction.findings


def _treat_object(
    line: bytes, redactor: _Redactor, fields: tuple[str, ...], *, is_tagging: bool
) -> _Treated | FaultReason:
    text = _decode(line)
    if text is None:
        return FaultReason.UNDECODABLE
    parsed = parse_object(text.removeprefix("\ufeff"))
    if isinstance(parsed, ParseFault):
        return parsed.reason
    record = dict(parsed.value)
    redactions = _redact_fields(record, redactor, fields)
    if isinstance(redactions, FaultReason):
        return redactions
    record |= {field: redaction.text for field, redaction in redactions.items()}
    if is_tagging:
        if FINDINGS_FIELD in record:
            raise _TakenFieldError
        record[FINDINGS_FIELD] = [
            {"field": field, "kind": str(finding.kind), "start": finding.start, "end": finding.end}
            for field, redaction in redactions.items()
            for finding in redaction.findings
        ]
    findings = tuple(finding for redaction in redactions.values() for finding in redaction.findings)
    return orjson.dumps(record, default=_as_written, option=orjson.OPT_PASSTHROUGH_SUBCLASS), findings


def _as_written(value: JsonValue) -> Fragment:
    """Return a number that orjson cannot hold in the digits of the input; of subclasses, a record holds no others."""
    return Fragment(str(value))


def _redact_fields(
    record: JsonObject, redactor: _Redactor, fields: tuple[str, ...]
) -> dict[str, Redaction] | FaultReason:
    redactions: dict[str, Redaction] = {}
    for field in fields:
        value = record.get(field)
        if isinstance(value, str) and not isinstance(value, Outsized):
            redactions[field] = redactor(value)
        elif value is not None:
            return FaultReason.TEXT_NOT_STRING
    return redactions or FaultReason.MISSING_TEXT
