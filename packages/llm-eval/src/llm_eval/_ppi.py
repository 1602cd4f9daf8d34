"""Means of human ratings from few ratings and many judgements: prediction-powered inference.

PPI++ of Angelopoulos, Duchi and Zrnic (2023, arXiv 2311.01453), their example of the mean: theta = mean(Y) +
lambda (mean of f over the N unlabelled items - mean of f over the n labelled ones), lambda = Cov(mean(Y), mean(f)) /
Var(difference of the two means of f). Without clusters this is the paper's Cov(Y, f) / ((1 + n / N) Var(f)), the
variance over all items. lambda is not cut to [0, 1], since a judge may use another scale or be right the wrong way
round; it is 0 where the judge gives all items the same.

With clusters (this extension is ours), a_c is the sum of Y - mean in cluster c over n, b_c that of f - mean over n less
that of the unlabelled over N, and C the number of clusters with a labelled item. The covariance is C / (C - 1)
sum a_c b_c; the variance takes Var(f) and one covariance of two items of a cluster, both over all items. A cluster may
hold labelled and unlabelled items. Clusters of one item give the paper's lambda exactly.

The variance of theta is C / (C - 2) sum (a_c - lambda b_c)^2 over the clusters with a labelled item, and C' / (C' - 1)
sum (lambda b_c)^2 over the C' others: two degrees of freedom are gone with the mean and lambda, as in a regression. The
interval takes Student's t with C - 1. The paper has n and the normal, which cover too little for few ratings;
`benchmarks/llm_eval/ppi_coverage.md` shows how often ours hold the truth.
"""

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np

from llm_eval._columns import FloatArray, Labels, Units, Values, as_point_pair, as_points, near_one, read_units
from twllm_runs.statistics import mean_estimate, student_quantile
from twllm_types import ConfigError, DataError, Estimate, EstimateUnit

# Mean, weight, and one more for an error.
_LEAST_LABELLED_UNITS = 3
FEW_LABELLED_UNITS = 10
FEW_LABELLED = "few labelled units"
# Means are rounded to 12 digits: what differs by less, beside a largest score of about one, is the same.
_ROUNDING = 1e-11


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
    """PPI++ estimate of the mean human rating; the formulas stand at the head of this module.

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
        DataError: columns of unequal length, values that are not finite or beyond ±1e100, or labels that do not fit.
        ConfigError: a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ConfigError(f"level {level} must lie in (0, 1); for a 95 % interval give 0.95")
    y, f = as_point_pair(human, judge, names=("human", "judge"))
    others = as_points(unlabelled, name="unlabelled")
    if (clusters is None) != (unlabelled_clusters is None):
        raise DataError("only one of clusters and unlabelled_clusters is given; give both or neither")
    num_labelled_units = read_units(y.size, clusters).num_units
    if num_labelled_units < _LEAST_LABELLED_UNITS or not others.size:
        return None
    joined = None if clusters is None or unlabelled_clusters is None else [*clusters, *unlabelled_clusters]
    units = read_units(y.size + others.size, joined)
    columns = _Columns(y=y, f=f, others=others, units=units, num_labelled_units=num_labelled_units)
    weight, stderr = _weight_and_error(columns)
    return CorrectedMean(
        corrected=_corrected(columns, weight, stderr, level),
        human=mean_estimate(y, unit=EstimateUnit.POINTS, clusters=clusters, level=level),
        judge=mean_estimate(np.concatenate([f, others]), unit=EstimateUnit.POINTS, clusters=joined, level=level),
        weight=weight,
        num_labelled=y.size,
        num_unlabelled=others.size,
        num_labelled_units=num_labelled_units,
        few_labelled_units=num_labelled_units < FEW_LABELLED_UNITS,
    )


def _corrected(columns: _Columns, weight: float, stderr: float, level: float) -> Estimate:
    y, f, others = columns.y, columns.f, columns.others
    point = float(y.mean()) + weight * (float(others.mean()) - float(f.mean()))
    reach = student_quantile((1 + level) / 2, columns.num_labelled_units - 1) * stderr
    return Estimate(
        mean=point,
        stderr=stderr,
        ci_low=point - reach,
        ci_high=point + reach,
        level=level,
        method=columns.units.describe("PPI++ (Angelopoulos et al. 2023), student t"),
        unit=EstimateUnit.POINTS,
        n=y.size + others.size,
        num_clusters=columns.units.num_clusters,
    )


def _weight_and_error(columns: _Columns) -> tuple[float, float]:
    # By powers of two, which are exact, so that squares of tiny or huge scores stay among the floats.
    y, y_exponent = near_one(columns.y)
    everything, f_exponent = near_one(np.concatenate([columns.f, columns.others]))
    n, num, units = y.size, columns.num_labelled_units, columns.units
    f, others = everything[:n], everything[n:]
    num_others = others.size
    zeros = np.zeros(num_others)
    own = _sums(units, np.concatenate([(y - y.mean()) / n, zeros]))
    gap = _sums(units, np.concatenate([(f - f.mean()) / n, -(others - others.mean()) / num_others]))
    shares = np.concatenate([np.full(n, 1 / n), np.full(num_others, -1 / num_others)])
    alone, together = _variance_parts(everything, units)
    modelled = alone * _sums(units, shares**2) + together * _sums(units, shares) ** 2
    spread = float(modelled.sum())
    is_constant = spread == 0 or float(np.ptp(everything)) <= _ROUNDING
    weight = 0.0 if is_constant else num / (num - 1) * float(own @ gap) / spread
    with np.errstate(over="ignore"):
        on_scale = float(np.ldexp(weight, y_exponent - f_exponent))
    if not isfinite(on_scale):
        # Scores so small beside the ratings that no float holds their weight.
        weight = on_scale = 0.0
    variance = _variance(own, gap, modelled, weight, columns)
    return on_scale, float(np.ldexp(sqrt(variance), y_exponent))


def _variance(own: FloatArray, gap: FloatArray, modelled: FloatArray, weight: float, columns: _Columns) -> float:
    units, num = columns.units, columns.num_labelled_units
    rest = own - weight * gap
    labelled = np.zeros(units.num_units, dtype=bool)
    labelled[units.codes[: columns.y.size]] = True
    variance = num / (num - 2) * float(rest[labelled] @ rest[labelled])
    num_free = int((~labelled).sum())
    if num_free > 1:
        variance += num_free / (num_free - 1) * weight**2 * float(gap[~labelled] @ gap[~labelled])
    else:
        # One cluster alone shows no variance of its own.
        variance += weight**2 * float(modelled[~labelled].sum())
    return variance


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
