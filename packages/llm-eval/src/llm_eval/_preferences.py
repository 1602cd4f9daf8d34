"""Which of several responses to one prompt teach a preference: selection by judgements, in the form of TRL's sets.

Nothing is dropped silently: whatever gives no row is counted under a reason of a closed set.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from math import isfinite

from llm_eval._items import JudgeItem, Turn
from twllm_types import ConfigError, DataError, JsonObject, PreferencePair, UnpairedExample

_ROLES = ("assistant", "user")
# 4.2 - 4.0 is a little less than 0.2
_ROUNDING = 1e-9


class PreferenceForm(StrEnum):
    """How rows are written."""

    STANDARD = "standard"
    """Prompt and answers are texts."""
    CONVERSATIONAL = "conversational"
    """Prompt and answers are lists of messages, `[{"role", "content"}]`."""


class PairChoice(StrEnum):
    """Which pairs of the responses to one prompt are taken."""

    EXTREMES = "extremes"
    """The best against the worst: one pair per prompt."""
    ALL = "all"
    """Every pair whose scores lie far enough apart."""


class NoPreference(StrEnum):
    """Why a response, a prompt or a pair gives no row."""

    NO_RESPONSE = "no_response"
    """Items that judge a whole dialogue, so there is nothing to prefer."""
    UNSCORED = "unscored"
    """Responses without scores: not judged, or the judgement failed."""
    ONE_RESPONSE = "one_response"
    """Prompts with fewer than two scored responses."""
    SAME_TEXT = "same_text"
    """Pairs of equal responses."""
    SMALL_MARGIN = "small_margin"
    """Pairs whose scores lie nearer than the margin."""
    SWAP_CONTRADICTS = "swap_contradicts"
    """Pairs that the pairwise judge decided otherwise in both orders."""
    SWAP_UNDECIDED = "swap_undecided"
    """Pairs that the pairwise judge called a tie, or decided otherwise when they were swapped."""
    NOT_SWAPPED = "not_swapped"
    """Pairs that the pairwise judge was not asked in both orders."""
    BETWEEN = "between"
    """Responses whose score lies between the two thresholds."""
    UNCLEAR_ROLES = "unclear_roles"
    """Prompts whose speakers are no two sides of a conversation."""


class SwapVerdict(StrEnum):
    """What a pairwise judge said of two responses over both orders."""

    FIRST = "first"
    SECOND = "second"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceRules:
    """When two responses make a pair, and one response an example.

    Attributes:
        choice: which pairs are taken.
        margin: least difference of the scores, >= 0; 0 still needs different scores.
        check_swap: take only pairs that a pairwise judge decided alike in both orders.
        good_from: responses of at least this score are desirable; None makes no examples.
        bad_to: responses of at most this score are undesirable; below `good_from`.

    Raises:
        ConfigError: a value is out of range, or only one threshold is given.
    """

    choice: PairChoice = PairChoice.EXTREMES
    margin: float = 0.0
    check_swap: bool = False
    good_from: float | None = None
    bad_to: float | None = None

    def __post_init__(self) -> None:
        if not (self.margin >= 0 and isfinite(self.margin)):
            raise ConfigError(f"margin is {self.margin}; give a finite number >= 0")
        if (self.good_from is None) != (self.bad_to is None):
            raise ConfigError("give both thresholds, --good-from and --bad-to, or neither")
        if self.good_from is not None and self.bad_to is not None and not self.bad_to < self.good_from:
            raise ConfigError(f"--bad-to {self.bad_to} must lie below --good-from {self.good_from}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenPair:
    """Two responses, the better one first.

    Attributes:
        chosen: item of the better response.
        rejected: item of the other.
        margin: difference of their scores, > 0.
        is_swap_checked: a pairwise judge decided alike in both orders.
    """

    chosen: JudgeItem
    rejected: JudgeItem
    margin: float
    is_swap_checked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledResponse:
    """A response with thumbs up or down."""

    item: JudgeItem
    score: float
    label: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What was chosen and what was not.

    Attributes:
        pairs: in the order of the prompts.
        labelled: in the order of the items; empty without thresholds.
        num_items: of the input.
        num_prompts: of the input, those of dialogues left out.
        pair_outcomes: reasons why there is no pair, by number.
        label_outcomes: reasons why there is no example, by number.
    """

    pairs: tuple[ChosenPair, ...]
    labelled: tuple[LabelledResponse, ...]
    num_items: int
    num_prompts: int
    pair_outcomes: Mapping[NoPreference, int]
    label_outcomes: Mapping[NoPreference, int]


