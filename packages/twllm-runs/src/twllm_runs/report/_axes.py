"""Axes with round ticks."""

from dataclasses import dataclass
from math import ceil, floor, log10


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on an axis: its place in per cent of the length, and what is written there."""

    position: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A linear axis from `low` to `high`, low < high."""

    low: float
    high: float
    ticks: tuple[Tick, ...]

    def place(self, value: float) -> float:
        """Position of a value, in per cent of the length, rounded for a small file."""
        return round(100 * (value - self.low) / (self.high - self.low), 3)


def make_axis(low: float, high: float, *, tight: bool = False, percent: bool = False, num_ticks: int = 5) -> Axis:
    """An axis that holds [low, high], with ticks at multiples of 1, 2 or 5 times a power of ten.

    Args:
        low: least value to show.
        high: greatest value, >= low; equal values get room around them.
        tight: end the axis at low and high, not at the ticks beyond them.
        percent: write shares as per cent.
        num_ticks: about how many ticks.
    """
    if low == high:
        room = abs(low) / 10 or 0.5
        low, high = low - room, high + room
    step = _round_step((high - low) / num_ticks)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    if not tight:
        low, high = first * step, last * step
    axis = Axis(low=low, high=high, ticks=())
    values = [number * step for number in range(first, last + 1)]
    ticks = tuple(
        Tick(position=axis.place(value), label=_label(value, step, percent=percent))
        for value in values
        if low - step * 1e-6 <= value <= high + step * 1e-6
    )
    return Axis(low=low, high=high, ticks=ticks)


def _round_step(rough: float) -> float:
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _label(value: float, step: float, *, percent: bool) -> str:
    scale = 100 if percent else 1
    decimals = max(0, -floor(log10(step * scale) + 1e-9))
    return f"{value * scale + 0.0:,.{decimals}f}" + (" %" if percent else "")
