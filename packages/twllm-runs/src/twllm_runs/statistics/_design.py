"""How items depend on each other: clusters, strata and their weights, and what follows for errors and resampling."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twllm_types import ConfigError, DataError, EstimateUnit

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
Values: TypeAlias = Sequence[float] | FloatArray
Labels: TypeAlias = Sequence[Hashable]
Weighting: TypeAlias = Literal["items", "strata"]
"""What counts the same: each item (micro average) or each stratum (macro average)."""

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Items that are resampled among themselves: positions, cluster number of each, and weight in the mean."""

    items: IntArray
    clusters: IntArray
    num_clusters: int
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The strata of a sample, one where it is not stratified, and the words for the method."""

    strata: tuple[Stratum, ...]
    clustered: bool
    stratified: bool
    weighting: Weighting

    @property
    def num_units(self) -> int:
        """Independent units: clusters, or items where nothing is clustered."""
        return sum(stratum.num_clusters for stratum in self.strata)

    @property
    def num_clusters(self) -> int | None:
        """Clusters for the estimate; None where items count as independent."""
        return self.num_units if self.clustered else None

    @property
    def degrees_of_freedom(self) -> int:
        """Independent units less one for each stratum."""
        return self.num_units - len(self.strata)

    @property
    def has_error(self) -> bool:
        """Whether each stratum has two units, without which its error is unknown."""
        return bool(self.strata) and all(stratum.num_clusters > 1 for stratum in self.strata)

    def describe(self, method: str) -> str:
        """The method with what the design adds to it, for `Estimate.method`."""
        words = [method]
        if self.clustered:
            words.append("clustered")
        if self.stratified:
            words.append("stratified" if self.weighting == "items" else "stratified, strata weighted alike")
        if self.strata and not self.has_error:
            words.append("no error: a stratum or sample has only one independent unit")
        return ", ".join(words)


def as_values(values: Values, *, name: str) -> FloatArray:
    """One-dimensional finite floats.

    Raises:
        DataError: another shape, or a value that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise DataError(f"{name} have shape {array.shape}; give one number per item")
    if not np.isfinite(array).all():
        position = int(np.flatnonzero(~np.isfinite(array))[0])
        raise DataError(f"{name}[{position}] is {array[position]}; leave it out and count it in num_unscored")
    return array


def check_same_length(first: Sequence[object] | FloatArray, second: Sequence[object] | FloatArray, names: str) -> None:
    """Refuse two columns of unequal length.

    Raises:
        DataError: the lengths differ.
    """
    if len(first) != len(second):
        raise DataError(f"{names} have {len(first)} and {len(second)} entries; give one of each per item")


def check_shares(values: FloatArray, *, unit: EstimateUnit, name: str) -> None:
    """Refuse values outside [0, 1] where the unit is a share.

    Raises:
        DataError: a value is no share.
    """
    if unit is EstimateUnit.SHARE and values.size and not (values.min() >= 0 and values.max() <= 1):
        raise DataError(f"{name} range from {values.min()} to {values.max()}; shares lie in [0, 1]")


def check_draws(draws: int) -> None:
    """Refuse a number of draws that gives no interval.

    Raises:
        ConfigError: fewer than two draws.
    """
    if draws < 2:
        raise ConfigError(f"draws = {draws} gives no interval; give at least 2, and 2000 for figures to be published")


