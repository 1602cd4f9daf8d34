from typing import Any

import pytest

from twllm_types import ChoiceQuestion, DataError, Estimate, EstimateUnit, IntentExample, Score


def question(**changes: Any) -> ChoiceQuestion:
    parts: dict[str, Any] = {
        "id": "1",
        "subject": "geography",
        "question": "臺灣最高的山是？",
        "options": ("玉山", "雪山", "合歡山", "阿里山"),
        "answer": "A",
    }
    return ChoiceQuestion(**{**parts, **changes})


def test_choice_question_letters_follow_the_options() -> None:
    assert question().letters == "ABCD"
    assert question(options=("是", "否"), answer="B").letters == "AB"
    assert question(options=tuple("一二三四五六七八九十"), answer="J").letters == "ABCDEFGHIJ"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"options": ("玉山",)}, "1 options"),
        ({"options": tuple("一二三四五六七八九十甲")}, "11 options"),
        ({"options": ("玉山", " "), "answer": "A"}, "option B is empty"),
        ({"answer": "E"}, "'E' is none of A, B, C, D"),
        ({"answer": "AB"}, "'AB' is none of"),
        ({"answer": ""}, "'' is none of"),
    ],
)
def test_choice_question_that_breaks_its_contract_names_the_item(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=f"geography/1.*{problem}"):
        question(**changes)


def test_score_has_exactly_one_of_value_and_reason() -> None:
    assert Score(value=0.0).reason is None
    assert Score(value=None, reason="no_json").value is None
    for value, reason in ((1.0, "no_json"), (None, None)):
        with pytest.raises(DataError, match="exactly one"):
            Score(value=value, reason=reason)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_score_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(DataError, match="finite"):
        Score(value=value)


def estimate(**changes: Any) -> Estimate:
    parts: dict[str, Any] = {
        "mean": 0.5,
        "stderr": 0.1,
        "ci_low": 0.3,
        "ci_high": 0.7,
        "level": 0.95,
        "method": "wilson",
        "unit": EstimateUnit.SHARE,
        "n": 25,
    }
    return Estimate(**{**parts, **changes})


def test_estimate_of_nothing_has_no_figures() -> None:
    empty = estimate(mean=None, stderr=None, ci_low=None, ci_high=None, n=0, num_unscored=3)
    assert (empty.mean, empty.num_unscored) == (None, 3)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"n": -1}, "counts"),
        ({"num_unscored": -1}, "counts"),
        ({"level": 1.0}, "level"),
        ({"mean": None}, "must be a mean"),
        ({"n": 0}, "at least one scored item"),
        ({"ci_low": None}, "both ends"),
        ({"stderr": -0.1}, "stderr"),
        ({"mean": float("nan")}, "finite"),
        ({"ci_low": 0.8}, "upside down"),
    ],
)
def test_estimate_that_contradicts_itself_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        estimate(**changes)


def test_intent_example_needs_text_and_a_label_or_none() -> None:
    assert IntentExample(text="我的卡呢", intent=None).source == "seed"
    with pytest.raises(DataError, match="no text"):
        IntentExample(text=" ", intent="card_arrival")
    with pytest.raises(DataError, match="is empty"):
        IntentExample(text="我的卡呢", intent="")
