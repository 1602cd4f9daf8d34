"""Fitting each part of the variant model: wording, residue of a conversion, calibration by length."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tw_corpus._script import TRADITIONAL, decide_script, script_counts
from tw_corpus._variant._classify import residue_features
from tw_corpus._variant._model import NUM_RESIDUE, NUM_TRAINED, TRAINED, Doubles, VariantModel
from tw_corpus._variant._sums import TextSums, add_sums, blocks, empty_sums, sum_block
from tw_corpus._variant._types import Variant
from tw_corpus._variant_training_features import Features, beside, extract_features
from tw_corpus._variant_training_fit import Problem, calibrate, cross_entropy, fit, minimize, products
from tw_corpus._variant_training_samples import (
    TO_SIMPLIFIED,
    Convert,
    Sample,
    balance,
    converted,
    some_configuration,
)

CALIBRATION_LENGTHS = (3, 6, 12, 25, 50, 100, 200, 500, 1000, 3000)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How the weights are fitted; chosen on the calibration part and on half of the genuine genres (model card).

    Attributes:
        prior_strengths: cost of half a unit of squared distance from the hand-written weights, in samples, by order;
            single characters say more of a topic and a style than of a region.
        smoothing: share of the label that lines of a locale give to the other varieties; nobody labelled them.
        gold_smoothing: the same of labelled texts: short ones are often the same in two varieties.
        neutral_share: what a neutral line gives to its own label; the rest goes to the other written varieties.
        neutral_weight: of a neutral line, in lines of its source.
        converted_share: of the Traditional texts to be classified, how many came out of a converter.
        num_steps: of the minimisation.
    """

    prior_strengths: tuple[float, float, float] = (3.0, 1.0, 1.0)
    smoothing: float = 0.1
    gold_smoothing: float = 0.02
    neutral_share: float = 0.5
    neutral_weight: float = 4.0
    converted_share: float = 0.02
    num_steps: int = 60


def text_sums(model: VariantModel, text: str) -> tuple[TextSums, int, bool]:
    """The sums over `text`, its ideographs, and whether its script is Traditional."""
    sums = empty_sums()
    for block in blocks(model, text):
        sums = add_sums(sums, sum_block(model, block))
    counts = script_counts(sums.class_counts)
    return sums, counts.num_han, decide_script(counts) in TRADITIONAL


def _targets(samples: Sequence[Sample], settings: FitSettings) -> Doubles:
    targets = np.zeros((len(samples), NUM_TRAINED))
    for row, sample in zip(targets, samples, strict=True):
        if sample.neutral:
            for variant in (Variant.ZH_TW, Variant.ZH_HK, Variant.ZH_CN):
                row[TRAINED.index(variant)] = (1 - settings.neutral_share) / 2
            row[TRAINED.index(sample.label)] = settings.neutral_share
        else:
            share = settings.gold_smoothing if sample.gold else settings.smoothing
            row[:] = share / (NUM_TRAINED - 1)
            row[TRAINED.index(sample.label)] = 1 - share
    return targets


def fit_weights(model: VariantModel, samples: Sequence[Sample], settings: FitSettings) -> VariantModel:
    """Learn how much each n-gram speaks for each variety."""
    features = extract_features(model, [sample.text for sample in samples])
    matrix = beside(features.wording, features.forms)
    size = len(model.wording_weights)
    prior = np.zeros((matrix.num_columns, NUM_TRAINED))
    prior[:size] = model.wording_weights[:, :NUM_TRAINED]
    by_order = np.array(settings.prior_strengths)
    orders = [
        1,
        *(len(ngram) for ngram in model.wording.ngrams),
        1,
        *(len(ngram) for ngram in model.orthography.ngrams),
    ]
    problem = Problem(
        matrix=matrix,
        targets=_targets(samples, settings),
        weights=np.array(balance(samples)) * np.where([s.neutral for s in samples], settings.neutral_weight, 1.0),
        prior=prior,
        strengths=by_order[np.array(orders) - 1],
    )
    weights, biases = fit(problem, num_steps=settings.num_steps)
    weights -= weights.mean(axis=1, keepdims=True)
    wording = model.wording_weights.copy()
    wording[:, :NUM_TRAINED] = weights[:size]
    orthography = model.orthography_weights.copy()
    orthography[:, :NUM_TRAINED] = weights[size:]
    return replace(
        model,
        wording_weights=_rounded(wording),
        orthography_weights=_rounded(orthography),
        biases=np.tile(biases, (len(model.lengths), 1)),
    )


