"""One dimension of one judge against people."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from llm_eval._aligned import LENGTH, Aligned, Pool, SystemColumns, draw_system_correlations, read_systems
from llm_eval._calibration import CalibrationMethod, calibrate
from llm_eval._columns import FloatArray, Labels, read_units
from llm_eval._correlation import Correlation, CorrelationMethod, correlate
from llm_eval._judge_scores import JudgeScores
from llm_eval._meta_evaluation import CorrelationResult, DimensionEvaluation, EvaluationLevel
from llm_eval._reliability import (
    MeanCorrelation,
    Reliability,
    leave_one_rater_out,
    mean_correlation,
    partial_correlation,
    reliability,
    self_consistency,
)
from llm_eval._resample import CorrelationEstimate, bootstrap_correlations, drawn_estimate, permutation_p_values
from llm_eval._system_reliability import system_rater_baseline, system_reliability, system_words
from llm_eval._verdicts import verdict_agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to evaluate; the meaning is that of the arguments of `meta_evaluate`."""

    level: EvaluationLevel
    methods: tuple[CorrelationMethod, ...]
    permuted: tuple[CorrelationMethod, ...]
    draws: int
    seed: int
    confidence: float
    num_folds: int

    @property
    def of_systems(self) -> bool:
        """Whether means of systems are correlated."""
        return self.level is EvaluationLevel.SYSTEM


JUDGE = "judge"

Results = Mapping[CorrelationMethod, CorrelationResult]
_Columns = Sequence[tuple[FloatArray, FloatArray]]


def evaluate_dimension(
    pool: Pool, judge: JudgeScores, one: Aligned, results: Mapping[str, Results], settings: Settings
) -> DimensionEvaluation:
    """Everything about one dimension; `results` holds the coefficients of `JUDGE` and of the baselines."""
    clusters = pool.clusters(one.ids)
    raters = [pool.ratings.items[item_id].ratings[one.human_dimension] for item_id in one.ids]
    words = pool.ratings.verdicts.get(one.human_dimension)
    numbers = _repeats(judge, one, words)
    at_items = not settings.of_systems
    seed, draws, level = settings.seed, settings.draws, settings.confidence
    agreement, one_rater = _people(pool, one, raters, settings)
    return DimensionEvaluation(
        dimension=one.dimension,
        human_dimension=one.human_dimension,
        n=one.human.size if at_items else agreement.n,
        num_unscored=one.num_unscored,
        correlations=results[JUDGE],
        within_clusters={m: _within(one, clusters, m) for m in settings.methods} if clusters and at_items else {},
        reliability=agreement,
        rater_baseline=one_rater,
        baselines={name: found for name, found in results.items() if name != JUDGE},
        length_partial=_length_partial(pool, one, settings) if at_items else {},
        self_consistency=self_consistency(numbers),
        verdicts=None
        if words is None
        else verdict_agreement(
            [next(value for value in row if value is not None) for row in numbers],
            raters,
            len(words),
            seed=seed,
            clusters=clusters,
            draws=draws,
            level=level,
        ),
        calibration={
            method: calibrate(
                one.judge,
                one.human,
                method,
                seed=seed,
                clusters=clusters,
                num_folds=settings.num_folds,
                level=level,
            )
            for method in CalibrationMethod
            if at_items and words is None
        },
    )


def _repeats(judge: JudgeScores, one: Aligned, words: Sequence[str] | None) -> list[list[float | None]]:
    """Each repeat of each item as a number, a verdict by its place; None where it failed."""
    coded = [
        [None if value is None else words.index(value) if words and isinstance(value, str) else value for value in row]
        for row in (judge.scores[item_id][one.dimension] for item_id in one.ids)
    ]
    return [[None if value is None else float(value) for value in row] for row in coded]


def _people(
    pool: Pool, one: Aligned, raters: Sequence[Sequence[float]], settings: Settings
) -> tuple[Reliability, dict[CorrelationMethod, MeanCorrelation]]:
    """Ceiling and one rater, of what is correlated: items, or means of systems."""
    clusters = pool.clusters(one.ids)
    seed, draws, level = settings.seed, settings.draws, settings.confidence
    if settings.of_systems:
        systems = read_systems(pool, one.ids)
        found = system_reliability(raters, systems, seed=seed, clusters=clusters, draws=draws, level=level)
        return found, {method: system_rater_baseline(raters, systems, method) for method in settings.methods}
    found = reliability(raters, seed=seed, clusters=clusters, draws=draws, level=level)
    return found, {method: leave_one_rater_out(raters, method) for method in settings.methods}


