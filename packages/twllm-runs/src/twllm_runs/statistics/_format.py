"""One way to write an estimate, wherever it is shown."""

from dataclasses import dataclass
from math import floor, log10

from twllm_types import Estimate, EstimateUnit

_SUFFIXES = {
    EstimateUnit.SHARE: " %",
    EstimateUnit.POINTS: "",
    EstimateUnit.BITS: " bits",
    EstimateUnit.NATS: " nats",
    EstimateUnit.BITS_PER_BYTE: " bits/byte",
    EstimateUnit.SECONDS: " s",
    EstimateUnit.RATIO: "×",
    EstimateUnit.CORRELATION: "",
    EstimateUnit.COUNT: "",
}
# Units of a known range have fixed decimals; the others keep three significant digits of their largest figure.
_DECIMALS = {
    EstimateUnit.SHARE: 1,
    EstimateUnit.POINTS: 2,
    EstimateUnit.BITS: 3,
    EstimateUnit.NATS: 3,
    EstimateUnit.BITS_PER_BYTE: 4,
    EstimateUnit.CORRELATION: 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateText:
    """The parts of a written estimate.

    Attributes:
        value: "61.4 %", or "no value".
        interval: "[59.8, 63.0]", with " (90 %)" after it where the level is not 95 %; "" without a value, and
            "no interval" where the value has none.
        counts: "n = 1,180, 20 unscored".
    """

    value: str
    interval: str
    counts: str


def estimate_text(estimate: Estimate, *, difference: bool = False) -> EstimateText:
    """Write the parts of an estimate, for places that set them apart.

    Args:
        estimate: what to write.
        difference: the estimate is a difference: figures carry their sign, shares are percentage points ("pp").
    """
    return EstimateText(
        value=_value(estimate, difference=difference),
        interval=_interval(estimate, difference=difference),
        counts=_counts(estimate),
    )


def format_estimate(estimate: Estimate, *, difference: bool = False) -> str:
    """Write an estimate in one line: "61.4 % [59.8, 63.0], n = 1,180, 20 unscored".

    Shares are written in per cent with one decimal, points with two, bits, nats and correlations with three, bits per
    byte with four; seconds, ratios and counts with three significant digits of the largest figure. An interval of
    another level than 95 % says so; unscored items and clusters are named where there are any.

    Args:
        estimate: what to write.
        difference: the estimate is a difference: figures carry their sign, shares are percentage points ("pp").
    """
    text = estimate_text(estimate, difference=difference)
    if text.interval.startswith("["):
        return f"{text.value} {text.interval}, {text.counts}"
    return ", ".join(part for part in (text.value, text.interval, text.counts) if part)


def _value(estimate: Estimate, *, difference: bool) -> str:
    if estimate.mean is None:
        return "no value"
    suffix = " pp" if difference and estimate.unit is EstimateUnit.SHARE else _SUFFIXES[estimate.unit]
    return _number(estimate.mean, estimate, difference=difference) + suffix


def _interval(estimate: Estimate, *, difference: bool) -> str:
    if estimate.mean is None:
        return ""
    if estimate.ci_low is None or estimate.ci_high is None:
        return "no interval"
    low, high = (_number(end, estimate, difference=difference) for end in (estimate.ci_low, estimate.ci_high))
    level = "" if abs(estimate.level - 0.95) < 1e-9 else f" ({100 * estimate.level:g} %)"
    return f"[{low}, {high}]{level}"


def _counts(estimate: Estimate) -> str:
    counts = f"n = {estimate.n:,}"
    if estimate.num_clusters is not None:
        counts += f" in {estimate.num_clusters:,} clusters"
    if estimate.num_unscored:
        counts += f", {estimate.num_unscored:,} unscored"
    return counts


def _number(figure: float, estimate: Estimate, *, difference: bool) -> str:
    scaled = figure * 100 if estimate.unit is EstimateUnit.SHARE else figure
    decimals = _DECIMALS.get(estimate.unit)
    if decimals is None:
        decimals = _significant_decimals(estimate)
    # Adding 0.0 turns a rounded -0.0 into 0.0, which has no sign to show.
    rounded = round(scaled, decimals) + 0.0
    sign = "+" if difference and rounded != 0 else "-"
    return f"{rounded:{sign},.{decimals}f}"


def _significant_decimals(estimate: Estimate) -> int:
    figures = [abs(x) for x in (estimate.mean, estimate.ci_low, estimate.ci_high) if x]
    return max(0, 2 - floor(log10(max(figures)))) if figures else 0
