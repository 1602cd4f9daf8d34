"""How far people agree on the means of systems, which bounds a judge's correlation with those means."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from llm_eval._aligned import SystemColumns
from llm_eval._columns import FloatArray, Labels, Units, as_rows, check_draws, read_units
from llm_eval._correlation import CorrelationMethod
from llm_eval._draws import resampled_counts
from llm_eval._reliability import MeanCorrelation, NoReliability, Reliability, mean_correlation, no_reliability
from twllm_types import DataError, Estimate, EstimateUnit


def system_reliability(
    ratings: Sequence[Sequence[float]],
    systems: SystemColumns,
    *,
    seed: int,
    clusters: Labels | None = None,
    draws: int = 2000,
    level: float = 0.95,
) -> Reliability:
    """Reliability of the systems' mean ratings over the items that were rated.

    The judge sees the same items, so that only the raters err: the error variance of the mean of system s over its n_s
    items is MSW sum_i (1 / k_i) / n_s^2, MSW the variance within items, pooled over all. ICC(1,k) = 1 - mean error
    variance / variance of the systems' means, as for items (`reliability`), with systems in their place; ICC(1,1) is
    that of one rating per item. The derivation is ours; with one item per system and equal k it is Shrout and Fleiss's
    ICC(1,k). In the result `n` counts systems. The interval is of resampled items (or clusters), which adds their
    chance to the variance of the systems: with few items per system its ends are too high.

    Args:
        ratings: the ratings of each item; at least one each.
        systems: which item is of which system; items of none count for the variance within items alone.
        seed: of the draws.
        clusters: label per item; whole clusters are resampled.
        draws: resamples for the interval of the ceiling, at least 2.
        level: its coverage, in (0, 1).

    Raises:
        DataError: an item without a rating, one that is not finite or beyond ±1e100, or systems or labels that do not
            fit.
        ConfigError: a level outside (0, 1), or fewer than two draws.
    """
    check_draws(draws, level)
    columns = _columns(ratings, systems)
    moments = _Moments.of(columns, systems)
    units = read_units(len(columns), clusters)
    n, num_ratings = len(systems.names), int(moments.sizes.sum())
    reason = _why_not(moments, n)
    if reason is not None:
        return no_reliability(reason, n=n, num_ratings=num_ratings)
    single, mean = (float(figure[0]) for figure in moments.icc(np.ones((1, len(columns)))))
    return Reliability(
        icc_single=single,
        icc_mean=mean,
        ceiling=_ceiling(mean, moments, units, n=n, draws=draws, seed=seed, level=level),
        raters_per_item=num_ratings / len(columns),
        reason=None,
        n=n,
        num_ratings=num_ratings,
    )


def system_rater_baseline(
    ratings: Sequence[Sequence[float]], systems: SystemColumns, method: CorrelationMethod
) -> MeanCorrelation:
    """One rater's means of systems against those of the other raters, as `leave_one_rater_out` does for items.

    The j-th ratings of all items that have at least one more; the correlations over systems are averaged over j.

    Args:
        ratings: the ratings of each item.
        systems: which item is of which system.
        method: which coefficient.

    Raises:
        DataError: a rating that is not finite or beyond ±1e100, or systems that do not fit.
    """
    _rows_of(ratings, systems)
    found = [
        systems.subset(kept).correlate(own, others, method)
        for position in range(max((len(row) for row in ratings), default=0))
        for kept, own, others in [_split(ratings, position)]
    ]
    return mean_correlation(found)


def _rows_of(ratings: Sequence[Sequence[float]], systems: SystemColumns) -> list[FloatArray]:
    if len(systems.indicators) != len(ratings):
        raise DataError(f"systems of {len(systems.indicators)} items, ratings of {len(ratings)}; give one of each")
    return as_rows(ratings, name="ratings")


def _columns(ratings: Sequence[Sequence[float]], systems: SystemColumns) -> list[FloatArray]:
    columns = _rows_of(ratings, systems)
    if not all(column.size for column in columns):
        raise DataError("an item has no rating; leave it out and count it")
    return columns


def _split(ratings: Sequence[Sequence[float]], position: int) -> tuple[list[int], FloatArray, FloatArray]:
    kept = [at for at, row in enumerate(ratings) if len(row) > max(position, 1)]
    own = np.asarray([ratings[at][position] for at in kept], dtype=np.float64)
    totals = np.asarray([sum(ratings[at]) for at in kept], dtype=np.float64)
    sizes = np.asarray([len(ratings[at]) for at in kept], dtype=np.float64)
    return kept, own, (totals - own) / (sizes - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moments:
    """Per item the number of ratings, their mean and the squares around it; and the systems."""

    sizes: FloatArray
    means: FloatArray
    within: FloatArray
    systems: SystemColumns

    @classmethod
    def of(cls, columns: Sequence[FloatArray], systems: SystemColumns) -> "_Moments":
        return cls(
            sizes=np.asarray([column.size for column in columns], dtype=np.float64),
            means=np.asarray([column.mean() for column in columns], dtype=np.float64),
            within=np.asarray([((column - column.mean()) ** 2).sum() for column in columns], dtype=np.float64),
            systems=systems,
        )

    def icc(self, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """ICC of one rating per item and of all, shape (R,) each; not finite where a resample has none."""
        indicators = self.systems.indicators
        with np.errstate(divide="ignore", invalid="ignore"):
            ms_within = (counts @ self.within) / (counts @ (self.sizes - 1))
            items = counts @ indicators
            of_all = (counts @ (indicators / self.sizes[:, np.newaxis])) / items**2
            observed = self.systems.means(self.means, counts).var(axis=1, ddof=1)
            true = observed - ms_within * of_all.mean(axis=1)
            return true / (true + ms_within * (1 / items).mean(axis=1)), true / observed


def _why_not(moments: _Moments, num_systems: int) -> NoReliability | None:
    if num_systems < 2:
        return NoReliability.TOO_FEW_ITEMS
    if moments.sizes.max() < 2:
        return NoReliability.ONE_RATING_EACH
    means = moments.systems.means(moments.means, np.ones((1, moments.means.size)))[0]
    return NoReliability.CONSTANT_RATINGS if np.ptp(means) <= 1e-12 * max(1.0, np.abs(means).max()) else None


def _ceiling(mean: float, moments: _Moments, units: Units, *, n: int, draws: int, seed: int, level: float) -> Estimate:
    drawn = np.concatenate([moments.icc(block.floats)[1] for block in resampled_counts(units, draws=draws, seed=seed)])
    defined = np.sqrt(np.maximum(0.0, drawn[np.isfinite(drawn)]))
    usable = units.num_units > 1 and defined.size > 1
    words = system_words(f"sqrt of the reliability of the means of {n} systems, negative ones as 0", units)
    if not usable:
        words += ", no error: one cluster, or no draw with a reliability"
    elif defined.size < drawn.size:
        words += f", {drawn.size - defined.size:,} of {drawn.size:,} draws undefined and left out"
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]).tolist() if usable else (None, None)
    return Estimate(
        mean=sqrt(max(0.0, mean)),
        stderr=float(defined.std(ddof=1)) if usable else None,
        ci_low=low,
        ci_high=high,
        level=level,
        method=words,
        unit=EstimateUnit.CORRELATION,
        n=n,
        draws=draws if usable else None,
        seed=seed if usable else None,
    )


def system_words(what: str, units: Units) -> str:
    """What was resampled, in words, since the estimate itself counts systems and has no place for the clusters."""
    if units.clustered:
        return f"{what}, percentile bootstrap over {units.num_items:,} items, clustered: {units.num_units:,} clusters"
    return f"{what}, percentile bootstrap over {units.num_items:,} items"
