"""The loss: float64 reference, closed forms, limits, invariances. Shapes: B responses, T tokens, H steps."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from step_kto._loss import StepKTOLoss, loss_counts, nonfinite_rows, step_kto_loss, step_sums
from step_kto._reference import ReferenceLoss, reference_step_kto_loss
from step_kto._weights import StepKTOWeights
from twllm_types import ConfigError, ShapeError

UNEQUAL = StepKTOWeights(
    beta=0.3,
    desirable_weight=1.3,
    undesirable_weight=0.7,
    step_beta=0.45,
    step_desirable_weight=0.8,
    step_undesirable_weight=1.9,
    outcome_weight=0.6,
    step_weight=1.7,
)
REDUCTIONS = ("step", "response")


class Batch:
    """Random sums and labels in float64; at least one step a response, unknown labels among them."""

    def __init__(self, seed: int, *, num_responses: int = 5, num_steps: int = 4, scale: float = 3.0) -> None:
        rng = np.random.default_rng(seed)
        shape = (num_responses, num_steps)
        self.lengths = rng.integers(1, num_steps + 1, size=num_responses)
        absent = np.arange(num_steps) >= self.lengths[:, None]
        self.logps = np.where(absent, 0.0, -20 + scale * rng.normal(size=shape))
        self.ref = np.where(absent, 0.0, -20 + scale * rng.normal(size=shape))
        self.step_labels = np.where(absent, -2, rng.integers(-1, 2, size=shape)).astype(np.int8)
        self.outcome_labels = rng.integers(-1, 2, size=num_responses).astype(np.int8)

    def loss(self, weights: StepKTOWeights = UNEQUAL, **changes: Any) -> StepKTOLoss:
        return self.loss_and_gradient(weights, **changes)[0]

    def loss_and_gradient(
        self, weights: StepKTOWeights = UNEQUAL, dtype: torch.dtype = torch.float64, **changes: Any
    ) -> tuple[StepKTOLoss, Tensor]:
        logps = torch.tensor(self.logps, dtype=dtype, requires_grad=True)
        arguments = {
            "step_labels_BH": torch.tensor(self.step_labels),
            "outcome_labels_B": torch.tensor(self.outcome_labels),
            "z0_outcome": 1.25,
            "z0_step": 0.5,
            "weights": weights,
            **changes,
        }
        result = step_kto_loss(logps, torch.tensor(self.ref, dtype=dtype), **arguments)
        (gradient,) = torch.autograd.grad(result.loss, logps)
        return result, gradient

    def reference(self, weights: StepKTOWeights = UNEQUAL, **changes: Any) -> ReferenceLoss:
        arguments = {
            "step_labels_BH": self.step_labels,
            "outcome_labels_B": self.outcome_labels,
            "z0_outcome": 1.25,
            "z0_step": 0.5,
            "weights": weights,
            **changes,
        }
        return reference_step_kto_loss(self.logps, self.ref, **arguments)

    def rows(self, chosen: np.ndarray) -> "Batch":
        part = Batch.__new__(Batch)
        for name in ("lengths", "logps", "ref", "step_labels", "outcome_labels"):
            setattr(part, name, getattr(self, name)[chosen])
        return part


seeds = st.integers(min_value=0, max_value=2**32 - 1)
reductions = st.sampled_from(REDUCTIONS)


@given(seed=seeds, reduction=reductions, z0_outcome=st.floats(0, 50), z0_step=st.floats(0, 20))
def test_loss_equals_float64_reference(seed, reduction, z0_outcome, z0_step):
    batch, weights = Batch(seed), replace(UNEQUAL, step_reduction=reduction)
    z0 = {"z0_outcome": z0_outcome, "z0_step": z0_step}
    ours, gradient = batch.loss_and_gradient(weights, **z0)
    reference = batch.reference(weights, **z0)
    assert ours.outcome_loss.item() == pytest.approx(reference.outcome_loss, rel=1e-12, abs=1e-14)
    assert ours.step_loss.item() == pytest.approx(reference.step_loss, rel=1e-12, abs=1e-14)
    assert ours.loss.item() == pytest.approx(reference.loss, rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(gradient.numpy(), reference.gradient_BH, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_loss_float32_stays_near_float64_reference(reduction):
    batch, weights = Batch(7, num_responses=16, num_steps=9), replace(UNEQUAL, step_reduction=reduction)
    ours, gradient = batch.loss_and_gradient(weights, dtype=torch.float32)
    reference = batch.reference(weights)
    assert ours.loss.dtype == torch.float32
    assert ours.loss.item() == pytest.approx(reference.loss, rel=1e-5)
    np.testing.assert_allclose(gradient.numpy(), reference.gradient_BH, rtol=1e-4, atol=1e-7)


def test_loss_by_hand_for_one_right_and_one_wrong_step():
    # one response, r = (2, -1), z0 = 0, betas 1: L_out = 1 - sigma(1), L_step = (1 - sigma(2) + 1 - sigma(1)) / 2
    result = step_kto_loss(
        torch.tensor([[-3.0, -6.0]]),
        torch.tensor([[-5.0, -5.0]]),
        step_labels_BH=torch.tensor([[1, 0]], dtype=torch.int8),
        outcome_labels_B=torch.tensor([1], dtype=torch.int8),
        z0_outcome=0.0,
        z0_step=0.0,
        weights=StepKTOWeights(beta=1.0, step_beta=1.0),
    )
    assert result.outcome_loss.item() == pytest.approx(0.26894142, abs=1e-7)
    assert result.step_loss.item() == pytest.approx((0.11920292 + 0.26894142) / 2, abs=1e-7)
    assert result.loss.item() == pytest.approx(0.26894142 + (0.11920292 + 0.26894142) / 2, abs=1e-7)


# each example takes dozens of forwards
@settings(max_examples=15)
@given(seed=seeds, reduction=reductions)
def test_loss_gradient_is_that_of_finite_differences(seed, reduction):
    batch, weights = Batch(seed, num_responses=3, num_steps=3, scale=1.0), replace(UNEQUAL, step_reduction=reduction)

    def loss(logps: Tensor) -> Tensor:
        return step_kto_loss(
            logps,
            torch.tensor(batch.ref),
            step_labels_BH=torch.tensor(batch.step_labels),
            outcome_labels_B=torch.tensor(batch.outcome_labels),
            z0_outcome=0.4,
            z0_step=0.2,
            weights=weights,
        ).loss

    assert torch.autograd.gradcheck(loss, (torch.tensor(batch.logps, requires_grad=True),))


def test_step_sums_gradient_is_that_of_finite_differences():
    logps = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    ids = torch.tensor([[-1, 0, 0, 1, 2, -1], [0, 1, 1, 1, -1, -1]])
    assert torch.autograd.gradcheck(lambda value: step_sums(value, ids, num_steps=3), (logps,))


# --- token gradients -----------------------------------------------------------------------------------------------


@given(seed=seeds)
def test_token_gradient_is_outcome_coefficient_plus_step_coefficient(seed):
    rng = np.random.default_rng(seed)
    ids = torch.tensor([[-1, -1, 0, 0, 1, 2, 2, 2], [-1, 0, 1, 1, 1, -1, -1, -1]])
    step_labels = np.array([[1, -1, 0], [0, 1, -2]], dtype=np.int8)
    outcome_labels = np.array([0, 1], dtype=np.int8)
    logps = torch.tensor(rng.normal(size=(2, 8)), requires_grad=True)
    ref = rng.normal(size=(2, 3)) * (step_labels != -2)
    sums = step_sums(logps, ids, num_steps=3)
    result = step_kto_loss(
        sums,
        torch.tensor(ref),
        step_labels_BH=torch.tensor(step_labels),
        outcome_labels_B=torch.tensor(outcome_labels),
        z0_outcome=0.7,
        z0_step=0.3,
        weights=UNEQUAL,
    )
    (gradient,) = torch.autograd.grad(result.loss, logps)
    expected = np.zeros((2, 8))
    ratios = sums.detach().numpy() - ref
    for i in range(2):
        a = UNEQUAL.outcome_weight * coefficient(
            ratios[i].sum(), outcome_labels[i], beta=0.3, z0=0.7, desirable=1.3, undesirable=0.7
        )
        for t in range(8):
            h = int(ids[i, t])
            if h == -1:
                continue
            label = step_labels[i, h]
            b = 0.0 if label < 0 else coefficient(ratios[i, h], label, 0.45, 0.3, desirable=0.8, undesirable=1.9)
            # two known outcomes, four labelled steps
            expected[i, t] = a / 2 + UNEQUAL.step_weight * b / 4
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-10, atol=1e-15)


def coefficient(ratio, label, beta, z0, *, desirable, undesirable):
    """-lambda s beta v (1 - v)."""
    sign, weight = (1, desirable) if label == 1 else (-1, undesirable)
    v = 1 / (1 + np.exp(-sign * beta * (ratio - z0)))
    return -weight * sign * beta * v * (1 - v)


def test_token_outside_of_steps_has_no_influence_even_when_nan():
    ids = torch.tensor([[-1, 0, 0, -1]])
    logps = torch.tensor([[float("nan"), -1.0, -2.0, float("-inf")]], requires_grad=True)
    sums = step_sums(logps, ids, num_steps=1)
    assert sums.tolist() == [[-3.0]]
    (gradient,) = torch.autograd.grad(sums.sum(), logps)
    assert gradient.tolist() == [[0.0, 1.0, 1.0, 0.0]]


def test_token_of_masked_step_has_outcome_gradient_only():
    batch = Batch(3, num_responses=1, num_steps=2)
    batch.lengths[:], batch.outcome_labels[:] = 2, 1
    batch.step_labels[:] = [[1, -1]]
    _, both = batch.loss_and_gradient()
    _, outcome = batch.loss_and_gradient(replace(UNEQUAL, step_weight=0.0))
    assert both[0, 1] == outcome[0, 1] != 0
    assert both[0, 0] != outcome[0, 0]


# --- limits --------------------------------------------------------------------------------------------------------


def kto(ratios: Tensor, labels: Tensor, *, beta: float, z0: float, desirable: float, undesirable: float) -> Tensor:
    """Equations 7 and 8 of KTO (arXiv 2402.01306), typed from the paper: lambda_y - v(x, y)."""
    value = torch.where(
        labels == 1,
        desirable * torch.sigmoid(beta * (ratios - z0)),
        undesirable * torch.sigmoid(beta * (z0 - ratios)),
    )
    weight = torch.where(labels == 1, desirable, undesirable * torch.ones_like(ratios))
    return (weight - value)[labels >= 0].mean()


@given(seed=seeds)
def test_outcome_term_equals_the_equation_of_kto(seed):
    batch = Batch(seed)
    batch.outcome_labels[0] = 1
    expected = kto(
        torch.tensor((batch.logps - batch.ref).sum(1)),
        torch.tensor(batch.outcome_labels),
        beta=0.3,
        z0=1.25,
        desirable=1.3,
        undesirable=0.7,
    )
    torch.testing.assert_close(batch.loss().outcome_loss, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_loss_with_step_weight_zero_is_kto_bit_for_bit(reduction):
    batch = Batch(11)
    without, without_gradient = batch.loss_and_gradient(replace(UNEQUAL, step_weight=0.0, step_reduction=reduction))
    unlabelled = np.where(batch.step_labels == -2, -2, -1).astype(np.int8)
    masked, masked_gradient = batch.loss_and_gradient(
        replace(UNEQUAL, step_reduction=reduction), step_labels_BH=torch.tensor(unlabelled)
    )
    assert without.loss.item() == masked.loss.item() == UNEQUAL.outcome_weight * without.outcome_loss.item()
    assert torch.equal(without_gradient, masked_gradient)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_loss_with_one_step_and_outcome_weight_zero_is_kto(reduction):
    batch = Batch(13, num_responses=8, num_steps=1)
    batch.outcome_labels = batch.step_labels[:, 0].copy()
    steps = StepKTOWeights(
        step_beta=0.3,
        step_desirable_weight=1.3,
        step_undesirable_weight=0.7,
        outcome_weight=0.0,
        step_reduction=reduction,
    )
    outcomes = StepKTOWeights(beta=0.3, desirable_weight=1.3, undesirable_weight=0.7, step_weight=0.0)
    by_step, by_step_gradient = batch.loss_and_gradient(steps, z0_step=0.9)
    by_outcome, by_outcome_gradient = batch.loss_and_gradient(outcomes, z0_outcome=0.9)
    assert by_step.loss.item() == by_outcome.loss.item() > 0
    assert torch.equal(by_step_gradient, by_outcome_gradient)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_loss_with_everything_masked_is_zero_with_zero_gradient(reduction):
    batch = Batch(17)
    batch.step_labels = np.where(batch.step_labels == -2, -2, -1).astype(np.int8)
    batch.outcome_labels[:] = -1
    result, gradient = batch.loss_and_gradient(replace(UNEQUAL, step_reduction=reduction))
    assert (result.loss.item(), result.outcome_loss.item(), result.step_loss.item()) == (0.0, 0.0, 0.0)
    assert gradient.abs().max().item() == 0.0
    assert result.outcome_rewards_B.abs().min().item() > 0


def test_loss_of_a_batch_counted_as_empty_from_outside_is_zero():
    batch = Batch(17)
    batch.step_labels = np.where(batch.step_labels == -2, -2, -1).astype(np.int8)
    batch.outcome_labels[:] = -1
    result, gradient = batch.loss_and_gradient(num_outcomes=0, num_steps=torch.tensor(0))
    assert result.loss.item() == gradient.abs().max().item() == 0.0


def test_loss_of_no_response_is_zero():
    result = step_kto_loss(
        torch.zeros(0, 3),
        torch.zeros(0, 3),
        step_labels_BH=torch.zeros(0, 3, dtype=torch.int8),
        outcome_labels_B=torch.zeros(0, dtype=torch.int8),
        z0_outcome=0.0,
        z0_step=0.0,
        weights=UNEQUAL,
    )
    assert result.loss.item() == 0.0


@given(seed=seeds)
def test_loss_with_equal_policies_is_half_the_mean_weight(seed):
    batch = Batch(seed)
    batch.ref = batch.logps.copy()
    result = batch.loss(z0_outcome=0.0, z0_step=0.0)
    for loss, labels, right, wrong in (
        (result.outcome_loss, batch.outcome_labels, 1.3, 0.7),
        (result.step_loss, batch.step_labels, 0.8, 1.9),
    ):
        known = labels[labels >= 0]
        expected = np.where(known == 1, right, wrong).mean() / 2 if known.size else 0.0
        assert loss.item() == pytest.approx(expected, rel=1e-12)


@given(seed=seeds)
def test_loss_with_beta_near_zero_is_half_the_mean_weight(seed):
    batch, tiny = Batch(seed), replace(UNEQUAL, beta=1e-12, step_beta=1e-12)
    near, known = batch.loss(tiny), batch.step_labels[batch.step_labels >= 0]
    expected = np.where(known == 1, 0.8, 1.9).mean() / 2 if known.size else 0.0
    assert near.step_loss.item() == pytest.approx(expected, rel=1e-8)


@given(seed=seeds)
def test_loss_with_beta_near_infinity_counts_weighted_sign_errors(seed):
    batch, steep = Batch(seed), replace(UNEQUAL, beta=1e9, step_beta=1e9)
    result, gradient = batch.loss_and_gradient(steep)
    ratios, labels = batch.logps - batch.ref - 0.5, batch.step_labels
    errors = 0.8 * ((labels == 1) & (ratios < 0)) + 1.9 * ((labels == 0) & (ratios > 0))
    assert result.step_loss.item() == pytest.approx(errors.sum() / max((labels >= 0).sum(), 1), rel=1e-6, abs=1e-9)
    assert torch.isfinite(gradient).all()


@given(seed=seeds)
def test_losses_of_a_label_and_its_opposite_add_up_to_the_weight(seed):
    batch = Batch(seed)
    batch.outcome_labels[0], batch.step_labels[0, 0] = 1, 0
    even = StepKTOWeights(
        desirable_weight=1.4, undesirable_weight=1.4, step_desirable_weight=0.6, step_undesirable_weight=0.6
    )
    opposite = batch.rows(np.arange(5))
    opposite.outcome_labels = np.where(batch.outcome_labels < 0, -1, 1 - batch.outcome_labels).astype(np.int8)
    opposite.step_labels = np.where(batch.step_labels < 0, batch.step_labels, 1 - batch.step_labels).astype(np.int8)
    one, other = batch.loss(even), opposite.loss(even)
    assert (one.outcome_loss + other.outcome_loss).item() == pytest.approx(1.4, rel=1e-12)
    assert (one.step_loss + other.step_loss).item() == pytest.approx(0.6, rel=1e-12)


def test_sum_of_step_ratios_is_the_ratio_of_the_response():
    generator = torch.Generator().manual_seed(5)
    logps = torch.randn(4, 30, generator=generator, dtype=torch.float64)
    ids = torch.sort(torch.randint(0, 6, (4, 30), generator=generator)).values
    torch.testing.assert_close(step_sums(logps, ids, num_steps=6).sum(1), logps.sum(1), rtol=1e-13, atol=1e-13)


# --- invariances ---------------------------------------------------------------------------------------------------


@given(seed=seeds, reduction=reductions, extra=st.integers(1, 4))
def test_loss_does_not_depend_on_padding(seed, reduction, extra):
    batch, weights = Batch(seed), replace(UNEQUAL, step_reduction=reduction)
    wide = Batch(seed)
    # what stands in padded columns must not matter
    wide.logps = np.pad(batch.logps, ((0, 0), (0, extra)), constant_values=3.0)
    wide.ref = np.pad(batch.ref, ((0, 0), (0, extra)), constant_values=-8.0)
    wide.step_labels = np.pad(batch.step_labels, ((0, 0), (0, extra)), constant_values=-2)
    narrow, narrow_gradient = batch.loss_and_gradient(weights)
    padded, padded_gradient = wide.loss_and_gradient(weights)
    torch.testing.assert_close(padded.loss, narrow.loss, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(padded_gradient[:, :4], narrow_gradient, rtol=1e-12, atol=1e-15)
    assert padded_gradient[:, 4:].abs().max().item() == 0.0


def test_step_sums_do_not_depend_on_padding_tokens():
    logps, ids = torch.tensor([[-1.0, -2.0, -4.0]]), torch.tensor([[0, 0, 1]])
    padded = step_sums(
        torch.nn.functional.pad(logps, (2, 3), value=-9.0), torch.nn.functional.pad(ids, (2, 3), value=-1), num_steps=2
    )
    assert torch.equal(padded, step_sums(logps, ids, num_steps=2))


@given(seed=seeds, reduction=reductions)
def test_loss_does_not_depend_on_row_order(seed, reduction):
    batch, weights = Batch(seed), replace(UNEQUAL, step_reduction=reduction)
    order = np.random.default_rng(seed).permutation(5)
    one, one_gradient = batch.loss_and_gradient(weights)
    other, other_gradient = batch.rows(order).loss_and_gradient(weights)
    torch.testing.assert_close(other.loss, one.loss, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(other_gradient, one_gradient[torch.tensor(order)], rtol=1e-12, atol=1e-15)


@given(seed=seeds, reduction=reductions, size=st.integers(1, 6))
def test_micro_batches_with_given_counts_add_up_to_the_whole(seed, reduction, size):
    batch, weights = Batch(seed, num_responses=6), replace(UNEQUAL, step_reduction=reduction)
    whole, whole_gradient = batch.loss_and_gradient(weights, dtype=torch.float32)
    parts = [batch.rows(np.arange(start, min(start + size, 6))) for start in range(0, 6, size)]
    counts = [
        loss_counts(torch.tensor(p.outcome_labels), torch.tensor(p.step_labels), step_reduction=reduction)
        for p in parts
    ]
    given_counts = {
        "num_outcomes": torch.stack([c.num_outcomes for c in counts]).sum(),
        "num_steps": int(sum(c.num_steps.item() for c in counts)),
    }
    results = [p.loss_and_gradient(weights, dtype=torch.float32, **given_counts) for p in parts]
    torch.testing.assert_close(sum(r.loss for r, _ in results), whole.loss, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(torch.cat([g for _, g in results]), whole_gradient, rtol=1e-5, atol=1e-8)


def test_reduction_by_response_weighs_responses_equally():
    batch = Batch(19, num_responses=2, num_steps=3)
    batch.step_labels[:] = [[1, 0, 1], [0, -1, -2]]
    by_response = batch.loss(replace(UNEQUAL, step_reduction="response")).step_loss
    alone = [batch.rows(np.array([row])).loss().step_loss for row in range(2)]
    torch.testing.assert_close(by_response, sum(alone) / 2, rtol=1e-12, atol=0)
    by_step = batch.loss().step_loss
    torch.testing.assert_close(by_step, (3 * alone[0] + alone[1]) / 4, rtol=1e-12, atol=0)


# --- what comes back, what is refused ------------------------------------------------------------------------------


def test_rewards_are_beta_times_log_ratio_without_gradient():
    batch = Batch(23)
    result = batch.loss()
    ratios = np.where(batch.step_labels == -2, 0.0, batch.logps - batch.ref)
    np.testing.assert_allclose(result.step_rewards_BH.numpy(), 0.45 * ratios, rtol=1e-12)
    np.testing.assert_allclose(result.outcome_rewards_B.numpy(), 0.3 * ratios.sum(1), rtol=1e-12)
    assert not result.step_rewards_BH.requires_grad
    assert not result.outcome_rewards_B.requires_grad


def test_loss_sends_no_gradient_to_reference_and_z0():
    constants = [torch.full(shape, -1.0, requires_grad=True) for shape in ((1, 2), (), ())]
    result = step_kto_loss(
        torch.full((1, 2), -1.5, requires_grad=True),
        constants[0],
        step_labels_BH=torch.tensor([[1, 0]], dtype=torch.int8),
        outcome_labels_B=torch.tensor([1], dtype=torch.int8),
        z0_outcome=constants[1],
        z0_step=constants[2],
        weights=UNEQUAL,
    )
    result.loss.backward()
    assert [constant.grad for constant in constants] == [None, None, None]


def test_step_term_ignores_nan_in_masked_steps():
    batch = Batch(29, num_responses=2, num_steps=2)
    batch.step_labels[:], batch.outcome_labels[:] = [[1, -1], [0, 1]], -1
    batch.logps[0, 1] = np.nan
    result, gradient = batch.loss_and_gradient()
    assert torch.isfinite(result.loss)
    assert torch.isfinite(gradient).all()


def test_nonfinite_rows_names_rows_whose_steps_are_not_finite():
    logps = torch.tensor([[-1.0, -2.0], [float("nan"), -1.0], [-1.0, float("nan")], [float("-inf"), 0.0]])
    labels = torch.tensor([[1, 0], [1, 0], [1, -2], [-1, -2]], dtype=torch.int8)
    assert nonfinite_rows(logps, labels) == (1, 3)


def test_step_sums_of_half_precision_are_float32():
    sums = step_sums(torch.tensor([[-1.0, -2.0]], dtype=torch.bfloat16), torch.tensor([[0, 0]]), num_steps=2)
    assert sums.dtype == torch.float32
    assert sums.tolist() == [[-3.0, 0.0]]


def test_step_sums_of_other_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"logps \(1, 3\) and step_ids \(1, 2\)"):
        step_sums(torch.zeros(1, 3), torch.zeros(1, 2, dtype=torch.long), num_steps=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logps": torch.zeros(2, 3)}, r"step_logps \(2, 3\), ref_step_logps \(2, 2\)"),
        ({"step_labels": torch.zeros(2, 1, dtype=torch.int8)}, r"step_labels \(2, 1\)"),
        ({"outcome_labels": torch.zeros(3, dtype=torch.int8)}, r"outcome_labels \(3,\) must be \(2,\)"),
        ({"logps": torch.zeros(2, 2, dtype=torch.float16)}, "step_logps is torch.float16"),
        ({"step_labels": torch.zeros(2, 2, dtype=torch.bool)}, "step_labels is torch.bool"),
        ({"outcome_labels": torch.zeros(2, dtype=torch.long)}, "outcome_labels is torch.int64"),
    ],
    ids=["columns", "step-labels", "outcomes", "half", "bool-labels", "long-labels"],
)
def test_loss_of_misfitting_tensors_is_refused(changes, message):
    tensors = {
        "logps": torch.zeros(2, 2),
        "step_labels": torch.zeros(2, 2, dtype=torch.int8),
        "outcome_labels": torch.zeros(2, dtype=torch.int8),
        **changes,
    }
    with pytest.raises(ShapeError, match=message):
        step_kto_loss(
            tensors["logps"],
            torch.zeros(2, 2),
            step_labels_BH=tensors["step_labels"],
            outcome_labels_B=tensors["outcome_labels"],
            z0_outcome=0.0,
            z0_step=0.0,
            weights=UNEQUAL,
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beta", 0.0),
        ("step_beta", float("nan")),
        ("step_weight", -1.0),
        ("desirable_weight", float("inf")),
        ("beta", "0.1"),
        ("step_beta", True),
        ("step_weight", None),
    ],
)
def test_weights_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} is {value!r}"):
        StepKTOWeights(**{name: value})


def test_weights_with_unknown_reduction_are_refused():
    with pytest.raises(ConfigError, match="step_reduction is 'token'"):
        StepKTOWeights(step_reduction="token")  # pyright: ignore[reportArgumentType]
