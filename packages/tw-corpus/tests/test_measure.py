"""Measures: defined for any text, and each one sees what it is named after."""

import math
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tw_corpus._characters import CharClass, class_table
from tw_corpus._measure import Measures, measure, measure_each

PROSE = "今天的天氣很好，我們一起去公園散步。他說那裡有一座新的涼亭，也可以看到許多候鳥。\n"
CHINESE = st.text(st.sampled_from("的我是臺灣国學a1 \n\t。，！…│─#-「」：哈推→①\ue000😀"), max_size=200)


# the first call reads the tables, so the usual deadline does not hold
@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(st.characters(codec=None)), CHINESE))
def test_measure_any_text_gives_finite_values_and_shares_within_one(text: str) -> None:
    measures = measure(text)
    for field in fields(Measures):
        value = getattr(measures, field.name)
        assert math.isfinite(value)
        assert value >= 0
        if field.name.endswith("_share") and field.name != "mojibake_share":
            assert value <= 1, field.name


@pytest.mark.parametrize("text", ["", " \n\t\n　"])
def test_measure_text_without_written_characters_is_all_zero(text: str) -> None:
    measures = measure(text)
    assert measures.num_chars == len(text)
    assert not any(getattr(measures, field.name) for field in fields(Measures) if field.name != "num_chars")


def test_measure_text_without_ideographs_has_no_ideograph_shares() -> None:
    measures = measure("Hello, world! 123")
    assert measures.num_han_chars == 0
    assert measures.han_share == measures.function_char_share == measures.simplified_share == 0
    assert measures.latin_share == pytest.approx(10 / 15)


def test_measure_characters_are_counted_by_kind() -> None:
    measures = measure("臺灣的Ab12。、＄│─")
    assert (measures.num_chars, measures.num_written_chars, measures.num_han_chars) == (12, 10, 3)
    assert measures.han_share == 0.3
    assert measures.latin_share == measures.digit_share == 0.2
    assert measures.punctuation_share == 0.2
    assert measures.sentence_end_share == measures.symbol_share == 0.1
    assert measures.function_char_share == pytest.approx(1 / 3)
    assert measures.box_share == pytest.approx(2 / 12)


def test_measure_scripts_and_neighbours_are_seen() -> None:
    measures = measure("かなカナ한글ㄅㄆ\ue000")
    assert measures.kana_hangul_share == pytest.approx(6 / 9)
    assert measures.private_use_share == pytest.approx(1 / 9)


def test_measure_one_simplified_character_never_decides() -> None:
    assert measure("约").simplified_share == 0
    assert measure("约国國學").simplified_share == 0.5


def test_measure_terminal_punctuation_is_the_chinese_set() -> None:
    endings = "。！？…」』）】；：～"
    assert measure("\n".join("結束" + ending for ending in endings)).terminal_line_share == 1
    assert measure("還沒結束\n還沒，").terminal_line_share == 0


def test_measure_lines_ellipses_and_bullets_are_counted() -> None:
    measures = measure("• 第一點…\n- 第二點\n第三點\n\n內文有十二個字在這一行裡")
    assert measures.num_lines == 4
    assert measures.ellipsis_line_share == 0.25
    assert measures.bullet_line_share == 0.5
    assert measures.short_line_share == 0.75
    assert measures.median_line_chars == 5.5
    assert measures.mean_line_chars == pytest.approx((6 + 5 + 3 + 12) / 4)


def test_measure_repeated_lines_are_duplicates() -> None:
    measures = measure("這一行會重複\n這一行會重複\n這一行會重複\n這一行不會")
    assert measures.duplicate_line_share == 0.5
    assert measures.duplicate_line_char_share == pytest.approx(12 / 23)


@pytest.mark.parametrize(
    "label",
    ["### 主持人：", "王小明：", "第 3 條", "（刪除）", "推 +1", "→ 推推", "│項目│金額│", "3", "一、", "-----"],
)
def test_measure_lines_that_repeat_by_design_are_no_duplicates(label: str) -> None:
    measures = measure(f"{label}\n甲說了一些話。\n{label}\n乙也說了幾句話。\n{label}\n丙沒有說話。")
    assert measures.duplicate_line_share == 0
    assert measures.label_line_share == 0.5
    assert measures.duplicate_10gram_share == 0


def test_measure_menu_is_bare_and_prose_is_not() -> None:
    assert measure("首頁\n產品介紹\n服務據點\n客戶見證").bare_entry_char_share == 1
    assert measure("新聞 政治 社會 | 財經 > 體育").bare_entry_char_share == pytest.approx(10 / 18)
    assert measure(PROSE).bare_entry_char_share == 0
    assert measure("第 3 條\n│職稱│員額│\n本法自公布日施行。").bare_entry_char_share == 0


def test_measure_repetition_of_a_syllable_is_covered_once() -> None:
    measures = measure("好的" * 20)
    assert measures.top_2gram_share == 1
    assert measures.top_4gram_share == 1
    assert measures.duplicate_10gram_share == pytest.approx(38 / 40)


def test_measure_repetition_of_a_passage_is_its_second_half() -> None:
    passage = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥"
    measures = measure(passage + passage)
    assert measures.duplicate_10gram_share == measures.duplicate_20gram_share == 0.5
    assert measure(passage).duplicate_10gram_share == measure(passage).top_2gram_share == 0


def test_measure_repetition_of_rules_and_blanks_is_ignored() -> None:
    assert measure("=" * 50 + " " * 50 + "┌──┐" * 10 + "只有這些字").top_2gram_share == 0


