"""Step-KTO once more, in NumPy float64 with explicit loops: the oracle of the tests, written from the formula alone.

Shapes: B responses, H most steps. It shares no code with `_loss.py` but the label codes.
"""

from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from step_kto._labels import LabelCode
from step_kto._weights import StepKTOWeights


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceLoss:
    """The loss in float64 and its gradient in closed form.

    Attributes:
        loss: outcome_weight * outcome_loss + step_weight * step_loss.
        outcome_loss: the outcome term.
        step_loss: the step term.
        gradient_BH: d loss / d step_logps = A_i + B_ih, which is also that of every token of the step.
    """

    loss: float
    outcome_loss: float
    step_loss: float
    gradient_BH: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Term:
    """Slope, class weights and reference point of one term."""

    beta: float
    desirable_weight: float
    undesirable_weight: float
    z0: float

    def value(self, log_ratio: float, label: int) -> tuple[float, float]:
        """Lambda (1 - v) and its derivative -lambda s beta v (1 - v) with respect to the log-ratio."""
        sign = 1.0 if label == LabelCode.RIGHT else -1.0
        weight = self.desirable_weight if label == LabelCode.RIGHT else self.undesirable_weight
        v = _sigmoid(sign * self.beta * (log_ratio - self.z0))
        complement = _sigmoid(-sign * self.beta * (log_ratio - self.z0))
        return weight * complement, -weight * sign * self.beta * v * complement


def reference_step_kto_loss(
    step_logps_BH: NDArray[np.float64],
    ref_step_logps_BH: NDArray[np.float64],
    *,
    step_labels_BH: NDArray[np.int8],
    outcome_labels_B: NDArray[np.int8],
    z0_outcome: float,
    z0_step: float,
    weights: StepKTOWeights,
    num_outcomes: int | None = None,
    num_steps: int | None = None,
) -> ReferenceLoss:
    """The loss of `step_kto_loss`, one response and one step at a time; arguments and formula as there."""
    outcome = _Term(
        beta=weights.beta,
        desirable_weight=weights.desirable_weight,
        undesirable_weight=weights.undesirable_weight,
        z0=z0_outcome,
    )
    step = _Term(
        beta=weights.step_beta,
        desirable_weight=weights.step_desirable_weight,
        undesirable_weight=weights.step_undesirable_weight,
        z0=z0_step,
    )
    if num_outcomes is None:
        num_outcomes = sum(_is_labelled(label) for label in outcome_labels_B.tolist())
    if num_steps is None:
        num_steps = _count_steps(step_labels_BH, weights)
    outcome_loss, step_loss = 0.0, 0.0
    gradient_BH = np.zeros(step_logps_BH.shape, dtype=np.float64)
    for i, labels in enumerate(step_labels_BH.tolist()):
        present = [h for h, label in enumerate(labels) if label != LabelCode.ABSENT]
        ratios = {h: float(step_logps_BH[i, h]) - float(ref_step_logps_BH[i, h]) for h in present}
        if _is_labelled(int(outcome_labels_B[i])):
            value, slope = outcome.value(sum(ratios.values()), int(outcome_labels_B[i]))
            outcome_loss += value / num_outcomes
            for h in present:
                gradient_BH[i, h] += weights.outcome_weight * slope / num_outcomes
        labelled = [h for h in present if _is_labelled(labels[h])]
        share = num_steps * (len(labelled) if weights.step_reduction == "response" else 1)
        for h in labelled:
            value, slope = step.value(ratios[h], labels[h])
            step_loss += value / share
            gradient_BH[i, h] += weights.step_weight * slope / share
    return ReferenceLoss(
        loss=weights.outcome_weight * outcome_loss + weights.step_weight * step_loss,
        outcome_loss=outcome_loss,
        step_loss=step_loss,
        gradient_BH=gradient_BH,
    )


def _count_steps(step_labels_BH: NDArray[np.int8], weights: StepKTOWeights) -> int:
    per_response = [sum(_is_labelled(label) for label in labels) for labels in step_labels_BH.tolist()]
    if weights.step_reduction == "response":
        return sum(count > 0 for count in per_response)
    return sum(per_response)


def _is_labelled(label: int) -> bool:
    return label in (LabelCode.RIGHT, LabelCode.WRONG)


def _sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))
