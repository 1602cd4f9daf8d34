"""Means of human ratings from few ratings and many judgements: prediction-powered inference."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import cast

import numpy as np

from llm_eval._columns import FloatArray, Labels, Units, Values, as_column, as_pair, read_units
from llm_eval._student import student_quantile
from twllm_runs.statistics import mean_estimate
from twllm_types import ConfigError, DataError, Estimate, EstimateUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedMean:
    """The mean rating of a system, in three ways.

    Attributes:
        corrected: prediction-powered mean of the human rating.
        human: mean of the human ratings alone.
        judge: mean of the judge's scores over all items, on the judge's own scale; its interval covers chance in the
            items, not the judge's bias.
        weight: lambda, how far the judge is trusted; 0 makes `corrected` the human mean.
        num_labelled: items with a judgement and a human rating.
        num_unlabelled: items with a judgement alone.
    """

    corrected: Estimate
    human: Estimate
    judge: Estimate
    weight: float
    num_labelled: int
    num_unlabelled: int


def ppi_mean(
    human: Values,
    judge: Values,
    unlabelled: Values,
    *,
    clusters: Labels | None = None,
    unlabelled_clusters: Labels | None = None,
    level: float = 0.95,
) -> CorrectedMean | None:
    """PPI++ estimate of the mean human rating (Angelopoulos, Duchi and Zrnic 2023, arXiv 2311.01453).

    theta = mean(Y) + lambda (mean of f over the N unlabelled items - mean of f over the n labelled ones). Without
    clusters lambda = Cov(Y, f) / ((1 + n / N) Var(f)), the variance over all items (their example of the mean), and the
    variance of theta is Var(Y - lambda f) / n + lambda^2 Var(f) / N. lambda is not cut to [0, 1], since a judge may
    use another scale or be right the wrong way round.

    With clusters, both are of sums over clusters: with a_c the sum of Y - mean in cluster c over n, b_c that of
    f - mean over n less that of the unlabelled over N, lambda = sum a_c b_c / sum b_c^2 and the variance is
    C / (C - 1) sum (a_c - lambda b_c)^2. A cluster may hold labelled and unlabelled items. This extension is ours.

    The interval takes Student's t with the labelled units less one, where the paper takes the normal, which covers too
    little for a few dozen ratings. Items must be labelled at random: a rating asked for hard items alone biases all of
    this. None with fewer than two labelled units, or no unlabelled item.

    Args:
        human: mean rating of each labelled item.
        judge: score of the same items.
        unlabelled: score of each item without a rating.
        clusters: label of each labelled item; None where items are independent.
        unlabelled_clusters: the same of the unlabelled items; given exactly when `clusters` is.
        level: coverage, in (0, 1).

    Raises:
        DataError: columns of unequal length, values that are not finite, or labels that do not fit.
        ConfigError: a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ConfigError(f"level {level} must lie in (0, 1); for a 95 % interval give 0.95")
    y, f = as_pair(human, judge)
    others = as_column(unlabelled, name="unlabelled")
    if (clusters is None) != (unlabelled_clusters is None):
        raise DataError("only one of clusters and unlabelled_clusters is given; give both or neither")
    labelled_units = read_units(y.size, clusters)
    if labelled_units.num_units < 2 or not others.size:
        return None
    units = _all_units(y.size, others.size, clusters, unlabelled_clusters)
    weight = _weight(y, f, others, units)
    point = float(y.mean()) + weight * (float(others.mean()) - float(f.mean()))
    stderr = _stderr(y, f, others, units, weight=weight)
    reach = student_quantile(level, labelled_units.num_units - 1) * stderr
    words = "PPI++ (Angelopoulos et al. 2023), student t"
    corrected = Estimate(
        mean=point,
        stderr=stderr,
        ci_low=point - reach,
        ci_high=point + reach,
        level=level,
        method=labelled_units.describe(words),
        unit=EstimateUnit.POINTS,
        n=y.size + others.size,
        num_clusters=units.num_clusters,
    )
    joined = None if clusters is None or unlabelled_clusters is None else [*clusters, *unlabelled_clusters]
    everything = np.concatenate([f, others])
    return CorrectedMean(
        corrected=corrected,
        human=mean_estimate(y, unit=EstimateUnit.POINTS, clusters=clusters, level=level),
        judge=mean_estimate(everything, unit=EstimateUnit.POINTS, clusters=joined, level=level),
        weight=weight,
        num_labelled=y.size,
        num_unlabelled=others.size,
    )


def _all_units(num_labelled: int, num_unlabelled: int, clusters: Labels | None, unlabelled: Labels | None) -> Units:
    joined = None if clusters is None or unlabelled is None else [*clusters, *unlabelled]
    return read_units(num_labelled + num_unlabelled, joined)


def _weight(y: FloatArray, f: FloatArray, others: FloatArray, units: Units) -> float:
    if units.clustered:
        own, gap = _influence(y, f, others, units)
        return _share(float(own @ gap), float(gap @ gap))
    covariance = float((y - y.mean()) @ (f - f.mean())) / (y.size - 1)
    variance = float(np.concatenate([f, others]).var(ddof=1))
    return _share(covariance, (1 + y.size / others.size) * variance)


def _share(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else 0.0


def _stderr(y: FloatArray, f: FloatArray, others: FloatArray, units: Units, *, weight: float) -> float:
    if units.clustered:
        own, gap = _influence(y, f, others, units)
        sums = own - weight * gap
        return sqrt(units.num_units / (units.num_units - 1) * float(sums @ sums))
    of_others = float(others.var(ddof=1)) / others.size if others.size > 1 else 0.0
    return sqrt(float((y - weight * f).var(ddof=1)) / y.size + weight**2 * of_others)


def _influence(y: FloatArray, f: FloatArray, others: FloatArray, units: Units) -> tuple[FloatArray, FloatArray]:
    """What each cluster adds to the error of the human mean, and of the gap between the judge's two means."""
    zeros = np.zeros(others.size)
    own = np.concatenate([(y - y.mean()) / y.size, zeros])
    gap = np.concatenate([(f - f.mean()) / f.size, -(others - others.mean()) / others.size])
    of_own, of_gap = (np.bincount(units.codes, weights=part, minlength=units.num_units) for part in (own, gap))
    return of_own.astype(np.float64), of_gap.astype(np.float64)


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
        ConfigError: fewer than two labelled items or clusters, or no unlabelled item.
    """
    rng = np.random.default_rng(seed)
    truth = 3.0
    held = np.zeros(3)
    widths = np.zeros(2)
    size = num_labelled + num_unlabelled
    labels = [at // cluster_size for at in range(size)] if cluster_size > 1 else None
    for _ in range(num_trials):
        y, f = _simulated(rng, size, agreement=agreement, cluster_size=cluster_size, cluster_share=cluster_share)
        found = ppi_mean(
            truth + y[:num_labelled],
            truth + bias + f[:num_labelled],
            truth + bias + f[num_labelled:],
            clusters=None if labels is None else labels[:num_labelled],
            unlabelled_clusters=None if labels is None else labels[num_labelled:],
            level=level,
        )
        if found is None:
            raise ConfigError("no trial has two labelled units and an unlabelled item; simulate more items")
        ends = [_ends(estimate) for estimate in (found.corrected, found.human, found.judge)]
        held += [low <= truth <= high for low, high in ends]
        widths += [high - low for low, high in ends[:2]]
    shares: Sequence[float] = (held / num_trials).tolist()
    return Coverage(
        corrected=shares[0],
        human=shares[1],
        judge=shares[2],
        width_ratio=float(widths[0] / widths[1]),
        num_trials=num_trials,
    )


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
