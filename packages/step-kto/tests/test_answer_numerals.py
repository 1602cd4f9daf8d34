"""Chinese numbers: what is written is read back, and what has two readings is not read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from step_kto._answer_numerals import arabic_number, plain_signs

DIGITS = "零一二三四五六七八九"


def below_ten_thousand(number: int) -> str:
    text = ""
    for unit, sign in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        text += DIGITS[digit] + sign if digit else "零"
    while "零零" in text:
        text = text.replace("零零", "零")
    return text.strip("零")


def in_chinese(number: int) -> str:
    if number == 0:
        return "零"
    text = ""
    for unit, sign in ((10**8, "億"), (10**4, "萬"), (1, "")):
        section = number // unit % 10_000
        if not section:
            continue
        text += "零" if text and section < 1000 else ""
        text += below_ten_thousand(section) + sign
    return text


@given(st.integers(0, 10**12 - 1) | st.integers(0, 2_000))
def test_chinese_number_is_read_back(number: int) -> None:
    assert arabic_number(in_chinese(number)) == str(number)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("十", "10"),
        ("十五", "15"),
        ("二〇二六", "2026"),
        ("兩百", "200"),
        ("壹仟貳佰元", "1200元"),
        ("負三", "-3"),
        ("三點一四", "3.14"),
        ("三分之二", r"\frac{2}{3}"),
        ("負百分之五", r"-5\%"),
        (" 一千二百萬 ", "12000000"),
    ],
)
def test_chinese_number_forms_are_read(text: str, number: str) -> None:
    assert arabic_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "三萬五", "一百五", "十百", "一一百", "百", "萬", "一次函數", "十分之", "3", "三點", "一億萬億"]
)
def test_what_has_two_readings_or_none_is_not_read(text: str) -> None:
    assert arabic_number(text) is None


@given(st.text(alphabet="零一二十百千萬億負點分之兩", max_size=12))
def test_any_such_text_is_read_or_not_without_error(text: str) -> None:
    found = arabic_number(text)
    assert found is None or found.isascii()


def test_plain_signs_are_ascii() -> None:
    assert plain_signs("（１，２］ｘ²＋½％") == r"(1,2]x^{2}+\frac{1}{2}%"
