"""Parquet files, row by row."""
# pyarrow's types are partial
# pyright: standard

import decimal
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tw_corpus._records import Fault, FaultReason, Outcome
from tw_corpus.readers._given import GivenIds
from tw_corpus.readers._options import ReadOptions
from tw_corpus.readers._streams import OnBytes, guarded
from twllm_types import JsonObject, JsonValue

_ROWS_AT_ONCE = 64
_MAGIC = b"PAR1"
_DAMAGE = (
    pa.ArrowException,
    OSError,
)  # pyarrow reports damaged data as OSError too, then without a system error number


def read_parquet_records(
    path: Path, *, options: ReadOptions, name: str | None = None, on_bytes: OnBytes | None = None
) -> Iterator[Outcome]:
    """Read one row as one record or fault, in order.

    Of the other columns those of strings, numbers (decimals as strings of their digits) and truth values are kept as
    `fields`; lists and structures are not read, so that no row is nested. A row group that does not
    decode is one fault, which says how many rows are lost; reading goes on with the next. Memory: 64 rows and the
    pages of the file that hold them; a single value over `max_record_bytes` is loaded before it is refused.

    Args:
        path: the file.
        options: see `ReadOptions`.
        name: what to call the file in ids and faults; its own name by default.
        on_bytes: see `read_file`.
    """
    name = path.name if name is None else name
    return guarded(_outcomes(path, options, name, on_bytes), name)


def _outcomes(path: Path, options: ReadOptions, name: str, on_bytes: OnBytes | None) -> Iterator[Outcome]:
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
        share = _Share(os.fstat(file.fileno()).st_size, opened.metadata.num_rows, on_bytes)
        yield from _groups(opened, options, name, share)


def _open(file: BinaryIO) -> pq.ParquetFile | tuple[FaultReason, str]:
    head = file.read(len(_MAGIC))
    if not head:
        return FaultReason.EMPTY_FILE, "the file has no content"
    file.seek(-len(head), os.SEEK_END)
    tail = file.read()
    file.seek(0)
    try:
        return pq.ParquetFile(file)
    except _DAMAGE as error:
        _raise_system_error(error)
        if head != _MAGIC:
            return FaultReason.CORRUPT_ARCHIVE, "not a Parquet file"
        if tail != _MAGIC:
            return FaultReason.TRUNCATED_ARCHIVE, "the Parquet footer is missing: the file ends before its end mark"
        return FaultReason.CORRUPT_ARCHIVE, f"the Parquet footer does not decode: {_first_line(error)}"


class _Share:
    """Reports the bytes of a file by the share of its rows that were read."""

    def __init__(self, num_bytes: int, num_rows: int, on_bytes: OnBytes | None) -> None:
        self._num_bytes = num_bytes
        self._num_rows = num_rows
        self._on_bytes = on_bytes
        self._reported = 0

    def show(self, num_rows_done: int) -> None:
        done = self._num_bytes * num_rows_done // self._num_rows if self._num_rows else self._num_bytes
        if self._on_bytes is not None and done > self._reported:
            self._on_bytes(done - self._reported)
            self._reported = done


def _groups(file: pq.ParquetFile, options: ReadOptions, name: str, share: _Share) -> Iterator[Outcome]:
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
                share.show(row)
        except _DAMAGE as error:
            _raise_system_error(error)
            detail = f"rows {row + 1} to {first + num_rows} do not decode: {_first_line(error)}"
            position = f"row group {group + 1}"
            yield Fault(path=name, position=position, reason=FaultReason.CORRUPT_ARCHIVE, detail=detail)
        first += num_rows
        share.show(first)
    share.show(file.metadata.num_rows)


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
        pa.types.is_decimal,
    )
    return any(test(kind) for test in tests)


def _json(value: object) -> JsonValue:
    """Keep what JSON can hold, a decimal as its digits; an infinite number and any other type become `None`."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    return value if isinstance(value, str | int) else None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _raise_system_error(error: Exception) -> None:
    """Raise an error of the system again: it concerns the file, not its content."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
