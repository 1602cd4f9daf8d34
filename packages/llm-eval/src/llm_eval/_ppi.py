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

# Mean, weight, and one more for an error.
_LEAST_LABELLED_UNITS = 3
FEW_LABELLED_UNITS = 10


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
        num_labelled_units: clusters with a labelled item, or labelled items where none depend on each other.
        few_labelled_units: there are fewer than ten of them: weight and error rest on very little, and the interval
            is right for ratings that are about normal only.
    """

    corrected: Estimate
    human: Estimate
    judge: Estimate
    weight: float
    num_labelled: int
    num_unlabelled: int
    num_labelled_units: int
    few_labelled_units: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Ratings y and scores f of the labelled items, the scores of the others, and the cluster of each, y's first."""

    y: FloatArray
    f: FloatArray
    others: FloatArray
    units: Units
    num_labelled_units: int


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

    theta = mean(Y) + lambda (mean of f over the N unlabelled items - mean of f over the n labelled ones), lambda =
    Cov(mean(Y), mean(f)) / Var(difference of the two means of f). Without clusters this is the paper's Cov(Y, f) /
    ((1 + n / N) Var(f)), the variance over all items (their example of the mean). lambda is not cut to [0, 1], since a
    judge may use another scale or be right the wrong way round.

    With clusters, a_c is the sum of Y - mean in cluster c over n, b_c that of f - mean over n less that of the
    unlabelled over N, and C the number of clusters with a labelled item. The covariance is C / (C - 1) sum a_c b_c; the
    variance takes Var(f) and one covariance of two items of a cluster, both over all items. A cluster may hold labelled
    and unlabelled items. Clusters of one item give the paper's lambda exactly. This extension is ours.

    The variance of theta is C / (C - 2) sum (a_c - lambda b_c)^2 over the clusters with a labelled item, and
    C' / (C' - 1) sum (lambda b_c)^2 over the C' others: two degrees of freedom are gone with the mean and lambda, as in
    a regression. The interval takes Student's t with C - 1. The paper has n and the normal, which cover too little for
    few ratings; `benchmarks/llm_eval/ppi_coverage.md` shows how often ours hold the truth.

    Items must be labelled at random: a rating asked for hard items alone biases all of this. None with fewer than
    three labelled units, or no unlabelled item.

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
    num_labelled_units = labelled_units.num_units
    if num_labelled_units < _LEAST_LABELLED_UNITS or not others.size:
        return None
    joined = None if clusters is None or unlabelled_clusters is None else [*clusters, *unlabelled_clusters]
    units = read_units(y.size + others.size, joined)
    columns = _Columns(y=y, f=f, others=others, units=units, num_labelled_units=num_labelled_units)
    weight, stderr = _weight_and_error(columns)
    point = float(y.mean()) + weight * (float(others.mean()) - float(f.mean()))
    reach = student_quantile(level, num_labelled_units - 1) * stderr
    corrected = Estimate(
        mean=point,
        stderr=stderr,
        ci_low=point - reach,
        ci_high=point + reach,
        level=level,
        method=labelled_units.describe("PPI++ (Angelopoulos et al. 2023), student t"),
        unit=EstimateUnit.POINTS,
        n=y.size + others.size,
        num_clusters=units.num_clusters,
    )
    everything = np.concatenate([f, others])
    return CorrectedMean(
        corrected=corrected,
        human=mean_estimate(y, unit=EstimateUnit.POINTS, clusters=clusters, level=level),
        judge=mean_estimate(everything, unit=EstimateUnit.POINTS, clusters=joined, level=level),
        weight=weight,
        num_labelled=y.size,
        num_unlabelled=others.size,
        num_labelled_units=num_labelled_units,
        few_labelled_units=num_labelled_units < FEW_LABELLED_UNITS,
    )


def _weight_and_error(columns: _Columns) -> tuple[float, float]:
    y, f, others, units = columns.y, columns.f, columns.others, columns.units
    n, num_others, num = y.size, others.size, columns.num_labelled_units
    zeros = np.zeros(num_others)
    own = _sums(units, np.concatenate([(y - y.mean()) / n, zeros]))
    gap = _sums(units, np.concatenate([(f - f.mean()) / n, -(others - others.mean()) / num_others]))
    shares = np.concatenate([np.full(n, 1 / n), np.full(num_others, -1 / num_others)])
    alone, together = _variance_parts(np.concatenate([f, others]), units)
    modelled = alone * _sums(units, shares**2) + together * _sums(units, shares) ** 2
    spread = float(modelled.sum())
    weight = num / (num - 1) * float(own @ gap) / spread if spread > 0 else 0.0
    labelled = np.zeros(units.num_units, dtype=bool)
    labelled[units.codes[:n]] = True
    rest = own - weight * gap
    variance = num / (num - 2) * float(rest[labelled] @ rest[labelled])
    num_free = int((~labelled).sum())
    if num_free > 1:
        variance += num_free / (num_free - 1) * weight**2 * float(gap[~labelled] @ gap[~labelled])
    else:
        # One cluster alone shows no variance of its own.
        variance += weight**2 * float(modelled[~labelled].sum())
    return weight, sqrt(variance)


def _sums(units: Units, values: FloatArray) -> FloatArray:
    return np.bincount(units.codes, weights=values, minlength=units.num_units).astype(np.float64)


def _variance_parts(values: FloatArray, units: Units) -> tuple[float, float]:
    """Variance of the items less the covariance of two of one cluster, and that covariance, which is not negative."""
    deviations = values - values.mean()
    factor = units.num_units / (units.num_units - 1)
    variance = factor * float(values.var())
    num_pairs = int((units.sizes * (units.sizes - 1)).sum())
    if not num_pairs:
        return variance, 0.0
    products = float((_sums(units, deviations) ** 2).sum() - deviations @ deviations)
    together = min(variance, max(0.0, factor * products / num_pairs))
    return variance - together, together


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
            raise ConfigError("no trial has three labelled units and an unlabelled item; simulate more items")
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
