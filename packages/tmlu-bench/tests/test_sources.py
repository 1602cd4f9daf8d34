import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tmlu_bench import FaultReason, QuestionSet, SourceFormat, SubjectQuestions, load_questions
from tmlu_bench._sources._hub import read_configurations
from twllm_types import DataError

ROW: dict[str, object] = {
    "id": "r1",
    "question": "湯匙用來做什麼？",
    "A": "喝湯",
    "B": "剪紙",
    "C": "釘釘子",
    "D": "量身高",
    "E": None,
    "F": None,
    "answer": "A",
    "explanation": "湯匙是餐具。",
}


def lines(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def row(number: int, **changed: object) -> dict[str, object]:
    return {**ROW, "id": f"r{number}", "question": f"湯匙用來做什麼？第 {number} 題", **changed}


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def only_fault(folder: Path) -> tuple[FaultReason, str, int]:
    (fault,) = load_questions(folder).faults
    return fault.reason, fault.file, fault.line


@pytest.mark.parametrize("column", ["id", "question", "C", "explanation", "subject"])
def test_half_of_a_surrogate_pair_is_a_fault_wherever_it_stands(tmp_path: Path, column: str) -> None:
    broken = row(2, **{column: "湯\ud83d匙"})
    write(tmp_path / "test.jsonl", json.dumps(row(1)) + "\n" + json.dumps(broken) + "\n")
    (fault,) = load_questions(tmp_path).faults
    assert (fault.reason, fault.file, fault.line) == (FaultReason.LONE_SURROGATE, "test.jsonl", 2)
    assert f"{fault.subject}{fault.message}".encode()
    with pytest.raises(DataError, match=r"test\.jsonl:2: .* holds half of a surrogate pair"):
        load_questions(tmp_path, strict=True)


def test_whole_surrogate_pair_is_a_character(tmp_path: Path) -> None:
    write(tmp_path / "soup_test.jsonl", json.dumps(row(1, question="湯匙 😀")) + "\n")
    assert load_questions(tmp_path).get("soup").test[0].question == "湯匙 😀"


def test_half_of_a_surrogate_pair_in_a_subject_name_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "soup_test.jsonl", lines(row(1)))
    write(tmp_path / "subjects.json", json.dumps([{"id": "soup", "name": "湯\ud83d"}]))
    with pytest.raises(DataError, match=r"subjects\.json: the name of 'soup' holds half of a surrogate pair"):
        load_questions(tmp_path)


def test_tmlu_folder_is_read_by_subject_and_split(tmp_path: Path) -> None:
    write(tmp_path / "tour_guide_test.jsonl", lines(row(1), row(2)))
    write(tmp_path / "tour_guide_dev.jsonl", lines(row(3)))
    write(tmp_path / "AST_chemistry_test.jsonl", lines(row(4, E="唱歌", answer="E")))
    write(tmp_path / "README.md", "notes")
    loaded = load_questions(tmp_path)
    assert [subject.id for subject in loaded.subjects] == ["AST_chemistry", "tour_guide"]
    guide = loaded.get("tour_guide")
    assert ([q.id for q in guide.test], [q.id for q in guide.dev]) == (["r1", "r2"], ["r3"])
    assert guide.name == "導遊"
    assert guide.dev[0].explanation == "湯匙是餐具。"
    assert loaded.get("AST_chemistry").test[0].letters == "ABCDE"
    assert (loaded.ignored, loaded.faults, loaded.num_questions) == (("README.md",), (), 3)
    assert loaded.formats == (SourceFormat.TMLU,)
    assert loaded.origins["tour_guide", "test", "r2"].line == 2
    assert [file.name for file in loaded.files] == [
        "AST_chemistry_test.jsonl",
        "tour_guide_dev.jsonl",
        "tour_guide_test.jsonl",
    ]


def test_subjects_folder_hides_what_stands_beside_it_and_takes_names(tmp_path: Path) -> None:
    write(tmp_path / "subjects" / "soup" / "test.jsonl", lines(row(1)))
    write(tmp_path / "other.jsonl", lines(row(2)))
    write(tmp_path / "subjects.json", json.dumps([{"id": "soup", "name": "湯品學"}]))
    loaded = load_questions(tmp_path)
    assert [(subject.id, subject.name) for subject in loaded.subjects] == [("soup", "湯品學")]


