# pyarrow has no types.
# pyright: standard
"""Rows of one file, each with its line; the file's own damage is an error or a fault, never silence."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tmlu_bench._question_set import FaultReason
from tmlu_bench._sources._decode import decode_text
from tmlu_bench._sources._rows import RowFault
from twllm_runs import unique_keys
from twllm_types import DataError

Row = Mapping[str, object] | RowFault


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """The rows of a file.

    Attributes:
        rows: (line or row number from 1, columns or fault), in order.
        encoding: of a text file; None for Parquet.
        blank_is_absent: an empty cell can mean null, as in CSV.
    """

    rows: tuple[tuple[int, Row], ...]
    encoding: str | None
    blank_is_absent: bool


def read_rows(path: Path, name: str) -> ReadFile:
    """Read a file by its suffix.

    Raises:
        DataError: the file cannot be read, or is not what its suffix says.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return ReadFile(rows=tuple(_parquet(path, name)), encoding=None, blank_is_absent=False)
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror}); check the file") from error
    text, encoding = decode_text(payload, name)
    readers = {".jsonl": _json_lines, ".json": _json_whole, ".csv": _csv}
    rows = tuple(readers[suffix](text, name))
    return ReadFile(rows=rows, encoding=encoding, blank_is_absent=suffix == ".csv")


def read_whole_json(path: Path) -> dict[str, object]:
    """Read a file that holds one JSON object.

    Raises:
        DataError: it cannot be read, or holds no object.
    """
    try:
        text, _ = decode_text(path.read_bytes(), path.name)
    except OSError as error:
        raise DataError(f"{path.name} cannot be read ({error.strerror}); check the path") from error
    try:
        content = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name} is no JSON ({error}); mend the file") from error
    if not isinstance(content, dict):
        raise DataError(f"{path.name} holds no object; check which file it is")
    return cast("dict[str, object]", content)


def parse_json(text: str) -> object:
    """Read JSON in which no object repeats a key, as two answers to one question would.

    Raises:
        ValueError: the text is no JSON, holds a number of thousands of digits, or repeats a key.
        RecursionError: it is nested too deep.
    """
    return json.loads(text, object_pairs_hook=unique_keys)


def _json_lines(text: str, _name: str) -> Iterator[tuple[int, Row]]:
    # Not splitlines(): it also splits at U+2028 and the like, which may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except (ValueError, RecursionError) as error:
            yield number, RowFault(reason=FaultReason.INVALID_JSON, message=f"no JSON ({error}); mend the line")
            continue
        yield number, _as_row(row)


def _json_whole(text: str, name: str) -> Iterator[tuple[int, Row]]:
    """A list of rows, or an object from id to row, as TTQA and Penguins in a Table have it."""
    try:
        content = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is no JSON ({error}); mend the file, or name JSON lines .jsonl") from error
    if isinstance(content, dict):
        named = cast("dict[str, object]", content)
        for number, (key, value) in enumerate(named.items(), start=1):
            row = _as_row(value)
            yield number, row if isinstance(row, RowFault) else {"id": key, **row}
    elif isinstance(content, list):
        for number, value in enumerate(cast("list[object]", content), start=1):
            yield number, _as_row(value)
    else:
        raise DataError(f"{name} holds neither a list nor an object; give a list of rows or an object from id to row")


def _as_row(value: object) -> Row:
    if isinstance(value, dict):
        return cast("dict[str, object]", value)
    return RowFault(reason=FaultReason.NOT_AN_OBJECT, message=f"a {type(value).__name__}, not an object with columns")


def _csv(text: str, name: str) -> Iterator[tuple[int, Row]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{name}:{line}: {error}; mend the quotes of the row that starts here") from error
        if cells is None:
            return
        if names is None:
            names = [column.strip() for column in cells]
        elif cells:
            yield line, _csv_row(names, cells)


def _csv_row(names: list[str], cells: list[str]) -> Row:
    if len(cells) != len(names):
        return RowFault(
            reason=FaultReason.COLUMN_COUNT,
            message=f"{len(cells)} cells under {len(names)} columns; mend commas and quotes",
        )
    # The column of row numbers that pandas writes has no name; it would be an id that changes with the order.
    return {column: cell for column, cell in zip(names, cells, strict=True) if column}


def _parquet(path: Path, name: str) -> Iterator[tuple[int, Row]]:
    from pyarrow import ArrowException
    from pyarrow.parquet import read_table

    try:
        table = cast("list[dict[str, object]]", read_table(path).to_pylist())
    except (ArrowException, OSError) as error:
        raise DataError(f"{name} is no readable Parquet file ({error}); fetch it again") from error
    yield from enumerate(table, start=1)
