"""Plug-in measures as a recipe names them, and the decision on their values. No plug-in is imported or called here."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TypeAlias

from tw_corpus._rules import RULE_KEYS, Kept, Margin, Rejected
from twllm_types import ConfigError, DataError

OptionScalar: TypeAlias = bool | int | float | str
OptionValue: TypeAlias = OptionScalar | tuple[OptionScalar, ...] | None

# a document that a measure failed on is left out for the reason `failed_<name>`
FAILED = "failed_"
_SHIPPED = ("kenlm", "fasttext")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_IMPORT_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
# what readers, blocks and writers note under a name of their own
_TAKEN = frozenset(
    {"id", "text", "input", "file", "source", "genre", "url", "title", "date", "measures", "pii", "duplicate_count"}
    | {"variant", "variant_probability", "converted_probability", "minhash_cluster_size", "num_chars", "metadata"}
    | {"fields", "given_id", "position", "format", "encoding", "encoding_evidence", "encoding_rejected"}
    | {"num_lines_left_out", "num_surrogates_replaced", "board"}
    | {"filter_reason", "filter_value", "filter_threshold", "near_duplicate_count"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginMeasure:
    """A measure that does not ship as a rule: perplexity, a trained classifier, any callable.

    Attributes:
        name: lower-case letters, digits and underscores, 40 at most. Each document carries the value under this name;
            `min_<name>` and `max_<name>` are the reasons of rejection.
        factory: `kenlm`, `fasttext`, or `package.module:attribute`, what makes the measure (see `MeasureFactory`).
        options: keyword arguments of the factory.
        minimum: a document whose value is below is left out; the threshold itself still passes. None is no limit.
        maximum: likewise for values above. With neither the value is noted and nothing left out.

    Raises:
        ConfigError: a name or factory of another form, a name that is taken, or thresholds that let nothing pass.
    """

    name: str
    factory: str
    options: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        self._check_name()
        if self.factory not in _SHIPPED and not _IMPORT_PATH.fullmatch(self.factory):
            raise ConfigError(
                f"factory is {self.factory!r}; give {', '.join(_SHIPPED)} or an import path like my_package.module:Name"
            )
        for key in ("minimum", "maximum"):
            value = getattr(self, key)
            if value is not None and not math.isfinite(value):
                raise ConfigError(f"{key} is {value}; give a finite number, or null for no limit")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ConfigError(
                f"minimum {self.minimum} exceeds maximum {self.maximum}, so no text passes; change one of them"
            )

    @property
    def limits(self) -> Mapping[str, float]:
        """Reason of rejection to threshold, of the thresholds that are set."""
        pairs = ((f"min_{self.name}", self.minimum), (f"max_{self.name}", self.maximum))
        return {reason: threshold for reason, threshold in pairs if threshold is not None}

    @property
    def failure(self) -> str:
        """Reason under which a document stands that the measure failed on."""
        return f"{FAILED}{self.name}"

    def _check_name(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"name is {self.name!r}; give 1 to 40 lower-case letters, digits and underscores, a letter first"
            )
        reasons = {f"min_{self.name}", f"max_{self.name}"}
        if self.name in _TAKEN or self.name.endswith("_error") or reasons & set(RULE_KEYS):
            raise ConfigError(f"name is {self.name!r}, which tw-corpus uses itself; give another name")


def check_names(measures: Sequence[PluginMeasure]) -> None:
    """Refuse measures that share a name.

    Raises:
        ConfigError: a name stands twice.
    """
    names = [measure.name for measure in measures]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"measures holds the name {twice[0]!r} twice; give each measure its own name")


def as_value(value: object) -> float:
    """Return what a plug-in returned as a float.

    Numbers of NumPy are numbers, True and False are not.

    Raises:
        DataError: it is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise DataError(f"the measure returned {type(value).__name__}; a measure returns a finite number")
    number = float(value)
    if not math.isfinite(number):
        raise DataError(f"the measure returned {number}; a measure returns a finite number")
    return number


def decide_value(value: float, measure: PluginMeasure) -> Kept | Rejected:
    """Compare a value with the thresholds; the minimum comes first."""
    for reason, threshold in measure.limits.items():
        if value < threshold if reason.startswith("min_") else value > threshold:
            return Rejected(reason=reason, value=value, threshold=threshold)
    return Kept()


def value_margins(value: float, measure: PluginMeasure) -> tuple[Margin, ...]:
    """Return the distance to each threshold, relative to its size (absolute where it is 0); see `Margin`."""
    return tuple(
        Margin(
            reason=reason,
            value=value,
            threshold=threshold,
            distance=(value - threshold if reason.startswith("min_") else threshold - value) / (abs(threshold) or 1),
        )
        for reason, threshold in measure.limits.items()
    )