def test_tmmluplus_csv_folder_keeps_val_apart(tmp_path: Path) -> None:
    head = "question,A,B,C,D,answer\n"
    for split in ("test", "dev", "val"):
        write(tmp_path / "data" / f"economics_{split}.csv", f'{head}"{split} 的題目，含逗號",一,二,三,四,B\n')
    economics = load_questions(tmp_path).get("economics")
    assert [questions[0].question[:3] for questions in economics.splits.values()] == ["tes", "dev", "val"]
    assert economics.test[0].id == "test-0000"


def test_split_folders_and_train_are_understood(tmp_path: Path) -> None:
    write(tmp_path / "test" / "soup.csv", "question,A,B,C,D,answer\n題,一,二,三,四,C\n")
    write(tmp_path / "train" / "soup_train.csv", "question,A,B,C,D,answer\n例,一,二,三,四,D\n")
    soup = load_questions(tmp_path).get("soup")
    assert (soup.test[0].answer, soup.dev[0].answer) == ("C", "D")


def test_parquet_nan_and_null_options_are_absent(tmp_path: Path) -> None:
    table = pa.table(
        {
            "question": ["三個選項", "五個選項"],
            "A": ["一", "一"],
            "B": ["二", "二"],
            "C": ["三", "三"],
            "D": pa.array([None, "四"]),
            "E": pa.array([float("nan"), 5.0]),
            "answer": ["C", "E"],
        }
    )
    (tmp_path / "soup").mkdir()
    pq.write_table(table, tmp_path / "soup" / "test-00000-of-00001.parquet")
    test = load_questions(tmp_path).get("soup").test
    assert [question.letters for question in test] == ["ABC", "ABCDE"]
    assert test[1].options[4] == "5.0"


def test_tmmlu_v1_splits_inline_options(tmp_path: Path) -> None:
    stem = '"12. 圖中(E)為何？(A)一(B)二(C)三(D)四\n（續）"'
    write(tmp_path / "soup" / "data.csv", f",content.A,content.Q\n0,D,{stem}\n1,B,問答題，沒有選項\n")
    loaded = load_questions(tmp_path)
    (question,) = loaded.get("soup").test
    assert question.question == "圖中(E)為何？"
    assert question.options == ("一", "二", "三", "四\n（續）")
    assert loaded.formats == (SourceFormat.TMMLU_V1,)
    (fault,) = loaded.faults
    assert (fault.reason, fault.line) == (FaultReason.NO_OPTIONS, 4)


def test_tmmlu_v1_takes_the_last_run_of_markers(tmp_path: Path) -> None:
    write(
        tmp_path / "soup" / "data.csv",
        ",content.A,content.Q\n0,E,甲：(A)x(B)y(C)z(D)w 何者？(A)一(B)二(C)三(D)四(E)五\n",
    )
    (question,) = load_questions(tmp_path).get("soup").test
    assert question.options == ("一", "二", "三", "四", "五")
    assert question.question.endswith("何者？")


@pytest.mark.parametrize("whole", [False, True])
def test_choices_list_takes_index_or_letter(tmp_path: Path, whole: bool) -> None:
    rows = [
        {"question": "甲題", "choices": ["一", "二"], "answer": 1, "answer_str": "二"},
        {"question": "乙題", "choices": ["一", "二", "三", "四", "五", "六"], "answer": "Ｆ"},
    ]
    path = tmp_path / ("soup.json" if whole else "soup.jsonl")
    write(path, json.dumps({"7": rows[0], "8": rows[1]}) if whole else lines(*rows))
    test = load_questions(path).get("soup").test
    assert [(question.answer, len(question.options)) for question in test] == [("B", 2), ("F", 6)]
    assert [question.id for question in test] == (["7", "8"] if whole else ["test-0000", "test-0001"])


