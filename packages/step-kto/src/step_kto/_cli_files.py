"""The commands `step-kto report`, `validate` and `convert`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from twllm_runs import ExitCode

if TYPE_CHECKING:
    from cyclopts import App

Words = Annotated[list[str] | None, Parameter(consume_multiple=(1, None))]


def register(app: "App") -> None:
    """Add the commands to the app."""
    for command in (report, validate, convert):
        app.command(command)


def report(runs: list[Path], *, output: Path) -> ExitCode:
    """Write one page: a loop, or several loops and evaluations beside each other.

    Example: step-kto report runs/step-kto runs/kto --output report.html

    Args:
        runs: folders of step-kto iterate, and finished ones of step-kto evaluate.
        output: HTML file to write.
    """
    from rich.console import Console

    from step_kto._report import write_report

    write_report(runs, output)
    Console().print(f"wrote {output}", highlight=False, soft_wrap=True)
    return ExitCode.DONE


def validate(
    file: Path, *, after_first_error: Literal["as_judged", "mask", "negative"] = "as_judged", level: Words = None
) -> ExitCode:
    """Check a file of stepwise solutions: every line, and both classes on every level that is trained.

    Example: step-kto validate train.jsonl

    Args:
        file: JSONL of {prompt, completions, labels, outcome}.
        after_first_error: what labels behind a first error are worth.
        level: levels that are trained, outcome and step; both where not given.
    """
    from rich.console import Console

    from step_kto._data import load_solutions, validate_solutions
    from step_kto._foreign_files import read_levels
    from step_kto._show import show_counts

    found = validate_solutions(
        load_solutions(file), where=str(file), levels=read_levels(level), after_first_error=after_first_error
    )
    show_counts(Console(), found.counts, len(found.solutions))
    return ExitCode.DONE


def convert(
    file: Path,
    *,
    source: Annotated[
        Literal["prm800k", "math-shepherd", "processbench", "bigbench-mistake", "mr-gsm8k", "trl-stepwise", "unpaired"],
        Parameter(name="--from"),
    ],
    output: Path,
    neutral: Literal["unknown", "right", "wrong"] | None = None,
    step_label: Literal["unknown", "outcome"] = "unknown",
) -> ExitCode:
    """Convert a foreign file of step labels into the on-disk format.

    Example: step-kto convert phase2_train.jsonl --from prm800k --neutral unknown --output train.jsonl

    Args:
        file: JSONL of the foreign form.
        source: which form.
        output: JSONL file to write.
        neutral: what a neutral rating of PRM800K means; must be said for it.
        step_label: the step of an unpaired example: unknown, or as its outcome.
    """
    from rich.console import Console

    from step_kto._foreign_files import convert_file

    count = convert_file(file, source, output, neutral=neutral, step_label=step_label)
    Console().print(f"wrote {count:,} solutions to {output}", highlight=False, soft_wrap=True)
    return ExitCode.DONE
