"""Which labelled solutions are trained on. Pure: rules and seed decide, never the order of the solutions.

Rules apply in this order, and the first that leaves a solution out is its reason: unknown outcome, truncated, repeated,
prompts of one class, the balance within a prompt, the cap of a prompt, the balance of the set.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from twllm_types import ConfigError

Keep: TypeAlias = Literal["keep", "drop"]
Balance: TypeAlias = Literal["none", "prompt", "set"]


class LeftOut(StrEnum):
    """Why a solution is not trained on."""

    UNKNOWN_OUTCOME = "unknown_outcome"
    TRUNCATED = "truncated"
    REPEATED = "repeated"
    ALL_RIGHT = "all_right"
    ALL_WRONG = "all_wrong"
    BALANCE = "balance"
    CAP = "cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRules:
    """How a training set is made of labelled solutions; whether the paper dropped anything is unknown to us.

    Attributes:
        all_right: prompts whose kept solutions are all right: "keep" [ours] or "drop".
        all_wrong: likewise all wrong. "keep" [ours].
        unknown_outcomes: solutions without known outcome, whose steps may still teach: "keep" [ours] or "drop".
        truncated: solutions cut off at max_tokens: "drop" [ours], since training would end them with the
            end-of-sequence token, or "keep".
        repeated: equal solutions of a prompt, of which the first sampled stays: "drop" [ours] or "keep".
        balance: "none" [ours]; "prompt" leaves as many right as wrong solutions in every prompt, "set" in the whole
            set; those left out are drawn by seed.
        max_per_prompt: most solutions of a prompt, right and wrong ones in turn, >= 1; None for any [ours].

    Raises:
        ConfigError: the cap is below 1.
    """

    all_right: Keep = "keep"
    all_wrong: Keep = "keep"
    unknown_outcomes: Keep = "keep"
    truncated: Keep = "drop"
    repeated: Keep = "drop"
    balance: Balance = "none"
    max_per_prompt: int | None = None

    def __post_init__(self) -> None:
        if self.max_per_prompt is not None and self.max_per_prompt < 1:
            raise ConfigError(f"max_per_prompt is {self.max_per_prompt}; give a number >= 1, or null for any")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the rules look at.

    Attributes:
        prompt: of the solution.
        number: of the sample, which with the prompt tells it from others.
        text: the whole solution.
        outcome: right, wrong or unknown.
        is_truncated: it was cut off.
    """

    prompt: str
    number: int
    text: str
    outcome: bool | None
    is_truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was chosen.

    Attributes:
        kept: places of the candidates that are trained on, rising.
        left_out: reason of every other place.
        num_prompts: prompts with a kept solution.
    """

    kept: tuple[int, ...]
    left_out: dict[int, LeftOut]
    num_prompts: int

    @property
    def counts(self) -> dict[str, int]:
        """How many were left out, by reason; a reason that never occurred is 0."""
        found = Counter(self.left_out.values())
        return {reason.value: found[reason] for reason in LeftOut}


def select_solutions(candidates: Sequence[Candidate], rules: SelectionRules, *, seed: int) -> Selection:
    """Choose; no candidate gives an empty selection.

    Args:
        candidates: with distinct (prompt, number).
        rules: what decides.
        seed: of the draws. A draw ranks by hash of seed, prompt and number, so that it depends on no other prompt.
    """
    left_out: dict[int, LeftOut] = {}
    seen: set[tuple[str, str]] = set()
    for place in sorted(range(len(candidates)), key=lambda at: (candidates[at].prompt, candidates[at].number)):
        reason = _refusal(candidates[place], rules, seen)
        if reason is not None:
            left_out[place] = reason
    groups: dict[str, list[int]] = {}
    for place, candidate in enumerate(candidates):
        if place not in left_out:
            groups.setdefault(candidate.prompt, []).append(place)
    for places in groups.values():
        left_out |= _choose_in_prompt(places, candidates, rules, seed)
    if rules.balance == "set":
        rest = [place for place in range(len(candidates)) if place not in left_out]
        left_out |= dict.fromkeys(_surplus(rest, candidates, seed), LeftOut.BALANCE)
    kept = tuple(place for place in range(len(candidates)) if place not in left_out)
    return Selection(kept=kept, left_out=left_out, num_prompts=len({candidates[place].prompt for place in kept}))


def _refusal(candidate: Candidate, rules: SelectionRules, seen: set[tuple[str, str]]) -> LeftOut | None:
    """The rule that a solution fails by itself; `seen` grows by what stays."""
    if candidate.outcome is None and rules.unknown_outcomes == "drop":
        return LeftOut.UNKNOWN_OUTCOME
    if candidate.is_truncated and rules.truncated == "drop":
        return LeftOut.TRUNCATED
    if rules.repeated == "drop" and (candidate.prompt, candidate.text) in seen:
        return LeftOut.REPEATED
    seen.add((candidate.prompt, candidate.text))
    return None


def _choose_in_prompt(
    places: Sequence[int], candidates: Sequence[Candidate], rules: SelectionRules, seed: int
) -> dict[int, LeftOut]:
    outcomes = {candidates[place].outcome for place in places}
    if outcomes == {True} and rules.all_right == "drop":
        return dict.fromkeys(places, LeftOut.ALL_RIGHT)
    if outcomes == {False} and rules.all_wrong == "drop":
        return dict.fromkeys(places, LeftOut.ALL_WRONG)
    left_out: dict[int, LeftOut] = {}
    if rules.balance == "prompt":
        left_out = dict.fromkeys(_surplus(places, candidates, seed), LeftOut.BALANCE)
    rest = [place for place in places if place not in left_out]
    if rules.max_per_prompt is not None and len(rest) > rules.max_per_prompt:
        kept = set(_in_turn(rest, candidates, seed)[: rules.max_per_prompt])
        left_out |= {place: LeftOut.CAP for place in rest if place not in kept}
    return left_out


def _surplus(places: Sequence[int], candidates: Sequence[Candidate], seed: int) -> list[int]:
    """What has to go so that as many are right as wrong; unknown outcomes stay."""
    right = [place for place in places if candidates[place].outcome is True]
    wrong = [place for place in places if candidates[place].outcome is False]
    least = min(len(right), len(wrong))
    return [place for group in (right, wrong) for place in _ranked(group, candidates, seed)[least:]]


def _in_turn(places: Sequence[int], candidates: Sequence[Candidate], seed: int) -> list[int]:
    """Right, wrong and unknown ones in turn, each drawn by seed."""
    groups = [
        _ranked([place for place in places if candidates[place].outcome is outcome], candidates, seed)
        for outcome in (True, False, None)
    ]
    longest = max(len(group) for group in groups)
    return [group[turn] for turn in range(longest) for group in groups if turn < len(group)]


def _ranked(places: Iterable[int], candidates: Sequence[Candidate], seed: int) -> list[int]:
    def rank(place: int) -> bytes:
        candidate = candidates[place]
        text = f"{seed}\0{candidate.number}\0{candidate.prompt}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

    return sorted(places, key=rank)
