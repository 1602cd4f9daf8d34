"""What a judge's run shows: scores by dimension and system, differences, failures, cost, and the items themselves."""

import json
from collections.abc import Mapping, Sequence

from llm_eval._items import JudgeItem
from llm_eval._judge_summary import NO_SYSTEM, GroupSummary, JudgeSummary, TokenTotals, overall_value
from llm_eval._judgements import DimensionScore, Judgement
from llm_eval._template import plain_turns
from twllm_runs.report import (
    Bar,
    Bars,
    Block,
    Cell,
    Column,
    ColumnKind,
    Fact,
    Figure,
    Figures,
    IntervalRow,
    Intervals,
    Prose,
    Report,
    Sample,
    Samples,
    Section,
    Table,
    histogram_of,
)
from twllm_types import JsonObject, JsonValue

MAX_SAMPLES = 300
_SCORED = "scored"
_OVERALL_NOTE = "weighted mean of the dimensions (ours; the paper gives no rule), unless the judge was asked for it"


def judge_report(
    summary: JudgeSummary,
    judgements: Sequence[Judgement],
    items: Mapping[str, JudgeItem],
    *,
    model: str,
    usage: str,
    setting: Mapping[str, str],
    max_samples: int = MAX_SAMPLES,
) -> Report:
    """Make the report of one run.

    Args:
        summary: its figures.
        judgements: last attempt of each.
        items: by id; an item that is missing is shown without its text.
        model: the judge.
        usage: tokens and cost in words.
        setting: facts for the head.
        max_samples: most judgements to embed, failures first.
    """
    group = summary.all_items
    sections = [
        Section(title="Scores", blocks=(*headline_blocks(summary), *_score_blocks(group))),
        Section(title="Failures", blocks=failure_blocks(summary)),
    ]
    if summary.systems:
        sections.insert(1, Section(title="Systems", blocks=system_blocks(summary)))
    if summary.captured_mass:
        sections.append(Section(title="Captured mass", blocks=(_mass_table(summary),)))
    sections.append(Section(title="Items", blocks=_item_blocks(judgements, items, max_samples=max_samples)))
    return Report(
        title=f"llm-eval: {model_title(model)}",
        subtitle=_subtitle(group),
        facts=head_facts(setting, usage),
        sections=tuple(sections),
    )


def headline_blocks(summary: JudgeSummary) -> tuple[Block, ...]:
    """Key figures."""
    group = summary.all_items
    figures = [] if group.overall is None else [Figure(label="Overall", value=group.overall, note=_OVERALL_NOTE)]
    figures.extend(
        (
            Figure(label="Judgements", value=group.num_judgements, note=f"of {group.num_items:,} items"),
            Figure(label="Failed", value=group.num_failed, note="no number is made of a failure"),
            *(
                [Figure(label="Failed samples", value=group.num_failed_samples, note=f"of {group.num_samples:,}")]
                if group.num_failed_samples
                else []
            ),
            Figure(label="Tried again", value=summary.num_retried, note="judgements with more than one attempt"),
        )
    )
    return (Figures(items=tuple(figures)),)


def system_blocks(summary: JudgeSummary) -> tuple[Block, ...]:
    """Systems beside each other, and their paired differences."""
    names = list(dict.fromkeys(name for group in summary.systems for name in group.dimensions))
    has_failed_samples = any(group.num_failed_samples for group in summary.systems)
    columns = (
        Column(title="system"),
        Column(title="overall", kind=ColumnKind.ESTIMATE),
        *(Column(title=name, kind=ColumnKind.ESTIMATE) for name in names),
        Column(title="items", kind=ColumnKind.COUNT),
        Column(title="failed", kind=ColumnKind.COUNT),
        *([Column(title="failed samples", kind=ColumnKind.COUNT)] if has_failed_samples else []),
    )
    ranked = sorted(summary.systems, key=_rank)
    rows: list[tuple[Cell, ...]] = [
        (
            group.name,
            group.overall,
            *(group.dimensions.get(name) for name in names),
            group.num_items,
            group.num_failed,
            *([group.num_failed_samples] if has_failed_samples else []),
        )
        for group in ranked
    ]
    intervals = tuple(
        IntervalRow(label=group.name, estimate=group.overall) for group in ranked if group.overall is not None
    )
    blocks: list[Block] = [Table(title="Systems", columns=columns, rows=tuple(rows), note=f"overall: {_OVERALL_NOTE}")]
    if intervals:
        note = "overlapping intervals do not show that systems are alike: see the paired differences"
        blocks.append(Intervals(title="Overall by system", rows=intervals, note=note))
    blocks.extend(_verdict_tables(ranked))
    if summary.differences:
        blocks.append(_difference_table(summary))
    return tuple(blocks)


