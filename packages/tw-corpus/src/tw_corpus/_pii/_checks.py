"""Check digits of Taiwanese identifiers and payment cards: arithmetic on folded values without separators."""

import re
from enum import StrEnum

# Letter -> two digits (corpus_and_training.md, section 8; the table of the household registration).
LETTER_VALUES = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (10, 11, 12, 13, 14, 15, 16, 17, 34, 18, 19, 20, 21, 22, 35, 23, 24, 25, 26, 27, 28, 29, 32, 30, 31, 33),
        strict=True,
    )
)
_ID_WEIGHTS = (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)
_UBN_WEIGHTS = (1, 2, 1, 2, 1, 2, 4, 1)
# Digit sum of digit x weight, by place and digit.
_UBN_SUMS = tuple({str(digit): sum(divmod(digit * weight, 10)) for digit in range(10)} for weight in _UBN_WEIGHTS)
_UBN_TWO_WAY = 6  # index of the digit that may count one more where it is 7
_NATIONAL = re.compile(r"[A-Z][12]\d{8}", re.ASCII)
_ARC_NEW = re.compile(r"[A-Z][89]\d{8}", re.ASCII)
_ARC_OLD = re.compile(r"[A-Z][A-D]\d{8}", re.ASCII)
_UBN = re.compile(r"\d{8}", re.ASCII)
# Issuer prefixes with the lengths in use (ISO/IEC 7812; the networks' public ranges).
_CARD = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[689]\d)\d{11}|(?:6011|65\d\d)\d{12}|62\d{14,17}",
    re.ASCII,
)
_DATES = (
    re.compile(r"(?:1[89]\d\d|20[0-5]\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"),  # 20260517
    re.compile(r"0(?:0\d\d|1[0-4]\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"),  # 01150517, year of the Republic
    re.compile(r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])(?:19|20)\d\d"),  # 17052026
    re.compile(r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:19|20)\d\d"),  # 05172026
)


class UbnRule(StrEnum):
    """Which total a company number must have."""

    SINCE_2023 = "since_2023"  # divisible by 5 (from 2023-04-01 on); holds for every older number too
    BEFORE_2023 = "before_2023"  # divisible by 10


def id_remainder(value: str) -> int:
    """Weighted sum modulo 10 of a national or resident number: 0 where the check digit holds.

    The first letter counts with both of its digits, a second letter with its last digit
    (corpus_and_training.md, section 8).

    Args:
        value: one or two letters A-Z, then digits; ten characters.
    """
    second = LETTER_VALUES.get(value[1])
    digits = [*divmod(LETTER_VALUES[value[0]], 10), int(value[1]) if second is None else second % 10]
    digits += map(int, value[2:])
    return sum(weight * digit for weight, digit in zip(_ID_WEIGHTS, digits, strict=True)) % 10


def is_national_id(value: str) -> bool:
    """Tell whether `value` has the form and check digit of a 國民身分證統一編號."""
    return _NATIONAL.fullmatch(value) is not None and id_remainder(value) == 0


def is_arc_new(value: str) -> bool:
    """Tell whether `value` has the form and check digit of a resident number of 2021."""
    return _ARC_NEW.fullmatch(value) is not None and id_remainder(value) == 0


def is_arc_old(value: str) -> bool:
    """Tell whether `value` has the form and check digit of a resident number from before 2021."""
    return _ARC_OLD.fullmatch(value) is not None and id_remainder(value) == 0


def is_ubn(value: str, rule: UbnRule = UbnRule.SINCE_2023) -> bool:
    """Tell whether `value` is eight digits whose total fits `rule`.

    Digit sums of digit x weight (1,2,1,2,1,2,4,1); where the seventh digit is 7, one more also counts.
    """
    if _UBN.fullmatch(value) is None:
        return False
    total = sum([sums[digit] for sums, digit in zip(_UBN_SUMS, value, strict=True)])
    modulus = 5 if rule is UbnRule.SINCE_2023 else 10
    return total % modulus == 0 or (value[_UBN_TWO_WAY] == "7" and (total + 1) % modulus == 0)


def luhn_remainder(digits: str) -> int:
    """Luhn sum modulo 10 (ISO/IEC 7812-1, annex B): 0 where the check digit holds."""
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10


def is_card(value: str) -> bool:
    """Tell whether `value` has the prefix and length of a card network and a valid Luhn digit."""
    return _CARD.fullmatch(value) is not None and luhn_remainder(value) == 0


def looks_like_date(digits: str) -> bool:
    """Tell whether eight digits can be read as a day of 1800 to 2059, or of the Republic's years 0 to 149."""
    return any(pattern.fullmatch(digits) for pattern in _DATES)
