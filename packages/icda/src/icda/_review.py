"""The review sheet: every candidate with its decision, for people to edit and for training to read back.

People may edit the columns `verdict`, `intent`, `text` and `note`; the others say why the rules decided as they did and
are not read. A sheet that lacks a row, or has one that was never written, is refused: training must know what a person
meant.

Cells that a spreadsheet would run as a formula are written behind an apostrophe, which is taken off again on reading
(https://owasp.org/www-community/attacks/CSV_Injection). Ids are written behind `id-`, or a spreadsheet would turn
those of digits only into numbers.
"""

import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

from twllm_runs import write_text_atomic
from twllm_types import ConfigError, DataError

Verdict: TypeAlias = Literal["keep", "drop"]

REVIEW_NAME = "review.csv"
_EDITED = ("verdict", "intent", "text", "note")
_COLUMNS = ("id", *_EDITED, "asked_intent", "decision", "reason", "value", "threshold", "predicted_intent")
_DELIMITERS = (",", ";", "\t")
_ID_PREFIX = "id-"
# What a spreadsheet takes for a formula or for the end of a cell; full-width signs are read as such by Japanese Excel.
_FORMULA = r"\s*[=+\-@＝＋－＠]|[\t\r\n]"
_DANGEROUS = re.compile(rf"'*(?:{_FORMULA})")
_NEUTRALISED = re.compile(rf"'+(?:{_FORMULA})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRow:
    """One candidate as the sheet shows it.

    Attributes:
        id: of the candidate.
        verdict: whether it is trained on.
        intent: that it is trained as.
        text: the utterance.
        note: of the reviewer.
        asked_intent: that the generator was asked for; shown only, as are all that follow.
        decision: of the rules: kept, relabelled or dropped.
        reason: why.
        value: what was compared, rounded; None where nothing was.
        threshold: what it was compared with; None where there was none.
        predicted_intent: the classifier's first choice.
    """

    id: str
    verdict: Verdict
    intent: str
    text: str
    note: str = ""
    asked_intent: str = ""
    decision: str = ""
    reason: str = ""
    value: float | None = None
    threshold: float | None = None
    predicted_intent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewChanges:
    """What people changed, in rows; a row may count more than once.

    Attributes:
        num_rows: of the sheet.
        num_rescued: dropped by the rules, kept by the reviewer.
        num_dropped: kept by the rules, dropped by the reviewer.
        num_relabelled: of another intent.
        num_reworded: of another text.
    """

    num_rows: int
    num_rescued: int
    num_dropped: int
    num_relabelled: int
    num_reworded: int

    @property
    def is_empty(self) -> bool:
        """Nobody changed a thing that training reads."""
        return not (self.num_rescued or self.num_dropped or self.num_relabelled or self.num_reworded)


def write_review(path: Path, rows: Sequence[ReviewRow]) -> None:
    """Write the sheet, in UTF-8 with a byte order mark, without which spreadsheets misread Chinese.

    Raises:
        RunError: the system refuses the write.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow([_cell(row, name) for name in _COLUMNS])
    write_text_atomic(path, "\ufeff" + buffer.getvalue())


def read_review(path: Path, *, written: Sequence[ReviewRow], intents: Collection[str]) -> tuple[ReviewRow, ...]:
    """Read an edited sheet; commas, semicolons and tabs may separate its cells, and rows may stand in any order.

    Args:
        path: of the sheet.
        written: the rows as the run wrote them.
        intents: that may stand in the column `intent`.

    Returns:
        One row per written one, in that order, with what people edited.

    Raises:
        DataError: the sheet cannot be read, or a cell cannot be meant; the message names row and column, the heading
            being row 1 as in a spreadsheet.
    """
    originals = {row.id: row for row in written}
    found: dict[str, ReviewRow] = {}
    for number, cells in _records(path):
        row = _read_row(cells, originals, intents, where=f"{path}: row {number}")
        if row.id in found:
            raise DataError(f"{path}: row {number}, column 'id': {row.id!r} comes twice; delete one of the two rows")
        found[row.id] = row
    missing = [row.id for row in written if row.id not in found]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} rows are missing, such as {_ID_PREFIX}{missing[0]}; put them back, "
            "with the verdict 'drop' where they shall go"
        )
    return tuple(found[row.id] for row in written)


def review_changes(written: Sequence[ReviewRow], edited: Sequence[ReviewRow]) -> ReviewChanges:
    """Count what people changed; both in the same order, as `read_review` gives them."""
    pairs = list(zip(written, edited, strict=True))
    return ReviewChanges(
        num_rows=len(pairs),
        num_rescued=sum(old.verdict == "drop" and new.verdict == "keep" for old, new in pairs),
        num_dropped=sum(old.verdict == "keep" and new.verdict == "drop" for old, new in pairs),
        num_relabelled=sum(old.intent != new.intent for old, new in pairs),
        num_reworded=sum(old.text != new.text for old, new in pairs),
    )


def neutralise(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would run as a formula; other text stays. `restore` undoes it."""
    return f"'{text}" if _DANGEROUS.match(text) else text


def restore(cell: str) -> str:
    """Undo `neutralise`, also where a spreadsheet took the apostrophe as its own mark of a text."""
    return cell[1:] if _NEUTRALISED.match(cell) else cell


def _cell(row: ReviewRow, name: str) -> str:
    value = cast("str | float | None", getattr(row, name))
    if name == "id":
        return f"{_ID_PREFIX}{row.id}"
    if isinstance(value, float | int):
        # A number that we computed may begin with a minus sign and still is a number.
        return f"{value:.4f}"
    return neutralise(value or "")


def _records(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows below the heading as (row number, cells by column); empty rows are left out."""
    text = _read_text(path)
    heading = text.splitlines()[0] if text.strip() else ""
    delimiter = max(_DELIMITERS, key=heading.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}: is not CSV ({error}); save it from a spreadsheet as 'CSV UTF-8'") from error
    names = [name.strip().lower() for name in lines[0]] if lines else []
    for name in ("id", "verdict", "intent", "text"):
        if names.count(name) != 1:
            raise DataError(f"{path}: row 1: column {name!r} comes {names.count(name)} times; give it once")
    records: list[tuple[int, dict[str, str]]] = []
    for number, line in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in line):
            continue
        if len(line) > len(names) and any(line[len(names) :]):
            raise DataError(
                f"{path}: row {number} has {len(line)} cells for {len(names)} columns; remove what is extra"
            )
        padded = [*line, *[""] * (len(names) - len(line))]
        records.append((number, dict(zip(names, padded, strict=False))))
    return records


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8; save it from the spreadsheet as 'CSV UTF-8'"
        ) from error


def _read_row(
    cells: dict[str, str], originals: dict[str, ReviewRow], intents: Collection[str], *, where: str
) -> ReviewRow:
    original = originals.get(cells["id"].strip().removeprefix(_ID_PREFIX))
    if original is None:
        raise DataError(f"{where}, column 'id': {cells['id']!r} is none of this run; restore the id, or delete the row")
    verdict = cells["verdict"].strip().lower()
    if verdict not in get_args(Verdict):
        raise DataError(f"{where}, column 'verdict': {cells['verdict']!r} is none of keep, drop; write one of them")
    intent, text = restore(cells["intent"]).strip(), restore(cells["text"])
    if verdict == "keep" and intent not in intents:
        raise DataError(
            f"{where}, column 'intent': {cells['intent']!r} is no intent of the seeds; give one of "
            f"{', '.join(sorted(intents)[:5])}{', ...' if len(intents) > 5 else ''}"
        )
    if verdict == "keep" and not text.strip():
        raise DataError(f"{where}, column 'text': is empty; write an utterance, or the verdict 'drop'")
    return ReviewRow(
        id=original.id,
        verdict=cast("Verdict", verdict),
        intent=intent,
        text=_unix_lines(text, original.text),
        note=restore(cells.get("note", "")),
        asked_intent=original.asked_intent,
        decision=original.decision,
        reason=original.reason,
        value=original.value,
        threshold=original.threshold,
        predicted_intent=original.predicted_intent,
    )


def _unix_lines(text: str, original: str) -> str:
    """Return the original where a spreadsheet changed nothing but the kind of line ends."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return original if plain == original.replace("\r\n", "\n").replace("\r", "\n") else plain
