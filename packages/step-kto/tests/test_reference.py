"""The float64 reference by hand and against finite differences, so that it can stand as an oracle."""

import numpy as np
import pytest

from step_kto._reference import reference_step_kto_loss
from step_kto._weights import StepKTOWeights

WEIGHTS = StepKTOWeights(beta=1.0, step_beta=2.0, undesirable_weight=3.0, outcome_weight=0.5, step_weight=2.0)
LABELS = {
    "step_labels_BH": np.array([[1, 0, -1], [1, -2, -2], [-1, -2, -2]], dtype=np.int8),
    "outcome_labels_B": np.array([0, -1, 1], dtype=np.int8),
}


def reference(logps, weights=WEIGHTS, **changes):
    arguments = {"z0_outcome": 0.5, "z0_step": 0.25, "weights": weights, **LABELS, **changes}
    return reference_step_kto_loss(np.array(logps), np.zeros((3, 3)), **arguments)


def test_reference_by_hand():
    result = reference([[1.0, -1.0, 0.5], [0.25, 9.0, 9.0], [0.0, 9.0, 9.0]])
    # outcomes: r = 0.5 wrong: 3 (1 - sigma(0)); r = 0 right: 1 - sigma(-0.5)
    outcome = (3 * 0.5 + 0.62245933) / 2
    # steps: 1 - sigma(2 * 0.75), 1 - sigma(2 * 1.25), 1 - sigma(0)
    step = (0.18242552 + 0.07585818 + 0.5) / 3
    assert result.outcome_loss == pytest.approx(outcome, abs=1e-8)
    assert result.step_loss == pytest.approx(step, abs=1e-8)
    assert result.loss == pytest.approx(0.5 * outcome + 2 * step, abs=1e-8)


def test_reference_by_response_by_hand():
    weights = StepKTOWeights(step_beta=2.0, outcome_weight=0.0, step_reduction="response")
    result = reference([[1.0, -1.0, 0.5], [0.25, 0.0, 0.0], [0.0, 0.0, 0.0]], weights)
    assert result.loss == pytest.approx(((0.18242552 + 0.07585818) / 2 + 0.5) / 2, abs=1e-8)


@pytest.mark.parametrize("reduction", ["step", "response"])
def test_reference_gradient_is_that_of_finite_differences(reduction):
    weights = StepKTOWeights(beta=0.7, step_beta=1.1, desirable_weight=1.5, step_reduction=reduction)
    point = np.random.default_rng(0).normal(size=(3, 3))
    gradient = reference(point, weights).gradient_BH
    for place in np.ndindex(3, 3):
        shift = np.zeros((3, 3))
        shift[place] = 1e-6
        slope = (reference(point + shift, weights).loss - reference(point - shift, weights).loss) / 2e-6
        assert gradient[place] == pytest.approx(slope, abs=1e-8)


def test_reference_given_counts_divide():
    one = reference(np.zeros((3, 3)))
    double = reference(np.zeros((3, 3)), num_outcomes=4, num_steps=6)
    assert double.loss == pytest.approx(one.loss / 2, rel=1e-15)


def test_reference_of_nothing_labelled_is_zero():
    nothing = {
        "step_labels_BH": np.full((3, 3), -1, dtype=np.int8),
        "outcome_labels_B": np.full(3, -1, dtype=np.int8),
    }
    result = reference(np.ones((3, 3)), **nothing)
    assert result.loss == 0
    assert not result.gradient_BH.any()
