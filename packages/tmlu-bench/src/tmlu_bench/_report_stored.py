"""Finished runs read back, alone or beside each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tmlu_bench._aggregate import summarise
from tmlu_bench._asked import AskedOverview, overview
from tmlu_bench._compare import ComparedRun, CompareOptions, compare_runs, compared_run, split_comparable
from tmlu_bench._lm_eval_logs import find_lm_eval_logs, read_lm_eval_run
from tmlu_bench._report import exam_report
from tmlu_bench._report_runs import runs_report
from tmlu_bench._run_stored import StoredExam, read_exam
from tmlu_bench._summary import ExamSummary, SummaryOptions
from twllm_runs import write_text_atomic
from twllm_runs.report import render_report
from twllm_types import ConfigError


def read_compared(paths: Sequence[Path]) -> list[ComparedRun]:
    """Read runs for a comparison: folders of finished runs, and folders or files of lm-eval's sample logs.

    Raises:
        ArtifactError: a folder holds neither.
        ConfigError: a task stands in several logs.
        DataError: a file of it is damaged.
    """
    names = run_names(paths)
    return [_read_one(path, name) for path, name in zip(paths, names, strict=True)]


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of the paths, as many as keep the names apart."""
    resolved = [path.resolve() for path in paths]
    for depth in range(1, max((len(path.parts) for path in resolved), default=1) + 1):
        names = ["/".join(path.parts[-depth:]) for path in resolved]
        if len(set(names)) == len(names):
            return names
    raise ConfigError(f"{paths[0]}: is given twice; give each run once")


def write_report(paths: Sequence[Path], output: Path, *, options: CompareOptions) -> AskedOverview:
    """Write the page of one run, or of several with their paired differences.

    Returns:
        What the runs asked, and where they differ; the page says the same.

    Raises:
        ConfigError: no run, or runs that do not compare.
        DataError: runs have no question in common on which none ended in error.
        ArtifactError: a folder holds no finished run, or one whose items are not those of its figures.
        RunError: the system refuses the write.
    """
    if not paths:
        raise ConfigError("no run is given; give the folders of finished runs")
    exams = [read_exam(path) for path in paths]
    named = list(zip(run_names(paths), exams, strict=True))
    summaries = [(name, _summary(exam, options)) for name, exam in named]
    asked = overview({name: exam.asked for name, exam in named})
    if len(exams) == 1:
        (exam,), (_, summary) = exams, summaries[0]
        page = exam_report(summary, exam.items, model=exam.model, setting=exam.asked, remarks=exam.remarks)
    else:
        compared = [compared_run(name, exam.items, exam.setting) for name, exam in named]
        page = runs_report(
            summaries,
            settings=[(name, exam.model) for name, exam in named],
            asked=asked,
            comparison=compare_runs(compared, options),
            remarks=_remarks(named),
        )
    write_text_atomic(output, render_report(page))
    return asked


def write_leaderboard(
    paths: Sequence[Path], output: Path, *, options: CompareOptions, failed: Mapping[str, str]
) -> dict[str, str]:
    """Write the page of several runs, also where some do not compare; these have no pairs, and the page says why.

    Args:
        paths: folders of finished runs, at least one.
        output: HTML file to write.
        options: how runs are compared.
        failed: model to why it has no run; the page names it.

    Returns:
        Run to why it is in no pair; empty where all compare.

    Raises:
        ConfigError: no run, or one is given twice.
        ArtifactError: a folder holds no finished run, or one whose items are not those of its figures.
        RunError: the system refuses the write.
    """
    if not paths:
        raise ConfigError("no run is given; give the folders of finished runs")
    named = [(name, read_exam(path)) for name, path in zip(run_names(paths), paths, strict=True)]
    compared, left_out = split_comparable(
        [compared_run(name, exam.items, exam.setting) for name, exam in named], options
    )
    reasons = [f"{name} has no run: {why}" for name, why in failed.items()]
    reasons.extend(f"{name} is in no paired difference: {why}" for name, why in left_out.items())
    page = runs_report(
        [(name, _summary(exam, options)) for name, exam in named],
        settings=[(name, exam.model) for name, exam in named],
        asked=overview({name: exam.asked for name, exam in named}),
        comparison=compare_runs(compared, options) if len(compared) > 1 else None,
        remarks=(*reasons, *_remarks(named)),
    )
    write_text_atomic(output, render_report(page))
    return left_out


def _remarks(named: Sequence[tuple[str, StoredExam]]) -> tuple[str, ...]:
    return tuple(f"{name}: {line}" for name, exam in named for line in exam.remarks)


def _read_one(path: Path, name: str) -> ComparedRun:
    if not (path / "run.json").exists() and find_lm_eval_logs(path):
        return read_lm_eval_run(path, name=name)
    exam = read_exam(path)
    return compared_run(name, exam.items, exam.setting)


def _summary(exam: StoredExam, options: CompareOptions) -> ExamSummary:
    chosen = SummaryOptions(exclude_errors=options.exclude_errors, seed=options.seed, draws=options.draws)
    return summarise(exam.items, groups=exam.groups, options=chosen)
