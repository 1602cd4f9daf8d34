"""Benchmark files as items to keep out of training text: JSON lines, JSON, CSV and Parquet, or folders of them."""
# pyarrow and JSON give values without types
# pyright: standard

import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tw_corpus._contamination import BenchmarkItem
from tw_corpus._decode import decode
from tw_corpus._records import Fault, FaultReason
from tw_corpus.readers._inputs import walk_folder
from tw_corpus.readers._streams import StreamFault, chunks_of
from twllm_types import DataError

# TMLU and TMMLU+, TMMLU v1, lm-eval tasks, chat benches, grade-school mathematics
QUESTION_FIELDS = ("question", "content.Q", "query", "prompt", "instruction", "problem", "turns", "text", "context")
_ID_FIELDS = ("id", "question_id", "index")
_SUFFIXES = (
    *(f"{stem}{end}" for stem in (".jsonl", ".ndjson", ".json", ".csv") for end in ("", ".gz", ".zst", ".zstd")),
    ".parquet",
)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark as it is looked for.

    Attributes:
        name: of the file or folder; where two that are given share it, their paths below the folder that all share.
        items: one per row that holds a question, each with an id of its own; at least one.
        unused: files of the folder that gave no item, by name: other formats, hidden ones, files without a question.
    """

    name: str
    items: tuple[BenchmarkItem, ...]
    unused: tuple[str, ...] = ()


def load_benchmarks(paths: Sequence[Path]) -> tuple[Benchmark, ...]:
    """Read benchmarks, in the order given; one that is given twice is read once.

    Args:
        paths: each a file, or a folder whose files (in any depth) are subjects of one benchmark, as TMLU and TMMLU+
            have it.

    Returns:
        Items named by file and row number, or by the row's own id where it has one; an id that stood before gains the
        row number. Rows without a question are left out.

    Raises:
        DataError: a path does not exist, a file cannot be read, or no row of a path holds a question.
    """
    given: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; check --decontaminate")
        given.setdefault(os.path.realpath(path), path)
    kept = list(given.values())
    return tuple(_load(path, name) for path, name in zip(kept, _names(kept), strict=True))


def _names(paths: Sequence[Path]) -> list[str]:
    # not resolved: in a cache of downloads a link has the name, and what it leads to has none
    places = [Path(os.path.normpath(path.absolute())) for path in paths]
    names = [place.name or place.as_posix() for place in places]
    if len(set(names)) < len(names):
        shared = Path(os.path.commonpath(places))
        shared = shared.parent if shared in places else shared
        names = [place.relative_to(shared).as_posix() for place in places]
    return [_printable(name) for name in names]


def _load(path: Path, name: str) -> Benchmark:
    files, unused = _files(path)
    stems = Counter(_stem(file_name) for _, file_name in files)
    items: list[BenchmarkItem] = []
    seen: set[str] = set()
    for file, file_name in files:
        num_before = len(items)
        label = _stem(file_name) if stems[_stem(file_name)] == 1 else file_name
        for number, row in enumerate(_rows(file), start=1):
            question = _question(row)
            if question:
                item_id = _unique(f"{label}:{_given_id(row) or number}", number, seen)
                items.append(BenchmarkItem(benchmark=name, id=item_id, text=question))
        if len(items) == num_before:
            unused.append(file_name)
    if not items:
        raise DataError(
            f"{path}: no row holds a question; rows need one of the fields {', '.join(QUESTION_FIELDS)} "
            f"in a file with one of the endings {', '.join(_SUFFIXES)}"
        )
    return Benchmark(name=name, items=tuple(items), unused=tuple(sorted(unused)))


def _files(path: Path) -> tuple[list[tuple[Path, str]], list[str]]:
    """List the files to read with their names, and the names of those that no reader is for."""
    if not path.is_dir():
        return [(path, _printable(path.name))], []
    broken: list[Fault] = []
    listed = walk_folder(path, None, broken)
    if broken:
        raise DataError(f"{path / broken[0].path}: cannot be read ({broken[0].detail}); make it readable or remove it")
    is_read = {name: _suffix(name) is not None and not file.name.startswith(".") for file, name in listed}
    return [(file, name) for file, name in listed if is_read[name]], [name for name in is_read if not is_read[name]]


def _suffix(name: str) -> str | None:
    return next((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), None)


def _stem(name: str) -> str:
    return name[: len(name) - len(_suffix(name) or "")]


def _unique(candidate: str, number: int, seen: set[str]) -> str:
    while candidate in seen:
        candidate += f"#row-{number}"
    seen.add(candidate)
    return candidate


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    suffix = _suffix(file.name)
    if suffix is None:
        raise DataError(f"{file}: no reader for this name; the endings are {', '.join(_SUFFIXES)}")
    if not file.is_file():
        raise DataError(f"{file}: is a broken link, or no regular file; remove it")
    if suffix == ".parquet":
        yield from _parquet_rows(file)
    elif suffix.startswith(".csv"):
        yield from _csv_rows(file)
    elif suffix.startswith((".jsonl", ".ndjson")):
        # a line ends at LF only; U+2028 and its like may stand raw in a string
        for number, line in enumerate(_text(file).split("\n"), start=1):
            if line.strip():
                yield _object(_parsed(line, f"{file}:{number}"), f"{file}:{number}")
    elif text := _text(file):
        whole = _parsed(text, str(file))
        for number, row in enumerate(whole if isinstance(whole, list) else [whole], start=1):
            yield _object(row, f"{file}: entry {number}")


def _text(file: Path) -> str:
    try:
        content = b"".join(chunks_of(file))
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); check the file") from error
    except StreamFault as fault:
        if fault.reason is FaultReason.EMPTY_FILE:
            return ""
        raise DataError(f"{file}: cannot be read ({fault.detail}); check the file") from fault
    return decode(content, html=False).text.removeprefix("\ufeff")


def _csv_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        yield from csv.DictReader(io.StringIO(_text(file), newline=""))
    except csv.Error as error:
        raise DataError(f"{file}: cannot be read as CSV ({error}); correct it, or give JSON lines") from error


def _parquet_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        yield from pq.read_table(file).to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as Parquet ({error}); check the file") from error


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: is not JSON ({error}); correct or remove it") from error
    except RecursionError as error:
        raise DataError(f"{where}: lists and objects are nested too deeply; correct or remove it") from error


def _object(row: object, where: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{where}: is no JSON object; give one object per row")
    return row


def _given_id(row: Mapping[str, Any]) -> str:
    values = (row.get(field) for field in _ID_FIELDS)
    given = (value for value in values if isinstance(value, str | int | float) and not isinstance(value, bool))
    return next((_printable(str(value)) for value in given if value != ""), "")


def _question(row: Mapping[str, Any]) -> str:
    for field in QUESTION_FIELDS:
        value = row.get(field)
        if isinstance(value, list) and value and isinstance(value[0], str):
            value = value[0]
        if isinstance(value, str) and value.strip():
            return _printable(value)
    return ""


def _printable(text: str) -> str:
    """Put U+FFFD for half surrogate pairs, which no output can hold: cut emoji, names that are not UTF-8."""
    return _SURROGATE.sub("\ufffd", text)
