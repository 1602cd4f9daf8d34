r"""Final answers: find them, clean them, and decide the easy cases exactly. Pure; the hard cases are `_verify`'s.

Rules, stated once:

- Thousands commas (`1,234`, `1{,}234`) are dropped. A comma before another number of digits is left to math-verify.
- Percent: `AnswerPolicy.percent`. By default 10 % is 1/10: it equals 0.1 and differs from 10.
- Units, degree and currency signs: `AnswerPolicy.units`. By default they are dropped, never converted: `10 cm` = `10`.
- Integers and fractions are compared exactly; with a decimal on one side both are rounded to `float_decimals`, and to
  more where the gold answer is so small that fewer than three of its digits would be left.
- Chinese numbers, full-width digits and signs, superscripts and fractions of one character are read as ASCII.
- A prediction without any answer is `different`, since nothing was answered; a gold answer that cannot be read is
  `unknown`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Literal, TypeAlias, get_args

from step_kto._answer_text import bare_text, clean_answer, split_percent
from step_kto._arithmetic_expressions import Operation, evaluate, parse_expression, plain_arithmetic
from twllm_types import ConfigError

PercentRule: TypeAlias = Literal["ratio", "number", "either"]
UnitsRule: TypeAlias = Literal["ignore", "strict"]

_MAX_DIGITS = 60
_LEAST_DIGITS = 3
_MAX_DECIMALS = 100
_EXPONENT = re.compile(r"(-?(?:\d+(?:\.\d*)?|\.\d+))[eE]([+-]?\d{1,3})")
_POWER_OF_TEN = re.compile(r"(-?[\d.]+)\s*(?:\\times|\\cdot|×|\*)\s*10\s*\^\s*\{?\s*(-?\d{1,3})\s*\}?")
_CLOCK = re.compile(r"(?:[01]?\d|2[0-3]):[0-5]\d")
_MIXED = re.compile(r"(-?)(\d+)(?:\s+|(?=\\frac))(?:(\d+)\s*/\s*(\d+)|\\frac\{(\d+)\}\{(\d+)\})")


class AnswerOutcome(StrEnum):
    """What a comparison found."""

    EQUIVALENT = "equivalent"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


class VerdictReason(StrEnum):
    """Why: how two answers were compared, or what kept them from being compared."""

    SAME_TEXT = "same_text"
    SAME_NUMBER = "same_number"
    OTHER_NUMBER = "other_number"
    SAME_CHOICE = "same_choice"
    OTHER_CHOICE = "other_choice"
    OTHER_TEXT = "other_text"
    SAME_VALUE = "same_value"
    OTHER_VALUE = "other_value"
    NO_ANSWER = "no_answer"
    PREDICTION_UNPARSEABLE = "prediction_unparseable"
    GOLD_UNPARSEABLE = "gold_unparseable"
    COMPARISON_FAILED = "comparison_failed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    WORKER_DIED = "worker_died"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a prediction gives the gold answer.

    Attributes:
        outcome: equivalent, different or unknown.
        reason: how it was found, or why it is unknown.
    """

    outcome: AnswerOutcome
    reason: VerdictReason

    @property
    def label(self) -> bool | None:
        """True for equivalent, False for different, None for unknown: the outcome label of a `StepwiseSolution`."""
        return {AnswerOutcome.EQUIVALENT: True, AnswerOutcome.DIFFERENT: False}.get(self.outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPolicy:
    """Conventions that mathematics does not settle.

    Attributes:
        percent: where one side only carries a percent sign: "ratio" reads 10 % as 0.1; "number" drops the sign, so
            that 10 % equals 10; "either" accepts both.
        units: "ignore" drops units, currency and degree signs; "strict" keeps them, so that `10 cm` differs from `10`.
        float_decimals: decimals to which both sides are rounded where one is a decimal, 0..100.

    Raises:
        ConfigError: a rule has another name, or the decimals are out of range.
    """

    percent: PercentRule = "ratio"
    units: UnitsRule = "ignore"
    float_decimals: int = 6

    def __post_init__(self) -> None:
        for name, value, words in (
            ("percent", self.percent, get_args(PercentRule)),
            ("units", self.units, get_args(UnitsRule)),
        ):
            if value not in words:
                raise ConfigError(f"{name} is {value!r}; give {' or '.join(map(repr, words))}")
        if not 0 <= self.float_decimals <= _MAX_DECIMALS:
            raise ConfigError(f"float_decimals is {self.float_decimals}; give a count in 0..{_MAX_DECIMALS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactNumber:
    """A number as written.

    Attributes:
        value: exact.
        is_decimal: it was written with a decimal point, so that it may have been rounded.
    """

    value: Fraction
    is_decimal: bool


def parse_number(text: str) -> ExactNumber | None:
    r"""Read one number as written, exactly.

    An integer, a decimal, a fraction (`3/4`, `\frac{3}{4}`), a mixed number (`1\frac{1}{2}`) or a power of ten
    (`1.5 \times 10^3`, `1.5e3`).

    Args:
        text: an answer without percent sign, cleaned (`clean_answer`).

    Returns:
        The number; None for anything else, division by zero and numbers of more than 60 characters.
    """
    if not text or len(text) > _MAX_DIGITS:
        return None
    power = _POWER_OF_TEN.fullmatch(text.strip()) or _EXPONENT.fullmatch(text.strip())
    if power is not None:
        factor = parse_number(power.group(1))
        return (
            None
            if factor is None
            else ExactNumber(value=factor.value * Fraction(10) ** int(power.group(2)), is_decimal=True)
        )
    mixed = _MIXED.fullmatch(text.strip())
    if mixed is not None:
        sign, whole, *parts = mixed.groups()
        top, bottom = (int(part) for part in parts if part is not None)
        if not bottom:
            return None
        value = int(whole) + Fraction(top, bottom)
        return ExactNumber(value=-value if sign else value, is_decimal=False)
    text = text.strip()
    if text.startswith("-"):
        positive = None if text.startswith("--") else parse_number(text[1:])
        return None if positive is None else ExactNumber(value=-positive.value, is_decimal=positive.is_decimal)
    found = parse_expression(plain_arithmetic(text))
    if isinstance(found, Operation):
        parts_are_numbers = isinstance(found.left, Fraction) and isinstance(found.right, Fraction)
        if found.operator != "/" or not parts_are_numbers:
            return None
    value = evaluate(found) if found is not None else None
    return None if value is None else ExactNumber(value=value, is_decimal="." in text)


def decide_easily(gold: str, prediction: str, policy: AnswerPolicy) -> Verdict | None:
    """Compare two extracted answers where text and exact numbers settle it.

    Args:
        gold: right answer, extracted.
        prediction: answer to judge, extracted.
        policy: conventions.

    Returns:
        A verdict; None where mathematics is needed, which `compare_answers` does.
    """
    gold_text, gold_percent = split_percent(clean_answer(gold, drop_units=policy.units == "ignore"))
    text, percent = split_percent(clean_answer(prediction, drop_units=policy.units == "ignore"))
    if gold_percent == percent and gold_text == text and text:
        return Verdict(outcome=AnswerOutcome.EQUIVALENT, reason=VerdictReason.SAME_TEXT)
    gold_number, number = parse_number(gold_text), parse_number(text)
    if gold_number is not None and number is not None:
        same = any(
            _same_number(left, right, policy.float_decimals)
            for left, right in percent_readings(
                gold_number, number, gold_percent=gold_percent, percent=percent, rule=policy.percent
            )
        )
        return _verdict(same=same, equal=VerdictReason.SAME_NUMBER, unequal=VerdictReason.OTHER_NUMBER)
    if _CLOCK.fullmatch(text) and _CLOCK.fullmatch(gold_text):
        return Verdict(outcome=AnswerOutcome.DIFFERENT, reason=VerdictReason.OTHER_TEXT)
    words, gold_words = bare_text(text), bare_text(gold_text)
    if words is not None and gold_words is not None:
        same = words == gold_words
        return _verdict(same=same, equal=VerdictReason.SAME_TEXT, unequal=VerdictReason.OTHER_TEXT)
    return None


def percent_readings(
    gold: ExactNumber, number: ExactNumber, *, gold_percent: bool, percent: bool, rule: PercentRule
) -> list[tuple[ExactNumber, ExactNumber]]:
    """Return the pairs of numbers of which one must agree, as the rule reads percent signs."""
    if gold_percent == percent or rule == "number":
        return [(gold, number)]
    ratio = (
        ExactNumber(value=gold.value / 100, is_decimal=gold.is_decimal) if gold_percent else gold,
        ExactNumber(value=number.value / 100, is_decimal=number.is_decimal) if percent else number,
    )
    return [ratio] if rule == "ratio" else [ratio, (gold, number)]


def decimals_for(gold: Fraction, decimals: int) -> int:
    """Decimals to round to: those asked for, or more where they leave less than three digits of the gold value."""
    if not gold or abs(gold) >= 1:
        return decimals
    num_zeros = len(str(int(1 / abs(gold)))) - 1
    return max(decimals, num_zeros + _LEAST_DIGITS)


def _same_number(gold: ExactNumber, number: ExactNumber, decimals: int) -> bool:
    if gold.value == number.value:
        return True
    places = decimals_for(gold.value, decimals)
    return (gold.is_decimal or number.is_decimal) and round(gold.value, places) == round(number.value, places)


def _verdict(*, same: bool, equal: VerdictReason, unequal: VerdictReason) -> Verdict:
    return Verdict(
        outcome=AnswerOutcome.EQUIVALENT if same else AnswerOutcome.DIFFERENT, reason=equal if same else unequal
    )
