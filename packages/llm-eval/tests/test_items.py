"""Items: what is judged, and the files that hold them."""

import gzip
import json
import os
from pathlib import Path

import pytest

from llm_eval._items import JudgeItem, Level, Turn, item_from_json, item_sha256, item_to_json
from llm_eval._load_items import load_items, read_rows
from twllm_types import DataError

TURN = {"id": "t1", "context": [["user", "今天好嗎？"], [None, "嗯"]], "response": "很好。"}


def test_item_from_json_turn_is_read_with_other_keys_ignored():
    row = {
        **TURN,
        "level": "turn",
        "system": "s",
        "references": ["好啊"],
        "documents": ["d"],
        "cluster": "c",
        "human": {},
    }
    item = item_from_json(row)
    assert item == JudgeItem(
        id="t1",
        context=(Turn(speaker="user", text="今天好嗎？"), Turn(speaker=None, text="嗯")),
        response="很好。",
        references=("好啊",),
        documents=("d",),
        system="s",
        cluster="c",
    )
    assert item.level is Level.TURN
    assert item_from_json(item_to_json(item)) == item


def test_item_from_json_dialogue_text_context_and_number_id_are_read():
    item = item_from_json({"id": 7, "context": "A: hi\nB: hello", "response": None, "reference": "r"})
    assert (item.id, item.level, item.references) == ("7", Level.DIALOGUE, ("r",))
    assert item.context == (Turn(speaker=None, text="A: hi\nB: hello"),)
    assert item_from_json({"id": "d", "context": "x", "level": "dialogue"}).response is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "id is None"),
        ({"id": True}, "id is True"),
        ({"id": " "}, "empty id"),
        ({"context": None}, "context is NoneType"),
        ({"context": []}, "context is empty"),
        ({"context": ""}, "context is empty"),
        ({"context": [["user", ""]]}, "context is empty"),
        ({"context": [["user"]]}, "turn 1"),
        ({"context": [["user", "x"], [1, "x"]]}, "turn 2"),
        ({"response": ""}, "response is empty"),
        ({"response": 3}, "response is int"),
        ({"references": [""]}, "reference is empty"),
        ({"references": "x"}, "references is not a list"),
        ({"references": ["a"], "reference": "b"}, "both"),
        ({"documents": [1]}, "documents is not a list"),
        ({"documents": [" "]}, "document is empty"),
        ({"system": 3}, "system is int"),
        ({"level": "dialogue"}, "level is 'dialogue'"),
        ({"response": "\ud800"}, "surrogate"),
        ({"system": "\ud800"}, "surrogate"),
        ({"cluster": "\ud800"}, "surrogate"),
    ],
)
def test_item_from_json_bad_row_is_refused_with_its_place(change, message):
    with pytest.raises(DataError, match=message) as caught:
        item_from_json({**TURN, **change}, source="f.jsonl:3")
    assert str(caught.value).startswith("f.jsonl:3")


def test_item_from_json_forgotten_response_is_refused():
    with pytest.raises(DataError, match="has no response"):
        item_from_json({"id": "t", "context": "x"})


def test_cluster_key_equal_contexts_share_one_key():
    one, other = (item_from_json({**TURN, "id": name, "response": name}) for name in "ab")
    assert one.cluster_key == other.cluster_key
    assert item_from_json({**TURN, "context": "else"}).cluster_key != one.cluster_key
    assert item_from_json({**TURN, "cluster": "mine"}).cluster_key == "mine"


def test_item_sha256_differs_by_everything_that_is_judged():
    item = item_from_json({**TURN, "system": "s", "references": ["r"], "documents": ["d"], "cluster": "c"})
    rows = [
        {"id": "t2"},
        {"context": "今天好嗎？"},
        {"response": "不好。"},
        {"response": None, "level": "dialogue"},
        {"system": None},
        {"references": []},
        {"documents": ["e"]},
        {"cluster": None},
    ]
    others = [item_from_json({**item_to_json(item), "level": None, **row}) for row in rows]
    assert len({item_sha256(one) for one in (item, *others)}) == 9
    assert item_sha256(item) == item_sha256(item_from_json(item_to_json(item)))


def test_load_items_plain_and_packed_files_give_the_same_items(tmp_path):
    text = "".join(json.dumps({**TURN, "id": name}) + "\n" for name in "ab")
    plain, packed = tmp_path / "items.jsonl", tmp_path / "items.jsonl.gz"
    plain.write_text(text, encoding="utf-8")
    packed.write_bytes(gzip.compress(text.encode()))
    assert [item.id for item in load_items(plain)] == ["a", "b"]
    assert load_items(packed) == load_items(plain)


def test_load_items_faults_name_file_and_line(tmp_path):
    path = tmp_path / "items.jsonl"
    row = json.dumps(TURN)
    for text, message in (
        (f"{row}\n{row}\n", ":2: id 't1' is that of line 1"),
        (f'{row}\n{{"id": "x", "context": "c"}}\n', ":2: item 'x'"),
        ("", "holds no item"),
        ("[]\n", ":1"),
        (
            f'{row}\n{{"id": "x", "context": "c", "response": "r", "response": "s"}}\n',
            ":2: the key 'response' comes twice",
        ),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            load_items(path)
    with pytest.raises(DataError, match=r"missing\.jsonl"):
        load_items(tmp_path / "missing.jsonl")


@pytest.mark.parametrize("content", [b'{"a": NaN}\n', b"[]\n", b"\xff\n", b"{\n", b'{"a": 1, "a": 1}\n'])
def test_read_rows_packed_file_with_a_bad_line_names_it(tmp_path, content):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}\n" + content))
    with pytest.raises(DataError, match=r"rows\.jsonl\.gz:2"):
        list(read_rows(path))


@pytest.mark.parametrize("cut", [0, 12])
def test_read_rows_damaged_archive_is_refused(tmp_path, cut):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(b"no gzip" if cut == 0 else gzip.compress(b'{"a": 1}\n' * 50)[:-cut])
    with pytest.raises(DataError, match="cannot be unpacked"):
        list(read_rows(path))


@pytest.mark.parametrize(
    ("name", "num_items", "level"),
    [
        ("usr-topicalchat", 360, Level.TURN),
        ("dailydialog-zhao", 540, Level.TURN),
        ("fed-dialogue", 125, Level.DIALOGUE),
    ],
)
def test_load_items_shared_dialogues_are_read_whole(name, num_items, level):
    root = os.environ.get("TWLLM_DATA")
    path = Path(root or "") / "dialog" / "unified" / f"{name}.jsonl"
    if root is None or not path.exists():
        pytest.skip(f"shared data not found: dialog/unified/{name}.jsonl")
    items = load_items(path)
    assert len(items) == num_items
    assert {item.level for item in items} == {level}


@pytest.mark.parametrize("row", [[1], "a", 3, None], ids=str)
def test_item_from_json_row_that_is_no_object_is_refused(row):
    with pytest.raises(DataError, match=r"items\.jsonl:4: an item is .*give a JSON object"):
        item_from_json(row, source="items.jsonl:4")
