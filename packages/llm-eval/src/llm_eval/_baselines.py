"""Scores without a model, which every judge has to beat: BLEU-4, ROUGE-L and length."""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from math import exp

# Constants of the scorers that made the published tables (nlg-eval and coco-caption).
_TINY, _SMALL = 1e-15, 1e-9
_BETA = 1.2
_ORDERS = (1, 2, 3, 4)


class TextUnit(StrEnum):
    """What baselines count.

    WORDS are split at white space (ROUGE-L: at each single space, as its published form does), for text that has
    spaces. CHARACTERS are all characters but white space, for Chinese.
    """

    WORDS = "words"
    CHARACTERS = "characters"


def response_length(text: str, unit: TextUnit = TextUnit.WORDS) -> int:
    """Words or characters of a text; 0 of an empty one."""
    return len(_units(text, unit))


def bleu4(response: str, references: Sequence[str], unit: TextUnit = TextUnit.WORDS) -> float:
    """Sentence BLEU-4 as in nlg-eval, which made the published tables (brief llm_eval.md, 6.2).

    The product over k = 1..4 of (clipped matches + 1e-15) / (max(0, L - k + 1) + 1e-9), to the power 1/4, for a
    response of L units; matches are clipped by the largest count in any reference. With r the length of the reference
    closest to L (of two the shorter) and q = (L + 1e-15) / (r + 1e-9), it is multiplied by exp(1 - 1/q) where q < 1.

    Args:
        response: what is scored; an empty text has a score of about 0.
        references: at least one.
        unit: what is counted.

    Raises:
        ValueError: there is no reference.
    """
    if not references:
        raise ValueError("BLEU-4 needs a reference; leave items without one out")
    units = _units(response, unit)
    others = [_units(reference, unit) for reference in references]
    product = 1.0
    for order in _ORDERS:
        allowed: Counter[tuple[str, ...]] = Counter()
        for other in others:
            allowed |= _ngrams(other, order)
        matches = sum((_ngrams(units, order) & allowed).values())
        product *= (matches + _TINY) / (max(0, len(units) - order + 1) + _SMALL)
    closest = min((abs(len(other) - len(units)), len(other)) for other in others)[1]
    ratio = (len(units) + _TINY) / (closest + _SMALL)
    score = product ** (1 / len(_ORDERS))
    # exp(1 - 1/q) of an empty response is 0 in floats; 1/q itself may be beyond them.
    return score * exp(max(-700.0, 1 - 1 / ratio)) if ratio < 1 else score


def rouge_l(response: str, references: Sequence[str], unit: TextUnit = TextUnit.WORDS) -> float:
    """ROUGE-L as in coco-caption, which made the published tables (brief llm_eval.md, 6.2).

    (1 + b^2) P R / (R + b^2 P) with b = 1.2, P and R the largest share of the longest common subsequence in the
    response and in a reference, each over all references; 0 where either is.

    Args:
        response: what is scored.
        references: at least one.
        unit: what is counted.

    Raises:
        ValueError: there is no reference.
    """
    if not references:
        raise ValueError("ROUGE-L needs a reference; leave items without one out")
    units = _split(response, unit)
    precision = recall = 0.0
    for reference in references:
        other = _split(reference, unit)
        common = _common_subsequence(units, other)
        precision = max(precision, common / max(1, len(units)))
        recall = max(recall, common / max(1, len(other)))
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _units(text: str, unit: TextUnit) -> list[str]:
    return text.split() if unit is TextUnit.WORDS else [letter for letter in text if not letter.isspace()]


def _split(text: str, unit: TextUnit) -> list[str]:
    return text.split(" ") if unit is TextUnit.WORDS else _units(text, unit)


def _ngrams(units: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(units[start:] for start in range(order)), strict=False))


def _common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence, by one row of the table at a time."""
    row = [0] * (len(second) + 1)
    for one in first:
        diagonal = 0
        for at, other in enumerate(second, start=1):
            above = row[at]
            row[at] = diagonal + 1 if one == other else max(above, row[at - 1])
            diagonal = above
    return row[-1]
