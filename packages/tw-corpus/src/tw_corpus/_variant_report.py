"""Tables of the commands on varieties, for people."""

from collections.abc import Mapping, Sequence
from typing import cast

from rich.console import Console
from rich.table import Table

from tw_corpus._variant_job import ClassificationCounts
from twllm_types import JsonObject, JsonValue


def show_classification(console: Console, counts: ClassificationCounts) -> None:
    """Show how many documents each label has, and what else was found."""
    table = Table("label", "documents", title=f"{counts.num_documents} documents")
    for label, number in counts.labels.items():
        table.add_row(label, str(number))
    console.print(table)
    console.print(f"converted from Simplified: {counts.num_converted}; undecided: {counts.num_undecided}")
    for reason, number in counts.faults.items():
        console.print(f"not read: {number} ({reason})")


def show_evaluation(console: Console, figures: JsonObject) -> None:
    """Show precision, recall and F1 of each label by length, and the other two figures below them."""
    for length, found in cast("Mapping[str, JsonObject]", figures).items():
        name = length if length == "sentences" else f"runs of {length} ideographs"
        table = Table("label", "n", "precision", "recall", "F1", title=f"{name}, {found['num_texts']} texts")
        for label, row in cast("Mapping[str, JsonObject]", found["labels"]).items():
            table.add_row(label, str(row["n"]), *(_written(row[key]) for key in ("precision", "recall", "f1")))
        console.print(table)
        console.print(
            f"script right: {_written(found['script'])}; converted AUROC: {_written(found['converted_auroc'])}"
        )


def show_empty_files(console: Console, names: Sequence[str]) -> None:
    """Name the files that gave no row; nothing where all did."""
    if names:
        console.print(f"without any row: {', '.join(names)}")


def _written(figure: JsonValue) -> str:
    if not isinstance(figure, Mapping) or figure["mean"] is None:
        return "-"
    values = cast("Mapping[str, float | None]", figure)
    if values["ci_low"] is None:
        return f"{values['mean']:.3f}"
    return f"{values['mean']:.3f} [{values['ci_low']:.3f}, {values['ci_high']:.3f}]"