def test_json_list_and_row_subject_are_read(tmp_path: Path) -> None:
    rows = [{**row(1), "subject": "soup"}, {**row(2), "subject": "salad"}, row(3)]
    loaded = load_questions(write(tmp_path / "mixed.json", json.dumps(rows)))
    assert [subject.id for subject in loaded.subjects] == ["mixed", "salad", "soup"]


def test_source_format_beside_split_files_is_not_a_second_subject(tmp_path: Path) -> None:
    write(tmp_path / "penguins" / "test.jsonl", lines(row(1)))
    write(tmp_path / "penguins" / "data.json", json.dumps({"x": row(2)}))
    loaded = load_questions(tmp_path)
    assert ([subject.id for subject in loaded.subjects], loaded.ignored) == (["penguins"], ("penguins/data.json",))
    alone = load_questions(tmp_path / "penguins" / "data.json")
    assert alone.subjects[0].id == "penguins"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"B": ""}, FaultReason.EMPTY_OPTION),
        ({"C": "   "}, FaultReason.EMPTY_OPTION),
        ({"B": None}, FaultReason.OPTION_GAP),
        ({"G": "第七個"}, FaultReason.TOO_MANY_OPTIONS),
        ({"answer": "E"}, FaultReason.ANSWER_OUTSIDE),
        ({"answer": "AB"}, FaultReason.ANSWER_OUTSIDE),
        ({"answer": None}, FaultReason.ANSWER_OUTSIDE),
        ({"answer": 1}, FaultReason.ANSWER_OUTSIDE),
        ({"B": "喝湯 "}, FaultReason.DUPLICATE_GOLD),
        ({"question": " "}, FaultReason.MISSING_FIELD),
        ({"question": None}, FaultReason.MISSING_FIELD),
        ({"B": None, "C": None, "D": None}, FaultReason.NO_OPTIONS),
        ({"id": "r1"}, FaultReason.DUPLICATE_ID),
        ({"B": ["剪紙"]}, FaultReason.EMPTY_OPTION),
        ({"choices": [str(i) for i in range(7)], "answer": 0}, FaultReason.TOO_MANY_OPTIONS),
        ({"choices": ["一"], "answer": 0}, FaultReason.NO_OPTIONS),
        ({"choices": "一二", "answer": 0}, FaultReason.MISSING_FIELD),
        ({"choices": ["一", None], "answer": 0}, FaultReason.EMPTY_OPTION),
        ({"choices": ["一", "二"], "answer": 2}, FaultReason.ANSWER_OUTSIDE),
        ({"choices": ["一", "二"], "answer": 0, "answer_str": "二"}, FaultReason.ANSWER_OUTSIDE),
    ],
)
def test_bad_row_is_a_fault_with_file_and_line(tmp_path: Path, changed: dict[str, object], reason: FaultReason) -> None:
    write(tmp_path / "soup_test.jsonl", lines(row(1), row(2, **changed), row(3)))
    assert only_fault(tmp_path) == (reason, "soup_test.jsonl", 2)
    assert load_questions(tmp_path).num_questions == 2
    with pytest.raises(DataError, match=r"soup_test\.jsonl:2: "):
        load_questions(tmp_path, strict=True)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"question": "斷', FaultReason.INVALID_JSON),
        ("[1, 2]", FaultReason.NOT_AN_OBJECT),
        ("[" * 3000, FaultReason.INVALID_JSON),
        ('{"question": "一", "answer": "A", "answer": "B"}', FaultReason.INVALID_JSON),
        (f'{{"id": 1{"0" * 5000}}}', FaultReason.INVALID_JSON),
    ],
)
def test_broken_json_line_is_a_fault_and_blank_lines_are_none(tmp_path: Path, line: str, reason: FaultReason) -> None:
    write(tmp_path / "soup_test.jsonl", f"{lines(row(1))}\n{line}\n{lines(row(2))}")
    assert only_fault(tmp_path) == (reason, "soup_test.jsonl", 3)


def test_full_width_and_lower_case_gold_letters_are_spellings(tmp_path: Path) -> None:
    write(tmp_path / "soup_test.jsonl", lines(row(1, answer="Ｃ"), row(2, answer=" b ")))
    assert [question.answer for question in load_questions(tmp_path).get("soup").test] == ["C", "B"]


