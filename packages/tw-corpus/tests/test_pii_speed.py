"""The search gives what a plain one gives, and its work grows with the text."""

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tw_corpus._pii import find_pii
from tw_corpus._pii._numbers import _candidates_at
from tw_corpus._pii._spans import address_spans

sys.path.insert(0, str(Path(__file__).parent / "importable"))
import pii_reference as reference

ADDRESS_PARTS = [
    "臺北市", "台北市", "高雄縣", "臺灣省", "台灣省", "大安區", "永和區", "東區", "南庄鄉", "區", "鄉", "鎮",
    "虛構", "甲", "乙丙", "村", "里", "路", "街", "大道", "一段", "3段", "二", "5", "巷", "弄", "衖", "鄰",
    "號", "号", "1號", "十二號", "７號", "之1", "-3", "2樓", "B1樓", "地下", "室", "503室", "F", "、", "，",
    " ", "\u3000", "106", "10699", "106-991", "1069911", "abc", ".", "-", "在", "臨", "至", "路1號", "里一號",
    "東", "１", "٣٣٣", "[遮蔽:地址]", "\n", "省", "市", "縣", "台", "臺北市大安區虛構路5號",
]  # fmt: skip
NUMBER_PARTS = [
    "(", "((", "02", "0", "09", "0912", "+", "886", "00886", "(886", "(02)", "(037)", ")", "-", ".", " ",
    "5550", "0139", "123", "4", "12", "分機", "轉", "#", "ext", "A", "AB", "＋", "０", "（", "）", "－", "_",
    "4000", "1234 5678", "[遮蔽:", "826", "49", "(0)", "2026-05-17", "12345675", "٣", "3", "7 ",
    "(02)5550-0139", "+886 940 000 118", "0940-000-118",
]  # fmt: skip


def texts_of(parts: list[str]) -> st.SearchStrategy[str]:
    pieces = st.lists(st.sampled_from(parts), max_size=40).map("".join)
    repeated = st.tuples(st.lists(st.sampled_from(parts), min_size=1, max_size=6).map("".join), st.integers(2, 20))
    return pieces | repeated.map(lambda unit: unit[0] * unit[1])


@settings(max_examples=1500, deadline=None)
@given(texts_of(ADDRESS_PARTS))
def test_addresses_are_those_of_a_search_of_every_window(text: str) -> None:
    assert list(address_spans(text)) == reference.addresses(text)


FORMS = [
    "(02)5550-0139", "02-5550-0139", "+886 (0)2 5550 0139", "(886-940)000-118", "8860940000118",
    "00886(2)5550-0139", "+886 - 9 4000 0118", "(0826)61234", "12345675", "4000 1234 5678 9017",
    "0940-00-01-18", "1234-5675", "03-55-50-128", "(+886) - (0) - 37 555 123", "0212345678",
    "(037) - 555 - 123", "886 (0)(2)5550-0139",
]  # fmt: skip


CHANGES = st.lists(st.tuples(st.integers(0, 30), st.sampled_from("0289 -.()")), max_size=3)


def changed(number: str, changes: list[tuple[int, str]]) -> str:
    characters = list(number)
    for place, character in changes:
        characters[place % len(number)] = character
    return "".join(characters)


NUMBERS = st.builds(changed, st.sampled_from(FORMS), CHANGES) | texts_of(NUMBER_PARTS)


@settings(max_examples=3000, deadline=None)
@given(NUMBERS.filter(lambda text: text[:1] in set("+(0123456789")))
def test_numbers_at_one_place_are_those_of_trying_every_form(text: str) -> None:
    found = [(candidate.kind, candidate.end) for candidate in _candidates_at(text, 0, 0)]
    assert found == list(reference.numbers_at(text, 0))


def calls_of(text: str) -> int:
    """How often the search calls a function, attempts of a pattern among them; each is of bounded length."""
    find_pii(text[:100])  # compiles the patterns
    num_calls, before = 0, sys.getprofile()

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal num_calls
        num_calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        find_pii(text)
    finally:
        sys.setprofile(before)
    return num_calls


@pytest.mark.parametrize("unit", ["路1號", "里一號", "鄰1號", "一路1號", "02-5550-0139、"])
def test_find_work_of_many_signs_without_an_address_grows_with_the_text(unit: str) -> None:
    assert calls_of(unit * 4_000) < 5 * calls_of(unit * 1_000)


@pytest.mark.parametrize("unit", ["路1號", "里一號", "鄰1號", "一路1號"])
def test_find_work_of_many_signs_without_an_address_is_below_that_of_many_findings(unit: str) -> None:
    # what it is compared with has a land line in each 14 characters, every one of which must be judged
    assert calls_of((unit * 5_000)[:5_000]) < calls_of(("02-5550-0139、" * 500)[:5_000])
