"""The reference point z0 of each term. Shapes: B mismatched pairs, H most steps of a pair's answer.

A pair is the prompt of one row and the answer of a row with another prompt. z0 is the mean log-ratio of such answers,
KL(pi(y' | x) || pi_ref(y' | x)) as KTO estimates it (arXiv 2402.01306), without gradient and at least 0.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from twllm_types import ShapeError

StepZ0: TypeAlias = Literal["segments", "zero", "sampled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Z0:
    """A reference point in nats, without gradient; both tensors are 0-dimensional.

    Attributes:
        raw: the estimate; log it too, since the clamp hides that it fell below 0.
        clamped: max(raw, 0), what the loss takes.
    """

    raw: Tensor
    clamped: Tensor


def outcome_z0_sums(step_log_ratios_BH: Tensor, present_BH: Tensor) -> Tensor:
    """Sum and count of the mismatched answers' log-ratios; add them over micro-batches and ranks, then `mean_z0`.

    Sum over all ranks / count over all ranks, as the authors of KTO do it; TRL takes the mean of the ranks' means,
    which is the same where ranks hold equally many pairs.

    Args:
        step_log_ratios_BH: log pi - log pi_ref of each step of the mismatched answer, nats.
        present_BH: bool, True where the answer has such a step. An answer without any counts as no pair.

    Returns:
        Shape (2,): sum over answers of their whole log-ratio, number of answers; no gradient.

    Raises:
        ShapeError: the shapes differ.
    """
    ratios_BH = _present(step_log_ratios_BH, present_BH)
    return torch.stack((ratios_BH.sum(), present_BH.any(dim=1).sum().to(ratios_BH.dtype)))


def step_z0_sums(step_log_ratios_BH: Tensor, present_BH: Tensor) -> Tensor:
    """Sum and count of the mismatched steps' log-ratios; add them over micro-batches and ranks, then `mean_z0`.

    Estimator "segments" (ours, step_kto.md 2.3 A): the steps of the mismatched answers, so that no further forward is
    needed. Estimator "sampled" (2.3 B): the same of one mismatched step a response, H = 1.

    Args:
        step_log_ratios_BH: log pi - log pi_ref of each step of the mismatched answer, nats.
        present_BH: bool, True where there is such a step.

    Returns:
        Shape (2,): sum over all steps, number of steps; no gradient.

    Raises:
        ShapeError: the shapes differ.
    """
    ratios_BH = _present(step_log_ratios_BH, present_BH)
    return torch.stack((ratios_BH.sum(), present_BH.sum().to(ratios_BH.dtype)))


def mean_z0(sums: Tensor) -> Z0:
    """Turn sum and count into a reference point; a count of 0 gives 0.

    Args:
        sums: shape (2,), of `outcome_z0_sums` or `step_z0_sums`, added up over whatever belongs together.

    Raises:
        ShapeError: the shape is not (2,).
    """
    if sums.shape != (2,):
        raise ShapeError(f"sums {tuple(sums.shape)} must be (2,): sum and count")
    total, count = sums.detach().unbind()
    raw = total / count.clamp(min=1)
    return Z0(raw=raw, clamped=raw.clamp(min=0))


def zero_z0(like: Tensor) -> Z0:
    """The estimator "zero": no reference point, as in APO-zero-unpaired (arXiv 2408.06266).

    Args:
        like: gives dtype and device.
    """
    zero = torch.zeros((), dtype=like.dtype, device=like.device)
    return Z0(raw=zero, clamped=zero)


def mismatched_z0(step_log_ratios_BH: Tensor, present_BH: Tensor) -> tuple[Z0, Z0]:
    """Reference points of outcome and step from one mismatched forward of one process.

    Args:
        step_log_ratios_BH: log pi - log pi_ref of each step of the mismatched answer, nats.
        present_BH: bool, True where the answer has such a step.

    Returns:
        z0 of the outcome term, z0 of the step term (estimator "segments").

    Raises:
        ShapeError: the shapes differ.
    """
    return (
        mean_z0(outcome_z0_sums(step_log_ratios_BH, present_BH)),
        mean_z0(step_z0_sums(step_log_ratios_BH, present_BH)),
    )


def _present(step_log_ratios_BH: Tensor, present_BH: Tensor) -> Tensor:
    if step_log_ratios_BH.ndim != 2 or step_log_ratios_BH.shape != present_BH.shape:
        raise ShapeError(
            f"log-ratios {tuple(step_log_ratios_BH.shape)} and presence {tuple(present_BH.shape)} must both be (B, H)"
        )
    return torch.where(present_BH, step_log_ratios_BH.detach(), 0.0)
