import json
import os
from pathlib import Path

import pytest

from icda._data import RowFields, load_intent_data
from icda._splits import (
    IndexSplit,
    deduplicated,
    few_shot_rows,
    load_index_splits,
    write_index_splits,
)
from twllm_types import ConfigError, DataError, IntentExample


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def example(text: str, intent: str | None) -> IntentExample:
    return IntentExample(text=text, intent=intent)


@pytest.mark.parametrize("column", ["category", "intent", "label"])
def test_csv_usual_label_column_is_read(tmp_path: Path, column: str) -> None:
    path = write(tmp_path, "rows.csv", f'text,{column}\n我的卡片掉了,lost_card\n"how much, please?",fees\n')

    data = load_intent_data(path)

    assert [(row.text, row.intent, row.id) for row in data.examples] == [
        ("我的卡片掉了", "lost_card", "rows:0"),
        ("how much, please?", "fees", "rows:1"),
    ]
    assert data.intents == ("fees", "lost_card")


def test_csv_quoted_line_break_keeps_row_numbers_and_names_first_line(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.csv", 'text,intent\n"two\nlines",a\n\n"",b\n')

    with pytest.raises(DataError, match=r"rows\.csv:5: text is empty"):
        load_intent_data(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,intent\n", "holds no rows"),
        ("text,topic\nhello,a\n", r"rows\.csv:2: has no field 'category' or 'intent'"),
        ("text,intent,label\nhello,a,b\n", r"rows\.csv:2: has more than one of 'category'"),
        ("text,text\nhello,a\n", r"rows\.csv:1: the header names a column twice"),
        ("text,intent\nhello\n", r"rows\.csv:2: has 1 cells, the header has 2"),
        ("text,intent\nhello,\n", r"rows\.csv:2: intent is empty"),
        ('text,intent\n"hello,a\n', r"rows\.csv:\d: is not CSV"),
    ],
)
def test_csv_row_that_cannot_be_used_names_line_and_field(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_intent_data(write(tmp_path, "rows.csv", content))


def test_csv_label_unknown_names_label(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.csv", "text,intent\nhello,greet\nbye,leave\n")

    with pytest.raises(DataError, match=r"rows\.csv:3: intent 'leave' is none of the 1 known intents"):
        load_intent_data(path, fields=RowFields(known={"greet"}))


def test_csv_not_utf8_names_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text,intent\n" + "餘額查詢,balance\n".encode("big5"))

    with pytest.raises(DataError, match=r"rows\.csv:2: byte \d+ is not UTF-8"):
        load_intent_data(path)


def test_jsonl_named_fields_and_null_label_are_read(tmp_path: Path) -> None:
    rows = [
        {"id": 7, "q": "開戶要帶什麼", "y": "open_account"},
        {"q": "天氣好嗎", "y": None},
        {"q": "晚餐", "y": "oos"},
    ]
    path = write(tmp_path, "rows.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in rows))

    data = load_intent_data(path, fields=RowFields(text="q", intent="y"))

    assert [(row.id, row.intent) for row in data.examples] == [
        ("7", "open_account"),
        ("rows:1", None),
        ("rows:2", None),
    ]


def test_jsonl_row_without_field_names_line(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.jsonl", '{"text": "a", "intent": "x"}\n{"text": "b"}\n')

    with pytest.raises(DataError, match=r"rows\.jsonl:2: has no field 'intent'"):
        load_intent_data(path)


def test_clinc_json_splits_and_out_of_scope_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, "all.json", json.dumps({"train": [["send money", "transfer"]], "oos": [["sing", "oos"]]}))

    assert load_intent_data(path, split="train").examples[0].intent == "transfer"
    assert load_intent_data(path, split="oos").examples[0].intent is None


@pytest.mark.parametrize(
    ("content", "split", "message"),
    [
        ('{"train": [["a", "b"]]}', "test", "has the splits train"),
        ('{"train": [["a", "b"]]}', None, "name one of them, not None"),
        ('{"train": []}', "train", "train holds no rows"),
        ('{"train": [["a"]]}', "train", r"train\[0\]: is not \[text, intent\]"),
        ('{"train": [[" ", "b"]]}', "train", r"train\[0\]: text is empty"),
        ("[1]", "train", "holds list"),
        ('{"train": 1, "train": 2}', "train", "comes twice"),
    ],
)
def test_clinc_json_of_other_layout_names_split_and_row(
    tmp_path: Path, content: str, split: str | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_intent_data(write(tmp_path, "all.json", content), split=split)


def test_file_of_other_kind_or_missing_or_with_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither \.csv"):
        load_intent_data(write(tmp_path, "rows.txt", "a"))
    with pytest.raises(DataError, match="cannot be read"):
        load_intent_data(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="has no splits"):
        load_intent_data(write(tmp_path, "rows.csv", "text,intent\na,b\n"), split="train")


def test_datasets_folder_class_labels_are_read_by_name(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])})
    data = datasets.Dataset.from_dict({"text": ["餘額", "掛失"], "label": [1, 0]}, features=features)
    datasets.DatasetDict({"train": data}).save_to_disk(str(tmp_path / "many"))
    data.save_to_disk(str(tmp_path / "one"))

    assert [row.intent for row in load_intent_data(tmp_path / "many", split="train").examples] == ["b", "a"]
    assert load_intent_data(tmp_path / "one").examples[0].id == "one:0"
    with pytest.raises(DataError, match="has the splits train"):
        load_intent_data(tmp_path / "many")
    with pytest.raises(DataError, match="without splits"):
        load_intent_data(tmp_path / "one", split="train")


def test_datasets_folder_row_without_label_is_refused(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])})
    datasets.Dataset.from_dict({"text": ["餘額"], "label": [-1]}, features=features).save_to_disk(str(tmp_path / "one"))

    with pytest.raises(DataError, match=r"row 0: label is empty or no text \(-1\)"):
        load_intent_data(tmp_path / "one")


