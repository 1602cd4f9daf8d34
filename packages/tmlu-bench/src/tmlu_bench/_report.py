"""What a run shows: headline, subjects, groups, position bias, calibration, and the items themselves."""

from collections.abc import Mapping, Sequence

from tmlu_bench._aggregate_letters import Calibration, PositionBias
from tmlu_bench._outcomes import ItemKey, ItemResult, Outcome
from tmlu_bench._summary import ExamSummary, OverallSummary
from tmlu_bench._wording import counted
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
    Heatmap,
    IntervalRow,
    Intervals,
    Prose,
    Report,
    Sample,
    Samples,
    Section,
    Table,
)
from twllm_types import ChoiceQuestion, Estimate

MAX_SAMPLES = 300
LETTERS = "ABCDEFGHIJ"
_NOT_DECIDED = (Outcome.ERROR, Outcome.TRUNCATED, Outcome.UNPARSED, Outcome.WRONG, Outcome.CORRECT)
_OUTCOMES_NOTE = "unparsed and truncated answers count as wrong; errors are in no figure"


def exam_report(
    summary: ExamSummary,
    items: Sequence[ItemResult],
    *,
    model: str,
    setting: Mapping[str, str],
    questions: Mapping[ItemKey, ChoiceQuestion] | None = None,
    max_samples: int = MAX_SAMPLES,
    remarks: Sequence[str] = (),
) -> Report:
    """Make the report of one run.

    Args:
        summary: its figures.
        items: its items.
        model: what answered.
        setting: facts for the head.
        questions: items as they were shown; without them the items have no text.
        max_samples: most items to embed, spread over the outcomes.
        remarks: what to know beside the figures, a line each.
    """
    result = (*headline_blocks(summary.overall), *remark_blocks(remarks), outcome_bars(summary))
    sections = (
        Section(title="Result", blocks=result),
        Section(title="Groups and subjects", blocks=_subject_blocks(summary)),
        Section(title="Position bias", blocks=position_blocks(summary.position_bias)),
        *_probability_sections(summary),
        Section(title="Items", blocks=(item_samples(items, questions or {}, max_samples=max_samples),)),
    )
    return Report(
        title=f"tmlu-bench: {model}",
        subtitle=_subtitle(summary.overall),
        facts=tuple(Fact(name=name, value=value) for name, value in setting.items()),
        sections=sections,
    )


def remark_blocks(remarks: Sequence[str]) -> tuple[Block, ...]:
    """Lines to know beside the figures; nothing where there is none."""
    return (Prose(title="Remarks", paragraphs=tuple(remarks)),) if remarks else ()


def headline_blocks(overall: OverallSummary) -> tuple[Block, ...]:
    """Key figures, or why there are none."""
    chance = f"expected of random answers: {100 * overall.chance:.1f} %"
    if overall.withheld is not None:
        return (Prose(title="No headline", paragraphs=(overall.withheld, f"errors: {overall.failures_text}", chance)),)
    named = (
        ("Accuracy, micro", overall.micro, f"each question alike; {chance}"),
        ("Accuracy, macro over subjects", overall.macro_subjects, "each subject alike"),
        ("Accuracy, macro over groups", overall.macro_groups, _groups_note(overall)),
        (
            "Right in all orders",
            overall.all_variants,
            f"of {overall.num_variants} orders at most (circular evaluation)",
        ),
    )
    figures = [Figure(label=label, value=value, note=note) for label, value, note in named if value is not None]
    if overall.num_excluded:
        figures.append(
            Figure(
                label="Left out",
                value=overall.num_excluded,
                note=f"questions with errors, by --exclude-errors: {overall.failures_text}",
            )
        )
    return (Figures(items=tuple(figures), note=overall.left_out_text),)


def _groups_note(overall: OverallSummary) -> str:
    coverage = overall.group_coverage
    return f"each group alike; {coverage}, the others have no group" if coverage else "each group alike"


def outcome_bars(summary: ExamSummary) -> Bars:
    """Outcomes of all items, of each group, and of each subject where there is no group."""
    rows = [("all", summary.overall.counts), *((group.group, group.counts) for group in summary.groups)]
    return Bars(
        title="Outcomes",
        series=tuple(outcome.value for outcome in Outcome),
        bars=tuple(Bar(label=name, values=tuple(counts[outcome] for outcome in Outcome)) for name, counts in rows),
        scale="own",
        unit="items",
        note=_OUTCOMES_NOTE,
    )


