"""Check digits, against arithmetic written in another way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_corpus._pii import UbnRule, is_arc_new, is_arc_old, is_card, is_national_id, is_ubn

# Contribution of the first letter to the sum, letter by letter: tens + 9 x units of its value.
FIRST = {letter: value // 10 + 9 * (value % 10) for letter, value in zip(
    "ABCDEFGHJKLMNPQRSTUVXYWZIO",
    (*range(10, 32), 32, 33, 34, 35), strict=True,
)}  # fmt: skip
LAST_DIGIT = {"A": 0, "B": 1, "C": 2, "D": 3}


def remainder(value: str) -> int:
    digits = [LAST_DIGIT.get(character, character) for character in value[1:]]
    return (FIRST[value[0]] + sum(int(d) * w for d, w in zip(digits, (8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True))) % 10


@pytest.mark.parametrize(
    ("check", "second"), [(is_national_id, "12"), (is_arc_new, "89"), (is_arc_old, "ABCD")], ids=["id", "new", "old"]
)
@given(data=st.data())
def test_id_check_digit_agrees_with_letter_table(check, second, data) -> None:
    letter = data.draw(st.sampled_from(sorted(FIRST)))
    value = letter + data.draw(st.sampled_from(second)) + data.draw(st.text("0123456789", min_size=8, max_size=8))
    assert check(value) == (remainder(value) == 0)


@pytest.mark.parametrize(
    "value", ["", "a123456789", "A12345678", "A1234567899", "A323456789", "AA23456789", "A12345678９"]
)
def test_national_id_other_forms_are_refused(value) -> None:
    assert not is_national_id(value)
    assert not is_arc_new(value)
    assert not is_arc_old(value)


def test_ubn_total_divisible_by_five_only_is_valid_since_2023() -> None:
    # 1*1 + 1*1 + 1*1 + ... : products of 00000040 are 0..0 and 4*4 = 16 -> 7; 00000043: 7 + 3 = 10
    assert is_ubn("00000043", UbnRule.BEFORE_2023)
    # 7 + 8 = 15
    assert is_ubn("00000048")
    assert not is_ubn("00000048", UbnRule.BEFORE_2023)
    assert not is_ubn("00000044")


def test_ubn_seventh_digit_seven_counts_one_more() -> None:
    # 7*4 = 28 -> 10; with 9: 19, and 20 with one more
    assert is_ubn("00000079", UbnRule.BEFORE_2023)
    assert is_ubn("00000070", UbnRule.BEFORE_2023)
    # 1*2 -> 2, 8 -> 10: 14 + ... the sixth digit 7 gets no such choice: 7*2 = 14 -> 5; 5 + 4 = 9
    assert not is_ubn("00000704")


@given(st.text("0123456789", min_size=8, max_size=8))
def test_ubn_old_rule_implies_new_rule(value) -> None:
    assert is_ubn(value) or not is_ubn(value, UbnRule.BEFORE_2023)


@pytest.mark.parametrize("value", ["", "1234567", "123456769", "1234567A", "１２３４５６７６"])
def test_ubn_other_forms_are_refused(value) -> None:
    assert not is_ubn(value)


@pytest.mark.parametrize(
    ("prefix", "length"),
    [("4", 13), ("4", 16), ("4", 19), ("51", 16), ("2221", 16), ("2720", 16), ("34", 15), ("3528", 16), ("36", 14),
     ("6011", 16), ("65", 16), ("62", 16), ("62", 19)],
)  # fmt: skip
def test_card_of_known_network_has_one_valid_last_digit(prefix, length) -> None:
    stem = (prefix + "10293847560192837")[: length - 1]
    assert sum(is_card(stem + digit) for digit in "0123456789") == 1


@pytest.mark.parametrize("value", ["", "0000000000000000", "1234567890123452", "2720990000000000", "411111111111111"])
def test_card_of_no_network_is_refused(value) -> None:
    assert not is_card(value)
