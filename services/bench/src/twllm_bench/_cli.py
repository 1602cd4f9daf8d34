"""The command `twllm-bench`."""

import sys
from pathlib import Path

from twllm_runs import ExitCode, make_app, run_app

app = make_app("twllm-bench", package="twllm-bench", help="Several models through one exam, and one leaderboard.")


@app.command
def run(recipe: Path, *, output: Path, retry_errors: bool = False, exclude_errors: bool = False) -> ExitCode:
    """Put one exam to all models of a recipe. Killed at any moment, the same command goes on.

    A model that fails does not stop the others: the page names it, and the exit code is 3.

    Example: twllm-bench run bench.yaml --output runs

    Args:
        recipe: YAML file with data, models and exam.
        output: folder of the runs, one per model, and of leaderboard.html.
        retry_errors: put items again that ended in error.
        exclude_errors: leave questions with errors out of the figures, which say so.
    """
    from rich.console import Console

    from tmlu_bench.exam import ExamRun, show_exam
    from twllm_bench._bench import LEADERBOARD_NAME, load_bench_recipe, run_bench
    from twllm_runs import current_cli, open_progress
    from twllm_types import TwllmError

    console = Console()

    def write(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    def tell(name: str, result: ExamRun | TwllmError) -> None:
        if isinstance(result, TwllmError):
            write(f"model {name} has no run: {result}")
        else:
            write(f"model {name}")
            show_exam(console, result)

    done = run_bench(
        load_bench_recipe(recipe),
        base=recipe.parent,
        output=output,
        open_display=lambda: open_progress(quiet=current_cli().quiet),
        tell=tell,
        retry_errors=retry_errors,
        exclude_errors=exclude_errors,
    )
    for name, why in done.left_out.items():
        write(f"{name} is in no paired difference: {why}")
    write(f"leaderboard: {output / LEADERBOARD_NAME}")
    return ExitCode.FAULTS if done.has_faults else ExitCode.DONE


def main() -> None:
    """Run the command line."""
    sys.exit(run_app(app))
