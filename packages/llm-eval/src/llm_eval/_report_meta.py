"""What a meta-evaluation shows: judge, baselines, raters and ceiling beside each other, with intervals."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

from llm_eval._correlation import CorrelationMethod
from llm_eval._judge_summary import NO_SYSTEM
from llm_eval._meta_evaluation import (
    CorrelationResult,
    DimensionEvaluation,
    JudgeEvaluation,
    MetaEvaluation,
    SystemMean,
)
from llm_eval._ppi import FEW_LABELLED, FEW_LABELLED_UNITS
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
from twllm_types import Estimate, EstimateUnit

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
    judges = "1 judge" if len(evaluation.judges) == 1 else f"{len(evaluation.judges):,} judges"
    return Report(
        title="llm-eval: judges against people",
        subtitle=f"{judges}, {evaluation.num_rated:,} rated items, {evaluation.level} level",
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
        Column(title="unscored", kind=ColumnKind.COUNT),
    )
    rows: list[tuple[Cell, ...]] = []
    for judge in evaluation.judges:
        for one in judge.dimensions:
            rows.extend(_rows(judge, one, methods))
    note = (
        "one rater: mean coefficient of one rater with the mean of the others; ceiling: about the largest coefficient "
        "that these ratings allow; unscored: rated items without a score; constant x: the scores are all the same, "
        "constant y: the ratings are"
    )
    return _table("Correlation with people", columns, rows, note=note)


def _table(title: str, columns: Sequence[Column], rows: Sequence[tuple[Cell, ...]], *, note: str = "") -> Table:
    """A table without the columns that have nothing to say in any row, so that more of the others is in sight."""
    kept = [at for at in range(len(columns)) if not rows or any(row[at] is not None for row in rows)]
    return Table(
        title=title,
        columns=tuple(columns[at] for at in kept),
        rows=tuple(tuple(row[at] for at in kept) for row in rows),
        note=note,
    )


def _methods(evaluation: MetaEvaluation) -> list[CorrelationMethod]:
    return list(dict.fromkeys(m for judge in evaluation.judges for one in judge.dimensions for m in one.correlations))


def _rows(
    judge: JudgeEvaluation, one: DimensionEvaluation, methods: Sequence[CorrelationMethod]
) -> list[tuple[Cell, ...]]:
    name = one.dimension if one.dimension == one.human_dimension else f"{one.dimension} → {one.human_dimension}"

    def row(who: str, results: Mapping[CorrelationMethod, CorrelationResult]) -> tuple[Cell, ...]:
        found = [results[method] for method in methods]
        reasons = dict.fromkeys(_in_words(result.correlation.reason) for result in found)
        why = "; ".join(reason for reason in reasons if reason is not None)
        unscored = one.num_unscored if who == judge.judge else None
        return (_undefined(who, why), name, *(map(_estimate, found)), unscored)

    people = one.reliability
    rows = [row(judge.judge, one.correlations)]
    rows.extend(row(f"{judge.judge}: {baseline}", results) for baseline, results in one.baselines.items())
    raters = [_mean_estimate(one.rater_baseline[method], people.n) for method in methods]
    rows.append((f"{judge.judge}: one rater", name, *raters, None))
    ceiling = _undefined(f"{judge.judge}: ceiling", _in_words(people.reason))
    rows.append((ceiling, name, *([people.ceiling] * len(methods)), None))
    return rows


def _undefined(who: str, why: str | None) -> str:
    """The name of a row with the reason why it has no figures, where it would not be out of sight."""
    return f"{who} (undefined: {why})" if why else who


def _mean_estimate(mean: MeanCorrelation, n: int) -> Estimate | None:
    """A mean of coefficients, which has no interval."""
    if mean.value is None:
        return None
    return Estimate(
        mean=mean.value,
        stderr=None,
        ci_low=None,
        ci_high=None,
        level=0.95,
        method=f"mean of {mean.num_averaged} coefficients, one rater against the others",
        unit=EstimateUnit.CORRELATION,
        n=n,
    )


def _in_words(reason: StrEnum | None) -> str | None:
    """A reason with spaces, where a narrow column can break it."""
    return None if reason is None else reason.value.replace("_", " ")


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
                    _in_words(result.correlation.reason),
                )
            )
    return _table("Coefficients", columns, rows)


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
        Column(title="why undefined"),
    )
    rows = tuple(
        (one.dimension, method.value, row.before, row.after, row.reduction, _in_words(row.reason))
        for one in judge.dimensions
        for method, row in one.calibration.items()
    )
    note = (
        "mean absolute error in points of the human scale; before: of the scores as they are, so that another scale "
        "counts as error; after: each item by a map fitted without its fold"
    )
    return _table("Calibration to the human scale", columns, rows, note=note)


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
        Column(title="rests on"),
    )
    rows = tuple(
        (
            row.system or NO_SYSTEM,
            row.dimension,
            row.judge,
            row.human,
            None if row.corrected is None else row.corrected.corrected,
            _rests_on(row),
        )
        for row in judge.systems
    )
    note = (
        "the judge's mean is on its own scale, the corrected mean on the human one; rests on: rated items, or clusters "
        f"with one; {FEW_LABELLED}: under {FEW_LABELLED_UNITS} of them, so that the corrected interval is right "
        "only for ratings that are about normal, and covers too little for others"
    )
    return _table("Means of systems", columns, rows, note=note)


def _rests_on(row: SystemMean) -> str | None:
    """On how many rated units the corrected mean rests, and whether they are few; or why there is none."""
    if row.corrected is None:
        return _in_words(row.reason)
    number = f"{row.corrected.num_labelled_units:,}"
    return f"{number}: {FEW_LABELLED}" if row.corrected.few_labelled_units else number


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
