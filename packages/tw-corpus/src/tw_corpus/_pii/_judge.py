"""Deciding about a candidate: check digit, boundaries, vetoes and context words. Each rule is in docs/pii.md."""

import re
from collections.abc import Callable

from tw_corpus._pii._candidate import Candidate
from tw_corpus._pii._checks import is_arc_new, is_arc_old, is_card, is_national_id, is_ubn, looks_like_date
from tw_corpus._pii._codes import is_part_of_path
from tw_corpus._pii._context import WordsBefore, has_context, in_url, names_another_number, since_finding
from tw_corpus._pii._fold import fold
from tw_corpus._pii._kinds import POLICIES, PiiKind, Policy

_CHECKS: dict[PiiKind, Callable[[str], bool]] = {
    PiiKind.NATIONAL_ID: is_national_id,
    PiiKind.ARC_NEW: is_arc_new,
    PiiKind.ARC_OLD: is_arc_old,
    PiiKind.UBN: is_ubn,
    PiiKind.CARD: is_card,
}
# A placeholder, or the bracket at its end, stands for a finding that an earlier run masked.
_PART_OF_NUMBER_LEFT = re.compile(r"[0-9\]][-.]$|_$")
# Full-width commas and colons separate sentences, not parts of a number, so the text is not folded for these.
_TOUCHED_LEFT = re.compile(r"[0-9A-Za-z０-９\]][-./:,－–．]$|[0-9０-９\]] $|[-/.$#+*=&%@＄＃－]$")
_TOUCHED_RIGHT = re.compile(r"(?:[-/:,－–](?=[A-Za-z])|[-/:,－– ](?:[0-9０-９]|\[遮蔽:)|[%@*=&％])")
_UNIT_RIGHT = re.compile(
    r" ?(?:美元|日圓|歐元|港幣|人民幣|新臺幣|[元圓塊萬億千百餘多人名位次筆件個張股份倍公平噸瓦度年號月日票戶株卷冊頁])"
)
# "landArea: 11947400", "build 24010755": a Latin label names something else.
_LATIN_LABEL_LEFT = re.compile(r"[A-Za-z_)\]}][\"']?[:= ]{1,3}$")
_CURRENCY_LEFT = re.compile(r"(?:[幣約共逾達近第計]|NTD?|USD|TWD)[:： ]?$", re.IGNORECASE)
_STAMP_DIGITS = 8


def is_pii(candidate: Candidate, text: str, before: WordsBefore) -> bool:
    """Decide whether a candidate is what its form says.

    Args:
        candidate: the form.
        text: the whole text.
        before: has passed all findings and placeholders before it.
    """
    kind = candidate.kind
    check = _CHECKS.get(kind)
    if check is not None and not check(candidate.value):
        return False
    left = fold(text[max(0, candidate.start - 2) : candidate.start])
    if _PART_OF_NUMBER_LEFT.search(left) or is_part_of_path(candidate, text, before.end):
        return False
    words = before.at(candidate.start)
    if in_url(words):
        return False
    if kind is PiiKind.MOBILE and candidate.stands_alone:
        return True
    if has_context(kind, words):
        return True
    if POLICIES[kind] is Policy.CONTEXT or not candidate.stands_alone:
        return False
    veto = _VETOES.get(kind)
    return veto is None or not veto(candidate, text, words)


def _veto_ubn(candidate: Candidate, text: str, words: str) -> bool:
    """Eight digits mean many things: a date, an amount, a part of a longer number, an order."""
    left = text[max(0, candidate.start - 2) : candidate.start]
    right = text[candidate.end : candidate.end + 5]
    return (
        looks_like_date(candidate.value)
        or _TOUCHED_LEFT.search(left) is not None
        or _TOUCHED_RIGHT.match(right) is not None
        or _UNIT_RIGHT.match(fold(right)) is not None
        or _CURRENCY_LEFT.search(since_finding(words)[-8:]) is not None
        or _LATIN_LABEL_LEFT.search(since_finding(words)[-8:]) is not None
        or names_another_number(words)
    )


def _veto_named(_candidate: Candidate, _text: str, words: str) -> bool:
    return names_another_number(words)


def _veto_card(candidate: Candidate, _text: str, words: str) -> bool:
    is_grouped = candidate.end - candidate.start > len(candidate.value)
    return not is_grouped and names_another_number(words)


def _veto_certificate(candidate: Candidate, _text: str, words: str) -> bool:
    """Order numbers are made of two letters, a date and a time."""
    return looks_like_date(candidate.value[2 : 2 + _STAMP_DIGITS]) or names_another_number(words)


_VETOES: dict[PiiKind, Callable[[Candidate, str, str], bool]] = {
    PiiKind.UBN: _veto_ubn,
    PiiKind.ARC_OLD: _veto_named,
    PiiKind.CARD: _veto_card,
    PiiKind.CITIZEN_CERTIFICATE: _veto_certificate,
}
