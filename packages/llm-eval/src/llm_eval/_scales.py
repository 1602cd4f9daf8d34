"""What a dimension may be rated with: numbers in a range, or words."""

import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

from llm_eval._unicode import has_half_pair
from twllm_types import ConfigError

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_RANGE = re.compile(rf"({_NUMBER.pattern})-({_NUMBER.pattern})(-int|-float)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberScale:
    """Numbers from `minimum` to `maximum`, both included.

    Attributes:
        minimum: lowest score.
        maximum: highest score.
        integer: only whole numbers count; they are written without a point.
        allowed: the only scores that count, in rising order; None for all in the range.

    Raises:
        ConfigError: the range is empty or not finite, or `allowed` is empty, not rising, out of the range or not whole.
    """

    minimum: float
    maximum: float
    integer: bool
    allowed: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.minimum) and isfinite(self.maximum) and self.minimum < self.maximum):
            raise ConfigError(f"scale from {self.minimum} to {self.maximum}; give two finite numbers, the lower first")
        listed = (self.minimum, self.maximum, *(self.allowed or ()))
        if self.integer and any(value != int(value) for value in listed):
            raise ConfigError(f"an integer scale has {listed}; give whole numbers, or integer=False")
        if self.allowed is not None:
            rising = all(low < high for low, high in zip(self.allowed, self.allowed[1:], strict=False))
            inside = all(self.minimum <= value <= self.maximum for value in self.allowed)
            if not (self.allowed and rising and inside):
                raise ConfigError(
                    f"allowed scores {self.allowed} must be in rising order from {self.minimum} to {self.maximum}"
                )

    @property
    def values(self) -> tuple[float, ...] | None:
        """Every score that counts, in rising order; None where there is no end of them (a continuous scale)."""
        if self.allowed is not None:
            return self.allowed
        return tuple(map(float, range(int(self.minimum), int(self.maximum) + 1))) if self.integer else None

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Texts of `values`, as a judge writes them; None for a continuous scale."""
        return None if self.values is None else tuple(self.text(value) for value in self.values)

    def text(self, value: float) -> str:
        """Return how a score of this scale is written: "4" on an integer scale, "4.0" on any other."""
        return str(int(value)) if self.integer else str(float(value))

    def contains(self, value: float) -> bool:
        """Tell whether `value` counts: in the range, whole on an integer scale, one of `allowed`. NaN does not."""
        if not self.minimum <= value <= self.maximum:
            return False
        if self.allowed is not None:
            return value in self.allowed
        return not self.integer or value == int(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictScale:
    """Words, one of which is the verdict; they have no order and no mean.

    Attributes:
        verdicts: at least two different words or phrases, each one line without white space at its ends, quotation
            marks or backslashes, so that it stands in JSON as it is.

    Raises:
        ConfigError: fewer than two, two alike, or one that is none of these.
    """

    verdicts: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.verdicts) < 2 or len(set(self.verdicts)) < len(self.verdicts):
            raise ConfigError(f"verdicts {self.verdicts} are too few or repeated; give at least two different words")
        for verdict in self.verdicts:
            is_plain = json.dumps(verdict, ensure_ascii=False) == f'"{verdict}"' and len(verdict.splitlines()) == 1
            if not is_plain or verdict != verdict.strip():
                raise ConfigError(f"verdict {verdict!r} is empty, padded, quoted or of several lines; correct it")
            if has_half_pair(verdict):
                raise ConfigError(f"verdict {verdict!r} holds half a surrogate pair; write the whole character")

    @property
    def labels(self) -> tuple[str, ...]:
        """The verdicts, as a judge writes them."""
        return self.verdicts


Scale: TypeAlias = NumberScale | VerdictScale

SCALE_0_5 = NumberScale(minimum=0.0, maximum=5.0, integer=False)
"""LLM-Eval's continuous scale (arXiv 2305.13711): "0.0 to 5.0" in the text, `number` in the schema."""
SCALE_0_5_INT = NumberScale(minimum=0, maximum=5, integer=True)
"""Whole numbers, each one token for most models; what an expected score from one call needs."""
SCALE_0_100 = NumberScale(minimum=0, maximum=100, integer=True)
"""LLM-Eval's second scale: "0 to 100" in the text, `integer` in the schema."""


def parse_scale(text: str) -> Scale:
    """Read a scale as it is written on a command line; `scale_text` is the inverse.

    "0-5" is LLM-Eval's continuous scale. Any other range of two whole numbers is of whole numbers ("1-10", "0-100"),
    one with a decimal point is continuous ("0.0-1.0"); "-int" or "-float" at the end says which ("0-5-int",
    "1-7-float"). Numbers between commas are the only scores ("0,0.5,1"), words are verdicts ("good,fair,bad").

    Raises:
        ConfigError: the text is none of these.
    """
    found = _RANGE.fullmatch(text.strip())
    if found is not None:
        return _read_range(*found.groups())
    parts = tuple(part.strip() for part in text.split(","))
    if len(parts) < 2:
        raise ConfigError(f"scale {text!r} is unknown; give 0-5, 0-5-int, 0-100, 1-10, 0,0.5,1 or good,fair,bad")
    numeric = [_NUMBER.fullmatch(part) is not None for part in parts]
    if not any(numeric):
        return VerdictScale(verdicts=parts)
    if not all(numeric):
        raise ConfigError(f"scale {text!r} mixes numbers and words; give one kind")
    values = tuple(float(part) for part in parts)
    return NumberScale(
        minimum=values[0], maximum=values[-1], integer=not any("." in part for part in parts), allowed=values
    )


def read_scale(scale: Scale | str) -> Scale:
    """Return a scale; a text is read by `parse_scale`.

    Raises:
        ConfigError: the text is no scale.
    """
    return parse_scale(scale) if isinstance(scale, str) else scale


def scale_text(scale: Scale) -> str:
    """Return the text that `parse_scale` reads as this scale; what a run stores among its parameters.

    Raises:
        ConfigError: a verdict holds a comma, or allowed scores do not span the range; such a scale has no text.
    """
    match scale:
        case VerdictScale(verdicts=verdicts):
            text = ",".join(verdicts)
        case NumberScale(allowed=None) if scale == SCALE_0_5:
            text = "0-5"
        case NumberScale(allowed=None):
            kind = "-int" if scale.integer else "-float"
            text = f"{scale.text(scale.minimum)}-{scale.text(scale.maximum)}{kind}"
            text = text.removesuffix("-int") if text != "0-5-int" else text
        case NumberScale():
            text = ",".join(scale.labels or ())
    if parse_scale(text) != scale:
        raise ConfigError(f"{scale} cannot be written in one line; leave commas and numbers out of verdicts")
    return text


def _read_range(low: str, high: str, kind: str | None) -> NumberScale:
    if kind is None and (low, high) == ("0", "5"):
        return SCALE_0_5
    integer = kind == "-int" or (kind is None and "." not in low + high)
    return NumberScale(minimum=float(low), maximum=float(high), integer=integer)
