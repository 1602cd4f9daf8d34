"""The command `icda`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from icda._cli_options import RecipeOptions
from twllm_runs import ExitCode, make_app, run_app

app = make_app(
    "icda",
    package="icda",
    help="Synthetic utterances for intent detection: generate, score by pointwise V-information, select, train.",
)
Options = Annotated[RecipeOptions, Parameter(name="*")]
NO_OPTIONS = RecipeOptions()


@app.command
def generate(
    recipe: Path | None = None, *, output: Path, options: Options = NO_OPTIONS, retry_failures: bool = False
) -> ExitCode:
    """Ask a language model for utterances of every intent. Killed at any moment, the same command goes on.

    Example: icda generate recipe.yaml --file seeds=seeds.csv --engine hf:my-model --output generated

    Args:
        recipe: YAML file; all defaults where none is given.
        output: folder of the run; a run of other parameters is never overwritten.
        options: beside the recipe.
        retry_failures: ask again for what the engine failed.
    """
    from rich.console import Console

    from icda._generate import run_generate
    from icda._run_data import load_run_data
    from icda._show import show_generated
    from twllm_engines import load_engine
    from twllm_runs import current_cli, open_progress
    from twllm_types import ConfigError

    settings = options.load(recipe)
    if settings.engine is None:
        raise ConfigError("there is no engine to generate with; give --engine, or set 'engine' in the recipe")
    data = load_run_data(settings.data)
    with load_engine(settings.engine) as engine, open_progress(quiet=current_cli().quiet) as progress:
        done = run_generate(
            engine,
            data,
            settings.generate,
            seed=settings.seed,
            output=output,
            progress=progress,
            retry_failures=retry_failures,
        )
    show_generated(Console(), done)
    return ExitCode.FAULTS if done.num_faults else ExitCode.DONE


@app.command
def score(
    recipe: Path | None = None, *, output: Path, candidates: Path | None = None, options: Options = NO_OPTIONS
) -> ExitCode:
    """Score candidates by a classifier that is fitted on the seeds.

    Example: icda score recipe.yaml --file seeds=seeds.csv --candidates generated --output scored

    Args:
        recipe: YAML file; all defaults where none is given.
        output: folder of the run.
        candidates: folder or candidates.jsonl of icda generate; the recipe's pool where none is given.
        options: beside the recipe.
    """
    from rich.console import Console

    from icda._guards import GuardLevel
    from icda._run_data import load_run_data
    from icda._run_score import load_candidates, run_score
    from icda._show import show_scored
    from twllm_runs import current_cli, open_progress

    settings = options.load(recipe)
    data = load_run_data(settings.data)
    with open_progress(quiet=current_cli().quiet) as progress:
        given = load_candidates(candidates, data, settings.generate.clean)
        done = run_score(data, given, settings.score_job, output=output, progress=progress)
    show_scored(Console(), done)
    return ExitCode.FAULTS if any(guard.level is GuardLevel.STOP for guard in done.guards) else ExitCode.DONE


@app.command
def select(recipe: Path | None = None, *, scores: Path, output: Path, options: Options = NO_OPTIONS) -> ExitCode:
    """Keep candidates by the recipe's rules, and show what every simpler rule would have kept.

    Example: icda select recipe.yaml --scores scored --output selected

    Args:
        recipe: YAML file; all defaults where none is given.
        scores: folder of icda score.
        output: folder of the run.
        options: beside the recipe.
    """
    from rich.console import Console

    from icda._guards import GuardLevel
    from icda._run_score import read_scored
    from icda._run_select import run_select
    from icda._show import show_selected

    done = run_select(read_scored(scores), options.load(recipe).select_job, output=output)
    show_selected(Console(), done)
    return ExitCode.FAULTS if any(guard.level is GuardLevel.STOP for guard in done.guards) else ExitCode.DONE


@app.command
def train(
    recipe: Path | None = None,
    *,
    selected: Path,
    output: Path,
    review: Path | None = None,
    options: Options = NO_OPTIONS,
) -> ExitCode:
    """Train the final classifier on seeds and kept rows, beside seeds only, all, random and argmax agreement.

    Example: icda train recipe.yaml --file seeds=seeds.csv test=test.csv --selected selected --output trained

    Args:
        recipe: YAML file; all defaults where none is given.
        selected: folder of icda select.
        output: folder of the run.
        review: the sheet that you have edited; the selection as it is where none is given.
        options: beside the recipe.
    """
    from rich.console import Console

    from icda._run_data import load_run_data
    from icda._run_select import read_selected
    from icda._run_train import run_train
    from icda._show import show_trained
    from twllm_runs import current_cli, open_progress

    settings = options.load(recipe)
    data = load_run_data(settings.data)
    with open_progress(quiet=current_cli().quiet) as progress:
        done = run_train(
            data, read_selected(selected), settings.train_job, output=output, progress=progress, review=review
        )
    show_trained(Console(), done)
    return ExitCode.DONE


@app.command
def run(
    recipe: Path,
    *,
    output: Path,
    options: Options = NO_OPTIONS,
    until: Literal["generate", "score", "select", "train"] = "train",
    retry_failures: bool = False,
) -> ExitCode:
    """Generate, score, select, train, report. Killed at any moment, the same command goes on.

    Run it until select, edit review.csv in the folder that it names, and run it again: the sheet is read back.

    Example: icda run recipe.yaml --file seeds=seeds.csv test=test.csv --engine hf:my-model --output run

    Args:
        recipe: YAML file.
        output: folder of the run; one of another recipe keeps what both have in common.
        options: beside the recipe.
        until: the last stage to run.
        retry_failures: ask again for what the engine failed.
    """
    from rich.console import Console

    from icda._run import run_icda
    from icda._show import show_run
    from twllm_runs import current_cli, open_progress

    settings = options.load(recipe)
    with open_progress(quiet=current_cli().quiet) as progress:
        done = run_icda(settings, output=output, progress=progress, until=until, retry_failures=retry_failures)
    show_run(Console(), done)
    return ExitCode.FAULTS if done.num_faults else ExitCode.DONE


@app.command
def report(folder: Path, *, output: Path) -> ExitCode:
    """Write the page of a run: kept and rejected by intent, PVI, drift, confusion before and after, cost.

    Example: icda report run --output report.html

    Args:
        folder: of icda run.
        output: HTML file to write.
    """
    from rich.console import Console

    from icda._report import write_report
    from icda._show import show_written

    write_report(folder, output)
    show_written(Console(), output)
    return ExitCode.DONE


# `format` is the word of every tool that converts.
@app.command
def export(folder: Path, *, format: Literal["csv", "jsonl", "rasa", "datasets"], output: Path) -> ExitCode:  # noqa: A002
    """Write rows for other tools: kept rows of icda select, or seeds and kept rows of icda train.

    Example: icda export trained --format rasa --output nlu.yml

    Args:
        folder: of icda select, icda train or icda run.
        format: csv, jsonl, rasa (training data of Rasa 3) or datasets (Hugging Face).
        output: file to write, or folder for datasets.
    """
    from rich.console import Console

    from icda._export import export_examples
    from icda._export_rows import rows_to_export
    from icda._show import show_written

    rows = rows_to_export(folder)
    export_examples(rows, output, format)
    show_written(Console(), output, len(rows))
    return ExitCode.DONE


def main() -> None:
    """Run the command line."""
    sys.exit(run_app(app))
