"""Differences between two systems measured on the same items."""

from collections.abc import Sequence
from functools import partial
from typing import Literal, TypeAlias

from twllm_runs.statistics._design import (
    FloatArray,
    Labels,
    Values,
    Weighting,
    as_values,
    check_same_length,
    check_shares,
    mean_stderr,
    read_design,
    resampled_means,
    weighted_mean,
)
from twllm_runs.statistics._intervals import (
    Frame,
    check_options,
    empty_estimate,
    needed_seed,
    percentile_estimate,
    student_estimate,
)
from twllm_runs.statistics._means import labels_at
from twllm_types import Estimate, EstimateUnit, Score

PairedMethod: TypeAlias = Literal["student_t", "bootstrap"]
_LABELS: dict[PairedMethod, str] = {"student_t": "paired student t", "bootstrap": "paired percentile bootstrap"}


def paired_difference(
    first: Values,
    second: Values,
    *,
    unit: EstimateUnit,
    clusters: Labels | None = None,
    strata: Labels | None = None,
    weighting: Weighting = "items",
    method: PairedMethod = "student_t",
    draws: int = 2000,
    seed: int | None = None,
    level: float = 0.95,
    num_unscored: int = 0,
) -> Estimate:
    """Mean of first - second over the same items; what items have in common cancels (Miller 2024, arXiv 2411.00640).

    With unit `share` the interval is cut to [-1, 1]. No pairs: no mean. One unit in a stratum: no error nor interval.

    Args:
        first: one finite number per item.
        second: the same for the other system, in the same order.
        unit: of both; the difference has it too.
        clusters: label per item; items of one label depend on each other.
        strata: label per item; each is resampled by itself.
        weighting: "items", or "strata" for the mean of the strata's differences.
        method: "student_t", `mean_estimate` of the differences; or "bootstrap", percentiles over items or clusters.
        draws: resamples, for "bootstrap".
        seed: of the draws; needed for "bootstrap", unused otherwise.
        level: coverage, in (0, 1).
        num_unscored: pairs of which one side or both gave no score.

    Raises:
        DataError: the columns differ in length or break the unit, labels do not fit, a bootstrap has no seed.
        ConfigError: a level outside (0, 1), or fewer than two draws.
    """
    check_options(level=level, draws=draws)
    differences = _differences(first, second, unit=unit)
    design = read_design(differences.size, clusters=clusters, strata=strata, weighting=weighting)
    frame = Frame(n=differences.size, design=design, unit=unit, level=level, num_unscored=num_unscored)
    if not differences.size:
        return empty_estimate(frame, method=_LABELS[method])
    if method == "bootstrap":
        return _bootstrap(frame, differences, draws=draws, seed=needed_seed(seed))
    return student_estimate(
        frame,
        weighted_mean(differences, design),
        mean_stderr(differences, design),
        method=_LABELS[method],
        bounds=(-1.0, 1.0) if unit is EstimateUnit.SHARE else None,
    )


def _differences(first: Values, second: Values, *, unit: EstimateUnit) -> FloatArray:
    a, b = as_values(first, name="first"), as_values(second, name="second")
    check_same_length(a, b, "first and second")
    check_shares(a, unit=unit, name="first")
    check_shares(b, unit=unit, name="second")
    return a - b


def _bootstrap(frame: Frame, differences: FloatArray, *, draws: int, seed: int) -> Estimate:
    return percentile_estimate(
        frame,
        weighted_mean(differences, frame.design),
        partial(resampled_means, differences, frame.design, draws=draws, seed=seed),
        draws=draws,
        seed=seed,
        method=_LABELS["bootstrap"],
    )


def paired_scores_difference(
    first: Sequence[Score],
    second: Sequence[Score],
    *,
    unit: EstimateUnit,
    clusters: Labels | None = None,
    strata: Labels | None = None,
    weighting: Weighting = "items",
    method: PairedMethod = "student_t",
    draws: int = 2000,
    seed: int | None = None,
    level: float = 0.95,
) -> Estimate:
    """`paired_difference` over the items that both systems scored; the other pairs are counted in `num_unscored`.

    Raises:
        DataError: the columns differ in length, labels do not fit, or what `paired_difference` refuses.
        ConfigError: a level outside (0, 1), or fewer than two draws.
    """
    check_same_length(first, second, "first and second")
    kept: list[int] = []
    a: list[float] = []
    b: list[float] = []
    for position, (one, other) in enumerate(zip(first, second, strict=True)):
        if one.value is not None and other.value is not None:
            kept.append(position)
            a.append(one.value)
            b.append(other.value)
    return paired_difference(
        a,
        b,
        unit=unit,
        clusters=labels_at(clusters, kept, num_items=len(first), name="clusters"),
        strata=labels_at(strata, kept, num_items=len(first), name="strata"),
        weighting=weighting,
        method=method,
        draws=draws,
        seed=seed,
        level=level,
        num_unscored=len(first) - len(kept),
    )
