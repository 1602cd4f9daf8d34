"""Findings whose form alone decides: e-mail addresses and postal addresses; and placeholders of an earlier run."""

import re
from collections import deque
from collections.abc import Iterator, Sequence

from tw_corpus._pii._addresses import COUNTY, POSTAL_CODE, address_pattern, head_pattern
from tw_corpus._pii._fold import fold
from tw_corpus._pii._kinds import PLACEHOLDER_MARK, PLACEHOLDERS, PiiKind

# RFC 5321, section 4.5.3.1: 64 octets before the sign, 255 after it.
_LOCAL_CHARS, _DOMAIN_CHARS = 64, 255
_LOCAL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-"
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])")
# "foo@2x.png" is a file name.
_FILE_ENDINGS = frozenset(("png", "jpg", "jpeg", "gif", "webp", "svg", "avif", "css", "js", "mp4", "pdf"))
_CREDENTIALS = re.compile(r"://[^/\s]*:$")
_NUMERAL_END = frozenset("0123456789０１２３４５６７８９一二三四五六七八九十百千零〇○ ")
_STREET = re.compile("[路街道巷弄村里鄰邻]")
_ADDRESS_BEFORE, _ADDRESS_AFTER = 56, 28
_POSTAL_CODE_CHARS = 8
_PLACEHOLDER = re.compile("|".join(map(re.escape, PLACEHOLDERS.values())))


def placeholder_spans(text: str) -> list[tuple[int, int]]:
    """Return where an earlier `redact` put its placeholders."""
    return [found.span() for found in _PLACEHOLDER.finditer(text)] if PLACEHOLDER_MARK in text else []


def _positions(text: str, character: str) -> Iterator[int]:
    position = text.find(character)
    while position >= 0:
        yield position
        position = text.find(character, position + 1)


def email_spans(text: str, taken: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield e-mail addresses, also where Chinese characters touch them and in full width.

    The local part is the longest run of its characters on the left, without dots or hyphens at its start, the domain
    the longest on the right. Not taken: user and password of a URL, file names such as ``a@2x.png``.

    Args:
        text: the text.
        taken: spans in order that an address cannot reach into.
    """
    end, ahead = 0, 0
    for sign in sorted((*_positions(text, "@"), *_positions(text, "\uff20"))):
        if sign < end or not (text[sign + 1 : sign + 2].isalnum() and sign):
            continue
        while ahead < len(taken) and taken[ahead][1] <= sign:
            end = max(end, taken[ahead][1])
            ahead += 1
        if found := _email_at(text, sign, end):
            end = found[1]
            yield found


def _email_at(text: str, sign: int, floor: int) -> tuple[int, int] | None:
    before = fold(text[max(floor, sign - _LOCAL_CHARS - 1) : sign])
    local = before[len(before.rstrip(_LOCAL)) :]
    if len(local) > _LOCAL_CHARS:
        return None
    local = local.lstrip(".-%")
    domain = _DOMAIN.match(fold(text[sign + 1 : sign + 1 + _DOMAIN_CHARS]))
    if not local or local.endswith(".") or domain is None:
        return None
    labels = domain[0].split(".")
    if labels[-1].lower() in _FILE_ENDINGS or _CREDENTIALS.search(text[max(0, sign - 200) : sign - len(local)]):
        return None
    length = len(domain[0])
    # "…@example.com.Please write": the capital begins the next sentence.
    if len(labels) > 2 and labels[-1].istitle() and labels[-2].islower():
        length -= len(labels[-1]) + 1
    return sign - len(local), sign + 1 + length


def address_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield postal addresses down to the house number, see `address_pattern`.

    An address is looked for around each 號 behind a numeral, in the 56 characters before it and the 28 from it on.
    """
    signs = [
        sign
        for sign in sorted((*_positions(text, "號"), *_positions(text, "号")))
        if text[sign - 1 : sign] in _NUMERAL_END and _STREET.search(text, max(0, sign - _ADDRESS_BEFORE), sign)
    ]
    first = 0
    for number in range(1, len(signs) + 1):
        if number < len(signs) and signs[number] - signs[number - 1] < _ADDRESS_BEFORE + _ADDRESS_AFTER:
            continue
        offset = max(0, signs[first] - _ADDRESS_BEFORE)
        stretch = AddressStretch(fold(text[offset : signs[number - 1] + _ADDRESS_AFTER]))
        for start, end in stretch.spans([sign - offset for sign in signs[first:number]]):
            yield start + offset, end + offset
        first = number


class AddressStretch:
    """Folded text in which the windows of neighbouring signs overlap.

    A place from where no address goes on is tried once, not again for each sign behind it: a window never makes an
    address of what is none in the longer text. So time grows with the text, not with its signs times their windows.
    """

    def __init__(self, folded: str) -> None:
        self._folded = folded
        self._coming = deque(head.start() for head in head_pattern().finditer(folded))
        self._heads: deque[int] = deque()

    def spans(self, signs: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield the addresses around `signs`, in order and without overlap."""
        end = 0
        for sign in signs:
            offset = max(end, sign - _ADDRESS_BEFORE)
            if sign < end or not _STREET.search(self._folded, offset, sign):
                continue
            self._move(offset, sign)
            found = self._at(sign, offset)
            if found is not None:
                end = found[1]
                yield found

    def _move(self, offset: int, sign: int) -> None:
        """Keep the places from `offset` to `sign` where an address goes on."""
        while self._heads and self._heads[0] < offset:
            self._heads.popleft()
        while self._coming and self._coming[0] <= sign:
            head = self._coming.popleft()
            if head >= offset and address_pattern().match(self._folded, head, head + _ADDRESS_BEFORE + _ADDRESS_AFTER):
                self._heads.append(head)

    def _at(self, sign: int, offset: int) -> tuple[int, int] | None:
        """The first address of the window that holds the sign, as if the window were the whole text."""
        window = self._folded[offset : sign + _ADDRESS_AFTER]
        behind = 0
        for head in self._heads:
            start = head - offset
            if start < behind:
                continue
            found = address_pattern().match(window, _with_postal_code(window, start, behind))
            if found is None:
                continue
            if found.end() > sign - offset:
                return found.start() + offset, found.end() + offset
            behind = found.end()
        return None


def _with_postal_code(window: str, start: int, floor: int) -> int:
    """Where an address begins whose county or road begins at `start`; not before `floor`."""
    before = window[start - 1 : start]
    if not (before == " " or before.isdecimal()) or not COUNTY.match(window, start):
        return start
    code = POSTAL_CODE.search(window, max(floor, start - _POSTAL_CODE_CHARS), start)
    return start if code is None else code.start()


def fixed_spans(text: str) -> list[tuple[int, int, PiiKind | None]]:
    """Return all of them in order and without overlap; placeholders have no kind."""
    taken = sorted((*placeholder_spans(text), *address_spans(text)))
    emails = [(start, end, PiiKind.EMAIL) for start, end in email_spans(text, taken)]
    others = [(start, end, None if text[start] == "[" else PiiKind.ADDRESS) for start, end in taken]
    return sorted((*emails, *others), key=lambda span: span[:2])
