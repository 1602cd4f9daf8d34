from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from step_kto._answer_extraction import AnswerSource, extract_answer, extract_choice
from step_kto._answer_text import bare_text, clean_answer, split_percent
from step_kto._answers import AnswerOutcome, AnswerPolicy, VerdictReason, decide_easily, parse_number
from twllm_types import ConfigError

RATIO = AnswerPolicy()


@pytest.mark.parametrize(
    ("text", "answer", "source"),
    [
        (r"So \boxed{3} and later \boxed{\frac{1}{2}}.", r"\frac{1}{2}", AnswerSource.BOXED),
        (r"\boxed 7", "7", AnswerSource.BOXED),
        (r"\fbox{8}", "8", AnswerSource.BOXED),
        (r"\boxed{1}, \boxed{2} and \boxed{3}", "1, 2, 3", AnswerSource.BOXED),
        (r"The roots: \boxed{4}, again \boxed{4}", "4", AnswerSource.BOXED),
        (r"\boxed{4}" + "\n\nNow the second part.\n\n" + r"\boxed{5}", "5", AnswerSource.BOXED),
        (r"a share of $\boxed{20}$ percent", r"20\%", AnswerSource.BOXED),
        (r"\boxed{20}\%", r"20\%", AnswerSource.BOXED),
        (r"\boxed{a \} b}", r"a \} b", AnswerSource.BOXED),
        (r"a step \boxed{2}. Final Answer: The final answer is $5$. I hope it is correct.", "5", AnswerSource.PHRASE),
        (r"The final answer is \boxed{6}", "6", AnswerSource.BOXED),
        ("3 + 4 = 7\n#### 7", "7", AnswerSource.HASHES),
        ("#### 6\nno:\n#### 1,234 ", "1,234", AnswerSource.HASHES),
        ("He has 3 cows.\nA: 12", "12", AnswerSource.PHRASE),
        ("The answer is $x = 4$, since it holds.", "x = 4", AnswerSource.PHRASE),
        ("the answer is $30$ percent", r"30\%", AnswerSource.PHRASE),
        ("因此答案是：42。", "42", AnswerSource.PHRASE),
        ("Final answer: the volume of $ABC$ is 120. I hope so.", "120", AnswerSource.PHRASE),
        (
            "Final answer: Bo started growing it 3 hours ago.",
            "Bo started growing it 3 hours ago",
            AnswerSource.SENTENCE,
        ),
        ("  42 ", "42", AnswerSource.BARE),
        (r"$\frac{1}{2}$", r"$\frac{1}{2}$", AnswerSource.BARE),
        ("答案是四十二。", "四十二", AnswerSource.PHRASE),
        ("三分之二", "三分之二", AnswerSource.BARE),
        (r"\boxed{\boxed{3}}", "3", AnswerSource.BOXED),
        (r"\boxed{5} then \boxed{", "5", AnswerSource.BOXED),
        ("####\n\n42", "42", AnswerSource.HASHES),
        ("Then Mei has 42 apples left", "Then Mei has 42 apples left", AnswerSource.SENTENCE),
    ],
)
def test_extract_answer_each_form_is_found(text: str, answer: str, source: AnswerSource) -> None:
    found = extract_answer(text)
    assert found is not None
    assert (found.text, found.source) == (answer, source)


@pytest.mark.parametrize("text", ["", " \n "])
def test_extract_answer_blank_text_is_none(text: str) -> None:
    assert extract_answer(text) is None


REPEATED = [
    "\\boxed{",
    "\\boxed{}",
    "{",
    "\n",
    " \n",
    "#### ",
    "####\n",
    "answer is ",
    "A: \n",
    "\\(",
    "$$",
    "\\text{ ",
]


@pytest.mark.parametrize("before", ["", "The answer is "])
@pytest.mark.parametrize("piece", REPEATED, ids=range(len(REPEATED)))
def test_extract_answer_of_endless_repetition_takes_linear_time(piece: str, before: str) -> None:
    # a model that repeats itself writes such texts; squared time would take minutes
    extract_answer(before + piece * 40_000 + "x")
    extract_answer(before + "\\boxed{" + piece * 40_000 + "}" * 40_001)
    extract_answer(before + "\\boxed{1}" + piece * 40_000 + "\\boxed{2}")


def test_extract_answer_box_cut_off_is_not_an_answer() -> None:
    found = extract_answer("The answer is 5, so \\boxed{12")
    assert found is not None
    assert found.source is not AnswerSource.BOXED


