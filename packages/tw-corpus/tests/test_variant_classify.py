"""Variety, script, conversion and evidence, by the shipped model on invented sentences."""

import subprocess
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tw_corpus._script import Script
from tw_corpus._variant import (
    EvidenceKind,
    OtherReason,
    Variant,
    VariantVerdict,
    classify_variant,
    classify_variants,
    load_variant_model,
)
from twllm_types import ConfigError

TAIWAN = (
    "我昨天搭捷運去公司，網路又斷線，只好用行動電話的熱點把檔案傳給客戶。中午在便利商店買了便當，老闆說發票可以存載具。"
    "晚上和學長約在夜市吃滷肉飯，阿嬤打電話問我身分證找到了沒有。"
)
HONG_KONG = (
    "港鐵早前因信號故障，觀塘綫列車服務一度受阻，大批乘客在月台等候接駁巴士。運輸署表示已要求港鐵提交報告，"
    "區議員則批評當局未有及時公布消息，促請政府檢討機制。"
)
CANTONESE = "我尋日喺旺角食嘢嗰陣，見到佢哋啲細路喺度嗌，唔知做乜嘢咁開心。你而家得唔得閒呀？不如一齊去飲茶啦。"
MAINLAND = (
    "公司的服务器昨天出了问题，程序员连夜调试代码，用户反馈登录不了。领导要求各部门进一步落实责任，"
    "通过加强管理提高服务质量，切实把工作抓好。中午我打车去地铁站，在手机上扫码点了外卖。"
)
MAINLAND_TRADITIONAL = (
    "公司的服務器昨天出了問題，程序員連夜調試代碼，用戶反饋登錄不了。領導要求各部門進一步落實責任，"
    "通過加強管理提高服務質量，切實把工作抓好。中午我打車去地鐵站，在手機上掃碼點了外賣。"
)
TAIWAN_SIMPLIFIED = (
    "我昨天搭捷运去公司，网路又断线，只好用行动电话的热点把档案传给客户。中午在便利商店买了便当，老板说发票可以存载具。"
    "晚上和学长约在夜市吃卤肉饭，阿嬷打电话问我身分证找到了没有。"
)


@pytest.mark.parametrize(
    ("text", "label", "script"),
    [
        (TAIWAN, Variant.ZH_TW, Script.HANT),
        (TAIWAN_SIMPLIFIED, Variant.ZH_TW, Script.HANS),
        (HONG_KONG, Variant.ZH_HK, Script.HANT),
        (CANTONESE, Variant.YUE, Script.HANT),
        (MAINLAND, Variant.ZH_CN, Script.HANS),
        (MAINLAND_TRADITIONAL, Variant.ZH_CN, Script.HANT),
    ],
)
def test_classify_text_of_each_variety_is_told_in_either_script(text: str, label: Variant, script: Script) -> None:
    verdict = classify_variant(text)
    assert (verdict.label, verdict.script) == (label, script)
    assert verdict.decided
    assert verdict.other_reason is None


def test_classify_mainland_wording_in_traditional_characters_is_converted() -> None:
    verdict = classify_variant(MAINLAND_TRADITIONAL)
    assert verdict.converted_from_simplified
    assert verdict.converted_probability > 0.8


@pytest.mark.parametrize("text", [TAIWAN, HONG_KONG, CANTONESE])
def test_classify_genuine_traditional_text_is_not_converted(text: str) -> None:
    verdict = classify_variant(text)
    assert not verdict.converted_from_simplified
    assert verdict.converted_probability < 0.5


def test_classify_simplified_text_has_no_probability_of_conversion() -> None:
    assert classify_variant(MAINLAND).converted_probability == 0.0


def test_classify_residue_of_a_converter_raises_the_probability_of_conversion() -> None:
    genuine = "為了讓大家裡外都看得清楚，我們在床邊裝了線，眾人都說為此感到高興，群眾也來了。"
    residue = "爲了讓大家裏外都看得清楚，我們在牀邊裝了線，衆人都說爲此感到高興，羣衆也來了。"
    assert classify_variant(residue).converted_probability > classify_variant(genuine).converted_probability + 0.3
    assert any(span.kind is EvidenceKind.CONVERSION for span in classify_variant(residue).evidence)


