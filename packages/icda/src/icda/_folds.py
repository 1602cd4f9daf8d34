"""Which seeds are held out together when thresholds are cross-fitted. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from icda._pvi import IntArray
from twllm_types import ConfigError, DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossFit:
    """Thresholds from the seeds alone: fold by fold, fitted on the others and scored on the held-out ones.

    Attributes:
        num_folds: >= 2; 5 is the brief's (§7).

    Raises:
        ConfigError: fewer than two folds.
    """

    num_folds: int = 5

    def __post_init__(self) -> None:
        if self.num_folds < 2:
            raise ConfigError(f"num_folds is {self.num_folds}; give at least 2")


def fold_of(position: int, num_folds: int) -> int:
    """Fold of the seed at `position` (0-based, within its intent): position mod folds.

    Raises:
        ConfigError: a position below 0, or fewer than two folds.
    """
    if position < 0 or num_folds < 2:
        raise ConfigError(f"position {position} of {num_folds} folds; give a position >= 0 and at least 2 folds")
    return position % num_folds


def seed_folds(labels: Sequence[str], num_folds: int = 5) -> IntArray:
    """Fold of each seed, shape (N,); the i-th seed of every intent goes to fold i mod `num_folds`.

    A seed that is its intent's only one gets -1: it is never held out, since nothing would be left to fit the intent
    on, and `class_thresholds` gives that intent the global threshold. A fold above the largest number of seeds has no
    row.

    Args:
        labels: of the seeds, in the order of the data.
        num_folds: >= 2.

    Raises:
        DataError: no intent has two seeds.
        ConfigError: fewer than two folds.
    """
    positions: dict[str, int] = {}
    folds = np.empty(len(labels), dtype=np.int64)
    for row, label in enumerate(labels):
        position = positions.get(label, 0)
        folds[row] = fold_of(position, num_folds)
        positions[label] = position + 1
    if not any(count > 1 for count in positions.values()):
        raise DataError(
            "no intent has two seeds, so none can be held out; add a seed per intent, or give validation rows"
        )
    lone = np.fromiter((positions[label] == 1 for label in labels), dtype=bool, count=len(labels))
    folds[lone] = -1
    return folds
