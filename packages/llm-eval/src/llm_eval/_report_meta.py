"""What a meta-evaluation shows: judge, baselines, raters and ceiling beside each other, with intervals."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from llm_eval._correlation import Correlation, CorrelationMethod
from llm_eval._judge_summary import NO_SYSTEM
from llm_eval._meta_evaluation import CorrelationResult, DimensionEvaluation, JudgeEvaluation, MetaEvaluation
from llm_eval._reliability import MeanCorrelation
from twllm_runs.report import (
    Block,
    Cell,
    Column,
    ColumnKind,
    Fact,
    Point,
    Prose,
    Report,
    Scatter,
    Section,
    Table,
)
from twllm_types import Estimate

Pairs: TypeAlias = Mapping[tuple[str, str], Sequence[tuple[float, float, str, str]]]
"""By (judge, dimension): judge's score, mean rating, item and system."""

_MAX_POINTS = 2000
_MAX_GROUPS = 10
_READING = (
    "A correlation cannot be read alone: the ceiling bounds what any judge can reach with these raters, and the length "
    "of the response often reaches much of it. Intervals are percentile bootstraps over clusters where items depend on "
    "each other."
)


def meta_report(
    evaluation: MetaEvaluation, *, pairs: Pairs, setting: Mapping[str, str], num_without_item: int = 0
) -> Report:
    """Make the page of one evaluation.

    Args:
        evaluation: its figures.
        pairs: what to draw.
        setting: facts for the head.
        num_without_item: rated items left out because they are none of the items.
    """
    sections = [
        Section(title="Judges against people", blocks=(Prose(paragraphs=(_READING,)), correlation_table(evaluation))),
        *(_judge_section(judge, pairs) for judge in evaluation.judges),
    ]
    if evaluation.comparisons:
        sections.append(Section(title="Differences between judges", blocks=(_comparison_table(evaluation),)))
    sections.append(Section(title="What was left out", blocks=(_fault_table(evaluation, num_without_item),)))
    return Report(
        title="llm-eval: judges against people",
        subtitle=f"{len(evaluation.judges):,} judges, {evaluation.num_rated:,} rated items, {evaluation.level} level",
        facts=tuple(Fact(name=name, value=value) for name, value in setting.items()),
        sections=tuple(sections),
    )


def correlation_table(evaluation: MetaEvaluation) -> Table:
    """One row per judge and dimension, and below it its baselines, one rater and the ceiling."""
    methods = _methods(evaluation)
    columns = (
        Column(title="who"),
        Column(title="dimension"),
        *(Column(title=method.value, kind=ColumnKind.ESTIMATE) for method in methods),
        *(Column(title=f"{method.value}, as number", kind=ColumnKind.NUMBER, digits=3) for method in methods),
        Column(title="n", kind=ColumnKind.COUNT),
        Column(title="unscored", kind=ColumnKind.COUNT),
    )
    rows: list[tuple[Cell, ...]] = []
    for judge in evaluation.judges:
        for one in judge.dimensions:
            rows.extend(_rows(judge, one, methods))
    note = (
        "one rater: mean coefficient of one rater with the mean of the others; ceiling: about the largest coefficient "
        "that these ratings allow; a dash where a figure is undefined or has no interval"
    )
    return Table(title="Correlation with people", columns=columns, rows=tuple(rows), note=note)


def _methods(evaluation: MetaEvaluation) -> list[CorrelationMethod]:
    return list(dict.fromkeys(m for judge in evaluation.judges for one in judge.dimensions for m in one.correlations))


