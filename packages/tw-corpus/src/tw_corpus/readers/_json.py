"""One JSON object from text, with lone surrogates repaired and counted. No input or output."""

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


def parse_object(text: str) -> ParsedObject | ParseFault:
    r"""Parse one JSON object; of duplicate keys the last counts.

    An escape that is half of a surrogate pair ("\ud83d" where a text was cut in an emoji) has no character and could
    not be written as UTF-8: it becomes U+FFFD and is counted.
    """
    num_surrogates = 0
    try:
        value = cast("JsonValue", orjson.loads(text))
    except orjson.JSONDecodeError as error:
        if (nul := text.find("\x00")) >= 0:
            return ParseFault(reason=FaultReason.NUL_BYTE, detail=f"NUL at character {nul + 1}")
        repaired, num_surrogates = _repair(text)
        if not num_surrogates:
            return ParseFault(reason=FaultReason.INVALID_JSON, detail=str(error))
        try:
            value = cast("JsonValue", orjson.loads(repaired))
        except orjson.JSONDecodeError as still:
            return ParseFault(reason=FaultReason.INVALID_JSON, detail=str(still))
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
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"


def _repair(text: str) -> tuple[str, int]:
    if not _LONE.search(text):
        return text, 0
    num_repaired = 0

    def replace(escape: re.Match[str]) -> str:
        nonlocal num_repaired
        num_repaired += escape[1] is not None
        return "\\ufffd" if escape[1] else escape[0]

    return _ESCAPE.sub(replace, text), num_repaired
