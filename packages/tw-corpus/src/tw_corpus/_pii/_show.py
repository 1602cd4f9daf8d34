"""What a redaction did, for the terminal: counts only, never a value."""

from rich.console import Console
from rich.table import Table

from tw_corpus._pii._job import RedactionCounts


def show_redaction(console: Console, counts: RedactionCounts) -> None:
    """Print the findings by kind, and what was left out."""
    table = Table(title="personal data")
    table.add_column("kind")
    table.add_column("findings", justify="right")
    for kind, number in sorted(counts.num_findings.items()):
        table.add_row(str(kind), f"{number:,}")
    console.print(table)
    console.print(f"{counts.num_records:,} records written, {counts.num_with_findings:,} with findings")
    for reason, number in sorted(counts.faults.items()):
        console.print(f"{number:,} lines left out: {reason}")
