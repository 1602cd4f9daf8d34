"""Estimates as this package makes and writes them."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import cast

from twllm_runs.statistics import mean_estimate, proportion_estimate
from twllm_types import Estimate, EstimateUnit, JsonObject

# Numbers that are equal may have a mean that differs from them by rounding.
_ROUNDING = 1e-12


def share_of(hits: Sequence[bool], *, clusters: Sequence[Hashable] | None, level: float) -> Estimate:
    """Share of items that are hits.

    Independent items have a Wilson interval, clustered ones a Student interval with the clusters' error (Miller 2024,
    arXiv 2411.00640). No items: no mean.

    Args:
        hits: one per item.
        clusters: label per item; None where items are independent.
        level: coverage of the interval.
    """
    if clusters is None:
        return proportion_estimate(sum(hits), len(hits), level=level)
    return mean_share([float(hit) for hit in hits], clusters=clusters, level=level)


def mean_share(values: Sequence[float], *, clusters: Sequence[Hashable] | None, level: float) -> Estimate:
    """Mean of numbers in [0, 1] with a Student interval; none where all agree. No items: no mean.

    Args:
        values: one per item.
        clusters: label per item; None where items are independent.
        level: coverage of the interval.
    """
    estimate = mean_estimate(values, unit=EstimateUnit.SHARE, clusters=clusters, level=level)
    return without_collapsed_interval(estimate)


def without_collapsed_interval(estimate: Estimate) -> Estimate:
    """Drop error and interval of width 0, which items that all agree give; it would claim a certainty that few give."""
    if estimate.stderr is None or estimate.stderr > _ROUNDING or estimate.method == "wilson":
        return estimate
    words = f"{estimate.method}, no error: no two items of a stratum differ"
    return replace(estimate, stderr=None, ci_low=None, ci_high=None, method=words, draws=None, seed=None)


def estimate_to_json(estimate: Estimate) -> JsonObject:
    """Return an estimate as JSON; `estimate_from_json` is its inverse."""
    return cast("JsonObject", plain(asdict(estimate)))


def estimate_from_json(row: Mapping[str, object]) -> Estimate:
    """Read what `estimate_to_json` writes.

    Raises:
        DataError: the parts contradict each other.
    """
    fields = dict(cast("dict[str, float]", row))
    unit = EstimateUnit(str(fields.pop("unit")))
    method = str(fields.pop("method"))
    return Estimate(unit=unit, method=method, **cast("dict[str, int]", fields))


def plain(value: object) -> object:
    """Return dataclass rows as JSON: keys and closed sets as text, tuples as lists."""
    match value:
        case dict():
            return {str(key): plain(part) for key, part in cast("dict[object, object]", value).items()}
        case list() | tuple():
            return [plain(part) for part in cast("Sequence[object]", value)]
        case str():
            return str(value)
        case _:
            return value