def failure_blocks(summary: JudgeSummary) -> tuple[Block, ...]:
    """Failures by kind, over all items and by system, and samples of scored judgements that could not be read."""
    group = summary.all_items
    samples = (Prose(paragraphs=(f"{samples_text(group)}.",)),) if group.num_failed_samples else ()
    groups = (summary.all_items, *summary.systems)
    kinds = sorted({kind for group in groups for kind in group.failures})
    if not kinds:
        return (Prose(paragraphs=(f"All {group.num_judgements:,} judgements gave scores.",)), *samples)
    bars = tuple(
        Bar(
            label=group.name,
            values=(
                group.num_judgements - group.num_failed,
                *(group.failures.get(kind, 0) for kind in kinds),
            ),
        )
        for group in groups
    )
    return (
        Bars(
            title="Outcomes",
            series=(_SCORED, *kinds),
            bars=bars,
            scale="own",
            unit="judgements",
            note="a failed judgement is in no mean; items without any score are counted as unscored",
        ),
        *samples,
    )


def model_title(spec: str) -> str:
    """The judge in a heading: of recorded answers the file alone, and that they are recorded."""
    name = spec.removeprefix("replay:")
    return spec if name == spec else f"recorded answers ({name.rpartition('/')[2]})"


def head_facts(setting: Mapping[str, str], usage: str) -> tuple[Fact, ...]:
    """The head of a page: settings, tokens, and the versions of all packages as one fact."""
    prefix = "package "
    packages = [f"{name.removeprefix(prefix)} {value}" for name, value in setting.items() if name.startswith(prefix)]
    facts = {name: value for name, value in setting.items() if not name.startswith(prefix)}
    facts["tokens"] = usage
    if packages:
        facts["packages"] = ", ".join(packages)
    return tuple(Fact(name=name, value=value) for name, value in facts.items())


def judge_facts(judge: JsonObject) -> dict[str, str]:
    """Return the settings of a judge for the head of a report; what is off is left out."""
    names = [name for row in _rows(judge["dimensions"]) if isinstance(name := row["name"], str)]
    others = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in sorted(judge.items())
        if key not in {"dimensions", "retry"} and value not in (None, False, {}, [])
    }
    retry = judge["retry"]
    if isinstance(retry, dict) and retry["max_attempts"] != 1:
        others["retry"] = json.dumps(retry, ensure_ascii=False)
    return {"dimensions": ", ".join(names), **others}


def usage_text(tokens: TokenTotals, cost: float | None, currency: str | None) -> str:
    """Write tokens and cost in one line."""
    text = f"{tokens.num_prompt_tokens:,} read, {tokens.num_completion_tokens:,} written"
    if tokens.num_cached_tokens:
        text += f", {tokens.num_cached_tokens:,} of those read from a cache"
    if tokens.num_without_usage:
        text += f", {tokens.num_without_usage:,} attempts without count"
    return text if cost is None else f"{text}; {cost:.4f} {currency or ''}".rstrip()


def samples_text(group: GroupSummary) -> str:
    """Write how many samples of the judgements that gave scores could not be read."""
    return (
        f"{group.num_failed_samples:,} of {group.num_samples:,} samples of scored judgements could not be read and "
        "are in no mean"
    )


def item_text(item: JudgeItem) -> str:
    """Write an item for people: context, then what is judged."""
    parts = [plain_turns(item.context)]
    parts.extend(f"[document] {text}" for text in item.documents)
    parts.extend(f"[reference] {text}" for text in item.references)
    if item.response is not None:
        parts.append(f"→ {item.response}")
    return "\n\n".join(parts)


def _rows(value: JsonValue) -> list[JsonObject]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _subtitle(group: GroupSummary) -> str:
    text = f"{group.num_items:,} items, {group.num_judgements:,} judgements, {group.num_failed:,} failed"
    return f"{text}, {group.num_failed_samples:,} failed samples" if group.num_failed_samples else text


def _rank(group: GroupSummary) -> tuple[float, str]:
    mean = None if group.overall is None else group.overall.mean
    return (float("inf") if mean is None else -mean, group.name)


