# math-verify and sympy have no types, so this wrapper is checked in standard mode.
# pyright: standard
r"""Compare a prediction with the gold answer on math-verify, with its known faults handled.

`compare_texts` is bounded by nothing: a power tower hangs it. `verify_answer` and `AnswerVerifier` (`_verify_pool`) run
it in a process that is stopped. No signal is ever used, so threads are welcome.

math-verify 0.9 faults handled here: `10\%` equals `10` there; a relation or assignment is unwrapped depending on which
side is called gold; an unparseable side is a plain False; time-outs are signals.
"""

import math
import re
from typing import TYPE_CHECKING, Any, cast

from step_kto._answer_extraction import AnswerSource, ExtractedAnswer, extract_answer, extract_choice
from step_kto._answer_text import bare_text, clean_answer, split_percent
from step_kto._answers import (
    AnswerOutcome,
    AnswerPolicy,
    Verdict,
    VerdictReason,
    decide_easily,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_LETTER = re.compile(r"\$?(?:\\text\{)?\(?(?P<letter>[A-J])\)?\.?\}?\$?")
_LETTER_AND_TEXT = re.compile(r"\s*(?:\((?P<letter>[A-J])\)|(?P<bare>[A-J])(?=\s))")
# math-verify wants a space before a number; Chinese and Japanese text has none
_GLUED = re.compile(r"(?<=[\u3040-\u9fff])(?=[-\d])|(?<=\d)(?=[\u3040-\u9fff])")
# latex2sympy reads them as words; a text this long is prose, and prose of this length only costs time
_MAX_CHARS = 4_000
_MAX_NAME_WORDS = 3
# below this, six decimals leave less than three digits
_SMALL = 1e-3
_ONE_WORD = re.compile(r"[a-z'-]+")


def decide_without_mathematics(gold: str, prediction: str, policy: AnswerPolicy) -> Verdict | None:
    """Compare two texts as far as extraction, text and exact numbers go; None where math-verify is needed.

    Args:
        gold: text that holds the right answer.
        prediction: text that holds the answer to judge.
        policy: conventions.
    """
    right, answer = extract_answer(gold), extract_answer(prediction)
    if right is None:
        return Verdict(outcome=AnswerOutcome.UNKNOWN, reason=VerdictReason.GOLD_UNPARSEABLE)
    if answer is None:
        return Verdict(outcome=AnswerOutcome.DIFFERENT, reason=VerdictReason.NO_ANSWER)
    choice = _compare_choices(right, prediction)
    if choice is not None:
        return choice
    if max(len(right.text), len(answer.text)) > _MAX_CHARS:
        return None
    if AnswerSource.SENTENCE in (right.source, answer.source):
        return _compare_names(right, answer)
    return decide_easily(right.text, answer.text, policy)


def compare_texts(gold: str, prediction: str, policy: AnswerPolicy) -> Verdict:
    """Compare two texts, with computer algebra where it is needed. Nothing bounds its time.

    Args:
        gold: text that holds the right answer.
        prediction: text that holds the answer to judge.
        policy: conventions.
    """
    easy = decide_without_mathematics(gold, prediction, policy)
    if easy is not None:
        return easy
    right, answer = extract_answer(gold), extract_answer(prediction)
    if right is None or answer is None:  # pragma: no cover - decided above
        raise AssertionError
    gold_value = _parse(right, policy)
    if gold_value is None:
        return Verdict(outcome=AnswerOutcome.UNKNOWN, reason=VerdictReason.GOLD_UNPARSEABLE)
    value = _parse(answer, policy)
    if value is None:
        return Verdict(outcome=AnswerOutcome.DIFFERENT, reason=VerdictReason.PREDICTION_UNPARSEABLE)
    return _compare(gold_value, value, policy)


def _compare_choices(gold: ExtractedAnswer, prediction: str) -> Verdict | None:
    """A gold answer of one capital letter, perhaps with the choice's text behind it, is a choice."""
    answer = extract_answer(prediction)
    alone = _LETTER.fullmatch(answer.text.strip()) if answer is not None else None
    named = _LETTER.fullmatch(gold.text.strip()) or (_LETTER_AND_TEXT.match(gold.text) if alone is not None else None)
    if named is None or answer is None:
        return None
    chosen = extract_choice(answer.text) or extract_choice(prediction)
    if chosen is None:
        return None
    if chosen in named.groups():
        return Verdict(outcome=AnswerOutcome.EQUIVALENT, reason=VerdictReason.SAME_CHOICE)
    return Verdict(outcome=AnswerOutcome.DIFFERENT, reason=VerdictReason.OTHER_CHOICE)


def _compare_names(gold: ExtractedAnswer, answer: ExtractedAnswer) -> Verdict | None:
    """A gold answer of a few words, such as a name, is those words; a whole sentence as prediction may hold them."""
    right, words = (bare_text(clean_answer(each.text, drop_units=False)) for each in (gold, answer))
    if right is None or words is None or len(right.split()) > _MAX_NAME_WORDS:
        return None
    if right == words:
        return Verdict(outcome=AnswerOutcome.EQUIVALENT, reason=VerdictReason.SAME_TEXT)
    if answer.source is AnswerSource.SENTENCE and not _ONE_WORD.fullmatch(words):
        return None
    return Verdict(outcome=AnswerOutcome.DIFFERENT, reason=VerdictReason.OTHER_TEXT)


def _parse(answer: ExtractedAnswer, policy: AnswerPolicy) -> tuple[Any, bool] | None:
    """Read an answer with math-verify; (value, carried a percent sign), or None where it cannot."""
    if answer.source is AnswerSource.SENTENCE:
        value = _mathematics(_GLUED.sub(" ", answer.text[-_MAX_CHARS:]))
        return None if value is None else _without_percent(value)
    text, percent = split_percent(clean_answer(answer.text, drop_units=policy.units == "ignore"))
    if len(text) > _MAX_CHARS:
        return None
    value = _mathematics(f"${text}$")
    if value is None and answer.source is AnswerSource.PHRASE:
        value = _mathematics(answer.text)
    return None if value is None else (value, percent)


def _mathematics(text: str) -> Any | None:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    targets = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    found = cast(
        "list[Any]",
        parse(text, extraction_config=targets, fallback_mode="no_fallback", parsing_timeout=cast("int", None)),
    )
    return found[0] if found else None


def _without_percent(value: Any) -> tuple[Any, bool]:
    """math-verify reads `10 %` in a sentence as an unevaluated product with 1/100; take the sign off again."""
    from math_verify.grader import get_pct_val

    number = cast("Callable[[Any], Any]", get_pct_val)(value)
    return (value, False) if number is None else (number, True)


def _compare(gold: tuple[Any, bool], answer: tuple[Any, bool], policy: AnswerPolicy) -> Verdict:
    (gold_value, gold_percent), (value, percent) = gold, answer
    pairs = [(gold_value, value)]
    if gold_percent != percent and policy.percent != "number":
        ratio = (_hundredth(gold_value) if gold_percent else gold_value, _hundredth(value) if percent else value)
        pairs = [ratio] if policy.percent == "ratio" else [ratio, *pairs]
    try:
        same = any(_same(left, right, policy.float_decimals) for left, right in pairs)
    except (ArithmeticError, AttributeError, LookupError, NotImplementedError, RecursionError, TypeError, ValueError):
        return Verdict(outcome=AnswerOutcome.UNKNOWN, reason=VerdictReason.COMPARISON_FAILED)
    if same:
        return Verdict(outcome=AnswerOutcome.EQUIVALENT, reason=VerdictReason.SAME_VALUE)
    return Verdict(outcome=AnswerOutcome.DIFFERENT, reason=VerdictReason.OTHER_VALUE)


def _hundredth(value: Any) -> Any:
    from sympy import Rational

    return value * Rational(1, 100)


def _same(gold: Any, value: Any, decimals: int) -> bool:
    """Both orders must be allowed to agree: math-verify unwraps relations and sets on one side only."""
    from math_verify import verify
    from math_verify.grader import is_equation
    from sympy import Tuple

    gold, value = _oriented(gold), _oriented(value)
    gold, value = _enlarged(gold, value)
    if (_is_bare_equation(gold) and not is_equation(value)) or (_is_bare_equation(value) and not is_equation(gold)):
        return False
    # an ordered tuple is a set for neither order alone: sorting its elements would make (3, 1) the set {1, 3}
    agree = all if isinstance(gold, Tuple) != isinstance(value, Tuple) else any
    return agree(
        verify(
            left,
            right,
            float_rounding=decimals,
            allow_set_relation_comp=True,
            timeout_seconds=None,
            raise_on_error=True,
        )
        for left, right in ((gold, value), (value, gold))
    )


def _enlarged(gold: Any, value: Any) -> tuple[Any, Any]:
    """Two numbers, multiplied so that a gold value near 0 keeps its digits when decimals are rounded."""
    from sympy import Expr, Integer

    if not all(isinstance(each, Expr) and each.is_number and each.is_finite for each in (gold, value)):
        return gold, value
    size = abs(gold.evalf(15))
    if not size.is_Float or not 0 < size < _SMALL:
        return gold, value
    factor = Integer(10) ** -math.floor(math.log10(size))
    return gold * factor, value * factor


def _is_bare_equation(value: Any) -> bool:
    """An equation that gives no value to a name, such as 2x + z = 1: its right side is not its answer."""
    from math_verify.grader import is_assignment_relation, is_equation

    return bool(is_equation(value) and not is_assignment_relation(value) and value.free_symbols)


def _oriented(value: Any) -> Any:
    """Write 2 = x as x = 2."""
    from sympy import Eq, Symbol

    if isinstance(value, Eq) and isinstance(value.rhs, Symbol) and not value.lhs.free_symbols:
        return Eq(value.rhs, value.lhs, evaluate=False)
    return value
