r"""The task that teaches: problems of several arithmetic steps, made by seed, whose every step can be checked.

A problem is an expression, shown as such or told as a story; its solution reduces the expression one operation a step:

    ## Step 1: 12 + 7 = 19
    ## Step 2: 19 * 3 = 57
    ## Step 3: \boxed{57}

Splits are disjoint by construction: the text of a problem decides by its hash which split it belongs to.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from random import Random
from typing import get_args

from step_kto._arithmetic_expressions import (
    Expression,
    Operation,
    Operator,
    evaluate,
    format_expression,
    format_number,
)
from step_kto._arithmetic_stories import tell_story
from twllm_types import ConfigError

_TRIES_PER_PROBLEM = 400
_TRIES_PER_OPERATION = 400
_DEAD_ENDS_PER_PROBLEM = 20
_SPLIT_TENTHS = 10
_JOINS: tuple[Operator, ...] = ("+", "-")


class Split(StrEnum):
    """Where a problem belongs: eight tenths of all texts train, one tenth each validation and test."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArithmeticSettings:
    """How hard the problems are.

    With the defaults `make_toy_model` learns in 1,600 updates of 32 solutions, some four minutes on two cores, to solve
    65 % greedily and 49 % at temperature 1 (benchmarks/step_kto/toy_sft.md).

    Attributes:
        min_steps: fewest operations, >= 1.
        max_steps: most operations, >= min_steps; uniform between the two.
        operators: to draw from; a division is drawn so that it comes out even.
        max_operand: largest number of a sum or difference, >= 1.
        max_factor: largest second number of a product or quotient, >= 2.
        max_value: no result on the way is above it in absolute value, >= max_operand.
        allow_negative: whether results on the way may be below 0; stories never go below 0.
        story_share: share of problems told as a story, in [0, 1].

    Raises:
        ConfigError: a value is out of its range.
    """

    min_steps: int = 2
    max_steps: int = 4
    operators: tuple[Operator, ...] = ("+", "-", "*")
    max_operand: int = 50
    max_factor: int = 6
    max_value: int = 199
    allow_negative: bool = False
    story_share: float = 0.25

    def __post_init__(self) -> None:
        checks = (
            ("min_steps", self.min_steps, self.min_steps >= 1, ">= 1"),
            ("max_steps", self.max_steps, self.max_steps >= self.min_steps, ">= min_steps"),
            ("max_operand", self.max_operand, self.max_operand >= 1, ">= 1"),
            ("max_factor", self.max_factor, self.max_factor >= 2, ">= 2"),
            ("max_value", self.max_value, self.max_value >= self.max_operand, ">= max_operand"),
            ("story_share", self.story_share, 0 <= self.story_share <= 1, "in [0, 1]"),
        )
        for name, value, holds, expected in checks:
            if not holds:
                raise ConfigError(f"{name} is {value}; give a value {expected}")
        if not self.operators or not set(self.operators) <= set(get_args(Operator)):
            raise ConfigError(f"operators is {self.operators}; give some of {', '.join(get_args(Operator))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArithmeticProblem:
    r"""One problem with its reference solution.

    Attributes:
        prompt: the text shown to the model, ending in a line break.
        expression: what has to be reduced.
        steps: reference steps; joined as they stand they are the solution, whose last step holds `\boxed{}`.
        answer: the final answer as written in the box.
    """

    prompt: str
    expression: Expression
    steps: tuple[str, ...]
    answer: str


def split_of(prompt: str) -> Split:
    """Return the split to which a problem's text belongs, whatever the seed."""
    tenth = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:4], "big") % _SPLIT_TENTHS
    return {8: Split.VALIDATION, 9: Split.TEST}.get(tenth, Split.TRAIN)


def make_arithmetic_problems(
    count: int, *, split: Split, seed: int, settings: ArithmeticSettings | None = None
) -> list[ArithmeticProblem]:
    """Draw different problems of one split.

    Args:
        count: how many, >= 0.
        split: which texts are allowed; two splits never share one.
        seed: of the draw; the same seed and settings give the same problems.
        settings: how hard; None for the defaults.

    Raises:
        ConfigError: a count below 0, or the settings do not hold as many different problems.
    """
    if count < 0:
        raise ConfigError(f"count is {count}; give a value >= 0")
    chosen = settings if settings is not None else ArithmeticSettings()
    rng = Random(f"{split}:{seed}")  # noqa: S311 - a draw to be repeated, not a secret
    found: dict[str, ArithmeticProblem] = {}
    num_dead_ends = 0
    for _ in range(_TRIES_PER_PROBLEM * count):
        if len(found) == count or num_dead_ends > _DEAD_ENDS_PER_PROBLEM * (len(found) + 1):
            break
        try:
            problem = _draw(rng, chosen)
        except _DeadEndError:
            num_dead_ends += 1
            continue
        if split_of(problem.prompt) is split:
            found.setdefault(problem.prompt, problem)
    if len(found) < count:
        raise ConfigError(
            f"these settings gave {len(found)} of {count} different problems; allow more steps or numbers"
        )
    return list(found.values())


