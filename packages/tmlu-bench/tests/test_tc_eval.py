import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmlu_bench import ReadingQuestion, load_reading_questions, score_reading
from twllm_types import DataError

PARAGRAPH = "小鎮在一九五零年建成，鎮上有一座臺灣風格的橋。"


def squad(qas: list[dict[str, Any]]) -> dict[str, Any]:
    return {"version": "1", "data": [{"title": "小鎮", "id": "1", "paragraphs": [{"context": PARAGRAPH, "qas": qas}]}]}


def qa(key: str = "1-1", texts: tuple[str, ...] = ("一九五零年", "一九五零年")) -> dict[str, Any]:
    return {"id": key, "question": "何時建成？", "answers": [{"text": text, "answer_start": 3} for text in texts]}


def write(folder: Path, content: object) -> Path:
    path = folder / "drcd.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_drcd_layout_is_read_and_equal_answers_are_joined(tmp_path: Path) -> None:
    (question,) = load_reading_questions(write(tmp_path, squad([qa()])))
    assert question == ReadingQuestion(id="1-1", paragraph=PARAGRAPH, question="何時建成？", answers=("一九五零年",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"data": [{"paragraphs": [{"qas": [qa()]}]}]}, "lacks 'context'"),
        ({}, "lacks 'data'"),
        ({"data": 3}, "a list data"),
        ({"data": []}, "holds no question"),
        (squad([qa(texts=())]), "1-1 lacks an answer"),
        (squad([qa(), qa()]), "'1-1' stands 2 times"),
        ([], "holds no object"),
        (squad([qa(), qa("1-2", texts=("何時\ud83d",))]), "question 2 holds half of a surrogate pair"),
    ],
)
def test_other_layout_is_a_clear_error(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_reading_questions(write(tmp_path, content))


def test_unreadable_reading_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_reading_questions(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="no JSON"):
        load_reading_questions(tmp_path / "broken.json")


@pytest.mark.parametrize(
    ("reply", "compat", "exact", "f1"),
    [
        ("一九五零年", 1, 1, 1),
        ("答案是：一九五零年。", 1, 1, 1),
        (PARAGRAPH, 1, 0, pytest.approx(2 * 5 / (21 + 5))),
        ("", 0, 0, 0),
        ("不知道", 0, 0, 0),
        ("一九五零年\n\n因為文中說了", 1, 1, 1),
        ("一九五零", 0, 0, pytest.approx(8 / 9)),
    ],
)
def test_reading_scores_tell_containment_from_exactness(reply: str, compat: float, exact: float, f1: float) -> None:
    scores = score_reading(reply, ["一九五零年"])
    assert (scores.compat, scores.exact, scores.f1) == (compat, exact, f1)


def test_tai_variants_count_as_equal_only_in_the_corrected_score() -> None:
    scores = score_reading("台灣風格", ["臺灣風格"])
    assert (scores.compat, scores.exact, scores.f1) == (0, 1, 1)


def test_best_of_several_answers_counts() -> None:
    assert score_reading("橋", ["一座橋", "橋"]).exact == 1


def test_scoring_without_answers_is_an_error() -> None:
    with pytest.raises(DataError, match="no accepted answer"):
        score_reading("橋", [])


@given(st.text(max_size=30), st.lists(st.text("天地玄黃", min_size=1, max_size=5), min_size=1, max_size=3))
def test_reading_scores_stay_in_range_and_exact_means_full_overlap(reply: str, answers: list[str]) -> None:
    scores = score_reading(reply, answers)
    assert scores.compat in {0, 1}
    assert scores.exact in {0, 1}
    assert 0 <= scores.f1 <= 1
    assert scores.f1 == 1 or scores.exact == 0


def test_public_drcd_gold_answers_score_full_marks(shared_data: Callable[[str], Path]) -> None:
    questions = load_reading_questions(shared_data("drcd/DRCD_test.json"))
    assert len(questions) == 3493
    for question in questions:
        scores = score_reading(question.answers[0], question.answers)
        assert scores.compat == 1
        assert scores.exact == 1
