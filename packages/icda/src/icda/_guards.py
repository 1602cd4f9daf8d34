"""Checks that stop a run, or warn, with the number: what published re-implementations lacked. Pure, without numpy.

Each returns a `Guard` where something is wrong and None where it is not. Every limit is ours.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import log2
from typing import Literal

from icda._text import normalise_text
from twllm_types import ConfigError, DataError, Estimate, IntentExample

# A test of the packaged MiniLM on Traditional Chinese gives several times this share, on English none.
UNKNOWN_TOKEN_LIMIT = 0.1


class GuardName(StrEnum):
    """What is guarded; a stable string."""

    AT_CHANCE = "at_chance"
    LOW_V_INFORMATION = "low_v_information"
    FITTED_THRESHOLDS = "fitted_thresholds"
    LEAKAGE = "leakage"
    CLASS_COLLAPSE = "class_collapse"
    KEEPS_NEARLY_ALL = "keeps_nearly_all"
    KEEPS_NEARLY_NOTHING = "keeps_nearly_nothing"
    UNKNOWN_TOKENS = "unknown_tokens"


class GuardLevel(StrEnum):
    """STOP: go no further unless the guard is allowed by name. WARN: go on and show it."""

    STOP = "stop"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Something that is wrong.

    Attributes:
        name: which guard.
        level: stop or warn.
        value: what was found; None where there was nothing to measure.
        limit: what it was held against.
        message: one line: what is wrong and what to do.
    """

    name: GuardName
    level: GuardLevel
    value: float | None
    limit: float
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRules:
    """Limits, all ours; `None` turns a guard off.

    Attributes:
        at_chance: stops where the held-out accuracy's interval reaches down to the share of the largest class.
        stop_information_share: stops where I_V is not above this share of log2 K. 0.05; the re-implementation that
            filtered by an untrained model had 0.0001 bits of 7.23 (brief §5).
        warn_information_share: warns likewise. 0.3; the pilots had 0.72 to 0.78 (brief §7a).
        allow_fitted_thresholds: thresholds from fitted rows only warn.
        stop_leaked_rows: stops where at least so many candidates equal a test row. 1.
        warn_leaked_seeds: warns where at least so many seeds equal a test row (published data sets have a few). 1.
        stop_collapsed_share: stops where more than this share of the intents keeps nothing; fewer warn. 0.5.
        warn_kept_above: warns where a filter keeps more than this share. 0.98.
        warn_kept_below: warns where it keeps less than this share; nothing at all stops. 0.02.
        stop_unknown_share: stops where an encoder's tokenizer maps more than this share of the tokens to its unknown
            token. 0.1.
        warn_unknown_share: warns likewise. 0.02.

    Raises:
        ConfigError: a limit is out of range, or a warning stands beyond its stop.
    """

    at_chance: bool = True
    stop_information_share: float | None = 0.05
    warn_information_share: float | None = 0.3
    allow_fitted_thresholds: bool = False
    stop_leaked_rows: int | None = 1
    warn_leaked_seeds: int | None = 1
    stop_collapsed_share: float | None = 0.5
    warn_kept_above: float | None = 0.98
    warn_kept_below: float | None = 0.02
    stop_unknown_share: float | None = UNKNOWN_TOKEN_LIMIT
    warn_unknown_share: float | None = 0.02

    def __post_init__(self) -> None:
        for name in (
            "stop_information_share",
            "warn_information_share",
            "stop_collapsed_share",
            "warn_kept_above",
            "warn_kept_below",
            "stop_unknown_share",
            "warn_unknown_share",
        ):
            value: float | None = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"guard limit {name} is {value}; give a share in [0, 1], or null")
        for name in ("stop_leaked_rows", "warn_leaked_seeds"):
            count: int | None = getattr(self, name)
            if count is not None and count < 1:
                raise ConfigError(f"guard limit {name} is {count}; give a number >= 1, or null")
        if _beyond(self.stop_information_share, self.warn_information_share) or _beyond(
            self.warn_unknown_share, self.stop_unknown_share
        ):
            raise ConfigError("a guard would stop before it warns; set the limit of the warning on the milder side")