def _rounded(weights: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """As precise as the file keeps them; the row of no n-gram is 0."""
    weights[0] = 0
    return weights.astype(np.float16).astype(np.float32)


def fit_residue(
    model: VariantModel,
    samples: Sequence[Sample],
    convert: Convert,
    rng: np.random.Generator,
    settings: FitSettings,
) -> VariantModel:
    """Learn which character forms a converter leaves behind."""
    texts, targets = _round_trips(samples, convert, rng)
    if not texts:
        return model
    features = extract_features(model, texts)
    problem = Problem(
        matrix=features.forms,
        targets=targets[:, None],
        weights=np.ones(len(texts)),
        prior=np.zeros((features.forms.num_columns, 1)),
        strengths=np.full(features.forms.num_columns, settings.prior_strengths[1]),
    )
    weights, _ = fit(problem, num_steps=settings.num_steps)
    orthography = model.orthography_weights.copy()
    orthography[:, NUM_TRAINED] = weights[:, 0]
    return replace(model, orthography_weights=_rounded(orthography))


def _round_trips(samples: Sequence[Sample], convert: Convert, rng: np.random.Generator) -> tuple[list[str], Doubles]:
    """Genuine Traditional texts (0) beside themselves through Simplified and back (1), where that changed anything.

    What a text is about and how it is worded is the same on both sides, so that nothing but the forms tells them
    apart. Cantonese is left out: converters miss its words (係 becomes 系), and hardly any of it was Simplified.
    """
    texts: list[str] = []
    targets: list[float] = []
    for sample in samples:
        written = sample.label in {Variant.ZH_TW, Variant.ZH_HK} and sample.converted_by is None
        # A text that is in Simplified characters already is no genuine Traditional one.
        if written and sample.num_han >= _MIN_HAN_PAIR and convert(TO_SIMPLIFIED, sample.text) != sample.text:
            through = converted(sample, some_configuration(rng), convert).text
            if through != sample.text:
                texts += [sample.text, through]
                targets += [0.0, 1.0]
    return texts, np.array(targets)


# Shorter texts hold too few forms to learn from.
_MIN_HAN_PAIR = 6


def scaled_scores(model: VariantModel, features: Features) -> Doubles:
    """Sums of the four varieties before calibration, shape (N, 4)."""
    wording = products(features.wording, model.wording_weights[:, :NUM_TRAINED].astype(np.float64))
    return wording + products(features.forms, model.orthography_weights[:, :NUM_TRAINED].astype(np.float64))


def fit_calibration(model: VariantModel, samples: Sequence[Sample], settings: FitSettings) -> VariantModel:
    """Learn how far the sums can be trusted at each length."""
    features = extract_features(model, [sample.text for sample in samples])
    knots = np.array(CALIBRATION_LENGTHS, dtype=np.float64)
    targets = _targets(samples, replace(settings, smoothing=0.0, gold_smoothing=0.0))
    scores = scaled_scores(model, features)
    scales, biases = calibrate(scores, features.num_han, targets, np.array(balance(samples)), knots)
    return replace(model, lengths=knots, scales=scales, biases=biases)


def fit_residue_regression(
    model: VariantModel,
    samples: Sequence[Sample],
    convert: Convert,
    rng: np.random.Generator,
    settings: FitSettings,
) -> VariantModel:
    """Learn how much residue, at each length, makes a conversion probable."""
    texts, targets = _round_trips(samples, convert, rng)
    rows: list[Doubles] = []
    for text in texts:
        sums, num_han, _ = text_sums(model, text)
        rows.append(residue_features(sums, num_han))
    features = np.array(rows).reshape(-1, NUM_RESIDUE)

    def objective(parameters: Doubles) -> tuple[float, Doubles]:
        logits = features @ parameters[:, None]
        loss, errors = cross_entropy(logits, targets[:, None], np.ones(len(targets)))
        return loss + 0.5 * float(parameters @ parameters), features.T @ errors[:, 0] + parameters

    found = minimize(objective, np.zeros(NUM_RESIDUE), num_steps=200)
    # The pairs are balanced; texts out of a converter are not.
    found[0] += math.log(settings.converted_share / (1 - settings.converted_share))
    return replace(model, residue=found)
