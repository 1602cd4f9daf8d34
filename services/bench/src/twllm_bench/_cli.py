"""The command `twllm-bench`."""

import sys
from pathlib import Path

from twllm_runs import ExitCode, make_app, run_app

app = make_app("twllm-bench", package="twllm-bench", help="Several models through one exam, and one leaderboard.")


@app.command
def run(recipe: Path, *, output: Path, retry_errors: bool = False, exclude_errors: bool = False) -> ExitCode:
    """Put one exam to all models of a recipe. Killed at any moment, the same command goes on.

    Example: twllm-bench run bench.yaml --output runs

    Args:
        recipe: YAML file with data, models and exam.
        output: folder of the runs, one per model, and of leaderboard.html.
        retry_errors: put items again that ended in error.
        exclude_errors: leave questions with errors out of the figures, which say so.
    """
    from rich.console import Console

    from tmlu_bench.exam import show_exam
    from twllm_bench._bench import LEADERBOARD_NAME, load_bench_recipe, run_bench
    from twllm_runs import current_cli, open_progress

    chosen = load_bench_recipe(recipe)
    with open_progress(quiet=current_cli().quiet) as progress:
        exams = run_bench(
            chosen,
            base=recipe.parent,
            output=output,
            progress=progress,
            retry_errors=retry_errors,
            exclude_errors=exclude_errors,
        )
    console = Console()
    for exam in exams.values():
        show_exam(console, exam)
    console.print(f"leaderboard: {output / LEADERBOARD_NAME}", markup=False, highlight=False, soft_wrap=True)
    return ExitCode.FAULTS if any(exam.num_faults for exam in exams.values()) else ExitCode.DONE


def main() -> None:
    """Run the command line."""
    sys.exit(run_app(app))
