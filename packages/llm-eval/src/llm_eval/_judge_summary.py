"""Figures of judgements: means by dimension and system with intervals, failures by kind, paired differences, tokens.

An item counts once: its value is the mean over its repeats that gave scores. An item without any is unscored, counted
and in no mean. Items that depend on each other (equal context) are clusters.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import fsum
from statistics import fmean
from typing import Protocol, cast

from llm_eval._judge_settings import OVERALL
from llm_eval._judgements import DimensionScore, Judgement
from twllm_runs.statistics import holm, mean_estimate, paired_difference, permutation_test_paired
from twllm_types import Estimate, EstimateUnit, JsonObject, Usage

NO_SYSTEM = "(no system)"
_LEAST_CONTEXTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemScore:
    """What a judge says of one item, over its repeats.

    Attributes:
        item_id: of the item.
        system: who wrote the response; None where nobody says.
        cluster: name of the items that depend on each other.
        values: mean of each dimension, `overall` among them; None where no repeat gave scores. Empty for verdicts.
        verdicts: share of each verdict by dimension; empty for numbers.
    """

    item_id: str
    system: str | None
    cluster: str
    values: Mapping[str, float] | None
    verdicts: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """Figures of one system, or of all items together.

    Attributes:
        name: of the system.
        num_items: judged items.
        num_judgements: of all repeats.
        failures: judgements that failed, by kind.
        num_samples: answers to the judgements that gave scores, those that could not be read among them.
        num_failed_samples: of those, answers that could not be read; they are in no mean.
        dimensions: mean score by dimension; empty for verdicts.
        overall: weighted mean of the dimensions, or what the judge said of the dimension `overall`; None for verdicts.
        verdicts: share of each verdict by dimension; empty for numbers.
    """

    name: str
    num_items: int
    num_judgements: int
    failures: Mapping[str, int]
    num_samples: int
    num_failed_samples: int
    dimensions: Mapping[str, Estimate]
    overall: Estimate | None
    verdicts: Mapping[str, Mapping[str, Estimate]]

    @property
    def num_failed(self) -> int:
        """Judgements that failed."""
        return sum(self.failures.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemDifference:
    """Two systems on the contexts that both answered.

    Attributes:
        first: name of a system.
        second: name of another.
        dimension: what is compared.
        difference: mean of first - second over shared contexts.
        p_value: paired permutation test; of `overall` alone, so that few tests are made, and from two shared contexts
            on; else None.
        p_holm: corrected over the pairs of systems that were tested; None exactly where `p_value` is.
    """

    first: str
    second: str
    dimension: str
    difference: Estimate
    p_value: float | None
    p_holm: float | None


class _Metered(Protocol):
    """An attempt that took tokens."""

    @property
    def usage(self) -> Usage | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTotals:
    """Tokens of all attempts.

    Attributes:
        num_prompt_tokens: read.
        num_completion_tokens: written.
        num_cached_tokens: of those read, served from a server's cache.
        num_without_usage: attempts of which the engine said nothing; they are in no sum.
    """

    num_prompt_tokens: int
    num_completion_tokens: int
    num_cached_tokens: int
    num_without_usage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSummary:
    """All figures of a run.

    Attributes:
        all_items: over all systems.
        systems: each by itself, by name; empty where no item names one.
        differences: every pair of systems and every dimension.
        captured_mass: by dimension, for expected scores; else empty.
        num_retried: judgements that took more than one attempt.
    """

    all_items: GroupSummary
    systems: tuple[GroupSummary, ...]
    differences: tuple[SystemDifference, ...]
    captured_mass: Mapping[str, Estimate]
    num_retried: int


def overall_value(scores: Mapping[str, DimensionScore], weights: Mapping[str, float]) -> float | None:
    """Weighted mean of the dimensions, or the dimension `overall` where the judge was asked for it; None for verdicts.

    How LLM-Eval makes one number of its dimensions is not known (arXiv 2305.13711 has no aggregation in its code), so
    this is ours.

    Args:
        scores: of one judgement.
        weights: of dimensions; 1 for one that is not named.
    """
    values = {name: score.value for name, score in scores.items() if score.value is not None}
    if OVERALL in values or not values:
        return values.get(OVERALL)
    total = fsum(weights.get(name, 1.0) for name in values)
    return fsum(weights.get(name, 1.0) * value for name, value in values.items()) / total


def sample_counts(judgement: Judgement) -> tuple[int, int]:
    """Answers behind a judgement that gave scores, and how many of them could not be read; (0, 0) where it failed."""
    scores = (judgement.scores or {}).values()
    failed = max((score.num_failed for score in scores), default=0)
    return max((score.num_samples for score in scores), default=0) + failed, failed


def item_scores(judgements: Iterable[Judgement], *, weights: Mapping[str, float]) -> tuple[ItemScore, ...]:
    """Put the repeats of each item together, in the order in which the items first come."""
    groups: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        groups.setdefault(judgement.item_id, []).append(judgement)
    return tuple(_item_score(group, weights) for group in groups.values())


def summarise_judgements(
    judgements: Sequence[Judgement], *, weights: Mapping[str, float], seed: int, draws: int = 2000
) -> JudgeSummary:
    """Sum up judgements.

    Args:
        judgements: of a run, in any order; may be empty.
        weights: of the dimensions in `overall`.
        seed: of permutation tests.
        draws: of permutation tests.
    """
    items = item_scores(judgements, weights=weights)
    systems = sorted({item.system for item in items if item.system is not None})
    groups = tuple(
        _group(name, [item for item in items if item.system == name], [j for j in judgements if j.system == name])
        for name in systems
    )
    masses = _masses(judgements)
    return JudgeSummary(
        all_items=_group("all", items, judgements),
        systems=groups,
        differences=_differences(items, systems, seed=seed, draws=draws),
        captured_mass={name: mean_estimate(values, unit=EstimateUnit.SHARE) for name, values in masses.items()},
        num_retried=sum(judgement.num_attempts > 1 for judgement in judgements),
    )


def cluster_labels(labels: Sequence[str]) -> Sequence[str] | None:
    """Return the labels, or None where each item stands alone and nothing depends on anything."""
    return labels if len(set(labels)) < len(labels) else None


def token_totals(attempts: Iterable[_Metered]) -> TokenTotals:
    """Add up the tokens of attempts, those that another attempt replaced among them."""
    usages = [attempt.usage for attempt in attempts]
    known = [usage for usage in usages if usage is not None]
    return TokenTotals(
        num_prompt_tokens=sum(usage.num_prompt_tokens for usage in known),
        num_completion_tokens=sum(usage.num_completion_tokens for usage in known),
        num_cached_tokens=sum(usage.num_cached_tokens or 0 for usage in known),
        num_without_usage=len(usages) - len(known),
    )


def judge_summary_to_json(summary: JudgeSummary) -> JsonObject:
    """Return what summary.json holds of the figures."""
    return {
        "all": _group_to_json(summary.all_items),
        "systems": [_group_to_json(group) for group in summary.systems],
        "differences": [
            {
                "first": row.first,
                "second": row.second,
                "dimension": row.dimension,
                "difference": estimate_to_json(row.difference),
                "p_value": row.p_value,
                "p_holm": row.p_holm,
            }
            for row in summary.differences
        ],
        "captured_mass": {name: estimate_to_json(estimate) for name, estimate in summary.captured_mass.items()},
        "num_retried": summary.num_retried,
    }


def estimate_to_json(estimate: Estimate) -> JsonObject:
    """Return an estimate as JSON; `estimate_from_json` is its inverse."""
    return cast("JsonObject", {**asdict(estimate), "unit": estimate.unit.value})


def estimate_from_json(row: Mapping[str, object]) -> Estimate:
    """Read what `estimate_to_json` writes.

    Raises:
        DataError: the parts contradict each other.
    """
    fields = dict(cast("dict[str, float]", row))
    unit, method = EstimateUnit(str(fields.pop("unit"))), str(fields.pop("method"))
    return Estimate(unit=unit, method=method, **cast("dict[str, int]", fields))


def _item_score(group: Sequence[Judgement], weights: Mapping[str, float]) -> ItemScore:
    first = group[0]
    scored = [judgement.scores for judgement in group if judgement.scores is not None]
    names = list(dict.fromkeys(name for scores in scored for name in scores))
    numbers = {
        name: fmean(value for scores in scored if name in scores and (value := scores[name].value) is not None)
        for name in names
        if any(name in scores and scores[name].value is not None for scores in scored)
    }
    overall = [value for scores in scored if (value := overall_value(scores, weights)) is not None]
    if overall:
        numbers[OVERALL] = fmean(overall)
    words = {name: [scores[name] for scores in scored if name in scores] for name in names if name not in numbers}
    return ItemScore(
        item_id=first.item_id,
        system=first.system,
        # Without a cluster an item depends on nothing but itself.
        cluster=first.cluster if first.cluster is not None else f"item-{first.item_id}",
        values=numbers if scored else None,
        verdicts={name: _shares([score.verdict for score in scores]) for name, scores in words.items()},
    )


def _shares(verdicts: Sequence[str | None]) -> dict[str, float]:
    counts = Counter(verdict for verdict in verdicts if verdict is not None)
    return {verdict: count / counts.total() for verdict, count in sorted(counts.items())}


def _group(name: str, items: Sequence[ItemScore], judgements: Sequence[Judgement]) -> GroupSummary:
    scored = [item for item in items if item.values is not None]
    labels = cluster_labels([item.cluster for item in scored])
    num_unscored = len(items) - len(scored)
    names = list(dict.fromkeys(key for item in scored for key in item.values or {}))

    def mean(values: list[float], unit: EstimateUnit) -> Estimate:
        return mean_estimate(values, unit=unit, clusters=labels, num_unscored=num_unscored)

    means = {key: mean([(item.values or {})[key] for item in scored], EstimateUnit.POINTS) for key in names}
    dimensions = list(dict.fromkeys(key for item in scored for key in item.verdicts))
    words = {key: sorted({word for item in scored for word in item.verdicts[key]}) for key in dimensions}
    samples = [sample_counts(judgement) for judgement in judgements]
    failures = Counter(judgement.failure.kind.value for judgement in judgements if judgement.failure is not None)
    return GroupSummary(
        name=name,
        num_items=len(items),
        num_judgements=len(judgements),
        failures=dict(sorted(failures.items())),
        num_samples=sum(given for given, _ in samples),
        num_failed_samples=sum(failed for _, failed in samples),
        dimensions={key: estimate for key, estimate in means.items() if key != OVERALL},
        overall=means.get(OVERALL),
        verdicts={
            key: {
                word: mean([item.verdicts[key].get(word, 0.0) for item in scored], EstimateUnit.SHARE)
                for word in words[key]
            }
            for key in dimensions
        },
    )


def _masses(judgements: Iterable[Judgement]) -> dict[str, list[float]]:
    masses: dict[str, list[float]] = {}
    for judgement in judgements:
        for name, score in (judgement.scores or {}).items():
            if score.captured_mass is not None:
                masses.setdefault(name, []).append(min(1.0, score.captured_mass))
    return masses


def _differences(
    items: Sequence[ItemScore], systems: Sequence[str], *, seed: int, draws: int
) -> tuple[SystemDifference, ...]:
    names = list(dict.fromkeys(key for item in items for key in item.values or {}))
    rows: list[SystemDifference] = []
    for name in names:
        means = {system: _context_means(items, system, name) for system in systems}
        found: list[tuple[str, str, Estimate]] = []
        p_values: list[float | None] = []
        for first, second in combinations(systems, 2):
            shared = [context for context in means[first] if context in means[second]]
            a, b = ([means[system][context] for context in shared] for system in (first, second))
            found.append((first, second, paired_difference(a, b, unit=EstimateUnit.POINTS)))
            is_tested = name == OVERALL and len(shared) >= _LEAST_CONTEXTS
            p_values.append(permutation_test_paired(a, b, seed=seed, draws=draws).p_value if is_tested else None)
        rows.extend(
            SystemDifference(first=a, second=b, dimension=name, difference=estimate, p_value=p, p_holm=q)
            for (a, b, estimate), p, q in zip(found, p_values, _holm_of_tested(p_values), strict=True)
        )
    return tuple(rows)


def _holm_of_tested(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's correction over the tests that were made; a pair that was not tested is none of the family."""
    corrected = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(corrected) for p in p_values]


def _context_means(items: Iterable[ItemScore], system: str, dimension: str) -> dict[str, float]:
    """Mean score of a system on each context; several responses to one context are one value."""
    values: dict[str, list[float]] = {}
    for item in items:
        if item.system == system and item.values is not None and dimension in item.values:
            values.setdefault(item.cluster, []).append(item.values[dimension])
    return {context: fmean(group) for context, group in values.items()}


def _group_to_json(group: GroupSummary) -> JsonObject:
    return {
        "name": group.name,
        "num_items": group.num_items,
        "num_judgements": group.num_judgements,
        "num_failed": group.num_failed,
        "failures": dict(group.failures),
        "num_samples": group.num_samples,
        "num_failed_samples": group.num_failed_samples,
        "dimensions": {name: estimate_to_json(estimate) for name, estimate in group.dimensions.items()},
        "overall": None if group.overall is None else estimate_to_json(group.overall),
        "verdicts": {
            name: {word: estimate_to_json(estimate) for word, estimate in shares.items()}
            for name, shares in group.verdicts.items()
        },
    }
