"""The ways to select that the experiments of icda compare, and one draw carried through all of them.

Legend: a draw is a choice of seeds and candidates. All arms of a draw share seeds, candidates, features and g'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from icda import (
    Candidate,
    EstimatedOn,
    Selection,
    SelectionKind,
    SelectionRules,
    candidate_example,
    class_thresholds,
    select,
    self_confidence_thresholds,
)
from icda._classifier import IntentClassifier
from icda._evaluate import Trained, train_and_evaluate, training_rows
from icda._score import (
    HeldOutScores,
    ScoreSettings,
    cross_fit_seeds,
    fit_seed_models,
    score_candidates,
    score_validation,
)
from icda._scores import CandidateScores
from twllm_types import Estimate, IntentExample

SEEDS_ONLY = "seeds only"
CROSS_FIT = "PVI per class, cross-fitted mean"
RANDOM = "random, as many as PVI cross-fitted"
ARGMAX = "argmax agrees"
ORACLE = "oracle: clean rows only"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawData:
    """What one draw works on.

    Attributes:
        seeds: real rows, with an intent each.
        candidates: rows to select from, under the intent that was asked for.
        is_clean: of each candidate, whether its text is of that intent; None where nobody knows.
        validation: labelled rows beside the seeds.
        test: rows to measure on.
    """

    seeds: tuple[IntentExample, ...]
    candidates: tuple[Candidate, ...]
    is_clean: tuple[bool, ...] | None
    validation: tuple[IntentExample, ...]
    test: tuple[IntentExample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawResult:
    """What one draw gave.

    Attributes:
        trained: one final classifier per arm.
        kept: share of the candidates that each arm trains on.
        purity: share of clean rows among them, where that is known; NaN where nothing is kept.
        pvi: of the candidates, bits, (N,).
        v_information: of g' on the validation rows, bits.
    """

    trained: tuple[Trained, ...]
    kept: Mapping[str, float]
    purity: Mapping[str, float]
    pvi: np.ndarray
    v_information: Estimate


def run_draw(classifier: IntentClassifier, data: DrawData, *, draw: int) -> DrawResult:
    """Score the candidates by a classifier of the seeds, select by every arm, train and test each."""
    settings = ScoreSettings()
    models = fit_seed_models(classifier, data.seeds, settings)
    scores = score_candidates(models, data.candidates)
    valid = score_validation(models, data.validation)
    held = {
        EstimatedOn.VALIDATION: valid,
        EstimatedOn.CROSS_FIT: cross_fit_seeds(classifier, data.seeds, settings),
        EstimatedOn.FITTED_ROWS: score_validation(models, data.seeds, estimated_on=EstimatedOn.FITTED_ROWS),
    }
    kept_rows = _kept(scores, held, data.candidates, draw)
    if data.is_clean is not None:
        clean = [place for place, is_clean in enumerate(data.is_clean) if is_clean]
        kept_rows[ORACLE] = [(place, candidate_example(data.candidates[place])) for place in clean]
    trained = [
        train_and_evaluate(
            classifier,
            training_rows(data.seeds, [row for _, row in rows]),
            data.test,
            arm=arm,
            draw=draw,
            seed=0,
        )
        for arm, rows in kept_rows.items()
    ]
    return DrawResult(
        trained=tuple(trained),
        kept={arm: len(rows) / len(data.candidates) for arm, rows in kept_rows.items()},
        purity={arm: _purity(rows, data.is_clean) for arm, rows in kept_rows.items()},
        pvi=scores.pvi,
        v_information=valid.v_information(),
    )


def _kept(
    scores: CandidateScores, held: Mapping[EstimatedOn, HeldOutScores], candidates: Sequence[Candidate], draw: int
) -> dict[str, list[tuple[int, IntentExample]]]:
    """Places and training rows of what each arm keeps."""
    bits = {on: class_thresholds(rows.pvi, rows.labels, estimated_on=on) for on, rows in held.items()}
    crossed, validated = held[EstimatedOn.CROSS_FIT], held[EstimatedOn.VALIDATION]
    median = class_thresholds(crossed.pvi, crossed.labels, estimated_on=EstimatedOn.CROSS_FIT, rule="median")
    shrunk = class_thresholds(crossed.pvi, crossed.labels, estimated_on=EstimatedOn.CROSS_FIT, shrinkage=5.0)
    overall = class_thresholds(validated.pvi, validated.labels, estimated_on=EstimatedOn.VALIDATION, rule="global")
    confident = self_confidence_thresholds(crossed.logps, crossed.labels, estimated_on=EstimatedOn.CROSS_FIT)
    by_class = SelectionRules(kind=SelectionKind.PVI_CLASS)
    main = select(scores, bits[EstimatedOn.CROSS_FIT], by_class)
    by_argmax = SelectionRules(kind=SelectionKind.ARGMAX)
    selections: dict[str, Selection] = {
        "all": select(scores, None, SelectionRules(kind=SelectionKind.KEEP_ALL)),
        RANDOM: select(scores, None, SelectionRules(kind=SelectionKind.RANDOM, seed=draw), like=main),
        "PVI per class, validation mean": select(scores, bits[EstimatedOn.VALIDATION], by_class),
        CROSS_FIT: main,
        "PVI per class, cross-fitted median": select(scores, median, by_class),
        "PVI per class, cross-fitted, shrunk (m = 5)": select(scores, shrunk, by_class),
        "PVI per class, mean of fitted rows": select(scores, bits[EstimatedOn.FITTED_ROWS], by_class),
        "PVI global, validation mean": select(scores, overall, SelectionRules(kind=SelectionKind.PVI_GLOBAL)),
        "PVI cross-fitted, band-pass (top 10 % dropped)": select(
            scores, bits[EstimatedOn.CROSS_FIT], SelectionRules(kind=SelectionKind.PVI_CLASS, upper_quantile=0.9)
        ),
        ARGMAX: select(scores, None, by_argmax),
        "argmax, relabelled": select(scores, None, SelectionRules(kind=SelectionKind.ARGMAX, relabel=True)),
        "confidence of 0.5": select(scores, None, SelectionRules(kind=SelectionKind.CONFIDENCE)),
        "self-confidence (cleanlab), cross-fitted": select(
            scores, confident, SelectionRules(kind=SelectionKind.SELF_CONFIDENCE)
        ),
        "nearest intent (DDAIR)": select(scores, None, SelectionRules(kind=SelectionKind.NEAREST_INTENT)),
    }
    rows = {
        arm: [
            (place, candidate_example(candidates[place], intent=selection.intent(place)))
            for place in selection.kept_places()
        ]
        for arm, selection in selections.items()
    }
    return {SEEDS_ONLY: [], **rows}


def _purity(rows: Sequence[tuple[int, IntentExample]], is_clean: Sequence[bool] | None) -> float:
    """Share of kept rows that are of the intent asked for; a relabelled row counts by the asked intent."""
    if is_clean is None or not rows:
        return float("nan")
    return float(np.mean([is_clean[place] for place, _ in rows]))
