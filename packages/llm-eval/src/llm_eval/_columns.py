"""Columns of numbers and the labels of their clusters, checked once."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twllm_types import ConfigError, DataError

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
Values: TypeAlias = Sequence[float] | FloatArray
Labels: TypeAlias = Sequence[Hashable]

LARGEST = 1e100
"""The largest number of which squares, their sums and ratios of them are taken; it is far from the end of floats."""
TOO_LARGE = "means and squares need finite numbers within ±1e100, so correct it or give all on a smaller scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What is resampled: items, or whole clusters of items.

    Attributes:
        codes: unit of each item, 0..num_units-1.
        num_units: how many there are.
        clustered: whether units are clusters that somebody named.
    """

    codes: IntArray
    num_units: int
    clustered: bool

    @property
    def num_items(self) -> int:
        """Items of all units."""
        return self.codes.size

    @property
    def num_clusters(self) -> int | None:
        """Clusters for an `Estimate`; None where items count as independent."""
        return self.num_units if self.clustered else None

    @property
    def sizes(self) -> IntArray:
        """Items of each unit."""
        return np.bincount(self.codes, minlength=self.num_units).astype(np.int64)

    def describe(self, method: str) -> str:
        """`method` with what the units add to it, for `Estimate.method`."""
        return f"{method}, clustered" if self.clustered else method

    def subset(self, kept: NDArray[np.bool_]) -> "Units":
        """The units of some of the items, numbered anew; units without such an item are gone."""
        labels, codes = np.unique(self.codes[kept], return_inverse=True)
        return Units(codes=codes.astype(np.int64), num_units=labels.size, clustered=self.clustered)


def as_column(values: Values, *, name: str) -> FloatArray:
    """One-dimensional finite floats.

    Raises:
        DataError: another shape, or a value that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise DataError(f"{name} have shape {array.shape}; give one number per item")
    if not np.isfinite(array).all():
        position = int(np.flatnonzero(~np.isfinite(array))[0])
        raise DataError(f"{name}[{position}] is {array[position]}; leave the item out and count it")
    return array


def as_points(values: Values, *, name: str) -> FloatArray:
    """`as_column` of numbers whose squares are needed.

    Raises:
        DataError: what `as_column` refuses, or a value beyond `LARGEST`.
    """
    array = as_column(values, name=name)
    if array.size and np.abs(array).max() > LARGEST:
        position = int(np.flatnonzero(np.abs(array) > LARGEST)[0])
        raise DataError(f"{name}[{position}] is {array[position]}; {TOO_LARGE}")
    return array


def as_rows(rows: Sequence[Sequence[float]], *, name: str) -> list[FloatArray]:
    """The numbers of each item, each as an array; a row may be empty.

    Raises:
        DataError: a value that is not finite, or beyond `LARGEST`.
    """
    arrays = [np.asarray(row, dtype=np.float64) for row in rows]
    for at, array in enumerate(arrays):
        refused = array[~(np.abs(array) <= LARGEST)]
        if refused.size:
            what = "" if np.isfinite(refused[0]) else ", which is not finite"
            raise DataError(f"{name} hold {refused[0]} in row {at}{what}; {TOO_LARGE}, or leave the item out")
    return arrays


def near_one(values: FloatArray) -> tuple[FloatArray, int]:
    """The values over 2^k with the largest below 1, and k: exact, and their squares neither overflow nor vanish."""
    exponent = int(np.frexp(np.abs(values).max(initial=0.0))[1])
    return np.ldexp(values, -exponent), exponent


def rounded_means(means: FloatArray) -> FloatArray:
    """Means to 12 significant digits, so that those which are equal but for the order of a sum stay ties."""
    return np.asarray([float(f"{mean:.12g}") for mean in means.ravel().tolist()], dtype=np.float64).reshape(means.shape)


def as_pair(x: Values, y: Values) -> tuple[FloatArray, FloatArray]:
    """Two columns of the same length.

    Raises:
        DataError: unequal lengths, or what `as_column` refuses.
    """
    return _same_length(as_column(x, name="x"), as_column(y, name="y"), ("x", "y"))


def as_point_pair(x: Values, y: Values, *, names: tuple[str, str]) -> tuple[FloatArray, FloatArray]:
    """Two columns of the same length, of numbers whose squares are needed.

    Raises:
        DataError: unequal lengths, or what `as_points` refuses.
    """
    return _same_length(as_points(x, name=names[0]), as_points(y, name=names[1]), names)


def _same_length(first: FloatArray, second: FloatArray, names: tuple[str, str]) -> tuple[FloatArray, FloatArray]:
    if first.size != second.size:
        raise DataError(
            f"{names[0]} and {names[1]} have {first.size} and {second.size} values; give one of each per item"
        )
    return first, second


def read_units(num_items: int, clusters: Labels | None) -> Units:
    """Number the clusters in the order in which they first appear; without labels each item is its own unit.

    Raises:
        DataError: there is not one label per item.
    """
    if clusters is None:
        return Units(codes=np.arange(num_items, dtype=np.int64), num_units=num_items, clustered=False)
    if len(clusters) != num_items:
        raise DataError(f"clusters have {len(clusters)} labels for {num_items} items; give one per item")
    numbers: dict[Hashable, int] = {}
    codes = [numbers.setdefault(label, len(numbers)) for label in clusters]
    return Units(codes=np.asarray(codes, dtype=np.int64), num_units=len(numbers), clustered=True)


def check_draws(draws: int, level: float) -> None:
    """Refuse what gives no interval.

    Raises:
        ConfigError: fewer than two draws, or a level outside (0, 1).
    """
    if draws < 2:
        raise ConfigError(f"draws = {draws} gives no interval; give at least 2, and 2000 for figures to be published")
    if not 0 < level < 1:
        raise ConfigError(f"level {level} must lie in (0, 1); for a 95 % interval give 0.95")
