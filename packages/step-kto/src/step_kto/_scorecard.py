"""How good a judge of steps is: the first error as ProcessBench counts it, and each step on its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from step_kto._judges import StepLabels
from twllm_runs.statistics import bootstrap_estimate, mean_estimate, proportion_estimate
from twllm_types import DataError, Estimate, EstimateUnit

_Figures: TypeAlias = NDArray[np.float64]

# codes of one solution, thirds because a bootstrap of shares takes shares: a flawed one missed or found, a sound one
# blamed or passed
_MISSED, _FOUND, _BLAMED, _PASSED = 0.0, 1 / 3, 2 / 3, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeScorecard:
    """What a judge is worth on labelled solutions; every figure with its interval and with what was not scored.

    Attributes:
        first_error_f1: harmonic mean of the next two (ProcessBench, arXiv 2412.06559, section 3); percentile bootstrap
            over solutions.
        flawed_accuracy: share of flawed solutions whose first wrong step was named exactly; Wilson.
        sound_accuracy: share of solutions without a wrong step in which none was named; Wilson.
        wrong_precision: of the steps called wrong, the share that is; clustered by solution.
        wrong_recall: of the wrong steps, the share called wrong; clustered by solution.
        step_accuracy: of the steps with a known truth and a label, the share labelled right; clustered by solution.
        num_unknown_steps: steps with a known truth for which the judge said None; they are in no figure by step.
    """

    first_error_f1: Estimate
    flawed_accuracy: Estimate
    sound_accuracy: Estimate
    wrong_precision: Estimate
    wrong_recall: Estimate
    step_accuracy: Estimate
    num_unknown_steps: int


def first_error(labels: StepLabels) -> int | None:
    """Return the place of the first wrong step, -1 where none is; None where an unknown leaves it open.

    An unknown step before the first wrong one leaves it open, as does one in a solution without a wrong step.
    """
    for at, label in enumerate(labels):
        if label is None:
            return None
        if not label:
            return at
    return -1


def first_error_scorecard(
    truths: Sequence[StepLabels],
    predictions: Sequence[StepLabels],
    *,
    seed: int,
    draws: int = 2000,
    level: float = 0.95,
) -> JudgeScorecard:
    """Compare a judge with the truth.

    A solution counts for the first error where its truth is settled (`first_error`). A judge names the first step that
    it calls wrong, and an unknown of a judge blames no step; a judge that gave no label at all for a solution is not
    scored on it, which the figures count as unscored, unlike ProcessBench, where such an answer is wrong.

    Args:
        truths: labels of each solution's steps.
        predictions: the judge's labels of the same.
        seed: of the bootstrap.
        draws: of the bootstrap.
        level: coverage of the intervals.

    Raises:
        DataError: solutions or their steps differ in number.
    """
    if len(truths) != len(predictions):
        raise DataError(f"{len(predictions)} judgements for {len(truths)} solutions; give one each")
    for at, (truth, prediction) in enumerate(zip(truths, predictions, strict=True)):
        if len(truth) != len(prediction):
            raise DataError(f"solution {at}: {len(prediction)} labels for {len(truth)} steps; give one label per step")
    codes, num_flawed_unscored, num_sound_unscored = _first_error_codes(truths, predictions)
    flawed = [code for code in codes if code in (_MISSED, _FOUND)]
    sound = [code for code in codes if code in (_BLAMED, _PASSED)]
    return JudgeScorecard(
        first_error_f1=bootstrap_estimate(
            codes,
            _harmonic_means,
            unit=EstimateUnit.SHARE,
            seed=seed,
            draws=draws,
            level=level,
            num_unscored=num_flawed_unscored + num_sound_unscored,
        ),
        flawed_accuracy=proportion_estimate(
            flawed.count(_FOUND), len(flawed), level=level, num_unscored=num_flawed_unscored
        ),
        sound_accuracy=proportion_estimate(
            sound.count(_PASSED), len(sound), level=level, num_unscored=num_sound_unscored
        ),
        **_step_figures(truths, predictions, level=level),
    )


def _first_error_codes(truths: Sequence[StepLabels], predictions: Sequence[StepLabels]) -> tuple[list[float], int, int]:
    codes: list[float] = []
    unscored = {True: 0, False: 0}
    for truth, prediction in zip(truths, predictions, strict=True):
        right = first_error(truth)
        if right is None:
            continue
        is_flawed = right >= 0
        if all(label is None for label in prediction):
            unscored[is_flawed] += 1
            continue
        named = next((at for at, label in enumerate(prediction) if label is False), -1)
        if is_flawed:
            codes.append(_FOUND if named == right else _MISSED)
        else:
            codes.append(_PASSED if named == right else _BLAMED)
    return codes, unscored[True], unscored[False]


def _harmonic_means(
    rows: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
) -> _Figures:
    """F1 of each row of codes; 0 where a row has no flawed or no sound solution, or both accuracies are 0."""
    codes = np.rint(rows * 3)
    flawed, sound = _share(codes == 1, codes <= 1), _share(codes == 3, codes >= 2)
    total = flawed + sound
    return np.divide(2 * flawed * sound, total, out=np.zeros_like(total), where=total > 0)


def _share(hits: NDArray[np.bool_], of: NDArray[np.bool_]) -> _Figures:
    counts = of.sum(axis=-1).astype(np.float64)
    return np.divide(hits.sum(axis=-1), counts, out=np.zeros_like(counts), where=counts > 0)


def _step_figures(truths: Sequence[StepLabels], predictions: Sequence[StepLabels], *, level: float) -> "_StepFigures":
    rows = [
        (at, truth, label)
        for at, (labels, guesses) in enumerate(zip(truths, predictions, strict=True))
        for truth, label in zip(labels, guesses, strict=True)
        if truth is not None
    ]
    known = [(at, truth, label) for at, truth, label in rows if label is not None]
    num_unknown = len(rows) - len(known)
    num_wrong_unknown = sum(1 for _, truth, label in rows if label is None and not truth)

    def share(chosen: list[tuple[int, bool, bool]], num_unscored: int) -> Estimate:
        hits = [float(truth == label) for _, truth, label in chosen]
        clusters = [at for at, _, _ in chosen]
        return mean_estimate(hits, unit=EstimateUnit.SHARE, clusters=clusters, level=level, num_unscored=num_unscored)

    return {
        "wrong_precision": share([row for row in known if not row[2]], 0),
        "wrong_recall": share([row for row in known if not row[1]], num_wrong_unknown),
        "step_accuracy": share(known, num_unknown),
        "num_unknown_steps": num_unknown,
    }


class _StepFigures(TypedDict):
    wrong_precision: Estimate
    wrong_recall: Estimate
    step_accuracy: Estimate
    num_unknown_steps: int
