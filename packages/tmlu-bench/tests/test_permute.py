from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmlu_bench import OrderReason, option_roles, permute_circular, permute_seeded
from twllm_types import ChoiceQuestion, ConfigError


def question(options: tuple[str, ...], answer: str = "A", number: int = 0) -> ChoiceQuestion:
    return ChoiceQuestion(id=f"q{number}", subject="soup", question="何者？", options=options, answer=answer)


QUESTIONS = st.lists(st.text("天地玄黃宇宙洪荒", min_size=1, max_size=4), min_size=2, max_size=6, unique=True).flatmap(
    lambda options: st.sampled_from("ABCDEF"[: len(options)]).map(lambda answer: question(tuple(options), answer))
)


@given(QUESTIONS, st.integers())
def test_seeded_order_is_a_permutation_that_keeps_the_right_option(asked: ChoiceQuestion, seed: int) -> None:
    shown = permute_seeded(asked, seed=seed)
    assert sorted(shown.order) == list(range(len(asked.options)))
    assert shown.question.options == tuple(asked.options[i] for i in shown.order)
    gold = shown.question.options[shown.question.letters.index(shown.question.answer)]
    assert gold == asked.options[asked.letters.index(asked.answer)]
    assert shown.original_letter(shown.question.answer) == asked.answer
    assert all(shown.shown_letter(shown.original_letter(letter)) == letter for letter in asked.letters)
    assert permute_seeded(asked, seed=seed) == shown


@given(QUESTIONS)
def test_circular_orders_put_each_option_once_in_each_place(asked: ChoiceQuestion) -> None:
    shown = permute_circular(asked)
    assert shown[0].order == tuple(range(len(asked.options)))
    for place in range(len(asked.options)):
        assert sorted(turn.order[place] for turn in shown) == list(range(len(asked.options)))


def test_seeded_orders_are_spread_evenly() -> None:
    orders = Counter(permute_seeded(question(("天", "地", "玄"), number=k), seed=1).order for k in range(3000))
    assert len(orders) == 6
    assert all(400 < count < 600 for count in orders.values())


def test_seeded_order_depends_on_seed_subject_and_id_only() -> None:
    options = ("天", "地", "玄", "黃", "宇", "宙")
    first = [permute_seeded(question(options, number=k), seed=1).order for k in range(8)]
    assert [permute_seeded(question(options, number=k), seed=2).order for k in range(8)] != first
    assert first == [permute_seeded(question(options, "B", number=k), seed=1).order for k in range(8)]
    # Written down once: the order must be the same in every version of Python.
    assert first[:2] == [(0, 4, 2, 5, 3, 1), (2, 0, 5, 3, 1, 4)]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "以上皆是",
            "以上皆非。",
            "皆對",
            "皆錯",
            "以上皆可",
            "以上都不對",
            "三者皆是",
            "以上選項皆正確",
            "上述皆不可能",
        ),
        *("甲乙皆對", "甲、乙皆正確", "以上敘述皆有可能", "All of the above", "none of these", "全部皆是", "兩者皆非"),
    ],
)
@pytest.mark.parametrize("place", [0, 2, 3])
def test_all_or_none_option_stays_in_its_place(text: str, place: int) -> None:
    options = ["紅", "黃", "藍"]
    options.insert(place, text)
    asked = question(tuple(options))
    assert option_roles(asked.options).fixed == {place}
    turns = permute_circular(asked)
    assert len(turns) == 3
    assert all(turn.question.options[place] == text for turn in turns)
    assert all(permute_seeded(asked, seed=seed).question.options[place] == text for seed in range(20))


@pytest.mark.parametrize(
    "text",
    [
        "A和B",
        "(A)與(C)",
        "（Ａ）（Ｂ）",
        "A、C",
        "選項ABC皆是",
        "AB皆是",
        "A or C",
        "選項 B",
        "以上 A 與 B 皆是",
        "ABC",
        "A+B",
    ],
)
def test_question_with_an_option_that_names_letters_keeps_its_order(text: str) -> None:
    asked = question(("紅", "黃", "藍", text))
    assert option_roles(asked.options).reason is OrderReason.REFERS_TO_LETTERS
    (only,) = permute_circular(asked)
    assert (only.question, only.reason) == (asked, OrderReason.REFERS_TO_LETTERS)
    assert permute_seeded(asked, seed=3).question == asked


@pytest.mark.parametrize(
    "text",
    [
        "維生素A",
        "B型肝炎",
        "DNA",
        "皆大歡喜的結局",
        "都市計畫",
        "全民健保",
        "非洲",
        "以上班為重",
        "X和Y",
        "H和I",
        "均衡飲食",
    ],
)
def test_ordinary_option_may_move(text: str) -> None:
    roles = option_roles(("紅", "黃", "藍", text))
    assert (roles.fixed, roles.reason) == (frozenset(), None)


def test_two_options_of_which_one_is_fixed_keep_their_order() -> None:
    roles = option_roles(("紅", "以上皆非"))
    assert (roles.fixed, roles.reason) == ({0, 1}, OrderReason.NOTHING_TO_MOVE)
    assert len(permute_circular(question(("紅", "以上皆非")))) == 1


@pytest.mark.parametrize("letter", ["E", "", "AB", "a"])
def test_letter_that_the_question_lacks_is_an_error(letter: str) -> None:
    shown = permute_seeded(question(("紅", "黃", "藍", "綠")), seed=0)
    with pytest.raises(ConfigError, match="is no letter of q0"):
        shown.original_letter(letter)
