"""Pages for people: a loop, or several loops and evaluations beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from step_kto._iterate import LOOP_NAME, LoopStage, read_loop
from step_kto._loop_recipe import LoopRecipe
from step_kto._stage_evaluate import EVALUATE_COMMAND, read_estimates
from step_kto._stage_train import read_log
from twllm_runs import read_run, recipe_to_json, write_text_atomic
from twllm_runs.report import (
    Bar,
    Bars,
    Block,
    Cell,
    Column,
    ColumnKind,
    Fact,
    IntervalRow,
    Intervals,
    Line,
    Lines,
    Prose,
    Report,
    Section,
    Table,
    render_report,
)
from twllm_types import ArtifactError, ConfigError, Estimate, JsonObject, JsonValue

REPORT_NAME = "report.html"
_MAX_LINES = 10
# What is drawn over the iterations: title, and how names of estimates begin.
_CURVES = (
    ("Accuracy", ("pass@1_greedy", "pass@1_sampled", "maj@")),
    ("Stepwise errors in right solutions", ("stepwise_errors_greedy", "stepwise_errors_sampled")),
    ("Wrong steps in samples", ("wrong_steps_sampled",)),
)
# Figures in the order in which they are shown, by how their names begin.
_ORDER = ("pass@1_", "pass@", "maj@", "stepwise_errors_", "wrong_steps_", "")
_MAX_INTERVALS = 40
# Up to so many models stand side by side.
_MAX_COLUMNS = 5
# What the head of the page says of a recipe; all of it stands at the end.
_HEAD = (
    "model",
    "iterations",
    "train.kind",
    "reference",
    "sample.num_samples",
    "label.judge.judge",
    "evaluate.label.judge.judge",
    "seed",
)
# What is drawn over the updates of a training: title and names in the log.
_LOG_CURVES = (
    ("Losses", ("loss", "outcome_loss", "step_loss")),
    ("Reference points z0", ("z0/outcome", "z0/outcome_raw", "z0/step", "z0/step_raw")),
    ("Margins of rewards", ("margins/outcome", "margins/step")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """A loop with the results of its stages."""

    name: str
    folder: Path
    recipe: LoopRecipe
    stages: tuple[LoopStage, ...]
    summaries: dict[tuple[int, str], JsonObject]

    @property
    def estimates(self) -> dict[int, dict[str, Estimate]]:
        """Of each evaluated iteration."""
        return {
            iteration: read_estimates(summary)
            for (iteration, stage), summary in self.summaries.items()
            if stage == "evaluate"
        }


def write_loop_report(folder: Path) -> None:
    """Write `report.html` of a loop into its folder."""
    write_text_atomic(folder / REPORT_NAME, render_report(_loop_page(_read_loop(folder, folder.name))))


def write_report(paths: Sequence[Path], output: Path) -> None:
    """Write the page of one loop, or of several loops and evaluations.

    Args:
        paths: folders of `step-kto iterate` and finished ones of `step-kto evaluate`.
        output: the HTML file.

    Raises:
        ConfigError: no folder, or one twice.
        ArtifactError: a folder holds neither.
        RunError: the system refuses the write.
    """
    if not paths:
        raise ConfigError("no run is given; give folders of step-kto iterate or step-kto evaluate")
    names = _names(paths)
    loops: list[_Loop] = []
    evaluations: dict[str, dict[str, Estimate]] = {}
    for name, path in zip(names, paths, strict=True):
        if (path / LOOP_NAME).is_file():
            loops.append(_read_loop(path, name))
            continue
        stored = read_run(path)
        if stored.manifest.command != EVALUATE_COMMAND or stored.summary is None:
            raise ArtifactError(f"{path}: holds neither a loop nor a finished run of {EVALUATE_COMMAND}; give such")
        evaluations[name] = read_estimates(stored.summary)
    page = _loop_page(loops[0]) if len(loops) == 1 and not evaluations else _runs_page(loops, evaluations)
    write_text_atomic(output, render_report(page))


def _names(paths: Sequence[Path]) -> list[str]:
    """Short names that differ: the folder's own, or the whole path where two share it."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise ConfigError("a run is given twice; give each once")
    short = [path.resolve().name for path in paths]
    return [name if short.count(name) == 1 else path.as_posix() for name, path in zip(short, paths, strict=True)]


def _read_loop(folder: Path, name: str) -> _Loop:
    recipe, stages = read_loop(folder)
    summaries: dict[tuple[int, str], JsonObject] = {}
    for stage in stages:
        summary = read_run(folder / stage.folder).summary
        if summary is None:
            raise ArtifactError(f"{folder / stage.folder}: is not finished; run the loop's command again")
        summaries[stage.iteration, stage.name] = summary
    return _Loop(name=name, folder=folder, recipe=recipe, stages=stages, summaries=summaries)


