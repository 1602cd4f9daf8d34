"""Arithmetic of Step-KTO. Shapes: B responses, T tokens, H most steps of a response in the batch.

Log-probabilities are in nats. Steps partition the completion: each of its tokens lies in exactly one step, so that the
outcome's log-ratio is the sum of the steps'.
"""

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from step_kto._labels import LabelCode
from step_kto._weights import StepKTOWeights, StepReduction
from twllm_types import ShapeError

Count: TypeAlias = int | Tensor
_EXACT_DTYPES = (torch.float32, torch.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepKTOLoss:
    """The loss of a batch and what it was made of.

    Attributes:
        loss: outcome_weight * outcome_loss + step_weight * step_loss, 0-dimensional, with gradient.
        outcome_loss: the unscaled outcome term, 0-dimensional, in [0, max lambda] when the counts are those of the
            batch.
        step_loss: the unscaled step term, likewise.
        outcome_rewards_B: beta * r, detached, as TRL logs it; for every response, labelled or not.
        step_rewards_BH: step_beta * r_h, detached; 0 where a response has no such step.
    """

    loss: Tensor
    outcome_loss: Tensor
    step_loss: Tensor
    outcome_rewards_B: Tensor
    step_rewards_BH: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LossCounts:
    """What the terms are divided by; 0-dimensional int64 tensors, so that ranks can add them up.

    Attributes:
        num_outcomes: responses with a known outcome.
        num_steps: labelled steps, or responses with a labelled step where the reduction is "response".
    """

    num_outcomes: Tensor
    num_steps: Tensor


def step_sums(logps_BT: Tensor, step_ids_BT: Tensor, *, num_steps: int) -> Tensor:
    """Sum the log-probabilities of each step's tokens.

    log pi(s_h | x, s_<h) = sum over the tokens of s_h, all from one forward (step_kto.md, 2.2). What stands at tokens
    outside of steps has no influence, NaN included, and gets a gradient of 0.

    Args:
        logps_BT: log-probability of each token, nats; half precision is summed in float32.
        step_ids_BT: step of each token, 0..num_steps-1; -1 for prompt, padding and whatever is no completion.
        num_steps: H, at least 0.

    Returns:
        Shape (B, H), float64 for float64 and float32 otherwise; 0 where a response has no such step.

    Raises:
        ShapeError: the two tensors differ in shape.
    """
    if logps_BT.ndim != 2 or logps_BT.shape != step_ids_BT.shape:
        raise ShapeError(
            f"logps {_shape(logps_BT)} and step_ids {_shape(step_ids_BT)} must both be (B, T); "
            "shift the ids like the labels"
        )
    logps_BT = logps_BT if logps_BT.dtype in _EXACT_DTYPES else logps_BT.float()
    steps_H = torch.arange(num_steps, device=step_ids_BT.device)
    # A masked sum, not scatter_add: that one adds in no fixed order on a GPU, and 0 * NaN would be NaN.
    inside_BHT = step_ids_BT.unsqueeze(1) == steps_H.unsqueeze(-1)
    return torch.where(inside_BHT, logps_BT.unsqueeze(1), 0.0).sum(-1)


def loss_counts(outcome_labels_B: Tensor, step_labels_BH: Tensor, *, step_reduction: StepReduction) -> LossCounts:
    """Count what `step_kto_loss` divides by; the sum over micro-batches and ranks is the count of the whole batch.

    Args:
        outcome_labels_B: int8 codes, see `LabelCode`.
        step_labels_BH: int8 codes.
        step_reduction: "step" or "response".
    """
    labelled_BH = step_labels_BH >= LabelCode.WRONG
    counted = labelled_BH if step_reduction == "step" else labelled_BH.any(dim=1)
    return LossCounts(num_outcomes=(outcome_labels_B >= LabelCode.WRONG).sum(), num_steps=counted.sum())


def step_kto_loss(
    step_logps_BH: Tensor,
    ref_step_logps_BH: Tensor,
    *,
    step_labels_BH: Tensor,
    outcome_labels_B: Tensor,
    z0_outcome: Tensor | float,
    z0_step: Tensor | float,
    weights: StepKTOWeights,
    num_outcomes: Count | None = None,
    num_steps: Count | None = None,
) -> StepKTOLoss:
    """The loss of Step-KTO: KTO on outcomes plus the same on steps.

    With r_h = log pi(s_h | x, s_<h) - log pi_ref(s_h | x, s_<h), r = sum_h r_h, and s = +1 for right, -1 for wrong::

        L_out  = mean_i lambda_i (1 - sigma(s_i beta (r_i - z0)))               KTO eq. 7, arXiv 2402.01306
        L_step = mean_ih lambda_ih (1 - sigma(s_ih beta_s (r_ih - z0_s)))       step_kto.md, 2.2
        L      = outcome_weight L_out + step_weight L_step

    The step term is the same formula for one step; the paper's own (arXiv 2501.10799) could not be confirmed. Means
    run over what is labelled. Nothing labelled gives 0 with a gradient of 0. The gradient of L with respect to a token
    of step h is A_i + B_ih, with A_i = -outcome_weight lambda_i s_i beta v (1 - v) / num_outcomes, B_ih likewise.

    To split a batch into micro-batches or over ranks, give the counts of the whole batch: the parts then add up to the
    loss of the whole (where gradients are averaged over ranks, multiply by the number of ranks).

    Args:
        step_logps_BH: `step_sums` under the policy, nats, float32 or float64.
        ref_step_logps_BH: the same under the reference; treated as constant.
        step_labels_BH: int8: 1 right, 0 wrong, -1 unknown or masked, -2 no such step (see `LabelCode`).
        outcome_labels_B: int8: 1 right, 0 wrong, -1 unknown.
        z0_outcome: the reference point of the outcome term, nats; treated as constant.
        z0_step: the reference point of the step term, nats, likewise. Never that of the outcome: r_h is about r / H.
        weights: slopes, class weights, factors, reduction.
        num_outcomes: known outcomes of the whole batch; None counts those given.
        num_steps: labelled steps of the whole batch (for the reduction "response": responses with a labelled step);
            None counts those given.

    Raises:
        ShapeError: the tensors do not fit together, labels are not int8, or log-probabilities are in half precision.
    """
    _check_tensors(step_logps_BH, ref_step_logps_BH, step_labels_BH, outcome_labels_B)
    here = loss_counts(outcome_labels_B, step_labels_BH, step_reduction=weights.step_reduction)
    present_BH = step_labels_BH != LabelCode.ABSENT
    ratios_BH = torch.where(present_BH, step_logps_BH - ref_step_logps_BH.detach(), 0.0)
    ratios_B = ratios_BH.sum(dim=1)

    losses_B = _kto_losses(
        ratios_B,
        outcome_labels_B,
        z0=z0_outcome,
        beta=weights.beta,
        desirable_weight=weights.desirable_weight,
        undesirable_weight=weights.undesirable_weight,
    )
    losses_BH = _kto_losses(
        ratios_BH,
        step_labels_BH,
        z0=z0_step,
        beta=weights.step_beta,
        desirable_weight=weights.step_desirable_weight,
        undesirable_weight=weights.step_undesirable_weight,
    )
    if weights.step_reduction == "response":
        losses_BH = losses_BH / _at_least_one((step_labels_BH >= LabelCode.WRONG).sum(dim=1, keepdim=True))
    outcome_loss = losses_B.sum() / _at_least_one(here.num_outcomes if num_outcomes is None else num_outcomes)
    step_loss = losses_BH.sum() / _at_least_one(here.num_steps if num_steps is None else num_steps)
    return StepKTOLoss(
        loss=weights.outcome_weight * outcome_loss + weights.step_weight * step_loss,
        outcome_loss=outcome_loss,
        step_loss=step_loss,
        outcome_rewards_B=weights.beta * ratios_B.detach(),
        step_rewards_BH=weights.step_beta * ratios_BH.detach(),
    )


def nonfinite_rows(step_logps_BH: Tensor, step_labels_BH: Tensor) -> tuple[int, ...]:
    """Rows with a NaN or an infinity in a step that exists: the loss cannot be trusted, stop and name them.

    It copies to the host, which waits for the device: call it when the loss is not finite, not on each batch.
    """
    broken_B = (~torch.isfinite(step_logps_BH) & (step_labels_BH != LabelCode.ABSENT)).any(dim=1)
    return tuple(int(row) for row in broken_B.nonzero().flatten().cpu())


def _kto_losses(
    ratios: Tensor,
    labels: Tensor,
    *,
    z0: Tensor | float,
    beta: float,
    desirable_weight: float,
    undesirable_weight: float,
) -> Tensor:
    """Lambda (1 - sigma(s beta (r - z0))) per element; 0 with a gradient of 0 where there is no label."""
    z0 = z0.detach() if isinstance(z0, Tensor) else z0
    right, wrong = labels == LabelCode.RIGHT, labels == LabelCode.WRONG
    # Not left to the weights below: what is masked may be NaN, and 0 * NaN is NaN.
    margins = torch.where(right | wrong, beta * (ratios - z0), 0.0)
    # 1 - sigma(x) = sigma(-x), which keeps its digits where sigma(x) is close to 1.
    losses = torch.sigmoid(torch.where(right, -margins, margins))
    # Not a product with a tensor of weights: that one would be float32 also where the losses are float64.
    return torch.where(right, desirable_weight * losses, torch.where(wrong, undesirable_weight * losses, 0.0))


def _at_least_one(count: Count) -> Count:
    """The divisor of a mean whose sum is 0 when there is nothing."""
    return count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1)


