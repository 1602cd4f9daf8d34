"""How often the interval of a prediction-powered mean holds the truth, by simulation."""

from dataclasses import dataclass
from math import sqrt
from typing import cast

import numpy as np

from llm_eval._columns import FloatArray
from llm_eval._ppi import CorrectedMean, ppi_mean
from twllm_types import ConfigError, Estimate

# Mean of the invented ratings.
_TRUTH = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How often an interval held the truth in simulated data.

    Attributes:
        corrected: share of trials in which the prediction-powered interval held the true mean.
        human: the same of the human-only interval.
        judge: the same of the raw judge mean, which has the judge's bias.
        width_ratio: mean width of the corrected intervals over that of the human-only ones.
        num_trials: simulated data sets.
    """

    corrected: float
    human: float
    judge: float
    width_ratio: float
    num_trials: int


def simulate_coverage(
    *,
    seed: int,
    num_labelled: int = 60,
    num_unlabelled: int = 600,
    agreement: float = 0.7,
    bias: float = 0.5,
    cluster_size: int = 1,
    cluster_share: float = 0.3,
    num_trials: int = 1000,
    level: float = 0.95,
) -> Coverage:
    """Coverage of `ppi_mean` where the truth is known: normal ratings of mean 3 and a biased judge.

    Args:
        seed: of the data.
        num_labelled: items with a rating in each trial.
        num_unlabelled: items without.
        agreement: correlation of judge and rating, in [0, 1].
        bias: how much higher the judge scores, in standard deviations of the rating.
        cluster_size: items of one cluster; 1 for independent items.
        cluster_share: share of the variance that items of a cluster have in common.
        num_trials: data sets.
        level: coverage that the intervals promise.

    Raises:
        ConfigError: fewer than three labelled items or clusters, or no unlabelled item.
    """
    held, widths = np.zeros(3), np.zeros(2)
    rng = np.random.default_rng(seed)
    size = num_labelled + num_unlabelled
    labels = [at // cluster_size for at in range(size)] if cluster_size > 1 else None
    for _ in range(num_trials):
        y, f = _simulated(rng, size, agreement=agreement, cluster_size=cluster_size, cluster_share=cluster_share)
        found = _trial(_TRUTH + y, _TRUTH + bias + f, num_labelled, labels, level)
        ends = [_ends(estimate) for estimate in (found.corrected, found.human, found.judge)]
        held += [low <= _TRUTH <= high for low, high in ends]
        widths += [high - low for low, high in ends[:2]]
    corrected, human, judge = (held / num_trials).tolist()
    return Coverage(
        corrected=corrected,
        human=human,
        judge=judge,
        width_ratio=float(widths[0] / widths[1]),
        num_trials=num_trials,
    )


def _trial(y: FloatArray, f: FloatArray, num_labelled: int, labels: list[int] | None, level: float) -> CorrectedMean:
    found = ppi_mean(
        y[:num_labelled],
        f[:num_labelled],
        f[num_labelled:],
        clusters=None if labels is None else labels[:num_labelled],
        unlabelled_clusters=None if labels is None else labels[num_labelled:],
        level=level,
    )
    if found is None:
        raise ConfigError("no trial has three labelled units and an unlabelled item; simulate more items")
    return found


def _simulated(
    rng: np.random.Generator, size: int, *, agreement: float, cluster_size: int, cluster_share: float
) -> tuple[FloatArray, FloatArray]:
    shared = np.repeat(rng.normal(size=(2, -(-size // cluster_size))), cluster_size, axis=1)[:, :size]
    part = cluster_share if cluster_size > 1 else 0.0
    y, noise = sqrt(part) * shared + sqrt(1 - part) * rng.normal(size=(2, size))
    return y, agreement * y + sqrt(1 - agreement**2) * noise


def _ends(estimate: Estimate) -> tuple[float, float]:
    # Two units, which `ppi_mean` asks for, always have an interval.
    return cast("float", estimate.ci_low), cast("float", estimate.ci_high)
