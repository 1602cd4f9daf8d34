"""Few-shot splits: by files of row numbers that name the hash of their data, or drawn by a seed."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from icda._data import IntentData
from icda._text import normalise_text
from twllm_runs import unique_keys, write_text_atomic
from twllm_types import ConfigError, DataError, IntentExample

_SHA256_KEY = "sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSplit:
    """One split as rows of another.

    Attributes:
        source_split: name of the data that the rows count in.
        rows: row numbers from 0, header not counted.
    """

    source_split: str
    rows: tuple[int, ...]


def load_index_splits(
    path: Path, sources: Mapping[str, IntentData], *, sha256: Mapping[str, str] | None = None
) -> dict[str, tuple[IntentExample, ...]]:
    """Read a file of row numbers and take the rows it names.

    Layout (that of the DNNC splits, and the hashes): `{split: {"source_split": name, "rows": [...]}, "sha256": {name:
    hash}}`. A row number fits one data file only, so the hash of each source is compared before a row is taken.

    Args:
        path: the file.
        sources: data by the name of the source split.
        sha256: hashes by source split, for files that do not name them; both must agree where both are given.

    Returns:
        The examples of every split, in the order of its rows; a row that comes twice comes twice.

    Raises:
        DataError: the file has another layout, names no hash, the hash of a source is another, a source is missing, or
            a row lies outside of it.
    """
    splits, named = _read_index(path)
    given = dict(sha256 or {})
    for source, expected in named.items():
        if given.setdefault(source, expected) != expected:
            raise DataError(f"{path}: sha256 of {source!r} is {expected}, given was {given[source]}; correct one")
    for source in sorted({split.source_split for split in splits.values()}):
        _check_source(path, source, sources, given)
    return {
        name: _taken(f"{path}: {name}", split, sources[split.source_split].examples) for name, split in splits.items()
    }


def write_index_splits(path: Path, splits: Mapping[str, IndexSplit], sources: Mapping[str, IntentData]) -> None:
    """Write a file of row numbers with the hashes of the data they count in; `load_index_splits` reads it.

    Raises:
        ConfigError: a source is missing, or a split is called `sha256`.
        RunError: the file cannot be written.
    """
    if _SHA256_KEY in splits:
        raise ConfigError(f"{path}: no split can be called {_SHA256_KEY!r}; rename it")
    used = sorted({split.source_split for split in splits.values()})
    missing = [source for source in used if source not in sources]
    if missing:
        raise ConfigError(f"{path}: there is no source {missing[0]!r}; give its data")
    content: dict[str, object] = {
        name: {"source_split": split.source_split, "rows": list(split.rows)} for name, split in splits.items()
    }
    content[_SHA256_KEY] = {source: sources[source].sha256 for source in used}
    write_text_atomic(path, json.dumps(content, ensure_ascii=False) + "\n")


def few_shot_rows(examples: Sequence[IntentExample], *, num_shots: int, seed: int) -> tuple[int, ...]:
    """Draw `num_shots` rows of every intent.

    The order of the rows of an intent is that of a hash of seed, intent and row number, so the draw of one intent does
    not depend on the others, and fewer shots of the same seed are part of more. Rows whose text the intent has had
    already and out-of-scope rows are left out.

    Args:
        examples: what is drawn from.
        num_shots: rows per intent, at least 1.
        seed: of the draw.

    Returns:
        Row numbers, ascending.

    Raises:
        ConfigError: `num_shots` is below 1.
        DataError: an intent has fewer different texts.
    """
    if num_shots < 1:
        raise ConfigError(f"num_shots is {num_shots}; give at least 1")
    rows_of: dict[str, list[int]] = {}
    for row in _first_rows(examples):
        intent = examples[row].intent
        if intent is not None:
            rows_of.setdefault(intent, []).append(row)
    chosen: list[int] = []
    for intent, rows in sorted(rows_of.items()):
        if len(rows) < num_shots:
            raise DataError(
                f"intent {intent!r} has {len(rows)} different utterances; lower num_shots from {num_shots} or add some"
            )
        chosen += sorted(rows, key=partial(_rank, seed, intent))[:num_shots]
    return tuple(sorted(chosen))


def deduplicated(examples: Sequence[IntentExample]) -> tuple[IntentExample, ...]:
    """Keep the first of the rows that share intent and text (as `normalise_text` compares them), in order.

    BANKING77's validation split was drawn with replacement, and a mean over it would count some rows several times.
    """
    return tuple(examples[row] for row in _first_rows(examples))


def _first_rows(examples: Sequence[IntentExample]) -> Iterable[int]:
    seen: set[tuple[str | None, str]] = set()
    for row, example in enumerate(examples):
        # A text of punctuation alone has nothing left to compare but itself.
        key = (example.intent, normalise_text(example.text) or example.text)
        if key not in seen:
            seen.add(key)
            yield row


def _rank(seed: int, intent: str, row: int) -> bytes:
    return hashlib.sha256(json.dumps([seed, intent, row], ensure_ascii=True).encode("ascii")).digest()


def _read_index(path: Path) -> tuple[dict[str, IndexSplit], dict[str, str]]:
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique_keys)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON ({error}); give {{split: {{source_split, rows}}}}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: holds {type(value).__name__}; give {{split: {{source_split, rows}}}}")
    content = cast("dict[str, object]", value)
    hashes = content.pop(_SHA256_KEY, {})
    named = cast("dict[str, object]", hashes) if isinstance(hashes, dict) else {"": hashes}
    if not all(isinstance(one, str) for one in named.values()):
        raise DataError(f"{path}: sha256 must be {{source_split: hash}}; correct it")
    if not content:
        raise DataError(f"{path}: names no split; give {{split: {{source_split, rows}}}}")
    splits = {name: _read_split(f"{path}: {name}", split) for name, split in content.items()}
    return splits, cast("dict[str, str]", named)


def _read_split(where: str, value: object) -> IndexSplit:
    fields = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    source, rows = fields.get("source_split"), fields.get("rows")
    if not isinstance(source, str) or not isinstance(rows, list):
        raise DataError(f"{where}: is not {{source_split, rows}}; give both")
    numbers = cast("list[object]", rows)
    bad = [number for number in numbers if isinstance(number, bool) or not isinstance(number, int) or number < 0]
    if bad or not numbers:
        raise DataError(f"{where}: rows hold {bad[0]!r}; give row numbers from 0" if bad else f"{where}: has no rows")
    return IndexSplit(source_split=source, rows=tuple(cast("list[int]", numbers)))


def _check_source(path: Path, source: str, sources: Mapping[str, IntentData], expected: Mapping[str, str]) -> None:
    if source not in sources:
        raise DataError(f"{path}: counts rows of {source!r}, given were {', '.join(sources) or 'no data'}; give them")
    if source not in expected:
        raise DataError(
            f"{path}: names no sha256 for {source!r}, so its rows could be those of another file; add it, or give "
            "it as an argument"
        )
    found = sources[source].sha256
    if found != expected[source]:
        raise DataError(
            f"{path}: counts rows of a {source!r} with sha256 {expected[source]}, but {sources[source].source} has "
            f"{found}; use the data that the splits were made for"
        )


def _taken(where: str, split: IndexSplit, examples: Sequence[IntentExample]) -> tuple[IntentExample, ...]:
    largest = max(split.rows)
    if largest >= len(examples):
        raise DataError(f"{where}: row {largest} lies outside of the {len(examples)} rows of {split.source_split!r}")
    return tuple(examples[row] for row in split.rows)
