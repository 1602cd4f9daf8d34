"""Values of the command line."""

import json
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import cast

from llm_eval._dimensions import PAPER_DIMENSIONS, Dimension, dimension_from_json
from llm_eval._judgements import JudgementFailureKind
from twllm_runs import unique_keys
from twllm_types import ConfigError, DataError, JsonValue


def read_numbers(words: Sequence[str] | None, option: str) -> dict[str, float]:
    """Read `NAME=NUMBER` words; none give an empty dictionary.

    Raises:
        ConfigError: a word has another form, or a name comes twice.
    """
    numbers: dict[str, float] = {}
    for word in words or ():
        name, sign, text = word.rpartition("=")
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (sign and name and isfinite(value)):
            raise ConfigError(f"{option} {word!r} is not NAME=NUMBER; write such as relevance=3.5")
        if name in numbers:
            raise ConfigError(f"{option} names {name!r} twice; give it once")
        numbers[name] = value
    return numbers


def read_kinds(words: Sequence[str] | None) -> frozenset[JudgementFailureKind]:
    """Read kinds of failure.

    Raises:
        ConfigError: a word is none.
    """
    known = {kind.value: kind for kind in JudgementFailureKind}
    for word in words or ():
        if word not in known:
            raise ConfigError(f"--retry-kinds {word!r} is no failure; give some of {', '.join(known)}")
    return frozenset(known[word] for word in words or ())


def read_dimensions(names: Sequence[str] | None, path: Path | None) -> tuple[Dimension, ...]:
    """Read dimensions by name, or from a JSON file; the paper's where neither is given.

    Raises:
        ConfigError: both are given, a row of the file is no dimension, or the file is nested too deep.
        DataError: the file is no JSON list, or repeats a key in one object.
    """
    if path is None:
        return tuple(Dimension(name=name) for name in names) if names else PAPER_DIMENSIONS
    if names:
        raise ConfigError("--dimensions and --dimensions-file are both given; give one of them")
    try:
        rows: object = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique_keys)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: is not JSON that can be read ({error}); give a list of dimensions") from error
    except RecursionError as error:
        raise ConfigError(
            f"{path}: is nested too deep; give a list of names or {{name, definition, levels}}"
        ) from error
    if not isinstance(rows, list):
        raise DataError(f"{path}: holds no list; give a list of names or {{name, definition, levels}}")
    return tuple(dimension_from_json(row) for row in cast("list[JsonValue]", rows))


def read_words(words: Sequence[str] | None, option: str) -> dict[str, str]:
    """Read `NAME=WORD` words; none give an empty dictionary.

    Raises:
        ConfigError: a word has another form, or a name comes twice.
    """
    found: dict[str, str] = {}
    for word in words or ():
        name, sign, value = word.partition("=")
        if not (sign and name and value) or name in found:
            raise ConfigError(f"{option} {word!r} is not NAME=WORD, or its name comes twice; write each once")
        found[name] = value
    return found
