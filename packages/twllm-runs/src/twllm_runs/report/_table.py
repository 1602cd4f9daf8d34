"""Tables: columns of a kind, rows of cells."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TypeAlias

from twllm_types import DataError, Estimate


class Align(StrEnum):
    """Where a column stands in its width."""

    START = "start"
    END = "end"


class ColumnKind(StrEnum):
    """What the cells of a column are: text, code (fixed width), counts, numbers, shares in [0, 1], estimates, links."""

    TEXT = "text"
    CODE = "code"
    COUNT = "count"
    NUMBER = "number"
    SHARE = "share"
    ESTIMATE = "estimate"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A file in the run folder.

    Attributes:
        path: relative, with forward slashes, such as "rejected/spam.jsonl"; not absolute, not upwards, no address.
        label: what to show; the path where empty.
        note: what one finds there.

    Raises:
        DataError: the path leaves the run folder.
    """

    path: str
    label: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        if not parts or parts[0].startswith("/") or ".." in parts or ":" in self.path or "\\" in self.path:
            raise DataError(f"link {self.path!r} leaves the run folder; give a relative path with forward slashes")


Cell: TypeAlias = str | int | float | Estimate | Link | None
"""A table cell; None is shown as a dash."""

_CELL_TYPES: dict[ColumnKind, tuple[type, ...]] = {
    ColumnKind.TEXT: (str,),
    ColumnKind.CODE: (str,),
    ColumnKind.COUNT: (int,),
    ColumnKind.NUMBER: (int, float),
    ColumnKind.SHARE: (int, float),
    ColumnKind.ESTIMATE: (Estimate,),
    ColumnKind.LINK: (Link,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        title: its head.
        kind: what its cells are.
        align: None for the usual side of the kind: text at the start, figures at the end.
        digits: decimals of numbers, and of shares in per cent.
        difference: estimates are differences, written with their sign.
    """

    title: str
    kind: ColumnKind = ColumnKind.TEXT
    align: Align | None = None
    digits: int = 1
    difference: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that readers can sort, and filter where it has more than a dozen rows.

    Attributes:
        title: above the table.
        columns: at least one.
        rows: a cell per column; the order given is the first order shown.
        note: below the title: what is counted, over which items.

    Raises:
        DataError: no columns, a row of another length, or a cell that is not of its column's kind.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        if not self.columns:
            raise DataError(f"table {self.title!r} has no columns; give at least one")
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise DataError(f"table {self.title!r}, row {number}: {len(row)} cells for {len(self.columns)} columns")
            for cell, column in zip(row, self.columns, strict=True):
                if cell is not None and not isinstance(cell, _CELL_TYPES[column.kind]):
                    raise DataError(
                        f"table {self.title!r}, row {number}, column {column.title!r}: {type(cell).__name__} "
                        f"in a column of kind {column.kind}; change the cell or the kind"
                    )
