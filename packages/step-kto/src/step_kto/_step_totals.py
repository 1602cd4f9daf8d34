"""What the loss of one micro-batch needs to know of its whole optimizer step. Shapes: B rows, H most steps.

Micro-batches and processes each give one vector of fixed size; their sum is turned into counts and reference points.
A fixed size also where a process has one class, or none: collective operations then never wait for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from step_kto._loss import LossCounts
from step_kto._z0 import Z0, mean_z0, outcome_z0_sums, step_z0_sums

Mismatched: TypeAlias = tuple[Tensor, Tensor]
"""Log-ratios of the steps of mismatched pairs, (B, H), nats, and where there is such a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTotals:
    """Over all micro-batches and processes of an optimizer step.

    Attributes:
        counts: what the terms are divided by.
        z0_outcome: reference point of the outcome term, nats.
        z0_step: of the step term.
    """

    counts: LossCounts
    z0_outcome: Z0
    z0_step: Z0


def totals_vector(
    counts: Sequence[LossCounts],
    *,
    outcome_pairs: Sequence[Mismatched],
    step_pairs: Sequence[Mismatched],
    stop: bool,
    device: torch.device,
) -> Tensor:
    """Add up the micro-batches of one process.

    Args:
        counts: of each micro-batch.
        outcome_pairs: what z0 of the outcome term is taken from; nothing for the estimator "zero".
        step_pairs: what z0 of the step term is taken from; likewise.
        stop: this process was told to stop.
        device: of the result.

    Returns:
        Shape (7,), to be added up over the processes and given to `totals_of` and `wants_stop`.
    """
    # float32 where the device has nothing longer
    dtype = torch.float32 if device.type == "mps" else torch.float64
    vector = torch.zeros(7, dtype=dtype, device=device)
    for ratios_BH, present_BH in outcome_pairs:
        vector[0:2] += outcome_z0_sums(ratios_BH, present_BH)
    for ratios_BH, present_BH in step_pairs:
        vector[2:4] += step_z0_sums(ratios_BH, present_BH)
    for count in counts:
        vector[4] += count.num_outcomes
        vector[5] += count.num_steps
    vector[6] = float(stop)
    return vector


def totals_of(vector: Tensor) -> StepTotals:
    """Turn the sum of all processes' vectors into counts and reference points."""
    return StepTotals(
        counts=LossCounts(num_outcomes=vector[4].long(), num_steps=vector[5].long()),
        z0_outcome=mean_z0(vector[0:2].float()),
        z0_step=mean_z0(vector[2:4].float()),
    )


def wants_stop(vector: Tensor) -> bool:
    """Whether any process was told to stop."""
    return bool(vector[6] > 0)
