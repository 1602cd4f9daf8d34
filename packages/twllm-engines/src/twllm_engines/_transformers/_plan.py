"""Which rows of tokens are computed together, and which prefixes once: arithmetic on token ids, no model.

A row is what a model reads; a request needs the predictions at some of its positions. Rows that share a beginning form
a tree: each node stands for a prefix whose keys and values are computed once and read by everything below it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from twllm_engines._transformers._splits import Ids, num_shared

# A chain of prefixes keeps its keys and values alive while the rows below are computed: few levels bound the memory.
_MAX_DEPTH = 4
# A batch that is large enough takes no shorter rows, and no rows at all when it is several times as large.
_LEAST_FILLED, _MOST_ENOUGH = 0.9, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is computed at once; a row that exceeds a limit by itself is computed alone.

    Attributes:
        max_read: most tokens read, padding among them.
        max_held: most tokens attended to, padding and the prefix of every row among them.
        max_needed: most predictions, each over the whole vocabulary in float32.
        enough: tokens from which a larger batch is no faster, so that padding and memory are what it costs.
    """

    max_read: int
    max_held: int
    max_needed: int
    enough: int

    def is_full(self, num_rows: int, *, width: int, prefix: int, needed: int, length: int) -> bool:
        """Tell whether a row of `length` tokens, which brings the predictions to `needed`, belongs to the next batch.

        Args:
            num_rows: in the batch, >= 1.
            width: tokens of its longest row, >= length.
            prefix: tokens before each row.
            needed: predictions of the batch with the row.
            length: tokens of the row.
        """
        size = num_rows + 1
        if size * width > self.max_read or size * (prefix + width) > self.max_held or needed > self.max_needed:
            return True
        filled = num_rows * width
        return filled >= _MOST_ENOUGH * self.enough or (filled >= self.enough and length < _LEAST_FILLED * width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Tokens that a model reads.

    Attributes:
        tokens: ids, shape (T,), T >= 1.
        first_needed: the first position whose prediction is needed, 0..T-1; all from there to the end are.
    """

    tokens: Ids
    first_needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A prefix that is computed once.

    Attributes:
        row: index of any row that begins with the prefix.
        start: length of the parent's prefix, which is part of this one.
        length: of the prefix, >= start; 0 at a root without a prefix.
        leaves: rows computed from this prefix, by index.
        children: longer prefixes.
    """

    row: int
    start: int
    length: int
    leaves: tuple[int, ...]
    children: tuple["Node", ...]


def merge_rows(rows: Sequence[Row]) -> tuple[list[Row], list[int]]:
    """Join equal rows, and rows that are the beginning of another.

    Options of one letter share their question's row, and so are read from one position.

    Args:
        rows: what the requests need; may be empty.

    Returns:
        The rows that remain, sorted by their tokens, and for each given row the index of the one that covers it: its
        tokens begin with the given row's, and it needs every position that the given row needs.
    """
    # Big-endian bytes sort as the ids do, and compare at the speed of memory.
    keys = [row.tokens.astype(">u4").tobytes() for row in rows]
    order = sorted(range(len(rows)), key=keys.__getitem__)
    merged: list[Row] = []
    covers = [0] * len(rows)
    # A row's extensions follow it at once, so going backwards meets the longest first.
    longest = b""
    for at in reversed(order):
        if merged and longest.startswith(keys[at]):
            last = merged[-1]
            merged[-1] = Row(tokens=last.tokens, first_needed=min(last.first_needed, rows[at].first_needed))
        else:
            merged.append(rows[at])
            longest = keys[at]
        covers[at] = len(merged) - 1
    merged.reverse()
    return merged, [len(merged) - 1 - cover for cover in covers]


def plan_prefixes(rows: Sequence[Row], *, min_saved: int) -> Node | None:
    """Choose the prefixes to compute once.

    A prefix ends before the first position that any row below it needs, so that nothing is read from a prefix.

    Args:
        rows: sorted by their tokens, none the beginning of another, as `merge_rows` gives them.
        min_saved: a prefix is kept where it saves at least so many tokens, >= 1.

    Returns:
        The root, whose prefix may be empty; None without rows.
    """
    if not rows:
        return None
    shared = [num_shared(above.tokens, below.tokens) for above, below in pairwise(rows)]
    return _plan(rows, shared, range(len(rows)), start=0, min_saved=min_saved, depth=0)


def pack_rows(rows: Sequence[Row], leaves: Iterable[int], *, prefix: int, limits: Limits) -> Iterator[tuple[int, ...]]:
    """Pack the rows below one prefix into batches, the longest first.

    Args:
        rows: all rows.
        leaves: indices of those below the prefix.
        prefix: its length.
        limits: of one batch.

    Yields:
        Indices of rows; a row that exceeds a limit by itself comes alone.
    """
    batch: list[int] = []
    width = needed = 0
    # Equal lengths stay in the order of their tokens: the same requests make the same batches.
    for leaf in sorted(leaves, key=lambda leaf: (-len(rows[leaf].tokens), leaf)):
        length = len(rows[leaf].tokens) - prefix
        wanted = len(rows[leaf].tokens) - rows[leaf].first_needed
        if batch and limits.is_full(len(batch), width=width, prefix=prefix, needed=needed + wanted, length=length):
            yield tuple(batch)
            batch, needed = [], 0
        if not batch:
            width = length
        batch.append(leaf)
        needed += wanted
    if batch:
        yield tuple(batch)


def count_tokens(rows: Sequence[Row], node: Node | None) -> int:
    """Count the tokens that a plan reads, padding apart."""
    if node is None:
        return 0
    below = sum(len(rows[leaf].tokens) - node.length for leaf in node.leaves)
    return node.length - node.start + below + sum(count_tokens(rows, child) for child in node.children)


def _plan(rows: Sequence[Row], shared: Sequence[int], span: range, *, start: int, min_saved: int, depth: int) -> Node:
    common = _common(rows, shared, span)
    singles: list[int] = []
    groups: list[range] = []
    for part in _parts(shared, span, common):
        saved = (len(part) - 1) * (_common(rows, shared, part) - common)
        if len(part) > 1 and saved >= min_saved and depth < _MAX_DEPTH:
            groups.append(part)
        else:
            singles.extend(part)
    kept = common > start and (len(singles) + len(groups) - 1) * (common - start) >= min_saved
    length = common if kept else start
    children = tuple(_plan(rows, shared, part, start=length, min_saved=min_saved, depth=depth + 1) for part in groups)
    return Node(row=span.start, start=start, length=length, leaves=tuple(singles), children=children)


def _common(rows: Sequence[Row], shared: Sequence[int], span: range) -> int:
    """Length of the prefix that all rows of a span share and none needs a prediction from."""
    needed = min(rows[at].first_needed for at in span)
    return min([needed, *(shared[at] for at in span[:-1])])


def _parts(shared: Sequence[int], span: range, common: int) -> Iterator[range]:
    """Split a span where neighbours share no more than its common prefix."""
    begin = span.start
    for at in span[:-1]:
        if shared[at] <= common:
            yield range(begin, at + 1)
            begin = at + 1
    yield range(begin, span.stop)