def reference_steps(expression: Expression) -> tuple[str, ...]:
    r"""Reduce an expression, the leftmost innermost operation first, one step each; the last step boxes the value.

    Raises:
        ConfigError: the expression divides by zero.
    """
    lines: list[str] = []
    while isinstance(expression, Operation):
        reduced, statement = _reduce_first(expression)
        expression = reduced
        lines.append(statement)
    lines.append(f"\\boxed{{{format_number(expression)}}}")
    steps = [f"## Step {number}: {line}" for number, line in enumerate(lines, start=1)]
    return (*(f"{step}\n" for step in steps[:-1]), steps[-1])


def _reduce_first(expression: Operation) -> tuple[Expression, str]:
    left, right = expression.left, expression.right
    if isinstance(left, Operation):
        reduced, statement = _reduce_first(left)
        return Operation(operator=expression.operator, left=reduced, right=right), statement
    if isinstance(right, Operation):
        reduced, statement = _reduce_first(right)
        return Operation(operator=expression.operator, left=left, right=reduced), statement
    value = evaluate(expression)
    if value is None:
        raise ConfigError(f"{format_expression(expression)} divides by zero; draw another expression")
    return value, f"{format_expression(expression)} = {format_number(value)}"


class _DeadEndError(Exception):
    """No operation leads on from a value within the bounds, such as multiplying at the largest value."""


def _draw(rng: Random, settings: ArithmeticSettings) -> ArithmeticProblem:
    num_steps = rng.randint(settings.min_steps, settings.max_steps)
    if rng.random() < settings.story_share:
        expression = _draw_chain(rng, settings, num_steps)
        prompt = tell_story(expression, rng)
    else:
        expression = _draw_tree(rng, settings, num_steps)
        prompt = f"Compute {format_expression(expression)}.\n"
    steps = reference_steps(expression)
    value = evaluate(expression)
    return ArithmeticProblem(
        prompt=prompt, expression=expression, steps=steps, answer="" if value is None else format_number(value)
    )


def _draw_chain(rng: Random, settings: ArithmeticSettings, num_steps: int) -> Expression:
    """A value that one operation after the other changes, as things happen in a story; never below 0."""
    expression: Expression = Fraction(rng.randint(1, settings.max_operand))
    for _ in range(num_steps):
        value = evaluate(expression)
        expression = _extend(rng, settings, expression, value if value is not None else Fraction(0), negative=False)
    return expression


def _draw_tree(rng: Random, settings: ArithmeticSettings, num_steps: int) -> Expression:
    """A chain, or two chains joined by a sum or difference, so that parentheses and precedence matter."""
    negative = settings.allow_negative
    joins: list[Operator] = [operator for operator in _JOINS if operator in settings.operators]
    num_right = rng.randint(1, num_steps - 2) if num_steps > 2 and rng.random() < 0.5 else 0
    num_right = num_right if joins else 0
    parts: list[Expression] = []
    for length in (num_steps - num_right - (num_right > 0), num_right):
        part: Expression = Fraction(rng.randint(1, settings.max_operand))
        for _ in range(length):
            part = _extend(rng, settings, part, evaluate(part) or Fraction(0), negative=negative)
        parts.append(part)
    if not num_right:
        return parts[0]
    left, right = parts
    choices = [
        candidate
        for operator in joins
        for candidate in (Operation(operator=operator, left=left, right=right),)
        if _allowed(evaluate(candidate), settings, negative=negative)
    ]
    return rng.choice(choices) if choices else _draw_tree(rng, settings, num_steps)


def _extend(
    rng: Random, settings: ArithmeticSettings, expression: Expression, value: Fraction, *, negative: bool
) -> Expression:
    """Apply one more operation whose result is allowed."""
    for _ in range(_TRIES_PER_OPERATION):
        operator = rng.choice(settings.operators)
        if operator in ("+", "-"):
            operand = rng.randint(1, settings.max_operand)
        elif operator == "*":
            operand = rng.randint(2, settings.max_factor)
        else:
            divisors = [d for d in range(2, settings.max_factor + 1) if value.numerator % d == 0]
            if not divisors:
                divisors = [1]
            operand = rng.choice(divisors)
        candidate = Operation(operator=operator, left=expression, right=Fraction(operand))
        if _allowed(evaluate(candidate), settings, negative=negative):
            return candidate
    raise _DeadEndError


def _allowed(value: Fraction | None, settings: ArithmeticSettings, *, negative: bool) -> bool:
    return value is not None and abs(value) <= settings.max_value and (negative or value >= 0)
