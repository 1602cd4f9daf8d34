"""BLEU-4, ROUGE-L and length by hand."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_eval._baselines import TextUnit, bleu4, response_length, rouge_l

texts = st.text(alphabet="abc  貓狗", max_size=30)


def test_bleu4_same_text_is_one() -> None:
    assert bleu4("a b c d e", ["a b c d e"]) == pytest.approx(1.0)


def test_bleu4_by_hand() -> None:
    # 1-grams 4/5, 2-grams 2/4, 3-grams 1/3, 4-grams 0/2 with the constants; no brevity penalty
    expected = (4 / 5 * 2 / 4 * 1 / 3 * (1e-15 / 2)) ** 0.25
    assert bleu4("a b c x d", ["a b c d"]) == pytest.approx(expected, rel=1e-6)


def test_bleu4_matches_are_clipped_by_the_most_generous_reference() -> None:
    # "a" counts twice, since one reference has it twice
    assert bleu4("a a a a", ["a b", "a a b c"]) == pytest.approx((2 / 4 * 1 / 3 * 1e-15 / 2 * 1e-15) ** 0.25, rel=1e-6)


def test_bleu4_short_response_is_punished_by_the_closest_reference() -> None:
    long, close = "a b c d e f g h i j", "a b c d e"
    assert bleu4("a b c d", [close, long]) == pytest.approx(exp(1 - 5 / 4), rel=1e-6)
    # 4 is as far from 3 as from 5: the shorter counts, so that nothing is taken off
    assert bleu4("a b c d", ["a b c", "a b c d e"]) == pytest.approx(1.0, rel=1e-6)


def test_bleu4_empty_texts_have_a_score_of_nothing() -> None:
    assert bleu4("", ["a b"]) == pytest.approx(0.0, abs=1e-6)
    assert 0 <= bleu4("a b", [""]) < 1e-3


def test_rouge_l_by_hand() -> None:
    # longest common subsequence a c d of 3: P = 3/4, R = 3/5
    precision, recall = 3 / 4, 3 / 5
    expected = (1 + 1.44) * precision * recall / (recall + 1.44 * precision)
    assert rouge_l("a x c d", ["a b c d e"]) == pytest.approx(expected)


def test_rouge_l_takes_the_best_precision_and_the_best_recall() -> None:
    # P = 1 by the first, R = 1 by the second
    assert rouge_l("a b", ["a b c d", "a"]) == pytest.approx(1.0)


def test_rouge_l_without_anything_in_common_is_zero() -> None:
    assert rouge_l("a b", ["c d"]) == 0
    assert rouge_l("a", ["甲 乙"]) == 0


def test_rouge_l_splits_at_each_single_space() -> None:
    # two spaces make an empty word, which both texts have
    assert rouge_l("a  b", ["c  d"]) == pytest.approx((1 + 1.44) * (1 / 3) ** 2 / (1 / 3 + 1.44 / 3))


def test_baselines_without_a_reference_are_refused() -> None:
    for score in (bleu4, rouge_l):
        with pytest.raises(ValueError, match="needs a reference"):
            score("a", [])


def test_baselines_of_chinese_count_characters() -> None:
    characters = TextUnit.CHARACTERS
    assert response_length("今天 天氣\n很好。", characters) == 7
    assert response_length("今天 天氣\n很好。") == 3
    assert response_length("") == 0
    assert bleu4("今天天氣很好", ["今天天氣很好"], characters) == pytest.approx(1.0)
    assert bleu4("今天天氣很好", ["今天天氣很好"]) < 1e-3
    assert rouge_l("今天很好", ["今天天氣很好"], characters) > rouge_l("今天很好", ["今天天氣很好"])
    assert rouge_l("", ["今"], characters) == 0


@given(texts, st.lists(texts, min_size=1, max_size=3), st.sampled_from(TextUnit))
def test_baselines_stay_in_range(response: str, references: list[str], unit: TextUnit) -> None:
    assert 0 <= bleu4(response, references, unit) <= 1 + 1e-6
    assert 0 <= rouge_l(response, references, unit) <= 1 + 1e-9
    assert rouge_l(response, [*references, response], unit) >= rouge_l(response, references, unit) - 1e-9
