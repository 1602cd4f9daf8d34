"""Filling a template, and writing data that cannot leave their place."""

import json
import re
import unicodedata
from collections.abc import Mapping

from llm_eval._items import Turn

_SLOT = re.compile(r"\{(\w+)\}")
# What a chat template or a model may read as a token of its own: <|...|>, <s>, </think>, <start_of_turn>, full-width
# bars, [INST].
_CONTROL_TOKEN = re.compile(r"<(?=[A-Za-z/|｜])|\[(?=/?[A-Z_]+\])")
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_ZERO_WIDTH_JOINER = "\u200d"  # part of many emoji; it hides nothing


def fill(template: str, slots: Mapping[str, str]) -> str:
    """Put texts into the `{name}` slots of a template in one pass.

    What is put in is never looked at again, so a text that holds `{name}` stays as it is. Braces around anything but a
    name in `slots` belong to the template.
    """
    return _SLOT.sub(lambda found: slots.get(found[1], found[0]), template)


def quote(text: str) -> str:
    """Write a text as one JSON string on one line, equal to the text once a JSON parser reads it.

    Data need a place that they cannot close. A delimiter made of the data's hash would do, but then the instructions
    differ from item to item, which spoils prefix caches and the check that data change nothing outside of their place.
    In a JSON string a quotation mark is escaped, and a line cannot end, so no line of the prompt is the data's own.
    Control, direction and invisible characters are escaped, that the model sees what people see, and so are the
    beginnings of what tokenizers read as tokens of a chat (<|im_end|>, </think>, [INST]).
    """
    quoted = json.dumps(text, ensure_ascii=False)
    plain = quoted
    if not quoted.isprintable():
        plain = "".join(_escape(character) if _is_hidden(character) else character for character in quoted)
    return _CONTROL_TOKEN.sub(lambda found: _escape(found[0]), plain)


def quote_list(texts: tuple[str, ...]) -> str:
    """Write texts as a JSON array on one line, by `quote`."""
    return "[" + ", ".join(quote(text) for text in texts) + "]"


def quote_turns(turns: tuple[Turn, ...]) -> str:
    """Write turns as a JSON array of [speaker, text], with null for nobody, on one line."""
    rows = (f"[{'null' if turn.speaker is None else quote(turn.speaker)}, {quote(turn.text)}]" for turn in turns)
    return "[" + ", ".join(rows) + "]"


def plain_turns(turns: tuple[Turn, ...]) -> str:
    """Write turns as LLM-Eval's demonstration does: `speaker: text` on a line each, the text alone without speaker."""
    return "\n".join(turn.text if turn.speaker is None else f"{turn.speaker}: {turn.text}" for turn in turns)


def _is_hidden(character: str) -> bool:
    return character != _ZERO_WIDTH_JOINER and unicodedata.category(character) in _INVISIBLE


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1] if ord(character) > 0x7F else f"\\u{ord(character):04x}"
