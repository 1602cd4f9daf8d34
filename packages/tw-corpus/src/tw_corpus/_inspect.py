"""Rejected documents of a finished curation, for a look in the terminal."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from twllm_runs import StoredRun
from twllm_types import ConfigError, DataError, JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedDocument:
    """One rejected document as it is stored.

    Attributes:
        id: document id.
        reason: stable string.
        value: measured, or None where nothing was measured (duplicates).
        threshold: that decided, or None.
        source: input that it came from.
        text: normalised text.
        measures: all measures by name; empty for duplicates.
    """

    id: str
    reason: str
    value: float | None
    threshold: float | None
    source: str
    text: str
    measures: JsonObject


def iter_rejected(output: Path, *, reason: str | None = None) -> Iterator[RejectedDocument]:
    """Read the rejected documents of a run folder, in a fixed order.

    Args:
        output: folder that `tw-corpus curate` wrote.
        reason: only this one; None for all.

    Raises:
        DataError: a file under `rejected/` is damaged.
    """
    for path in sorted((output / "rejected").rglob("*.jsonl.gz")):
        try:
            with gzip.open(path, "rb") as lines:
                for line in lines:
                    row = orjson.loads(line)
                    if reason is None or row["reason"] == reason:
                        yield _document(row)
        except (orjson.JSONDecodeError, KeyError, EOFError, OSError, zlib.error) as error:
            raise DataError(f"{path} cannot be read ({error}); the file was changed or cut, curate again") from error


def check_reason(run: StoredRun, reason: str | None) -> None:
    """Refuse a reason that no document of the run was rejected for.

    Raises:
        ConfigError: the reason is unknown; the message lists those of the run.
    """
    known = sorted(rejection_counts(run))
    if reason is not None and reason not in known:
        raise ConfigError(
            f"no document was rejected for {reason!r}; reasons of this run: {', '.join(known) if known else 'none'}"
        )


def rejection_counts(run: StoredRun) -> dict[str, int]:
    """Count the rejected documents and duplicates of a finished run by reason."""
    counts: dict[str, int] = {}
    rows: Any = (run.summary or {}).get("funnel", [])
    for row in rows:
        if row["outcome"] != "kept":
            counts[row["outcome"]] = counts.get(row["outcome"], 0) + row["count"]
    return counts


def show_counts(console: Console, run: StoredRun) -> None:
    """Print the reasons of a run with their counts, most frequent first."""
    table = Table(title="rejected documents")
    table.add_column("reason")
    table.add_column("documents", justify="right")
    for reason, count in sorted(rejection_counts(run).items(), key=lambda item: (-item[1], item[0])):
        table.add_row(Text(reason), f"{count:,}")
    console.print(table)


def show_document(console: Console, document: RejectedDocument, *, max_chars: int) -> None:
    """Print one document with what decided; `max_chars` characters of its text."""
    decided = Text(document.reason, style="bold")
    if document.value is not None and document.threshold is not None:
        decided.append(f"  measured {document.value:.4g}, threshold {document.threshold:.4g}", style="default")
    cut = len(document.text) - max_chars
    text = Text(document.text[:max_chars])
    if cut > 0:
        text.append(f"\n… {cut:,} more characters", style="dim")
    console.print(Panel(Group(decided, text), title=Text(document.id), subtitle=Text(document.source)))


def _document(row: dict[str, Any]) -> RejectedDocument:
    return RejectedDocument(
        id=row["id"],
        reason=row["reason"],
        value=row["value"],
        threshold=row["threshold"],
        source=row["input"] or "-",
        text=row["text"],
        measures=row["measures"] or {},
    )
