"""Comparisons of two answers, one line each, and their figures: outcomes over both orders, win rates, position bias."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import cast

from llm_eval._judge_summary import cluster_labels, estimate_to_json
from llm_eval._judgements import JudgementFailure, JudgementFailureKind, failure_to_json, usage_to_json
from llm_eval._pairwise import PairOutcome, PairRates, PairVerdict, PairWinner, combine_orders, pair_rates
from twllm_runs.statistics import mean_estimate
from twllm_types import DataError, Estimate, EstimateUnit, JsonObject, JsonValue, Usage

PAIR_SCHEMA_VERSION = 1
_POINTS = {PairOutcome.A_WINS: 1.0, PairOutcome.B_WINS: 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairKey:
    """What a comparison is known by.

    Attributes:
        question_id: of the question.
        a: system of one answer.
        b: system of the other.
        is_swapped: the answer of b was shown first.
    """

    question_id: str
    a: str
    b: str
    is_swapped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PairJudgement:
    """One comparison in one order; one line of `pairs.jsonl`.

    Attributes:
        key: what was compared.
        a_id: id of the answer of system a.
        b_id: id of the answer of system b.
        verdict: which place won; None exactly where it failed.
        failure: why there is no verdict.
        responses: texts that the model gave; empty where the engine failed.
        model: id of the model as the engine named it.
        prompt_sha256: hash of the prompt as sent.
        usage: tokens taken; None where the engine does not say.
        num_attempts: tries made, >= 1.
        a_item_sha256: hash of the item of a as it was compared (`item_sha256`); None where the answer is of no item,
            and in comparisons of earlier versions.
        b_item_sha256: the same of b.
    """

    key: PairKey
    a_id: str
    b_id: str
    verdict: PairVerdict | None
    failure: JudgementFailure | None
    responses: tuple[str, ...]
    model: str | None
    prompt_sha256: str
    usage: Usage | None
    num_attempts: int = 1
    a_item_sha256: str | None = None
    b_item_sha256: str | None = None

    @property
    def item_hashes(self) -> tuple[tuple[str, str], ...]:
        """Id and hash of each item, as far as the comparison says what it compared; the two may share an id."""
        found = ((self.a_id, self.a_item_sha256), (self.b_id, self.b_item_sha256))
        return tuple((item_id, sha256) for item_id, sha256 in found if sha256 is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPair:
    """Two systems over the questions that both answered.

    Attributes:
        a: name of a system.
        b: name of another.
        counts: questions by what both orders say together.
        num_unscored: questions of which an order failed.
        rates: shares of the outcomes, with Wilson intervals: one pair per question, so pairs are independent.
        win_rate: of a: 1 for a win in both orders, 0 for a loss in both, one half for all between.
    """

    a: str
    b: str
    counts: Mapping[PairOutcome, int]
    num_unscored: int
    rates: PairRates
    win_rate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseSummary:
    """All figures of a pairwise run.

    Attributes:
        pairs: every pair of systems.
        win_rates: of each system over all its pairs, clustered by question; in falling order.
        flips: share of all pairs whose winner changed with the order, clustered by question.
        first_place: share of the comparisons with a winner that the answer shown first won; one half without bias.
        num_comparisons: of both orders.
        failures: comparisons that failed, by kind.
    """

    pairs: tuple[SystemPair, ...]
    win_rates: Mapping[str, Estimate]
    flips: Estimate
    first_place: Estimate
    num_comparisons: int
    failures: Mapping[str, int]

    @property
    def num_failed(self) -> int:
        """Comparisons that failed."""
        return sum(self.failures.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One question and two systems."""

    question_id: str
    a: str
    b: str
    outcome: PairOutcome | None