def test_number_cells_become_their_text_and_ids_strings(tmp_path: Path) -> None:
    write(tmp_path / "soup_test.jsonl", lines(row(1, id=7, A=12, B=13.5)))
    (question,) = load_questions(tmp_path).get("soup").test
    assert (question.id, question.options[:2]) == ("7", ("12", "13.5"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp950"])
def test_csv_in_utf8_or_big5_gives_the_same_questions(tmp_path: Path, encoding: str) -> None:
    text = "question,A,B,C,D,E,answer\n台灣最高的山是哪一座？,玉山,雪山,阿里山,合歡山,,A\n"
    write(tmp_path / "soup_test.csv", text.encode(encoding))
    loaded = load_questions(tmp_path)
    assert loaded.get("soup").test[0].options == ("玉山", "雪山", "阿里山", "合歡山")
    assert loaded.files[0].encoding == ("cp950" if encoding == "cp950" else "utf-8")


def test_big5_with_a_broken_row_names_it(tmp_path: Path) -> None:
    text = "question,A,B,C,D,answer\n題目,一,二,三,四,A\n".encode("cp950")
    write(tmp_path / "soup_test.csv", text + b"\xa4\xff\xff,1,2,3,4,A\n")
    with pytest.raises(DataError, match=r"soup_test\.csv:3: neither UTF-8 nor Big5"):
        load_questions(tmp_path)


def test_damaged_utf8_is_not_taken_for_big5(tmp_path: Path) -> None:
    good = "題目一,一,二,三,四,A\n".encode()
    write(tmp_path / "soup_test.csv", b"question,A,B,C,D,answer\n" + good + good + b"\xa4\xa4,1,2,3,4,A\n")
    with pytest.raises(DataError, match=r"soup_test\.csv:4: bytes that are no UTF-8"):
        load_questions(tmp_path)


def test_csv_row_of_other_length_is_a_fault_and_empty_cell_of_four_is_one(tmp_path: Path) -> None:
    write(tmp_path / "soup_test.csv", "question,A,B,C,D,answer\n題,一,二,三,A\n\n題,一,二,三,,A\n題,一,二,三,四,A\n")
    loaded = load_questions(tmp_path)
    assert [(fault.reason, fault.line) for fault in loaded.faults] == [
        (FaultReason.COLUMN_COUNT, 2),
        (FaultReason.EMPTY_OPTION, 4),
    ]


def test_csv_with_an_open_quote_names_the_row(tmp_path: Path) -> None:
    write(tmp_path / "soup_test.csv", 'question,A,B,C,D,answer\n題,一,二,三,四,A\n"題,一,二\n')
    with pytest.raises(DataError, match=r"soup_test\.csv:3: "):
        load_questions(tmp_path)


def test_subject_selection_loads_no_other_file(tmp_path: Path) -> None:
    write(tmp_path / "soup_test.jsonl", lines(row(1)))
    write(tmp_path / "salad_test.csv", b"\xff\xff\xff")
    assert [subject.id for subject in load_questions(tmp_path, subjects=["soup"]).subjects] == ["soup"]
    with pytest.raises(DataError, match="no questions of cake"):
        load_questions(tmp_path, subjects=["soup", "cake"])


def test_subject_selection_filters_rows_of_a_mixed_file(tmp_path: Path) -> None:
    path = write(tmp_path / "mixed.jsonl", lines({**row(1), "subject": "soup"}, {**row(2), "subject": "salad"}))
    assert [subject.id for subject in load_questions(path, subjects=["salad"]).subjects] == ["salad"]


def test_content_hash_follows_the_questions_not_the_files(tmp_path: Path) -> None:
    write(tmp_path / "a" / "soup_test.jsonl", lines(row(1)))
    write(tmp_path / "b" / "soup" / "test.jsonl", lines(row(1)))
    write(tmp_path / "c" / "soup_test.jsonl", lines(row(1, answer="B")))
    hashes = [load_questions(tmp_path / name).sha256 for name in "abc"]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("soup_test.parquet", b"no parquet", "no readable Parquet"),
        ("soup.json", b"{", "is no JSON"),
        ("soup.json", b'{"1": {}, "1": {}}', "the key '1' comes twice in one object"),
        ("soup.json", b"3", "neither a list nor an object"),
        ("soup_test.jsonl", b"", "hold no row"),
        ("soup_test.jsonl", b"[]\n", r"first fault: soup_test.jsonl:1"),
        ("notes.txt", b"", "holds no question file"),
        ("soup_test.csv", b"", "hold no row"),
    ],
)
def test_unusable_file_is_one_clear_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    write(tmp_path / name, content)
    with pytest.raises(DataError, match=message):
        load_questions(tmp_path)


