"""The term list and its search."""

import re
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opencc import OpenCC

from tw_corpus._characters import codes_of
from tw_corpus._terms import TermCategory, TermCounts, count_terms, load_terms


def count(text: str) -> TermCounts:
    return count_terms(text, codes_of(text))


def found(text: str) -> dict[str, int]:
    return {term.text: number for term, number in count(text).occurrences.items()}


def test_terms_list_holds_no_single_characters_and_every_category() -> None:
    forms = load_terms()
    assert all(len(form) >= 2 and form == form.lower() for form in forms)
    assert {term.category for term in forms.values()} == set(TermCategory)
    assert all((term.weight < 0) == (term.category is TermCategory.REPORTING) for term in forms.values())


def test_terms_list_holds_the_simplified_form_of_every_term() -> None:
    forms = load_terms()
    # opencc ships no types
    to_simplified = cast("Callable[[str], str]", OpenCC("t2s").convert)  # pyright: ignore[reportUnknownMemberType]
    missing = [form for form in forms if to_simplified(form) not in forms]
    assert not missing


# the first call reads the list, so the usual deadline does not hold
@settings(deadline=None)
@given(st.lists(st.one_of(st.sampled_from(sorted(load_terms())), st.text(max_size=3)), max_size=8).map("".join))
def test_count_terms_equals_leftmost_longest_search(text: str) -> None:
    forms = sorted(load_terms(), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, forms)), re.IGNORECASE)
    # re folds characters (long s, Kelvin sign) that the list does not; they are left out of the comparison.
    if not text.isascii() and any(character in text for character in "ſKİı"):
        return
    expected: dict[str, int] = {}
    for match in pattern.finditer(text):
        term = load_terms()[match.group().lower()]
        expected[term.text] = expected.get(term.text, 0) + 1
    assert found(text) == expected


def test_count_terms_longest_term_wins_and_none_overlap() -> None:
    assert found("娛樂城推薦") == {"娛樂城推薦": 1}


def test_count_terms_case_and_script_do_not_matter() -> None:
    assert found("加LINE、加line、加Line") == {"加line": 3}
    assert found("体验金體驗金") == {"體驗金": 2}


@pytest.mark.parametrize("text", ["", "借", "一般的句子沒有東西"])
def test_count_terms_text_without_terms_is_empty(text: str) -> None:
    counts = count(text)
    assert not counts.occurrences
    assert not any(counts.weights().values())
    assert not any(counts.num_telling().values())
    assert counts.num_occurrences(TermCategory.GAMBLING) == 0


def test_count_terms_ordinary_words_have_weight_but_are_not_telling() -> None:
    counts = count("借款與利率")
    assert counts.weights()[TermCategory.LOAN] == 1.0
    assert counts.num_telling()[TermCategory.LOAN] == 0


def test_count_terms_text_longer_than_a_block_is_searched_across_its_seams() -> None:
    filling = "一般的句子沒有東西。"
    # The term stands at every offset once, so also across the end of a block of 2**20 characters.
    text = filling * ((1 << 20) // len(filling) - 2) + "線上娛樂城、" * 8
    assert found(text) == {"線上娛樂城": 8}


def test_terms_reporting_is_negative_and_narration_positive() -> None:
    weights = count("警方表示，那天外婆在小火上拌炒").weights()
    assert weights[TermCategory.REPORTING] < 0 < weights[TermCategory.NARRATION]