def _loop_page(loop: _Loop) -> Report:
    sections: list[Section] = []
    if loop.estimates:
        sections.append(Section(title="Evaluation", blocks=_evaluation_blocks([loop])))
    sections.append(Section(title="Data", blocks=_data_blocks(loop)))
    sections.append(Section(title="Training", blocks=_training_blocks(loop)))
    sections.append(Section(title="Stages", blocks=(_stage_table(loop),)))
    settings = _flat("", recipe_to_json(loop.recipe))
    sections.append(Section(title="Settings", blocks=(_settings_table(settings),)))
    known = dict(settings)
    return Report(
        title="step-kto: a loop",
        subtitle=loop.recipe.description,
        facts=tuple(Fact(name=name, value=known[name]) for name in _HEAD if loop.estimates or "evaluate" not in name),
        sections=tuple(sections),
    )


def _runs_page(loops: Sequence[_Loop], evaluations: Mapping[str, Mapping[str, Estimate]]) -> Report:
    blocks = list(_evaluation_blocks(loops)) if any(loop.estimates for loop in loops) else []
    if evaluations:
        blocks.append(_estimate_table("Evaluations", list(evaluations.items())))
    if not blocks:
        blocks.append(Prose(paragraphs=("None of the loops was evaluated.",)))
    return Report(
        title="step-kto: runs",
        subtitle=f"{len(loops):,} loops, {len(evaluations):,} evaluations",
        facts=tuple(Fact(name=loop.name, value=f"{loop.recipe.train.kind}, seed {loop.recipe.seed}") for loop in loops),
        sections=(Section(title="Evaluation", blocks=tuple(blocks)),),
    )


def _evaluation_blocks(loops: Sequence[_Loop]) -> tuple[Block, ...]:
    rows = [
        (f"{loop.name}, iteration {iteration}" if len(loops) > 1 else f"iteration {iteration}", estimates)
        for loop in loops
        for iteration, estimates in sorted(loop.estimates.items())
    ]
    charts = [chart for title, starts in _CURVES for chart in _charts(title, starts, loops, rows)]
    note = "intervals are those of each figure alone; models of one loop answered the same problems with the same seeds"
    return (*charts, _estimate_table("All figures", rows, note=note))


def _charts(
    title: str, starts: Sequence[str], loops: Sequence[_Loop], rows: Sequence[tuple[str, Mapping[str, Estimate]]]
) -> list[Block]:
    """The course over the iterations, where there is one, and below it every point with its interval."""
    curve = _curve(title, starts, loops) if any(len(loop.estimates) > 1 for loop in loops) else None
    points = [
        IntervalRow(label=f"{name}, {label}", estimate=estimates[name])
        for name in _names_in_order(rows)
        if name.startswith(tuple(starts))
        for label, estimates in rows
        if name in estimates
    ]
    if not points:
        return []
    note = "" if len(points) <= _MAX_INTERVALS else f"the first {_MAX_INTERVALS} of {len(points)}; the table holds all"
    intervals = Intervals(title=f"{title}, with intervals", rows=tuple(points[:_MAX_INTERVALS]), note=note)
    return [intervals] if curve is None else [curve, intervals]


def _names_in_order(rows: Sequence[tuple[str, Mapping[str, Estimate]]]) -> list[str]:
    names = dict.fromkeys(name for _, estimates in rows for name in estimates)
    return sorted(names, key=lambda name: next(at for at, start in enumerate(_ORDER) if name.startswith(start)))


def _curve(title: str, starts: Sequence[str], loops: Sequence[_Loop]) -> Lines | None:
    lines: list[Line] = []
    for loop in loops:
        figures = loop.estimates
        for name in _names_in_order([("", estimates) for estimates in figures.values()]):
            if not name.startswith(tuple(starts)):
                continue
            points = [
                (float(iteration), estimates[name].mean)
                for iteration, estimates in sorted(figures.items())
                if name in estimates and estimates[name].mean is not None
            ]
            label = f"{loop.name}: {name}" if len(loops) > 1 else name
            lines += _line(label, points)
    if not lines:
        return None
    note = "" if len(lines) <= _MAX_LINES else f"the first {_MAX_LINES} of {len(lines)} lines; the table holds all"
    return Lines(title=title, lines=tuple(lines[:_MAX_LINES]), x_label="iteration", y_label="share", note=note)


def _line(name: str, points: Sequence[tuple[float, float | None]]) -> list[Line]:
    kept = [(x, y) for x, y in points if y is not None]
    return [Line(name=name, x=tuple(x for x, _ in kept), y=tuple(y for _, y in kept))] if kept else []


