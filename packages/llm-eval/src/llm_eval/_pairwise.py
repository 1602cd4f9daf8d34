"""Reading comparisons, and joining those of both orders."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from llm_eval._dimensions import Dimension
from llm_eval._judgements import JudgementFailureKind, ParseFailure
from llm_eval._pairwise_prompts import WINNER_KEY, WINNERS, PairStyle, read_pair_style
from llm_eval._parse import is_refusal, no_answer, parse_scores
from llm_eval._scales import VerdictScale
from twllm_types import Estimate, FinishReason

_MARK = re.compile(r"\[\[([ABC])\]\]")
_POINTS = re.compile(r"(?<![A-Za-z])([AB])\s*[:：]\s*(-?\d+(?:\.\d+)?)\s*分")
# What may stand beside marks or points in the lines that end an answer.
_VERDICT_WORDS = re.compile(r"最終|判決|助理|\W|_")
_INTRODUCERS = ':：「『"“'
_ANNOUNCES_VERDICT = re.compile(r"判決|\bverdict\b|\bdecision\b", re.IGNORECASE)
_LOWEST_POINTS, _HIGHEST_POINTS = 1.0, 10.0
_WINNER = (Dimension(name=WINNER_KEY),)
_WINNER_SCALE = VerdictScale(verdicts=WINNERS)


class PairWinner(StrEnum):
    """Which of the answers, in the order in which they were shown."""

    FIRST = "A"
    SECOND = "B"
    TIE = "tie"


class PairOutcome(StrEnum):
    """What both orders say together; a closed set. a and b are the answers, not their places.

    HALF_TIE: one order names a winner and the other a tie. FLIPPED: each order names another answer, that at the same
    place.
    """

    A_WINS = "a_wins"
    B_WINS = "b_wins"
    TIE = "tie"
    HALF_TIE = "half_tie"
    FLIPPED = "flipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairVerdict:
    """One comparison in one order.

    Attributes:
        winner: which place won.
        score_first: points of the answer shown first; None where the style asks for a winner.
        score_second: points of the other; None exactly where `score_first` is.
        reason: the explanation of our own styles; None where there is none.
    """

    winner: PairWinner
    score_first: float | None = None
    score_second: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRates:
    """Shares of pairs that were compared in both orders.

    Attributes:
        a_wins: answer a won in both orders.
        b_wins: answer b won in both orders.
        ties: a tie in both orders.
        half_ties: a tie in one order only.
        flips: the winner changed with the order.
    """

    a_wins: Estimate
    b_wins: Estimate
    ties: Estimate
    half_ties: Estimate
    flips: Estimate


def parse_pair(
    text: str, style: str = "taiwan-llm", *, finish_reason: FinishReason | None = None, shown: Sequence[str] = ()
) -> PairVerdict | ParseFailure:
    """Read one comparison.

    `taiwan-llm`: the marks [[A]], [[B]], [[C]]; `taiwan-llm-score`: "A: 8分, B: 7分", with points from 1 to 10, also
    with decimals, a full-width colon or text between; ours: the JSON object. Equal points are a tie. A mark or number
    may be repeated; where two differ, nobody can tell which is meant, and the answer is ambiguous.

    Taiwan-LLM's styles ask for the explanation first: where a text was cut, its marks and numbers are no verdict yet.

    Args:
        text: what the judge wrote.
        style: the `PairStyle` that asked.
        finish_reason: why the text ended; None where it is not known. After REFUSAL, CONTENT_FILTER or TOOL_CALL
            nothing is read: `refused`.
        shown: texts that the prompt showed as data, as for `parse_scores`. A mark or number that one of them holds is
            a quotation and no verdict, unless it stands in the lines at the end that hold nothing else, and the line
            before these neither is quoted with them nor introduces a quotation ("it says:").

    Raises:
        ConfigError: no such style.
    """
    wording = read_pair_style(style)
    if (unfinished := no_answer(finish_reason)) is not None:
        return unfinished
    match wording:
        case PairStyle.TAIWAN_LLM:
            return _cut_off(finish_reason) or _read_mark(text, shown)
        case PairStyle.TAIWAN_LLM_SCORE:
            return _cut_off(finish_reason) or _read_points(text, shown)
        case PairStyle.STRUCTURED | PairStyle.ZH_TW:
            parsed = parse_scores(text, _WINNER, _WINNER_SCALE, finish_reason=finish_reason, shown=shown)
            if isinstance(parsed, ParseFailure):
                return parsed
            return PairVerdict(winner=PairWinner(parsed.values[WINNER_KEY].verdict or ""), reason=parsed.reason)


def combine_orders(ab: PairVerdict, ba: PairVerdict) -> PairOutcome:
    """Join the comparison that shows answer a first with the one that shows answer b first."""
    if ab.winner is PairWinner.TIE or ba.winner is PairWinner.TIE:
        return PairOutcome.TIE if ab.winner == ba.winner else PairOutcome.HALF_TIE
    if ab.winner == ba.winner:
        return PairOutcome.FLIPPED
    return PairOutcome.A_WINS if ab.winner is PairWinner.FIRST else PairOutcome.B_WINS


def pair_rates(outcomes: Sequence[PairOutcome], *, num_unscored: int = 0, level: float = 0.95) -> PairRates:
    """Return the share of each outcome with its Wilson interval; pairs count as independent.

    Args:
        outcomes: of the pairs that were compared in both orders; none gives estimates without a mean.
        num_unscored: pairs of which an order failed; they are in no share.
        level: coverage of the intervals, in (0, 1).

    Raises:
        ConfigError: a level outside (0, 1).
        DataError: a negative number of pairs.
    """
    from twllm_runs.statistics import proportion_estimate

    def share(outcome: PairOutcome) -> Estimate:
        num_such = sum(one is outcome for one in outcomes)
        return proportion_estimate(num_such, len(outcomes), level=level, num_unscored=num_unscored)

    return PairRates(
        a_wins=share(PairOutcome.A_WINS),
        b_wins=share(PairOutcome.B_WINS),
        ties=share(PairOutcome.TIE),
        half_ties=share(PairOutcome.HALF_TIE),
        flips=share(PairOutcome.FLIPPED),
    )


def _cut_off(finish_reason: FinishReason | None) -> ParseFailure | None:
    """The failure of a text that the token limit ended; what stands in it is explanation."""
    if finish_reason is not FinishReason.LENGTH:
        return None
    return ParseFailure(kind=JudgementFailureKind.TRUNCATED, message="the text ends before the verdict")


def _read_mark(text: str, shown: Sequence[str]) -> PairVerdict | ParseFailure:
    marks = {mark for (mark,) in _own(_MARK, text, shown)}
    if len(marks) > 1:
        return _ambiguous(WINNER_KEY, sorted(marks))
    if not marks:
        return _nothing(text, name=WINNER_KEY, message="there is no [[A]], [[B]] or [[C]] of the judge's own")
    winners = {"A": PairWinner.FIRST, "B": PairWinner.SECOND, "C": PairWinner.TIE}
    return PairVerdict(winner=winners[marks.pop()])


def _read_points(text: str, shown: Sequence[str]) -> PairVerdict | ParseFailure:
    points: dict[str, set[float]] = {"A": set(), "B": set()}
    for letter, number in _own(_POINTS, text, shown):
        points[letter].add(float(number))
    for letter, numbers in points.items():
        if len(numbers) > 1:
            return _ambiguous(letter, sorted(numbers))
    for letter, numbers in points.items():
        if not numbers:
            return _nothing(text, name=letter, message=f"there are no points of {letter} of the judge's own")
        if not all(_LOWEST_POINTS <= number <= _HIGHEST_POINTS for number in numbers):
            message = f"the points of {letter} are {numbers.pop()}, not from 1 to 10"
            return ParseFailure(kind=JudgementFailureKind.OUT_OF_RANGE, dimension=letter, message=message)
    first, second = points["A"].pop(), points["B"].pop()
    better = PairWinner.FIRST if first > second else PairWinner.SECOND
    return PairVerdict(winner=PairWinner.TIE if first == second else better, score_first=first, score_second=second)


def _own(pattern: re.Pattern[str], text: str, shown: Sequence[str]) -> list[tuple[str, ...]]:
    """Groups of the matches that are no quotation of what was shown."""
    quotable = {found.groups() for data in shown for found in pattern.finditer(data)}
    ending = _ending(pattern, text, shown) if quotable else 0
    return [
        found.groups() for found in pattern.finditer(text) if found.groups() not in quotable or found.start() >= ending
    ]


def _ending(pattern: re.Pattern[str], text: str, shown: Sequence[str]) -> int:
    """Offset of the lines at the end that hold matches and nothing else; behind the text where they are quoted too."""
    start, before = len(text), ""
    for line in reversed(text.splitlines(keepends=True)):
        if _VERDICT_WORDS.sub("", pattern.sub("", line)):
            before = line
            break
        start -= len(line)
    first = pattern.search(text, start)
    return len(text) if first and _is_quoted(before, text[start : first.end()], shown) else start


def _is_quoted(before: str, verdict: str, shown: Sequence[str]) -> bool:
    """Tell whether a verdict belongs to a quotation, by the line before it."""
    stripped = before.rstrip()
    core = stripped.rstrip(_INTRODUCERS)
    if core != stripped and _ANNOUNCES_VERDICT.search(before) is None:
        return True
    # What introduces a quotation is the judge's, what follows it stands in the data.
    lead = re.split(f"[{_INTRODUCERS}]", core)[-1].lstrip()
    quoted = f"{lead}{before[len(core) :]}{verdict}"
    return bool(lead) and any(quoted in data for data in shown)


def _ambiguous(name: str, found: Sequence[object]) -> ParseFailure:
    listed = ", ".join(str(one) for one in found)
    message = f"the answer says {listed} for {name!r}"
    return ParseFailure(kind=JudgementFailureKind.AMBIGUOUS, dimension=name, message=message)


def _nothing(text: str, *, name: str, message: str) -> ParseFailure:
    if is_refusal(text):
        return ParseFailure(kind=JudgementFailureKind.REFUSED, message="the model declined to compare")
    return ParseFailure(kind=JudgementFailureKind.MISSING_DIMENSION, dimension=name, message=message)
