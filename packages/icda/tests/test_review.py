import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icda._review import ReviewRow, neutralise, read_review, restore, review_changes, write_review
from twllm_types import ConfigError, DataError

INTENTS = ("card_arrival", "lost_card")


def row(number: int, **changes: object) -> ReviewRow:
    values: dict[str, object] = {
        "id": f"{number:016x}",
        "verdict": "keep",
        "intent": "card_arrival",
        "text": f"where is card {number}",
        "asked_intent": "card_arrival",
        "decision": "kept",
        "value": -1.25,
        "threshold": 0.5,
        **changes,
    }
    return ReviewRow(**values)  # pyright: ignore[reportArgumentType] - values are chosen by each test


ROWS = (row(1), row(2, verdict="drop"), row(3, intent="lost_card", text="卡片掉了，\n怎麼辦？"))


@pytest.fixture
def sheet(tmp_path):
    path = tmp_path / "review.csv"
    write_review(path, ROWS)
    return path


def edit(path, change):
    lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    rows = change(rows) or rows
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, lines[0])
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(buffer.getvalue(), encoding="utf-8", newline="")


def set_cell(at, column, value):
    def change(rows):
        rows[at][column] = value

    return change


def read(path):
    return read_review(path, written=ROWS, intents=INTENTS)


def test_untouched_sheet_gives_the_rows_that_were_written(sheet):
    assert read(sheet) == ROWS
    assert review_changes(ROWS, read(sheet)).is_empty


def test_sheet_begins_with_a_mark_that_spreadsheets_need(sheet):
    assert sheet.read_bytes().startswith(b"\xef\xbb\xbf")


def test_edited_sheet_is_read_back_and_its_changes_are_counted(sheet):
    def change(rows):
        rows[0]["verdict"] = " Drop "
        rows[1]["verdict"] = "keep"
        rows[1]["intent"] = "lost_card"
        rows[2]["text"] = "我的卡掉了"
        rows[2]["note"] = "shorter"
        return list(reversed(rows))

    edit(sheet, change)
    edited = read(sheet)
    assert [found.verdict for found in edited] == ["drop", "keep", "keep"]
    assert [found.intent for found in edited] == ["card_arrival", "lost_card", "lost_card"]
    assert (edited[2].text, edited[2].note) == ("我的卡掉了", "shorter")
    changes = review_changes(ROWS, edited)
    assert (changes.num_rescued, changes.num_dropped, changes.num_relabelled, changes.num_reworded) == (1, 1, 1, 1)
    assert not changes.is_empty


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_sheet_of_another_locale_is_read(sheet, delimiter):
    lines = list(csv.reader(io.StringIO(sheet.read_text(encoding="utf-8-sig"), newline="")))
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows([*lines, [""] * len(lines[0])])
    sheet.write_text(buffer.getvalue(), encoding="utf-8", newline="")
    assert read(sheet) == ROWS


def test_sheet_without_the_columns_that_are_not_read_is_read(sheet, tmp_path):
    lines = csv.reader(io.StringIO(sheet.read_text(encoding="utf-8-sig"), newline=""))
    buffer = io.StringIO()
    csv.writer(buffer).writerows([line[:4] for line in lines])
    sheet.write_text(buffer.getvalue(), encoding="utf-8", newline="")
    assert read(sheet) == ROWS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_cell(1, "verdict", "maybe"), r"row 3, column 'verdict': 'maybe' is none of keep, drop"),
        (set_cell(0, "intent", "other"), r"row 2, column 'intent': 'other' is no intent"),
        (set_cell(2, "text", "  "), r"row 4, column 'text': is empty"),
        (set_cell(2, "id", "id-9"), r"row 4, column 'id': 'id-9' is none of this run"),
        (set_cell(1, "id", "id-" + "1".zfill(16)), r"row 3, column 'id': .* comes twice"),
        (lambda rows: rows[:2], r"1 rows are missing, such as id-0000000000000003"),
    ],
    ids=["verdict", "intent", "text", "unknown", "twice", "missing"],
)
def test_cell_that_cannot_be_meant_is_refused_by_row_and_column(sheet, change, message):
    edit(sheet, change)
    with pytest.raises(DataError, match=message):
        read(sheet)


def test_dropped_row_may_hold_anything(sheet):
    def change(rows):
        rows[0] |= {"verdict": "drop", "intent": "", "text": ""}

    edit(sheet, change)
    assert read(sheet)[0].verdict == "drop"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "column 'id' comes 0 times"),
        (b"id,verdict,verdict,text,intent\n", "column 'verdict' comes 2 times"),
        (b"id,verdict,intent,text\nx,keep,card_arrival,a,b\n", "row 2 has 5 cells for 4 columns"),
        (b'id,verdict,intent,text\n"x"y,keep\n', "is not CSV"),
        ("id,verdict,intent,text\n卡".encode("big5"), "is not UTF-8"),
    ],
    ids=["empty", "column_twice", "too_many_cells", "no_csv", "big5"],
)
def test_file_that_is_no_sheet_is_refused(sheet, content, message):
    sheet.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(sheet)


def test_sheet_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "none.csv")


@pytest.mark.parametrize("text", ["=1+1", "+886", "-3", "@SUM(A1)", "\t=1", "\n=1", " =HYPERLINK()", "＝1", "'=1"])
def test_cell_that_a_spreadsheet_would_run_is_written_behind_an_apostrophe(tmp_path, text):
    rows = (row(1, text=text, note=text),)
    write_review(tmp_path / "review.csv", rows)
    with (tmp_path / "review.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = next(csv.DictReader(file))
    assert cells["text"].startswith("'")
    assert cells["note"] == cells["text"]
    assert read_review(tmp_path / "review.csv", written=rows, intents=INTENTS)[0].text == text


def test_spreadsheet_that_took_the_apostrophe_changes_nothing(tmp_path):
    assert restore("=1+1") == "=1+1"
    assert restore("'tis fine") == neutralise("'tis fine") == "'tis fine"


@given(st.text())
def test_neutralise_is_undone_by_restore_and_leaves_no_formula(text):
    cell = neutralise(text)
    assert restore(cell) == text
    assert cell.lstrip()[:1] not in tuple("=+-@＝＋－＠")
