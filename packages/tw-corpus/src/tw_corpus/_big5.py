"""Big5 as Taiwanese pages use it: cp950, the ETEN extensions and HKSCS, in one mapping.

Python's codecs alone do not do: ``big5`` lacks 碁 and its neighbours (0xF9D6-0xF9FE); ``cp950`` has them, but gives
0xC6A1-0xC7FC the kana order of an old draft instead of ETEN's (circled digits, radicals, kana, Cyrillic);
``big5hkscs`` has ETEN's order, but other symbols in row 0xA1-0xA2 (∼ for ～, ¥ for ￥) and no control pictures.

The rule, pair by pair, which is also that of the WHATWG index ``big5``:

1. 0xC6A1-0xC8FE is ETEN's (from ``big5hkscs``; the seven pairs that HKSCS leaves out from the table below);
2. 0xA3C0-0xA3E0 are ETEN's pictures of control characters;
3. what ``cp950`` has is ``cp950``'s: where it differs from HKSCS, a Taiwanese page means cp950's character;
4. everything else is HKSCS (0x8740-0xA0FE, 0xFA40-0xFEFE, supplementary Han characters included).

Not covered: Unicode-at-on (Big5-UAO) and private fonts; their pairs below 0xA140 are read as HKSCS or replaced.
"""

from dataclasses import dataclass
from functools import cache

_STEP = 8192  # a strict decoder is restarted after each extension pair; the step bounds what a restart looks at
_REPLACEMENT = "\ufffd"
_FIRST_NON_ASCII = 0x80
_PAIR = 2
_ETEN_FIRST, _MOVED_LAST, _ETEN_LAST = b"\xc6\xa1", b"\xc7\xfc", b"\xc8\xd3"
_ETEN_ONLY = {
    b"\xc6\xcd": "幺",  # HKSCS gives the compatibility radical U+2F33
    b"\xc6\xcf": "廴",
    b"\xc6\xd3": "无",
    b"\xc6\xd5": "癶",
    b"\xc6\xd7": "隶",
    b"\xc6\xde": "〃",
    b"\xc6\xdf": "仝",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Big5Text:
    """Text read from Big5.

    Attributes:
        text: the text.
        encoding: the smallest set that holds it: ``cp950``, ``big5-eten`` or ``big5-hkscs``.
        num_replaced: bytes or pairs without a character, each now U+FFFD.
    """

    text: str
    encoding: str
    num_replaced: int


def decode_big5(payload: bytes) -> Big5Text:
    """Decode Big5 bytes by the rule of the module; what has no character becomes U+FFFD and is counted.

    Linear in the length of `payload`. Empty bytes give empty text in ``cp950``.
    """
    parts: list[str] = []
    num_replaced, uses_eten, uses_hkscs = 0, False, False
    position = 0
    while position < len(payload):
        chunk = payload[position : position + _STEP]
        good = _valid_length(chunk)
        read = chunk[:good].decode("cp950")
        moved = read.translate(_moved_pairs())
        uses_eten = uses_eten or moved != read
        parts.append(moved)
        position += good
        if good == len(chunk) or (good and good == len(chunk) - 1 and position + 1 < len(payload)):
            continue  # all read, or the step may have cut a pair: look again from its lead byte
        pair = payload[position : position + 2]
        if (character := _extension(pair)) is not None:
            is_eten = _ETEN_FIRST <= pair <= _ETEN_LAST or pair in _control_pictures()
            uses_eten, uses_hkscs = uses_eten or is_eten, uses_hkscs or not is_eten
            position += 2
        else:
            num_replaced += 1
            # An ASCII byte after a broken lead byte stands for itself (WHATWG Encoding, Big5 decoder).
            position += 2 if len(pair) == _PAIR and pair[1] >= _FIRST_NON_ASCII else 1
        parts.append(character or _REPLACEMENT)
    encoding = "big5-hkscs" if uses_hkscs else "big5-eten" if uses_eten else "cp950"
    return Big5Text(text="".join(parts), encoding=encoding, num_replaced=num_replaced)


def _valid_length(chunk: bytes) -> int:
    """Count the leading bytes of `chunk` that cp950 decodes."""
    try:
        chunk.decode("cp950")
    except UnicodeDecodeError as error:
        return error.start
    return len(chunk)


@cache
def _extension(pair: bytes) -> str | None:
    """Look up a pair that cp950 lacks; `None` where ETEN and HKSCS lack it too."""
    if pair in _control_pictures():
        return _control_pictures()[pair]
    if (eten := _ETEN_ONLY.get(pair)) is not None:
        return eten
    try:
        return pair.decode("big5hkscs") if pair[0] >= _FIRST_NON_ASCII else None
    except UnicodeDecodeError:
        return None


@cache
def _control_pictures() -> dict[bytes, str]:
    """ETEN's 0xA3C0-0xA3E0: pictures of U+0000-U+001F and of DEL."""
    return {bytes((0xA3, 0xC0 + i)): picture for i, picture in enumerate([*map(chr, range(0x2400, 0x2420)), "␡"])}


@cache
def _moved_pairs() -> dict[int, str]:
    """Characters that only cp950's order of 0xC6A1-0xC7FC gives, with what ETEN has at the same pair."""
    moved: dict[int, str] = {}
    for lead in (0xC6, 0xC7):
        for trail in (*range(0x40, 0x7F), *range(0xA1, 0xFF)):
            pair = bytes((lead, trail))
            if _ETEN_FIRST <= pair <= _MOVED_LAST and (right := _extension(pair)):
                moved[ord(pair.decode("cp950"))] = right
    return moved
