"""Reads a judge's scores from files."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, cast

from llm_eval._items import JudgeItem
from llm_eval._judge_scores import JudgeScores, ScoreRow, collect_scores, match_in_order
from llm_eval._load_items import read_rows
from twllm_types import DataError, JsonObject, JsonValue

# A whole number in JSON may be larger than any float.
_LARGEST = sys.float_info.max

_TextKey: TypeAlias = tuple[str | None, tuple[str, ...], str | None]


def load_judgements(
    path: Path, *, judge: str | None = None, items: Sequence[JudgeItem] = (), field: str | None = None
) -> JudgeScores:
    """Read scores from a JSONL file, or from one packed by gzip.

    A line is a judgement of ours (`judgements.jsonl`: `item_id`, `repeat`, `scores` with `{dimension: {value |
    verdict}}` or null, `failure`; of several attempts the last counts), or `{id, scores: {dimension: value}}` with
    numbers, words, or several figures such as `{expected, argmax}` of which `field` names one. A line without an id is
    joined to `items` by its `system`, `context` and `response`; texts that come several times are joined in the order
    of the lines.

    Args:
        path: the file.
        judge: name in tables; None for the name of the file without its ending.
        items: what was judged, needed for lines without ids.
        field: figure to take where a score has several; None for `value` or `verdict`.

    Raises:
        DataError: the file cannot be read or is empty, a line is none of these, a text is that of no item, or an item
            has one repeat twice; the message begins with file:line.
    """
    lines = [(f"{path}:{number}", row) for number, row in enumerate(read_rows(path), start=1)]
    if not lines:
        raise DataError(f"{path}: holds no judgement; give at least one line")
    ids = _ids(lines, items)
    rows = [_score_row(row, item_id, where, field) for (where, row), item_id in zip(lines, ids, strict=True)]
    rows = _last_attempts(rows, [row.get("num_attempts") for _, row in lines])
    return collect_scores(path.name.removesuffix(".gz").removesuffix(".jsonl") if judge is None else judge, rows)


def _ids(lines: Sequence[tuple[str, JsonObject]], items: Sequence[JudgeItem]) -> list[str]:
    named = ["item_id" in row or "id" in row for _, row in lines]
    keys = [_text_key(row, where) for (where, row), has_id in zip(lines, named, strict=True) if not has_id]
    known = [
        ((item.system, tuple(turn.text for turn in item.context), item.response), item.id) for item in items if keys
    ]
    found = iter(match_in_order(keys, known))
    ids: list[str] = []
    for (where, row), has_id in zip(lines, named, strict=True):
        value: JsonValue = row.get("item_id", row.get("id")) if has_id else next(found)
        if isinstance(value, bool) or not isinstance(value, str | int):
            fix = "give a text or a whole number" if has_id else "its text is that of no item; give ids, or the items"
            raise DataError(f"{where}: the item's id is {value!r}; {fix}")
        ids.append(str(value))
    return ids


def _last_attempts(rows: Sequence[ScoreRow], attempts: Sequence[JsonValue]) -> list[ScoreRow]:
    """Leave out each attempt that is followed by a later one of the same judgement."""
    kept: dict[tuple[str, int], list[ScoreRow]] = {}
    last: dict[tuple[str, int], int] = {}
    for row, attempt in zip(rows, attempts, strict=True):
        key = row.item_id, row.repeat
        number = attempt if isinstance(attempt, int) else 0
        if 0 < last.get(key, 0) < number:
            kept[key] = [row]
        else:
            kept.setdefault(key, []).append(row)
        last[key] = number
    return [row for group in kept.values() for row in group]


def _text_key(row: JsonObject, where: str) -> _TextKey:
    context, system, response = row.get("context"), row.get("system"), row.get("response")
    turns = context if isinstance(context, list) else [context]
    texts = [turn[-1] if isinstance(turn, list) and turn else turn for turn in turns]
    if not all(isinstance(text, str) for text in texts) or not isinstance(response, str | None):
        raise DataError(f"{where}: has neither an id nor context and response; give one of them")
    return (system if isinstance(system, str) else None), tuple(cast("list[str]", texts)), response


def _score_row(row: JsonObject, item_id: str, where: str, field: str | None) -> ScoreRow:
    repeat, scores = row.get("repeat", 0), row.get("scores")
    if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 0:
        raise DataError(f"{where}: repeat is {repeat!r}; give a whole number from 0")
    if scores is None:
        return ScoreRow(where=where, item_id=item_id, repeat=repeat, values=None, failure=_failure(row, where))
    if not isinstance(scores, dict) or not scores:
        raise DataError(f"{where}: scores are {scores!r}; give {{dimension: value}}, or null and the failure")
    values = {name: _value(value, field, f"{where}: score of {name!r}") for name, value in scores.items()}
    return ScoreRow(where=where, item_id=item_id, repeat=repeat, values=values, failure=None)


def _failure(row: JsonObject, where: str) -> str:
    failure = row.get("failure")
    kind = failure.get("kind") if isinstance(failure, dict) else failure
    if not isinstance(kind, str) or not kind:
        raise DataError(f"{where}: has neither scores nor a failure; give {{dimension: value}}, or the failure")
    return kind


def _value(value: JsonValue, field: str | None, what: str) -> float | str:
    if isinstance(value, dict):
        names = ("value", "verdict") if field is None else (field,)
        value = next((value[name] for name in names if value.get(name) is not None), json.dumps(value))
        if isinstance(value, str) and "verdict" not in names:
            raise DataError(f"{what} has no number {names[0]!r}; name another figure")
    if isinstance(value, str) and value.strip() and not value.startswith("{"):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise DataError(f"{what} is {value!r}; give a number or a verdict, or null scores and the failure")
    return float(value)
