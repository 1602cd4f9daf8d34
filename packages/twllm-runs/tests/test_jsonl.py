import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twllm_runs import JsonlAppender, parse_json_line, read_jsonl, unique_keys
from twllm_types import DataError, JsonObject, RunError

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
records = st.dictionaries(st.text(), scalars | st.lists(scalars, max_size=3), max_size=3)


def append_all(path: Path, rows: list[JsonObject], *, fsync: bool = False) -> None:
    with JsonlAppender(path, fsync=fsync) as appender:
        for row in rows:
            appender.append(row)


@given(rows=st.lists(records, max_size=6), fsync=st.booleans())
def test_appender_then_reader_gives_the_records(
    tmp_path_factory: pytest.TempPathFactory, rows: list[JsonObject], *, fsync: bool
) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    append_all(path, rows, fsync=fsync)
    assert list(read_jsonl(path)) == rows


@given(rows=st.lists(records, min_size=1, max_size=6), data=st.data())
def test_appender_after_cut_at_any_byte_keeps_complete_records_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[JsonObject], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    append_all(path, rows)
    content = path.read_bytes()
    cut = data.draw(st.integers(min_value=0, max_value=len(content)))
    path.write_bytes(content[:cut])
    # A record is complete once its closing brace is there; its line feed can be added.
    ends = [len(line) - 1 for line in content.splitlines(keepends=True)]
    starts = [sum(end + 1 for end in ends[:at]) for at in range(len(ends))]
    num_complete = sum(start + end <= cut for start, end in zip(starts, ends, strict=True))
    append_all(path, [{"last": True}])
    assert list(read_jsonl(path)) == [*rows[:num_complete], {"last": True}]


def test_appender_torn_line_longer_than_a_block_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n{"b":"' + b"x" * 300_000)
    append_all(path, [{"c": 3}])
    assert list(read_jsonl(path)) == [{"a": 1}, {"c": 3}]


def test_appender_zero_bytes_after_power_loss_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n' + bytes(100))
    append_all(path, [])
    assert path.read_bytes() == b'{"a":1}\n'


def test_appender_record_is_on_disk_before_close(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with JsonlAppender(path) as appender:
        appender.append({"a": "臺\u2028灣"})
        assert list(read_jsonl(path)) == [{"a": "臺\u2028灣"}]


def test_appender_not_json_is_refused_and_nothing_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with JsonlAppender(path) as appender, pytest.raises(DataError, match=r"a\.jsonl: cannot be written as JSON"):
        appender.append({"a": float("nan")})
    assert path.read_bytes() == b""


def test_appender_full_disk_is_run_error_with_fix() -> None:
    with (
        JsonlAppender(Path("/dev/full")) as appender,
        pytest.raises(RunError, match=r"/dev/full: .*; free space, then run the same command again"),
    ):
        appender.append({"a": 1})


def test_appender_closed_is_refused(tmp_path: Path) -> None:
    appender = JsonlAppender(tmp_path / "a.jsonl")
    with pytest.raises(RunError, match="not open"):
        appender.append({})
    with appender:
        pass
    appender.close()
    with pytest.raises(RunError, match="not open"):
        appender.append({})


def test_appender_unopenable_or_unrepairable_is_run_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be written"), JsonlAppender(tmp_path):
        pass
    with pytest.raises(RunError, match="create the folder"), JsonlAppender(tmp_path / "absent" / "a.jsonl"):
        pass


def test_read_jsonl_empty_file_yields_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"")
    assert list(read_jsonl(tmp_path / "a.jsonl")) == []


def test_read_jsonl_last_line_without_line_feed_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a":1}\n{"a":2}')
    assert list(read_jsonl(tmp_path / "a.jsonl")) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a":', "is not JSON"),
        (b"", "is not JSON"),
        (b"[1]", "holds list"),
        (b'\xef\xbb\xbf{"a":1}', r"is not JSON \(it begins with a byte order mark"),
        (b'{"a":NaN}', r"is not JSON \(NaN"),
        (b'{"a":"\xa4\xa4"}', "byte 6 is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a":' + b"9" * 5_000 + b"}", "is not JSON"),
    ],
)
def test_read_jsonl_bad_line_is_named_after_the_good_ones(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps({"a": 1}).encode() + b"\n" + line + b"\n")
    reader = read_jsonl(path)
    assert next(reader) == {"a": 1}
    with pytest.raises(DataError, match=rf"a\.jsonl:2: {reason}"):
        next(reader)


def test_read_jsonl_missing_file_is_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.jsonl: cannot be read \(No such file"):
        next(read_jsonl(tmp_path / "absent.jsonl"))


@pytest.mark.parametrize(
    ("line", "key"), [(b'{"a":1,"b":2,"a":1}', "'a'"), (b'{"b":[{"c":{"x":1,"\\u0078":2}}]}', "'x'")]
)
def test_read_jsonl_repeated_key_is_refused_by_name(tmp_path: Path, line: bytes, key: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n' + line + b"\n")
    reader = read_jsonl(path)
    assert next(reader) == {"a": 1}
    with pytest.raises(DataError, match=rf"a\.jsonl:2: the key {key} comes twice in one object; give it once$"):
        next(reader)


@pytest.mark.parametrize("line", [b'{"a":1,"a":2}', b'{"a":NaN}'])
def test_appender_whole_last_line_that_cannot_be_read_is_kept_for_its_author(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line)
    append_all(path, [{"c": 3}])
    assert path.read_bytes() == line + b'\n{"c": 3}\n'


@given(row=records)
def test_parse_json_line_reads_what_the_reader_reads(row: JsonObject) -> None:
    assert parse_json_line(json.dumps(row).encode(), where="a:1") == row


@given(rows=st.lists(st.tuples(st.sampled_from("abcd"), scalars), max_size=4))
def test_unique_keys_refuses_exactly_what_repeats(rows: list[tuple[str, object]]) -> None:
    names = [name for name, _ in rows]
    if len(set(names)) == len(names):
        assert unique_keys(rows) == dict(rows)
        return
    with pytest.raises(ValueError, match="comes twice in one object") as caught:
        unique_keys(rows)
    assert any(names.count(name) > 1 and repr(name) in str(caught.value) for name in names)
