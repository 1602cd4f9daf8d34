"""Candidates that only a word in the text makes worth looking for: e-invoice carriers and donation codes."""

import re
from collections.abc import Iterator

from tw_corpus._pii._candidate import Candidate
from tw_corpus._pii._fold import DIGITS, fold
from tw_corpus._pii._kinds import PiiKind

_CARRIER_WORDS = ("載具", "條碼", "雲端發票", "载具", "条码")
_DONATION_WORDS = ("捐贈碼", "愛心碼", "捐贈代碼", "捐赠码", "爱心码")
_ALNUM = "0-9A-Za-z\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
_CODE = r"0-9A-Z.+\-\uff10-\uff19\uff21-\uff3a\uff0e\uff0b\uff0d"
# The seven characters may be full stops, so one that ends a sentence is allowed behind them.
_CARRIER = re.compile(rf"[/\uff0f]([{_CODE}]{{7}})(?![{_ALNUM}_/+\-]|\[遮蔽:)(?!\.(?:[{_ALNUM}.+\-/]|\[遮蔽:))")
# A slash behind one of these belongs to a path or a number, unless what stands before it is a finding.
_JOINED = re.compile(rf"[{_ALNUM}/._]")
_DONATION = re.compile(
    rf"(?:捐贈碼|愛心碼|捐贈代碼|捐赠码|爱心码)[^{_ALNUM}\[\]。]{{0,12}}([{DIGITS}]{{3,7}})"
    rf"(?![{_ALNUM}_\-/]| ?[年月日元個份次%])"
)


def code_candidates(text: str) -> list[Candidate]:
    """Return e-invoice carriers (slash and seven characters) and donation codes (three to seven digits).

    They are looked for only where the text holds one of their words; where a carrier's word must stand is decided
    later, a donation code follows its word within twelve characters.
    """
    has_carrier = any(word in text for word in _CARRIER_WORDS)
    has_donation = any(word in text for word in _DONATION_WORDS)
    if not (has_carrier or has_donation):
        return []
    found = [*_matches(PiiKind.EINVOICE_BARCODE, _CARRIER, text)] if has_carrier else []
    if has_donation:
        found += _matches(PiiKind.EINVOICE_DONATION, _DONATION, text)
    return found


def is_part_of_path(candidate: Candidate, text: str, last_end: int) -> bool:
    """Tell whether the slash of a carrier goes on with what stands before it.

    Args:
        candidate: the form, of any kind.
        text: the whole text.
        last_end: where the last finding or placeholder before it ends. Directly behind one a carrier begins, whether
            the finding is masked yet or not; so masking is idempotent.
    """
    if candidate.kind is not PiiKind.EINVOICE_BARCODE or candidate.start in {0, last_end}:
        return False
    return _JOINED.match(text, candidate.start - 1) is not None


def _matches(kind: PiiKind, pattern: re.Pattern[str], text: str) -> Iterator[Candidate]:
    for found in pattern.finditer(text):
        start = found.start(1) - (kind is PiiKind.EINVOICE_BARCODE)
        yield Candidate(kind=kind, start=start, end=found.end(1), value=fold(found[1]), stands_alone=False)
