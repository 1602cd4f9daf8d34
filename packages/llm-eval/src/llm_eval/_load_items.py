"""Reads items from files."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from llm_eval._items import JudgeItem, item_from_json
from twllm_runs import parse_json_line, read_jsonl
from twllm_types import DataError, JsonObject


def load_items(path: Path) -> tuple[JudgeItem, ...]:
    """Read the items of a JSONL file, or of one packed by gzip (`.gz`), in order.

    Raises:
        DataError: the file cannot be read or holds no item, a line is no item, or an id comes twice; the message begins
            with file:line.
    """
    items: dict[str, JudgeItem] = {}
    lines: dict[str, int] = {}
    for number, row in enumerate(read_rows(path), start=1):
        item = item_from_json(row, source=f"{path}:{number}")
        if item.id in items:
            raise DataError(f"{path}:{number}: id {item.id!r} is that of line {lines[item.id]}; give each its own")
        items[item.id] = item
        lines[item.id] = number
    if not items:
        raise DataError(f"{path}: holds no item; give at least one line")
    return tuple(items.values())


def read_rows(path: Path) -> Iterator[JsonObject]:
    """Yield the objects of a JSONL file, packed by gzip where its name ends in `.gz`, in order.

    Raises:
        DataError: the file cannot be read or unpacked, or a line is not one JSON object in UTF-8, or repeats a
            key.
    """
    if path.suffix != ".gz":
        yield from read_jsonl(path)
        return
    try:
        with gzip.open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                yield parse_json_line(line, where=f"{path}:{number}")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}); check the path and the file") from error
