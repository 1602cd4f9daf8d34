"""In which order places of a prepared set are visited; a function of seed and epoch, so that a resumed run agrees."""

# pyright: standard
# torch's Sampler is not strictly typed

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from step_kto._prepare import FILLER_PLACE


class EpochSampler(Sampler[int]):
    """Each row once an epoch, then fillers until every process has equally many rows.

    Without fillers accelerate repeats rows from the start of the epoch, which would count twice. A filler has no
    label and no token to score.

    Args:
        num_rows: of the set.
        num_pairings: epoch e visits pairing e mod num_pairings.
        multiple: fillers bring the number of places to a multiple of this; 1 for none.
        seed: of the order; None for rows in order.
    """

    def __init__(self, *, num_rows: int, num_pairings: int, multiple: int, seed: int | None) -> None:
        self._num_rows = num_rows
        self._num_pairings = num_pairings
        self._num_fillers = -num_rows % multiple
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; accelerate's loader calls it."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Places of an epoch, fillers included."""
        return self._num_rows + self._num_fillers

    def __iter__(self) -> Iterator[int]:
        """Yield row + num_rows * pairing, then fillers."""
        offset = (self._epoch % self._num_pairings) * self._num_rows
        for row in self._order():
            yield row + offset
        yield from [FILLER_PLACE] * self._num_fillers

    def _order(self) -> list[int]:
        if self._seed is None:
            return list(range(self._num_rows))
        generator = torch.Generator().manual_seed((self._seed * 1_000_003 + self._epoch) % (1 << 63))
        return torch.randperm(self._num_rows, generator=generator).tolist()
