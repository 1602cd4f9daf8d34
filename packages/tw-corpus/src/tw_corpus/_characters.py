"""Character classes: every code point belongs to one class, looked up in one table.

The table is what makes measuring fast: a text becomes an array of classes, and counting them is one pass in C.
"""

import unicodedata
from enum import IntEnum
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint32]
Classes = npt.NDArray[np.uint8]


class CharClass(IntEnum):
    """Class of a code point. The six ideograph classes come first, so that `<= HAN_LAST` asks for any of them."""

    HAN = 0
    HAN_FUNCTION = 1
    SIMPLIFIED = 2
    SIMPLIFIED_FUNCTION = 3
    TRADITIONAL = 4
    TRADITIONAL_FUNCTION = 5
    KANA = 6
    HANGUL = 7
    BOPOMOFO = 8
    LATIN = 9
    LATIN_1 = 10  # U+00C0 to U+00FF: Latin letters, and the debris of UTF-8 read as Latin-1
    LETTER = 11  # letters of further scripts
    DIGIT = 12
    SENTENCE_END = 13
    PUNCTUATION = 14
    SYMBOL = 15
    RULE = 16  # ASCII characters that rules are drawn with: - = _ ~ * + |
    BOX = 17  # box drawing and blocks: the lines of tables
    BLANK = 18
    PRIVATE_USE = 19
    REPLACEMENT = 20
    OTHER = 21


NUM_CLASSES = len(CharClass)
HAN_LAST = CharClass.TRADITIONAL_FUNCTION

# Grammatical words of written and spoken Mandarin in both scripts. Prose holds about one in four of them, menus and
# keyword lists almost none. The idea is Gopher's stop-word rule (Rae et al. 2021, A1.1) and FineWeb2's cmn_Hani list.
FUNCTION_CHARACTERS = (
    "的是在有不了我你妳您他她它牠們们這这那哪誰谁個个些此其各每某何怎麼么甚什也都就還还又再才只已曾將将便則则且而或及與与和跟"
    "於于以之為为者被把讓让使由從从到對对向往因所如若雖虽但並并即既依得地著着過过來来去起可能要應应該该需须須想"
    "說说做很太更非沒没無无未勿嗎吗呢吧啊呀喔哦啦耶嘛欸唉等"
)
# Named apart for the rule on distinct function characters: the commonest ones.
CORE_FUNCTION_CHARACTERS = "的是在有不了我你他這这那個个也就都和與与於于以之為为及"

_SENTENCE_END = "。！？!?…；;︒｡"
_RULE = "-=_~*+|"
_ALSO_SYMBOL = "#$%&@\\^`<>/{}[]"
_BLANK = "\t\n\r\x0b\x0c\x85"


def codes_of(text: str) -> Codes:
    """The code points of `text`; lone surrogates count as code points."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def count_classes(classes: Classes) -> npt.NDArray[np.intp]:
    """How many characters of each class; an array of `NUM_CLASSES` counts."""
    return np.bincount(classes, minlength=NUM_CLASSES)


@lru_cache(maxsize=1)
def class_table() -> Classes:
    """Class of every code point, 0 to 0x10FFFF."""
    table = np.full(0x110000, CharClass.OTHER, dtype=np.uint8)
    # Ideographs, private use and Hangul are named by block below; only the rest needs its Unicode category.
    for first, last in ((0x20, 0x3400), (0xA000, 0xAC00), (0xFB00, 0x10000), (0x1D000, 0x1FB00)):
        for code in range(first, last):
            table[code] = _class_by_category(chr(code))
    for first, last, of_class in _BLOCKS:
        table[first : last + 1] = of_class
    for characters, of_class in (
        (_SENTENCE_END, CharClass.SENTENCE_END),
        (_ALSO_SYMBOL, CharClass.SYMBOL),
        (_RULE, CharClass.RULE),
        (_BLANK, CharClass.BLANK),
        ("々〇〻", CharClass.HAN),
        ("\ufffd", CharClass.REPLACEMENT),
        (FUNCTION_CHARACTERS, CharClass.HAN_FUNCTION),
    ):
        table[[ord(character) for character in characters]] = of_class
    simplified, traditional = script_characters()
    function = set(FUNCTION_CHARACTERS)
    for characters, plain in ((simplified, CharClass.SIMPLIFIED), (traditional, CharClass.TRADITIONAL)):
        table[[ord(character) for character in characters - function]] = plain
        table[[ord(character) for character in characters & function]] = plain + 1
    table.flags.writeable = False
    return table


_BLOCKS = (
    (0x3400, 0x4DBF, CharClass.HAN),
    (0x4E00, 0x9FFF, CharClass.HAN),
    (0xF900, 0xFAFF, CharClass.HAN),
    (0x20000, 0x323AF, CharClass.HAN),
    (0x2E80, 0x2FD5, CharClass.HAN),
    (0x3041, 0x30FF, CharClass.KANA),
    (0x31F0, 0x31FF, CharClass.KANA),
    (0xFF66, 0xFF9F, CharClass.KANA),
    (0x1100, 0x11FF, CharClass.HANGUL),
    (0x3131, 0x318E, CharClass.HANGUL),
    (0xAC00, 0xD7A3, CharClass.HANGUL),
    (0x3105, 0x312F, CharClass.BOPOMOFO),
    (0x31A0, 0x31BF, CharClass.BOPOMOFO),
    (0x00C0, 0x00FF, CharClass.LATIN_1),
    (0x2500, 0x259F, CharClass.BOX),
    (0xE000, 0xF8FF, CharClass.PRIVATE_USE),
    (0xF0000, 0x10FFFD, CharClass.PRIVATE_USE),
)

_CLASS_OF_CATEGORY = {"P": CharClass.PUNCTUATION, "S": CharClass.SYMBOL, "Z": CharClass.BLANK, "L": CharClass.LETTER}


def _class_by_category(character: str) -> CharClass:
    category = unicodedata.category(character)
    if category == "Nd":
        return CharClass.DIGIT
    if category.startswith("L") and unicodedata.name(character, "").startswith(("LATIN", "FULLWIDTH LATIN")):
        return CharClass.LATIN
    if category in {"No", "Nl"}:
        return CharClass.SYMBOL
    return _CLASS_OF_CATEGORY.get(category[0], CharClass.OTHER)


@lru_cache(maxsize=1)
def script_characters() -> tuple[frozenset[str], frozenset[str]]:
    """The Simplified-only and the Traditional-only characters (tables/script_characters.txt)."""
    table = files("tw_corpus").joinpath("tables", "script_characters.txt").read_text(encoding="utf-8")
    sections: dict[str, str] = {}
    name = ""
    for line in table.splitlines():
        if line.startswith("["):
            name = line.strip("[]")
        elif not line.startswith("#"):
            sections[name] = sections.get(name, "") + line
    return frozenset(sections["simplified_only"]), frozenset(sections["traditional_only"])
