"""Judges against people: everything that one needs to know before trusting a judge."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import numpy as np

from llm_eval._aligned import Aligned, Pool, align, baseline_scores
from llm_eval._baselines import TextUnit
from llm_eval._columns import FloatArray, check_draws
from llm_eval._correlation import CorrelationMethod
from llm_eval._evaluate_dimension import Settings, correlate_dimensions, evaluate_dimension
from llm_eval._items import JudgeItem
from llm_eval._judge_scores import JudgeScores, plain_scores
from llm_eval._meta_evaluation import (
    Clustering,
    EvaluationLevel,
    JudgeComparison,
    JudgeEvaluation,
    MetaEvaluation,
    NoCorrectedMean,
    SystemMean,
)
from llm_eval._ppi import ppi_mean
from llm_eval._ratings import Ratings
from llm_eval._reliability import Halo, halo
from llm_eval._resample import bootstrap_correlation_difference
from twllm_runs.statistics import mean_estimate
from twllm_types import DataError, Estimate, EstimateUnit

_ALL = tuple(CorrelationMethod)
_PERMUTED = (CorrelationMethod.PEARSON, CorrelationMethod.SPEARMAN)


def meta_evaluate(
    judgements: JudgeScores | Sequence[JudgeScores] | Mapping[str, Mapping[str, float | str]],
    ratings: Ratings,
    *,
    items: Sequence[JudgeItem] = (),
    dimensions: Mapping[str, str] | None = None,
    methods: Sequence[CorrelationMethod] = _ALL,
    permuted: Sequence[CorrelationMethod] = _PERMUTED,
    level: EvaluationLevel = EvaluationLevel.TURN,
    clustering: Clustering = Clustering.CONTEXT,
    leave_out_systems: Collection[str] = (),
    text_unit: TextUnit = TextUnit.WORDS,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
    num_folds: int = 5,
) -> MetaEvaluation:
    """Hold judges against human ratings; what is undefined (constant ratings, under three items) is None with a reason.

    Args:
        judgements: scores of judges; a plain mapping of item id to dimension to value is a judge named "judge".
        ratings: of people.
        items: what was judged, for baselines, length, and corrected means, which use judged items without a rating;
            only those of `level` are used (all for SYSTEM). Without them all ratings are used.
        dimensions: judge's dimension to that of the ratings; None joins equal names, upper and lower case alike.
        methods: coefficients.
        permuted: those with a permutation test; Kendall's takes long beyond a few thousand items.
        level: what is correlated.
        clustering: which items depend on each other.
        leave_out_systems: systems that are no part of this, such as the reference, which a baseline knows.
        text_unit: what baselines count; CHARACTERS for Chinese.
        draws: bootstrap and permutation draws, at least 2.
        seed: of all draws.
        confidence: coverage of the intervals, in (0, 1).
        num_folds: parts of the cross-validation of the calibration.

    Raises:
        DataError: no rated item is left, judges of one name, a judge that rates none of the dimensions (one that failed
            throughout stands with n = 0), an unknown dimension or system, words mixed with numbers, numbers too large.
        ConfigError: fewer than two draws or folds, or a level outside (0, 1).
    """
    settings = _settings(
        level, methods=methods, permuted=permuted, draws=draws, seed=seed, confidence=confidence, num_folds=num_folds
    )
    pool = _pool(ratings, items, level, clustering, leave_out_systems, text_unit)
    known = {*pool.items, *pool.ratings.items, *ratings.items, *(item.id for item in items)}
    return _whole(pool, _judges(judgements), dimensions, known, tuple(leave_out_systems), settings)


def _settings(
    level: EvaluationLevel,
    *,
    methods: Sequence[CorrelationMethod],
    permuted: Sequence[CorrelationMethod],
    draws: int,
    seed: int,
    confidence: float,
    num_folds: int,
) -> Settings:
    check_draws(draws, confidence)
    return Settings(
        level=level,
        methods=tuple(methods),
        permuted=tuple(method for method in permuted if method in methods),
        draws=draws,
        seed=seed,
        confidence=confidence,
        num_folds=num_folds,
    )


def _whole(
    pool: Pool,
    judges: Sequence[JudgeScores],
    dimensions: Mapping[str, str] | None,
    known: Collection[str],
    left_out_systems: tuple[str, ...],
    settings: Settings,
) -> MetaEvaluation:
    aligned = {judge.judge: _align(pool, judge, dimensions) for judge in judges}
    return MetaEvaluation(
        level=settings.level,
        clustering=pool.clustering,
        num_rated=len(_rated_ids(pool)),
        left_out_systems=left_out_systems,
        num_faults=Counter(fault.kind for fault in pool.ratings.faults),
        judges=tuple(_evaluate(pool, judge, aligned[judge.judge], known, settings) for judge in judges),
        comparisons=_comparisons(pool, aligned, settings),
        draws=settings.draws,
        seed=settings.seed,
        confidence=settings.confidence,
    )


def _judges(
    judgements: JudgeScores | Sequence[JudgeScores] | Mapping[str, Mapping[str, float | str]],
) -> tuple[JudgeScores, ...]:
    if isinstance(judgements, JudgeScores):
        return (judgements,)
    if isinstance(judgements, Mapping):
        return (plain_scores("judge", judgements),)
    twice = [name for name, count in Counter(one.judge for one in judgements).items() if count > 1]
    if twice:
        raise DataError(f"two judges are named {twice[0]!r}; give each its own name")
    return tuple(judgements)


def _pool(
    ratings: Ratings,
    items: Sequence[JudgeItem],
    level: EvaluationLevel,
    clustering: Clustering,
    leave_out: Collection[str],
    unit: TextUnit,
) -> Pool:
    kept = ratings.without_systems(leave_out) if leave_out else ratings
    wanted = [
        item
        for item in items
        if item.system not in leave_out and (level is EvaluationLevel.SYSTEM or item.level.value == level.value)
    ]
    if items:
        ids = {item.id for item in wanted}
        rated = {key: item for key, item in kept.items.items() if key in ids}
        kept = Ratings(items=rated, scales=kept.scales, verdicts=kept.verdicts, faults=kept.faults)
    if not kept.items:
        raise DataError(f"no rated item is left at level {level.value!r}; check items, ratings and systems left out")
    return Pool(
        ratings=kept,
        items={item.id: item for item in wanted},
        baselines=baseline_scores(wanted, unit),
        clustering=clustering,
    )


def _align(pool: Pool, judge: JudgeScores, dimensions: Mapping[str, str] | None) -> tuple[Aligned, ...]:
    rated = pool.ratings.dimensions
    # What a judge would have scored is not known where all of it failed: then all that people rated is without score.
    has_none = judge.num_failed > 0 and not judge.dimensions
    if dimensions is None and has_none:
        dimensions = {name: name for name in rated}
    if dimensions is None:
        folded = {name.casefold(): name for name in reversed(rated)}
        dimensions = {
            name: name if name in rated else folded[name.casefold()]
            for name in judge.dimensions
            if name.casefold() in folded
        }
    for own, human in dimensions.items():
        if human not in rated or not (has_none or own in judge.dimensions):
            raise DataError(
                f"{judge.judge} has {', '.join(judge.dimensions)} and people rated {', '.join(rated)}; "
                f"{own!r} to {human!r} joins none of them, so correct the names"
            )
    if not dimensions:
        raise DataError(
            f"{judge.judge} scores {', '.join(judge.dimensions) or 'nothing'}, people rated {', '.join(rated)}; "
            "say which belong together"
        )
    return tuple(align(pool, judge, own, human) for own, human in dimensions.items())


def _evaluate(
    pool: Pool, judge: JudgeScores, aligned: Sequence[Aligned], known: Collection[str], settings: Settings
) -> JudgeEvaluation:
    scored = {item_id for item_id, of_item in judge.scores.items() if of_item}
    used = {one.dimension for one in aligned}
    return JudgeEvaluation(
        judge=judge.judge,
        num_failed=judge.num_failed,
        failures=judge.failures,
        unmatched=tuple(item_id for item_id in judge.scores if item_id not in known),
        num_unjudged=sum(item_id not in scored for item_id in _rated_ids(pool)),
        dimensions=tuple(
            evaluate_dimension(pool, judge, one, results, settings)
            for one, results in zip(aligned, correlate_dimensions(pool, aligned, settings), strict=True)
        ),
        unrated_dimensions=tuple(name for name in judge.dimensions if name not in used),
        halo=_halo(aligned),
        systems=_system_means(pool, aligned, settings),
    )


def _rated_ids(pool: Pool) -> list[str]:
    """The items with a rating that counts; a file may hold others, whose means are corrected."""
    return [item_id for item_id, item in pool.ratings.items.items() if any(item.ratings.values())]


def _halo(aligned: Sequence[Aligned]) -> tuple[Halo, ...]:
    """Over the items that have all of the judge's dimensions."""
    common = set(aligned[0].ids).intersection(*(one.ids for one in aligned))
    shared = [item_id for item_id in aligned[0].ids if item_id in common]
    columns: tuple[dict[str, FloatArray], dict[str, FloatArray]] = {}, {}
    for one in aligned:
        columns[0][one.dimension], columns[1][one.dimension] = one.columns(shared)
    return halo(*columns)


