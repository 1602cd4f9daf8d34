"""Thresholds per intent, estimated on rows with known labels. Pure.

Per-class thresholds make the null model cancel: g[null](y) depends on y only, so PVI(x*, y) > mean PVI of y holds
exactly where log2 g'[x*](y) > mean log2 g'[x](y) (brief §2.2). The null model matters for a global threshold only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from icda._choices import choose
from icda._pvi import FloatArray, codes_of
from twllm_types import ConfigError, DataError, FrozenDict


class ThresholdRule(StrEnum):
    """How the values of an intent become its threshold.

    MEAN: ICDA's, second-hand. MEDIAN, QUANTILE: not pulled down by single bad rows. GLOBAL: the mean of all rows, for
    every intent.
    """

    MEAN = "mean"
    MEDIAN = "median"
    QUANTILE = "quantile"
    GLOBAL = "global"


class EstimatedOn(StrEnum):
    """Which rows thresholds come from.

    VALIDATION: labelled rows beside the seeds. CROSS_FIT: the seeds, each held out in turn. FITTED_ROWS: the seeds that
    the classifier was fitted on; such thresholds sit near the upper bound and reject almost everything (3.5 to 24 %
    kept, brief §2.2).
    """

    VALIDATION = "validation"
    CROSS_FIT = "cross_fit"
    FITTED_ROWS = "fitted_rows"


class ThresholdScale(StrEnum):
    """What the values are: PVI in bits, or probabilities (`self_confidence_thresholds`)."""

    BITS = "bits"
    PROBABILITY = "probability"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """A threshold per intent, and the one for all others.

    Attributes:
        per_class: threshold of each intent that has its own.
        global_: of all rows by the same rule; what every other intent takes.
        rule: how values became thresholds.
        scale: of the values.
        num_rows: rows that they were estimated on.
        counts: rows per intent, those of `from_global` with no row as 0.
        from_global: intents that take the global threshold for want of rows, sorted.
        estimated_on: which rows.
        shrinkage: weight of the global threshold, in rows.

    Raises:
        DataError: a threshold is not finite, or there is no row.
    """

    per_class: Mapping[str, float]
    global_: float
    rule: ThresholdRule
    scale: ThresholdScale
    num_rows: int
    counts: Mapping[str, int]
    from_global: tuple[str, ...]
    estimated_on: EstimatedOn
    shrinkage: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "per_class", FrozenDict(self.per_class))
        object.__setattr__(self, "counts", FrozenDict(self.counts))
        if self.num_rows < 1 or not np.isfinite([self.global_, *self.per_class.values()]).all():
            raise DataError("thresholds need at least one row and finite values; give held-out rows with known labels")

    def of(self, intent: str) -> float:
        """Threshold of an intent, the global one where it has none of its own."""
        return self.per_class.get(intent, self.global_)

    def per_code(self, classes: Sequence[str]) -> FloatArray:
        """Thresholds in the order of the classes, shape (K,)."""
        return np.fromiter((self.of(name) for name in classes), dtype=np.float64, count=len(classes))


def class_thresholds(
    pvi: ArrayLike,
    labels: Sequence[str],
    *,
    estimated_on: EstimatedOn | str,
    rule: ThresholdRule | str = ThresholdRule.MEAN,
    quantile: float | None = None,
    shrinkage: float = 0.0,
    min_count: int = 1,
    classes: Sequence[str] | None = None,
    scale: ThresholdScale | str = ThresholdScale.BITS,
) -> Thresholds:
    """Estimate a threshold per intent.

    t_c = rule(values of c), t the same rule over all rows; with shrinkage m, (n_c t_c + m t) / (n_c + m).

    Args:
        pvi: value of each row under its true label, bits, shape (N,); of distinct texts.
        labels: true label of each row.
        estimated_on: which rows these are; nothing is assumed.
        rule: see `ThresholdRule`.
        quantile: in [0, 1], with the rule `quantile` and only there; linear interpolation.
        shrinkage: m >= 0, the weight of the global threshold counted in rows.
        min_count: an intent with fewer rows takes the global threshold, >= 1.
        classes: all intents, so that those without a row are listed in `from_global`; None for those of `labels`.
        scale: of the values.

    Raises:
        DataError: no row, a value that is not finite, other shapes, or a label that is none of the classes.
        ConfigError: no such rule, or an option out of its range.
    """
    chosen = choose(ThresholdRule, rule, name="threshold rule")
    check_threshold_options(chosen, quantile=quantile, shrinkage=shrinkage, min_count=min_count)
    values = np.asarray(pvi, dtype=np.float64)
    if values.shape != (len(labels),) or not values.size:
        raise DataError(f"{len(labels)} labels for values of shape {values.shape}; give one value per label, and a row")
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise DataError(f"value of row {row} ({labels[row]!r}) is {values[row]}; thresholds need finite values")
    names = tuple(dict.fromkeys(labels)) if classes is None else tuple(classes)
    codes = codes_of(labels, names, strict=True)
    reduce = _reducer(chosen, quantile)
    overall = reduce(values)
    counts = np.bincount(codes, minlength=len(names))
    groups = np.split(values[np.argsort(codes, kind="stable")], np.cumsum(counts)[:-1])
    per_class: dict[str, float] = {}
    if chosen is not ThresholdRule.GLOBAL:
        for name, group in zip(names, groups, strict=True):
            if group.size >= min_count:
                per_class[name] = (group.size * reduce(group) + shrinkage * overall) / (group.size + shrinkage)
    missing = () if chosen is ThresholdRule.GLOBAL else tuple(sorted(set(names) - set(per_class)))
    return Thresholds(
        per_class=per_class,
        global_=overall,
        rule=chosen,
        scale=choose(ThresholdScale, scale, name="threshold scale"),
        num_rows=values.size,
        counts=dict(zip(names, counts.tolist(), strict=True)),
        from_global=missing,
        estimated_on=choose(EstimatedOn, estimated_on, name="source of thresholds"),
        shrinkage=shrinkage,
    )


def check_threshold_options(rule: ThresholdRule, *, quantile: float | None, shrinkage: float, min_count: int) -> None:
    """Refuse options that `class_thresholds` cannot use.

    Raises:
        ConfigError: one is out of its range, or is given for a rule that has no use for it.
    """
    if (quantile is not None) != (rule is ThresholdRule.QUANTILE):
        raise ConfigError(f"quantile is {quantile} for the rule {rule}; give it with 'quantile', and only there")
    if quantile is not None and not 0 <= quantile <= 1:
        raise ConfigError(f"quantile is {quantile}; give a share in [0, 1]")
    if not 0 <= shrinkage < float("inf"):
        raise ConfigError(f"shrinkage is {shrinkage}; give a number of rows >= 0")
    if min_count < 1:
        raise ConfigError(f"min_count is {min_count}; give a number >= 1")


def _reducer(rule: ThresholdRule, quantile: float | None) -> Callable[[FloatArray], float]:
    if rule is ThresholdRule.MEDIAN:
        return lambda values: float(np.median(values))
    if quantile is not None:
        return lambda values: float(np.quantile(values, quantile))
    return lambda values: float(values.mean())
