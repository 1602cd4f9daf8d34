"""Finds JSON objects in free text and says where each value stands.

The standard library's decoder reads keys and values; it gives no positions, which expected scores need.
"""

import json
import re
from dataclasses import dataclass
from typing import TypeAlias

JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
"""A number in JSON's syntax: no leading zero, plus or bare point."""
_SPACE = re.compile(r"[ \t\r\n]*")
_OPENING = re.compile(r'\{[ \t\r\n]*(?=["}])')
# strict=False: models break lines inside strings, which changes no number.
_DECODER = json.JSONDecoder(strict=False)
DecodedJson: TypeAlias = "bool | int | float | str | list[DecodedJson] | dict[str, DecodedJson] | None"
"""A JSON value as Python decodes it; NaN and the infinities are among the floats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One key and its value.

    Attributes:
        key: the key, unescaped.
        value: the value, decoded.
        start: offset of the value's first character in the text; of its quotation mark for a string.
        end: offset behind its last character.
    """

    key: str
    value: DecodedJson
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObject:
    """One complete object.

    Attributes:
        members: in order; a key may come twice.
        start: offset of its brace.
        end: offset behind its closing brace.
    """

    members: tuple[Member, ...]
    start: int
    end: int

    def find(self, key: str) -> Member | None:
        """Return the first member with this key; None where there is none."""
        return next((member for member in self.members if member.key == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObjects:
    """What a text holds.

    Attributes:
        objects: complete objects that stand in no other, in order.
        is_cut_off: the text ends inside of an object.
        broken_at: offset of an object that opens and never ends; None where there is none.
    """

    objects: tuple[FoundObject, ...]
    is_cut_off: bool
    broken_at: int | None = None


class _BrokenError(Exception):
    """The text is no JSON object here; `at_end` where only its rest is missing."""

    def __init__(self, *, at_end: bool) -> None:
        super().__init__()
        self.at_end = at_end


def find_objects(text: str, start: int = 0) -> FoundObjects:
    """Find the complete objects of a text from `start` on that stand in no other object.

    A brace before a key, or before its own end, opens an object; any other brace is text. An object that opens and
    breaks ends the search: what follows might stand inside of it. One comma before the closing brace does no harm.
    """
    objects: list[FoundObject] = []
    position = start
    while (opening := _OPENING.search(text, position)) is not None:
        try:
            found = _read_object(text, opening.start())
        except _BrokenError as broken:
            return FoundObjects(objects=tuple(objects), is_cut_off=broken.at_end, broken_at=opening.start())
        objects.append(found)
        position = found.end
    return FoundObjects(objects=tuple(objects), is_cut_off=text[position:].rstrip().endswith("{"))


def _read_object(text: str, start: int) -> FoundObject:
    members: list[Member] = []
    position = _skip_space(text, start + 1)
    while not text.startswith("}", position):
        member = _read_member(text, position)
        members.append(member)
        position = _skip_space(text, member.end)
        if text.startswith(",", position):
            position = _skip_space(text, position + 1)
        elif not text.startswith("}", position):
            raise _BrokenError(at_end=position >= len(text))
    return FoundObject(members=tuple(members), start=start, end=position + 1)


def _read_member(text: str, position: int) -> Member:
    if not text.startswith('"', position):
        raise _BrokenError(at_end=position >= len(text))
    key, position = _decode(text, position)
    position = _skip_space(text, position)
    if not text.startswith(":", position):
        raise _BrokenError(at_end=position >= len(text))
    start = _skip_space(text, position + 1)
    value, end = _decode(text, start)
    return Member(key=str(key), value=value, start=start, end=end)


def _decode(text: str, position: int) -> tuple[DecodedJson, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError as error:
        # The decoder reports an open string at its beginning and anything else where it stands.
        at_end = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        raise _BrokenError(at_end=at_end) from error
    except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
        raise _BrokenError(at_end=False) from error


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return position if found is None else found.end()
