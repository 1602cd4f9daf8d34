"""Forms of Taiwanese phone numbers in folded text. Every pattern has a bounded length, so a scan is linear."""

import re
from collections.abc import Iterator
from functools import lru_cache

from tw_corpus._pii._candidate import Candidate
from tw_corpus._pii._kinds import PiiKind

_SEP = r"(?: ?[-.] ?| )"
_END = r"(?!(?!ext|EXT|Ext)[0-9A-Za-z_])(?![-.](?:[0-9]|\[遮蔽:))"
_EXTENSION = re.compile(
    r"(?:[ ,，、]?(?:轉分機|分機|轉|ext\.?|extension)|[ ,，]?#)[:： ]{0,2}\d{1,6}"
    r"(?![0-9A-Za-z_])(?![-.](?:[0-9]|\[遮蔽:))",
    re.IGNORECASE,
)
_COUNTRY = rf"(?:\((?:\+|00)?886\)|(?:\+|00)?886){_SEP}?(?:\(0\){_SEP}?|0)?"

# Subscriber numbers, area by area (numbering plan of the National Communications Commission). None begins with 0.
# Numbers with 02-1 and 03-1 are not assigned; `pseudonymise` makes them, so they are found.
_FIVE, _SIX = rf"\d{{5}}|\d{{2}}{_SEP}\d{{3}}", rf"\d{{3}}{_SEP}?\d{{3}}|\d{{2}}{_SEP}\d{{4}}"
_SEVEN = rf"\d{{3}}{_SEP}?\d{{4}}|\d{{4}}{_SEP}\d{{3}}|\d{{3}}{_SEP}\d{{2}}{_SEP}\d{{2}}"
_EIGHT = rf"\d{{4}}{_SEP}?\d{{4}}|\d{{3}}{_SEP}\d{{3}}{_SEP}\d{{2}}|\d{{2}}{_SEP}\d{{2}}{_SEP}\d{{2}}{_SEP}\d{{2}}"
_AREAS = (
    ("826|836", "[1-9]", _FIVE),
    ("37|82|89", "[1-9]", _SIX),
    ("49", "[1-9]", _SEVEN),
    ("2", "[1-9]", _EIGHT),
    ("4", "[2-9]", _EIGHT),
    ("3", "[1-9]", _SEVEN),
    ("[4-8]", "[2-9]", _SEVEN),
)


def _landline(before: str, after: str) -> str:
    return "|".join(f"(?:{before}(?:{area}){after}(?={first})(?:{rest}){_END})" for area, first, rest in _AREAS)


_LENGTHS = {_FIVE: 5, _SIX: 6, _SEVEN: 7, _EIGHT: 8}
_UNBROKEN = "|".join(f"0(?:{area})(?={first})\\d{{{_LENGTHS[rest]}}}" for area, first, rest in _AREAS)
_NINE = (
    rf"\d{{2}}{_SEP}?\d{{3}}{_SEP}?\d{{3}}|\d{{2}}{_SEP}\d{{2}}{_SEP}\d{{2}}{_SEP}\d{{2}}"
    rf"|\d{{2}}{_SEP}\d{{2}}{_SEP}\d{{4}}|\d{{2}}{_SEP}\d{{4}}{_SEP}\d{{2}}|{_SEP}\d{{4}}{_SEP}?\d{{4}}"
    rf"|{_SEP}\d{{2}}{_SEP}\d{{3}}{_SEP}\d{{3}}|\d{{3}}{_SEP}\d{{5}}|\d{{4}}{_SEP}\d{{4}}"
)
# What every form begins with. Tried first, since most brackets and zeros begin no number and the forms are many.
_LIKELY = re.compile(
    rf"\(0\d{{1,3}}\)(?:{_SEP}?\d){{5}}|0(?:{_SEP}?\d){{8}}"
    rf"|\(?(?:\+|00)?886\)?{_SEP}?(?:\(0\){_SEP}?|0)?\(?\d{{1,4}}\)?(?:{_SEP}?\d){{4}}",
    re.ASCII,
)
_NOT_DIGIT = re.compile(r"\D", re.ASCII)
_COUNTRY_DIGITS = re.compile(r"(?:00)?886(0?)")


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[PiiKind, re.Pattern[str]], ...]:
    """Compiled at their first use, since that takes longer than importing the package."""
    close, abroad = rf"\){_SEP}?", rf"\((?:\+|00)?886{_SEP}?"
    mobile = (
        rf"\(09\d{{2}}{close}\d{{3}}{_SEP}?\d{{3}}",
        rf"09(?:{_NINE})",
        rf"{abroad}9\d{{2}}{close}\d{{3}}{_SEP}?\d{{3}}",
        rf"{_COUNTRY}9(?:{_NINE})",
    )
    landline = (
        _landline(r"\(0", close),
        _landline("0", _SEP),
        _landline(f"{abroad}0?", close),
        _landline(rf"{_COUNTRY}\(", close),
        _landline(_COUNTRY, f"{_SEP}?"),
        rf"(?:{_UNBROKEN}){_END}",
    )
    return (
        (PiiKind.MOBILE, re.compile(f"(?:{'|'.join(mobile)}){_END}", re.ASCII)),
        (PiiKind.LANDLINE, re.compile("|".join(landline), re.ASCII)),
    )


def phone_candidates(window: str, position: int, offset: int) -> Iterator[Candidate]:
    """Yield a phone number that begins at `position` of a folded window: with its extension, then without.

    The second counts where the extension turns out to belong to something else.

    Args:
        window: folded text.
        position: where a number, plus or bracket begins.
        offset: what to add to make it a position in the text.

    Returns:
        Nothing where no number begins. Without separator, bracket or plus a land line does not stand alone, and neither
        does a number that begins with 886.
    """
    if not _LIKELY.match(window, position):
        return
    matches = ((kind, pattern.match(window, position)) for kind, pattern in _patterns())
    kind, found = next(((kind, match) for kind, match in matches if match), (PiiKind.LANDLINE, None))
    if found is None:
        return
    is_bare = found[0].isdigit() and (kind is PiiKind.LANDLINE or not found[0].startswith("09"))
    extension = _EXTENSION.match(window, found.end())
    for end in (found.end(),) if extension is None else (extension.end(), found.end()):
        yield Candidate(
            kind=kind,
            start=position + offset,
            end=end + offset,
            value=national_digits(found[0]),
            stands_alone=not is_bare,
        )


def national_digits(number: str) -> str:
    """Return the digits of a folded number without extension, with 0 in the place of the country code."""
    digits = _NOT_DIGIT.sub("", number)
    country = _COUNTRY_DIGITS.match(digits)
    return "0" + digits[country.end() :] if country else digits


def split_extension(number: str) -> tuple[str, str]:
    """Cut a folded number in two: the number itself, and the extension with its marker, which may be empty."""
    extension = re.search(rf"(?:{_EXTENSION.pattern})$", number, re.IGNORECASE)
    return (number, "") if extension is None else (number[: extension.start()], extension[0])
