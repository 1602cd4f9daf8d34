"""How far people agree, which bounds what a judge can reach; and how far a judge agrees with itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from math import sqrt

import numpy as np

from llm_eval._columns import FloatArray, Labels, Units, Values, as_pair, as_rows, check_draws, read_units
from llm_eval._correlation import Correlation, CorrelationMethod, NoCorrelation, average_ranks, correlate, pearson
from llm_eval._draws import resampled_counts
from llm_eval._resample import interval_estimate
from twllm_types import Estimate


class NoReliability(StrEnum):
    """Why agreement of raters is undefined."""

    TOO_FEW_ITEMS = "too_few_items"
    """Fewer than three rated items, or two systems where their means are compared."""
    ONE_RATING_EACH = "one_rating_each"
    CONSTANT_RATINGS = "constant_ratings"
    """All items, or systems, have the same mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Agreement of the raters of one dimension.

    Attributes:
        icc_single: ICC(1,1), what one rating is worth; None where undefined. May be negative.
        icc_mean: ICC(1,k), what the mean of an item's ratings is worth; may be negative.
        ceiling: sqrt(max(0, ICC(1,k))), about the largest correlation with the mean rating that can be expected of any
            judge (attenuation: Spearman 1904), with its bootstrap interval.
        raters_per_item: k0, the effective number of ratings per item.
        reason: why there is nothing; None exactly where there is something.
        n: items with a rating, or systems.
        num_ratings: ratings of all items.
    """

    icc_single: float | None
    icc_mean: float | None
    ceiling: Estimate | None
    raters_per_item: float | None
    reason: NoReliability | None
    n: int
    num_ratings: int


def reliability(
    ratings: Sequence[Sequence[float]],
    *,
    seed: int,
    clusters: Labels | None = None,
    draws: int = 2000,
    level: float = 0.95,
) -> Reliability:
    """One-way random effects: each item is rated by its own raters (Shrout and Fleiss 1979, Psychological Bulletin 86).

    ICC(1,1) = (MSB - MSW) / (MSB + (k0 - 1) MSW), ICC(1,k) = (MSB - MSW) / MSB; with unequal raters k0 =
    (N - sum k_i^2 / N) / (n - 1) for N ratings of n items. Items without a rating are left out.

    Args:
        ratings: the ratings of each item.
        seed: of the draws.
        clusters: label per item; whole clusters are resampled.
        draws: resamples for the interval of the ceiling, at least 2.
        level: its coverage, in (0, 1).

    Raises:
        DataError: a rating that is not finite or beyond ±1e100, or labels that do not fit.
        ConfigError: a level outside (0, 1), or fewer than two draws.
    """
    check_draws(draws, level)
    units = read_units(len(ratings), clusters)
    rated = np.asarray([len(row) > 0 for row in ratings], dtype=bool)
    units = units.subset(rated)
    moments = _moments([row for row in ratings if row])
    n, num_ratings = units.num_items, int(moments[:, 0].sum())
    reason = _why_not(moments)
    if reason is not None:
        return no_reliability(reason, n=n, num_ratings=num_ratings)
    single, mean, k0 = (float(figure[0]) for figure in _icc(np.ones((1, n)), moments))
    return Reliability(
        icc_single=single,
        icc_mean=mean,
        ceiling=_ceiling(mean, moments, units=units, draws=draws, seed=seed, level=level),
        raters_per_item=k0,
        reason=None,
        n=n,
        num_ratings=num_ratings,
    )


def no_reliability(reason: NoReliability, *, n: int, num_ratings: int) -> Reliability:
    """No figure, and why."""
    return Reliability(
        icc_single=None,
        icc_mean=None,
        ceiling=None,
        raters_per_item=None,
        reason=reason,
        n=n,
        num_ratings=num_ratings,
    )


def _moments(ratings: Sequence[Sequence[float]]) -> FloatArray:
    """For each item: k, k^2, k times the mean, k times its square, and squares around the mean; shape (items, 5)."""
    rows: list[tuple[float, ...]] = []
    columns = as_rows(ratings, name="ratings")
    center = float(np.concatenate(columns).mean()) if columns else 0.0
    for column in columns:
        k, mean = column.size, float(column.mean()) - center
        rows.append((k, k * k, k * mean, k * mean * mean, float(((column - center - mean) ** 2).sum())))
    return np.asarray(rows, dtype=np.float64).reshape(len(rows), 5)


def _why_not(moments: FloatArray) -> NoReliability | None:
    # as for correlations: with two items an interval would have no width
    if len(moments) < 3:
        return NoReliability.TOO_FEW_ITEMS
    if moments[:, 0].max() < 2:
        return NoReliability.ONE_RATING_EACH
    means = moments[:, 2] / moments[:, 0]
    return NoReliability.CONSTANT_RATINGS if np.ptp(means) <= 1e-12 * max(1.0, np.abs(means).max()) else None


def _icc(counts: FloatArray, moments: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """ICC(1,1), ICC(1,k) and k0 of each resample, shape (R,) each; not finite where a resample has none."""
    num_ratings, squares, sums, between, within = (counts @ moments).T
    n = counts.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares_between = between - sums**2 / num_ratings
        # what rounding leaves of equal means is no variance: a ratio to it would be any number
        squares_between[squares_between <= 1e-12 * between] = 0.0
        ms_between = squares_between / (n - 1)
        ms_within = within / (num_ratings - n)
        k0 = (num_ratings - squares / num_ratings) / (n - 1)
        single = (ms_between - ms_within) / (ms_between + (k0 - 1) * ms_within)
        return single, (ms_between - ms_within) / ms_between, k0


def _ceiling(mean: float, moments: FloatArray, *, units: Units, draws: int, seed: int, level: float) -> Estimate:
    blocks = resampled_counts(units, draws=draws, seed=seed)
    drawn = np.concatenate([_icc(block.floats, moments)[1] for block in blocks])
    defined = np.sqrt(np.maximum(0.0, drawn[np.isfinite(drawn)]))
    words = units.describe("sqrt of ICC(1,k), negative ones as 0, percentile bootstrap")
    if defined.size < drawn.size:
        words += f", {drawn.size - defined.size:,} of {drawn.size:,} draws undefined and left out"
    usable = units.num_units > 1 and defined.size > 1
    return interval_estimate(
        sqrt(max(0.0, mean)),
        defined if usable else None,
        units=units,
        words=words if usable else f"{words}, no error: one cluster, or no draw with an ICC",
        level=level,
        draws=draws if usable else None,
        seed=seed if usable else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanCorrelation:
    """A mean of several correlations.

    Attributes:
        value: mean of those that are defined; None where none is.
        lowest: smallest of them.
        highest: largest of them.
        num_averaged: how many are in the mean.
        num_undefined: how many are not, since they are undefined.
    """

    value: float | None
    lowest: float | None
    highest: float | None
    num_averaged: int
    num_undefined: int


def mean_correlation(correlations: Sequence[Correlation]) -> MeanCorrelation:
    """Average what is defined; the rest is counted."""
    values = [one.value for one in correlations if one.value is not None]
    return MeanCorrelation(
        value=sum(values) / len(values) if values else None,
        lowest=min(values, default=None),
        highest=max(values, default=None),
        num_averaged=len(values),
        num_undefined=len(correlations) - len(values),
    )


def leave_one_rater_out(ratings: Sequence[Sequence[float]], method: CorrelationMethod) -> MeanCorrelation:
    """How well one rater agrees with the mean of the others: the human baseline.

    The raters are the positions of the ratings: the j-th ratings of all items that have at least one more are
    correlated with the mean of the others, and the correlations are averaged over j. In most data sets a position is no
    person, so that this is the agreement of ratings rather than of raters.

    Raises:
        DataError: a rating that is not finite or beyond ±1e100.
    """
    as_rows(ratings, name="ratings")
    width = max((len(row) for row in ratings), default=0)
    found: list[Correlation] = []
    for position in range(width):
        rows = [row for row in ratings if len(row) > max(position, 1)]
        own = [row[position] for row in rows]
        others = [(sum(row) - row[position]) / (len(row) - 1) for row in rows]
        found.append(correlate(own, others, method))
    return mean_correlation(found)


def partial_correlation(x: Values, y: Values, given: Values, method: CorrelationMethod) -> Correlation:
    """Correlation of x and y with what `given` explains of both taken out; of the ranks for Spearman.

    (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2)); for Kendall the same of tau-b (Kendall 1942). No p-value.
    Where `given` is constant nothing is taken out; where it decides x or y nothing is left, and the value is None with
    the reason of a constant.

    Raises:
        DataError: unequal lengths, or a value that is not finite.
    """
    both = correlate(x, y, method)
    a, b = as_pair(x, y)
    c = as_pair(x, given)[1]
    if both.value is None:
        return both
    if c.min() == c.max():
        return Correlation(value=both.value, reason=None, p_value=None, method=method, n=both.n)
    with_x, with_y = (_coefficient(column, c, method) for column in (a, b))
    rest_x, rest_y = 1 - with_x**2, 1 - with_y**2
    # Zero but for rounding: what is left of the column is constant.
    for rest, reason in ((rest_x, NoCorrelation.CONSTANT_X), (rest_y, NoCorrelation.CONSTANT_Y)):
        if rest < 1e-12:
            return Correlation(value=None, reason=reason, p_value=None, method=method, n=both.n)
    value = (both.value - with_x * with_y) / sqrt(rest_x * rest_y)
    return Correlation(value=min(1.0, max(-1.0, value)), reason=None, p_value=None, method=method, n=both.n)


def _coefficient(x: FloatArray, y: FloatArray, method: CorrelationMethod) -> float:
    if method is CorrelationMethod.SPEARMAN:
        return pearson(average_ranks(x), average_ranks(y))
    return correlate(x, y, method).value or 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Halo:
    """Correlation between two dimensions, for a judge beside people: a judge that sees one merit in all has a halo."""

    first: str
    second: str
    judge: Correlation
    human: Correlation


def halo(
    judge: Mapping[str, Values], human: Mapping[str, Values], method: CorrelationMethod = CorrelationMethod.PEARSON
) -> tuple[Halo, ...]:
    """Correlate each two dimensions that both columns have, over the same items.

    Args:
        judge: column of each dimension, one value per item.
        human: the same of the mean ratings.
        method: which coefficient.

    Raises:
        DataError: columns of unequal length, or a value that is not finite.
    """
    shared = [name for name in judge if name in human]
    return tuple(
        Halo(
            first=a,
            second=b,
            judge=correlate(judge[a], judge[b], method),
            human=correlate(human[a], human[b], method),
        )
        for a, b in combinations(shared, 2)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfConsistency:
    """How far a judge repeats itself.

    Attributes:
        identical_share: share of the items whose repeats are all equal; None without items of two repeats.
        mean_within_sd: mean over items of the standard deviation (n - 1) of their repeats; None likewise.
        between_repeats: mean correlation of each two repeats, over the items that have both.
        n: items with at least two repeats.
        num_repeats: most repeats of an item.
    """

    identical_share: float | None
    mean_within_sd: float | None
    between_repeats: MeanCorrelation
    n: int
    num_repeats: int


def self_consistency(
    repeats: Sequence[Sequence[float | None]], method: CorrelationMethod = CorrelationMethod.SPEARMAN
) -> SelfConsistency:
    """Compare a judge's repeats of the same items.

    Args:
        repeats: for each item its value in each repeat; None where that repeat failed.
        method: coefficient between repeats.

    Raises:
        DataError: a value that is not finite or beyond ±1e100.
    """
    rows = [[value for value in row if value is not None] for row in repeats]
    several = [row for row in as_rows(rows, name="repeats") if row.size > 1]
    width = max((len(row) for row in repeats), default=0)
    found: list[Correlation] = []
    for a, b in combinations(range(width), 2):
        both = [(row[a], row[b]) for row in repeats if len(row) > b]
        kept = [(one, other) for one, other in both if one is not None and other is not None]
        found.append(correlate([one for one, _ in kept], [other for _, other in kept], method))
    num = len(several)
    return SelfConsistency(
        identical_share=sum(float(np.ptp(row)) == 0 for row in several) / num if num else None,
        mean_within_sd=sum(float(row.std(ddof=1)) for row in several) / num if num else None,
        between_repeats=mean_correlation(found),
        n=num,
        num_repeats=width,
    )
