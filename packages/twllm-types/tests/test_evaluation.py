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


def test_score_without_value_says_why() -> None:
    with pytest.raises(DataError, match="reason of a score is empty"):
        Score(value=None, reason="")


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


def test_estimate_at_the_edges_is_accepted() -> None:
    assert estimate(num_clusters=25, draws=1, seed=0).num_clusters == 25
    assert estimate(num_clusters=1).num_clusters == 1
    assert estimate(mean=None, stderr=None, ci_low=None, ci_high=None, n=0, num_clusters=0).n == 0
    assert estimate(mean=0.9, stderr=0).mean == 0.9


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
        ({"stderr": float("nan")}, "finite"),
        ({"ci_low": float("-inf")}, "finite"),
        ({"level": float("nan")}, "level"),
        ({"method": " "}, "method is empty"),
        ({"n": 0, "mean": None}, "neither error nor interval"),
        ({"n": 0, "mean": None, "ci_low": None, "ci_high": None}, "neither error nor interval"),
        ({"num_clusters": 26}, "num_clusters is 26 for n = 25"),
        ({"num_clusters": 0}, "num_clusters is 0"),
        ({"num_clusters": -1}, "num_clusters is -1"),
        ({"draws": -1, "seed": 1}, "draws is -1"),
        ({"draws": 0, "seed": 1}, "draws is 0"),
        ({"draws": 100}, "draws and seed together"),
        ({"seed": 1}, "draws and seed together"),
    ],
)
def test_estimate_that_contradicts_itself_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        estimate(**changes)


def test_intent_example_needs_text_and_a_label_or_none() -> None:
    assert IntentExample(text="我的卡呢", intent=None).source == "seed"
    with pytest.raises(DataError, match="no text"):
        IntentExample(text=" ", intent="card_arrival")
    for blank in ("", " "):
        with pytest.raises(DataError, match="intent of '我的卡呢' is empty"):
            IntentExample(text="我的卡呢", intent=blank)
    with pytest.raises(DataError, match="source of '我的卡呢' is empty"):
        IntentExample(text="我的卡呢", intent=None, source="")
