"""The part of a page that shows what the final classifiers do on the test."""

from collections import Counter
from collections.abc import Iterable

from icda._run_train import REVIEWED, SEEDS_ONLY, SELECTED, TrainRun
from icda._words import rule_title
from twllm_runs.report import (
    Block,
    Cell,
    Column,
    ColumnKind,
    Heatmap,
    IntervalRow,
    Intervals,
    Prose,
    Section,
    Table,
)

_MAX_HEATMAP_INTENTS = 12
_MAX_PAIRS = 30


def result_section(trained: TrainRun) -> Section:
    """Arms beside the seeds alone, and what is mixed up before and after."""
    rows = tuple(
        IntervalRow(label=rule_title(arm.arm), estimate=arm.difference)
        for arm in trained.arms
        if arm.difference is not None
    )
    blocks: list[Block] = [
        Prose(paragraphs=(f"{trained.verdict[0].upper()}{trained.verdict[1:]}.",)),
        Intervals(
            title="Accuracy less that of the seeds alone",
            rows=rows,
            reference=0.0,
            reference_label="seeds only",
            difference=True,
            note="paired on the same test rows and training seeds; intervals are clustered by test row",
        ),
        *_draw_blocks(trained),
        _arm_table(trained),
        *_confusion_blocks(trained),
    ]
    return Section(title="Test", blocks=tuple(blocks))


def _draw_blocks(trained: TrainRun) -> tuple[Block, ...]:
    """The same differences over draws, where there are several."""
    drawn = [(arm.arm, arm.difference_of_draws) for arm in trained.arms]
    rows = tuple(
        IntervalRow(label=rule_title(name), estimate=one) for name, one in drawn if one is not None and one.n > 1
    )
    if not rows:
        return ()
    return (
        Intervals(
            title="The same, over draws",
            rows=rows,
            reference=0.0,
            reference_label="seeds only",
            difference=True,
            note="one figure per draw of seeds, random selections and caps; what nothing was drawn for is left out",
        ),
    )


def _arm_table(trained: TrainRun) -> Table:
    columns = (
        Column(title="trained on"),
        Column(title="synthetic rows", kind=ColumnKind.NUMBER, digits=0),
        Column(title="accuracy", kind=ColumnKind.ESTIMATE),
        Column(title="macro-F1", kind=ColumnKind.ESTIMATE),
    )
    rows: list[tuple[Cell, ...]] = [
        (rule_title(arm.arm), arm.num_kept.mean, arm.accuracy, arm.macro_f1) for arm in trained.arms
    ]
    if any(arm.oos_auroc is not None for arm in trained.arms):
        columns = (*columns, Column(title="AUROC out of scope", kind=ColumnKind.ESTIMATE))
        rows = [(*row, arm.oos_auroc) for row, arm in zip(rows, trained.arms, strict=True)]
    return Table(title="All arms", columns=columns, rows=tuple(rows))


def _confusion_blocks(trained: TrainRun) -> tuple[Block, ...]:
    """Confusion of the seeds alone and of the selection; a matrix only where there are few intents."""
    chosen = REVIEWED if any(one.arm == REVIEWED for one in trained.trained) else SELECTED
    before, after = _confusion(trained, SEEDS_ONLY), _confusion(trained, chosen)
    blocks: list[Block] = [_pair_table(before, after)]
    intents = sorted({*trained.labels, *(name for pair in (*before, *after) for name in pair)})
    if len(intents) <= _MAX_HEATMAP_INTENTS:
        blocks += [
            _heatmap("Confusion before: seeds only", intents, before),
            _heatmap(f"Confusion after: {rule_title(chosen)}", intents, after),
        ]
    return tuple(blocks)


def _confusion(trained: TrainRun, arm: str) -> dict[tuple[str, str], float]:
    """Test rows by (true intent, predicted intent), mean over draws and training seeds."""
    runs = [one for one in trained.trained if one.arm == arm]
    counts = Counter(pair for one in runs for pair in zip(trained.labels, one.predicted, strict=True))
    return {pair: count / len(runs) for pair, count in counts.items()}


def _pair_table(before: dict[tuple[str, str], float], after: dict[tuple[str, str], float]) -> Table:
    pairs = {pair for pair in (*before, *after) if pair[0] != pair[1]}
    ordered = sorted(pairs, key=lambda pair: (-max(before.get(pair, 0.0), after.get(pair, 0.0)), pair))
    columns = (
        Column(title="intent"),
        Column(title="taken for"),
        Column(title="before", kind=ColumnKind.NUMBER),
        Column(title="after", kind=ColumnKind.NUMBER),
        Column(title="change", kind=ColumnKind.NUMBER),
    )
    rows: list[tuple[Cell, ...]] = []
    for pair in ordered[:_MAX_PAIRS]:
        first, second = before.get(pair, 0.0), after.get(pair, 0.0)
        rows.append((*pair, first, second, second - first))
    note = "test rows, mean over draws and training seeds"
    if len(ordered) > _MAX_PAIRS:
        note += f"; the first {_MAX_PAIRS} of {len(ordered):,} pairs"
    return Table(title="What is mixed up, before and after", columns=columns, rows=tuple(rows), note=note)


def _heatmap(title: str, intents: Iterable[str], confusion: dict[tuple[str, str], float]) -> Heatmap:
    names = tuple(intents)
    return Heatmap(
        title=title,
        row_labels=names,
        column_labels=names,
        values=tuple(tuple(confusion.get((true, guess), 0.0) for guess in names) for true in names),
        digits=1,
        row_title="true intent",
        note="columns are predictions",
    )
