"""Rules: what is refused, what is decided, how near it was."""

import json
import math
from dataclasses import fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tw_corpus._measure import Measures, measure
from tw_corpus._normalize import normalize
from tw_corpus._rules import Kept, QualityRules, Rejected, decide, margins
from twllm_types import ConfigError

EXAMPLES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "quality_examples.jsonl").read_text(encoding="utf-8").splitlines()
]
OFF = QualityRules(**dict.fromkeys(QualityRules.__slots__))
RECIPES = ("web", "forum", "law", "news", "book")


def load_recipe_rules(name: str) -> dict[str, Any]:
    text = files("tw_corpus").joinpath("recipes", f"{name}.yaml").read_text(encoding="utf-8")
    recipe = yaml.safe_load(text)
    assert recipe["description"]
    return recipe["rules"]


def verdict(text: str, rules: QualityRules | None = None) -> Kept | Rejected:
    return decide(measure(normalize(text).text), rules or QualityRules())


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["id"] for example in EXAMPLES])
def test_decide_invented_page_goes_as_its_author_meant(example: dict[str, str]) -> None:
    result = verdict(example["text"])
    assert isinstance(result, Kept) == (example["verdict"] == "keep"), result


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_rules_are_valid(recipe: str) -> None:
    QualityRules(**load_recipe_rules(recipe))


def test_recipe_web_is_the_default() -> None:
    assert QualityRules(**load_recipe_rules("web")) == QualityRules()


def test_recipe_law_keeps_a_bare_list_of_titles_that_web_does_not() -> None:
    table = "國立歷史文物館編制表\n1\n編註：本編制表依據人事行政條例第五條訂定，詳細內容請參閱公報附表。"
    assert verdict(table) == Kept()
    bare = "主任 科員 技士 助理員 書記 辦事員\n" * 3 + "國立歷史文物館編制表\n" + "編註：本編制表依據人事行政條例訂定。"
    assert isinstance(verdict(bare), Rejected)
    assert verdict(bare, QualityRules(**load_recipe_rules("law"))) == Kept()


def test_decide_all_rules_off_keeps_empty_text() -> None:
    assert decide(measure(""), OFF) == Kept()


@pytest.mark.parametrize("text", ["", "   ", "English only", "12345"])
def test_decide_text_without_ideographs_is_rejected_for_it(text: str) -> None:
    assert decide(measure(text), QualityRules()) == Rejected(reason="min_han_chars", value=0, threshold=20)


def test_decide_first_failing_rule_in_field_order_gives_the_reason() -> None:
    rules = replace(OFF, min_han_chars=10, min_han_share=0.9)
    assert decide(measure("abc臺"), rules) == Rejected(reason="min_han_chars", value=1, threshold=10)
    assert decide(measure("abc臺"), replace(rules, min_han_chars=None)) == Rejected(
        reason="min_han_share", value=0.25, threshold=0.9
    )


@pytest.mark.parametrize("rules", [{"min_han_chars": 4}, {"max_chars": 4}, {"min_han_share": 1.0}])
def test_decide_value_at_the_threshold_passes(rules: dict[str, float]) -> None:
    assert decide(measure("臺灣大學"), replace(OFF, **rules)) == Kept()


def test_decide_threshold_zero_is_a_rule() -> None:
    assert decide(measure("臺{灣"), replace(OFF, max_curly_brace_share=0.0)) == Rejected(
        reason="max_curly_brace_share", value=1 / 3, threshold=0.0
    )


def test_decide_dense_terms_of_one_kind_pass_below_the_distinct_number() -> None:
    measures = measure("娛樂城娛樂城娛樂城百家樂")
    assert measures.num_gambling_terms == 2
    rules = replace(OFF, max_gambling_term_density=10.0)
    assert isinstance(decide(measures, rules), Rejected)
    assert decide(measures, replace(rules, min_distinct_terms=3)) == Kept()


def test_decide_reporting_words_speak_against_promotion() -> None:
    promotion = measure("體驗金返水百家樂首儲").gambling_term_density
    assert measure("體驗金返水百家樂首儲，警方查獲後移送地檢署偵辦").gambling_term_density < promotion