def test_missing_path_and_unknown_suffix_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no question file or folder"):
        load_questions(tmp_path / "absent")
    with pytest.raises(DataError, match="is no question file"):
        load_questions(write(tmp_path / "notes.txt", ""))


@pytest.mark.parametrize("content", ["{", "{}", '[{"id": "soup", "name": "a", "name": "b"}]', "[" * 100_000])
def test_broken_subjects_json_is_an_error(tmp_path: Path, content: str) -> None:
    write(tmp_path / "soup_test.jsonl", lines(row(1)))
    write(tmp_path / "subjects.json", content)
    with pytest.raises(DataError, match=r"subjects\.json"):
        load_questions(tmp_path)


def test_hub_configurations_become_subjects() -> None:
    splits = {"soup": {"test": [row(1)], "dev": [row(2)], "extra": []}, "salad": {"test": [row(3)]}}
    found = list(
        read_configurations("who/what", None, list_names=lambda _: list(splits), load=lambda _, name: splits[name])
    )
    assert [(rows.subject, rows.split, rows.rows[0][0]) for rows in found] == [
        ("soup", "test", 1),
        ("soup", "dev", 1),
        ("salad", "test", 1),
    ]


def test_hub_without_a_known_split_is_an_error() -> None:
    with pytest.raises(DataError, match="soup has the splits extra"):
        list(read_configurations("who/what", None, list_names=lambda _: ["soup"], load=lambda *_: {"extra": []}))


def test_closed_tmlu_says_so_and_how_to_use_a_copy() -> None:
    def closed(_name: str) -> list[str]:
        raise FileNotFoundError("401 Client Error\nmore")

    with pytest.raises(DataError, match=r"miulab/tmlu cannot be loaded.*401.*private or deleted.*folder of a copy"):
        list(read_configurations("miulab/tmlu", None, list_names=closed, load=lambda *_: {}))
    with pytest.raises(DataError, match="check name, access and network"):
        list(read_configurations("who/what", None, list_names=closed, load=lambda *_: {}))


def test_hub_id_is_loaded_from_a_local_cache_only_when_no_such_path_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "who" / "what" / "soup_test.jsonl", lines(row(1)))
    monkeypatch.chdir(tmp_path)
    assert load_questions("who/what").subjects[0].id == "soup"


def test_hub_that_cannot_be_reached_is_one_clear_error(tmp_path: Path) -> None:
    code = (
        "import tmlu_bench\n"
        "try:\n    tmlu_bench.load_questions('miulab/tmlu')\n"
        "except ValueError as error:\n    print(error)\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert done.stdout.startswith("miulab/tmlu cannot be loaded from the hub")
    assert "give the folder of a copy that you hold" in done.stdout


def test_unknown_subject_names_those_of_the_set(tmp_path: Path) -> None:
    write(tmp_path / "soup_test.jsonl", lines(row(1)))
    with pytest.raises(DataError, match="has no subject 'cake'; it has soup"):
        load_questions(tmp_path).get("cake")


def test_two_subjects_of_one_id_are_refused() -> None:
    twice = (SubjectQuestions(id="soup", name="湯"), SubjectQuestions(id="soup", name="湯"))
    with pytest.raises(DataError, match="two subjects of one id"):
        QuestionSet(name="x", formats=(), subjects=twice)
