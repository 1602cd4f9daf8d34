"""Cutting a solution into steps. Nothing is dropped: the steps joined are the text."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

from twllm_types import ConfigError, DataError

StepCut: TypeAlias = Literal["auto", "markers", "blank-lines", "numbered"]
StepCutter: TypeAlias = Callable[[str], Sequence[str]]

# "## Step 1: ..." of Llama 3.1's mathematics prompt, also bold, and without number signs where a colon or stop follows.
_NUMBER = r"(?:\d+|[一二三四五六七八九十]+)"
_NAME = rf"(?:(?:Step|STEP|步驟|步骤)[ \t]*{_NUMBER}|第[ \t]*{_NUMBER}[ \t]*步)"
_MARKER = re.compile(rf"^(?:\*\*)?(?:#{{1,6}}[ \t]*(?:\*\*)?{_NAME}|{_NAME}(?:\*\*)?[ \t]*[:.：。、，])", re.MULTILINE)
# The first character behind one or more blank lines.
_BLANK_LINES = re.compile(r"(?<=\n)[ \t\r]*\n\s*(?=\S)")
_NUMBERED = re.compile(r"^[ \t]*(?:\d+(?:[.)、][ \t]|[．）])|[(（]\d+[)）])", re.MULTILINE)
_LEAST_NUMBERED = 2


def segment_steps(text: str, by: StepCut | re.Pattern[str] | StepCutter = "auto") -> tuple[str, ...]:
    r"""Cut a solution into its steps.

    The steps joined are the text, character by character, and each holds more than white space: a blank piece joins
    the step before it, at the beginning the step behind it. What separates two steps ends the first of them. Text in
    front of the first marker is a step of its own.

    Args:
        text: the solution.
        by: where a new step begins.
            "markers": a line that begins with "## Step 1", "Step 1:", "**Step 1:**", "步驟 1：", "步驟一：" or
            "第一步：";
            "blank-lines": behind one or more blank lines, also inside a formula that holds some;
            "numbered": a line that begins with "1. ", "1) ", "1、 ", "１．" or "(1)";
            "auto" (ours): markers where there is one, else blank lines where there is one inside, else numbered lines
            where there are two, else nowhere;
            a regular expression: where it matches (use `re.MULTILINE` for "^" at each line);
            a function from the text to its pieces.

    Raises:
        DataError: the text is blank, or the pieces of the function do not join to the text.
        ConfigError: `by` is another name.
    """
    if not text.strip():
        raise DataError("the completion holds no step, only white space; drop the row")
    return _join_blank(_pieces(text, by))


def _pieces(text: str, by: StepCut | re.Pattern[str] | StepCutter) -> Sequence[str]:
    if isinstance(by, re.Pattern):
        return _cut(text, [match.start() for match in by.finditer(text)])
    if callable(by):
        return _called(text, by)
    if by == "auto":
        by = _choose(text)
    match by:
        case "markers":
            return _cut(text, [match.start() for match in _MARKER.finditer(text)])
        case "blank-lines":
            return _cut(text, [match.end() for match in _BLANK_LINES.finditer(text, 0, len(text.rstrip()))])
        case "numbered":
            return _cut(text, [match.start() for match in _NUMBERED.finditer(text)])
        case _:
            raise ConfigError(
                f"steps cannot be cut by {by!r}; give 'auto', 'markers', 'blank-lines', 'numbered', "
                "a compiled regular expression or a function"
            )


def _choose(text: str) -> StepCut:
    if _MARKER.search(text):
        return "markers"
    if not _BLANK_LINES.search(text.strip()) and len(_NUMBERED.findall(text)) >= _LEAST_NUMBERED:
        return "numbered"
    return "blank-lines"


def _called(text: str, cutter: StepCutter) -> Sequence[str]:
    pieces = cutter(text)
    # a function of the user may return anything; the type is only what it promised
    if not isinstance(pieces, Sequence) or not all(isinstance(piece, str) for piece in pieces):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(
            f"the step function gave {str(pieces)[:80]!r}; return the pieces of the text as a list of strings"
        )
    if "".join(pieces) != text:
        raise DataError(
            "the pieces of the step function do not join to the text; return every character, separators included"
        )
    return pieces


def _cut(text: str, starts: list[int]) -> list[str]:
    borders = sorted({0, *starts, len(text)})
    return [text[start:end] for start, end in pairwise(borders)]


def _join_blank(pieces: Sequence[str]) -> tuple[str, ...]:
    steps: list[str] = []
    front = ""
    for piece in pieces:
        if piece.strip():
            steps.append(front + piece)
            front = ""
        elif steps:
            steps[-1] += piece
        else:
            front += piece
    return tuple(steps)
