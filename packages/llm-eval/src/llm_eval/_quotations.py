"""Tells which JSON objects of an answer stand letter for letter in the data that its prompt showed."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence

_BRACE = re.compile(r"\{")
# Searched for one by one from this length on, in characters; an answer holds few objects so long.
_LONG = 1024


def find_quoted(objects: Iterable[str], shown: Sequence[str]) -> frozenset[str]:
    """Return those of some JSON objects that one of the texts holds.

    One search per object would be quadratic, and a judge can be led to write thousands. A complete object says by
    itself where it ends, so none begins with another one: at a brace of the data at most one of them can stand, and of
    the sorted ones it is the last that does not come after what stands there.

    Args:
        objects: as they are written, each from its brace to its own end.
        shown: the data.
    """
    distinct, data = set(objects), set(shown)
    quoted = {one for one in distinct if len(one) >= _LONG and any(one in text for text in data)}
    short = sorted(one for one in distinct if len(one) < _LONG)
    for text in data if short else ():
        for brace in _BRACE.finditer(text):
            at = brace.start()
            place = bisect_right(short, text[at : at + _LONG]) - 1
            if place >= 0 and text.startswith(short[place], at):
                quoted.add(short[place])
    return frozenset(quoted)
