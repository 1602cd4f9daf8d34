"""From one row of a file to a question, or to the reason why it is none. No input or output.

A row never raises and is never bent into shape: what a source may mean by an odd row is not guessed.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import cast

from tmlu_bench._question_set import FaultReason, SourceFormat
from twllm_types import ChoiceQuestion

MAX_OPTIONS = 6
_LETTERS = "ABCDEF"
_BEYOND = "GHIJKLMNOP"
_MARKER = re.compile(r"\(([A-F])\)")
# Not before a digit: "3.7 公分" starts with a number of its own.
_ITEM_NUMBER = re.compile(r"\A\s*\d{1,3}\s*[.．、](?!\d)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """Why a row is no question: a stable reason and what to do, without file and line."""

    reason: FaultReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPlace:
    """What a row is called where it does not say so itself.

    Attributes:
        subject: subject of the file.
        fallback_id: id for a row without one.
        blank_is_absent: an empty cell of E or F means "no such option", as a CSV file has no null.
    """

    subject: str
    fallback_id: str
    blank_is_absent: bool


def row_format(row: Mapping[str, object]) -> SourceFormat:
    """Tell the layout by the names of the columns."""
    if "content.Q" in row:
        return SourceFormat.TMMLU_V1
    return SourceFormat.CHOICES if "choices" in row else SourceFormat.TMLU


def parse_row(row: Mapping[str, object], place: RowPlace) -> ChoiceQuestion | RowFault:
    """Return the question of one row, or why it is none."""
    layout = row_format(row)
    name = "content.Q" if layout is SourceFormat.TMMLU_V1 else "question"
    stem = row.get(name)
    if not isinstance(stem, str) or not stem.strip():
        return _fault(FaultReason.MISSING_FIELD, f"{name!r} is empty or no text; give the stem")
    if layout is SourceFormat.TMMLU_V1:
        split = split_inline(stem)
        if split is None:
            return _fault(FaultReason.NO_OPTIONS, "the stem holds no run (A)(B)(C)(D); the row is no choice question")
        stem, options = split
        answer: object = row.get("content.A")
    elif layout is SourceFormat.CHOICES:
        options = _listed(row["choices"])
        answer = row.get("answer")
    else:
        options = _lettered(row, blank_is_absent=place.blank_is_absent)
        answer = row.get("answer")
    if isinstance(options, RowFault):
        return options
    letter = _gold(answer, options, row)
    if isinstance(letter, RowFault):
        return letter
    question = ChoiceQuestion(
        id=_identity(row, place.fallback_id),
        subject=place.subject,
        question=stem,
        options=options,
        answer=letter,
        explanation=_text(row.get("explanation")),
    )
    return _unwritable(question, row) or question


def is_writable(text: str) -> bool:
    """Whether a text can be sent: it holds no lone half of a surrogate pair, which JSON can write as an escape."""
    return not any(0xD800 <= ord(char) <= 0xDFFF for char in text)


def _unwritable(question: ChoiceQuestion, row: Mapping[str, object]) -> RowFault | None:
    parts = {
        "the id": question.id,
        "the subject": _text(row.get("subject")),
        "the stem": question.question,
        **{f"option {letter}": text for letter, text in zip(question.letters, question.options, strict=True)},
        "the explanation": question.explanation,
    }
    broken = next((name for name, text in parts.items() if text is not None and not is_writable(text)), None)
    if broken is None:
        return None
    return _fault(
        FaultReason.LONE_SURROGATE,
        f"{broken} holds half of a surrogate pair, which no model can be sent; restore the character",
    )


def split_inline(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Split a TMMLU v1 stem at its last complete run (A)(B)(C)(D)[(E)][(F)]; a leading item number is cut off.

    The last run, since a stem may hold a list of its own; a single bracketed letter elsewhere, a unit or a name, is no
    marker. None where there is no run.
    """
    marks = [(match[1], match.start(), match.end()) for match in _MARKER.finditer(text)]
    for start in range(len(marks) - 1, -1, -1):
        if marks[start][0] != "A":
            continue
        run = _run_from(marks[start:])
        if len(run) >= 4:
            ends = [begin for _letter, begin, _end in run[1:]] + [len(text)]
            options = tuple(text[end:stop].strip() for (_letter, _begin, end), stop in zip(run, ends, strict=True))
            return _ITEM_NUMBER.sub("", text[: run[0][1]]).strip(), options
    return None


