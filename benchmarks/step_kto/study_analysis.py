"""Figures of the study: every measure is a ratio of sums over the problems of a seed, averaged over seeds.

Two intervals are given, both of 95 %. "Over seeds" is Student's for the mean of one figure per seed: each seed has its
own start model, samples and test problems, so it holds for new ones of all three. "Within seeds" holds for other test
problems and draws of these very models: the standard error of a ratio by linearisation (Cochran 1977, chapter 6) on
problems paired by seed, added over seeds. Neither is corrected for looking at many figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twllm_runs.statistics import mean_estimate
from twllm_types import DataError, EstimateUnit, JsonObject

NUM_SAMPLES = 8
FloatArray = NDArray[np.float64]
Interval = tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A ratio of two columns of a row.

    Attributes:
        name: heading.
        above: column that is counted.
        below: column that it is a share of, or how many each problem has.
    """

    name: str
    above: str
    below: str | int = 1


MEASURES = (
    Measure(name="greedy", above="greedy"),
    Measure(name="sampled", above="right", below=NUM_SAMPLES),
    Measure(name="maj@8", above="majority"),
    Measure(name="stepwise errors, sampled", above="flawed", below="right"),
    Measure(name="stepwise errors, greedy", above="flawed_greedy", below="greedy"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A mean over seeds.

    Attributes:
        mean: of the seeds' figures.
        seeds: the figure of each seed.
        over_seeds: 95 % interval; None with one seed.
        within_seeds: 95 % interval; None where a seed has fewer than two problems.
        counts: sums of the two columns over all seeds; of the first side of a difference.
    """

    mean: float
    seeds: tuple[float, ...]
    over_seeds: Interval
    within_seeds: Interval
    counts: tuple[int, int]


Rows = Mapping[tuple[str, int], JsonObject]


def level(rows: Rows, run: str, seeds: Sequence[int], measure: Measure) -> Figure:
    """A run's figure.

    Args:
        rows: results by run and seed.
        run: which.
        seeds: of the mean.
        measure: what.

    Raises:
        DataError: a row is missing, or a seed has nothing to be a share of.
    """
    return _figure([_columns(rows, run, seed, measure) for seed in seeds], None)


def difference(rows: Rows, run: str, other: str, seeds: Sequence[int], measure: Measure) -> Figure:
    """A run's figure less another's on the same seeds and problems; arguments and errors as `level`."""
    return _figure(
        [_columns(rows, run, seed, measure) for seed in seeds],
        [_columns(rows, other, seed, measure) for seed in seeds],
    )


def _columns(rows: Rows, run: str, seed: int, measure: Measure) -> tuple[FloatArray, FloatArray]:
    if (run, seed) not in rows:
        raise DataError(f"no result of {run!r} with seed {seed}; finish the runs first")
    row = rows[run, seed]
    above = _digits(row, measure.above)
    below = np.full_like(above, measure.below) if isinstance(measure.below, int) else _digits(row, measure.below)
    if not below.sum():
        raise DataError(f"{run!r} with seed {seed}: {measure.name} has nothing to be a share of")
    return above, below


def _digits(row: JsonObject, name: str) -> FloatArray:
    return np.array([int(digit) for digit in str(row[name])], dtype=np.float64)


def _figure(
    first: Sequence[tuple[FloatArray, FloatArray]], second: Sequence[tuple[FloatArray, FloatArray]] | None
) -> Figure:
    found = [_ratio(above, below) for above, below in first]
    residuals = [_residuals(above, below) for above, below in first]
    if second is not None:
        found = [one - _ratio(above, below) for one, (above, below) in zip(found, second, strict=True)]
        residuals = [one - _residuals(above, below) for one, (above, below) in zip(residuals, second, strict=True)]
    over = mean_estimate(found, unit=EstimateUnit.RATIO)
    mean = float(np.mean(found))
    within = mean_estimate(
        np.concatenate(residuals),
        unit=EstimateUnit.RATIO,
        strata=np.repeat(np.arange(len(residuals)), [part.size for part in residuals]).tolist(),
        weighting="strata",
    )
    return Figure(
        mean=mean,
        seeds=tuple(found),
        over_seeds=_interval(over.ci_low, over.ci_high, 0.0),
        within_seeds=_interval(within.ci_low, within.ci_high, mean - (within.mean or 0.0)),
        counts=(sum(int(above.sum()) for above, _ in first), sum(int(below.sum()) for _, below in first)),
    )


def _ratio(above: FloatArray, below: FloatArray) -> float:
    return float(above.sum() / below.sum())


def _residuals(above: FloatArray, below: FloatArray) -> FloatArray:
    return (above - _ratio(above, below) * below) / below.mean()


def _interval(low: float | None, high: float | None, shift: float) -> Interval:
    return None if low is None or high is None else (low + shift, high + shift)