def test_folder_without_data_set_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(DataError, match="no folder of save_to_disk"):
        load_intent_data(tmp_path)


def test_index_splits_written_are_read_back(tmp_path: Path) -> None:
    data = load_intent_data(write(tmp_path, "rows.csv", "text,intent\na,x\nb,y\nc,x\n"))
    path = tmp_path / "splits.json"
    write_index_splits(path, {"few": IndexSplit(source_split="train", rows=(2, 1, 1))}, {"train": data})

    splits = load_index_splits(path, {"train": data})

    assert [row.text for row in splits["few"]] == ["c", "b", "b"]


def test_index_splits_of_other_data_are_refused(tmp_path: Path) -> None:
    data = load_intent_data(write(tmp_path, "rows.csv", "text,intent\na,x\nb,y\n"))
    path = tmp_path / "splits.json"
    write_index_splits(path, {"few": IndexSplit(source_split="train", rows=(0,))}, {"train": data})
    changed = load_intent_data(write(tmp_path, "rows.csv", "text,intent\nb,y\na,x\n"))

    with pytest.raises(DataError, match=f"sha256 {data.sha256}.*has {changed.sha256}"):
        load_index_splits(path, {"train": changed})


def test_index_splits_without_hash_need_one_as_argument(tmp_path: Path) -> None:
    data = load_intent_data(write(tmp_path, "rows.csv", "text,intent\na,x\nb,y\n"))
    path = write(tmp_path, "splits.json", '{"few": {"source_split": "train", "rows": [1]}}')

    with pytest.raises(DataError, match="names no sha256 for 'train'"):
        load_index_splits(path, {"train": data})
    assert load_index_splits(path, {"train": data}, sha256={"train": data.sha256})["few"][0].text == "b"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "holds list"),
        ("{", "is not JSON"),
        ('{"sha256": {"train": "0"}}', "names no split"),
        ('{"few": 1, "sha256": 3}', "sha256 must be"),
        ('{"few": [1]}', r"few: is not \{source_split, rows\}"),
        ('{"few": {"source_split": "train", "rows": [-1]}}', "few: rows hold -1"),
        ('{"few": {"source_split": "train", "rows": []}}', "few: has no rows"),
        ('{"few": {"source_split": "other", "rows": [0]}}', "counts rows of 'other'"),
        ('{"few": {"source_split": "train", "rows": [2]}}', "row 2 lies outside of the 2 rows"),
        ('{"few": {"source_split": "train", "rows": [0]}, "sha256": {"train": "0"}}', "correct one"),
    ],
)
def test_index_splits_of_other_layout_are_refused(tmp_path: Path, content: str, message: str) -> None:
    data = load_intent_data(write(tmp_path, "rows.csv", "text,intent\na,x\nb,y\n"))

    with pytest.raises(DataError, match=message):
        load_index_splits(write(tmp_path, "splits.json", content), {"train": data}, sha256={"train": data.sha256})


