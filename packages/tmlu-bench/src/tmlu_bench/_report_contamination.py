"""The page of a contamination job: distributions beside each other, never a verdict."""

from collections.abc import Sequence
from typing import cast

from tmlu_bench._contamination import CONTROL, QUESTIONS, ContaminationResult
from tmlu_bench._wording import counted
from twllm_runs.report import (
    Block,
    Column,
    ColumnKind,
    Figure,
    Figures,
    Histogram,
    Prose,
    Report,
    Section,
    Table,
    histogram_of,
)
from twllm_types import JsonObject

_CAUTION = (
    "No figure here is a verdict. A score says something only beside texts of the same kind that the model cannot have "
    "seen: give them as --control. Option orders that authors sort by rule look preferred by any model."
)


def contamination_report(result: ContaminationResult, rows: Sequence[JsonObject]) -> Report:
    """Make the page.

    Args:
        result: the figures.
        rows: of `scores.jsonl`, for the histograms.
    """
    sections = [Section(title="How to read this", blocks=(Prose(paragraphs=(_CAUTION,)),))]
    if result.scores:
        sections.append(Section(title="Token probabilities", blocks=(_score_table(result), *_histograms(result, rows))))
    if result.order_tests:
        sections.append(Section(title="Order of options", blocks=(_order_table(result),)))
    if result.overlap is not None:
        sections.append(Section(title="Overlap with a corpus", blocks=(_overlap_figures(result),)))
    if result.found_by_tw_corpus is not None:
        sections.append(Section(title="Found by tw-corpus", blocks=(_found_table(result),)))
    return Report(
        title="tmlu-bench: contamination",
        subtitle=f"{counted(result.num_failures, 'text')} could not be scored" if result.num_failures else "",
        sections=tuple(sections),
    )


def _score_table(result: ContaminationResult) -> Table:
    columns = (
        Column(title="score", kind=ColumnKind.CODE),
        Column(title="questions", kind=ColumnKind.ESTIMATE),
        Column(title="control", kind=ColumnKind.ESTIMATE),
        Column(title="AUC", kind=ColumnKind.ESTIMATE),
    )
    rows = tuple((row.score, row.suspects, row.controls, row.auc) for row in result.scores)
    note = "higher is more familiar; AUC: share of pairs in which the question looks more familiar than the control"
    return Table(title="Scores", columns=columns, rows=rows, note=note)


def _histograms(result: ContaminationResult, rows: Sequence[JsonObject]) -> tuple[Block, ...]:
    blocks: list[Histogram] = []
    for comparison in result.scores:
        values = {name: _values(rows, name, comparison.score) for name in (QUESTIONS, CONTROL)}
        both = [*values[QUESTIONS], *values[CONTROL]]
        low, high = (min(both), max(both)) if len(set(both)) > 1 else (None, None)
        for name in (QUESTIONS, CONTROL):
            if values[name]:
                title = f"{comparison.score}: {name}"
                blocks.append(
                    histogram_of(
                        values[name], title=title, x_label=comparison.score, y_label="texts", low=low, high=high
                    )
                )
    return tuple(blocks)


def _values(rows: Sequence[JsonObject], set_name: str, score: str) -> list[float]:
    scores = [cast("dict[str, float]", row["scores"]) for row in rows if row["set"] == set_name and row["scores"]]
    return [row[score] for row in scores if score in row]


def _order_table(result: ContaminationResult) -> Table:
    columns = (
        Column(title="set"),
        Column(title="own order likeliest", kind=ColumnKind.ESTIMATE),
        Column(title="chance", kind=ColumnKind.SHARE),
        Column(title="mean standing", kind=ColumnKind.NUMBER, digits=3),
        Column(title="p", kind=ColumnKind.NUMBER, digits=4),
    )
    rows = tuple(
        (name, test.canonical_first, test.chance, test.test.statistic, test.test.p_value)
        for name, test in result.order_tests.items()
    )
    note = "standing: share of the other orders that the published one beats, 0.5 by chance"
    return Table(title="Exchangeability of the options", columns=columns, rows=rows, note=note)


def _overlap_figures(result: ContaminationResult) -> Figures:
    overlap = result.overlap
    if overlap is None:
        return Figures(items=())
    return Figures(
        items=(
            Figure(label="Any n-gram found", value=overlap.any_ngram),
            Figure(label="Half covered", value=overlap.half_covered),
            Figure(label="Fully covered", value=overlap.fully_covered),
            Figure(label="Too short", value=overlap.num_too_short, note="questions without one n-gram"),
        ),
        note="share of a question's characters that lie in character n-grams of the corpus",
    )


def _found_table(result: ContaminationResult) -> Table:
    found = result.found_by_tw_corpus or {}
    columns = (
        Column(title="benchmark"),
        *(Column(title=outcome, kind=ColumnKind.COUNT) for outcome in ("clean", "found", "too_short")),
    )
    rows = tuple((name, counts["clean"], counts["found"], counts["too_short"]) for name, counts in found.items())
    return Table(title="Items", columns=columns, rows=rows, note="from tw-corpus' contamination.jsonl")