def _estimate_table(title: str, rows: Sequence[tuple[str, Mapping[str, Estimate]]], *, note: str = "") -> Table:
    names = _names_in_order(rows)
    cells: list[tuple[Cell, ...]]
    if len(rows) <= _MAX_COLUMNS:
        columns = (Column(title="figure"), *(Column(title=label, kind=ColumnKind.ESTIMATE) for label, _ in rows))
        cells = [(name, *(estimates.get(name) for _, estimates in rows)) for name in names]
    else:
        columns = (Column(title="model"), *(Column(title=name, kind=ColumnKind.ESTIMATE) for name in names))
        cells = [(label, *(estimates.get(name) for name in names)) for label, estimates in rows]
    return Table(title=title, columns=columns, rows=tuple(cells), note=note)


def _data_blocks(loop: _Loop) -> tuple[Block, ...]:
    blocks: list[Block] = []
    iterations = sorted({stage.iteration for stage in loop.stages if stage.name == "build"})
    for level in ("outcomes", "steps"):
        bars = tuple(
            Bar(
                label=f"iteration {iteration}, {'sampled' if stage == 'label' else 'trained on'}",
                values=_label_counts(loop.summaries[iteration, stage], level),
            )
            for iteration in iterations
            for stage in ("label", "build")
        )
        blocks.append(
            Bars(title=f"Labels of {level}", series=("right", "wrong", "unknown"), bars=bars, scale="own", unit=level)
        )
    blocks.append(_left_out_table(loop, iterations))
    return tuple(blocks)


def _label_counts(summary: JsonObject, level: str) -> tuple[float, ...]:
    counts = cast("Mapping[str, int]", summary[level])
    return tuple(float(counts[name]) for name in ("right", "wrong", "unknown"))


def _left_out_table(loop: _Loop, iterations: Sequence[int]) -> Table:
    summaries = [loop.summaries[iteration, "build"] for iteration in iterations]
    counts = [cast("Mapping[str, int]", summary["left_out"]) for summary in summaries]
    reasons = list(counts[0]) if counts else []
    columns = (
        Column(title="iteration", kind=ColumnKind.COUNT),
        Column(title="labelled", kind=ColumnKind.COUNT),
        Column(title="trained on", kind=ColumnKind.COUNT),
        *(Column(title=reason, kind=ColumnKind.COUNT) for reason in reasons),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            iteration,
            cast("int", summary["num_labelled"]),
            cast("int", summary["num_solutions"]),
            *(count[reason] for reason in reasons),
        )
        for iteration, summary, count in zip(iterations, summaries, counts, strict=True)
    ]
    return Table(title="Left out of training", columns=columns, rows=tuple(rows), note="the first reason that applies")


def _training_blocks(loop: _Loop) -> tuple[Block, ...]:
    logs = {stage.iteration: read_log(loop.folder / stage.folder) for stage in loop.stages if stage.name == "train"}
    blocks: list[Block] = []
    for title, names in _LOG_CURVES:
        lines = [
            line
            for iteration, log in logs.items()
            for name in names
            for line in _line(
                name if len(logs) == 1 else f"{name}, iteration {iteration}",
                [(row["step"], row.get(name)) for row in log],
            )
        ]
        if lines:
            note = (
                "" if len(lines) <= _MAX_LINES else f"the first {_MAX_LINES} of {len(lines)} lines; log.jsonl holds all"
            )
            blocks.append(Lines(title=title, lines=tuple(lines[:_MAX_LINES]), x_label="update", y_label="", note=note))
    return tuple(blocks) if blocks else (Prose(paragraphs=("Nothing was logged: fewer updates than logging_steps.",)),)


def _stage_table(loop: _Loop) -> Table:
    columns = (
        Column(title="iteration", kind=ColumnKind.COUNT),
        Column(title="stage"),
        Column(title="folder", kind=ColumnKind.CODE),
        Column(title="SHA-256 of the result", kind=ColumnKind.CODE),
        Column(title="faults", kind=ColumnKind.COUNT),
    )
    rows: list[tuple[Cell, ...]] = [
        (stage.iteration, stage.name, stage.folder, stage.sha256[:16], stage.num_faults) for stage in loop.stages
    ]
    return Table(title="Stages", columns=columns, rows=tuple(rows), note="each folder holds its run.json and files")


def _settings_table(settings: Sequence[tuple[str, str]]) -> Table:
    columns = (Column(title="setting", kind=ColumnKind.CODE), Column(title="value", kind=ColumnKind.CODE))
    rows: list[tuple[Cell, ...]] = [
        pair for pair in settings if pair[0] != "description" and pair[1] not in ("None", "")
    ]
    return Table(
        title="Recipe", columns=columns, rows=tuple(rows), note="all that decides the loop; loop.json holds it"
    )


def _flat(prefix: str, value: JsonValue) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in _flat(f"{prefix}.{key}" if prefix else key, part)]
    return [(prefix, repr(value) if isinstance(value, str) and not value.strip() else str(value))]