def select_preferences(
    items: Sequence[JudgeItem],
    scores: Mapping[str, float],
    rules: PreferenceRules,
    *,
    swaps: Mapping[tuple[str, str], SwapVerdict] | None = None,
) -> Preferences:
    """Choose pairs among the responses to the same context, and label single responses.

    Ties of scores go by the order of the items, so the same input gives the same pairs.

    Args:
        items: responses; those of equal context answer the same prompt.
        scores: by id of the item; an item without is unscored.
        rules: when responses make a pair.
        swaps: by (first id, second id), what a pairwise judge said over both orders; FIRST prefers the first id.

    Raises:
        ConfigError: a swap check is asked for without any pairwise judgement.
    """
    if rules.check_swap and not swaps:
        raise ConfigError("the swap check needs pairwise judgements; give them, or leave --check-swap out")
    responses = [item for item in items if item.response is not None]
    prompts: dict[str, list[JudgeItem]] = {}
    for item in responses:
        prompts.setdefault(_prompt_key(item), []).append(item)
    scored = [item for item in responses if item.id in scores]
    outcomes: Counter[NoPreference] = Counter()
    outcomes[NoPreference.NO_RESPONSE] = len(items) - len(responses)
    outcomes[NoPreference.UNSCORED] = len(responses) - len(scored)
    pairs: list[ChosenPair] = []
    for group in prompts.values():
        for found in _pairs([item for item in group if item.id in scores], scores, rules, swaps or {}):
            if isinstance(found, NoPreference):
                outcomes[found] += 1
            else:
                pairs.append(found)
    labelled, label_outcomes = _label(scored, scores, rules)
    return Preferences(
        pairs=tuple(pairs),
        labelled=labelled,
        num_items=len(items),
        num_prompts=len(prompts),
        pair_outcomes=_counted(outcomes),
        label_outcomes=_counted(label_outcomes),
    )


def standard_prompt(context: Sequence[Turn]) -> str:
    """Write a context as one text: the turn's own where there is one, else one line per turn with its speaker."""
    if len(context) == 1:
        return context[0].text
    return "\n".join(turn.text if turn.speaker is None else f"{turn.speaker}: {turn.text}" for turn in context)


def conversation_messages(context: Sequence[Turn]) -> tuple[tuple[str, str], ...] | None:
    """Write a context as (role, content) that end with the user, or None where the roles are not clear.

    Whoever speaks last before the response is the user, another speaker the assistant; turns without speaker alternate.
    Turns of one role in a row are one message, joined by a line break, since chat templates want roles to alternate.
    """
    speakers = [turn.speaker for turn in context]
    if all(speaker is None for speaker in speakers):
        roles = [_ROLES[(len(context) - at) % 2] for at in range(len(context))]
    elif None in speakers or len(set(speakers)) > 2:
        return None
    else:
        roles = ["user" if speaker == speakers[-1] else "assistant" for speaker in speakers]
    messages: list[tuple[str, str]] = []
    for role, turn in zip(roles, context, strict=True):
        if messages and messages[-1][0] == role:
            messages[-1] = (role, f"{messages[-1][1]}\n{turn.text}")
        else:
            messages.append((role, turn.text))
    return tuple(messages)


def pair_row(pair: ChosenPair, form: PreferenceForm) -> JsonObject | NoPreference:
    """Return a row of TRL's preference sets: `{prompt, chosen, rejected}`.

    Args:
        pair: the responses.
        form: how they are written.
    """
    texts = PreferencePair(
        prompt=standard_prompt(pair.chosen.context), chosen=_text(pair.chosen), rejected=_text(pair.rejected)
    )
    if form is PreferenceForm.STANDARD:
        return {"prompt": texts.prompt, "chosen": texts.chosen, "rejected": texts.rejected}
    messages = conversation_messages(pair.chosen.context)
    if messages is None:
        return NoPreference.UNCLEAR_ROLES
    return {
        "prompt": [{"role": role, "content": content} for role, content in messages],
        "chosen": [{"role": "assistant", "content": texts.chosen}],
        "rejected": [{"role": "assistant", "content": texts.rejected}],
    }