def position_blocks(bias: PositionBias) -> tuple[Block, ...]:
    """How often each shown position was right and chosen, and whether the two differ."""
    if not bias.rows:
        return (Prose(paragraphs=("No item has a choice, so nothing can be said.",)),)
    columns = (
        Column(title="position"),
        Column(title="right here", kind=ColumnKind.COUNT),
        Column(title="chosen", kind=ColumnKind.COUNT),
        Column(title="share right here", kind=ColumnKind.ESTIMATE),
        Column(title="share chosen", kind=ColumnKind.ESTIMATE),
        Column(title="recall", kind=ColumnKind.ESTIMATE),
    )
    rows = tuple(
        (LETTERS[row.position], row.num_gold, row.num_chosen, row.gold_share, row.chosen_share, row.recall)
        for row in bias.rows
    )
    verdict = (
        "choices and right answers never differ"
        if bias.statistic is None
        else f"{bias.method}: {bias.statistic:.1f} with {bias.degrees_of_freedom} df, p = {bias.p_value:.2g}"
    )
    undecided = counted(bias.num_undecided, "item without a choice is", "items without a choice are")
    note = f"as shown, after permutation; {undecided} left out; {verdict}"
    return (Table(title="Shown positions", columns=columns, rows=rows, note=note),)


def calibration_blocks(calibration: Calibration) -> tuple[Block, ...]:
    """Expected calibration error with the reliability table."""
    columns = (
        Column(title="confidence from", kind=ColumnKind.SHARE, digits=0),
        Column(title="to", kind=ColumnKind.SHARE, digits=0),
        Column(title="items", kind=ColumnKind.COUNT),
        Column(title="mean confidence", kind=ColumnKind.ESTIMATE),
        Column(title="accuracy", kind=ColumnKind.ESTIMATE),
    )
    rows = tuple((row.low, row.high, row.n, row.mean_confidence, row.accuracy) for row in calibration.bins if row.n)
    note = "confidence is the largest option probability, softmax over the option letters only"
    return (
        Figures(
            items=(
                Figure(
                    label="Expected calibration error",
                    value=calibration.ece,
                    note=f"{len(calibration.bins)} equal bins (Guo et al. 2017); the interval leans upwards",
                ),
                Figure(label="Mean confidence", value=calibration.mean_confidence),
            )
        ),
        Table(title="Reliability", columns=columns, rows=rows, note=note),
    )


def item_samples(
    items: Sequence[ItemResult], questions: Mapping[ItemKey, ChoiceQuestion], *, max_samples: int
) -> Samples:
    """Items to browse; where there are too many, every outcome gives its share, and the note says so."""
    chosen = _spread(items, max_samples)
    note = f"{len(chosen):,} of {counted(len(items), 'item')}, from all outcomes; items.jsonl holds all"
    return Samples(
        title="Items",
        samples=tuple(_sample(item, questions.get(item.key)) for item in chosen),
        note="all items" if len(chosen) == len(items) else note,
    )


def subject_heatmap(title: str, runs: Sequence[tuple[str, ExamSummary]]) -> Heatmap:
    """Accuracy of each subject (rows) by run (columns), in per cent."""
    names = sorted({row.subject for _, summary in runs for row in summary.subjects})
    means = [
        {row.subject: row.accuracy.mean for row in summary.subjects if row.accuracy is not None} for _, summary in runs
    ]

    def cell(subject: str, column: Mapping[str, float | None]) -> float | None:
        mean = column.get(subject)
        return None if mean is None else 100 * mean

    return Heatmap(
        title=title,
        row_labels=tuple(names),
        column_labels=tuple(name for name, _ in runs),
        values=tuple(tuple(cell(name, column) for column in means) for name in names),
        digits=1,
        row_title="subject",
        note="accuracy in per cent; a dash where the subject was not asked or errors withhold it",
    )


def _subtitle(overall: OverallSummary) -> str:
    counts = ", ".join(f"{overall.counts[outcome]:,} {outcome}" for outcome in Outcome if overall.counts[outcome])
    return f"{counted(overall.num_questions, 'question')}; {counts or 'no items'}"


def _subject_blocks(summary: ExamSummary) -> tuple[Block, ...]:
    groups = Table(
        title="Groups",
        columns=(
            Column(title="group"),
            Column(title="subjects", kind=ColumnKind.COUNT),
            Column(title="micro", kind=ColumnKind.ESTIMATE),
            Column(title="macro over subjects", kind=ColumnKind.ESTIMATE),
            Column(title="chance", kind=ColumnKind.SHARE),
        ),
        rows=tuple((row.group, row.num_subjects, row.micro, row.macro_subjects, row.chance) for row in summary.groups),
        note="micro: each question alike; macro: each subject alike",
    )
    rows = [
        IntervalRow(label=row.subject, estimate=row.accuracy) for row in summary.subjects if row.accuracy is not None
    ]
    intervals = Intervals(
        title="Accuracy by subject",
        rows=tuple(sorted(rows, key=lambda row: -(row.estimate.mean or 0.0))),
        reference=summary.overall.chance,
        reference_label="chance",
        note="intervals of many subjects: some miss their true value by chance",
    )
    return (*((groups,) if summary.groups else ()), intervals, _heat(summary), _subject_table(summary))


