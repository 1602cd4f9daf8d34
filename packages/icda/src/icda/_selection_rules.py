"""What decides which candidates are kept, and how a decision reads. Pure, without numpy."""

from dataclasses import dataclass
from enum import StrEnum

from twllm_types import ConfigError


class SelectionKind(StrEnum):
    """The rule of a selection.

    PVI_CLASS: PVI above the threshold of the asked intent (ICDA). PVI_GLOBAL: above one threshold for all. KEEP_ALL:
    everything. RANDOM: as many as another selection keeps, drawn by seed. ARGMAX: the classifier's best intent is the
    asked one. CONFIDENCE: probability of the asked intent of at least `confidence` (one threshold, as LAMBADA's in
    nlpaug). SELF_CONFIDENCE: probability of at least the asked intent's mean self-confidence (the thresholds of
    confident learning, arXiv 1911.00068). NEAREST_INTENT: the nearest intent by features is the asked one (the idea of
    DDAIR, arXiv 2601.11234).
    """

    PVI_CLASS = "pvi-class"
    PVI_GLOBAL = "pvi-global"
    KEEP_ALL = "keep-all"
    RANDOM = "random"
    ARGMAX = "argmax"
    CONFIDENCE = "confidence"
    SELF_CONFIDENCE = "self-confidence"
    NEAREST_INTENT = "nearest-intent"


PVI_KINDS = frozenset({SelectionKind.PVI_CLASS, SelectionKind.PVI_GLOBAL})
NO_RELABEL_KINDS = frozenset({SelectionKind.KEEP_ALL, SelectionKind.RANDOM})


class Outcome(StrEnum):
    """What became of a candidate."""

    KEPT = "kept"
    RELABELLED = "relabelled"
    DROPPED = "dropped"


class DecisionReason(StrEnum):
    """Why; a stable string that reports rely on.

    PASSED: kept under the asked intent. RELABELLED: kept under the intent that the classifier (or the features) prefer.
    FILLED: dropped by the rule, and kept to reach `min_per_intent`. BELOW_THRESHOLD: the value does not reach the
    threshold. DISAGREES: the preferred intent is another. ABOVE_BAND: the model already knows it (`upper_quantile`).
    NOT_DRAWN: left out by a random selection. CAP: passed, but the intent has `cap_per_intent` rows. UNKNOWN_INTENT:
    the classifier has never seen the asked intent, so there is nothing to compare.
    """

    PASSED = "passed"
    RELABELLED = "relabelled"
    FILLED = "filled"
    BELOW_THRESHOLD = "below_threshold"
    DISAGREES = "disagrees"
    ABOVE_BAND = "above_band"
    NOT_DRAWN = "not_drawn"
    CAP = "cap"
    UNKNOWN_INTENT = "unknown_intent"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRules:
    """Which candidates are kept. `None` turns a rule off. Defaults are ours where the paper is silent or unknown.

    Attributes:
        kind: the rule itself; `pvi-class` is ICDA's.
        inclusive: a value equal to its threshold passes. False: the paper's `>`, second-hand. Bears on the kinds of PVI
            only; `confidence` and `self-confidence` are `>=` by definition.
        upper_quantile: in (0, 1); a candidate whose PVI exceeds this quantile of its intent's candidates (of all, for
            `pvi-global`) is dropped, since the model already knows it. For the kinds of PVI only.
        relabel: a candidate that fails under the asked intent is kept under the preferred one where it passes there.
        cap_per_intent: most rows kept per intent, >= 1. Those that stay are drawn by seed, not by value: the highest
            PVI are what the model already knows.
        min_per_intent: fewest rows kept per intent, >= 1, where it has so many candidates; filled from those that
            failed the threshold or disagree, best first (lowest threshold missed, ties by place).
        confidence: for `confidence`, in (0, 1]. 0.5 is ours.
        mass: > 0; the synthetic rows of an intent together weigh `mass` times its seeds (`mass_weights`). None: each
            row weighs 1.
        seed: of random draws and caps.

    Raises:
        ConfigError: a value is out of range, or a rule does not go with the kind.
    """

    kind: SelectionKind = SelectionKind.PVI_CLASS
    inclusive: bool = False
    upper_quantile: float | None = None
    relabel: bool = False
    cap_per_intent: int | None = None
    min_per_intent: int | None = None
    confidence: float = 0.5
    mass: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for broken, message in (*self._range_problems(), *self._kind_problems()):
            if broken:
                raise ConfigError(message)

    def _range_problems(self) -> tuple[tuple[bool, str], ...]:
        upper, cap, least, mass = self.upper_quantile, self.cap_per_intent, self.min_per_intent, self.mass
        return (
            (upper is not None and not 0 < upper < 1, f"upper_quantile is {upper}; give a share in (0, 1), or null"),
            (cap is not None and cap < 1, f"cap_per_intent is {cap}; give a number >= 1, or null for any"),
            (least is not None and least < 1, f"min_per_intent is {least}; give a number >= 1, or null for any"),
            (
                cap is not None and least is not None and least > cap,
                f"min_per_intent {least} exceeds cap_per_intent {cap}; lower one or raise the other",
            ),
            (not 0 < self.confidence <= 1, f"confidence is {self.confidence}; give a probability in (0, 1]"),
            (mass is not None and not 0 < mass < float("inf"), f"mass is {mass}; give a factor > 0, or null"),
        )

    def _kind_problems(self) -> tuple[tuple[bool, str], ...]:
        return (
            (
                self.upper_quantile is not None and self.kind not in PVI_KINDS,
                f"upper_quantile does not go with {self.kind}; use it with pvi-class or pvi-global",
            ),
            (
                self.relabel and self.kind in NO_RELABEL_KINDS,
                f"relabel does not go with {self.kind}, which asks no classifier; choose another kind",
            ),
            (
                self.min_per_intent is not None and self.kind in NO_RELABEL_KINDS,
                f"min_per_intent does not go with {self.kind}, which ranks nothing; choose another kind",
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided on one candidate.

    Attributes:
        id: of the candidate.
        outcome: kept, relabelled or dropped.
        reason: why.
        asked: the intent that was asked for.
        intent: the intent that it is trained under; None where it is dropped.
        value: what was compared, in bits for PVI, a probability for the kinds of confidence; None where nothing was.
        threshold: what it was compared with; None where there is none.
    """

    id: str
    outcome: Outcome
    reason: DecisionReason
    asked: str
    intent: str | None
    value: float | None
    threshold: float | None