def summarise_pairs(judgements: Sequence[PairJudgement]) -> PairwiseSummary:
    """Sum up comparisons; those of a pair of answers in both orders make one outcome.

    Args:
        judgements: the last attempt of each.
    """
    cases = _cases(judgements)
    systems = sorted({name for case in cases for name in (case.a, case.b)})
    scored = [case for case in cases if case.outcome is not None]
    labels = cluster_labels([case.question_id for case in scored])
    decided = [row for row in judgements if row.verdict is not None and row.verdict.winner is not PairWinner.TIE]
    undecided = len(judgements) - len(decided)
    rates = {name: _win_rate(cases, name) for name in systems}
    return PairwiseSummary(
        pairs=tuple(_system_pair(cases, a, b) for a, b in _pairs_of(cases)),
        win_rates=dict(sorted(rates.items(), key=lambda entry: (-(entry[1].mean or 0.0), entry[0]))),
        flips=mean_estimate(
            [float(case.outcome is PairOutcome.FLIPPED) for case in scored],
            unit=EstimateUnit.SHARE,
            clusters=labels,
            num_unscored=len(cases) - len(scored),
        ),
        first_place=mean_estimate(
            [float(row.verdict is not None and row.verdict.winner is PairWinner.FIRST) for row in decided],
            unit=EstimateUnit.SHARE,
            clusters=cluster_labels([row.key.question_id for row in decided]),
            num_unscored=undecided,
        ),
        num_comparisons=len(judgements),
        failures=dict(sorted(Counter(row.failure.kind.value for row in judgements if row.failure is not None).items())),
    )


def outcomes_by_answers(judgements: Iterable[PairJudgement]) -> dict[tuple[str, str], PairOutcome]:
    """Return what both orders say together, by the ids of the answers of a and b; pairs with a failure are absent."""
    orders: dict[tuple[str, str], dict[bool, PairVerdict]] = {}
    for row in judgements:
        if row.verdict is not None:
            orders.setdefault((row.a_id, row.b_id), {})[row.key.is_swapped] = row.verdict
    return {ids: combine_orders(found[False], found[True]) for ids, found in orders.items() if len(found) == 2}


def pair_to_json(judgement: PairJudgement) -> JsonObject:
    """Return one line of `pairs.jsonl`; `pair_from_json` is its inverse."""
    key, verdict = judgement.key, judgement.verdict
    hashes = {"a_item_sha256": judgement.a_item_sha256, "b_item_sha256": judgement.b_item_sha256}
    return {
        "schema_version": PAIR_SCHEMA_VERSION,
        "question_id": key.question_id,
        "a": key.a,
        "b": key.b,
        "is_swapped": key.is_swapped,
        "a_id": judgement.a_id,
        "b_id": judgement.b_id,
        "verdict": None
        if verdict is None
        else {
            "winner": verdict.winner.value,
            "score_first": verdict.score_first,
            "score_second": verdict.score_second,
            "reason": verdict.reason,
        },
        "failure": failure_to_json(judgement.failure),
        "responses": list(judgement.responses),
        "model": judgement.model,
        "prompt_sha256": judgement.prompt_sha256,
        "usage": usage_to_json(judgement.usage),
        "num_attempts": judgement.num_attempts,
        # Left out and not null: runs of earlier versions keep their lines and so the hash of these in their summary.
        **{name: sha256 for name, sha256 in hashes.items() if sha256 is not None},
    }


def pair_from_json(row: Mapping[str, JsonValue], *, source: str) -> PairJudgement:
    """Read what `pair_to_json` writes.

    Raises:
        DataError: another schema version, a missing key, or a value that no run writes.
    """
    if row.get("schema_version") != PAIR_SCHEMA_VERSION:
        raise DataError(
            f"{source}: schema_version is {row.get('schema_version')!r}, this llm-eval reads {PAIR_SCHEMA_VERSION}; "
            "use the version that wrote it, or compare again"
        )
    try:
        return _pair(row)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{source}: is no comparison of llm-eval ({type(error).__name__}: {error}); restore the file"
        ) from error


def pairwise_summary_to_json(summary: PairwiseSummary) -> JsonObject:
    """Return what summary.json holds of the figures."""
    return {
        "pairs": [
            {
                "a": pair.a,
                "b": pair.b,
                "counts": {outcome.value: pair.counts[outcome] for outcome in PairOutcome},
                "num_unscored": pair.num_unscored,
                "win_rate": estimate_to_json(pair.win_rate),
                "rates": {name: estimate_to_json(rate) for name, rate in named_rates(pair.rates).items()},
            }
            for pair in summary.pairs
        ],
        "win_rates": {name: estimate_to_json(rate) for name, rate in summary.win_rates.items()},
        "flips": estimate_to_json(summary.flips),
        "first_place": estimate_to_json(summary.first_place),
        "num_comparisons": summary.num_comparisons,
        "failures": dict(summary.failures),
    }


def named_rates(rates: PairRates) -> dict[str, Estimate]:
    """Return the shares by name, in their order."""
    return {
        "a_wins": rates.a_wins,
        "b_wins": rates.b_wins,
        "ties": rates.ties,
        "half_ties": rates.half_ties,
        "flips": rates.flips,
    }