def _rows(
    judge: JudgeEvaluation, one: DimensionEvaluation, methods: Sequence[CorrelationMethod]
) -> list[tuple[Cell, ...]]:
    name = one.dimension if one.dimension == one.human_dimension else f"{one.dimension} → {one.human_dimension}"

    def row(who: str, results: Mapping[CorrelationMethod, CorrelationResult]) -> tuple[Cell, ...]:
        found = [results[method] for method in methods]
        values = [result.correlation.value for result in found]
        return (who, name, *(map(_estimate, found)), *values, one.n, one.num_unscored)

    def plain(who: str, means: Mapping[CorrelationMethod, MeanCorrelation]) -> tuple[Cell, ...]:
        return (who, name, *([None] * len(methods)), *(means[method].value for method in methods), one.n, None)

    ceiling = one.reliability.ceiling
    rows = [row(judge.judge, one.correlations)]
    rows.extend(row(f"{judge.judge}: {baseline}", results) for baseline, results in one.baselines.items())
    rows.append(plain(f"{judge.judge}: one rater", one.rater_baseline))
    rows.append(
        (
            f"{judge.judge}: ceiling",
            name,
            *([ceiling] * len(methods)),
            *([None if ceiling is None else ceiling.mean] * len(methods)),
            one.reliability.n,
            None,
        )
    )
    return rows


def _estimate(result: CorrelationResult) -> Estimate | None:
    return result.by_clusters or result.by_items


def _judge_section(judge: JudgeEvaluation, pairs: Pairs) -> Section:
    blocks: list[Block] = [_detail_table(judge)]
    blocks.extend(
        scatter
        for one in judge.dimensions
        if (scatter := _scatter(pairs.get((judge.judge, one.dimension), ()), judge.judge, one)) is not None
    )
    if judge.halo:
        blocks.append(_halo_table(judge))
    if any(one.calibration for one in judge.dimensions):
        blocks.append(_calibration_table(judge))
    if any(one.verdicts for one in judge.dimensions):
        blocks.append(_verdict_table(judge))
    blocks.append(_system_table(judge))
    return Section(title=judge.judge, blocks=tuple(blocks))


def _detail_table(judge: JudgeEvaluation) -> Table:
    columns = (
        Column(title="dimension"),
        Column(title="method"),
        Column(title="by items", kind=ColumnKind.ESTIMATE),
        Column(title="by clusters", kind=ColumnKind.ESTIMATE),
        Column(title="p, permutation", kind=ColumnKind.NUMBER, digits=4),
        Column(title="within contexts", kind=ColumnKind.NUMBER, digits=3),
        Column(title="length taken out", kind=ColumnKind.NUMBER, digits=3),
        Column(title="repeats alike", kind=ColumnKind.SHARE),
        Column(title="why undefined"),
    )
    rows: list[tuple[Cell, ...]] = []
    for one in judge.dimensions:
        for method, result in one.correlations.items():
            within, partial = one.within_clusters.get(method), one.length_partial.get(method)
            rows.append(
                (
                    one.dimension,
                    method.value,
                    result.by_items,
                    result.by_clusters,
                    result.permutation_p,
                    None if within is None else within.value,
                    None if partial is None else partial.value,
                    one.self_consistency.identical_share,
                    _reason(result.correlation),
                )
            )
    return Table(title="Coefficients", columns=columns, rows=tuple(rows))


def _reason(correlation: Correlation) -> str | None:
    return None if correlation.reason is None else correlation.reason.value


