"""Files of items: what a killed stage left, and the bytes at the end."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twllm_runs import ItemFile, blocks, check_sha256, hash_file, to_ask, write_jsonl
from twllm_types import ArtifactError


def by_id(row):
    return row["id"]


def item_file(path: Path, *rows: object) -> ItemFile[object]:
    write_jsonl(path, rows)  # pyright: ignore[reportArgumentType]
    return ItemFile(path, by_id)


def test_items_last_line_of_a_key_counts_and_the_plan_decides_the_order(tmp_path):
    path = tmp_path / "items.jsonl"
    file = item_file(
        path, {"id": 2, "x": "early"}, {"id": 1, "x": "a"}, {"id": 2, "x": "late"}, {"id": 9, "x": "other"}
    )
    assert file.put_in_order([1, 2]) == [{"id": 1, "x": "a"}, {"id": 2, "x": "late"}]
    assert path.read_text(encoding="utf-8") == '{"id": 1, "x": "a"}\n{"id": 2, "x": "late"}\n'


def test_items_of_other_keys_stay_behind_the_plan_where_they_are_kept(tmp_path):
    path = tmp_path / "items.jsonl"
    file = item_file(path, {"id": 7, "ok": False}, {"id": 8, "ok": True}, {"id": 1, "ok": True})
    file.put_in_order([1], keeps_other=lambda row: row["ok"] is True)
    assert list(file.read()) == [1, 8]


def test_items_of_a_file_that_does_not_exist_are_none_and_a_missing_one_is_named(tmp_path):
    file = ItemFile(tmp_path / "none.jsonl", by_id)
    assert file.read() == {}
    with pytest.raises(ArtifactError, match="1 items are missing; run the same command again"):
        file.put_in_order(["a"])


@pytest.mark.parametrize("line", ["{", '{"other": 1}'])
def test_items_of_a_damaged_file_are_refused(tmp_path, line):
    path = tmp_path / "items.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"items\.jsonl: is damaged"):
        ItemFile(path, by_id).read()


def test_half_characters_are_written_as_escapes_and_read_back(tmp_path):
    path = tmp_path / "items.jsonl"
    write_jsonl(path, [{"text": "好\ud800"}])
    assert path.read_text(encoding="utf-8") == '{"text": "好\\ud800"}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_jsonl(path, [{"x": float("nan")}])
    assert "好" in path.read_text(encoding="utf-8")


@given(st.lists(st.integers()), st.integers(min_value=1, max_value=7))
def test_blocks_joined_are_the_plan_and_none_is_larger(plan, size):
    cut = list(blocks(plan, size))
    assert [one for block in cut for one in block] == plan
    assert all(0 < len(block) <= size for block in cut)


def test_to_ask_gives_what_is_missing_or_the_whole_block():
    assert to_ask([1, 2, 3], {1: "", 2: "", 3: ""}, lambda one: one, whole=True) == []
    assert to_ask([1, 2, 3], {1: ""}, lambda one: one, whole=True) == [1, 2, 3]
    assert to_ask([1, 2, 3], {1: ""}, lambda one: one, whole=False) == [2, 3]


def test_check_sha256_refuses_a_changed_and_a_missing_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("x", encoding="utf-8")
    digest = hash_file(path)
    check_sha256(path, digest)
    path.write_text("y", encoding="utf-8")
    with pytest.raises(ArtifactError, match="was changed since the stage wrote it"):
        check_sha256(path, digest)
    path.unlink()
    with pytest.raises(ArtifactError, match="restore it"):
        check_sha256(path, digest)
