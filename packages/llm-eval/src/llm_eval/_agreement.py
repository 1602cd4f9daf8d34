"""Agreement on verdicts: Cohen's kappa of two raters, Krippendorff's alpha of any number with missing ratings."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from llm_eval._columns import FloatArray, IntArray, Labels, Units, as_rows, check_draws, read_units
from llm_eval._draws import resampled_counts
from llm_eval._resample import interval_estimate
from twllm_types import DataError, Estimate


class KappaWeights(StrEnum):
    """How much a disagreement counts: all alike, by the distance of the categories, or by its square."""

    PLAIN = "plain"
    LINEAR = "linear"
    QUADRATIC = "quadratic"


class AlphaLevel(StrEnum):
    """What the values mean, which decides how far apart two of them are."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


class NoAgreement(StrEnum):
    """Why agreement is undefined."""

    NO_ITEMS = "no_items"
    """No item, or for alpha none with two ratings."""
    ONE_CATEGORY = "one_category"
    """All ratings are the same, so that nothing can be expected by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A coefficient of agreement, or why there is none.

    Attributes:
        estimate: the coefficient with its percentile bootstrap interval, unit correlation; None where undefined.
        reason: why it is; None exactly where there is an estimate.
        n: items that count (for alpha those with two ratings or more).
    """

    estimate: Estimate | None
    reason: NoAgreement | None
    n: int


def cohen_kappa(
    first: Sequence[float],
    second: Sequence[float],
    *,
    seed: int,
    categories: Sequence[float] | None = None,
    weights: KappaWeights = KappaWeights.PLAIN,
    clusters: Labels | None = None,
    draws: int = 2000,
    level: float = 0.95,
) -> Agreement:
    """Cohen's kappa: 1 - observed over expected disagreement (Cohen 1960; weighted Cohen 1968).

    Weights are distances between the places of two categories, not between their values. Where both raters give
    everything the same category, nothing is expected and kappa is undefined.

    Args:
        first: category of each item by one rater.
        second: the same by the other.
        seed: of the draws.
        categories: all of them in their order; None for those that occur, rising.
        weights: how much a disagreement counts.
        clusters: label per item; whole clusters are resampled.
        draws: resamples, at least 2.
        level: coverage, in (0, 1).

    Raises:
        DataError: unequal lengths, a value that is none of the categories, or labels that do not fit.
        ConfigError: a level outside (0, 1), or fewer than two draws.
    """
    check_draws(draws, level)
    units = read_units(len(first), clusters)
    places = _places(first, second, categories)
    if not first:
        return Agreement(estimate=None, reason=NoAgreement.NO_ITEMS, n=0)
    size = len(places)
    cells = np.asarray([places[a] * size + places[b] for a, b in zip(first, second, strict=True)])
    indicators = np.zeros((len(first), size * size))
    indicators[np.arange(len(first)), cells] = 1.0
    distances = _distances(size, weights)
    point = _kappa(indicators.sum(axis=0, keepdims=True), distances)
    if not np.isfinite(point[0]):
        return Agreement(estimate=None, reason=NoAgreement.ONE_CATEGORY, n=len(first))
    drawn = np.concatenate(
        [_kappa(block.floats @ indicators, distances) for block in resampled_counts(units, draws=draws, seed=seed)]
    )
    return _agreement(
        float(point[0]), drawn, units=units, what=f"Cohen's kappa, {weights.value}", level=level, seed=seed
    )


def _places(first: Sequence[float], second: Sequence[float], categories: Sequence[float] | None) -> dict[float, int]:
    """The place of each category among all.

    Raises:
        DataError: unequal lengths, or a value that is none of the categories.
    """
    if len(first) != len(second):
        raise DataError(f"first and second have {len(first)} and {len(second)} values; give one of each per item")
    names = sorted({*first, *second}) if categories is None else list(categories)
    places = {name: at for at, name in enumerate(names)}
    for value in (*first, *second):
        if value not in places:
            raise DataError(f"{value!r} is none of the categories {names}; correct it or add it")
    return places


def _distances(size: int, weights: KappaWeights) -> FloatArray:
    gaps = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)
    match weights:
        case KappaWeights.PLAIN:
            return (gaps > 0).astype(np.float64)
        case KappaWeights.LINEAR:
            return gaps
        case KappaWeights.QUADRATIC:
            return gaps**2


def _kappa(tables: FloatArray, distances: FloatArray) -> FloatArray:
    """Kappa of each table of counts, shape (R, K K); NaN where nothing is expected."""
    size = len(distances)
    counts = tables.reshape(len(tables), size, size)
    observed = np.einsum("rij,ij->r", counts, distances) * counts.sum(axis=(1, 2))
    expected = np.einsum("ri,rj,ij->r", counts.sum(axis=2), counts.sum(axis=1), distances)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - observed / expected, np.nan)