@given(st.text(st.sampled_from("的我臺灣a1。，\n#…"), max_size=60))
def test_margins_negative_exactly_where_decide_rejects(text: str) -> None:
    measures = measure(text)
    failing = [margin for margin in margins(measures, QualityRules()) if margin.distance < 0]
    match decide(measures, QualityRules()):
        case Kept():
            assert not failing
        case Rejected(reason=reason, value=value, threshold=threshold):
            assert (failing[0].reason, failing[0].value, failing[0].threshold) == (reason, value, threshold)


def test_margins_distance_is_relative_to_the_threshold() -> None:
    rules = replace(OFF, min_han_chars=4, max_chars=10, max_url_share=0.0)
    distances = {margin.reason: margin.distance for margin in margins(measure("臺灣"), rules)}
    assert distances == {"min_han_chars": -0.5, "max_chars": 0.8, "max_url_share": 0}


def test_margins_within_a_distance_leave_out_the_others_on_either_side() -> None:
    measures = measure("今天的天氣很好，我們一起去公園散步。")
    rules = QualityRules()
    near = margins(measures, rules, within=0.9)
    assert near == tuple(margin for margin in margins(measures, rules) if abs(margin.distance) <= 0.9)
    assert 0 < len(near) < len(margins(measures, rules))


def test_decide_equal_rules_of_whole_and_broken_numbers_keep_their_own_threshold() -> None:
    whole, broken = (replace(OFF, max_bullet_line_share=value) for value in (0, 0.0))
    thresholds = [decide(measure("- 一"), rules) for rules in (whole, broken)]
    assert [repr(rejected.threshold) for rejected in thresholds if isinstance(rejected, Rejected)] == ["0", "0.0"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("min_han_share", 1.5, "is not within 0 to 1"),
        ("max_promotion_score", 1.5, "is not within 0 to 1"),
        ("max_url_share", -0.1, "is negative"),
        ("min_han_chars", -1, "is negative"),
        ("min_han_chars", 2.5, "not a whole number"),
        ("max_gambling_term_density", math.nan, "not a number"),
        ("max_gambling_term_density", math.inf, "not a number"),
        ("min_han_share", "0.5", "not a number"),
        ("max_digit_share", True, "not a number"),
    ],
)
def test_rules_impossible_threshold_is_refused_by_key(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: .*{message}"):
        QualityRules(**{key: value})


def test_rules_minimum_above_maximum_is_refused_by_both_keys() -> None:
    with pytest.raises(ConfigError, match=r"^min_punctuation_share: .*max_punctuation_share"):
        QualityRules(min_punctuation_share=0.5, max_punctuation_share=0.1)


def test_rules_every_rule_names_a_measure() -> None:
    names = {field.name for field in fields(Measures)}
    for field in fields(QualityRules):
        name = field.name[4:]
        assert name in names or f"num_{name}" in names or field.name == "min_distinct_terms"


SELLING_PAGE = "急用錢免煩惱！當日撥款，免保人，信用瑕疵可辦，馬上加LINE諮詢，名額有限！"
MENU = "回首頁 | 網站導覽 | 會員登入 | 忘記密碼 | 聯絡我們\n購物車 (0)\n熱門文章 (12)\n友善列印 上一頁 下一頁"


@pytest.mark.parametrize(("text", "reason"), [(SELLING_PAGE, "max_promotion_score"), (MENU, "max_boilerplate_score")])
def test_decide_page_type_gives_score_and_threshold(text: str, reason: str) -> None:
    result = decide(measure(text), replace(OFF, **{reason: 0.42}))
    assert isinstance(result, Rejected)
    assert (result.reason, result.threshold) == (reason, 0.42)
    assert 0.42 < result.value <= 1


def test_decide_news_about_a_subject_is_no_advert() -> None:
    news = (
        "警方昨天破獲一個以當日撥款、免保人為號召的地下錢莊。檢察官調查後表示，被害人多半急用錢，"
        "在網路上看到廣告便依指示加LINE聯絡，結果被收取年利率超過百分之六百的重利。"
    )
    assert verdict(news) == Kept()