def _heat(summary: ExamSummary) -> Heatmap:
    """Outcomes of each subject in per cent of its items."""
    totals = [sum(row.counts.values()) for row in summary.subjects]
    return Heatmap(
        title="Outcomes by subject",
        row_labels=tuple(row.subject for row in summary.subjects),
        column_labels=tuple(outcome.value for outcome in Outcome),
        values=tuple(
            tuple(100 * row.counts[outcome] / total for outcome in Outcome)
            for row, total in zip(summary.subjects, totals, strict=True)
        ),
        digits=1,
        row_title="subject",
        note="per cent of the subject's items",
    )


def _subject_table(summary: ExamSummary) -> Table:
    columns = (
        Column(title="subject"),
        Column(title="group"),
        Column(title="accuracy", kind=ColumnKind.ESTIMATE),
        Column(title="chance", kind=ColumnKind.SHARE),
        *(Column(title=outcome.value, kind=ColumnKind.COUNT) for outcome in Outcome),
    )
    rows: list[tuple[Cell, ...]] = [
        (row.subject, row.group, row.accuracy, row.chance, *(row.counts[outcome] for outcome in Outcome))
        for row in summary.subjects
    ]
    return Table(title="Subjects", columns=columns, rows=tuple(rows), note=_OUTCOMES_NOTE)


def _probability_sections(summary: ExamSummary) -> tuple[Section, ...]:
    blocks: tuple[Block, ...] = () if summary.calibration is None else calibration_blocks(summary.calibration)
    mass = summary.captured_mass
    if mass is not None:
        figures: tuple[tuple[str, Estimate | str, str], ...] = (
            ("Mean captured mass", mass.mean, "probability of all reported letters together"),
            ("Items below 90 %", mass.share_below, "there the letters say little about what the model would write"),
            ("Least", f"{100 * mass.least:.2g} %", ""),
        )
        items = tuple(Figure(label=label, value=value, note=note) for label, value, note in figures)
        blocks = (*blocks, Figures(title="Captured mass", items=items))
    return (Section(title="Probabilities", blocks=blocks),) if blocks else ()


def _spread(items: Sequence[ItemResult], most: int) -> list[ItemResult]:
    """At most `most` items, dealt in turn from the outcomes, so that rare ones are among them."""
    if len(items) <= most:
        return list(items)
    queues = {outcome: [item for item in items if item.outcome is outcome] for outcome in _NOT_DECIDED}
    left, sizes = most, dict.fromkeys(queues, 0)
    for place, outcome in enumerate(sorted(queues, key=lambda name: len(queues[name]))):
        sizes[outcome] = min(len(queues[outcome]), left // (len(queues) - place))
        left -= sizes[outcome]
    chosen = {item.key for outcome, queue in queues.items() for item in _evenly(queue, sizes[outcome])}
    return [item for item in items if item.key in chosen]


def _evenly(queue: Sequence[ItemResult], size: int) -> list[ItemResult]:
    return [queue[at * len(queue) // size] for at in range(size)]


def _sample(item: ItemResult, question: ChoiceQuestion | None) -> Sample:
    parts: list[str] = []
    if question is not None:
        options = (f"({letter}) {text}" for letter, text in zip(question.letters, question.options, strict=True))
        parts.append("\n".join((question.question, *options)))
    if item.response:
        parts.append(f"→ {item.response}")
    facts = [("right", _shown(item, item.gold)), ("chosen", _shown(item, item.choice))]
    if item.logprobs:
        scores = sorted(item.logprobs.items(), key=lambda pair: item.shown_position(pair[0]))
        facts.append(("log-probabilities", ", ".join(f"{_shown(item, key)} {value:.3f}" for key, value in scores)))
    if item.finish_reason is not None:
        facts.append(("ended by", item.finish_reason))
    if item.failure is not None:
        facts.append(("failure", f"{item.failure.kind}: {item.failure.message}"))
    if item.extraction is not None:
        facts.append(("extraction", item.extraction))
    variant = f", order {item.variant}" if item.variant else ""
    return Sample(
        text="\n\n".join(parts),
        title=f"{item.subject}/{item.question_id}{variant}",
        tags=(item.outcome.value, item.subject),
        facts=tuple(Fact(name=name, value=value) for name, value in facts),
    )


def _shown(item: ItemResult, letter: str | None) -> str:
    if letter is None:
        return "–"
    shown = LETTERS[item.shown_position(letter)]
    return shown if shown == letter else f"{shown} (originally {letter})"