def _score_blocks(group: GroupSummary) -> tuple[Block, ...]:
    rows = tuple(IntervalRow(label=name, estimate=estimate) for name, estimate in group.dimensions.items())
    intervals = (Intervals(title="Mean by dimension", rows=rows),) if rows else ()
    return (*intervals, *_verdict_tables([group]))


def _verdict_tables(groups: Sequence[GroupSummary]) -> tuple[Table, ...]:
    tables: list[Table] = []
    for name in dict.fromkeys(name for group in groups for name in group.verdicts):
        words = sorted({word for group in groups for word in group.verdicts.get(name, {})})
        columns = (
            Column(title="items of"),
            *(Column(title=word, kind=ColumnKind.ESTIMATE) for word in words),
        )
        rows = tuple((group.name, *(group.verdicts.get(name, {}).get(word) for word in words)) for group in groups)
        tables.append(Table(title=f"Verdicts: {name}", columns=columns, rows=rows, note="share of the scored items"))
    return tuple(tables)


def _difference_table(summary: JudgeSummary) -> Table:
    columns = (
        Column(title="first"),
        Column(title="second"),
        Column(title="dimension"),
        Column(title="first - second", kind=ColumnKind.ESTIMATE, difference=True),
        Column(title="p", kind=ColumnKind.NUMBER, digits=4),
        Column(title="p, Holm", kind=ColumnKind.NUMBER, digits=4),
    )
    rows = tuple(
        (row.first, row.second, row.dimension, row.difference, row.p_value, row.p_holm) for row in summary.differences
    )
    note = (
        "over the contexts that both systems answered, one value per context; paired Student interval; paired "
        "permutation test of overall from two contexts on, Holm over the pairs of systems tested"
    )
    return Table(title="Paired differences", columns=columns, rows=rows, note=note)


def _mass_table(summary: JudgeSummary) -> Table:
    columns = (Column(title="dimension"), Column(title="captured mass", kind=ColumnKind.ESTIMATE))
    note = "probability of the allowed scores together, before they were made to add to 1"
    return Table(title="Captured mass", columns=columns, rows=tuple(summary.captured_mass.items()), note=note)


def _item_blocks(
    judgements: Sequence[Judgement], items: Mapping[str, JudgeItem], *, max_samples: int
) -> tuple[Block, ...]:
    values = [
        value for row in judgements if row.scores is not None and (value := overall_value(row.scores, {})) is not None
    ]
    blocks: list[Block] = []
    if values:
        note = "unweighted mean of the dimensions of each judgement"
        blocks.append(
            histogram_of(values, title="Judgements by score", x_label="overall", y_label="judgements", note=note)
        )
    chosen = sorted(judgements, key=lambda row: row.failure is None)[:max_samples]
    note = (
        "all judgements"
        if len(chosen) == len(judgements)
        else (f"{len(chosen):,} of {len(judgements):,} judgements, failures first; judgements.jsonl holds all")
    )
    blocks.append(
        Samples(
            title="Judgements",
            samples=tuple(_sample(row, items.get(row.item_id)) for row in chosen),
            note=note,
        )
    )
    return tuple(blocks)


def _sample(judgement: Judgement, item: JudgeItem | None) -> Sample:
    facts = [Fact(name=name, value=_score_text(score)) for name, score in (judgement.scores or {}).items()]
    failure = judgement.failure
    if failure is not None:
        facts.append(Fact(name="failure", value=f"{failure.kind}: {failure.message}"))
        facts.extend(Fact(name="answer", value=text) for text in judgement.responses)
    if judgement.reason is not None:
        facts.append(Fact(name="reason", value=judgement.reason))
    if judgement.num_attempts > 1:
        facts.append(Fact(name="attempts", value=str(judgement.num_attempts)))
    repeat = f", repeat {judgement.repeat}" if judgement.repeat else ""
    return Sample(
        text="" if item is None else item_text(item),
        title=f"{judgement.item_id}{repeat}",
        tags=(_SCORED if failure is None else failure.kind.value, judgement.system or NO_SYSTEM),
        facts=tuple(facts),
    )


def _score_text(score: DimensionScore) -> str:
    if score.value is None:
        text = str(score.verdict)
    elif score.captured_mass is None:
        text = f"{score.value:g}"
    else:
        text = f"{score.value:.3f}, mass {score.captured_mass:.3f}"
    if not score.num_failed:
        return text
    return f"{text}, {score.num_failed:,} of {score.num_samples + score.num_failed:,} samples could not be read"
