"""Figures of training: sums and counts on the device, means when something is logged. Shapes: B rows, H most steps.

Nothing is copied to the host and nothing is exchanged between processes until `means` is called. A figure without a
single count is left out, so that no log holds NaN.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from step_kto._labels import LabelCode
from step_kto._loss import LossCounts, StepKTOLoss
from step_kto._z0 import Z0

# In the order in which they stand in the vector.
_FIGURES = (
    "outcome_loss",
    "step_loss",
    "rewards/outcome_right",
    "rewards/outcome_wrong",
    "rewards/step_right",
    "rewards/step_wrong",
    "z0/outcome",
    "z0/outcome_raw",
    "z0/step",
    "z0/step_raw",
    "length/completion_tokens",
    "length/steps",
    "masked_steps_share",
)
_MARGINS = {"margins/outcome": "outcome", "margins/step": "step"}


class TrainingLog:
    """Adds up what was seen since the last log.

    Args:
        device: of the tensors that come.
    """

    def __init__(self, device: torch.device) -> None:
        # float32 where the device has nothing longer
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._sums = torch.zeros(len(_FIGURES), 2, dtype=dtype, device=device)
        self._empty = True

    def add(
        self,
        loss: StepKTOLoss,
        *,
        totals: LossCounts,
        here: LossCounts,
        step_labels_BH: Tensor,
        outcome_labels_B: Tensor,
        num_tokens: Tensor,
    ) -> None:
        """Add one micro-batch.

        Args:
            loss: of it, divided by `totals`.
            totals: counts of the whole optimizer step.
            here: counts of the micro-batch.
            step_labels_BH: as for the loss.
            outcome_labels_B: likewise.
            num_tokens: completion tokens.
        """
        present_BH = step_labels_BH != LabelCode.ABSENT
        num_responses = present_BH.any(dim=1).sum()
        rewards_B, rewards_BH = loss.outcome_rewards_B, loss.step_rewards_BH
        pairs = {
            "outcome_loss": (loss.outcome_loss.detach() * totals.num_outcomes.clamp(min=1), here.num_outcomes),
            "step_loss": (loss.step_loss.detach() * totals.num_steps.clamp(min=1), here.num_steps),
            "rewards/outcome_right": _masked(rewards_B, outcome_labels_B == LabelCode.RIGHT),
            "rewards/outcome_wrong": _masked(rewards_B, outcome_labels_B == LabelCode.WRONG),
            "rewards/step_right": _masked(rewards_BH, step_labels_BH == LabelCode.RIGHT),
            "rewards/step_wrong": _masked(rewards_BH, step_labels_BH == LabelCode.WRONG),
            "length/completion_tokens": (num_tokens, num_responses),
            "length/steps": (present_BH.sum(), num_responses),
            "masked_steps_share": ((step_labels_BH == LabelCode.UNKNOWN).sum(), present_BH.sum()),
        }
        self._add(pairs)

    def add_z0(self, outcome: Z0, step: Z0, *, num_ranks: int) -> None:
        """Add the reference points of one optimizer step, which every process knows: each adds its share."""
        values = {
            "z0/outcome": outcome.clamped,
            "z0/outcome_raw": outcome.raw,
            "z0/step": step.clamped,
            "z0/step_raw": step.raw,
        }
        share = torch.tensor(1 / num_ranks, device=self._sums.device)
        self._add({name: (value * share, share) for name, value in values.items()})

    def means(self, reduce: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Means over what was added since the last call, by all processes; then begin anew.

        Every process has to call it, also one that added nothing.

        Args:
            reduce: adds a tensor up over the processes.
        """
        totals, counts = reduce(self._sums).cpu().unbind(dim=1)
        self._sums = torch.zeros_like(self._sums)
        self._empty = True
        means = {
            name: float(total / count)
            for name, total, count in zip(_FIGURES, totals, counts, strict=True)
            if float(count) > 0
        }
        for margin, level in _MARGINS.items():
            right, wrong = means.get(f"rewards/{level}_right"), means.get(f"rewards/{level}_wrong")
            if right is not None and wrong is not None:
                means[margin] = right - wrong
        if "z0/outcome" in means:
            # the name under which TRL logs it
            means["kl"] = means["z0/outcome"]
        return means

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added since the last log; all processes agree, since they add in step."""
        return self._empty

    def _add(self, pairs: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        values = torch.zeros_like(self._sums)
        for row, name in enumerate(_FIGURES):
            if name in pairs:
                total, count = pairs[name]
                values[row, 0] = total
                values[row, 1] = count
        self._sums += values
        self._empty = False


def _masked(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(mask, values, 0.0).sum(), mask.sum()
