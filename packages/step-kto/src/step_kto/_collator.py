"""Batches for the trainer. Shapes: B rows, T longest row, C longest completion, H most steps, N completion tokens.

Each view of a batch is a dictionary of tensors:

- what the model reads: `input_ids` and `attention_mask` (B, T), padded on the right; or, padding-free, `input_ids` and
  `position_ids` (1, sum of the rows' tokens), where positions begin again with each row;
- what is scored: `source_N`, the places in the flattened hidden states that predict each completion token;
  `target_N`, those tokens; `slot_N`, where each goes in the flattened (B, C); `step_ids_BC`, -1 where there is none;
- `present_BH`: whether a row has such a step; `ref_BH`: the reference's sums, where they were computed before.
"""

# pyright: standard
# batches are dictionaries as transformers takes them

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from step_kto._labels import LabelCode
from step_kto._prepare import Example
from step_kto._views import View, ViewName

ViewBatch: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepKTOCollator:
    """Puts examples into one batch: `rows_B` and labels, and for each view its tensors.

    Attributes:
        pad_id: token that fills rows up; its value has no influence.
        padding_free: rows one behind the other.
    """

    pad_id: int
    padding_free: bool

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Collate at least one example; all have the same views."""
        num_steps = max(1, *(len(example.step_codes) for example in examples))
        batch: dict[str, Any] = {
            # first, since transformers reads the batch's size from the first tensor
            "rows_B": torch.tensor([example.place for example in examples]),
            "outcome_labels_B": torch.tensor([example.outcome_code for example in examples], dtype=torch.int8),
            "step_labels_BH": torch.tensor(
                [_filled(example.step_codes, num_steps, LabelCode.ABSENT) for example in examples], dtype=torch.int8
            ),
        }
        for name in examples[0].views:
            batch[name] = self._view(name, examples)
        # transformers counts tokens and operations here
        batch["input_ids"] = batch["matched"]["input_ids"]
        return batch

    def _view(self, name: ViewName, examples: Sequence[Example]) -> ViewBatch:
        refs = [None if example.ref_sums is None else example.ref_sums[name] for example in examples]
        return self.view_batch([example.views[name] for example in examples], refs)

    def view_batch(self, views: Sequence[View], refs: Sequence[tuple[float, ...] | None] = ()) -> ViewBatch:
        """Collate sequences; `refs` holds the reference's sums of each, or nothing."""
        batch = self._packed(views) if self.padding_free else self._padded(views)
        widest = max(1, *(len(view.completion_ids) for view in views))
        num_steps = max(1, *(view.num_steps for view in views))
        batch["target_N"] = torch.tensor([token for view in views for token in view.completion_ids], dtype=torch.long)
        batch["slot_N"] = torch.tensor(
            [row * widest + at for row, view in enumerate(views) for at in range(len(view.completion_ids))],
            dtype=torch.long,
        )
        batch["step_ids_BC"] = torch.tensor([_filled(view.step_ids, widest, -1) for view in views])
        batch["present_BH"] = torch.tensor([[step < view.num_steps for step in range(num_steps)] for view in views])
        if refs and refs[0] is not None:
            batch["ref_BH"] = torch.tensor([_filled(ref or (), num_steps, 0.0) for ref in refs], dtype=torch.float32)
        return batch

    def _padded(self, views: Sequence[View]) -> ViewBatch:
        widest = max(view.num_tokens for view in views)
        rows = [view.prompt_ids + view.completion_ids for view in views]
        return {
            "input_ids": torch.tensor([_filled(row, widest, self.pad_id) for row in rows]),
            "attention_mask": torch.tensor([_filled((1,) * len(row), widest, 0) for row in rows]),
            "source_N": _sources(views, [row * widest for row in range(len(views))]),
        }

    def _packed(self, views: Sequence[View]) -> ViewBatch:
        starts = [sum(view.num_tokens for view in views[:row]) for row in range(len(views))]
        return {
            "input_ids": torch.tensor([[token for view in views for token in view.prompt_ids + view.completion_ids]]),
            "position_ids": torch.tensor([[at for view in views for at in range(view.num_tokens)]]),
            "source_N": _sources(views, starts),
        }


def _sources(views: Sequence[View], starts: Sequence[int]) -> Tensor:
    """Places of the hidden states that predict the completion tokens: one before each."""
    places = [
        start + len(view.prompt_ids) - 1 + at
        for start, view in zip(starts, views, strict=True)
        for at in range(len(view.completion_ids))
    ]
    return torch.tensor(places, dtype=torch.long)


def _filled(values: Sequence[Any], length: int, filling: float) -> list[Any]:
    return [*values, *[filling] * (length - len(values))]