def _run_from(marks: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """The marks that continue A, B, C … one after the other, others skipped."""
    run: list[tuple[str, int, int]] = []
    for mark in marks:
        if len(run) < len(_LETTERS) and mark[0] == _LETTERS[len(run)]:
            run.append(mark)
    return run


def _lettered(row: Mapping[str, object], *, blank_is_absent: bool) -> tuple[str, ...] | RowFault:
    if surplus := [name for name in _BEYOND if not _absent(row.get(name), blank_is_absent=True)]:
        return _fault(FaultReason.TOO_MANY_OPTIONS, f"there is an option {surplus[0]}; at most {MAX_OPTIONS} can stand")
    cells = [row.get(letter) for letter in _LETTERS]
    present = [
        not _absent(cell, blank_is_absent=blank_is_absent and letter in "EF")
        for letter, cell in zip(_LETTERS, cells, strict=True)
    ]
    num_options = sum(present)
    if num_options < 2:
        return _fault(FaultReason.NO_OPTIONS, f"{num_options} of the options A to F are given; give 2 to 6")
    if not all(present[:num_options]):
        gap = _LETTERS[present.index(False)]
        return _fault(FaultReason.OPTION_GAP, f"option {gap} is missing although a later one is given; close the gap")
    return _checked(cells[:num_options])


def _listed(choices: object) -> tuple[str, ...] | RowFault:
    # Parquet gives arrays, which are sequences only by behaviour.
    if hasattr(choices, "tolist"):
        choices = cast("object", choices.tolist())  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    if not isinstance(choices, (list, tuple)):
        return _fault(FaultReason.MISSING_FIELD, "'choices' is no list; give the option texts as a list")
    cells = list(cast("Sequence[object]", choices))
    if len(cells) > MAX_OPTIONS:
        return _fault(
            FaultReason.TOO_MANY_OPTIONS, f"'choices' has {len(cells)} options; at most {MAX_OPTIONS} can stand"
        )
    if len(cells) < 2:
        return _fault(FaultReason.NO_OPTIONS, f"'choices' has {len(cells)} options; give 2 to {MAX_OPTIONS}")
    return _checked(cells)


def _checked(cells: Sequence[object]) -> tuple[str, ...] | RowFault:
    options: list[str] = []
    for letter, cell in zip(_LETTERS, cells, strict=False):
        text = _text(cell)
        if text is None or not text.strip():
            return _fault(FaultReason.EMPTY_OPTION, f"option {letter} is empty; fill it or remove the question")
        options.append(text)
    return tuple(options)


def _gold(answer: object, options: Sequence[str], row: Mapping[str, object]) -> str | RowFault:
    letters = _LETTERS[: len(options)]
    found: str | None = None
    if isinstance(answer, int) and not isinstance(answer, bool):
        found = letters[answer] if 0 <= answer < len(letters) and "choices" in row else None
    elif isinstance(answer, str):
        # Full-width and lower-case letters are spellings of the letter, not other answers.
        shown = unicodedata.normalize("NFKC", answer).strip().upper()
        found = shown if len(shown) == 1 and shown in letters else None
    if found is None:
        return _fault(FaultReason.ANSWER_OUTSIDE, f"answer {answer!r} is none of {', '.join(letters)}; correct it")
    told = row.get("answer_str")
    gold = options[letters.index(found)]
    if isinstance(told, str) and "choices" in row and told.strip() != gold.strip():
        return _fault(FaultReason.ANSWER_OUTSIDE, f"answer {answer!r} and 'answer_str' name different options")
    if sum(option.strip() == gold.strip() for option in options) > 1:
        return _fault(FaultReason.DUPLICATE_GOLD, f"the right option {found} stands twice; nobody can choose one")
    return found


def _identity(row: Mapping[str, object], fallback: str) -> str:
    given = row.get("id")
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    return given if isinstance(given, str) and given.strip() else fallback


def _absent(cell: object, *, blank_is_absent: bool) -> bool:
    """Null, or NaN, which is how pandas writes null into Parquet."""
    if cell is None or (isinstance(cell, float) and isnan(cell)):
        return True
    return blank_is_absent and isinstance(cell, str) and not cell.strip()


def _text(cell: object) -> str | None:
    """A cell as text; numbers, which typed columns make of options such as 12, are written as they stand."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool) or _absent(cell, blank_is_absent=False) or not isinstance(cell, int | float):
        return None
    return str(cell)


def _fault(reason: FaultReason, message: str) -> RowFault:
    return RowFault(reason=reason, message=message)
