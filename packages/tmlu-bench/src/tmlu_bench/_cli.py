"""The command `tmlu-bench`."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tmlu_bench._cli_options import ContaminationOptions, RunOptions
from twllm_runs import ExitCode, make_app, run_app

app = make_app(
    "tmlu-bench",
    package="tmlu-bench",
    help="The TMLU exam benchmark of Taiwanese Mandarin: exact prompts, resumable runs, honest statistics.",
)


@app.command
def run(*, options: Annotated[RunOptions, Parameter(name="*")]) -> ExitCode:
    """Put an exam to a model. Killed at any moment, the same command goes on.

    Example: tmlu-bench run --engine hf:my-model --data tmlu/ --protocol tmlu-direct --output runs/my-model
    """
    from rich.console import Console

    from tmlu_bench._run import run_exam
    from tmlu_bench._show import show_exam
    from tmlu_bench._sources import load_questions
    from twllm_engines import load_engine
    from twllm_runs import current_cli, open_progress

    settings = options.to_settings()
    questions = load_questions(options.data)
    with load_engine(options.engine) as model, open_progress(quiet=current_cli().quiet) as progress:
        exam = run_exam(
            model,
            questions,
            settings,
            output=options.output,
            progress=progress,
            retry_errors=options.retry_errors,
            exclude_errors=options.exclude_errors,
        )
    show_exam(Console(), exam)
    return ExitCode.FAULTS if exam.num_faults else ExitCode.DONE


@app.command
def validate(data: str, *, limit: int = 50) -> ExitCode:
    """Check every item of a data set: options, answers, duplicates, leaks from dev, and subjects.

    Example: tmlu-bench validate tmlu/

    Args:
        data: folder or file of questions, or id of a data set of the hub.
        limit: most findings to print; all are counted.
    """
    from rich.console import Console

    from tmlu_bench._show import show_findings
    from tmlu_bench._sources import load_questions
    from tmlu_bench._validate import Severity, validate_questions

    questions = load_questions(data)
    findings = validate_questions(questions)
    show_findings(Console(), questions, findings, limit=limit)
    has_errors = any(finding.severity is Severity.ERROR for finding in findings)
    return ExitCode.FAULTS if has_errors else ExitCode.DONE


@app.command
def compare(
    runs: list[Path],
    *,
    output: Path | None = None,
    allow_different: bool = False,
    exclude_errors: bool = False,
    seed: int = 0,
) -> ExitCode:
    """Compare runs on the questions they have in common: paired tests, corrected for their number.

    Also reads logs of lm-eval (a folder or file of samples_TASK_TIME.jsonl).

    Example: tmlu-bench compare runs/model-a runs/model-b --output compared.json

    Args:
        runs: folders of finished runs, or of lm-eval logs; two or more.
        output: JSON file to write.
        allow_different: compare runs of different protocols or questions, and print what differs.
        exclude_errors: leave questions out on which a run ended in error.
        seed: of the resamples.
    """
    from rich.console import Console

    from tmlu_bench._compare import CompareOptions, compare_runs, comparison_to_json
    from tmlu_bench._report_stored import read_compared
    from tmlu_bench._show import show_comparison
    from twllm_runs import write_json_atomic

    options = CompareOptions(allow_different=allow_different, exclude_errors=exclude_errors, seed=seed)
    comparison = compare_runs(read_compared(runs), options)
    if output is not None:
        write_json_atomic(output, comparison_to_json(comparison))
    show_comparison(Console(), comparison)
    return ExitCode.DONE


@app.command
def report(
    runs: list[Path],
    *,
    output: Path,
    allow_different: bool = False,
    exclude_errors: bool = False,
    seed: int = 0,
) -> ExitCode:
    """Write one page: a single run with its items, or the leaderboard of several with their paired differences.

    Example: tmlu-bench report runs/model-a runs/model-b --output leaderboard.html

    Args:
        runs: folders of finished runs.
        output: HTML file to write.
        allow_different: put runs of different protocols or questions on one page, which says what differs.
        exclude_errors: leave questions with errors out of the figures, which say so.
        seed: of the resamples.
    """
    from rich.console import Console

    from tmlu_bench._compare import CompareOptions
    from tmlu_bench._report_stored import write_report
    from tmlu_bench._show import show_report

    options = CompareOptions(allow_different=allow_different, exclude_errors=exclude_errors, seed=seed)
    show_report(Console(), output, write_report(runs, output, options=options))
    return ExitCode.DONE


@app.command
def contamination(*, options: Annotated[ContaminationOptions, Parameter(name="*")]) -> ExitCode:
    """Look for signs that a model or a corpus has seen the questions; figures beside a control set, no verdict.

    Example: tmlu-bench contamination --data tmlu/ --engine hf:my-model --control new-questions/ --output runs/seen
    """
    from contextlib import nullcontext

    from rich.console import Console

    from tmlu_bench._contamination_run import ContaminationInputs, run_contamination
    from tmlu_bench._show import show_contamination
    from tmlu_bench._sources import load_questions
    from twllm_engines import load_engine
    from twllm_runs import current_cli, open_progress

    settings = options.to_settings()
    questions = load_questions(options.data)
    control = None if options.control is None else load_questions(options.control)
    loaded = nullcontext(None) if options.engine is None else load_engine(options.engine)
    with loaded as model, open_progress(quiet=current_cli().quiet) as progress:
        inputs = ContaminationInputs(
            questions=questions,
            engine=model,
            control=control,
            corpus=options.corpus,
            tw_corpus_file=options.tw_corpus,
        )
        result = run_contamination(inputs, settings, output=options.output, progress=progress)
    show_contamination(Console(), result, options.output)
    return ExitCode.FAULTS if result.num_failures else ExitCode.DONE


def main() -> None:
    """Run the command line."""
    sys.exit(run_app(app))