def test_index_splits_missing_file_or_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_index_splits(tmp_path / "absent.json", {})
    with pytest.raises(ConfigError, match="no source 'train'"):
        write_index_splits(tmp_path / "s.json", {"few": IndexSplit(source_split="train", rows=(0,))}, {})
    with pytest.raises(ConfigError, match="no split can be called 'sha256'"):
        write_index_splits(tmp_path / "s.json", {"sha256": IndexSplit(source_split="train", rows=(0,))}, {})


def test_few_shots_fewer_are_part_of_more_and_another_seed_draws_others() -> None:
    rows = [example(f"utterance {number}", "ab"[number % 2]) for number in range(60)]

    five, ten = few_shot_rows(rows, num_shots=5, seed=3), few_shot_rows(rows, num_shots=10, seed=3)

    assert set(five) < set(ten)
    assert [sum(row % 2 == rest for row in five) for rest in (0, 1)] == [5, 5]
    assert five != few_shot_rows(rows, num_shots=5, seed=4)


def test_few_shots_one_intent_does_not_change_the_draw_of_another() -> None:
    rows = [example(f"utterance {number}", "a") for number in range(20)]
    more = [*rows, *(example(f"other {number}", "b") for number in range(20))]

    assert set(few_shot_rows(rows, num_shots=4, seed=0)) < set(few_shot_rows(more, num_shots=4, seed=0))


def test_few_shots_too_few_different_texts_are_refused() -> None:
    rows = [example("Hello", "a"), example("hello ", "a"), example("weather", None)]

    with pytest.raises(DataError, match="intent 'a' has 1 different utterances"):
        few_shot_rows(rows, num_shots=2, seed=0)
    with pytest.raises(ConfigError, match="num_shots is 0"):
        few_shot_rows(rows, num_shots=0, seed=0)


def test_deduplicated_same_text_of_another_intent_stays() -> None:
    rows = [example("餘額？", "a"), example("餘額", "a"), example("餘額", "b"), example("?", "a"), example("!", "a")]

    assert [(row.text, row.intent) for row in deduplicated(rows)] == [
        ("餘額？", "a"),
        ("餘額", "b"),
        ("?", "a"),
        ("!", "a"),
    ]


def shared(name: str) -> Path:
    path = Path(os.environ.get("TWLLM_DATA", "")) / "intent" / name
    if "TWLLM_DATA" not in os.environ or not path.exists():
        pytest.skip(f"shared data not found: intent/{name}")
    return path


def test_banking77_index_splits_have_the_published_counts() -> None:
    sources = {name: load_intent_data(shared(f"banking77/{name}.csv")) for name in ("train", "test")}

    splits = load_index_splits(
        shared("index_splits/banking77.json"), sources, sha256={name: one.sha256 for name, one in sources.items()}
    )

    assert {name: len(rows) for name, rows in splits.items()} == {
        "train": 8622,
        "train_5": 385,
        "train_10": 770,
        "valid": 1540,
        "test": 3080,
    }
    assert len(deduplicated(splits["valid"])) == 1381


def test_clinc150_splits_have_the_published_counts() -> None:
    path = shared("clinc150/data_full.json")

    counts = {name: len(load_intent_data(path, split=name).examples) for name in ("train", "val", "test", "oos_test")}

    assert counts == {"train": 15000, "val": 3000, "test": 4500, "oos_test": 1000}
    assert all(row.intent is None for row in load_intent_data(path, split="oos_test").examples)


@pytest.mark.parametrize("row", [{"text": "my \ud800 card", "intent": "a"}, {"text": "my card", "intent": "\udc00"}])
def test_half_a_character_is_refused_with_its_place(tmp_path, row):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"rows\.jsonl:1: (text|intent) holds a lone surrogate"):
        load_intent_data(path)
