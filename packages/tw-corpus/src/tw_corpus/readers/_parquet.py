"""Parquet files, row by row."""
# pyarrow's types are partial
# pyright: standard

import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tw_corpus._records import Fault, FaultReason, Outcome
from tw_corpus.readers._given import GivenIds
from tw_corpus.readers._options import ReadOptions
from tw_corpus.readers._streams import guarded
from twllm_types import JsonObject, JsonValue

_ROWS_AT_ONCE = 64
_MAGIC = b"PAR1"
_DAMAGE = (
    pa.ArrowException,
    OSError,
)  # pyarrow reports damaged data as OSError too, then without a system error number


def read_parquet(path: Path, *, options: ReadOptions, name: str | None = None) -> Iterator[Outcome]:
    """Read one row as one record or fault, in order.

    Of the other columns those of strings, numbers and truth values are kept as `fields`. A row group that does not
    decode is one fault, which says how many rows are lost; reading goes on with the next. Memory: 64 rows and the
    pages of the file that hold them; a single value over `max_record_bytes` is loaded before it is refused.

    Args:
        path: the file.
        options: see `ReadOptions`.
        name: what to call the file in ids and faults; its own name by default.
    """
    name = path.name if name is None else name
    return guarded(_outcomes(path, options, name), name)


def _outcomes(path: Path, options: ReadOptions, name: str) -> Iterator[Outcome]:
    with path.open("rb") as file:
        opened = _open(file)
        if isinstance(opened, tuple):
            yield Fault(path=name, position="file", reason=opened[0], detail=opened[1])
            return
        columns = opened.schema_arrow.names
        if options.text_field not in columns:
            detail = f"no column {options.text_field!r} for {opened.metadata.num_rows} rows; the columns are "
            detail += ", ".join(columns[:8]) or "none"
            yield Fault(path=name, position="file", reason=FaultReason.MISSING_TEXT, detail=detail)
            return
        yield from _groups(opened, options, name)


def _open(file: BinaryIO) -> pq.ParquetFile | tuple[FaultReason, str]:
    head = file.read(len(_MAGIC))
    file.seek(0)
    if not head:
        return FaultReason.EMPTY_FILE, "the file has no content"
    try:
        return pq.ParquetFile(file)
    except _DAMAGE as error:
        _raise_system_error(error)
        is_cut = head == _MAGIC
        reason = FaultReason.TRUNCATED_ARCHIVE if is_cut else FaultReason.CORRUPT_ARCHIVE
        return reason, "the Parquet footer is missing or damaged" if is_cut else "not a Parquet file"


def _groups(file: pq.ParquetFile, options: ReadOptions, name: str) -> Iterator[Outcome]:
    wanted = [
        column.name
        for column in file.schema_arrow
        if column.name in (options.text_field, options.id_field) or _is_plain(column.type)
    ]
    ids = GivenIds(name)
    first = 0
    for group in range(file.metadata.num_row_groups):
        num_rows, row = file.metadata.row_group(group).num_rows, first
        try:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, row_groups=[group], columns=wanted):
                for index in range(batch.num_rows):
                    row += 1
                    yield _outcome(batch, index, f"row {row}", options, name, ids)
        except _DAMAGE as error:
            _raise_system_error(error)
            detail = f"rows {row + 1} to {first + num_rows} do not decode: {str(error).splitlines()[0][:120]}"
            position = f"row group {group + 1}"
            yield Fault(path=name, position=position, reason=FaultReason.CORRUPT_ARCHIVE, detail=detail)
        first += num_rows


def _outcome(
    batch: pa.RecordBatch, index: int, position: str, options: ReadOptions, name: str, ids: GivenIds
) -> Outcome:
    def fault(reason: FaultReason, detail: str) -> Fault:
        return Fault(path=name, position=position, reason=reason, detail=detail)

    try:
        row = {column: batch.column(number)[index].as_py() for number, column in enumerate(batch.schema.names)}
        text = row[options.text_field]
        if isinstance(text, bytes):
            text = text.decode("utf-8")
    except UnicodeDecodeError as error:
        return fault(FaultReason.UNDECODABLE, f"a value is not UTF-8: {error.reason}")
    if text is None:
        return fault(FaultReason.MISSING_TEXT, f"{options.text_field!r} is null")
    if not isinstance(text, str):
        return fault(FaultReason.TEXT_NOT_STRING, f"{options.text_field!r} is of type {type(text).__name__}")
    if len(text.encode("utf-8")) > options.max_record_bytes:
        return fault(FaultReason.RECORD_TOO_LARGE, f"max_record_bytes is {options.max_record_bytes}")
    fields: JsonObject = {key: _json(value) for key, value in row.items() if key != options.text_field}
    return ids.record(text, fields, {"format": "parquet", "position": position}, options)


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
    )
    return any(test(kind) for test in tests)


def _json(value: object) -> JsonValue:
    """Keep what JSON can hold; an infinite or undefined number and a value of any other type become `None`."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int) else None


def _raise_system_error(error: Exception) -> None:
    """Raise an error of the system again: it concerns the file, not its content."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
