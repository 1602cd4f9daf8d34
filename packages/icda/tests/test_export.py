from pathlib import Path

import pytest
import yaml

from icda._data import load_intent_data
from icda._export import ExportFormat, export_examples
from twllm_types import ConfigError, DataError, IntentExample

ROWS = (
    IntentExample(text="我的卡片不見了，怎麼辦", intent="lost_card", id="s:1"),
    IntentExample(text='say "hi",\nplease', intent="greet: now?", id="c1", source="model"),
    IntentExample(text="card gone", intent="lost_card", id="c2", source="model"),
    IntentExample(text="wie geht es", intent=None, id="o1"),
)


@pytest.mark.parametrize(("form", "name"), [("csv", "rows.csv"), ("jsonl", "rows.jsonl"), ("datasets", "folder")])
def test_export_rows_are_read_back(tmp_path: Path, form: str, name: str) -> None:
    if form == "datasets":
        pytest.importorskip("datasets")
    export_examples(ROWS, tmp_path / name, form)

    read = load_intent_data(tmp_path / name).examples

    assert [(row.text, row.intent, row.id) for row in read] == [(row.text, row.intent, row.id) for row in ROWS]


def test_export_rasa_is_the_yaml_that_rasa_reads(tmp_path: Path) -> None:
    export_examples(ROWS, tmp_path / "nlu.yml", ExportFormat.RASA, out_of_scope="out_of_scope")

    content = yaml.safe_load((tmp_path / "nlu.yml").read_text(encoding="utf-8"))

    assert content == {
        "version": "3.1",
        "nlu": [
            {"intent": "lost_card", "examples": "- 我的卡片不見了，怎麼辦\n- card gone\n"},
            {"intent": "greet: now?", "examples": '- say "hi", please\n'},
            {"intent": "out_of_scope", "examples": "- wie geht es\n"},
        ],
    }


@pytest.mark.parametrize("text", ["fly to [Taipei](city)", 'to [Taipei]{"entity": "city"}', "bell \x07"])
def test_export_rasa_text_that_reads_otherwise_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"row 'a': .* is markup to Rasa"):
        export_examples([IntentExample(text=text, intent="x", id="a")], tmp_path / "nlu.yml", "rasa")
    assert not (tmp_path / "nlu.yml").exists()


def test_export_nothing_unknown_format_or_present_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows to write"):
        export_examples([], tmp_path / "rows.csv", "csv")
    with pytest.raises(ConfigError, match="'xlsx' is none of csv, jsonl"):
        export_examples(ROWS, tmp_path / "rows.xlsx", "xlsx")
    pytest.importorskip("datasets")
    with pytest.raises(ConfigError, match="exists"):
        export_examples(ROWS, tmp_path, "datasets")
