"""The rule of each selection kind as one comparison over all candidates. Pure.

Legend: N candidates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from icda._pvi import FloatArray, IntArray
from icda._scores import CandidateScores
from icda._selection_rules import DecisionReason, SelectionKind, SelectionRules
from icda._thresholds import Thresholds, ThresholdScale
from twllm_types import ConfigError

BoolArray: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Who passes under the asked intent, and who would under the preferred one.

    Attributes:
        values: compared under the asked intent, NaN where nothing is; (N,).
        limits: compared with; (N,).
        passes: under the asked intent, never where the classifier does not know it (but `keep-all`); (N,).
        failure: reason of those that do not.
        other: place of the preferred intent; (N,).
        other_values, other_limits, other_passes: the same under the preferred intent; (N,).
    """

    values: FloatArray
    limits: FloatArray
    passes: BoolArray
    failure: DecisionReason
    other: IntArray
    other_values: FloatArray
    other_limits: FloatArray
    other_passes: BoolArray


def compare(scores: CandidateScores, thresholds: Thresholds | None, rules: SelectionRules) -> Comparison:
    """Apply the rule of the kind; `random` is drawn elsewhere.

    Raises:
        ConfigError: thresholds or nearest intents that the kind needs are not there, or are of another scale.
    """
    return _COMPARE[rules.kind](scores, thresholds, rules)


def _pvi(scores: CandidateScores, thresholds: Thresholds | None, rules: SelectionRules) -> Comparison:
    limits = _limits(scores, thresholds, rules, ThresholdScale.BITS)
    passes = np.greater_equal if rules.inclusive else np.greater
    return _above(scores, scores.pvi, scores.best_pvi, limits, passes)


def _self_confidence(scores: CandidateScores, thresholds: Thresholds | None, rules: SelectionRules) -> Comparison:
    limits = _limits(scores, thresholds, rules, ThresholdScale.PROBABILITY)
    return _above(scores, np.exp(scores.logps), np.exp(scores.best_logps), limits, np.greater_equal)


def _confidence(scores: CandidateScores, thresholds: Thresholds | None, rules: SelectionRules) -> Comparison:
    del thresholds
    limits = np.full(len(scores.classes), rules.confidence)
    return _above(scores, np.exp(scores.logps), np.exp(scores.best_logps), limits, np.greater_equal)


def _argmax(scores: CandidateScores, thresholds: Thresholds | None, rules: SelectionRules) -> Comparison:
    del thresholds, rules
    return _agreement(scores, scores.best, np.exp(scores.logps), np.exp(scores.best_logps))


def _nearest(scores: CandidateScores, thresholds: Thresholds | None, rules: SelectionRules) -> Comparison:
    del thresholds
    if scores.nearest is None:
        raise ConfigError(f"{rules.kind} needs the nearest intents of the candidates; score them with features")
    nothing = np.full(len(scores), np.nan)
    return _agreement(scores, scores.nearest, nothing, nothing)


def _keep_all(scores: CandidateScores, thresholds: Thresholds | None, rules: SelectionRules) -> Comparison:
    del thresholds, rules
    nothing, everything = np.full(len(scores), np.nan), np.ones(len(scores), dtype=np.bool_)
    return Comparison(
        values=nothing,
        limits=nothing,
        passes=everything,
        failure=DecisionReason.BELOW_THRESHOLD,
        other=scores.asked,
        other_values=nothing,
        other_limits=nothing,
        other_passes=everything,
    )


def _limits(
    scores: CandidateScores, thresholds: Thresholds | None, rules: SelectionRules, scale: ThresholdScale
) -> FloatArray:
    """Threshold of each class, (K,)."""
    if thresholds is None or thresholds.scale is not scale:
        found = "none" if thresholds is None else f"those of {thresholds.scale}"
        maker = "class_thresholds" if scale is ThresholdScale.BITS else "self_confidence_thresholds"
        raise ConfigError(f"{rules.kind} needs thresholds in {scale}, not {found}; make them by {maker}")
    if rules.kind is SelectionKind.PVI_GLOBAL:
        return np.full(len(scores.classes), thresholds.global_)
    return thresholds.per_code(scores.classes)


def _above(
    scores: CandidateScores,
    values: FloatArray,
    other_values: FloatArray,
    class_limits: FloatArray,
    passes: Callable[[FloatArray, FloatArray], BoolArray],
) -> Comparison:
    known = scores.asked >= 0
    limits = np.append(class_limits, np.nan)[scores.asked]
    other_limits = class_limits[scores.best]
    return Comparison(
        values=np.where(known, values, np.nan),
        limits=limits,
        passes=known & passes(values, limits),
        failure=DecisionReason.BELOW_THRESHOLD,
        other=scores.best,
        other_values=other_values,
        other_limits=other_limits,
        other_passes=passes(other_values, other_limits),
    )


def _agreement(scores: CandidateScores, preferred: IntArray, values: FloatArray, limits: FloatArray) -> Comparison:
    known = scores.asked >= 0
    return Comparison(
        values=np.where(known, values, np.nan),
        limits=np.where(known, limits, np.nan),
        passes=preferred == scores.asked,
        failure=DecisionReason.DISAGREES,
        other=preferred,
        other_values=limits,
        other_limits=limits,
        other_passes=np.ones(len(scores), dtype=np.bool_),
    )


_COMPARE = {
    SelectionKind.PVI_CLASS: _pvi,
    SelectionKind.PVI_GLOBAL: _pvi,
    SelectionKind.KEEP_ALL: _keep_all,
    SelectionKind.ARGMAX: _argmax,
    SelectionKind.CONFIDENCE: _confidence,
    SelectionKind.SELF_CONFIDENCE: _self_confidence,
    SelectionKind.NEAREST_INTENT: _nearest,
}
