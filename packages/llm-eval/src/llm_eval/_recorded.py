"""Reads what other projects recorded of their judges, row by row in the order of a data set."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from llm_eval._judge_scores import JudgeScores
from twllm_runs import unique_keys
from twllm_types import DataError, FrozenDict, JsonObject, JsonValue

# A whole number in JSON may be larger than any float.
_LARGEST = sys.float_info.max

_REPEAT = re.compile(r"(.+)_([1-9]\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedJudge:
    """A judge's scores in the order of the rows that it judged.

    Attributes:
        name: model where the file names it, else the name of the file.
        scores: for each dimension its repeats, each with one number per row.
        human: mean rating of each row by dimension, as the recording has it; empty where it has none.
        published: correlations that the recording states, by coefficient; empty where it states none.
        num_rows: rows of the data set.
    """

    name: str
    scores: Mapping[str, tuple[tuple[float, ...], ...]]
    human: Mapping[str, tuple[float, ...]]
    published: Mapping[str, float]
    num_rows: int

    def __post_init__(self) -> None:
        for name in ("scores", "human", "published"):
            object.__setattr__(self, name, FrozenDict(getattr(self, name)))

    def join(self, item_ids: Sequence[str]) -> JudgeScores:
        """The scores with the ids of the rows, which must be in the order of the data set that was judged.

        Rows are joined by their order and not by their text, since data sets repeat texts.

        Raises:
            DataError: there is not one id per row, or an id comes twice.
        """
        if len(item_ids) != self.num_rows:
            raise DataError(
                f"{self.name} has {self.num_rows} recorded rows for {len(item_ids)} items; give the items of the "
                "whole set in its order"
            )
        if len(set(item_ids)) != len(item_ids):
            raise DataError(f"{self.name}: an item id comes twice; give each row its own")
        scores = {
            item_id: {name: tuple(repeat[row] for repeat in repeats) for name, repeats in self.scores.items()}
            for row, item_id in enumerate(item_ids)
        }
        return JudgeScores(judge=self.name, scores=scores, failures={})


def read_recorded(path: Path) -> RecordedJudge:
    """Read one recording, in any of these JSON layouts.

    - an object with `model`, `human`, `predicted` and `published` (AutomaticDialogueEvaluation): dimension `Overall`;
    - a list of rows with `scores` and `predict_scores` by dimension (UniEval);
    - an object of columns named `<dimension>_<repeat>`, repeats from 1 (comp-analysis).

    Raises:
        DataError: the file cannot be read, has another layout, columns of unequal length, or a value that is no number.
    """
    try:
        content: JsonValue = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique_keys)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); check the path and the file") from error
    if isinstance(content, list):
        recorded = _read_rows(content, path)
    elif isinstance(content, dict) and "predicted" in content:
        recorded = _read_pair(content, path)
    elif isinstance(content, dict) and content and all(_REPEAT.fullmatch(name) for name in content):
        recorded = _read_repeats(content, path)
    else:
        raise DataError(f"{path}: has no layout of a recorded judge; see the documentation of read_recorded")
    columns = [column for repeats in recorded.scores.values() for column in repeats] + list(recorded.human.values())
    if any(len(column) != recorded.num_rows for column in columns):
        raise DataError(f"{path}: its columns have unequal lengths; give one value of each per row")
    return recorded


def _read_pair(content: JsonObject, path: Path) -> RecordedJudge:
    predicted = _numbers(content["predicted"], f"{path}: predicted")
    published = content.get("published", {})
    model = content.get("model", path.stem)
    return RecordedJudge(
        name=str(model),
        scores={"Overall": (predicted,)},
        human={"Overall": _numbers(content.get("human"), f"{path}: human")},
        published={} if not isinstance(published, dict) else _figures(published, f"{path}: published"),
        num_rows=len(predicted),
    )


def _read_rows(content: list[JsonValue], path: Path) -> RecordedJudge:
    given: dict[str, list[JsonValue]] = {}
    human: dict[str, list[JsonValue]] = {}
    for number, row in enumerate(content, start=1):
        match row:
            case {"scores": dict() as means, "predict_scores": dict() as predicted}:
                for columns, values in ((human, means), (given, predicted)):
                    for name, value in cast("JsonObject", values).items():
                        columns.setdefault(name, []).append(value)
            case _:
                raise DataError(f"{path}: row {number} has no 'scores' and 'predict_scores'; check the layout")
    return RecordedJudge(
        name=path.stem,
        scores={name: (_numbers(column, f"{path}: {name}"),) for name, column in given.items()},
        human={name: _numbers(column, f"{path}: {name}") for name, column in human.items()},
        published={},
        num_rows=len(content),
    )


def _read_repeats(content: JsonObject, path: Path) -> RecordedJudge:
    columns: dict[str, dict[int, tuple[float, ...]]] = {}
    for name, values in content.items():
        dimension, _, repeat = name.rpartition("_")
        columns.setdefault(dimension, {})[int(repeat)] = _numbers(values, f"{path}: {name}")
    scores = {name: tuple(repeats[number] for number in sorted(repeats)) for name, repeats in columns.items()}
    num_rows = len(next(iter(scores.values()))[0])
    return RecordedJudge(name=path.stem, scores=scores, human={}, published={}, num_rows=num_rows)


def _numbers(values: JsonValue, what: str) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise DataError(f"{what} is {type(values).__name__}; give a list of numbers")
    return tuple(_number(value, f"{what}[{at}]") for at, value in enumerate(values))


def _figures(values: JsonObject, what: str) -> dict[str, float]:
    return {name: _number(value, f"{what}: {name}") for name, value in values.items()}


def _number(value: JsonValue, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise DataError(f"{what} is {value!r}; give a number")
    return float(value)
