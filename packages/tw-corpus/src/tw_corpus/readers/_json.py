"""One JSON object from text that can be written again: lone surrogates repaired, numbers exact. No input or output."""

import json
import math
import re
from dataclasses import dataclass
from typing import cast

import orjson

from tw_corpus._records import FaultReason
from twllm_types import JsonObject, JsonValue

# Takes any escape, so that "ud800" after an escaped backslash is not mistaken for one.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_LONE = re.compile(r"\\u[dD][89a-fA-F]")
# orjson writes 254 levels; a record puts its object two levels down, and who carries it further may add some.
_MAX_DEPTH = 200
_LEAST_INT, _MOST_INT = -(2**63), 2**64 - 1  # what orjson writes
_LEAST_DOUBTFUL = 2.0**63  # orjson reads an integer beyond 64 bits as a float of at least this size


class Outsized(str):
    """A number as it stands in the text, where JSON writers here cannot hold it: beyond 64 bits, or beyond a float."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedObject:
    """A JSON object, and how many lone surrogate escapes in it were replaced by U+FFFD."""

    value: JsonObject
    num_surrogates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseFault:
    """Why a line is no object: a reason and a sentence."""

    reason: FaultReason
    detail: str


_TOO_DEEP = ParseFault(
    reason=FaultReason.NESTED_TOO_DEEPLY, detail=f"lists and objects are nested deeper than {_MAX_DEPTH}"
)


def parse_object(text: str) -> ParsedObject | ParseFault:
    r"""Parse one JSON object; of duplicate keys the last counts.

    An escape that is half of a surrogate pair ("\ud83d" where a text was cut in an emoji) has no character and could
    not be written as UTF-8: it becomes U+FFFD and is counted. A number that does not fit (an integer beyond 64 bits,
    1e400) becomes an `Outsized`; ``NaN`` and ``Infinity`` are no JSON.
    """
    try:
        value, num_surrogates = cast("JsonValue", orjson.loads(text)), 0
    except orjson.JSONDecodeError as error:
        if (nul := text.find("\x00")) >= 0:
            return ParseFault(reason=FaultReason.NUL_BYTE, detail=f"NUL at character {nul + 1}")
        text, num_surrogates = _repair(text)
        try:
            value = _load_exactly(text)
        except ValueError:
            return ParseFault(reason=FaultReason.INVALID_JSON, detail=str(error))
        except RecursionError:
            return _TOO_DEEP
    depth, has_doubtful = _survey(value)
    if depth > _MAX_DEPTH:
        return _TOO_DEEP
    if has_doubtful:
        value = _load_exactly(text)
    if not isinstance(value, dict):
        return ParseFault(reason=FaultReason.NOT_AN_OBJECT, detail=f"JSON, but {kind_of(value)}")
    return ParsedObject(value=value, num_surrogates=num_surrogates)


def kind_of(value: JsonValue) -> str:
    """Name the kind of a JSON value: "a list", "null"."""
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float() | Outsized():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"


def _survey(value: JsonValue) -> tuple[int, bool]:
    """Count the levels of lists and objects, and tell whether some number may have been an integer beyond 64 bits."""
    depth, has_doubtful = 0, False
    level = [value] if isinstance(value, list | dict) else []
    while level:
        depth += 1
        below: list[list[JsonValue] | dict[str, JsonValue]] = []
        for container in level:
            for each in container.values() if isinstance(container, dict) else container:
                if isinstance(each, list | dict):
                    below.append(each)
                elif isinstance(each, float) and abs(each) >= _LEAST_DOUBTFUL:
                    has_doubtful = True
        level = below
    return depth, has_doubtful


def _load_exactly(text: str) -> JsonValue:
    """Parse slowly, with every number that does not fit as `Outsized`.

    Raises:
        ValueError: no JSON.
        RecursionError: nested as deep as Python itself can go.
    """
    return json.loads(text, parse_int=_int, parse_float=_float, parse_constant=_constant)


def _int(digits: str) -> int | Outsized:
    is_short = len(digits) <= len(str(_LEAST_INT))  # `int` refuses thousands of digits
    return number if is_short and _LEAST_INT <= (number := int(digits)) <= _MOST_INT else Outsized(digits)


def _float(digits: str) -> float | Outsized:
    return number if math.isfinite(number := float(digits)) else Outsized(digits)


def _constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is not JSON")


def _repair(text: str) -> tuple[str, int]:
    if not _LONE.search(text):
        return text, 0
    num_repaired = 0

    def replace(escape: re.Match[str]) -> str:
        nonlocal num_repaired
        num_repaired += escape[1] is not None
        return "\\ufffd" if escape[1] else escape[0]

    return _ESCAPE.sub(replace, text), num_repaired
