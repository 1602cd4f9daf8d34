"""Selection: which candidates are kept, by arrays over all of them at once. Pure.

Legend: N candidates, K classes.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icda._compare import BoolArray, Comparison, compare
from icda._pvi import FloatArray, IntArray
from icda._scores import CandidateScores
from icda._selection_rules import Decision, DecisionReason, Outcome, SelectionKind, SelectionRules
from icda._thresholds import Thresholds
from twllm_types import ConfigError, DataError

_REASONS = tuple(DecisionReason)
_CODE = {reason: code for code, reason in enumerate(_REASONS)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """What was decided on N candidates, in their order; `decision(place)` reads one.

    Attributes:
        kind: of the rule.
        ids: of the candidates.
        asked: intents that were asked for.
        classes: intents that the classifier knows.
        kept: whether each is trained on; (N,).
        moved_to: place in `classes` of the intent that a relabelled one takes, else -1; (N,).
        reasons: place in `DecisionReason` of each reason; (N,).
        values: what was compared, NaN where nothing was; (N,).
        limits: what it was compared with, NaN where there is none; (N,).
    """

    kind: SelectionKind
    ids: tuple[str, ...]
    asked: tuple[str, ...]
    classes: tuple[str, ...]
    kept: BoolArray
    moved_to: IntArray
    reasons: NDArray[np.int8]
    values: FloatArray
    limits: FloatArray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_kept(self) -> int:
        """Candidates that are trained on, relabelled ones among them."""
        return int(self.kept.sum())

    def kept_places(self) -> list[int]:
        """Places of the kept candidates, rising."""
        return np.flatnonzero(self.kept).tolist()

    def intent(self, place: int) -> str:
        """The intent that the candidate has or takes, kept or not."""
        moved = int(self.moved_to[place])
        return self.asked[place] if moved < 0 else self.classes[moved]

    def kept_intents(self) -> tuple[str, ...]:
        """Intents that the kept candidates are trained under, in the order of `kept_places`."""
        return tuple(self.intent(place) for place in self.kept_places())

    def kept_per_intent(self) -> dict[str, int]:
        """How many rows each intent gets; one that was asked for and gets none is 0."""
        counts = dict.fromkeys(self.asked, 0)
        for name in self.kept_intents():
            counts[name] = counts.get(name, 0) + 1
        return counts

    def reason_counts(self) -> dict[DecisionReason, int]:
        """How many candidates have each reason; those that never occurred are 0."""
        counts = np.bincount(self.reasons, minlength=len(_REASONS)).tolist()
        return dict(zip(_REASONS, counts, strict=True))

    def decision(self, place: int) -> Decision:
        """What was decided on one candidate, and why."""
        kept, moved = bool(self.kept[place]), int(self.moved_to[place]) >= 0
        value, limit = float(self.values[place]), float(self.limits[place])
        return Decision(
            id=self.ids[place],
            outcome=(Outcome.RELABELLED if moved else Outcome.KEPT) if kept else Outcome.DROPPED,
            reason=_REASONS[int(self.reasons[place])],
            asked=self.asked[place],
            intent=self.intent(place) if kept else None,
            value=None if np.isnan(value) else value,
            threshold=None if np.isnan(limit) else limit,
        )

    def decisions(self) -> Iterator[Decision]:
        """All decisions, in the order of the candidates."""
        return (self.decision(place) for place in range(len(self)))


def select(
    scores: CandidateScores, thresholds: Thresholds | None, rules: SelectionRules, *, like: Selection | None = None
) -> Selection:
    """Decide on every candidate. No candidate gives an empty selection.

    In this order: the rule of the kind, relabelling, the band, filling up to `min_per_intent`, the cap. A relabelled
    candidate is judged by the thresholds of the intent that it takes, from the band on.

    Args:
        scores: of the candidates.
        thresholds: in bits for the kinds of PVI, of probabilities for `self-confidence`; no other kind reads them.
        rules: what decides.
        like: for `random`, the selection whose size is drawn.

    Raises:
        ConfigError: the kind needs thresholds, a selection to be like, or nearest intents, and they are not there.
        DataError: `like` is of other candidates.
    """
    if rules.kind is SelectionKind.RANDOM:
        return _draw(scores, rules, like)
    first = compare(scores, thresholds, rules)
    start = Selection(
        kind=rules.kind,
        ids=scores.ids,
        asked=scores.intents,
        classes=scores.classes,
        kept=first.passes,
        moved_to=np.full(len(scores), -1, dtype=np.int64),
        reasons=_reasons(first, asks_classifier=rules.kind is not SelectionKind.KEEP_ALL, asked=scores.asked),
        values=first.values,
        limits=first.limits,
    )
    state = _relabel(start, first, scores) if rules.relabel else start
    if rules.upper_quantile is not None:
        state = _drop_above_band(state, scores, rules, rules.upper_quantile)
    groups = _group_codes(state, scores)
    if rules.min_per_intent is not None:
        state = _fill(state, groups, scores, rules.min_per_intent)
    return state if rules.cap_per_intent is None else _cap(state, groups, rules.cap_per_intent, rules.seed)


def mass_weights(intents: Sequence[str], seed_counts: Mapping[str, int], *, mass: float) -> FloatArray:
    """Training weights of synthetic rows, (N,): mass * k / n for an intent of k seeds and n synthetic rows.

    The rows of an intent together then weigh `mass` times its seeds, each of which weighs 1 (brief §7c).

    Args:
        intents: that the kept rows are trained under.
        seed_counts: seeds per intent.
        mass: > 0.

    Raises:
        DataError: an intent has no seed.
        ConfigError: the mass is not > 0.
    """
    if not 0 < mass < float("inf"):
        raise ConfigError(f"mass is {mass}; give a factor > 0")
    counts: dict[str, int] = {}
    for name in intents:
        counts[name] = counts.get(name, 0) + 1
    without = [name for name in counts if seed_counts.get(name, 0) < 1]
    if without:
        raise DataError(f"intent {without[0]!r} has synthetic rows and no seed to weigh them by; add one, or drop them")
    shares = {name: mass * seed_counts[name] / count for name, count in counts.items()}
    return np.fromiter((shares[name] for name in intents), dtype=np.float64, count=len(intents))


def _draw(scores: CandidateScores, rules: SelectionRules, like: Selection | None) -> Selection:
    """As many as `like` keeps, those whose hash of seed and id is lowest."""
    if like is None:
        raise ConfigError("a random selection needs the selection whose size it takes; give like=...")
    if like.ids != scores.ids:
        raise DataError("the selection to be like is of other candidates; select both from the same scores")
    kept = np.zeros(len(scores), dtype=np.bool_)
    kept[np.argsort(_hashes(scores.ids, rules.seed), kind="stable")[: like.num_kept]] = True
    nothing = np.full(len(scores), np.nan)
    state = Selection(
        kind=rules.kind,
        ids=scores.ids,
        asked=scores.intents,
        classes=scores.classes,
        kept=kept,
        moved_to=np.full(len(scores), -1, dtype=np.int64),
        reasons=np.where(kept, _CODE[DecisionReason.PASSED], _CODE[DecisionReason.NOT_DRAWN]).astype(np.int8),
        values=nothing,
        limits=nothing,
    )
    if rules.cap_per_intent is None:
        return state
    return _cap(state, _group_codes(state, scores), rules.cap_per_intent, rules.seed)


def _reasons(first: Comparison, *, asks_classifier: bool, asked: IntArray) -> NDArray[np.int8]:
    codes = np.where(first.passes, _CODE[DecisionReason.PASSED], _CODE[first.failure]).astype(np.int8)
    if asks_classifier:
        codes[asked < 0] = _CODE[DecisionReason.UNKNOWN_INTENT]
    return codes


def _relabel(state: Selection, first: Comparison, scores: CandidateScores) -> Selection:
    moves = ~state.kept & (scores.asked >= 0) & (first.other != scores.asked) & first.other_passes
    reasons = state.reasons.copy()
    reasons[moves] = _CODE[DecisionReason.RELABELLED]
    return replace(
        state,
        kept=state.kept | moves,
        moved_to=np.where(moves, first.other, -1),
        reasons=reasons,
        values=np.where(moves, first.other_values, state.values),
        limits=np.where(moves, first.other_limits, state.limits),
    )


def _drop_above_band(state: Selection, scores: CandidateScores, rules: SelectionRules, quantile: float) -> Selection:
    known = scores.asked >= 0
    limits = np.full(len(scores.classes), np.inf)
    if rules.kind is SelectionKind.PVI_GLOBAL:
        limits[:] = np.quantile(scores.pvi[known], quantile) if known.any() else np.inf
    else:
        order = np.flatnonzero(known)[np.argsort(scores.asked[known], kind="stable")]
        counts = np.bincount(scores.asked[known], minlength=limits.size)
        for code, group in enumerate(np.split(order, np.cumsum(counts)[:-1])):
            if group.size:
                limits[code] = np.quantile(scores.pvi[group], quantile)
    own = limits[np.where(state.moved_to >= 0, state.moved_to, scores.asked)]
    above = state.kept & (state.values > own)
    reasons = state.reasons.copy()
    reasons[above] = _CODE[DecisionReason.ABOVE_BAND]
    return replace(
        state,
        kept=state.kept & ~above,
        moved_to=np.where(above, -1, state.moved_to),
        reasons=reasons,
        limits=np.where(above, own, state.limits),
    )


def _fill(state: Selection, groups: IntArray, scores: CandidateScores, least: int) -> Selection:
    open_codes = (_CODE[DecisionReason.BELOW_THRESHOLD], _CODE[DecisionReason.DISAGREES])
    waiting = np.flatnonzero(np.isin(state.reasons, open_codes))
    counts = np.bincount(groups[state.kept], minlength=groups.max(initial=0) + 1)
    margin = np.nan_to_num((state.values - state.limits)[waiting])
    rank = _rank_in_group(scores.asked[waiting], -margin)
    chosen = waiting[rank < least - counts[scores.asked[waiting]]]
    kept, reasons = state.kept.copy(), state.reasons.copy()
    kept[chosen] = True
    reasons[chosen] = _CODE[DecisionReason.FILLED]
    return replace(state, kept=kept, reasons=reasons)


def _cap(state: Selection, groups: IntArray, cap: int, seed: int) -> Selection:
    counts = np.bincount(groups[state.kept], minlength=groups.max(initial=0) + 1)
    crowded = np.flatnonzero(state.kept & (counts[groups] > cap))
    hashes = _hashes([state.ids[int(place)] for place in crowded], seed)
    surplus = crowded[_rank_in_group(groups[crowded], hashes) >= cap]
    kept, reasons = state.kept.copy(), state.reasons.copy()
    moved = state.moved_to.copy()
    kept[surplus] = False
    moved[surplus] = -1
    reasons[surplus] = _CODE[DecisionReason.CAP]
    return replace(state, kept=kept, moved_to=moved, reasons=reasons)


def _group_codes(state: Selection, scores: CandidateScores) -> IntArray:
    """A number per intent that a candidate has or takes; intents unknown to the classifier get their own."""
    codes = np.where(state.moved_to >= 0, state.moved_to, scores.asked)
    numbers: dict[str, int] = {}
    for place in map(int, np.flatnonzero(codes < 0)):
        codes[place] = len(scores.classes) + numbers.setdefault(scores.intents[place], len(numbers))
    return codes


def _rank_in_group(groups: IntArray, keys: NDArray[np.generic]) -> IntArray:
    """Place of each row among those of its group, by rising key, ties by place."""
    order = np.lexsort((keys, groups))
    ranked = groups[order]
    starts = np.searchsorted(ranked, ranked, side="left")
    rank = np.empty(groups.size, dtype=np.int64)
    rank[order] = np.arange(groups.size) - starts
    return rank


def _hashes(ids: Sequence[str], seed: int) -> NDArray[np.uint64]:
    # by id, so that a draw does not depend on the order of the candidates
    digests = b"".join(
        hashlib.blake2b(f"{seed}\0{one}".encode("utf-8", "surrogatepass"), digest_size=8).digest() for one in ids
    )
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)
