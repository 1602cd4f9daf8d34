"""The search for addresses and numbers without its short cuts: slow, and what the fast one must equal."""

import re
from collections.abc import Iterator

from tw_corpus._pii import _numbers as numbers
from tw_corpus._pii import _phones as phones
from tw_corpus._pii._addresses import address_pattern
from tw_corpus._pii._fold import fold
from tw_corpus._pii._kinds import PiiKind

_NUMERAL_END = "0123456789０１２３４５６７８９一二三四五六七八九十百千零〇○ "


def addresses(text: str) -> list[tuple[int, int]]:
    """Search the window of each sign from its beginning."""
    found: list[tuple[int, int]] = []
    for sign, character in enumerate(text):
        end = found[-1][1] if found else 0
        if character not in "號号" or sign < end or not sign or text[sign - 1] not in _NUMERAL_END:
            continue
        offset = max(end, sign - 56)
        if re.search("[路街道巷弄村里鄰邻]", text[offset:sign]):
            for match in address_pattern().finditer(fold(text[offset : sign + 28])):
                if match.start() <= sign - offset < match.end():
                    found.append((match.start() + offset, match.end() + offset))
                    break
    return found


def numbers_at(window: str, position: int) -> Iterator[tuple[PiiKind, int]]:
    """Kinds and ends of the forms that begin with the bracket, plus or digit at `position`: every pattern is tried."""
    if window[position] in "+(08":
        for kind, pattern in phones._patterns():
            if match := pattern.match(window, position):
                if extension := phones._EXTENSION.match(window, match.end()):
                    yield kind, extension.end()
                yield kind, match.end()
                break
    if window[position].isdigit():
        for kind, pattern in numbers._BARE.items():
            if match := pattern.match(window, position):
                yield kind, match.end()
