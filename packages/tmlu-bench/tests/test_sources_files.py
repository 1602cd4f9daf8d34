"""Which files are read, which are passed over, and what decides that two sets are the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tmlu_bench import build_prompt, load_questions
from twllm_runs import run_app

ROW = {"id": "r1", "question": "哪一個是餐具？", "A": "湯匙", "B": "雲", "answer": "A"}


def write(path: Path, *rows: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def name_subjects(folder: Path, name: str, subject: str = "soup") -> Path:
    path = folder / "subjects.json"
    path.write_text(json.dumps([{"id": subject, "name": name}]), encoding="utf-8")
    return path


def test_names_of_subjects_are_in_the_hash_and_their_file_among_the_files(tmp_path: Path) -> None:
    write(tmp_path / "soup_test.jsonl", ROW)
    plain = load_questions(tmp_path)
    name_subjects(tmp_path, "湯品")
    first = load_questions(tmp_path)
    named = name_subjects(tmp_path, "湯品學")
    second = load_questions(tmp_path)
    assert len({plain.sha256, first.sha256, second.sha256}) == 3
    prompts = [
        build_prompt(data.subjects[0].test[0], (), "lm-eval-tmlu", subject_name=data.subjects[0].name).raw
        for data in (first, second)
    ]
    assert prompts[0] != prompts[1]
    assert [(file.name, file.path, file.encoding) for file in second.files][-1] == ("subjects.json", named, "utf-8")
    assert second.ignored == ()


def test_names_that_are_spelt_out_as_the_table_has_them_change_no_hash(tmp_path: Path) -> None:
    write(tmp_path / "tour_guide_test.jsonl", ROW)
    plain = load_questions(tmp_path)
    name_subjects(tmp_path, plain.subjects[0].name, "tour_guide")
    assert load_questions(tmp_path).sha256 == plain.sha256


def test_names_beside_a_folder_of_subjects_are_among_the_files_once(tmp_path: Path) -> None:
    write(tmp_path / "subjects" / "soup" / "test.jsonl", ROW)
    name_subjects(tmp_path, "湯品學")
    name_subjects(tmp_path / "subjects", "不讀")
    loaded = load_questions(tmp_path)
    assert [file.name for file in loaded.files] == ["soup/test.jsonl", "subjects.json"]
    assert (loaded.subjects[0].name, loaded.ignored) == ("湯品學", ("subjects.json",))


@pytest.mark.parametrize("suffix", [".JSONL", ".Jsonl"])
def test_suffix_counts_in_any_case(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"soup_test{suffix}", ROW)
    for source in (tmp_path, path):
        loaded = load_questions(source)
        assert ([subject.id for subject in loaded.subjects], loaded.num_questions) == (["soup"], 1)


def test_table_with_a_suffix_in_capitals_is_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "soup_test.CSV").write_text("question,A,B,C,D,E,answer\n哪一個？,甲,乙,丙,丁,,B\n", encoding="utf-8")
    assert load_questions(tmp_path).get("soup").test[0].letters == "ABCD"


def test_files_that_lie_too_deep_are_named_as_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "soup_test.jsonl", ROW)
    write(tmp_path / "a" / "b" / "salad_test.jsonl", ROW)
    write(tmp_path / "a" / "b" / "c" / "cake_test.jsonl", ROW)
    write(tmp_path / ".git" / "b" / "c" / "hidden_test.jsonl", ROW)
    loaded = load_questions(tmp_path)
    assert [subject.id for subject in loaded.subjects] == ["salad", "soup"]
    assert loaded.ignored == ("a/b/c/cake_test.jsonl",)


def test_validate_names_the_files_that_were_passed_over(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from tmlu_bench._cli import app

    write(tmp_path / "soup_test.jsonl", ROW)
    write(tmp_path / "notes.txt", ROW)
    run_app(app, ["validate", str(tmp_path)])
    assert "1 file was not read, by name or depth no question file: notes.txt" in capfd.readouterr().out


@pytest.mark.parametrize(("name", "is_closed"), [("miulab/tmlu", True), ("MiuLab/TMLU", True), ("other/exam", False)])
def test_hub_without_its_extra_says_so_and_of_tmlu_that_it_is_closed(
    tmp_path: Path, name: str, is_closed: bool
) -> None:
    program = (
        "import sys; sys.modules['datasets'] = None\n"
        "from tmlu_bench import load_questions\n"
        f"try: load_questions({name!r})\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8", check=True, cwd=tmp_path
    )
    assert f"{name} is read from the hub with datasets; install tmlu-bench[hub], or give a folder" in done.stdout
    closed = "has been private or deleted since 2026, and no public copy is known; give the folder of a copy"
    assert (closed in done.stdout) == is_closed
