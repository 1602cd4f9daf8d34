r"""Truth of the steps of a solution, against exact arithmetic and against the problem's own expression.

A step such as `## Step 2: 19 * 3 = 57` is right when its equation holds and its left side is a part of what is still to
be computed; then the part is replaced by the stated value. A step that boxes a value is right when the value is that of
what is left.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from step_kto._answer_extraction import AnswerSource, extract_answer
from step_kto._arithmetic_expressions import Expression, Operation, evaluate, parse_expression, plain_arithmetic

_HEADING = re.compile(r"^\s*(?:#+\s*)?Step\s*\d+\s*[:.]?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArithmeticStepTruth:
    """What can be said about one step.

    Attributes:
        arithmetic: its equations hold; None where it states none that can be read.
        follows: it computes a part of what was left of the problem, or boxes its value; None where nothing was read.
    """

    arithmetic: bool | None
    follows: bool | None

    @property
    def label(self) -> bool | None:
        """True where both hold, False where one does not, None where nothing was read."""
        if self.arithmetic is False or self.follows is False:
            return False
        return None if self.arithmetic is None and self.follows is None else True


def arithmetic_step_truth(
    problem: Expression, steps: Sequence[str], *, carry_errors: bool = True
) -> tuple[bool | None, ...]:
    """Label the steps of a solution; see `explain_arithmetic_steps`."""
    return tuple(truth.label for truth in explain_arithmetic_steps(problem, steps, carry_errors=carry_errors))


def explain_arithmetic_steps(
    problem: Expression, steps: Sequence[str], *, carry_errors: bool = True
) -> tuple[ArithmeticStepTruth, ...]:
    """Judge the steps of a solution of an arithmetic problem.

    Args:
        problem: its expression.
        steps: texts of the steps, in order; may be empty.
        carry_errors: True judges each step on its own: later steps go on from the value that a wrong step stated.
            False goes on from the right value, so that a step which uses a wrong value is wrong as well.

    Returns:
        One truth per step. A step without equation or box says nothing, and changes nothing.
    """
    left: Expression = problem
    truths: list[ArithmeticStepTruth] = []
    for step in steps:
        text = _HEADING.sub("", step).strip()
        boxed = extract_answer(text)
        if boxed is not None and boxed.source is AnswerSource.BOXED:
            truths.append(_boxed_truth(left, boxed.text))
            continue
        truth, left = _equation_truth(left, text, carry_errors=carry_errors)
        truths.append(truth)
    return tuple(truths)


def _boxed_truth(left: Expression, text: str) -> ArithmeticStepTruth:
    stated, value = parse_expression(plain_arithmetic(text)), evaluate(left)
    follows = stated is not None and value is not None and evaluate(stated) == value
    return ArithmeticStepTruth(arithmetic=None, follows=follows)


def _equation_truth(left: Expression, text: str, *, carry_errors: bool) -> tuple[ArithmeticStepTruth, Expression]:
    sides = [parse_expression(plain_arithmetic(side)) for side in text.rstrip(" .").split("=")]
    if len(sides) == 1 or None in sides:
        return ArithmeticStepTruth(arithmetic=None, follows=None), left
    chain = [side for side in sides if side is not None]
    values = [evaluate(side) for side in chain]
    arithmetic = None not in values and len(set(values)) == 1
    stated = values[-1]
    value = stated if carry_errors else evaluate(chain[0])
    replaced = None if value is None else _replace(left, chain[0], value)
    if replaced is None:
        return ArithmeticStepTruth(arithmetic=arithmetic, follows=False), left
    return ArithmeticStepTruth(arithmetic=arithmetic, follows=True), replaced


def _replace(whole: Expression, part: Expression, value: Fraction) -> Expression | None:
    """Replace the first occurrence of an operation by a value; None where there is none.

    The operands of + and * may stand in either order.
    """
    if isinstance(whole, Fraction) or isinstance(part, Fraction):
        return None
    if _canonical(whole) == _canonical(part):
        return value
    for side in ("left", "right"):
        inner = _replace(whole.left if side == "left" else whole.right, part, value)
        if inner is not None:
            return Operation(
                operator=whole.operator,
                left=inner if side == "left" else whole.left,
                right=inner if side == "right" else whole.right,
            )
    return None


def _canonical(expression: Expression) -> str:
    if isinstance(expression, Fraction):
        return str(expression)
    parts = [_canonical(expression.left), _canonical(expression.right)]
    if expression.operator in ("+", "*"):
        parts.sort()
    return f"({parts[0]}{expression.operator}{parts[1]})"
