"""Parquet: rows are read one by one; damage costs what it hits and is counted."""
# pyarrow's types are partial
# pyright: basic

import datetime as dt
import decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tw_corpus.readers import Fault, FaultReason, Outcome, ReadOptions, Record, read_file


def write(path: Path, columns: dict[str, object], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def faults(outcomes: list[Outcome]) -> list[tuple[str, FaultReason]]:
    return [(outcome.position, outcome.reason) for outcome in outcomes if isinstance(outcome, Fault)]


def test_read_parquet_rows_carry_ids_and_plain_columns(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.parquet",
        {
            "text": ["一", "二"],
            "id": ["x", None],
            "score": [0.5, float("nan")],
            "source": pa.array(["甲", "乙"]).dictionary_encode(),
            "day": [dt.date(2020, 1, 1)] * 2,
            "tags": [["a"], ["b"]],
        },
    )
    outcomes = list(read_file(path))
    assert [(outcome.id, outcome.text) for outcome in outcomes if isinstance(outcome, Record)] == [
        ("x", "一"),
        ("a.parquet#row-2", "二"),
    ]
    assert [outcome.metadata["fields"] for outcome in outcomes if isinstance(outcome, Record)] == [
        {"score": 0.5, "source": "甲"},
        {"score": None, "source": "乙"},
    ]


def test_read_parquet_rows_that_hold_no_text_are_faults(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"text": ["一", None, "長" * 10, "二"]})
    outcomes = list(read_file(path, options=ReadOptions(max_record_bytes=20)))
    assert faults(outcomes) == [("row 2", FaultReason.MISSING_TEXT), ("row 3", FaultReason.RECORD_TOO_LARGE)]
    assert len(outcomes) == 4


def test_read_parquet_column_of_numbers_is_no_text(tmp_path: Path) -> None:
    outcomes = list(read_file(write(tmp_path / "a.parquet", {"text": [1, 2]})))
    assert faults(outcomes) == [("row 1", FaultReason.TEXT_NOT_STRING), ("row 2", FaultReason.TEXT_NOT_STRING)]


def test_read_parquet_bytes_are_read_as_utf8(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"text": pa.array(["一".encode(), b"\xff"], pa.binary())})
    outcomes = list(read_file(path))
    assert [outcome.text for outcome in outcomes if isinstance(outcome, Record)] == ["一"]
    assert faults(outcomes) == [("row 2", FaultReason.UNDECODABLE)]


def test_read_parquet_string_that_is_not_utf8_is_a_fault_of_its_row(tmp_path: Path) -> None:
    array = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"\xffa"))
    outcomes = list(read_file(write(tmp_path / "a.parquet", {"text": array})))
    assert faults(outcomes) == [("row 1", FaultReason.UNDECODABLE)]
    assert [outcome.text for outcome in outcomes if isinstance(outcome, Record)] == ["a"]


def test_read_parquet_without_text_column_is_one_fault_that_names_the_columns(tmp_path: Path) -> None:
    (fault,) = read_file(write(tmp_path / "a.parquet", {"body": ["一"], "url": ["x"]}))
    assert isinstance(fault, Fault)
    assert (fault.position, fault.reason) == ("file", FaultReason.MISSING_TEXT)
    assert "body, url" in fault.detail
    (record,) = read_file(tmp_path / "a.parquet", options=ReadOptions(text_field="body"))
    assert isinstance(record, Record)


@pytest.mark.parametrize(
    ("keep", "reason"),
    [(-10, FaultReason.TRUNCATED_ARCHIVE), (6, FaultReason.TRUNCATED_ARCHIVE), (0, FaultReason.EMPTY_FILE)],
)
def test_read_parquet_cut_short_is_one_fault(tmp_path: Path, keep: int, reason: FaultReason) -> None:
    path = write(tmp_path / "a.parquet", {"text": ["一"] * 100})
    path.write_bytes(path.read_bytes()[:keep])
    assert faults(list(read_file(path))) == [("file", reason)]


def test_read_parquet_footer_that_does_not_decode_is_one_fault(tmp_path: Path) -> None:
    kind, value = pa.int64(), 1
    for _ in range(50):  # deeper than Parquet's own format can be read
        kind, value = pa.list_(kind), [value]
    path = write(tmp_path / "a.parquet", {"text": ["一"], "extra": pa.array([value], kind)})
    assert faults(list(read_file(path))) == [("file", FaultReason.CORRUPT_ARCHIVE)]


def test_read_parquet_nested_column_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"text": ["一"], "id": [[1]], "extra": [[[1]]]})
    (record,) = read_file(path)
    assert isinstance(record, Record)
    assert (record.id, "fields" in record.metadata) == ("a.parquet#row-1", False)


def test_read_parquet_decimals_are_kept_as_their_digits(tmp_path: Path) -> None:
    numbers = pa.array([decimal.Decimal(10**30)], pa.decimal128(38, 0))
    price = pa.array([decimal.Decimal("0.10")], pa.decimal128(9, 2))
    (record,) = read_file(write(tmp_path / "a.parquet", {"text": ["一"], "id": numbers, "price": price}))
    assert isinstance(record, Record)
    assert record.id == str(10**30)
    assert record.metadata["fields"] == {"price": "0.10"}


@pytest.mark.parametrize("num_rows", [0, 1, 1000])
def test_read_parquet_progress_adds_up_to_the_bytes_on_disk(tmp_path: Path, num_rows: int) -> None:
    path = write(tmp_path / "a.parquet", {"text": pa.array(["一"] * num_rows, pa.string())}, row_group_size=300)
    steps: list[int] = []
    outcomes = list(read_file(path, on_bytes=steps.append))
    assert len(outcomes) == num_rows
    assert sum(steps) == path.stat().st_size
    if num_rows == 1000:
        assert len(steps) == 17  # three groups of 300 rows in five batches each, one of 100 in two


def test_read_parquet_other_content_is_one_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"text,id\nx,1\n" * 10)
    assert faults(list(read_file(path))) == [("file", FaultReason.CORRUPT_ARCHIVE)]


def test_read_parquet_damaged_row_group_costs_its_rows_and_no_others(tmp_path: Path) -> None:
    texts = [f"第{number}列的內容" for number in range(300)]
    path = write(tmp_path / "a.parquet", {"text": texts}, row_group_size=100, use_dictionary=False, compression="zstd")
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 200] = b"\xff" * 200
    path.write_bytes(content)
    outcomes = list(read_file(path))
    assert [outcome.text for outcome in outcomes if isinstance(outcome, Record)] == texts[:100] + texts[200:]
    assert faults(outcomes) == [("row group 2", FaultReason.CORRUPT_ARCHIVE)]
    assert "rows 101 to 200" in next(outcome.detail for outcome in outcomes if isinstance(outcome, Fault))
    assert isinstance(outcomes[-1], Record)
    assert outcomes[-1].metadata["position"] == "row 300"


def test_read_parquet_file_that_cannot_be_opened_is_a_fault(tmp_path: Path) -> None:
    assert faults(list(read_file(tmp_path / "gone.parquet"))) == [("file", FaultReason.UNREADABLE_FILE)]
