"""From sums to a verdict."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from tw_corpus._characters import CharClass
from tw_corpus._script import TRADITIONAL, decide_script, script_counts_of
from tw_corpus._variant._evidence import EvidenceCollector
from tw_corpus._variant._model import NUM_TRAINED, TRAINED, Doubles, VariantModel
from tw_corpus._variant._other import OtherCounts, probability_of_other, sigmoid
from tw_corpus._variant._sums import TextSums, add_sums, blocks, empty_sums, sum_block
from tw_corpus._variant._sums_of_each import SumsOfEach, as_sums_of_each, sum_each
from tw_corpus._variant._types import Variant, VariantVerdict
from twllm_types import ConfigError

# The weights are learned on sums divided by the square root of tens of ideographs.
REFERENCE_HAN = 10
# One in five paragraphs of Taiwanese Wikipedia reaches it, of other genuine genres hardly any text
# (benchmarks/tw_corpus/variants.md); part of Wikipedia was indeed written on the Mainland.
CONVERTED_FROM = 0.8


def classify(text: str, *, max_evidence: int, model: VariantModel) -> VariantVerdict:
    """The verdict on `text`; the contract stands at `classify_variant`."""
    check_max_evidence(max_evidence)
    collector = EvidenceCollector(model, max_spans=max_evidence)
    sums = empty_sums()
    for block in blocks(model, text):
        sums = add_sums(sums, sum_block(model, block))
        collector.add(block)
    (verdict,) = _judge_each(model, as_sums_of_each(sums))
    evidence = collector.spans(text, orthography=verdict.script in TRADITIONAL)
    return replace(verdict, evidence=evidence) if evidence else verdict


def classify_each(texts: Sequence[str], *, max_evidence: int, model: VariantModel) -> list[VariantVerdict]:
    """The verdict on each of `texts`; the contract stands at `classify_variants`."""
    check_max_evidence(max_evidence)
    if max_evidence:
        return [classify(text, max_evidence=max_evidence, model=model) for text in texts]
    return _judge_each(model, sum_each(model, texts))


def _judge_each(model: VariantModel, sums: SumsOfEach) -> list[VariantVerdict]:
    """The verdicts without evidence."""
    counts = [script_counts_of(each) for each in sums.class_counts]
    scripts = [decide_script(each) for each in counts]
    traditional = [script in TRADITIONAL for script in scripts]
    num_han = [each.num_han for each in counts]
    varieties = softmax(_logits_of_each(model, sums, num_han, traditional))
    residues: list[float] = sums.orthography[:, NUM_TRAINED].tolist()
    markers = sums.wording[:, NUM_TRAINED:].tolist()
    verdicts: list[VariantVerdict] = []
    for number, of_text in enumerate(varieties.tolist()):
        other_counts = _other_counts(sums.class_counts[number], markers[number], num_han[number])
        other, reason = probability_of_other(other_counts)
        probabilities = _probabilities(of_text, other)
        label = max(probabilities, key=probabilities.__getitem__)
        converted = 0.0
        if traditional[number]:
            features = _residue_features(residues[number], num_han[number])
            converted = converted_probability(model, features, of_text) * (1 - other)
        verdicts.append(
            VariantVerdict(
                label=label,
                script=scripts[number],
                probabilities=probabilities,
                converted_from_simplified=converted > CONVERTED_FROM,
                converted_probability=converted,
                other_reason=reason if label is Variant.OTHER else None,
                evidence=(),
            )
        )
    return verdicts


def check_max_evidence(max_evidence: int) -> None:
    """Refuse a number of spans below 0.

    Raises:
        ConfigError: it is.
    """
    if max_evidence < 0:
        raise ConfigError(f"max_evidence is {max_evidence}; give a number >= 0 (0 leaves the evidence out)")


def scaled(sums: Doubles, num_han: int) -> Doubles:
    """Sums as the weights were learned: divided by the square root of the length in tens of ideographs."""
    return sums / _root_length(num_han)


def _root_length(num_han: int) -> float:
    return math.sqrt(max(num_han, 1) / REFERENCE_HAN)


def wording_logits(model: VariantModel, sums: TextSums, num_han: int, *, traditional: bool) -> Doubles:
    """Calibrated logits of the four varieties, shape (4,)."""
    return _logits_of_each(model, as_sums_of_each(sums), [num_han], [traditional])[0]


def _logits_of_each(
    model: VariantModel, sums: SumsOfEach, num_han: Sequence[int], traditional: Sequence[bool]
) -> Doubles:
    """The same for D texts, shape (D, 4)."""
    total = sums.wording[:, :NUM_TRAINED] + sums.orthography[:, :NUM_TRAINED] * np.array(traditional)[:, None]
    knots = _log_lengths(model)
    places = [_between(math.log(max(number, 1)), knots) for number in num_han]
    left, right = np.array([place[:2] for place in places], dtype=np.intp).reshape(-1, 2).T
    share = np.array([place[2] for place in places])
    scale = (1 - share) * model.scales[left] + share * model.scales[right]
    bias = (1 - share)[:, None] * model.biases[left] + share[:, None] * model.biases[right]
    roots = np.array([_root_length(number) for number in num_han])
    return scale[:, None] * (total / roots[:, None]) + bias


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
    return _residue_features(float(sums.orthography[NUM_TRAINED]), num_han)


def _residue_features(total: float, num_han: int) -> Doubles:
    length = math.log(max(num_han, 1) / REFERENCE_HAN)
    residue = total / _root_length(num_han)
    return np.array([1.0, length, residue, residue * length])


def converted_probability(model: VariantModel, features: Doubles, varieties: Sequence[float]) -> float:
    """How probable it is that Traditional text has Mainland wording, or residue of a conversion, or both (noisy or)."""
    residue = sigmoid(float(features @ model.residue))
    mainland = varieties[TRAINED.index(Variant.ZH_CN)]
    return 1 - (1 - mainland) * (1 - residue)


def softmax(logits: Doubles) -> Doubles:
    """Probabilities from the logits of D texts, shape (D, 4)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _other_counts(counts: Sequence[int], markers: Sequence[float], num_han: int) -> OtherCounts:
    classical, hokkien, hakka = markers
    return OtherCounts(
        num_han=num_han,
        num_kana=counts[CharClass.KANA],
        num_hangul=counts[CharClass.HANGUL],
        num_letters=counts[CharClass.LATIN] + counts[CharClass.LATIN_1] + counts[CharClass.LETTER],
        markers=(classical, hokkien, hakka),
    )


def _probabilities(varieties: Sequence[float], other: float) -> Mapping[Variant, float]:
    values = {variant: p * (1 - other) for variant, p in zip(TRAINED, varieties, strict=True)}
    # The rest, so that the five sum to 1 as closely as floats can.
    values[Variant.OTHER] = other
    return values