def test_measure_unique_ratio_does_not_fall_with_length() -> None:
    short = "".join(map(chr, range(0x4E00, 0x4E00 + 1000)))
    assert measure(short).unique_char_ratio == measure(short * 5).unique_char_ratio == 1


def test_measure_debris_is_counted() -> None:
    measures = measure("見 https://example.com/a?b=1 與 www.example.org {程式} JavaScript lorem ipsum")
    assert measures.url_share == pytest.approx((25 + 15) / 66)
    assert measures.curly_brace_share == pytest.approx(2 / 66)
    assert measures.num_javascript_mentions == measures.num_placeholder_terms == 1


@pytest.mark.parametrize("text", ["臺\ufffd灣\ufffd", "锟斤拷锟斤拷", "嚙踝蕭嚙踝蕭", "å\u00b0ç£é«é"])
def test_measure_mojibake_is_seen(text: str) -> None:
    assert measure(text).mojibake_share > 0.2


def test_measure_french_name_is_no_mojibake() -> None:
    assert measure("作家 Éléonore Müller 的新書").mojibake_share == 0


def test_measure_column_of_equal_characters_in_table_is_not_counted_as_text() -> None:
    assert measure("│甲│\n├─┤\n│乙│").num_written_chars == 2


def test_measure_sentences_are_prose_and_menus_are_bare() -> None:
    prose = measure(PROSE)
    assert prose.sentence_han_share == 1
    assert prose.bare_run_han_share == 0
    menu = measure("產品介紹 | 服務據點 | 客戶見證")
    assert menu.sentence_han_share == 0
    assert menu.bare_run_han_share == 1
    assert menu.separator_share == pytest.approx(2 / 14)


def test_measure_sentence_needs_its_mark_its_length_and_grammar() -> None:
    assert measure("今天的天氣很好我們一起去公園散步").sentence_han_share == 0
    assert measure("他說的是。").sentence_han_share == 0
    assert measure("台北台中台南高雄花蓮台東宜蘭。").sentence_han_share == 0
    assert measure("今天的天氣很好\n我們一起去散步。").sentence_han_share == 0


def test_measure_signs_of_selling_are_counted() -> None:
    measures = measure("【限時】您好！一組$990，三組2500元，打8折★")
    written = measures.num_written_chars
    assert measures.exclamation_share == measures.second_person_share == pytest.approx(1 / written)
    assert measures.price_share == pytest.approx(3 / written)
    assert measures.decoration_share == pytest.approx(2 / written)


def test_measure_archive_counts_are_bracketed_numbers() -> None:
    measures = measure("十月 (12)\n九月（1,204）\n（刪除）")
    assert measures.bracketed_number_share == pytest.approx(2 / measures.num_written_chars)


def test_measure_wrongly_decoded_text_has_rare_characters() -> None:
    wrong = "今天的天氣很好我們一起去公園散步".encode().decode("gbk", "ignore")
    assert measure(wrong).rare_han_share > 0.3
    assert measure(PROSE).rare_han_share == measure("约国关于这个").rare_han_share == 0


def test_measure_spaced_out_characters_stand_alone() -> None:
    assert measure("臺 灣 省 政 府 公報").lone_han_share == pytest.approx(5 / 7)


def test_measure_scores_tell_a_page_type_from_prose() -> None:
    prose = measure(PROSE * 3)
    advert = measure("急用錢？當日撥款免保人！馬上加LINE：loan123，名額有限，立即來電！")
    menu = measure("回首頁 | 會員登入 | 購物車 | 聯絡我們 | 網站地圖 | 下一頁")
    assert prose.promotion_score < 0.2 < 0.8 < advert.promotion_score
    assert prose.boilerplate_score < 0.2 < 0.8 < menu.boilerplate_score


def test_measure_scores_do_not_rise_with_length_alone() -> None:
    text = PROSE + "第二件行李加我就夠了，一通電話的事，他說下一頁再談。\n"
    short, long = measure(text), measure(text * 50)
    assert long.promotion_score < short.promotion_score + 0.1
    assert long.boilerplate_score < short.boilerplate_score + 0.1


def test_measure_repetition_of_a_very_long_text_is_the_mean_of_its_blocks() -> None:
    plain = "".join(chr(0x4E00 + (7919 * number) % 20000) for number in range(1_000_000))
    measures = measure(plain + "好的" * 250_000)
    assert measures.top_2gram_share == pytest.approx(measure(plain).top_2gram_share * 2 / 3 + 1 / 3, abs=1e-3)


def test_class_table_covers_every_code_point() -> None:
    table = class_table()
    assert len(table) == 0x110000
    assert table.max() < len(CharClass)
    assert table[ord("々")] == table[0x20000] == CharClass.HAN


def test_measure_passages_that_differ_in_their_last_character_are_no_duplicates() -> None:
    passage = "甲乙丙丁戊己庚辛壬"
    assert measure(passage + "1" + passage + "2").duplicate_10gram_share == 0
    assert measure(passage + "1" + passage + "1").duplicate_10gram_share == 0.5


LINES = st.sampled_from(
    [PROSE, PROSE * 30, "### 主持人：\n", "推 好\n", "體驗金", "Ã¤Ã¤", "A 臺灣 ", "", "。", "，", "第 3 條\n"]
)


@given(st.lists(st.one_of(CHINESE, st.lists(LINES, max_size=9).map("".join)), max_size=8))
def test_measure_each_equals_measure_of_each(texts: list[str]) -> None:
    assert measure_each(texts) == [measure(text) for text in texts]


def test_measure_each_does_not_see_repetition_across_texts() -> None:
    alone, *others = measure_each([PROSE.strip()] * 5 + [PROSE * 400])[:5]
    assert alone.duplicate_10gram_share == 0
    assert all(other == alone for other in others)
