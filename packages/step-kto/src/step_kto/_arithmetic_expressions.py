"""Exact arithmetic on rational numbers: read, evaluate, write. No floating point anywhere."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

Operator: TypeAlias = Literal["+", "-", "*", "/"]

_MAX_CHARS = 400
_MAX_DEPTH = 40
_TOKEN = re.compile(r"\s*(?:([1-9]\d{0,2}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)|([-+*/()%]))")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SYNONYMS = str.maketrans(
    _FULL_WIDTH | {"×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "−": "-", "–": "-", "⁄": "/"}
)
_LATEX = (
    (re.compile(r"\\(?:times|cdot|ast)\b"), "*"),
    (re.compile(r"\\div\b"), "/"),
    (re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\left\s*\(|\\bigl?\s*\("), "("),
    (re.compile(r"\\right\s*\)|\\bigr?\s*\)"), ")"),
    (re.compile(r"\\[!,;: ]"), ""),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"\\?[$€£¥]"), ""),
    # a cross between two numbers is a multiplication sign; beside a letter it is a variable
    (re.compile(r"(?<=[\d)])\s*x\s*(?=[\d(])"), "*"),
)
_PRECEDENCE: dict[Operator, int] = {"+": 1, "-": 1, "*": 2, "/": 2}
_APPLY: dict[Operator, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One binary operation.

    Attributes:
        operator: what is done.
        left: first operand.
        right: second operand.
    """

    operator: Operator
    left: "Expression"
    right: "Expression"


Expression: TypeAlias = Fraction | Operation


def plain_arithmetic(text: str) -> str:
    r"""Write arithmetic with `+ - * / ( ) %` only: from `\times`, `\frac{1}{2}`, `×`, full-width; currency goes."""
    text = text.translate(_SYNONYMS)
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return text


def parse_expression(text: str) -> Expression | None:
    """Read an arithmetic expression over decimal numbers.

    Numbers may have thousands commas in groups of three and a trailing `%` (a hundredth). A sign before a number or
    parenthesis is read; two numbers side by side, letters and powers are not.

    Args:
        text: already plain (`plain_arithmetic`); at most 400 characters, at most 40 levels deep.

    Returns:
        The expression, or None where the text is not one.
    """
    tokens = _tokens(text)
    if not tokens:
        return None
    reader = _Reader(tokens=tokens)
    found = reader.sum(0)
    return found if reader.at == len(tokens) else None


def evaluate(expression: Expression) -> Fraction | None:
    """Return the exact value; None where it divides by zero."""
    if isinstance(expression, Fraction):
        return expression
    left, right = evaluate(expression.left), evaluate(expression.right)
    if left is None or right is None or (expression.operator == "/" and right == 0):
        return None
    return _APPLY[expression.operator](left, right)


def format_number(value: Fraction) -> str:
    """Write a value: digits for an integer, else `a/b`."""
    return str(value.numerator) if value.denominator == 1 else f"{value.numerator}/{value.denominator}"


def format_expression(expression: Expression) -> str:
    """Write with one space around operators and no parenthesis that the usual precedence makes needless."""
    if isinstance(expression, Fraction):
        return format_number(expression)
    own = _PRECEDENCE[expression.operator]
    left = _operand(expression.left, least=own)
    right = _operand(expression.right, least=own + 1, sign_needs_parentheses=True)
    return f"{left} {expression.operator} {right}"


def _operand(part: Expression, *, least: int, sign_needs_parentheses: bool = False) -> str:
    text = format_expression(part)
    if isinstance(part, Operation):
        return text if _PRECEDENCE[part.operator] >= least else f"({text})"
    return f"({text})" if (sign_needs_parentheses and part < 0) or part.denominator != 1 else text


def _tokens(text: str) -> list[str] | None:
    if len(text) > _MAX_CHARS:
        return None
    tokens: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            return None
        tokens.append(match.group(1) or match.group(2))
        at = match.end()
    return tokens


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Recursive descent over tokens; `at` is the first token not read yet."""

    tokens: list[str]
    at: int = 0

    def _next(self, *wanted: str) -> str | None:
        if self.at < len(self.tokens) and self.tokens[self.at] in wanted:
            self.at += 1
            return self.tokens[self.at - 1]
        return None

    def sum(self, depth: int) -> Expression | None:
        found = self._product(depth)
        while found is not None and (operator := self._next("+", "-")) is not None:
            right = self._product(depth)
            found = None if right is None else Operation(operator=_operator(operator), left=found, right=right)
        return found

    def _product(self, depth: int) -> Expression | None:
        found = self._factor(depth)
        while found is not None and (operator := self._next("*", "/")) is not None:
            right = self._factor(depth)
            found = None if right is None else Operation(operator=_operator(operator), left=found, right=right)
        return found

    def _factor(self, depth: int) -> Expression | None:
        if depth > _MAX_DEPTH or self.at >= len(self.tokens):
            return None
        sign = self._next("+", "-")
        if sign is not None:
            inner = self._factor(depth + 1)
            return inner if sign == "+" or inner is None else _negated(inner)
        if self._next("("):
            found = self.sum(depth + 1)
            if found is None or not self._next(")"):
                return None
        else:
            token = self.tokens[self.at]
            if not token[-1].isdigit():
                return None
            self.at += 1
            found = Fraction(token.replace(",", ""))
        return self._percent(found)

    def _percent(self, found: Expression) -> Expression:
        if not self._next("%"):
            return found
        hundred = Fraction(100)
        return found / hundred if isinstance(found, Fraction) else Operation(operator="/", left=found, right=hundred)


def _operator(token: str) -> Operator:
    match token:
        case "+" | "-" | "*" | "/":
            return token
        case _:  # pragma: no cover - the reader asks for these four only
            raise AssertionError(token)


def _negated(expression: Expression) -> Expression:
    if isinstance(expression, Fraction):
        return -expression
    return Operation(operator="*", left=Fraction(-1), right=expression)