def test_classify_evidence_points_into_the_text_and_falls_in_weight() -> None:
    spans = classify_variant(TAIWAN).evidence
    assert [TAIWAN[span.start : span.end] for span in spans] == [span.text for span in spans]
    weights = [span.weight for span in spans]
    assert weights == sorted(weights, reverse=True)
    taken = sorted((span.start, span.end) for span in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(taken))
    assert {"捷運", "網路"} & {span.text for span in spans}
    assert sum(span.label is Variant.ZH_TW for span in spans) > len(spans) / 2


def test_classify_evidence_of_simplified_text_shows_no_character_forms() -> None:
    assert {span.kind for span in classify_variant(MAINLAND).evidence} == {EvidenceKind.WORDING}


def test_classify_max_evidence_limits_the_spans_and_changes_nothing_else() -> None:
    full, few, none = (classify_variant(TAIWAN * 20, max_evidence=number) for number in (10, 3, 0))
    assert len(full.evidence) == 10
    assert few.evidence == full.evidence[:3]
    assert none.evidence == ()
    assert none.probabilities == full.probabilities


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", OtherReason.NO_HAN),
        ("12345 😀🎉 !!!", OtherReason.NO_HAN),
        ("Only English words stand here.", OtherReason.NO_HAN),
        ("\ud800\udc00x\udfff", OtherReason.NO_HAN),
        ("これは日本語の文章です。今日はとても天気がいいですね。", OtherReason.JAPANESE),
        ("오늘은 날씨가 아주 좋습니다. 大學 친구들과 만났습니다.", OtherReason.KOREAN),
        ("The committee met on Monday and published its findings about 台北 in a long report.", OtherReason.FOREIGN),
        (
            "子曰：「學而時習之，不亦說乎？吾十有五而志于學，汝知之乎？」孟子對曰：「何也？」公曰：「善哉！」",
            OtherReason.CLASSICAL,
        ),
        ("我今仔日欲去厝邊食飯，囡仔攏佇咧𨑨迌，這馬猶未轉來，毋知按怎，你敢有看著？", OtherReason.HOKKIEN),
        ("𠊎今晡日愛轉屋下，細人還吂食晝，恁仔細你等𠊎，仰般做都做毋得，該兜毋係𠊎个。", OtherReason.HAKKA),
    ],
)
def test_classify_text_of_none_of_the_varieties_is_other_with_a_reason(text: str, reason: OtherReason) -> None:
    verdict = classify_variant(text)
    assert (verdict.label, verdict.other_reason) == (Variant.OTHER, reason)


def test_classify_text_without_ideographs_is_other_for_certain() -> None:
    verdict = classify_variant("")
    assert verdict.probabilities[Variant.OTHER] == 1.0
    assert (verdict.script, verdict.converted_probability, verdict.evidence) == (Script.UNDETERMINED, 0.0, ())


def test_classify_taiwanese_text_with_a_few_foreign_words_is_not_other() -> None:
    assert classify_variant("我用 Python 寫了一支程式，把 CSV 檔案匯入資料庫，老闆說 good job。").label is Variant.ZH_TW
    assert classify_variant("這間店的「優の良品」很好吃，下次再揪團去。").label is Variant.ZH_TW


@pytest.mark.parametrize("character", ["人", "台", "龍", "的"])
def test_classify_single_character_is_answered_without_certainty(character: str) -> None:
    verdict = classify_variant(character)
    assert verdict.label in set(Variant) - {Variant.OTHER}
    assert max(verdict.probabilities.values()) < 0.95


def test_classify_neutral_sentence_is_not_decided() -> None:
    verdict = classify_variant("這條河很長。")
    assert max(verdict.probabilities.values()) < 0.9


def test_classify_text_that_changes_script_every_line_is_mixed() -> None:
    text = "\n".join([TAIWAN, MAINLAND] * 5)
    verdict = classify_variant(text)
    assert verdict.script is Script.MIXED
    assert sum(verdict.probabilities.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("他住在约旦", Script.HANS),
        ("國约", Script.HANT),
        ("这们来國", Script.HANS),
        ("山上有人", Script.UNDETERMINED),
        ("這裡的學生們都會說，" * 9 + "并", Script.HANT),
    ],
)
def test_classify_script_of_sentence_and_document_is_told_by_one_rule(text: str, script: Script) -> None:
    assert classify_variant(text).script is script


