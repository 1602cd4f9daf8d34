"""Candidates among runs of digits: identifiers with letters, company numbers, phones, cards, context-only numbers.

One scan of the text takes runs of at least seven digits and separators; only those are folded and looked at.
"""

import re
from collections.abc import Iterator

from tw_corpus._pii._candidate import Candidate
from tw_corpus._pii._fold import DIGITS, SEPARATORS, fold
from tw_corpus._pii._kinds import PiiKind
from tw_corpus._pii._phones import phone_candidates

# One repeated class: no backtracking, no stack, whatever the length.
_RUN = re.compile(f"[{DIGITS}][{DIGITS}{SEPARATORS}]{{6,}}")
# Most runs of a web page are dates, some with an hour behind them.
_DATE = re.compile(r"(?:19|20)\d\d([-.])[01]?\d\1[0-3]?\d(?: \d\d)?[ (（)）\-－.]*", re.ASCII)
_BEFORE, _PREFIX, _AFTER = 8, 4, 24
_START = re.compile(r"(?<![0-9A-Za-z_])(?=[0-9]{2}|[A-Z]{1,2}[- ]?[0-9])|(?=[+(])")
_END = r"(?![0-9A-Za-z_])(?![-.](?:[0-9]|\[遮蔽:))"
_NINE_DIGITS = r"\d{9}|\d{3}[- ]\d{3}[- ]\d{3}|\d[- ]\d{4}[- ]\d{4}|\d{5}[- ]\d{4}|\d{4}[- ]\d{5}"
_LETTERED = {
    PiiKind.NATIONAL_ID: re.compile(rf"[A-Z][- ]?(?=[12])(?:{_NINE_DIGITS}){_END}", re.ASCII),
    PiiKind.ARC_NEW: re.compile(rf"[A-Z][- ]?(?=[89])(?:{_NINE_DIGITS}){_END}", re.ASCII),
    PiiKind.ARC_OLD: re.compile(rf"[A-Z][A-D][- ]?\d{{8}}{_END}", re.ASCII),
    PiiKind.CITIZEN_CERTIFICATE: re.compile(
        rf"[A-Z]{{2}}[- ]?(?:\d{{14}}|\d{{4}}(?:[- ]\d{{4}}){{2}}[- ]\d\d){_END}", re.ASCII
    ),
}
_BARE = {
    PiiKind.CARD: re.compile(
        rf"(?:\d{{13,19}}|\d{{4}}([- ])\d{{4}}\1\d{{4}}\1\d{{4}}(?:\1\d{{1,3}})?"
        rf"|\d{{4}}([- ])\d{{6}}\2\d{{4,5}}){_END}",
        re.ASCII,
    ),
    PiiKind.NHI_CARD: re.compile(rf"(?:\d{{12}}|\d{{4}}([- ])\d{{4}}\1\d{{4}}){_END}", re.ASCII),
    PiiKind.UBN: re.compile(
        rf"(?:\d{{8}}|\d{{7}}-\d|\d{{4}}[- ]\d{{4}}|\d\d[- ]\d{{3}}[- ]\d{{3}}|\d\d[- ]\d{{6}}){_END}", re.ASCII
    ),
    PiiKind.PASSPORT: re.compile(rf"(?:\d{{9}}|\d{{3}}[- ]\d{{3}}[- ]\d{{3}}){_END}", re.ASCII),
}
# What every form in _BARE has; tried first.
_EIGHT_DIGITS = re.compile(r"\d(?:[- ]?\d){7}", re.ASCII)
_NOT_ALNUM = re.compile(r"[^0-9A-Z]")
# Shorter and longer unbroken numbers are bar codes and accounts more often than cards.
_CARD_LENGTHS = frozenset((15, 16))


def number_candidates(text: str) -> Iterator[Candidate]:
    """Yield candidates in the order of their start; at one start the likelier form comes first."""
    for run in _RUN.finditer(text):
        if _DATE.fullmatch(run[0]):
            continue
        offset = max(run.start() - _BEFORE, 0)
        window = fold(text[offset : run.end() + _AFTER])
        first = run.start() - offset
        for start in _START.finditer(window, max(first - _PREFIX, 0), run.end() - offset):
            position = start.start()
            if window[position].isdigit() and position < first:
                continue
            yield from _candidates_at(window, position, offset)


def _candidates_at(window: str, position: int, offset: int) -> Iterator[Candidate]:
    """Try each form that can begin with the character at `position`."""
    first = window[position]
    if first.isalpha():
        yield from _matches(_LETTERED, window, position, offset)
        return
    if first in "+(08":
        yield from phone_candidates(window, position, offset)
    if first.isdigit() and _EIGHT_DIGITS.match(window, position):
        yield from _matches(_BARE, window, position, offset)


def _matches(patterns: dict[PiiKind, re.Pattern[str]], window: str, position: int, offset: int) -> Iterator[Candidate]:
    for kind, pattern in patterns.items():
        if found := pattern.match(window, position):
            value = _NOT_ALNUM.sub("", found[0])
            is_unbroken = len(value) == len(found[0])
            yield Candidate(
                kind=kind,
                start=position + offset,
                end=found.end() + offset,
                value=value,
                stands_alone=(not is_unbroken or len(value) in _CARD_LENGTHS) if kind is PiiKind.CARD else is_unbroken,
            )
