"""Finding personal data in a text."""

from collections.abc import Iterator

from tw_corpus._pii._candidate import Candidate
from tw_corpus._pii._codes import code_candidates
from tw_corpus._pii._context import WordsBefore
from tw_corpus._pii._judge import is_pii
from tw_corpus._pii._kinds import Finding, PiiKind
from tw_corpus._pii._numbers import number_candidates
from tw_corpus._pii._spans import fixed_spans


def find_pii(text: str) -> tuple[Finding, ...]:
    """Find Taiwanese personal and business identifiers.

    Check digits, forms and context words decide, kind by kind (docs/pii.md). Any string is accepted. Boundaries are
    those of letters and digits, never of words, so an identifier that touches Chinese characters is found and a part
    of a longer number, hash or URL is not. Placeholders of `redact` are no findings.

    Returns:
        The findings in order, without overlap; empty for a text without any.
    """
    found: list[Finding] = []
    before = WordsBefore(text)
    fixed = fixed_spans(text)
    ahead = 0
    for candidate in _candidates(text):
        while ahead < len(fixed) and fixed[ahead][0] <= candidate.start:
            _take(fixed[ahead], found, before)
            ahead += 1
        is_overlapped = candidate.start < before.end or (ahead < len(fixed) and fixed[ahead][0] < candidate.end)
        if not is_overlapped and is_pii(candidate, text, before):
            _take((candidate.start, candidate.end, candidate.kind), found, before)
    for span in fixed[ahead:]:
        _take(span, found, before)
    return tuple(found)


def _take(span: tuple[int, int, PiiKind | None], found: list[Finding], before: WordsBefore) -> None:
    start, end, kind = span
    before.take(start, end)
    if kind is not None:
        found.append(Finding(kind=kind, start=start, end=end))


def _candidates(text: str) -> Iterator[Candidate]:
    codes = code_candidates(text)
    numbers = number_candidates(text)
    if not codes:
        return numbers
    return iter(sorted((*codes, *numbers), key=lambda candidate: candidate.start))
