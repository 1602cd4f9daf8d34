"""Scores candidates and held-out rows by a classifier that is fitted on the seeds alone. Shapes: N rows, K intents.

A job without files: texts in, scores out, and at most a batch of log-probabilities in memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from icda._baselines import nearest_intents
from icda._candidates import Candidate
from icda._classifier import FeatureClassifier, FittedClassifier, FloatArray, IntentClassifier, LogProbs
from icda._folds import CrossFit, seed_folds
from icda._pvi import (
    clip_logps,
    codes_of,
    gather_logps,
    label_logps,
    pointwise_v_information,
    prior_null_logps,
    v_information,
)
from icda._scores import CandidateScores
from icda._thresholds import EstimatedOn
from twllm_types import ConfigError, DataError, Estimate, IntentExample


class NullModel(StrEnum):
    """The model without input: the seeds' class shares in closed form, or the family fitted on empty texts."""

    PRIOR = "prior"
    TRAINED = "trained"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """How rows are scored.

    Attributes:
        null: the null model.
        cross_fit: how seeds are held out where there is no validation.
        batch_rows: rows whose log-probabilities are held at once, at least 1; ours.
        nearest: also find the nearest intent by features; for classifiers that have features only.

    Raises:
        ConfigError: `batch_rows` is below 1.
    """

    null: NullModel = NullModel.PRIOR
    cross_fit: CrossFit = field(default_factory=CrossFit)
    batch_rows: int = 16_384
    nearest: bool = True

    def __post_init__(self) -> None:
        if self.batch_rows < 1:
            raise ConfigError(f"batch_rows is {self.batch_rows}; give at least 1")


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOutScores:
    """What classifiers say of rows with known labels.

    Attributes:
        ids: of the rows; a row without one has its place.
        labels: true intents.
        logps: ln g'[x](y) under the true intent, nats; (N,).
        null_logps: ln g[null](y) under it; (N,).
        predicted: intent with the highest probability.
        estimated_on: which rows these are.
        folds: fold that each was held out in; all 0 but in a cross-fit; (N,).
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    logps: FloatArray
    null_logps: FloatArray
    predicted: tuple[str, ...]
    estimated_on: EstimatedOn
    folds: tuple[int, ...]

    @cached_property
    def pvi(self) -> FloatArray:
        """PVI under the true intent, bits, (N,)."""
        return pointwise_v_information(self.logps, self.null_logps)

    def v_information(self, *, by_intent: bool = True) -> Estimate:
        """I_V in bits; rows of one intent count as dependent unless `by_intent` is off."""
        return v_information(self.pvi, intents=self.labels if by_intent else None)

    @property
    def num_right(self) -> int:
        """Rows whose prediction is their label."""
        return sum(one == other for one, other in zip(self.predicted, self.labels, strict=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class SeedModels:
    """g' and the null model, both fitted on the seeds alone.

    Attributes:
        classifier: g', the model WITH the input.
        null_logps: ln g[null](y) of its classes; (K,).
        seed_features: of the seeds where the classifier has features and nearest intents are wanted, else None.
        seed_labels: of those.
    """

    classifier: FittedClassifier
    null_logps: FloatArray
    seed_features: Any = None
    seed_labels: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Intents that the classifier knows."""
        return self.classifier.classes


def fit_seed_models(
    classifier: IntentClassifier, seeds: Sequence[IntentExample], settings: ScoreSettings | None = None
) -> SeedModels:
    """Fit g' and the null model on the seeds.

    Raises:
        DataError: a seed has no intent, or the classifier refuses the rows.
    """
    chosen = settings if settings is not None else ScoreSettings()
    texts, labels = _columns(seeds)
    fitted = classifier.fit(texts, labels)
    features = None
    if chosen.nearest and isinstance(fitted, FeatureClassifier):
        features = fitted.features.transform(texts)
    return SeedModels(
        classifier=fitted,
        null_logps=_null_logps(classifier, labels, fitted.classes, chosen.null),
        seed_features=features,
        seed_labels=labels if features is not None else (),
    )


def score_candidates(
    models: SeedModels,
    candidates: Sequence[Candidate],
    *,
    batch_rows: int = 16_384,
    on_rows: Callable[[int], None] | None = None,
) -> CandidateScores:
    """Score candidates under the intents that they were asked for.

    Args:
        models: fitted on the seeds.
        candidates: none gives scores of no rows.
        batch_rows: rows whose log-probabilities are held at once.
        on_rows: called with the number of rows of each batch, for progress.
    """
    intents = tuple(candidate.intent for candidate in candidates)
    asked = codes_of(intents, models.classes)
    texts = [candidate.text for candidate in candidates]
    logps, best_logps = np.empty(len(texts)), np.empty(len(texts))
    best, nearest = np.empty(len(texts), dtype=np.int64), np.empty(len(texts), dtype=np.int64)
    has_nearest = models.seed_features is not None
    for start in range(0, len(texts), batch_rows):
        rows = slice(start, start + batch_rows)
        logps_NK, near = _look(models, texts[rows])
        best[rows] = logps_NK.argmax(axis=1)
        logps[rows] = gather_logps(logps_NK, asked[rows], name="logps")
        best_logps[rows] = gather_logps(logps_NK, best[rows], name="best logps")
        if has_nearest:
            nearest[rows] = near
        if on_rows is not None:
            on_rows(len(texts[rows]))
    return CandidateScores(
        ids=tuple(candidate.id for candidate in candidates),
        intents=intents,
        classes=models.classes,
        asked=asked,
        logps=logps,
        best=best,
        best_logps=best_logps,
        null_logps=models.null_logps,
        nearest=nearest if has_nearest else None,
    )


