"""Benchmark files as items to keep out of training text: JSON lines, JSON, CSV and Parquet, or folders of them."""
# pyarrow and JSON give values without types
# pyright: standard

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tw_corpus._contamination import BenchmarkItem
from tw_corpus._decode import decode
from twllm_types import DataError

# TMLU and TMMLU+, TMMLU v1, lm-eval tasks, chat benches, grade-school mathematics
QUESTION_FIELDS = ("question", "content.Q", "query", "prompt", "instruction", "problem", "turns", "text", "context")
_ID_FIELDS = ("id", "question_id", "index")
_SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")


def load_benchmark(path: Path) -> tuple[BenchmarkItem, ...]:
    """Read the items of a benchmark.

    Args:
        path: a file, or a folder whose files (in any depth) are subjects of one benchmark, as TMLU and TMMLU+ have it.

    Returns:
        One item per row, named by file and row number, or by the row's own id where it has one. Rows without a question
        are left out; a file of them is an error.

    Raises:
        DataError: the path does not exist, a file cannot be read, or no row holds a question.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; check --decontaminate")
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES)
    items = tuple(item for file in files for item in _items(file, benchmark=path.name, root=path))
    if not items:
        raise DataError(
            f"{path}: no row holds a question; rows need one of the fields {', '.join(QUESTION_FIELDS)} "
            f"in a file with one of the endings {', '.join(_SUFFIXES)}"
        )
    return items


def _items(file: Path, *, benchmark: str, root: Path) -> Iterator[BenchmarkItem]:
    name = file.stem if file == root else file.relative_to(root).with_suffix("").as_posix()
    for number, row in enumerate(_rows(file), start=1):
        question = _question(row)
        if question:
            given = next((str(row[field]) for field in _ID_FIELDS if row.get(field) not in (None, "")), None)
            yield BenchmarkItem(benchmark=benchmark, id=f"{name}:{given or number}", text=question)


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.suffix == ".parquet":
        yield from _parquet_rows(file)
        return
    try:
        decoded = decode(file.read_bytes(), html=False)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); check the file") from error
    text = decoded.text.removeprefix("\ufeff")
    if file.suffix == ".csv":
        yield from csv.DictReader(io.StringIO(text, newline=""))
    elif file.suffix == ".jsonl":
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield _object(_parsed(line, f"{file}:{number}"), f"{file}:{number}")
    else:
        whole = _parsed(text, str(file))
        for number, row in enumerate(whole if isinstance(whole, list) else [whole], start=1):
            yield _object(row, f"{file}: entry {number}")


def _parquet_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        yield from pq.read_table(file).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: cannot be read as Parquet ({error}); check the file") from error


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: is not JSON ({error}); correct or remove it") from error


def _object(row: object, where: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{where}: is no JSON object; give one object per row")
    return row


def _question(row: Mapping[str, Any]) -> str:
    for field in QUESTION_FIELDS:
        value = row.get(field)
        if isinstance(value, list) and value and isinstance(value[0], str):
            value = value[0]
        if isinstance(value, str) and value.strip():
            return value
    return ""