def correlate_dimensions(pool: Pool, aligned: Sequence[Aligned], settings: Settings) -> list[dict[str, Results]]:
    """Coefficients of the judge (under `JUDGE`) and of each baseline, for each dimension.

    Dimensions over the same items are drawn together. A baseline that lacks one of the items is left out, so that all
    figures of one row of a table are over the same items.
    """
    by_items: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, one in enumerate(aligned):
        by_items[one.ids].append(at)
    found: list[dict[str, Results]] = [{} for _ in aligned]
    for ids, members in by_items.items():
        baselines = {
            name: np.asarray([scores[item_id] for item_id in ids], dtype=np.float64)
            for name, scores in pool.baselines.items()
            if ids and all(item_id in scores for item_id in ids)
        }
        named = [
            (at, name, column) for at in members for name, column in ({JUDGE: aligned[at].judge} | baselines).items()
        ]
        pairs = [(column, aligned[at].human) for at, _, column in named]
        for (at, name, _), results in zip(named, _results(pool, ids, pairs, settings), strict=True):
            found[at][name] = results
    return found


def _results(pool: Pool, ids: Sequence[str], pairs: _Columns, settings: Settings) -> list[Results]:
    clusters = pool.clusters(ids)
    systems = read_systems(pool, ids) if settings.of_systems else None
    by_items = _estimates(pairs, systems, None, settings)
    by_clusters = None if clusters is None else _estimates(pairs, systems, clusters, settings)
    p_values = [dict.fromkeys(settings.methods) for _ in pairs]
    if systems is None:
        x, y = [a for a, _ in pairs], [b for _, b in pairs]
        tested = permutation_p_values(
            x, y, methods=settings.permuted, seed=settings.seed, clusters=clusters, draws=settings.draws
        )
        p_values = [{**none, **p} for none, p in zip(p_values, tested, strict=True)]
    return [
        {
            method: CorrelationResult(
                correlation=by_items[at][method].correlation,
                by_items=by_items[at][method].estimate,
                by_clusters=None if by_clusters is None else by_clusters[at][method].estimate,
                permutation_p=p_values[at][method],
            )
            for method in settings.methods
        }
        for at in range(len(pairs))
    ]


def _estimates(
    pairs: _Columns, systems: SystemColumns | None, clusters: Labels | None, settings: Settings
) -> Sequence[Mapping[CorrelationMethod, CorrelationEstimate]]:
    if systems is None:
        return bootstrap_correlations(
            [a for a, _ in pairs],
            [b for _, b in pairs],
            methods=settings.methods,
            seed=settings.seed,
            clusters=clusters,
            draws=settings.draws,
            level=settings.confidence,
        )
    units = read_units(pairs[0][0].size, clusters)
    found: list[dict[CorrelationMethod, CorrelationEstimate]] = []
    for x, y in pairs:
        by_method: dict[CorrelationMethod, CorrelationEstimate] = {}
        for method in settings.methods:
            correlation = systems.correlate(x, y, method)
            drawn = np.full(settings.draws, np.nan)
            if correlation.value is not None:
                drawn = draw_system_correlations(
                    systems, x, y, method, units=units, draws=settings.draws, seed=settings.seed
                )
            of_systems = drawn_estimate(
                correlation,
                drawn,
                units=replace(units, clustered=False),
                what=system_words(f"{method.value} of the means of {len(systems.names)} systems", units),
                level=settings.confidence,
                seed=settings.seed,
            )
            by_method[method] = _counting_systems(of_systems, len(systems.names))
        found.append(by_method)
    return found


def _counting_systems(found: CorrelationEstimate, num_systems: int) -> CorrelationEstimate:
    """The figure is over systems, however many items are behind each; what was resampled stands in its method."""
    if found.estimate is None:
        return found
    return replace(found, estimate=replace(found.estimate, n=num_systems))


def _within(one: Aligned, clusters: Sequence[str], method: CorrelationMethod) -> MeanCorrelation:
    members: dict[str, list[int]] = defaultdict(list)
    for at, label in enumerate(clusters):
        members[label].append(at)
    return mean_correlation([correlate(one.judge[at], one.human[at], method) for at in members.values()])


def _length_partial(pool: Pool, one: Aligned, settings: Settings) -> dict[CorrelationMethod, Correlation]:
    lengths = pool.baselines.get(LENGTH, {})
    if not all(item_id in lengths for item_id in one.ids):
        return {}
    column = [lengths[item_id] for item_id in one.ids]
    return {method: partial_correlation(one.judge, one.human, column, method) for method in settings.methods}
