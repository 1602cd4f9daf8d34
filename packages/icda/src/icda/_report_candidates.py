"""The parts of a page that show the candidates: by intent, by rule, by PVI, and where they drift."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from icda._clean import RejectedLine
from icda._generate import GenerateRun
from icda._pool import IntentYield
from icda._run_score import ScoreRun, rejection_counts
from icda._run_select import CandidateDecision, SelectRun
from icda._selection_rules import Outcome
from icda._stored_scores import THRESHOLDS_NAME, read_thresholds
from icda._thresholds import ThresholdScale
from icda._words import counts_text, rule_title
from twllm_runs.report import (
    Bar,
    Bars,
    Block,
    Cell,
    Column,
    ColumnKind,
    Fact,
    Histogram,
    Prose,
    Sample,
    Samples,
    Section,
    Table,
    Threshold,
    histogram_of,
)

_MAX_HISTOGRAMS = 24
_MAX_DRIFT = 200
_MAX_PAIRS = 30
_NUM_BINS = 20
_HAN = re.compile(r"[\u3400-\u9fff]")


def intent_section(
    generated: GenerateRun | None,
    selected: SelectRun | None,
    intents: Sequence[str],
    *,
    rejected: Sequence[RejectedLine] | None = None,
) -> Section:
    """One row per intent: what was asked, what was rejected in cleaning, what the selection kept."""
    decisions = by_intent(selected, intents)
    yields = {} if generated is None else {one.intent: one for one in generated.yields}
    of_pool = None if rejected is None else _reasons_by_intent(rejected)
    columns = (
        Column(title="intent"),
        Column(title="generation ended"),
        Column(title="requests", kind=ColumnKind.COUNT),
        Column(title="lines", kind=ColumnKind.COUNT),
        Column(title="candidates", kind=ColumnKind.COUNT),
        Column(title="kept", kind=ColumnKind.COUNT),
        Column(title="kept share", kind=ColumnKind.SHARE),
        Column(title="median PVI, bits", kind=ColumnKind.NUMBER, digits=2),
    )
    reasons = (
        Column(title="intent"),
        Column(title="lines rejected in cleaning"),
        Column(title="candidates dropped by the rules"),
    )
    rows: list[tuple[Cell, ...]] = []
    lost: list[tuple[Cell, ...]] = []
    for intent in intents:
        one, own = yields.get(intent), decisions[intent]
        rows.append(
            (
                intent,
                None if one is None else _END[one.end],
                None if one is None else one.num_requests,
                _num_lines(one, own, None if of_pool is None else of_pool[intent]),
                len(own.all) if selected is not None or one is None else one.num_kept,
                len(own.kept),
                len(own.kept) / len(own.all) if own.all else None,
                median(decision.pvi for decision in own.all) if own.all else None,
            )
        )
        lost.append((intent, _rejections(one, None if of_pool is None else of_pool[intent]), counts_text(own.dropped)))
    note = "by the intent asked for"
    blocks: list[Block] = [
        Table(title="By intent", columns=columns, rows=tuple(rows), note=note),
        Table(title="Why rows went", columns=reasons, rows=tuple(lost), note=note),
    ]
    if generated is not None and generated.unfilled:
        blocks.insert(0, Prose(paragraphs=(unfilled_text(generated),)))
    if generated is not None:
        blocks.append(_rejection_bars(generated))
    elif rejected:
        blocks.append(_bars("Rows of the pool that cleaning rejected", "rows", rejection_counts(rejected)))
    return Section(title="Intents", blocks=tuple(blocks))


def rule_section(selected: SelectRun) -> Section:
    """What every plain rule keeps beside the rules asked for."""
    total = len(selected.decisions)
    columns = (
        Column(title="rule"),
        Column(title="kept", kind=ColumnKind.COUNT),
        Column(title="share", kind=ColumnKind.SHARE),
        Column(title="decides like the recipe's", kind=ColumnKind.SHARE),
    )
    rows: list[tuple[Cell, ...]] = []
    for name, count in selected.num_kept.items():
        alike = sum(_kept_by(one, name) == one.decision.intent for one in selected.decisions)
        rows.append((rule_title(name), count, count / total if total else None, alike / total if total else None))
    moved = sum(one.decision.outcome is Outcome.RELABELLED for one in selected.decisions)
    reasons = Counter(one.decision.reason.value for one in selected.decisions)
    words = f"{total:,} candidates; reasons: {counts_text(reasons)}; {moved:,} relabelled."
    table = Table(title="Rules side by side", columns=columns, rows=tuple(rows))
    return Section(title="Selection", blocks=(Prose(paragraphs=(words,)), table))


def pvi_section(scored: ScoreRun, selected: SelectRun | None, intents: Sequence[str]) -> Section:
    """How PVI is distributed: of held-out seeds, of all candidates, and of those of each intent."""
    folder = scored.folder if selected is None else selected.folder
    thresholds = read_thresholds(folder / THRESHOLDS_NAME)[ThresholdScale.BITS]
    line = (Threshold(value=thresholds.global_, label="global threshold"),)
    held = [float(value) for value in scored.held_out.pvi]
    everything = [float(value) for value in scored.scores.pvi]
    blocks: list[Block] = [
        histogram_of(
            held, title="Held-out rows with known labels", x_label="PVI, bits", y_label="rows", thresholds=line
        ),
        histogram_of(everything, title="All candidates", x_label="PVI, bits", y_label="candidates", thresholds=line),
    ]
    values: dict[str, list[float]] = {intent: [] for intent in intents}
    for intent, value in zip(scored.scores.intents, everything, strict=True):
        values.setdefault(intent, []).append(value)
    shown = _lowest_first(values, {intent: thresholds.of(intent) for intent in values})
    blocks += [
        _intent_histogram(intent, values[intent], thresholds.of(intent), everything)
        for intent in shown[:_MAX_HISTOGRAMS]
    ]
    source = f"{thresholds.num_rows:,} rows ({thresholds.estimated_on.value})"
    intro = f"Thresholds come from {source} by the rule {thresholds.rule.value}."
    if len(shown) > _MAX_HISTOGRAMS:
        intro += f" Of {len(shown):,} intents, those {_MAX_HISTOGRAMS} are shown that keep the smallest share."
    return Section(title="Pointwise V-information", blocks=tuple(blocks), intro=intro)


def drift_section(selected: SelectRun) -> Section:
    """Dropped rows that the classifier takes for another intent: where the generator drifts."""
    drifted = [
        one for one in selected.decisions if one.decision.intent is None and one.predicted != one.candidate.intent
    ]
    if not drifted:
        words = "No dropped candidate is taken for another intent."
        return Section(title="Drift", blocks=(Prose(paragraphs=(words,)),))
    pairs = Counter((one.candidate.intent, one.predicted) for one in drifted)
    ordered = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    columns = (Column(title="asked for"), Column(title="taken for"), Column(title="candidates", kind=ColumnKind.COUNT))
    rows: tuple[tuple[Cell, ...], ...] = tuple((*pair, count) for pair, count in ordered[:_MAX_PAIRS])
    table = Table(title="Where dropped candidates drift", columns=columns, rows=rows)
    worst = sorted(drifted, key=lambda one: (one.pvi, one.candidate.id))[:_MAX_DRIFT]
    note = f"lowest PVI first, {len(worst):,} of {len(drifted):,}"
    samples = Samples(title="Examples", samples=tuple(_sample(one) for one in worst), note=note)
    return Section(title="Drift", blocks=(table, samples))


def unfilled_text(generated: GenerateRun) -> str:
    """Say which intents spent their budget, and what became of their lines."""
    unfilled = generated.unfilled
    rejected = Counter[str]()
    for one in unfilled:
        rejected.update(one.rejected)
    named = ", ".join(one.intent for one in unfilled[:5]) + (", ..." if len(unfilled) > 5 else "")
    return (
        f"{len(unfilled):,} of {len(generated.yields):,} intents spent their budget of requests before they had their "
        f"candidates ({named}); their rejected lines: {counts_text(rejected)}."
    )


@dataclass(slots=True, kw_only=True)
class IntentDecisions:
    """Decisions on the candidates of one intent."""

    all: list[CandidateDecision] = field(default_factory=list[CandidateDecision])
    kept: list[CandidateDecision] = field(default_factory=list[CandidateDecision])
    dropped: Counter[str] = field(default_factory=Counter[str])


def by_intent(selected: SelectRun | None, intents: Sequence[str]) -> Mapping[str, IntentDecisions]:
    """Decisions by the intent that was asked for."""
    found = {intent: IntentDecisions() for intent in intents}
    for one in () if selected is None else selected.decisions:
        own = found.setdefault(one.candidate.intent, IntentDecisions())
        own.all.append(one)
        if one.decision.intent is None:
            own.dropped[one.decision.reason.value] += 1
        else:
            own.kept.append(one)
    return found


def _kept_by(one: CandidateDecision, rule: str) -> str | None:
    return one.decision.intent if rule == "selected" else one.baselines[rule]


def _rejection_bars(generated: GenerateRun) -> Bars:
    counts = Counter[str]()
    for one in generated.yields:
        counts.update(one.rejected)
    surplus = sum(one.num_surplus for one in generated.yields)
    values = {"candidates": len(generated.candidates), "surplus": surplus, **dict(counts.most_common())}
    return _bars("What became of the lines", "lines", values)


def _bars(title: str, unit: str, counts: Mapping[str, int]) -> Bars:
    bars = tuple(Bar(label=name, values=(float(count),)) for name, count in counts.items())
    return Bars(title=title, series=(unit,), bars=bars, unit=unit)


def _reasons_by_intent(rejected: Sequence[RejectedLine]) -> defaultdict[str, Counter[str]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter[str])
    for line in rejected:
        found[line.intent][line.reason.value] += 1
    return found


def _num_lines(generated: IntentYield | None, own: IntentDecisions, of_pool: Counter[str] | None) -> int | None:
    """Lines of the generation or rows of the pool; None where that was not looked at."""
    if of_pool is not None:
        return len(own.all) + of_pool.total()
    return None if generated is None else generated.num_lines


def _rejections(generated: IntentYield | None, of_pool: Counter[str] | None) -> str | None:
    if of_pool is not None:
        return counts_text(of_pool)
    return None if generated is None else counts_text(generated.rejected)


def _lowest_first(values: Mapping[str, Sequence[float]], thresholds: Mapping[str, float]) -> list[str]:
    shares = {
        intent: sum(value > thresholds[intent] for value in own) / len(own) for intent, own in values.items() if own
    }
    return sorted(shares, key=lambda intent: (shares[intent], intent))


def _intent_histogram(intent: str, values: Sequence[float], threshold: float, everything: Sequence[float]) -> Histogram:
    """All on one axis, so that intents can be compared."""
    low, high = min(everything), max(everything)
    return histogram_of(
        values,
        title=intent,
        x_label="PVI, bits",
        y_label="candidates",
        num_bins=_NUM_BINS,
        low=low if low < high else None,
        high=high if low < high else None,
        thresholds=(Threshold(value=threshold, label="threshold"),),
    )


def _sample(one: CandidateDecision) -> Sample:
    return Sample(
        text=one.candidate.text,
        title=one.candidate.id,
        tags=(f"asked for {one.candidate.intent}", f"taken for {one.predicted}"),
        facts=(Fact(name="PVI", value=f"{one.pvi:.2f} bits"), Fact(name="reason", value=one.decision.reason.value)),
        lang="zh-Hant-TW" if _HAN.search(one.candidate.text) else "und",
    )


_END = {"filled": "has its candidates", "budget_spent": "budget spent"}