def _beyond(first: float | None, second: float | None) -> bool:
    return first is not None and second is not None and first > second


def at_chance(held_out_accuracy: Estimate, label_counts: Mapping[str, int], rules: GuardRules) -> Guard | None:
    """Stop where the classifier does not beat always answering the largest intent.

    Args:
        held_out_accuracy: on rows that it was not fitted on.
        label_counts: rows per intent among those rows.
        rules: limits.
    """
    if not rules.at_chance:
        return None
    total = sum(label_counts.values())
    chance = max(label_counts.values(), default=0) / total if total else 0.0
    mean, low = held_out_accuracy.mean, held_out_accuracy.ci_low
    if mean is not None and (mean if low is None else low) > chance:
        return None
    shown = "unknown" if mean is None else f"{mean:.1%}"
    return Guard(
        name=GuardName.AT_CHANCE,
        level=GuardLevel.STOP,
        value=mean,
        limit=chance,
        message=(
            f"held-out accuracy {shown} over {held_out_accuracy.n} rows is not distinguishable from chance, "
            f"{chance:.1%}; PVI of an untrained classifier is noise: train it longer, or use other features"
        ),
    )


def low_v_information(information: Estimate, num_classes: int, rules: GuardRules) -> Guard | None:
    """Stop or warn where I_V of held-out rows is a small share of log2 K.

    Args:
        information: mean PVI of held-out rows, bits (`v_information`).
        num_classes: K, at least 2.
        rules: limits.

    Raises:
        DataError: fewer than two classes, which carry no information.
    """
    if num_classes < 2:
        raise DataError(f"{num_classes} intent carries no information; give at least two")
    share = None if information.mean is None else information.mean / log2(num_classes)
    found = _lower(share, rules.stop_information_share, rules.warn_information_share)
    if found is None:
        return None
    level, limit = found
    shown = "unknown" if share is None else f"{share:.1%} of log2 {num_classes} ({information.mean:.3f} bits)"
    return Guard(
        name=GuardName.LOW_V_INFORMATION,
        level=level,
        value=share,
        limit=limit,
        message=f"held-out V-information is {shown}, limit {limit:.0%}; the classifier cannot judge candidates: "
        "train it, or use other features",
    )


def fitted_thresholds(estimated_on: str, rules: GuardRules) -> Guard | None:
    """Stop where thresholds come from rows that the classifier was fitted on (`Thresholds.estimated_on`)."""
    if estimated_on != "fitted_rows":
        return None
    return Guard(
        name=GuardName.FITTED_THRESHOLDS,
        level=GuardLevel.WARN if rules.allow_fitted_thresholds else GuardLevel.STOP,
        value=1.0,
        limit=0.0,
        message="thresholds come from rows that the classifier was fitted on, and reject almost everything; "
        "cross-fit them on the seeds, or give validation rows",
    )


def leakage(
    texts: Iterable[str], test: Iterable[IntentExample], rules: GuardRules, *, of: Literal["candidates", "seeds"]
) -> Guard | None:
    """Stop where candidates equal test rows, warn where seeds do, case, spaces and punctuation aside."""
    limit = rules.stop_leaked_rows if of == "candidates" else rules.warn_leaked_seeds
    if limit is None:
        return None
    known = {normalise_text(row.text) for row in test}
    count = sum(normalise_text(text) in known for text in texts)
    if count < limit:
        return None
    return Guard(
        name=GuardName.LEAKAGE,
        level=GuardLevel.STOP if of == "candidates" else GuardLevel.WARN,
        value=float(count),
        limit=float(limit),
        message=f"{count} {of} equal a test row; drop them, or figures on the test set are too good",
    )