def krippendorff_alpha(
    ratings: Sequence[Sequence[float | None]],
    *,
    seed: int,
    scale: AlphaLevel = AlphaLevel.NOMINAL,
    clusters: Labels | None = None,
    draws: int = 2000,
    level: float = 0.95,
) -> Agreement:
    """Krippendorff's alpha: 1 - observed over expected disagreement (Krippendorff 2011, Computing alpha-reliability).

    An item of m ratings adds its m (m - 1) ordered pairs with the weight 1 / (m - 1); items with fewer than two ratings
    are left out. Distances: 0 or 1; the squared number of ratings from one value to the other, half of both ends;
    the squared difference. The interval resamples items (or clusters), not single disagreements.

    Args:
        ratings: the ratings of each item; None where one is missing.
        seed: of the draws.
        scale: what the values mean.
        clusters: label per item; whole clusters are resampled.
        draws: resamples, at least 2.
        level: coverage, in (0, 1).

    Raises:
        DataError: labels that do not fit, or a rating that is not finite or beyond ±1e100.
        ConfigError: a level outside (0, 1), or fewer than two draws.
    """
    check_draws(draws, level)
    rows = [[value for value in row if value is not None] for row in ratings]
    as_rows(rows, name="ratings")
    kept = np.asarray([len(row) > 1 for row in rows], dtype=bool)
    units = read_units(len(rows), clusters).subset(kept)
    pairable = [row for row in rows if len(row) > 1]
    if not pairable:
        return Agreement(estimate=None, reason=NoAgreement.NO_ITEMS, n=0)
    values, codes = np.unique(np.concatenate(pairable), return_inverse=True)
    pairs = _coincidences(pairable, codes.astype(np.int64), num_values=values.size)
    point = _alpha(np.ones((1, len(pairable))), pairs, values, scale)
    if not np.isfinite(point[0]):
        return Agreement(estimate=None, reason=NoAgreement.ONE_CATEGORY, n=len(pairable))
    drawn = np.concatenate(
        [_alpha(block.floats, pairs, values, scale) for block in resampled_counts(units, draws=draws, seed=seed)]
    )
    what = f"Krippendorff's alpha, {scale.value}"
    return _agreement(float(point[0]), drawn, units=units, what=what, level=level, seed=seed)


def _coincidences(rows: Sequence[Sequence[float]], codes: IntArray, *, num_values: int) -> FloatArray:
    """Ordered pairs of ratings of each item over its ratings less one, shape (items, V V) for V distinct values."""
    counts = np.zeros((len(rows), num_values))
    sizes = np.asarray([len(row) for row in rows])
    np.add.at(counts, (np.repeat(np.arange(len(rows)), sizes), codes), 1.0)
    pairs = np.einsum("iv,iw->ivw", counts, counts)
    diagonal = np.arange(num_values)
    pairs[:, diagonal, diagonal] -= counts
    pairs /= (sizes - 1)[:, np.newaxis, np.newaxis]
    return pairs.reshape(len(rows), num_values * num_values)


def _alpha(weights: FloatArray, pairs: FloatArray, values: FloatArray, scale: AlphaLevel) -> FloatArray:
    """Alpha of each resample, shape (R,); NaN where nothing is expected."""
    coincidences = (weights @ pairs).reshape(len(weights), values.size, values.size)
    marginals = coincidences.sum(axis=2)
    distances = _alpha_distances(marginals, values, scale)
    observed = np.einsum("rvw,rvw->r", coincidences, distances)
    expected = np.einsum("rv,rw,rvw->r", marginals, marginals, distances)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - (marginals.sum(axis=1) - 1) * observed / expected, np.nan)


def _alpha_distances(marginals: FloatArray, values: FloatArray, scale: AlphaLevel) -> FloatArray:
    """Squared distances of each two values in each resample, shape (R, V, V)."""
    if scale is AlphaLevel.ORDINAL:
        # The middle of each value's ratings: from v to w lie half of v's, all between, half of w's.
        middles = np.cumsum(marginals, axis=1) - marginals / 2
        return (middles[:, :, np.newaxis] - middles[:, np.newaxis, :]) ** 2
    gaps = np.subtract.outer(values, values)
    squared = (gaps != 0).astype(np.float64) if scale is AlphaLevel.NOMINAL else gaps**2
    return np.broadcast_to(squared, (len(marginals), *squared.shape))


def _agreement(point: float, drawn: FloatArray, *, units: Units, what: str, level: float, seed: int) -> Agreement:
    defined = drawn[np.isfinite(drawn)]
    words = units.describe(f"{what}, percentile bootstrap")
    if defined.size < drawn.size:
        words += f", {drawn.size - defined.size:,} of {drawn.size:,} draws undefined and left out"
    usable = units.num_units > 1 and defined.size > 1
    estimate = interval_estimate(
        point,
        defined if usable else None,
        units=units,
        words=words if usable else f"{words}, no error: one item or cluster, or no draw with a value",
        level=level,
        draws=drawn.size if usable else None,
        seed=seed if usable else None,
    )
    return Agreement(estimate=estimate, reason=None, n=units.num_items)
