"""Reading completions: which utterances are in one, and why a line is none. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from icda._choices import choose
from icda._prompts import PromptStyle
from icda._text import normalise_text
from twllm_types import FinishReason


class RejectReason(StrEnum):
    """Why a line becomes no candidate.

    EMPTY: nothing but white space, quotes or punctuation. ECHO: words of the prompt, or chatter around a list; in
    `sahu` also all that follows an echoed heading, since it belongs to another category. NUMBERING_ONLY: a number
    without text. TRUNCATED: cut off at the limit of tokens, or in a character (a lone surrogate). REFUSED: the
    server marked the completion as a refusal or filtered it. SEED_COPY, TEST_COPY: equal to a seed or a test row,
    case, spaces and punctuation aside. DUPLICATE: equal to an earlier candidate of the intent. NEAR_DUPLICATE:
    almost equal to a seed or candidate of the intent, or to a test row. TOO_SHORT, TOO_LONG: outliers beside the
    seeds.
    """

    EMPTY = "empty"
    ECHO = "echo"
    NUMBERING_ONLY = "numbering_only"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    SEED_COPY = "seed_copy"
    TEST_COPY = "test_copy"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedLine:
    """One line of a completion.

    Attributes:
        text: the utterance without numbering, bullets and enclosing quotes; may be empty where there is a reason.
        reason: why it is no utterance; None where it is one.
    """

    text: str
    reason: RejectReason | None = None


_EXAMPLE = re.compile(r"(?i)example\s*\d+\s*[:：]")
_NUMBER = re.compile(r"\s*(?:[(（]\s*\d{1,3}\s*[)）]|\d{1,3}\s*[.．)）、](?!\d))\s*")
_BULLET = re.compile(r"\s*[-*•・‧–—]\s+")
_HEADING = re.compile(r"(?i)following sentences? belongs? to the same category")
_CHAT_ECHO = re.compile(
    r"(?i)things that users have said to an assistant|they all have the same intent|with exactly this intent"
    r"|以下是使用者對客服助理說的話|這些話的意圖都|再寫\s*\d+\s*句意圖"
)
_QUOTES = (('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("「", "」"), ("『", "』"), ("`", "`"), ("**", "**"))
_NO_ANSWER = frozenset({FinishReason.REFUSAL, FinishReason.CONTENT_FILTER, FinishReason.TOOL_CALL})


def parse_completion(
    text: str, *, style: PromptStyle | str, finish_reason: FinishReason | None
) -> tuple[ParsedLine, ...]:
    """Take a completion apart; every piece of text ends up in a line, with or without a reason against it.

    Blank lines between others are layout and give nothing; a blank completion gives one line that is `empty`.
    `sahu`: pieces at line ends and at "Example N:". Chat styles: lines; where at least one is numbered or has a bullet,
    those without are chatter (`echo`), and so is a line that ends with a colon.

    Args:
        text: what the model wrote after the prompt.
        style: of the prompt.
        finish_reason: LENGTH makes the last line `truncated`, unless a line end follows it; a refusal, a filter or a
            call of a tool makes every line `refused`; None where it is unknown.

    Raises:
        ConfigError: no such style.
    """
    form = choose(PromptStyle, style, name="prompt style")
    pieces = [piece for piece in _pieces(text, form) if piece.strip()]
    if finish_reason in _NO_ANSWER:
        return tuple(ParsedLine(text=piece.strip(), reason=RejectReason.REFUSED) for piece in pieces or [""])
    if not pieces:
        return (ParsedLine(text="", reason=RejectReason.EMPTY),)
    lines = _read_sahu(pieces) if form is PromptStyle.SAHU else _read_chat(pieces)
    if finish_reason is FinishReason.LENGTH and not text.endswith("\n"):
        lines[-1] = replace(lines[-1], reason=RejectReason.TRUNCATED)
    return tuple(lines)


def _pieces(text: str, form: PromptStyle) -> list[str]:
    lines = text.splitlines()
    if form is not PromptStyle.SAHU:
        return lines
    pieces: list[str] = []
    for line in lines:
        starts = [0, *(found.start() for found in _EXAMPLE.finditer(line)), len(line)]
        pieces += [line[start:end] for start, end in pairwise(starts)]
    return pieces


def _read_sahu(pieces: Sequence[str]) -> list[ParsedLine]:
    lines: list[ParsedLine] = []
    left_category = False
    for piece in pieces:
        left_category = left_category or _HEADING.search(piece) is not None
        if left_category:
            lines.append(ParsedLine(text=piece.strip(), reason=RejectReason.ECHO))
            continue
        marked = _EXAMPLE.match(piece.strip())
        body = piece.strip()[marked.end() :] if marked else piece
        lines.append(_read_body(body, numbered=marked is not None))
    return lines


def _read_chat(pieces: Sequence[str]) -> list[ParsedLine]:
    markers = [_marker(piece) for piece in pieces]
    has_list = any(markers)
    lines: list[ParsedLine] = []
    for piece, marker in zip(pieces, markers, strict=True):
        chatter = (has_list and not marker) or piece.rstrip(" *").endswith((":", "："))
        if chatter or _CHAT_ECHO.search(piece) or _HEADING.search(piece):
            lines.append(ParsedLine(text=piece.strip(), reason=RejectReason.ECHO))
        else:
            lines.append(_read_body(piece, numbered=False))
    return lines


def _marker(piece: str) -> str:
    """Numbering or bullet at the start of a line, "" where there is none."""
    found = _EXAMPLE.match(piece.lstrip()) or _NUMBER.match(piece) or _BULLET.match(piece)
    return found.group() if found else ""


def _read_body(body: str, *, numbered: bool) -> ParsedLine:
    """One utterance; `numbered` where a marker was taken off already."""
    text = body.strip()
    marker = _marker(text)
    if marker:
        text = text[len(marker) :].strip()
    text = _unquote(text)
    if normalise_text(text):
        return ParsedLine(text=text)
    if not text and (numbered or marker):
        return ParsedLine(text=text, reason=RejectReason.NUMBERING_ONLY)
    return ParsedLine(text=text, reason=RejectReason.EMPTY)


def _unquote(text: str) -> str:
    """Take off quotes that enclose the whole, and no others."""
    for opening, closing in _QUOTES:
        inner = text[len(opening) : len(text) - len(closing)]
        whole = len(text) >= len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing)
        if whole and opening not in inner and closing not in inner:
            return _unquote(inner.strip())
    return text