def _cases(judgements: Iterable[PairJudgement]) -> list[_Case]:
    orders: dict[tuple[str, str, str], dict[bool, PairVerdict | None]] = {}
    for row in judgements:
        key = row.key
        orders.setdefault((key.question_id, key.a, key.b), {})[key.is_swapped] = row.verdict
    cases: list[_Case] = []
    for (question_id, a, b), found in orders.items():
        ab, ba = found.get(False), found.get(True)
        outcome = None if ab is None or ba is None else combine_orders(ab, ba)
        cases.append(_Case(question_id=question_id, a=a, b=b, outcome=outcome))
    return cases


def _pairs_of(cases: Sequence[_Case]) -> list[tuple[str, str]]:
    found = {(case.a, case.b) for case in cases}
    names = list(dict.fromkeys(name for case in cases for name in (case.a, case.b)))
    return [pair for pair in combinations(names, 2) if pair in found]


def _system_pair(cases: Sequence[_Case], a: str, b: str) -> SystemPair:
    own = [case for case in cases if (case.a, case.b) == (a, b)]
    outcomes = [case.outcome for case in own if case.outcome is not None]
    num_unscored = len(own) - len(outcomes)
    points = [_POINTS.get(outcome, 0.5) for outcome in outcomes]
    counts = Counter(outcomes)
    return SystemPair(
        a=a,
        b=b,
        counts={outcome: counts[outcome] for outcome in PairOutcome},
        num_unscored=num_unscored,
        rates=pair_rates(outcomes, num_unscored=num_unscored),
        win_rate=mean_estimate(points, unit=EstimateUnit.SHARE, num_unscored=num_unscored),
    )


def _win_rate(cases: Sequence[_Case], system: str) -> Estimate:
    own = [case for case in cases if system in (case.a, case.b)]
    scored = [(case, case.outcome) for case in own if case.outcome is not None]
    points = [
        _POINTS.get(outcome, 0.5) if case.a == system else 1 - _POINTS.get(outcome, 0.5) for case, outcome in scored
    ]
    labels = cluster_labels([case.question_id for case, _ in scored])
    return mean_estimate(points, unit=EstimateUnit.SHARE, clusters=labels, num_unscored=len(own) - len(scored))


def _pair(row: Mapping[str, JsonValue]) -> PairJudgement:
    verdict = cast("dict[str, float | str | None] | None", row["verdict"])
    failure = cast("dict[str, str] | None", row["failure"])
    usage = cast("dict[str, int] | None", row["usage"])
    if (verdict is None) == (failure is None):
        raise ValueError("give exactly one of verdict and failure")
    texts = {name: row[name] for name in ("question_id", "a", "b", "a_id", "b_id", "prompt_sha256")}
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(row["is_swapped"], bool):
        raise TypeError("an id is no text, or is_swapped is neither true nor false")
    if not all(isinstance(row.get(name), str | None) for name in ("a_item_sha256", "b_item_sha256")):
        raise TypeError("the hash of an item is no text")
    named = cast("dict[str, str]", texts)
    return PairJudgement(
        key=PairKey(question_id=named["question_id"], a=named["a"], b=named["b"], is_swapped=row["is_swapped"]),
        a_id=named["a_id"],
        b_id=named["b_id"],
        verdict=None if verdict is None else _verdict(verdict),
        failure=None
        if failure is None
        else JudgementFailure(
            kind=JudgementFailureKind(failure["kind"]), dimension=failure["dimension"], message=failure["message"]
        ),
        responses=tuple(cast("list[str]", row["responses"])),
        model=cast("str | None", row["model"]),
        prompt_sha256=named["prompt_sha256"],
        usage=None if usage is None else Usage(**usage),
        num_attempts=cast("int", row["num_attempts"]),
        a_item_sha256=cast("str | None", row.get("a_item_sha256")),
        b_item_sha256=cast("str | None", row.get("b_item_sha256")),
    )


def _verdict(row: Mapping[str, float | str | None]) -> PairVerdict:
    return PairVerdict(
        winner=PairWinner(str(row["winner"])),
        score_first=cast("float | None", row["score_first"]),
        score_second=cast("float | None", row["score_second"]),
        reason=cast("str | None", row["reason"]),
    )