def class_collapse(kept_per_intent: Mapping[str, int], rules: GuardRules) -> Guard | None:
    """Warn where an intent keeps nothing; stop where more than a share of them does.

    Args:
        kept_per_intent: rows that each asked intent keeps (`Selection.kept_per_intent`).
        rules: limits.
    """
    limit = rules.stop_collapsed_share
    empty = sorted(name for name, count in kept_per_intent.items() if not count)
    if limit is None or not empty:
        return None
    share = len(empty) / len(kept_per_intent)
    named = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
    return Guard(
        name=GuardName.CLASS_COLLAPSE,
        level=GuardLevel.STOP if share > limit else GuardLevel.WARN,
        value=share,
        limit=limit,
        message=f"{len(empty)} of {len(kept_per_intent)} intents keep nothing ({named}); generate more for them, "
        "set min_per_intent, or use another rule",
    )


def kept_share(num_kept: int, num_candidates: int, rules: GuardRules) -> Guard | None:
    """Warn where a filter keeps nearly all or nearly nothing; stop where it keeps nothing, or has nothing to filter.

    Not for `keep-all`, which keeps all by design.

    Args:
        num_kept: candidates kept, 0..num_candidates.
        num_candidates: candidates in all.
        rules: limits.
    """
    above, below = rules.warn_kept_above, rules.warn_kept_below
    share = num_kept / num_candidates if num_candidates else 0.0
    counted = f"the selection keeps {num_kept} of {num_candidates} candidates"
    if below is not None and (not num_kept or share < below):
        return Guard(
            name=GuardName.KEEPS_NEARLY_NOTHING,
            level=GuardLevel.WARN if num_kept else GuardLevel.STOP,
            value=share,
            limit=below,
            message=f"{counted}; the generator misses the intents, or thresholds are too high: look at dropped rows",
        )
    if above is not None and num_candidates and share > above:
        return Guard(
            name=GuardName.KEEPS_NEARLY_ALL,
            level=GuardLevel.WARN,
            value=share,
            limit=above,
            message=f"{counted}; the filter does not filter: check thresholds, and compare with keep-all",
        )
    return None


def unknown_tokens(num_unknown: int, num_tokens: int, rules: GuardRules) -> Guard | None:
    """Stop or warn where an encoder cannot read the data. No tokens: nothing to say.

    Args:
        num_unknown: tokens that its tokenizer mapped to the unknown token.
        num_tokens: tokens in all, special ones aside.
        rules: limits.
    """
    if not num_tokens:
        return None
    share = num_unknown / num_tokens
    stop, warn = rules.stop_unknown_share, rules.warn_unknown_share
    # the shares that are known, since low ones are what is wrong
    found = _lower(1 - share, None if stop is None else 1 - stop, None if warn is None else 1 - warn, inclusive=False)
    if found is None:
        return None
    level, limit = found
    return Guard(
        name=GuardName.UNKNOWN_TOKENS,
        level=level,
        value=share,
        limit=1 - limit,
        message=f"the encoder's tokenizer knows no token for {share:.1%} of the data, limit {1 - limit:.0%}; use an "
        "encoder for this language, or character n-grams",
    )


def _lower(
    value: float | None, stop: float | None, warn: float | None, *, inclusive: bool = True
) -> tuple[GuardLevel, float] | None:
    """The severer limit that a value does not exceed; no value is as bad as the worst."""
    for level, limit in ((GuardLevel.STOP, stop), (GuardLevel.WARN, warn)):
        if limit is not None and (value is None or value < limit or (inclusive and value == limit)):
            return level, limit
    return None


def refuse_stops(guards: Sequence[Guard], *, allowed: Collection[str] = ()) -> None:
    """Refuse to go on where a guard stops that is not allowed by name.

    Raises:
        DataError: with the messages of all of them.
    """
    stops = [guard for guard in guards if guard.level is GuardLevel.STOP and guard.name not in allowed]
    if stops:
        names = ", ".join(dict.fromkeys(guard.name.value for guard in stops))
        told = "; ".join(guard.message for guard in stops)
        raise DataError(f"stopped by guard {names}: {told} (or allow it by name)")
