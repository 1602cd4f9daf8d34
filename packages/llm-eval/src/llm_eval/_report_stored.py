"""Finished runs on one page: one judge with its items, or several judges and evaluations beside each other."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import cast

from llm_eval._judge_run import stored_report
from llm_eval._judge_settings import OVERALL
from llm_eval._judge_stored import COMMAND, StoredJudgeRun, read_judge_run
from llm_eval._judge_summary import (
    JudgeSummary,
    cluster_labels,
    estimate_from_json,
    item_scores,
    summarise_judgements,
)
from llm_eval._meta_run import BASELINES_COMMAND, META_COMMAND, judge_names
from twllm_runs import read_run, write_text_atomic
from twllm_runs.report import Block, Cell, Column, ColumnKind, Fact, Report, Section, Table, render_report
from twllm_runs.statistics import paired_difference
from twllm_types import ArtifactError, ConfigError, Estimate, EstimateUnit, JsonObject, JsonValue

_METHODS = ("pearson", "spearman", "kendall")


def write_report(paths: Sequence[Path], output: Path) -> None:
    """Write the page of one judge's run, or of several runs of judges, meta-evaluations and baselines.

    Raises:
        ConfigError: no run, or one twice.
        ArtifactError: a folder holds no finished run of these commands.
        RunError: the system refuses the write.
    """
    if not paths:
        raise ConfigError("no run is given; give the folders of finished runs")
    names = judge_names(paths)
    judges: list[tuple[str, StoredJudgeRun]] = []
    evaluations: list[tuple[str, JsonObject]] = []
    for name, path in zip(names, paths, strict=True):
        stored = read_run(path)
        if stored.manifest.command == COMMAND:
            judges.append((name, read_judge_run(path)))
        elif stored.manifest.command in {META_COMMAND, BASELINES_COMMAND} and stored.summary is not None:
            evaluations.append((name, stored.summary))
        else:
            raise ArtifactError(
                f"{path}: holds no finished run of {COMMAND}, {META_COMMAND} or {BASELINES_COMMAND}; give such folders"
            )
    is_one = len(judges) == 1 and not evaluations
    page = stored_report(judges[0][1]) if is_one else _runs_page(judges, evaluations)
    write_text_atomic(output, render_report(page))


def _runs_page(judges: Sequence[tuple[str, StoredJudgeRun]], evaluations: Sequence[tuple[str, JsonObject]]) -> Report:
    sections: list[Section] = []
    if judges:
        blocks: list[Block] = [_judge_table(judges)]
        if len(judges) > 1:
            blocks.append(_difference_table(judges))
        sections.append(Section(title="Judges", blocks=tuple(blocks)))
    if evaluations:
        sections.append(Section(title="Against people", blocks=(_evaluation_table(evaluations),)))
    return Report(
        title="llm-eval: runs",
        subtitle=f"{len(judges):,} runs of judges, {len(evaluations):,} evaluations",
        facts=tuple(Fact(name=name, value=run.model) for name, run in judges),
        sections=tuple(sections),
    )


def _judge_table(judges: Sequence[tuple[str, StoredJudgeRun]]) -> Table:
    summaries = [(name, _summary(run)) for name, run in judges]
    names = list(dict.fromkeys(key for _, summary in summaries for key in summary.all_items.dimensions))
    columns = (
        Column(title="run"),
        Column(title=OVERALL, kind=ColumnKind.ESTIMATE),
        *(Column(title=name, kind=ColumnKind.ESTIMATE) for name in names),
        Column(title="items", kind=ColumnKind.COUNT),
        Column(title="failed", kind=ColumnKind.COUNT),
        Column(title="unreadable samples", kind=ColumnKind.COUNT),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            summary.all_items.overall,
            *(summary.all_items.dimensions.get(key) for key in names),
            summary.all_items.num_items,
            summary.all_items.num_failed,
            summary.all_items.num_failed_samples,
        )
        for name, summary in summaries
    ]
    note = "runs of other scales, styles or items do not compare; see the heads of their own pages"
    return Table(title="Runs", columns=columns, rows=tuple(rows), note=note)


def _difference_table(judges: Sequence[tuple[str, StoredJudgeRun]]) -> Table:
    columns = (
        Column(title="first"),
        Column(title="second"),
        Column(title="overall, first - second", kind=ColumnKind.ESTIMATE, difference=True),
        Column(title="shared items", kind=ColumnKind.COUNT),
    )
    rows: list[tuple[Cell, ...]] = []
    for (first, one), (second, other) in combinations(judges, 2):
        estimate, num_shared = _difference(one, other)
        rows.append((first, second, estimate, num_shared))
    return Table(title="Paired differences", columns=columns, rows=tuple(rows), note="on the items that both judged")


def _difference(one: StoredJudgeRun, other: StoredJudgeRun) -> tuple[Estimate, int]:
    theirs = {item.item_id: item for item in item_scores(other.judgements, weights=other.weights)}
    shared = [
        (item, theirs[item.item_id])
        for item in item_scores(one.judgements, weights=one.weights)
        if item.item_id in theirs and item.cluster == theirs[item.item_id].cluster
    ]
    rows = [
        (item.cluster, item.values[OVERALL], match.values[OVERALL])
        for item, match in shared
        if item.values and match.values and OVERALL in item.values and OVERALL in match.values
    ]
    estimate = paired_difference(
        [row[1] for row in rows],
        [row[2] for row in rows],
        unit=EstimateUnit.POINTS,
        clusters=cluster_labels([row[0] for row in rows]),
        num_unscored=len(shared) - len(rows),
    )
    return estimate, len(shared)


def _summary(run: StoredJudgeRun) -> JudgeSummary:
    return summarise_judgements(run.judgements, weights=run.weights, seed=run.manifest.seed or 0)


def _evaluation_table(evaluations: Sequence[tuple[str, JsonObject]]) -> Table:
    columns = (
        Column(title="evaluation"),
        Column(title="judge"),
        Column(title="dimension"),
        *(Column(title=method, kind=ColumnKind.ESTIMATE) for method in _METHODS),
        Column(title="ceiling", kind=ColumnKind.ESTIMATE),
        Column(title="n", kind=ColumnKind.COUNT),
    )
    rows: list[tuple[Cell, ...]] = []
    for name, summary in evaluations:
        for judge in _objects(summary["judges"]):
            for one in _objects(judge["dimensions"]):
                found = cast("dict[str, JsonObject]", one["correlations"])
                lengths = cast("dict[str, dict[str, JsonObject]]", one["baselines"]).get("length")
                reliability = cast("JsonObject", one["reliability"])
                ceiling = _estimate(reliability["ceiling"])
                head = (name, str(judge["judge"]), str(one["dimension"]))
                n = cast("int", one["n"])
                rows.append((*head, *(_interval(found.get(method)) for method in _METHODS), ceiling, n))
                if lengths is not None:
                    length = (name, f"{judge['judge']}: length", str(one["dimension"]))
                    rows.append((*length, *(_interval(lengths.get(method)) for method in _METHODS), ceiling, n))
    note = "length: what the length of the response alone reaches on the same items"
    return Table(title="Correlation with people", columns=columns, rows=tuple(rows), note=note)


def _objects(value: JsonValue) -> list[JsonObject]:
    return cast("list[JsonObject]", value)


def _interval(result: JsonObject | None) -> Estimate | None:
    return None if result is None else _estimate(result["by_clusters"] or result["by_items"])


def _estimate(value: JsonValue) -> Estimate | None:
    return estimate_from_json(value) if isinstance(value, dict) else None