def label_row(labelled: LabelledResponse, form: PreferenceForm) -> JsonObject | NoPreference:
    """Return a row of TRL's unpaired preference sets: `{prompt, completion, label}`."""
    example = UnpairedExample(
        prompt=standard_prompt(labelled.item.context), completion=_text(labelled.item), label=labelled.label
    )
    if form is PreferenceForm.STANDARD:
        return {"prompt": example.prompt, "completion": example.completion, "label": example.label}
    messages = conversation_messages(labelled.item.context)
    if messages is None:
        return NoPreference.UNCLEAR_ROLES
    return {
        "prompt": [{"role": role, "content": content} for role, content in messages],
        "completion": [{"role": "assistant", "content": example.completion}],
        "label": example.label,
    }


def _prompt_key(item: JudgeItem) -> str:
    # A named cluster may hold several contexts; only an equal context is the same prompt.
    return JudgeItem(id=item.id, context=item.context, response=item.response).cluster_key


def _text(item: JudgeItem) -> str:
    if item.response is None:
        raise DataError(f"item {item.id} has no response, so there is nothing to prefer; give items with responses")
    return item.response


def _pairs(
    group: Sequence[JudgeItem],
    scores: Mapping[str, float],
    rules: PreferenceRules,
    swaps: Mapping[tuple[str, str], SwapVerdict],
) -> Iterable[ChosenPair | NoPreference]:
    if len(group) < 2:
        return [NoPreference.ONE_RESPONSE]
    # sorted is stable: of equal scores the earlier item comes first.
    ranked = sorted(group, key=lambda item: -scores[item.id])
    if rules.choice is PairChoice.EXTREMES:
        return [_pair(ranked[0], ranked[-1], scores, rules, swaps)]
    return [_pair(better, worse, scores, rules, swaps) for better, worse in combinations(ranked, 2)]


def _pair(
    better: JudgeItem,
    worse: JudgeItem,
    scores: Mapping[str, float],
    rules: PreferenceRules,
    swaps: Mapping[tuple[str, str], SwapVerdict],
) -> ChosenPair | NoPreference:
    margin = scores[better.id] - scores[worse.id]
    if better.response == worse.response:
        return NoPreference.SAME_TEXT
    if margin <= 0 or margin < rules.margin - _ROUNDING:
        return NoPreference.SMALL_MARGIN
    verdict = _swap_verdict(better.id, worse.id, swaps)
    if rules.check_swap and verdict is not SwapVerdict.FIRST:
        reasons = {
            SwapVerdict.SECOND: NoPreference.SWAP_CONTRADICTS,
            SwapVerdict.UNDECIDED: NoPreference.SWAP_UNDECIDED,
        }
        return NoPreference.NOT_SWAPPED if verdict is None else reasons[verdict]
    return ChosenPair(chosen=better, rejected=worse, margin=margin, is_swap_checked=verdict is SwapVerdict.FIRST)


def _swap_verdict(better: str, worse: str, swaps: Mapping[tuple[str, str], SwapVerdict]) -> SwapVerdict | None:
    """What the pairwise judge said, with the better response as the first."""
    if (better, worse) in swaps:
        return swaps[better, worse]
    turned = swaps.get((worse, better))
    other = {SwapVerdict.FIRST: SwapVerdict.SECOND, SwapVerdict.SECOND: SwapVerdict.FIRST}
    return None if turned is None else other.get(turned, turned)


def _label(
    scored: Sequence[JudgeItem], scores: Mapping[str, float], rules: PreferenceRules
) -> tuple[tuple[LabelledResponse, ...], Counter[NoPreference]]:
    outcomes: Counter[NoPreference] = Counter()
    if rules.good_from is None or rules.bad_to is None:
        return (), outcomes
    labelled: list[LabelledResponse] = []
    for item in scored:
        score = scores[item.id]
        if score >= rules.good_from or score <= rules.bad_to:
            labelled.append(LabelledResponse(item=item, score=score, label=score >= rules.good_from))
        else:
            outcomes[NoPreference.BETWEEN] += 1
    return tuple(labelled), outcomes


def _counted(outcomes: Counter[NoPreference]) -> dict[NoPreference, int]:
    return {reason: outcomes[reason] for reason in NoPreference if outcomes[reason]}
