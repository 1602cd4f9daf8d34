"""Texts that are none of the four varieties: too little Chinese, another language, or Sinitic without training rows.

The thresholds are set by hand on invented texts and known quotations: there are no training rows. What they take for
`other` on genuine text of the four varieties is in the model card.
"""

import math
from dataclasses import dataclass

from tw_corpus._variant._types import OtherReason

MARKED = (OtherReason.CLASSICAL, OtherReason.HOKKIEN, OtherReason.HAKKA)
# Letters in a word of a language that puts spaces between words, about what an ideograph says.
_LETTERS_PER_WORD = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherCounts:
    """What speaks for `other`.

    Attributes:
        num_han: ideographs.
        num_kana: hiragana and katakana.
        num_hangul: Korean letters and syllables.
        num_letters: Latin and further letters.
        markers: sum of the weights of classical, Hokkien and Hakka words, in the order of `MARKED`.
    """

    num_han: int
    num_kana: int
    num_hangul: int
    num_letters: int
    markers: tuple[float, float, float]


def probability_of_other(counts: OtherCounts) -> tuple[float, OtherReason]:
    """How probable it is that a text is none of the four varieties, and what speaks most for it.

    Returns:
        1 and `no_han` for text without ideographs. Else a logistic function: of the share of kana and Hangul (even at
        a quarter), of the share of foreign words (even at three quarters), and of the marker words of classical
        Chinese, Hokkien and Hakka per ideograph (even at about one telling word in thirty ideographs).
    """
    if counts.num_han == 0:
        return 1.0, OtherReason.NO_HAN
    han = counts.num_han
    words = counts.num_letters / _LETTERS_PER_WORD
    logits = [
        (30 * (counts.num_kana / (counts.num_kana + han) - 0.25), OtherReason.JAPANESE),
        (30 * (counts.num_hangul / (counts.num_hangul + han) - 0.25), OtherReason.KOREAN),
        (20 * (words / (words + han) - 0.75), OtherReason.FOREIGN),
    ]
    for total, reason in zip(counts.markers, MARKED, strict=True):
        logits.append((_marker_logit(total, han), reason))
    logit, reason = max(logits)
    return sigmoid(logit), reason


def _marker_logit(total: float, num_han: int) -> float:
    """Grows with what the marker words weigh beyond a tenth for each ideograph and the weight of one chance word."""
    return 5 * (total - 0.1 * num_han - 2.5) / math.sqrt(num_han)


def sigmoid(logit: float) -> float:
    """The logistic function, for any finite value."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    power = math.exp(max(logit, -700.0))
    return power / (1 + power)
