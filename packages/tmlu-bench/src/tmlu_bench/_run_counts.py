"""What an engine counts of its requests besides answering them, kept so that a killed run counts each request once.

`engine_counts.jsonl` gets a line whenever all answers of a call are written: what the call added, and how many lines
`items.jsonl` then has. Items behind the last such line are put again, as nobody knows what they added.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from tmlu_bench._outcomes import ItemResult
from tmlu_bench._run_ask import AskMethod
from twllm_engines import Engine
from twllm_runs import JsonlAppender, read_jsonl
from twllm_types import JsonObject

COUNTS_NAME = "engine_counts.jsonl"
_NAMES = ("num_cut", "num_merged")
_NUM_LINES = "num_lines"


def engine_counts(engine: Engine) -> dict[str, int]:
    """Return how many requests the engine has cut (`num_cut`) and how many borders lay inside a token (`num_merged`).

    An engine that counts neither gives nothing.
    """
    found = {name: getattr(engine, name, None) for name in _NAMES}
    return {name: value for name, value in found.items() if isinstance(value, int)}


def is_counting(engine: Engine, method: str) -> bool:
    """Whether the engine counts something in requests of this kind; borders are those of scored options only."""
    cuts = engine.settings.get("truncation") == "left"
    return bool(engine_counts(engine)) and (cuts or method == AskMethod.LIKELIHOOD)


@contextmanager
def open_counts(folder: Path, *, num_lines: int) -> Generator[JsonlAppender]:
    """Open the file of counts; where there is none, the items that there are count as settled.

    Args:
        folder: of the run.
        num_lines: lines that items.jsonl has.
    """
    path = folder / COUNTS_NAME
    is_new = not path.exists()
    with JsonlAppender(path) as appender:
        if is_new:
            appender.append({_NUM_LINES: num_lines})
        yield appender


def settled_items(folder: Path, records: Sequence[ItemResult]) -> Sequence[ItemResult]:
    """Return the records of items.jsonl that need not be put again.

    Args:
        folder: of the run.
        records: all lines of items.jsonl in their order.
    """
    ends = [cast("int", row[_NUM_LINES]) for row in read_jsonl(folder / COUNTS_NAME)]
    return records[: ends[-1] if ends else 0]


def call_row(before: Mapping[str, int], after: Mapping[str, int], num_lines: int) -> JsonObject:
    """Return the line of one call."""
    return {**{name: after[name] - before[name] for name in after}, _NUM_LINES: num_lines}


def read_counts(folder: Path) -> dict[str, int]:
    """Sum up the calls of a run; nothing where the engine counts nothing."""
    path = folder / COUNTS_NAME
    sums: dict[str, int] = {}
    for row in read_jsonl(path) if path.exists() else ():
        for name in _NAMES:
            if name in row:
                sums[name] = sums.get(name, 0) + cast("int", row[name])
    return sums


def truncation_fact(engine_settings: JsonObject, counts: Mapping[str, int]) -> str | None:
    """Say how prompts were cut, "left at 300 tokens"; None where none was.

    Args:
        engine_settings: as the manifest holds them.
        counts: of the run; without a count a setting that cuts is taken to have cut.
    """
    if engine_settings.get("truncation") != "left" or counts.get("num_cut") == 0:
        return None
    return f"left at {engine_settings.get('max_model_len')} tokens"