def _check_tensors(step_logps: Tensor, ref_step_logps: Tensor, step_labels: Tensor, outcome_labels: Tensor) -> None:
    shape = step_logps.shape
    if step_logps.ndim != 2 or ref_step_logps.shape != shape or step_labels.shape != shape:
        raise ShapeError(
            f"step_logps {_shape(step_logps)}, ref_step_logps {_shape(ref_step_logps)} and step_labels "
            f"{_shape(step_labels)} must have one shape (B, H); pad labels with {LabelCode.ABSENT:d}"
        )
    if outcome_labels.shape != shape[:1]:
        raise ShapeError(f"outcome_labels {_shape(outcome_labels)} must be ({shape[0]},); give one per response")
    for name, tensor in (("step_logps", step_logps), ("ref_step_logps", ref_step_logps)):
        if tensor.dtype not in _EXACT_DTYPES:
            raise ShapeError(f"{name} is {tensor.dtype}; give float32 or float64, sums of nats need the digits")
    for name, tensor in (("step_labels", step_labels), ("outcome_labels", outcome_labels)):
        if tensor.dtype != torch.int8:
            raise ShapeError(
                f"{name} is {tensor.dtype}; give int8 codes (1 right, 0 wrong, -1 unknown, -2 no such step)"
            )


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