def read_design(
    num_items: int, *, clusters: Labels | None = None, strata: Labels | None = None, weighting: Weighting = "items"
) -> Design:
    """Number the clusters and strata of a sample.

    Args:
        num_items: items of the sample.
        clusters: label of the cluster of each item; None where items are independent.
        strata: label of the stratum of each item; None for one stratum.
        weighting: weight of a stratum in the mean: its items, or the same for each.

    Raises:
        DataError: labels for another number of items, or a cluster in two strata.
    """
    for labels, name in ((clusters, "clusters"), (strata, "strata")):
        if labels is not None and len(labels) != num_items:
            raise DataError(f"{name} have {len(labels)} labels for {num_items} items; give one per item")
    strata_codes, num_strata = _number(strata) if strata is not None else (np.zeros(num_items, np.int64), 1)
    cluster_codes = _number(clusters)[0] if clusters is not None else np.arange(num_items, dtype=np.int64)
    _check_nesting(cluster_codes, strata_codes)
    rows: list[Stratum] = []
    for code in range(num_strata if num_items else 0):
        items = np.flatnonzero(strata_codes == code).astype(np.int64)
        labels, inner = np.unique(cluster_codes[items], return_inverse=True)
        weight = items.size / num_items if weighting == "items" else 1 / num_strata
        rows.append(Stratum(items=items, clusters=inner.astype(np.int64), num_clusters=labels.size, weight=weight))
    return Design(
        strata=tuple(rows), clustered=clusters is not None, stratified=strata is not None, weighting=weighting
    )


def _number(labels: Labels) -> tuple[IntArray, int]:
    numbers: dict[Hashable, int] = {}
    codes = [numbers.setdefault(label, len(numbers)) for label in labels]
    return np.asarray(codes, dtype=np.int64), len(numbers)


def _check_nesting(cluster_codes: IntArray, strata_codes: IntArray) -> None:
    pairs = np.unique(np.stack([cluster_codes, strata_codes]), axis=1)
    if pairs.shape[1] != np.unique(cluster_codes).size:
        raise DataError("a cluster has items in two strata; a cluster must lie in one, so split it or drop the strata")


def weighted_mean(values: FloatArray, design: Design) -> float:
    """Sum over strata of weight times mean; `values` must not be empty."""
    return float(sum(stratum.weight * values[stratum.items].mean() for stratum in design.strata))


def mean_stderr(values: FloatArray, design: Design) -> float | None:
    """Standard error of `weighted_mean`; None where a stratum has one independent unit.

    In each stratum of n items, with r the deviations from the mean, the clustered standard error of Miller 2024 (arXiv
    2411.00640): SE^2 = sum_i r_i^2 / (n (n - 1)) + sum_c sum_{i != j in c} r_i r_j / n^2, where the second term is
    zero without clusters. Strata add as weight^2 SE^2 (Cochran 1977, chapter 5, without finite population factor).
    """
    if not design.has_error:
        return None
    variance = 0.0
    for stratum in design.strata:
        inner = values[stratum.items]
        deviations = inner - inner.mean()
        squares = float(deviations @ deviations)
        sums = np.bincount(stratum.clusters, weights=deviations, minlength=stratum.num_clusters)
        n = inner.size
        cross = float(sums @ sums) - squares if stratum.num_clusters < n else 0.0
        variance += stratum.weight**2 * max(0.0, squares / (n * (n - 1)) + cross / n**2)
    return float(np.sqrt(variance))


def resampled_sums(columns: FloatArray, stratum: Stratum, *, draws: int, rng: np.random.Generator) -> FloatArray:
    """Sums of columns, shape (K, items), over resampled clusters of one stratum; shape (K, draws).

    As many clusters as there are, drawn with replacement; memory is bounded by about 8 MiB per column, or one draw.
    """
    inner = columns[:, stratum.items]
    sums = np.stack([np.bincount(stratum.clusters, weights=column) for column in inner])
    size = stratum.num_clusters
    rows = max(1, _CHUNK // size)
    result = np.empty((len(sums), draws))
    for start in range(0, draws, rows):
        picked = rng.integers(0, size, size=(min(rows, draws - start), size))
        result[:, start : start + rows] = sums[:, picked].sum(axis=2)
    return result


def resampled_means(values: FloatArray, design: Design, *, draws: int, seed: int) -> FloatArray:
    """Bootstrap distribution of `weighted_mean`, shape (draws,): whole clusters are drawn within their stratum."""
    rng = np.random.default_rng(seed)
    columns = np.stack([values, np.ones_like(values)])
    means = np.zeros(draws)
    for stratum in design.strata:
        sums, sizes = resampled_sums(columns, stratum, draws=draws, rng=rng)
        means += stratum.weight * sums / sizes
    return means