def test_extract_answer_empty_box_is_not_an_answer() -> None:
    found = extract_answer(r"#### 5" + "\n" + r"\boxed{}")
    assert found is not None
    assert (found.text, found.source) == ("5", AnswerSource.HASHES)


@given(st.text(alphabet="0123456789+-x^{}\\ ", min_size=1).filter(str.strip))
def test_extract_answer_any_text_in_a_closed_box_comes_back(inner: str) -> None:
    balanced = inner.replace("{", "").replace("}", "").replace("\\", "").strip()
    found = extract_answer(f"So we get \\boxed{{{balanced}}}")
    assert (found is not None and found.text == balanced) or not balanced


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("I think the correct answer is C", "C"),
        ("It's not A, therefore I think it's B", "B"),
        ("The answer is for sure D, it can't be A or B", "D"),
        ("(E) because", "E"),
        ("B不是 A", "B"),
        ("An apple", None),
        ("nothing here", None),
    ],
)
def test_extract_choice_named_letter_is_found(text: str, letter: str | None) -> None:
    assert extract_choice(text) == letter


@pytest.mark.parametrize(
    ("text", "value", "is_decimal"),
    [
        ("12", Fraction(12), False),
        ("-1,234,567", Fraction(-1234567), False),
        ("0.50", Fraction(1, 2), True),
        (".5", Fraction(1, 2), True),
        ("3/4", Fraction(3, 4), False),
        (r"-\frac{3}{4}", Fraction(-3, 4), False),
        ("1 1/2", Fraction(3, 2), False),
        (r"-2\frac{5}{8}", Fraction(-21, 8), False),
        (r"1.5 \times 10^{3}", Fraction(1500), True),
        ("2*10^-2", Fraction(1, 50), True),
        ("1.5e3", Fraction(1500), True),
        ("-2E-2", Fraction(-1, 50), True),
    ],
)
def test_parse_number_written_forms_are_exact(text: str, value: Fraction, *, is_decimal: bool) -> None:
    found = parse_number(text)
    assert found is not None
    assert (found.value, found.is_decimal) == (value, is_decimal)


@pytest.mark.parametrize(
    "text", ["", "x", "1/0", "3 1/0", "1 + 2", "1,22", "0,111", "x*10^2", "2(3)", "9" * 61, "(1+1)/2"]
)
def test_parse_number_anything_else_is_none(text: str) -> None:
    assert parse_number(text) is None


@given(st.integers(-(10**12), 10**12))
def test_parse_number_thousands_commas_change_nothing(number: int) -> None:
    plain, grouped = parse_number(str(number)), parse_number(f"{number:,}")
    assert plain == grouped
    assert plain is not None
    assert plain.value == number


@pytest.mark.parametrize(
    ("gold", "prediction", "policy", "outcome"),
    [
        ("10", r"10\%", "ratio", "different"),
        (r"10\%", "10", "ratio", "different"),
        ("0.1", r"10\%", "ratio", "equivalent"),
        (r"10\%", r"\frac{1}{10}", "ratio", "equivalent"),
        (r"10\%", "10 percent", "ratio", "equivalent"),
        ("10", r"10\%", "number", "equivalent"),
        ("0.1", r"10\%", "number", "different"),
        ("10", r"10\%", "either", "equivalent"),
        ("0.1", r"10\%", "either", "equivalent"),
        ("11", r"10\%", "either", "different"),
    ],
)
def test_decide_easily_percent_follows_policy(gold: str, prediction: str, policy: str, outcome: str) -> None:
    rule = {"ratio": AnswerPolicy(), "number": AnswerPolicy(percent="number"), "either": AnswerPolicy(percent="either")}
    verdict = decide_easily(gold, prediction, rule[policy])
    assert verdict is not None
    assert verdict.outcome == outcome


