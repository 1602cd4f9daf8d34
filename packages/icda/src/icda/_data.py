"""Reads intent data: CSV, JSONL, CLINC's JSON, and folders of Hugging Face datasets.

Every loader gives one example per row, in the order of the file, so that a row number of an index file means the same
row everywhere. Nothing is dropped: a row that cannot be used is an error that names file, line and field.
"""

import csv
import hashlib
import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from icda._text import has_half_character
from twllm_runs import parse_json_line, unique_keys
from twllm_types import DataError, IntentExample

OUT_OF_SCOPE = "oos"
TEXT_FIELDS = ("text", "utterance", "sentence")
INTENT_FIELDS = ("category", "intent", "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentData:
    """The rows of one data set or split.

    Attributes:
        examples: in the order of the file; out-of-scope rows have no intent.
        sha256: of the bytes of the file, or of the list of files where it is a folder; hexadecimal.
        source: what messages call it.
    """

    examples: tuple[IntentExample, ...]
    sha256: str
    source: str

    @property
    def intents(self) -> tuple[str, ...]:
        """Intents that occur, sorted."""
        return intents_of(self.examples)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFields:
    """Which fields of a row are read, and how.

    Attributes:
        text: name of the field of the utterance; None takes the only one of `text`, `utterance`, `sentence` there is.
        intent: name of the field of the label; None takes the only one of `category`, `intent`, `label` there is.
        out_of_scope: the label that stands for "none of the intents"; None where there is no such label.
        known: labels that may occur; None allows every label.
    """

    text: str | None = None
    intent: str | None = None
    out_of_scope: str | None = OUT_OF_SCOPE
    known: Collection[str] | None = None


def load_intent_data(path: Path, *, split: str | None = None, fields: RowFields | None = None) -> IntentData:
    """Read the rows of a file, by its kind.

    `.csv` with a header; `.jsonl` of one object per line; `.json` in CLINC's layout `{split: [[text, intent], ...]}`;
    a folder written by `datasets.Dataset.save_to_disk` (extra `datasets`).

    Args:
        path: file or folder.
        split: of CLINC's JSON or a `DatasetDict`; None for files without splits.
        fields: which fields are read; None for the usual names.

    Raises:
        DataError: the path cannot be read or is of another kind, a split is missing or given where there is none, or a
            row cannot be used: an empty utterance, an empty or unknown label; the message begins with file:line.
        MissingDependencyError: a folder, and the extra `datasets` is not installed.
    """
    chosen = fields if fields is not None else RowFields()
    if path.is_dir():
        from icda._data_folder import load_datasets_folder

        return load_datasets_folder(path, split=split, fields=chosen)
    if path.suffix == ".json":
        return _of_clinc(path, split, chosen)
    readers = {".csv": _csv_rows, ".jsonl": _jsonl_rows}
    if path.suffix not in readers:
        raise DataError(f"{path}: is neither .csv, .jsonl, .json nor a folder of datasets; give one of them")
    if split is not None:
        raise DataError(f"{path}: a {path.suffix} file has no splits; leave {split!r} out")
    content = _read_bytes(path)
    rows = list(readers[path.suffix](path, content))
    return IntentData(
        examples=read_rows(rows, fields=chosen, name=path.stem), sha256=_sha256(content), source=str(path)
    )


def intents_of(examples: Iterable[IntentExample]) -> tuple[str, ...]:
    """Return the intents that occur, sorted; out-of-scope rows have none."""
    return tuple(sorted({example.intent for example in examples if example.intent is not None}))


def read_rows(
    rows: Sequence[tuple[str, Mapping[str, object]]], *, fields: RowFields, name: str
) -> tuple[IntentExample, ...]:
    """Turn rows into examples.

    Args:
        rows: where each stands, for messages, and its fields.
        fields: which of them are read.
        name: of the data set; the id of a row without one is `name:row number`, from 0.

    Raises:
        DataError: there is no row, or one cannot be used.
    """
    if not rows:
        raise DataError(f"{name}: holds no rows; give at least one utterance")
    text_field = _field(rows[0], fields.text, TEXT_FIELDS)
    intent_field = _field(rows[0], fields.intent, INTENT_FIELDS)
    chosen = replace(fields, text=text_field, intent=intent_field)
    return tuple(
        read_example(
            where,
            text=_at(where, row, text_field),
            intent=_at(where, row, intent_field),
            row_id=_row_id(row, f"{name}:{number}"),
            fields=chosen,
        )
        for number, (where, row) in enumerate(rows)
    )


def read_example(where: str, *, text: object, intent: object, row_id: str, fields: RowFields) -> IntentExample:
    """Turn one utterance and its label into an example; null or the out-of-scope label become no intent.

    Raises:
        DataError: the utterance is no text or empty, the label is empty or unknown, or one holds half a character; the
            message begins with `where`.
    """
    text_field, intent_field = fields.text or "text", fields.intent or "intent"
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{where}: {text_field} is empty or no text ({text!r}); fill it or drop the row")
    for name, value in ((text_field, text), (intent_field, intent), ("id", row_id)):
        if isinstance(value, str) and has_half_character(value):
            raise DataError(f"{where}: {name} holds a lone surrogate, half a character; replace it ({value!r:.80})")
    if intent is None or intent == fields.out_of_scope:
        return IntentExample(text=text, intent=None, id=row_id)
    if not isinstance(intent, str) or not intent.strip():
        raise DataError(f"{where}: {intent_field} is empty or no text ({intent!r}); give the label of the utterance")
    if fields.known is not None and intent not in fields.known:
        raise DataError(
            f"{where}: {intent_field} {intent!r} is none of the {len(fields.known)} known intents; correct the label "
            "or add it to the seeds"
        )
    return IntentExample(text=text, intent=intent, id=row_id)


def _row_id(row: Mapping[str, object], otherwise: str) -> str:
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else otherwise


def _field(row: tuple[str, Mapping[str, object]], given: str | None, usual: Sequence[str]) -> str:
    where, fields = row
    found = [name for name in ((given,) if given is not None else usual) if name in fields]
    if len(found) == 1:
        return found[0]
    wanted = repr(given) if given is not None else " or ".join(repr(name) for name in usual)
    state = "more than one of" if found else "no field"
    raise DataError(f"{where}: has {state} {wanted} among {', '.join(fields) or 'no fields'}; name the field to read")


def _at(where: str, row: Mapping[str, object], name: str) -> object:
    if name not in row:
        raise DataError(f"{where}: has no field {name!r}; every row needs it")
    return row[name]


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: byte {error.start} is not UTF-8; write the file as UTF-8") from error


def _csv_rows(path: Path, content: bytes) -> Iterable[tuple[str, Mapping[str, object]]]:
    reader = csv.reader(io.StringIO(_decoded(path, content), newline=""), strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            where, line = f"{path}:{line}", reader.line_num + 1
            if not cells:
                continue
            if header is None:
                header = _header(where, cells)
            elif len(cells) != len(header):
                raise DataError(
                    f"{where}: has {len(cells)} cells, the header has {len(header)}; quote cells that hold commas"
                )
            else:
                yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is not CSV ({error}); correct the quotes") from error


def _header(where: str, cells: Sequence[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(set(names)) < len(names):
        raise DataError(f"{where}: the header names a column twice ({', '.join(names)}); rename one")
    return names


def _jsonl_rows(path: Path, content: bytes) -> Iterable[tuple[str, Mapping[str, object]]]:
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if number == len(lines) and not line:
            return
        where = f"{path}:{number}"
        yield where, parse_json_line(line, where=where)


def _of_clinc(path: Path, split: str | None, fields: RowFields) -> IntentData:
    content = _read_bytes(path)
    text = _decoded(path, content)
    try:
        whole: object = json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON ({error}); give {{split: [[text, intent], ...]}}") from error
    if not isinstance(whole, dict):
        raise DataError(f"{path}: holds {type(whole).__name__}; give {{split: [[text, intent], ...]}}")
    splits = cast("dict[str, object]", whole)
    if split is None or split not in splits:
        raise DataError(f"{path}: has the splits {', '.join(splits)}; name one of them, not {split!r}")
    rows = splits[split]
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path}: {split} holds no rows; give [[text, intent], ...]")
    examples = tuple(
        _clinc_example(f"{path}: {split}[{number}]", row, f"{split}:{number}", fields)
        for number, row in enumerate(cast("list[object]", rows))
    )
    return IntentData(examples=examples, sha256=_sha256(content), source=f"{path} ({split})")


def _clinc_example(where: str, row: object, row_id: str, fields: RowFields) -> IntentExample:
    pair = cast("list[object]", row) if isinstance(row, list) else []
    if len(pair) != 2:
        raise DataError(f"{where}: is not [text, intent]; give both")
    return read_example(where, text=pair[0], intent=pair[1], row_id=row_id, fields=fields)
