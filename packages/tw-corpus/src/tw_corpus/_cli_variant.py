"""The commands `tw-corpus classify`, `train-variant-model` and `evaluate-variants`."""

from pathlib import Path
from typing import TYPE_CHECKING

from twllm_runs import ExitCode

if TYPE_CHECKING:
    from cyclopts import App


def register(app: "App") -> None:
    """Add the commands to the app of `tw-corpus`."""
    for command in (classify, train_variant_model, evaluate_variants):
        app.command(command)


def classify(file: Path, *, output: Path, max_evidence: int = 10, model: Path | None = None) -> ExitCode:
    """Tell variety, script and conversion of each document of a file.

    Example: tw-corpus classify pages.jsonl --output varieties.jsonl

    Args:
        file: JSONL, Parquet, plain text, HTML or WARC.
        output: JSONL file to write, one line a document.
        max_evidence: most spans for each document; 0 for none.
        model: another model than the one that ships.
    """
    from rich.console import Console

    from tw_corpus._variant_job import classify_file
    from tw_corpus._variant_report import show_classification
    from twllm_runs import current_cli, open_progress

    with open_progress(quiet=current_cli().quiet) as progress:
        bar = progress.task("classify", total=None, unit="documents")
        counts = classify_file(file, output, max_evidence=max_evidence, model=model, on_document=bar.advance)
    show_classification(Console(), counts)
    return ExitCode.FAULTS if counts.num_faults else ExitCode.DONE


def train_variant_model(data: Path, *, output: Path, seed: int = 0) -> None:
    """Train the variant model on rows under CC0, CC BY, MIT and in the public domain.

    Needs the package opencc. The same rows, seed and machine give the same file.

    Example: tw-corpus train-variant-model zh_variants --output trained

    Args:
        data: the folder zh_variants of the shared data.
        output: folder to write: variant.npz and its card.
        seed: of all that is random.
    """
    from rich.console import Console

    from tw_corpus._variant_job import MODEL_NAME, run_training
    from tw_corpus._variant_report import show_empty_files

    run = run_training(data, output, seed=seed)
    show_empty_files(Console(), run.empty_files)
    Console().print(f"{run.folder / MODEL_NAME}: {run.summary['num_bytes']} bytes")


def evaluate_variants(data: Path, *, output: Path, model: Path | None = None, seed: int = 0) -> None:
    """Score the variant model on held-out rows: precision, recall, F1, script, converted text.

    Example: tw-corpus evaluate-variants zh_variants --output figures

    Args:
        data: the folder zh_variants of the shared data.
        output: folder to write: summary.json.
        model: another model than the one that ships.
        seed: of the bootstrap draws.
    """
    from rich.console import Console

    from tw_corpus._variant_job import run_evaluation
    from tw_corpus._variant_report import show_empty_files, show_evaluation

    run = run_evaluation(data, output, model=model, seed=seed)
    show_empty_files(Console(), run.empty_files)
    show_evaluation(Console(), run.summary)
