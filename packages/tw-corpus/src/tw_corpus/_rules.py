"""Quality rules: thresholds on `Measures`, and the decision they lead to. The text is not seen here."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter

from tw_corpus._measure import Measures
from twllm_types import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRules:
    """Thresholds on `Measures`; `None` turns a rule off. A threshold itself still passes.

    `min_X` and `max_X` compare the measure X; the rules are applied in the order in which they stand here. The two
    rules on term densities hold only for texts with at least `min_distinct_terms` different telling terms of that
    kind, so that news, law and teaching that mention a subject are not taken for it. The defaults are the
    recipe `web`; `recipes/web.yaml` gives each threshold its source (docs/tw-corpus.md).

    Raises:
        ConfigError: a value is no number, a share lies outside 0 to 1, a count is negative or broken, or a minimum
            exceeds its maximum.
    """

    min_han_chars: int | None = 20
    max_chars: int | None = None
    min_han_share: float | None = 0.1
    max_simplified_share: float | None = 0.2
    max_kana_hangul_share: float | None = 0.25
    max_latin_share: float | None = None
    max_digit_share: float | None = 0.35
    max_symbol_share: float | None = 0.3
    max_private_use_share: float | None = 0.05
    max_mojibake_share: float | None = 0.02
    max_rare_han_share: float | None = 0.22
    max_lone_han_share: float | None = 0.3
    min_punctuation_share: float | None = None
    max_punctuation_share: float | None = None
    min_sentence_end_share: float | None = None
    min_function_chars: int | None = None
    min_function_char_share: float | None = 0.015
    max_function_char_share: float | None = None
    min_unique_char_ratio: float | None = 0.1
    min_mean_line_chars: float | None = None
    max_short_line_share: float | None = None
    max_short_line_char_share: float | None = None
    min_terminal_line_share: float | None = None
    min_terminal_line_char_share: float | None = None
    max_ellipsis_line_share: float | None = 0.3
    max_bullet_line_share: float | None = 0.9
    max_bare_entry_char_share: float | None = 0.5
    max_line_break_ratio: float | None = 0.3
    max_duplicate_line_share: float | None = 0.5
    max_duplicate_line_char_share: float | None = 0.3
    max_top_2gram_share: float | None = 0.3
    max_top_4gram_share: float | None = 0.25
    max_duplicate_10gram_share: float | None = 0.65
    max_duplicate_20gram_share: float | None = 0.35
    max_url_share: float | None = 0.3
    max_curly_brace_share: float | None = 0.03
    max_javascript_mentions: int | None = None
    max_placeholder_terms: int | None = 1
    max_gambling_term_density: float | None = 45.0
    max_adult_term_density: float | None = 45.0
    min_distinct_terms: int | None = 3
    max_promotion_score: float | None = 0.42
    max_boilerplate_score: float | None = 0.42

    def __post_init__(self) -> None:
        for key in RULE_KEYS:
            _check_threshold(key, getattr(self, key))
        for key in RULE_KEYS:
            partner = "max_" + key.removeprefix("min_")
            if not key.startswith("min_") or partner not in RULE_KEYS:
                continue
            low, high = getattr(self, key), getattr(self, partner)
            if low is not None and high is not None and low > high:
                raise ConfigError(f"{key}: {low} exceeds {partner}: {high}, so no text passes; change one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The text passed every rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The first rule that failed.

    Attributes:
        reason: the name of the rule, for example `min_han_share`; stable, reports and tests rely on it.
        value: what was measured.
        threshold: what the rule asked for.
    """

    reason: str
    value: float
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How far a text is from the threshold of one rule.

    Attributes:
        reason: the name of the rule.
        value: what was measured.
        threshold: what the rule asks for.
        distance: how far the value lies on the passing side, relative to the threshold (0.1: a tenth of it to
            spare; absolute where the threshold is 0). Negative: the rule fails. 0: just passes.
    """

    reason: str
    value: float
    threshold: float
    distance: float


RULE_KEYS: tuple[str, ...] = tuple(field.name for field in fields(QualityRules))
_COUNT_KEYS = frozenset(field.name for field in fields(QualityRules) if "int" in str(field.type))
_TERM_GUARDS = {
    "max_gambling_term_density": "num_gambling_terms",
    "max_adult_term_density": "num_adult_terms",
}
_MEASURE_NAMES = frozenset(field.name for field in fields(Measures))


def _measure_of(key: str) -> str:
    """The measure that a rule compares: its name without `min_` or `max_`, counts with `num_`."""
    name = key[len("min_") :]
    return name if name in _MEASURE_NAMES else f"num_{name}"


_MEASURE_OF_RULE = {key: _measure_of(key) for key in RULE_KEYS if key != "min_distinct_terms"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checks:
    """The rules that are on, made ready once for all texts.

    Attributes:
        reasons: their names, in their order.
        are_max: whether a greater value fails; else a smaller one does.
        guards: place of the number of terms that a rule waits for among the values; -1 without one.
        values_of: gives the values that the rules compare, then those that guards ask for.
        thresholds_of: gives their thresholds; not kept here, since rules of 1 and of 1.0 are equal.
    """

    reasons: tuple[str, ...]
    are_max: tuple[bool, ...]
    guards: tuple[int, ...]
    values_of: Callable[[Measures], tuple[float, ...]]
    thresholds_of: Callable[[QualityRules], tuple[float, ...]]


@lru_cache(maxsize=16)
def _checks(rules: QualityRules) -> _Checks:
    keys = [key for key in _MEASURE_OF_RULE if getattr(rules, key) is not None]
    guards = [key for key in keys if key in _TERM_GUARDS and rules.min_distinct_terms is not None]
    names = [*(_MEASURE_OF_RULE[key] for key in keys), *(_TERM_GUARDS[key] for key in guards)]
    return _Checks(
        reasons=tuple(keys),
        are_max=tuple(key.startswith("max_") for key in keys),
        guards=tuple(len(keys) + guards.index(key) if key in guards else -1 for key in keys),
        values_of=_getter(names),
        thresholds_of=_getter(keys),
    )


def _getter(names: Sequence[str]) -> Callable[[object], tuple[float, ...]]:
    """What gives the attributes; the last two of them are never looked at: of one name `attrgetter` gives no tuple."""
    return attrgetter(*names, "__class__", "__class__")


def decide(measures: Measures, rules: QualityRules) -> Kept | Rejected:
    """Apply `rules` in the order of their fields; the first that fails gives the reason."""
    for key, is_max, value, threshold in _applicable(measures, rules):
        if value > threshold if is_max else value < threshold:
            return Rejected(reason=key, value=value, threshold=threshold)
    return Kept()


def margins(measures: Measures, rules: QualityRules, *, within: float = math.inf) -> tuple[Margin, ...]:
    """The distance to every rule that applies, in their order; a term rule whose guard holds it back is left out.

    Args:
        measures: of one text.
        rules: thresholds.
        within: a rule whose threshold is farther away than this, on either side, is left out.
    """
    return tuple(
        [
            Margin(reason=key, value=value, threshold=threshold, distance=distance)
            for key, is_max, value, threshold in _applicable(measures, rules)
            if -within <= (distance := _distance(value, threshold, is_max=is_max)) <= within
        ]
    )


def _applicable(measures: Measures, rules: QualityRules) -> list[tuple[str, bool, float, float]]:
    """Name, whether it is a maximum, measured value and threshold of each rule that is on and applies."""
    ready = _checks(rules)
    values = ready.values_of(measures)
    rows = zip(ready.reasons, ready.are_max, values, ready.thresholds_of(rules), ready.guards, strict=False)
    least = rules.min_distinct_terms or 0
    return [row[:4] for row in rows if row[4] < 0 or values[row[4]] >= least]


def _distance(value: float, threshold: float, *, is_max: bool) -> float:
    gap = threshold - value if is_max else value - threshold
    return gap / threshold if threshold else gap


def _check_threshold(key: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{key}: {value!r} is not a number; give a number, or null to turn the rule off")
    if key in _COUNT_KEYS and not isinstance(value, int):
        raise ConfigError(f"{key}: {value} is not a whole number; give a count, or null to turn the rule off")
    if value < 0:
        raise ConfigError(f"{key}: {value} is negative; give 0 or more, or null to turn the rule off")
    if key.endswith(("_share", "_score")) and value > 1:
        raise ConfigError(
            f"{key}: {value} is not within 0 to 1; give a number from 0 to 1, or null to turn the rule off"
        )