def test_classify_long_text_agrees_with_itself_across_blocks() -> None:
    # 40,000 characters are more than one block; a border must neither lose nor double an n-gram
    text = (TAIWAN + CANTONESE + MAINLAND_TRADITIONAL) * 300
    for shift in (0, 1, 7):
        verdict = classify_variant(text[shift:])
        assert verdict.script is Script.HANT
        assert sum(verdict.probabilities.values()) == pytest.approx(1.0)
    whole, rotated = classify_variant(text), classify_variant(text[32_770:] + text[:32_770])
    assert whole.probabilities[Variant.ZH_TW] == pytest.approx(rotated.probabilities[Variant.ZH_TW], abs=1e-3)
    assert all(text[span.start : span.end] == span.text for span in whole.evidence)


def test_classify_long_text_needs_no_memory_that_grows_with_it() -> None:
    text = (TAIWAN + HONG_KONG) * 20_000
    classify_variant(TAIWAN)
    tracemalloc.start()
    verdict = classify_variant(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(text)
    assert verdict.script is Script.HANT


@given(st.text(alphabet=st.characters(), max_size=60))
@settings(max_examples=150, deadline=None)
def test_classify_any_string_gives_probabilities_that_sum_to_one(text: str) -> None:
    verdict = classify_variant(text)
    _check_contract(verdict, text)


@given(st.lists(st.sampled_from(["的", "國", "国", "嘅", "軟", "ア", "a", "1", "\n", "\ud800", "😀"]), max_size=40))
@settings(max_examples=150, deadline=None)
def test_classify_any_mixture_of_scripts_keeps_the_contract(pieces: list[str]) -> None:
    text = "".join(pieces)
    _check_contract(classify_variant(text), text)


def _check_contract(verdict: VariantVerdict, text: str) -> None:
    assert set(verdict.probabilities) == set(Variant)
    assert sum(verdict.probabilities.values()) == pytest.approx(1.0, abs=1e-9)
    assert all(0 <= p <= 1 for p in verdict.probabilities.values())
    assert verdict.probabilities[verdict.label] == max(verdict.probabilities.values())
    assert 0 <= verdict.converted_probability <= 1
    assert (verdict.other_reason is not None) == (verdict.label is Variant.OTHER)
    assert all(text[span.start : span.end] == span.text for span in verdict.evidence)


def test_classify_max_evidence_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_evidence is -1; give a number >= 0"):
        classify_variant(TAIWAN, max_evidence=-1)


def test_classify_gives_the_same_verdict_again() -> None:
    assert classify_variant(HONG_KONG) == classify_variant(HONG_KONG)


def test_shipped_model_is_small_and_names_its_rows() -> None:
    path = Path(__file__).parents[1] / "src" / "tw_corpus" / "models" / "variant.npz"
    assert path.stat().st_size < 3_000_000
    rows: Any = load_variant_model().card["rows"]
    licences = {row["licence"] for row in rows}
    assert all(licence.startswith(("CC0", "CC-BY-4.0", "MIT", "public domain")) for licence in licences)


def test_import_of_the_package_leaves_numpy_and_the_weights_out() -> None:
    code = "import sys, tw_corpus._variant; print('numpy' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "False"


PIECES = st.sampled_from(
    [TAIWAN, HONG_KONG, CANTONESE, MAINLAND, MAINLAND_TRADITIONAL, "裡裏里", "ㄉㄜ", "\n", "\ud800", "abc"]
)
MIXTURES = st.tuples(PIECES, st.text(st.characters(codec=None), max_size=20), PIECES, st.integers(0, 90)).map(
    lambda drawn: (drawn[0] + drawn[1] + drawn[2])[drawn[3] :]
)


@given(st.lists(MIXTURES, max_size=12), st.sampled_from([0, 0, 3]))
def test_classify_variants_equal_those_of_each_text_alone(texts: list[str], max_evidence: int) -> None:
    together = classify_variants(texts, max_evidence=max_evidence)
    assert together == [classify_variant(text, max_evidence=max_evidence) for text in texts]


def test_classify_variants_short_and_long_texts_keep_their_order() -> None:
    texts = [TAIWAN, MAINLAND * 200, "", CANTONESE, TAIWAN * 500, *[HONG_KONG] * 500]
    together = classify_variants(texts, max_evidence=0)
    assert together == [classify_variant(text, max_evidence=0) for text in texts]


def test_classify_variants_negative_evidence_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_evidence is -1"):
        classify_variants([TAIWAN], max_evidence=-1)
