"""The best of several responses to one prompt, by their scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from twllm_types import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOf:
    """Which response is best.

    Attributes:
        index: of the best; None where none has a score.
        tied: every index with the best score, in order, the chosen one first; more than one means a tie.
        num_unscored: responses without a score; they cannot win.
    """

    index: int | None
    tied: tuple[int, ...]
    num_unscored: int


def best_of(scores: Sequence[float | None]) -> BestOf:
    """Return the response with the highest score.

    Of equal scores the first in the given order wins: the order is the caller's, no score of ours, so a caller that
    wants chance or the shorter text sorts beforehand. Scores count as equal only where they are the same number.

    Args:
        scores: one per response, None where it has none; at least one.

    Raises:
        ConfigError: there is no response, or a score is NaN.
    """
    if not scores or any(score is not None and isnan(score) for score in scores):
        raise ConfigError(f"scores {scores} have no best; give at least one response, and None for no score")
    known = [score for score in scores if score is not None]
    best = max(known, default=None)
    tied = tuple(index for index, score in enumerate(scores) if score is not None and score == best)
    return BestOf(index=tied[0] if tied else None, tied=tied, num_unscored=len(scores) - len(known))
