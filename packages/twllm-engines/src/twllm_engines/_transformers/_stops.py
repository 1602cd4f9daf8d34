"""When a text ends: stop strings, which may lie across tokens."""

from collections.abc import Callable, Sequence


def find_stop(text: str, stops: Sequence[str]) -> int | None:
    """Return where the earliest stop string begins, or None."""
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    return min(found, default=None)


def tail_length(stops: Sequence[str]) -> int:
    """Return how many of the last tokens may hold a stop string that the last one completed.

    A token that shows adds at least one byte; two more tokens allow for a character cut at either end.
    """
    return max((len(stop.encode("utf-8")) for stop in stops), default=0) + 2


def num_kept_tokens(ids: Sequence[int], decode: Callable[[Sequence[int]], str], end: int) -> int:
    """Count the tokens whose text begins before `end`, by halving: a text only grows with its tokens."""
    low, high = 0, len(ids)
    while low < high:
        middle = (low + high) // 2
        if len(decode(ids[:middle])) < end:
            low = middle + 1
        else:
            high = middle
    return low
