"""Means with Student intervals, for independent, clustered and stratified items."""

from collections.abc import Sequence

from twllm_runs.statistics._design import (
    Labels,
    Values,
    Weighting,
    as_values,
    check_shares,
    mean_stderr,
    read_design,
    weighted_mean,
)
from twllm_runs.statistics._intervals import Frame, check_options, empty_estimate, student_estimate
from twllm_types import DataError, Estimate, EstimateUnit, Score


def mean_estimate(
    values: Values,
    *,
    unit: EstimateUnit,
    clusters: Labels | None = None,
    strata: Labels | None = None,
    weighting: Weighting = "items",
    level: float = 0.95,
    num_unscored: int = 0,
) -> Estimate:
    """Mean of `values` with a Student interval.

    stderr: SE^2 = sum_i r_i^2 / (n (n - 1)) + sum_c sum_{i != j in c} r_i r_j / n^2, r the deviations from the mean,
    the second term with clusters only (Miller 2024, arXiv 2411.00640); strata add as weight^2 SE^2 (Cochran 1977,
    chapter 5). The interval is mean -+ t stderr, t with (independent units - strata) degrees of freedom. Miller takes
    1.96; we take t because figures over five seeds or a few clusters are common, where 1.96 covers too little, and for
    many items both are the same. The clustered error has no small-sample factor: with few clusters it is too small.

    With unit `share` the interval is cut to [0, 1]. For independent zeros and ones prefer `proportion_estimate`: this
    interval has no width when all values agree. No values: no mean. One independent unit: neither error nor interval.

    Args:
        values: one finite number per scored item.
        unit: what the values are counted in.
        clusters: label per item; items of one label depend on each other (questions on one text, one author).
        strata: label per item; the sample was drawn within each (subjects of an exam).
        weighting: "items" for the mean over items, "strata" for the mean of the strata's means.
        level: coverage, in (0, 1).
        num_unscored: items that gave no score.

    Raises:
        DataError: a value is not finite or no share, labels do not fit, or a cluster lies in two strata.
        ConfigError: a level outside (0, 1).
    """
    check_options(level=level)
    array = as_values(values, name="values")
    check_shares(array, unit=unit, name="values")
    design = read_design(array.size, clusters=clusters, strata=strata, weighting=weighting)
    frame = Frame(n=array.size, design=design, unit=unit, level=level, num_unscored=num_unscored)
    if not array.size:
        return empty_estimate(frame, method="student t")
    bounds = (0.0, 1.0) if unit is EstimateUnit.SHARE else None
    return student_estimate(frame, weighted_mean(array, design), mean_stderr(array, design), bounds=bounds)


def scores_estimate(
    scores: Sequence[Score],
    *,
    unit: EstimateUnit,
    clusters: Labels | None = None,
    strata: Labels | None = None,
    weighting: Weighting = "items",
    level: float = 0.95,
) -> Estimate:
    """`mean_estimate` of the scores that have a value; the others are counted in `num_unscored`.

    Labels are given for all scores; those of unscored items are left out with them.

    Raises:
        DataError: labels do not fit the scores, or what `mean_estimate` refuses.
        ConfigError: a level outside (0, 1).
    """
    scored = [position for position, score in enumerate(scores) if score.value is not None]
    return mean_estimate(
        [score.value for score in scores if score.value is not None],
        unit=unit,
        clusters=labels_at(clusters, scored, num_items=len(scores), name="clusters"),
        strata=labels_at(strata, scored, num_items=len(scores), name="strata"),
        weighting=weighting,
        level=level,
        num_unscored=len(scores) - len(scored),
    )


def labels_at(labels: Labels | None, positions: list[int], *, num_items: int, name: str) -> Labels | None:
    """The labels of some items.

    Raises:
        DataError: there is not one label per item.
    """
    if labels is None:
        return None
    if len(labels) != num_items:
        raise DataError(f"{name} have {len(labels)} labels for {num_items} scores; give one per score")
    return [labels[position] for position in positions]
