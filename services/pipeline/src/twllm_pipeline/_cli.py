"""The command `taiwan-llm`."""

import sys
from pathlib import Path

from twllm_runs import ExitCode, make_app, run_app

app = make_app(
    "taiwan-llm", package="twllm-pipeline", help="Build and evaluate language models for Taiwanese Mandarin."
)


@app.command
def quickstart(*, output: Path = Path("quickstart"), workers: int = 2) -> ExitCode:
    """Curate a small sample corpus from raw pages to clean shards, and end with a report to open.

    Needs no GPU, no network and no data of yours. Killed at any moment, the same command goes on.

    Example: taiwan-llm quickstart --output quickstart

    Args:
        output: folder to write.
        workers: worker processes.
    """
    from rich.console import Console

    from tw_corpus.curation import show_curation
    from twllm_pipeline._quickstart import quickstart
    from twllm_runs import current_cli, open_progress

    with open_progress(quiet=current_cli().quiet) as progress:
        curation = quickstart(output=output, workers=workers, progress=progress)
    show_curation(Console(), curation)
    return ExitCode.FAULTS if curation.num_faults else ExitCode.DONE


def main() -> None:
    """Run the command line."""
    sys.exit(run_app(app))
