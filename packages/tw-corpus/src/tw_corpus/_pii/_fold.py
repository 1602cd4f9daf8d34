"""Full-width letters, digits and brackets and the many dashes as ASCII, one character for one character."""

import re

# Chinese commas, colons and sentence ends stay: they end a number, where their ASCII forms can be part of one.
_PUNCTUATION = "\uff01\uff0c\uff1a\uff1b\uff1f"
_FOLD = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F) if chr(code) not in _PUNCTUATION},
    **dict.fromkeys((0xA0, 0x3000, 0x202F, *range(0x2000, 0x200B)), ord(" ")),
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE63), ord("-")),
}
_FOLDABLE = re.compile("[" + "".join(map(chr, _FOLD)) + "]")

DIGITS = "0-9\uff10-\uff19"
SEPARATORS = " \u3000\u00a0.\uff0e()\uff08\uff09\\-\uff0d\u2010-\u2015\u2212\ufe63"


def fold(text: str) -> str:
    """Return `text` in ASCII width; offsets stay the same."""
    return text if text.isascii() or _FOLDABLE.search(text) is None else text.translate(_FOLD)


def as_wide_as(model: str, character: str) -> str:
    """Return the ASCII `character` in full width where `model` is full-width."""
    return chr(ord(character) + 0xFEE0) if "\uff01" <= model <= "\uff5e" else character
