"""The command `taiwan-llm`."""

import sys
from pathlib import Path

from twllm_runs import ExitCode, make_app, run_app

app = make_app(
    "taiwan-llm", package="twllm-pipeline", help="Build and evaluate language models for Taiwanese Mandarin."
)


@app.command
def quickstart(*, output: Path = Path("quickstart"), workers: int = 2) -> ExitCode:
    """Curate a corpus, examine a tiny model, read recorded judgements, learn sums, select utterances, and report.

    Needs no GPU, no network and no data of yours. Killed at any moment, the same command goes on.

    Example: taiwan-llm quickstart --output quickstart

    Args:
        output: folder to write.
        workers: worker processes.
    """
    from rich.console import Console

    from twllm_pipeline._quickstart import quickstart
    from twllm_pipeline._show import show_quickstart
    from twllm_runs import current_cli, open_progress

    with open_progress(quiet=current_cli().quiet) as progress:
        done = quickstart(output=output, workers=workers, progress=progress)
    show_quickstart(Console(), done)
    return ExitCode.FAULTS if done.num_faults else ExitCode.DONE


def main() -> None:
    """Run the command line."""
    sys.exit(run_app(app))