def _system_means(pool: Pool, aligned: Sequence[Aligned], settings: Settings) -> tuple[SystemMean, ...]:
    found: list[SystemMean] = []
    for one in aligned:
        names = dict.fromkeys(pool.system(item_id) for item_id in (*one.ids, *one.unlabelled))
        found += [_system_mean(pool, one, name, settings) for name in names]
    return tuple(found)


def _system_mean(pool: Pool, one: Aligned, system: str | None, settings: Settings) -> SystemMean:
    ids = [item_id for item_id in one.ids if pool.system(item_id) == system]
    others = [item_id for item_id in one.unlabelled if pool.system(item_id) == system]
    judge, human = one.columns(ids)
    unlabelled = np.asarray([one.unlabelled[item_id] for item_id in others], dtype=np.float64)
    corrected = ppi_mean(
        human,
        judge,
        unlabelled,
        clusters=pool.clusters(ids),
        unlabelled_clusters=pool.clusters(others),
        level=settings.confidence,
    )
    reason = None
    if corrected is None:
        reason = NoCorrectedMean.TOO_FEW_LABELLED if others else NoCorrectedMean.NOTHING_UNLABELLED

    def estimate(values: FloatArray, labels: Sequence[str] | None) -> Estimate:
        return mean_estimate(values, unit=EstimateUnit.POINTS, clusters=labels, level=settings.confidence)

    return SystemMean(
        system=system,
        dimension=one.dimension,
        judge=estimate(np.concatenate([judge, unlabelled]), pool.clusters([*ids, *others])),
        human=estimate(human, pool.clusters(ids)),
        corrected=corrected,
        reason=reason,
    )


def _comparisons(
    pool: Pool, aligned: Mapping[str, Sequence[Aligned]], settings: Settings
) -> tuple[JudgeComparison, ...]:
    """Each two judges on each dimension that both have; none at the level of systems, of which there are too few."""
    found: list[JudgeComparison] = []
    if settings.of_systems:
        return ()
    for (first, ours), (second, theirs) in combinations(aligned.items(), 2):
        for one, other in ((a, b) for a in ours for b in theirs if a.human_dimension == b.human_dimension):
            common = set(other.ids)
            ids = [item_id for item_id in one.ids if item_id in common]
            (judge, human), (rival, _) = one.columns(ids), other.columns(ids)
            found += [
                JudgeComparison(
                    first=first,
                    second=second,
                    dimension=one.human_dimension,
                    method=method,
                    difference=bootstrap_correlation_difference(
                        judge,
                        rival,
                        human,
                        method=method,
                        seed=settings.seed,
                        clusters=pool.clusters(ids),
                        draws=settings.draws,
                        level=settings.confidence,
                    ),
                )
                for method in settings.methods
            ]
    return tuple(found)