def _scatter(rows: Sequence[tuple[float, float, str, str]], judge: str, one: DimensionEvaluation) -> Scatter | None:
    if not rows:
        return None
    shown = rows[:: max(1, -(-len(rows) // _MAX_POINTS))]
    systems = {row[3] for row in shown}
    points = tuple(
        Point(x=human, y=score, label=item_id, group=system if len(systems) <= _MAX_GROUPS else "")
        for score, human, item_id, system in shown
    )
    note = f"{len(shown):,} of {len(rows):,} items"
    return Scatter(
        title=f"{judge}: {one.dimension}",
        points=points,
        x_label=f"mean rating, {one.human_dimension}",
        y_label=f"judge, {one.dimension}",
        note=note,
    )


def _halo_table(judge: JudgeEvaluation) -> Table:
    columns = (
        Column(title="first"),
        Column(title="second"),
        Column(title="judge", kind=ColumnKind.NUMBER, digits=3),
        Column(title="people", kind=ColumnKind.NUMBER, digits=3),
    )
    rows = tuple((row.first, row.second, row.judge.value, row.human.value) for row in judge.halo)
    note = "correlation of two dimensions; a judge above people sees one merit in all"
    return Table(title="Halo", columns=columns, rows=rows, note=note)


def _calibration_table(judge: JudgeEvaluation) -> Table:
    columns = (
        Column(title="dimension"),
        Column(title="map"),
        Column(title="error before", kind=ColumnKind.ESTIMATE),
        Column(title="error after", kind=ColumnKind.ESTIMATE),
        Column(title="reduction", kind=ColumnKind.ESTIMATE, difference=True),
    )
    rows = tuple(
        (one.dimension, method.value, row.before, row.after, row.reduction)
        for one in judge.dimensions
        for method, row in one.calibration.items()
    )
    note = "mean absolute error in points of the human scale; each item by a map fitted without its fold"
    return Table(title="Calibration to the human scale", columns=columns, rows=rows, note=note)


def _verdict_table(judge: JudgeEvaluation) -> Table:
    columns = (
        Column(title="dimension"),
        *(
            Column(title=name, kind=ColumnKind.ESTIMATE)
            for name in ("kappa", "kappa, quadratic", "alpha of people", "alpha with the judge")
        ),
        Column(title="tied items", kind=ColumnKind.COUNT),
    )
    rows = tuple(
        (
            one.dimension,
            found.kappa.estimate,
            found.weighted_kappa.estimate,
            found.people.estimate,
            found.people_and_judge.estimate,
            found.num_tied,
        )
        for one in judge.dimensions
        if (found := one.verdicts) is not None
    )
    return Table(title="Agreement on verdicts", columns=columns, rows=rows)


def _system_table(judge: JudgeEvaluation) -> Table:
    columns = (
        Column(title="system"),
        Column(title="dimension"),
        Column(title="judge", kind=ColumnKind.ESTIMATE),
        Column(title="people", kind=ColumnKind.ESTIMATE),
        Column(title="corrected (PPI++)", kind=ColumnKind.ESTIMATE),
        Column(title="why not corrected"),
    )
    rows = tuple(
        (
            row.system or NO_SYSTEM,
            row.dimension,
            row.judge,
            row.human,
            None if row.corrected is None else row.corrected.corrected,
            None if row.reason is None else row.reason.value,
        )
        for row in judge.systems
    )
    note = "the judge's mean is on its own scale; the corrected mean is on the human scale"
    return Table(title="Means of systems", columns=columns, rows=rows, note=note)


def _comparison_table(evaluation: MetaEvaluation) -> Table:
    columns = (
        Column(title="first"),
        Column(title="second"),
        Column(title="dimension"),
        Column(title="method"),
        Column(title="first - second", kind=ColumnKind.ESTIMATE, difference=True),
        Column(title="p", kind=ColumnKind.NUMBER, digits=4),
    )
    rows = tuple(
        (row.first, row.second, row.dimension, row.method.value, row.difference.estimate, row.difference.p_value)
        for row in evaluation.comparisons
    )
    return Table(title="Paired differences", columns=columns, rows=rows, note="on the items that both judges scored")


def _fault_table(evaluation: MetaEvaluation, num_without_item: int) -> Table:
    columns = (Column(title="what"), Column(title="of"), Column(title="number", kind=ColumnKind.COUNT))
    rows: list[tuple[Cell, ...]] = [
        (f"ratings: {kind.value}", "people", number) for kind, number in evaluation.num_faults.items()
    ]
    rows.append(("rated items that are none of the items", "people", num_without_item))
    for judge in evaluation.judges:
        rows.extend((f"failed judgements: {kind}", judge.judge, number) for kind, number in judge.failures.items())
        rows.append(("rated items without a score", judge.judge, judge.num_unjudged))
        rows.append(("judgements of no item", judge.judge, len(judge.unmatched)))
    return Table(title="Counted, and in no figure", columns=columns, rows=tuple(rows))
