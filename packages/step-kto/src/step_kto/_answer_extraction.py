r"""Find the final answer in a solution: the last `\boxed{}`, `#### N`, "the answer is N", else the text itself."""

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from step_kto._answer_numerals import arabic_number

# Solutions of a model that repeats itself are long: no pattern here may look at a character more than a few times.
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:\{|(?=[\d]))|\\beginboxed\s*\{")
# what may stand between boxes that together are one answer: `\boxed{1}, \boxed{2} \text{ and } \boxed{3}`
_BETWEEN_BOXES = re.compile(
    r"(?:\s|[,;$.]|\\[\[\]() ,;!]|\\q?quad|\\text\{\s*(?:and|or)\s*\}|and|or|和|與|或)*+(?:\\text\{[^{}]*\})?\s*"
)
_AFTER_BOX = re.compile(r"[$\s]*(?:\\%|%|percent\b|percentage\b|pct\b)", re.IGNORECASE)
_BRACE = re.compile(r"\\[\\{}]|[{}]")
_HASHES = re.compile(r"^[^\S\n]*+####\s*+(\S[^\n]*)", re.MULTILINE)
_PHRASE = re.compile(
    r"(?:(?:\banswer\b[^.\n:=]{0,60}?(?:\bis\b|[:：])|^[^\S\n]*+A\s*+[:：]|答案\s*+(?:是|為|为|[:：]))\s*+[:：]?\s*+)"
    r"(?P<rest>[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
# Minerva's closing formula (arXiv 2206.14858) names the answer even after a box that held a step
_FINAL_PHRASE = re.compile(r"\bfinal\s+answer\s+is\b", re.IGNORECASE)
_LAST_IS = re.compile(r"^.*\bis\s+(?=\S)")
_SENTENCE_END = re.compile(r"(?<=[^\s])(?:\.(?=\s|$)|。|<\|)")
_MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_WORDS = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,}|[\u3400-\u9fff\u0600-\u06ff\u0900-\u097f]")
_MAX_BARE_CHARS = 200
# of what follows "the answer is" in its line
_MAX_PHRASE_CHARS = 1_000
_CHOICE = re.compile(
    r"(?:\b(?:answer|réponse)\b(?:[^.\n]{0,20}?(?:\bis\b|\best\b)(?:\s+for\s+sure)?|\s*[:：])\s*"
    r"|\b(?:it's|it\s+is)\s+|^\s*)"
    r"[(*]*(?P<letter>[A-J])(?![A-Za-z0-9'])",
    re.IGNORECASE,
)


class AnswerSource(StrEnum):
    """Where the answer stood."""

    BOXED = "boxed"
    HASHES = "hashes"
    PHRASE = "phrase"
    BARE = "bare"
    SENTENCE = "sentence"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractedAnswer:
    """The final answer of a text.

    Attributes:
        text: as written, without the box or the phrase around it; not empty.
        source: where it stood. A `sentence` is the whole text, out of which math-verify takes the last expression.
    """

    text: str
    source: AnswerSource


def extract_answer(text: str) -> ExtractedAnswer | None:
    r"""Return the final answer of a solution.

    "The final answer is" after every box, else the last complete `\boxed{}` (neighbouring boxes joined by commas or
    "and" are one answer), else the last line `#### N`, else what follows the last "answer is", "A:" or 答案是, else the
    text: `bare` where it is a formula, else a `sentence`. A box that is never closed (a solution cut off) is no answer
    of its own.

    Returns:
        The answer; None for a text of white space.
    """
    if not text.strip():
        return None
    boxed, box_end = _boxed(text)
    if boxed:
        closing = list(_FINAL_PHRASE.finditer(text, box_end))
        final = _phrase(text[closing[-1].start() :]) if closing else None
        return final if final is not None else ExtractedAnswer(text=boxed, source=AnswerSource.BOXED)
    hashes = _HASHES.findall(text)
    if hashes:
        return ExtractedAnswer(text=hashes[-1].rstrip(), source=AnswerSource.HASHES)
    if _is_bare(text):
        return ExtractedAnswer(text=text.strip(), source=AnswerSource.BARE)
    phrase = _phrase(text)
    if phrase is not None:
        return phrase
    return ExtractedAnswer(text=text.strip(), source=AnswerSource.SENTENCE)


def extract_choice(text: str) -> str | None:
    """Return the letter of a multiple-choice answer, A to J, in upper case; None where none is named.

    The letter stands at the beginning of the text, or after "answer", "it is" or their like.
    """
    found = [match.group("letter") for match in _CHOICE.finditer(text) if match.group("letter").isupper()]
    return found[-1] if found else None


def _boxed(text: str) -> tuple[str, int]:
    """The answer in the last boxes and the place after them; no box gives an empty answer."""
    # (start, start of the inside, end of the inside, end)
    boxes: list[tuple[int, int, int, int]] = []
    closing = _closing_braces(text)
    for match in _BOX.finditer(text):
        start = match.end()
        if text[start - 1] != "{":
            number = re.compile(r"\d+(?:\.\d+)?").match(text, start)
            end = number.end() if number else start
            boxes.append((match.start(), start, end, end))
        elif start - 1 in closing:
            boxes.append((match.start(), start, closing[start - 1], closing[start - 1] + 1))
    while boxes and not text[boxes[-1][1] : boxes[-1][2]].strip():
        boxes.pop()
    if not boxes:
        return "", 0
    answers = [text[boxes[-1][1] : boxes[-1][2]].strip()]
    for later, earlier in pairwise(reversed(boxes)):
        if earlier[3] > later[0] or not _joined(text[earlier[3] : later[0]]):
            break
        answers.append(text[earlier[1] : earlier[2]].strip())
    answers = [answer for answer in reversed(answers) if answer]
    answer = ", ".join(answers) if len(set(answers)) > 1 else answers[0]
    end = boxes[-1][3]
    return (f"{answer}\\%" if _AFTER_BOX.match(text, end) else answer), end


def _joined(between: str) -> bool:
    return _BETWEEN_BOXES.fullmatch(between) is not None and "\n\n" not in between


def _closing_braces(text: str) -> dict[int, int]:
    """Place of the closing brace of each opening one that has one; escaped braces are text."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for match in _BRACE.finditer(text):
        if match.group() == "{":
            opened.append(match.start())
        elif match.group() == "}" and opened:
            found[opened.pop()] = match.start()
    return found


def _is_bare(text: str) -> bool:
    """A formula or a Chinese number: short, of one line, without a word of three letters outside of LaTeX commands."""
    stripped = text.strip()
    if "\n" in stripped or len(stripped) > _MAX_BARE_CHARS:
        return False
    if arabic_number(stripped.rstrip("。.")) is not None:
        return True
    inner = _MATH.fullmatch(stripped)
    outside = _MATH.sub(" ", stripped) if inner is None else ""
    return not _WORDS.search(re.sub(r"\\[A-Za-z]+(?:\{[^{}]*\})?|sqrt|sin|cos|tan|log", " ", outside))


def _phrase(text: str) -> ExtractedAnswer | None:
    for match in reversed(list(_PHRASE.finditer(text))):
        rest = match.group("rest")[:_MAX_PHRASE_CHARS].strip().strip("*").strip()
        end = _SENTENCE_END.search(rest)
        rest = rest[: end.start()] if end is not None else rest
        rest = _LAST_IS.sub("", rest).strip()
        formulas = list(_MATH.finditer(rest))
        if formulas:
            first = formulas[0]
            inner = next(group for group in first.groups() if group is not None).strip()
            inner = f"{inner}\\%" if _AFTER_BOX.match(rest, first.end()) else inner
            return ExtractedAnswer(text=inner, source=AnswerSource.PHRASE)
        if any(char.isalnum() for char in rest):
            return ExtractedAnswer(text=rest, source=AnswerSource.PHRASE if _is_bare(rest) else AnswerSource.SENTENCE)
    return None