def score_validation(
    models: SeedModels, rows: Sequence[IntentExample], *, estimated_on: EstimatedOn = EstimatedOn.VALIDATION
) -> HeldOutScores:
    """Score labelled rows; with `estimated_on` `fitted_rows` the seeds themselves, whose thresholds a guard stops.

    Raises:
        DataError: there is no row, one has no intent, or one that the classifier does not know.
    """
    texts, labels = _columns(rows)
    unknown = sorted(set(labels) - set(models.classes))
    if unknown:
        raise DataError(f"held-out rows have the intent {unknown[0]!r}, which no seed has; add seeds or leave them out")
    return _held_out(models, rows, texts, labels, estimated_on)


def cross_fit_seeds(
    classifier: IntentClassifier, seeds: Sequence[IntentExample], settings: ScoreSettings | None = None
) -> HeldOutScores:
    """Score every seed by models that are fitted on the seeds of the other folds (brief §7: cross-fit).

    A seed that is its intent's only one stays in every fit and is not scored; its intent takes the global threshold.

    Args:
        classifier: the family; one fit per fold, and one more where the null model is trained.
        seeds: in the order of the data, which decides the folds.
        settings: number of folds and null model; None for the defaults.

    Returns:
        Scores in the order of the seeds, without those of lone seeds.

    Raises:
        DataError: no intent has two seeds, or a seed has no intent.
    """
    chosen = settings if settings is not None else ScoreSettings()
    _, labels = _columns(seeds)
    folds = seed_folds(labels, chosen.cross_fit.num_folds)
    without_features = ScoreSettings(null=chosen.null, nearest=False)
    parts: list[HeldOutScores] = []
    places: list[int] = []
    for fold in sorted({int(fold) for fold in folds if fold >= 0}):
        held, others = _places(folds == fold), _places(folds != fold)
        models = fit_seed_models(classifier, [seeds[row] for row in others], without_features)
        rows = [seeds[row] for row in held]
        texts, held_labels = _columns(rows)
        parts.append(_held_out(models, rows, texts, held_labels, EstimatedOn.CROSS_FIT, places=held, fold=fold))
        places += held
    return _in_order(parts, sorted(range(len(places)), key=places.__getitem__))


def _places(wanted: NDArray[np.bool_]) -> list[int]:
    return cast("list[int]", np.flatnonzero(wanted).tolist())


def _columns(rows: Sequence[IntentExample]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    labels = tuple(row.intent for row in rows if row.intent is not None)
    if not rows or len(labels) < len(rows):
        raise DataError(
            f"{len(rows) - len(labels)} of {len(rows)} labelled rows have no intent; leave out-of-scope rows out"
            if rows
            else "there are no labelled rows; give at least one"
        )
    return tuple(row.text for row in rows), labels


def _null_logps(
    classifier: IntentClassifier, labels: Sequence[str], classes: Sequence[str], null: NullModel
) -> FloatArray:
    if null is NullModel.PRIOR:
        return prior_null_logps(labels, classes)
    fitted = classifier.fit([""] * len(labels), labels)
    return label_logps(np.repeat(fitted.predict_log_proba([""]), len(classes), axis=0), classes, fitted.classes)


def _look(models: SeedModels, texts: Sequence[str]) -> tuple[LogProbs, Any]:
    """Return log-probabilities, and nearest intents where the models have features of the seeds."""
    classifier = models.classifier
    if models.seed_features is None or not isinstance(classifier, FeatureClassifier):
        return classifier.predict_log_proba(texts), None
    if not texts:
        return classifier.predict_log_proba(texts), np.zeros(0, dtype=np.int64)
    features = classifier.features.transform(texts)
    nearest = nearest_intents(features, models.seed_features, models.seed_labels, models.classes)
    return classifier.log_proba_of(features), nearest


def _held_out(
    models: SeedModels,
    rows: Sequence[IntentExample],
    texts: Sequence[str],
    labels: tuple[str, ...],
    estimated_on: EstimatedOn,
    *,
    places: Sequence[int] | None = None,
    fold: int = 0,
) -> HeldOutScores:
    logps_NK = models.classifier.predict_log_proba(texts)
    numbers = places if places is not None else range(len(rows))
    place_of = {name: place for place, name in enumerate(models.classes)}
    return HeldOutScores(
        ids=tuple(row.id or str(number) for row, number in zip(rows, numbers, strict=True)),
        labels=labels,
        logps=label_logps(logps_NK, labels, models.classes),
        null_logps=clip_logps(models.null_logps[[place_of[label] for label in labels]], name="null_logps"),
        predicted=tuple(models.classes[best] for best in cast("list[int]", logps_NK.argmax(axis=1).tolist())),
        estimated_on=estimated_on,
        folds=(fold,) * len(rows),
    )


def _in_order(parts: Sequence[HeldOutScores], order: Sequence[int]) -> HeldOutScores:
    ids = [one for part in parts for one in part.ids]
    labels = [one for part in parts for one in part.labels]
    predicted = [one for part in parts for one in part.predicted]
    folds = [one for part in parts for one in part.folds]
    return HeldOutScores(
        ids=tuple(ids[row] for row in order),
        labels=tuple(labels[row] for row in order),
        logps=np.concatenate([part.logps for part in parts])[order],
        null_logps=np.concatenate([part.null_logps for part in parts])[order],
        predicted=tuple(predicted[row] for row in order),
        estimated_on=parts[0].estimated_on,
        folds=tuple(folds[row] for row in order),
    )
