"""Steps checked by exact arithmetic: no model, no doubt, and silence wherever nothing can be checked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from step_kto._arithmetic_expressions import Operation, evaluate, parse_expression, plain_arithmetic
from step_kto._judges import StepItem, StepJudgement, StepLabels

_CALCULATOR_MARK = re.compile(r"<<[^<>]*>>")
# an equals sign that is not part of <=, >=, !=, ==, =>
_EQUALS = re.compile(r"(?<![<>!=:])=(?![=>])")
_LEFT_RUN = re.compile(r"[-\d.,+*/()%\s]*$")
_RIGHT_RUN = re.compile(r"[-\d.,+*/()%\s]*")
# the parenthesis of a remark: "5 (see above)"
_OPENED = re.compile(r"\s*\(\s*$")
# after these words a number is an operand of the word: "half of 10 + 5 = 10" says nothing about 10 + 5
_BINDING_WORD = re.compile(
    r"\b(?:of|times|plus|minus|over|by|than|from|to|per|mod|log|ln|lg|exp|sin|cos|tan|sqrt|root|gcd|lcm|max|min|choose|"
    r"if|suppose|assume|whether|not)\s*$",
    re.IGNORECASE,
)
# a sign that takes what follows as its operand, or a ratio; "12:" without a space behind it is a time of day
_BINDING_SIGN = re.compile(r"[√∛∜∑∏∫|]\s*$|\d\s+:\s*$")
_GLUED = re.compile(r"(?:[\w\\^}]|\d:)$")
# what makes of "7 / 2 = 3" another statement: "remainder 1", "餘 1", "(mod 2)", "?", "is false"
_CHANGING_WORD = re.compile(
    r"[\s(]*(?:r\b|rem\b|remainders?\b|mod\b|choose\b|餘|余|\?|(?:is|does|would\s+be)\s+(?:not|false|wrong)\b|:\s*\d)",
    re.IGNORECASE,
)
# "100 - 20%" is 80 to some and 99.8 to others
_PERCENT_OPERAND = re.compile(r"[-+]\s*[\d.]+\s*%")
_MAX_CHARS = 20_000
_MAX_WORD_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """What stands on one side of an equals sign, as far as it is arithmetic."""

    text: str
    value: Fraction
    is_operation: bool
    is_percent: bool
    touches_words: bool


class ArithmeticJudge:
    """Checks every equation between numbers that a step states, such as `12 + 7 = 19` or `2 * 3 = 12 / 2 = 6`.

    A step is wrong where one such equation is false, right where all that can be read are true, and unknown where none
    can be read: an equation counts only where one side computes something, and letters, powers or units between numbers
    are not read. It says nothing about whether a true equation helps to solve the problem.

    Args:
        allow_rounding: a result written with decimals also counts as right where it is the exact value rounded to
            these decimals (10 / 3 = 3.33).
    """

    def __init__(self, *, allow_rounding: bool = True) -> None:
        self._allow_rounding = allow_rounding

    def judge(self, problem: str, reference: str, steps: Sequence[str]) -> StepLabels:
        """Label the steps; neither problem nor reference is read."""
        del problem, reference
        return tuple(check_arithmetic(step, allow_rounding=self._allow_rounding) for step in steps)

    def judge_many(self, items: Sequence[StepItem]) -> list[StepJudgement]:
        """Judge solutions, in order."""
        return [StepJudgement(labels=self.judge(item.problem, item.reference, item.steps)) for item in items]


def check_arithmetic(text: str, *, allow_rounding: bool = True) -> bool | None:
    """Check the equations of a text: False if one is false, True if all that can be read are true, else None.

    Args:
        text: a step; beyond 20,000 characters nothing is read.
        allow_rounding: see `ArithmeticJudge`.
    """
    if len(text) > _MAX_CHARS:
        return None
    plain = plain_arithmetic(_CALCULATOR_MARK.sub("", text))
    found: bool | None = None
    for line in plain.splitlines():
        segments = _EQUALS.split(line)
        for before, after in pairwise(segments):
            left, right = _left_side(before), _right_side(after)
            holds = None if left is None or right is None else _holds(left, right, allow_rounding=allow_rounding)
            if holds is False:
                return False
            found = holds if found is None else found
    return found


def _left_side(segment: str) -> _Side | None:
    match = _LEFT_RUN.search(segment)
    run = match.group() if match is not None else ""
    before = segment[: len(segment) - len(run)]
    tail = before[-_MAX_WORD_CHARS:]
    glued = _GLUED.search(tail) is not None and not run[:1].isspace()
    # a sentence may have ended before the equation: "There are 3. 4 + 5 = 9"
    *cut_off, last = re.split(r"[.,]\s+", run)
    stripped = last.strip().lstrip(",. ")
    starts_with_sign = bool(before.strip(" :;.,")) and stripped[:1] in ("+", "-", "*", "/")
    if glued or starts_with_sign or _BINDING_WORD.search(tail) or _BINDING_SIGN.search(tail):
        return None
    return _side(stripped, touches_words=bool(before.strip() or "".join(cut_off).strip()))


def _right_side(segment: str) -> _Side | None:
    match = _RIGHT_RUN.match(segment)
    run = match.group() if match is not None else ""
    after = segment[len(run) :]
    run = _OPENED.sub(" ", run)
    if after and (after[0].isalpha() or after[0] in "_\\^{") and not run[-1:].isspace():
        return None
    if _CHANGING_WORD.match(after):
        return None
    ends_with_operator = run.rstrip()[-1:] in ("+", "-", "*", "/")
    if ends_with_operator and after.strip():
        return None
    text = re.split(r"[.,]\s", run.strip() + " ")[0].strip().rstrip(".,")
    return _side(text, touches_words=bool(after.strip(" .,;:)")))


def _side(text: str, *, touches_words: bool) -> _Side | None:
    expression = parse_expression(text)
    value = evaluate(expression) if expression is not None else None
    if expression is None or value is None:
        return None
    return _Side(
        text=text,
        value=value,
        is_operation=isinstance(expression, Operation),
        is_percent=text.endswith("%"),
        touches_words=touches_words,
    )


def _holds(left: _Side, right: _Side, *, allow_rounding: bool) -> bool | None:
    if not (left.is_operation or right.is_operation) and (left.touches_words or right.touches_words):
        return None
    # "24 = 12 dozens * 2", "the average of 3 and 5 = 8 / 2": a bare number beside words may mean more than itself
    if not left.is_operation and (left.touches_words or right.touches_words):
        return None
    if left.value == right.value:
        return True
    if left.is_percent != right.is_percent:
        shown, other = (left, right) if left.is_percent else (right, left)
        if shown.value * 100 == other.value:
            return True
    if allow_rounding and (_rounds_to(left.value, right) or _rounds_to(right.value, left)):
        return True
    return None if _PERCENT_OPERAND.search(left.text) or _PERCENT_OPERAND.search(right.text) else False


def _rounds_to(value: Fraction, shown: _Side) -> bool:
    text = shown.text.rstrip("% ")
    point = text.find(".")
    if shown.is_operation or point < 0:
        return False
    decimals = len(text) - point - 1
    return abs(value - shown.value) * (100 if shown.is_percent else 1) * 2 * 10**decimals <= 1