@pytest.mark.parametrize(
    ("gold", "prediction", "reason"),
    [
        ("18", "18.0", VerdictReason.SAME_NUMBER),
        ("18", "19", VerdictReason.OTHER_NUMBER),
        ("5,600", "5600", VerdictReason.SAME_NUMBER),
        ("14916", r"14{,}916", VerdictReason.SAME_NUMBER),
        ("32349", r"32,\! 349", VerdictReason.SAME_NUMBER),
        ("1000", "1 000", VerdictReason.SAME_NUMBER),
        ("1/3", "0.333333", VerdictReason.SAME_NUMBER),
        ("1/3", "0.33", VerdictReason.OTHER_NUMBER),
        ("10", r"10\text{ cm}", VerdictReason.SAME_TEXT),
        ("15", r"15\mbox{ cm}^2", VerdictReason.SAME_TEXT),
        ("90", r"90^\circ", VerdictReason.SAME_TEXT),
        (r"\$10", "10", VerdictReason.SAME_TEXT),
        ("12 dollars.", "12", VerdictReason.SAME_TEXT),
        (r"\text{Evelyn}", "evelyn", VerdictReason.SAME_TEXT),
        ("yes", "no", VerdictReason.OTHER_TEXT),
        (r"2.5 \times 10^{-8}", r"3.1 \times 10^{-8}", VerdictReason.OTHER_NUMBER),
        (r"6.63 \times 10^{-34}", "0", VerdictReason.OTHER_NUMBER),
        (r"6.626 \times 10^{-34}", r"6.64 \times 10^{-34}", VerdictReason.OTHER_NUMBER),
        (r"6.63 \times 10^{-34}", r"6.6300001 \times 10^{-34}", VerdictReason.SAME_NUMBER),
        ("0", "0.00000001", VerdictReason.SAME_NUMBER),
        ("42", "４２", VerdictReason.SAME_TEXT),
        ("0.5", "５０％", VerdictReason.SAME_NUMBER),
        ("-1234", "－１，２３４", VerdictReason.SAME_NUMBER),
        ("1/2", "½", VerdictReason.SAME_NUMBER),
        ("15", "15 m²", VerdictReason.SAME_TEXT),
        ("42", "四十二", VerdictReason.SAME_TEXT),
        ("105", "一百零五元", VerdictReason.SAME_TEXT),
        ("42", r"\text{四十二}", VerdictReason.SAME_TEXT),
        ("42", "四十三", VerdictReason.OTHER_NUMBER),
        ("12:00", "1:00", VerdictReason.OTHER_TEXT),
    ],
)
def test_decide_easily_text_and_numbers_are_settled(gold: str, prediction: str, reason: VerdictReason) -> None:
    verdict = decide_easily(gold, prediction, RATIO)
    assert verdict is not None
    assert verdict.reason is reason


def test_decide_easily_strict_units_are_kept() -> None:
    assert decide_easily("10", r"10\text{ cm}", AnswerPolicy(units="strict")) is None


@pytest.mark.parametrize(("gold", "prediction"), [("x + 1", "1 + x"), ("(1, 2)", "(2, 1)"), ("x", "y")])
def test_decide_easily_mathematics_is_left_open(gold: str, prediction: str) -> None:
    assert decide_easily(gold, prediction, RATIO) is None


@given(st.fractions(max_denominator=999), st.fractions(max_denominator=999))
def test_decide_easily_fractions_are_symmetric_and_exact(left: Fraction, right: Fraction) -> None:
    one, other = decide_easily(str(left), str(right), RATIO), decide_easily(str(right), str(left), RATIO)
    assert one is not None
    assert other is not None
    assert one.outcome == other.outcome
    assert (one.outcome is AnswerOutcome.EQUIVALENT) == (left == right)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"float_decimals": -1}, "float_decimals is -1"),
        ({"float_decimals": 10**9}, "float_decimals is 1000000000"),
        ({"percent": "ratios"}, "percent is 'ratios'; give 'ratio' or 'number' or 'either'"),
        ({"units": "drop"}, "units is 'drop'"),
    ],
)
def test_answer_policy_bad_rule_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AnswerPolicy(**options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"$\left( 3, \dfrac{1}{2} \right)$", r"\left( 3, \frac{1}{2} \right)"),
        (r"\frac12", r"\frac{1}{2}"),
        (r"\\frac{1}{2}", r"\frac{1}{2}"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
        ("(3*sqrt(5))/7", r"(3*\sqrt{5})/7"),
        ("2**(1/4)", "2^(1/4)"),
        ("4...", "4..."),
    ],
)
def test_clean_answer_notation_is_unified(text: str, expected: str) -> None:
    assert clean_answer(text, drop_units=True) == expected


def test_split_percent_sign_alone_is_no_number() -> None:
    assert split_percent("%") == ("%", False)


@pytest.mark.parametrize(
    ("text", "words"), [("Odd", "odd"), (r"\text{E}", "e"), ("x", None), ("f(x)", None), ("", None)]
)
def test_bare_text_words_only(text: str, words: str | None) -> None:
    assert bare_text(text) == words
