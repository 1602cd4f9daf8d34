"""From sums to a verdict."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from tw_corpus._characters import CharClass
from tw_corpus._script import TRADITIONAL, decide_script, script_counts
from tw_corpus._variant._evidence import EvidenceCollector
from tw_corpus._variant._model import NUM_TRAINED, TRAINED, Doubles, VariantModel
from tw_corpus._variant._other import OtherCounts, probability_of_other, sigmoid
from tw_corpus._variant._sums import TextSums, add_sums, blocks, empty_sums, sum_block
from tw_corpus._variant._types import Variant, VariantVerdict

# The weights are learned on sums divided by the square root of tens of ideographs.
REFERENCE_HAN = 10
# One in five paragraphs of Taiwanese Wikipedia reaches it, of other genuine genres hardly any text
# (benchmarks/tw_corpus/variants.md); part of Wikipedia was indeed written on the Mainland.
CONVERTED_FROM = 0.8


def classify(text: str, *, max_evidence: int, model: VariantModel) -> VariantVerdict:
    """The verdict on `text`; the contract stands at `classify_variant`."""
    collector = EvidenceCollector(model, max_spans=max_evidence)
    sums = empty_sums()
    for block in blocks(model, text):
        sums = add_sums(sums, sum_block(model, block))
        collector.add(block)
    counts = script_counts(sums.class_counts)
    script = decide_script(counts)
    traditional = script in TRADITIONAL
    varieties = softmax(wording_logits(model, sums, counts.num_han, traditional=traditional))
    other, reason = probability_of_other(_other_counts(sums, counts.num_han))
    probabilities = _probabilities(varieties, other)
    label = max(probabilities, key=probabilities.__getitem__)
    converted = converted_probability(model, sums, counts.num_han, varieties) if traditional else 0.0
    converted *= 1 - other
    return VariantVerdict(
        label=label,
        script=script,
        probabilities=probabilities,
        converted_from_simplified=converted > CONVERTED_FROM,
        converted_probability=converted,
        other_reason=reason if label is Variant.OTHER else None,
        evidence=collector.spans(text, orthography=traditional),
    )


def scaled(sums: Doubles, num_han: int) -> Doubles:
    """Sums as the weights were learned: divided by the square root of the length in tens of ideographs."""
    return sums / math.sqrt(max(num_han, 1) / REFERENCE_HAN)


def wording_logits(model: VariantModel, sums: TextSums, num_han: int, *, traditional: bool) -> Doubles:
    """Calibrated logits of the four varieties, shape (4,)."""
    total = sums.wording[:NUM_TRAINED]
    if traditional:
        total = total + sums.orthography[:NUM_TRAINED]
    left, right, share = _between(math.log(max(num_han, 1)), _log_lengths(model))
    scale = (1 - share) * model.scales[left] + share * model.scales[right]
    bias = (1 - share) * model.biases[left] + share * model.biases[right]
    return scale * scaled(total, num_han) + bias


@lru_cache(maxsize=4)
def _log_lengths(model: VariantModel) -> tuple[float, ...]:
    """Logarithms of the lengths of the calibration; a model is compared by identity."""
    return tuple(np.log(model.lengths).tolist())


def _between(value: float, knots: tuple[float, ...]) -> tuple[int, int, float]:
    """The knots on either side of `value` and how far it is from the first; outside of them the nearest one twice."""
    right = bisect_left(knots, value)
    if right in {0, len(knots)}:
        edge = min(right, len(knots) - 1)
        return edge, edge, 0.0
    return right - 1, right, (value - knots[right - 1]) / (knots[right] - knots[right - 1])


def residue_features(sums: TextSums, num_han: int) -> Doubles:
    """What the residue regression sees, shape (4,): 1, log length, residue, and residue by log length."""
    length = math.log(max(num_han, 1) / REFERENCE_HAN)
    residue = float(scaled(sums.orthography[NUM_TRAINED:], num_han)[0])
    return np.array([1.0, length, residue, residue * length])


def converted_probability(model: VariantModel, sums: TextSums, num_han: int, varieties: Doubles) -> float:
    """How probable it is that Traditional text has Mainland wording, or residue of a conversion, or both (noisy or)."""
    residue = sigmoid(float(residue_features(sums, num_han) @ model.residue))
    mainland = float(varieties[TRAINED.index(Variant.ZH_CN)])
    return 1 - (1 - mainland) * (1 - residue)


def softmax(logits: Doubles) -> Doubles:
    """Probabilities from logits, shape (4,)."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def _other_counts(sums: TextSums, num_han: int) -> OtherCounts:
    counts = sums.class_counts.tolist()
    classical, hokkien, hakka = sums.wording[NUM_TRAINED:].tolist()
    return OtherCounts(
        num_han=num_han,
        num_kana=counts[CharClass.KANA],
        num_hangul=counts[CharClass.HANGUL],
        num_letters=counts[CharClass.LATIN] + counts[CharClass.LATIN_1] + counts[CharClass.LETTER],
        markers=(classical, hokkien, hakka),
    )


def _probabilities(varieties: Doubles, other: float) -> Mapping[Variant, float]:
    values = {variant: float(p) * (1 - other) for variant, p in zip(TRAINED, varieties, strict=True)}
    # The rest, so that the five sum to 1 as closely as floats can.
    values[Variant.OTHER] = other
    return values
