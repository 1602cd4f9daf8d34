"""How a text is built: running sentences, bare runs of words, and the signs of pages that sell or navigate.

C4 (Raffel et al. 2020, 2.2) keeps lines that end in punctuation, FineWeb (Penedo et al. 2024, 3.6) asks for a share
of such lines. Chinese prose is told better by its sentences: stretches that end in a sentence mark and hold
grammatical characters; menus, keyword lists and adverts hold few of them.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tw_corpus._characters import CharClass, class_table, script_characters
from tw_corpus._joined import JoinedTexts, Marks, Numbers

MIN_SENTENCE_HAN = 8
MIN_SENTENCE_FUNCTION = 2
_NEW_LINE = 0x0A
_FIRST_ARROW = 0x2190
_HEAVY_BRACKET = ord("【")
_FIRST_HAN, _LAST_HAN = 0x4E00, 0x9FFF
_LEVEL_1 = (b"\xa4\x40", b"\xc6\x7e")

# A dollar sign and a figure, or a figure and a unit; written so that the first character alone rules out most places.
_PRICE = re.compile(r"[$0-9](?:(?<=\$) ?[0-9]|(?<=[0-9]) ?[元折塊組%起])")
_BRACKETED_NUMBER = re.compile(r"[(（] ?\d[\d,.]* ?[)）]")
# Signs that are counted, by the measure that counts them.
_SIGNS = ("!！", "你您妳", "|｜/／>»›·・•、")

_HAN_CLASSES = slice(CharClass.TRADITIONAL_FUNCTION + 1)
_FUNCTION_CLASSES = [CharClass.HAN_FUNCTION, CharClass.SIMPLIFIED_FUNCTION, CharClass.TRADITIONAL_FUNCTION]
# One sum counts both: ideographs in the low half, the grammatical ones among them in the high half.
_FUNCTION_UNIT = 1 << 32
_HAN_MASK = _FUNCTION_UNIT - 1
_UNITS = np.zeros(len(CharClass), dtype=np.int64)
_UNITS[_HAN_CLASSES] = 1
_UNITS[_FUNCTION_CLASSES] += _FUNCTION_UNIT
_IS_CUT = _UNITS == 0
_IS_CUT[[CharClass.KANA, CharClass.HANGUL, CharClass.BOPOMOFO, CharClass.LATIN, CharClass.LATIN_1]] = False
_IS_CUT[[CharClass.LETTER, CharClass.DIGIT]] = False


class Structure(NamedTuple):
    """What `measure_structure` finds; see `Measures` for the fields. Shares are 0 where there is nothing to count."""

    sentence_han_share: float
    bare_run_han_share: float
    lone_han_share: float
    rare_han_share: float
    exclamation_share: float
    second_person_share: float
    decoration_share: float
    separator_share: float
    price_share: float
    bracketed_number_share: float


def measure_structure(joined: JoinedTexts, *, num_written: Sequence[int], num_han: Sequence[int]) -> list[Structure]:
    """Measure how each of some texts is built.

    Args:
        joined: the texts.
        num_written: written characters of each, the denominator of most shares, at least 1.
        num_han: ideographs of each.
    """
    return [
        Structure(
            sentence_han_share=sentence / max(han, 1),
            bare_run_han_share=bare / max(han, 1),
            lone_han_share=lone / max(han, 1),
            rare_han_share=num_rare / max(han, 1),
            exclamation_share=signs[0] / written,
            second_person_share=signs[1] / written,
            decoration_share=num_decorations / written,
            separator_share=signs[2] / written,
            price_share=_num_prices(text) / written,
            bracketed_number_share=_num_bracketed(text) / written,
        )
        for text, written, han, sentence, bare, lone, num_rare, num_decorations, signs in zip(
            joined.texts,
            num_written,
            num_han,
            *_han_counts(joined),
            joined.count(_rare_table().take(joined.codes)),
            joined.count(_is_decoration(joined)),
            zip(*_num_signs(joined), strict=True),
            strict=True,
        )
    ]


def _num_prices(text: str) -> int:
    return len(_PRICE.findall(text))


def _num_bracketed(text: str) -> int:
    return len(_BRACKETED_NUMBER.findall(text)) if "(" in text or "（" in text else 0


def _han_counts(joined: JoinedTexts) -> tuple[list[int], list[int], list[int]]:
    """Ideographs of each text that stand in sentences, in runs of words without a grammatical character, and alone.

    A sentence ends in a sentence mark, with no line break inside, and holds at least 8 ideographs of which 2 are
    grammatical. A run is cut by everything that is no letter, digit or ideograph. The line feed behind a text ends
    both.
    """
    classes, numbers, num_texts = joined.classes, joined.numbers, len(joined.texts)
    sums = _UNITS.take(classes).cumsum()
    ends_sentence = classes == CharClass.SENTENCE_END
    stops = (ends_sentence | (joined.codes == _NEW_LINE)).nonzero()[0]
    inside = _between(sums[stops])
    in_sentence = inside & _HAN_MASK
    is_prose = ends_sentence[stops] & (inside >= MIN_SENTENCE_FUNCTION * _FUNCTION_UNIT)
    is_prose &= in_sentence >= MIN_SENTENCE_HAN
    cuts = _IS_CUT.take(classes).nonzero()[0]
    runs = _between(sums[cuts])
    is_bare = runs < _FUNCTION_UNIT
    is_lone = (runs & _HAN_MASK) == 1
    return (
        _sums(numbers[stops[is_prose]], in_sentence[is_prose], num_texts),
        _sums(numbers[cuts[is_bare]], runs[is_bare], num_texts),
        np.bincount(numbers[cuts[is_lone]], minlength=num_texts).tolist(),
    )


def _sums(numbers: Numbers, values: npt.NDArray[np.int64], num_texts: int) -> list[int]:
    """Sum of the values of each text; numpy adds them as floats, which hold counts exactly."""
    return np.bincount(numbers, values, minlength=num_texts).astype(np.int64).tolist()


def _between(sums: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What lies between consecutive positions of a running sum, from the start on."""
    between = sums.copy()
    between[1:] -= sums[:-1]
    return between


@lru_cache(maxsize=1)
def _rare_table() -> npt.NDArray[np.bool_]:
    """Whether each code point is an ideograph outside the first level of Big5 (A440 to C67E) and not Simplified-only.

    The 5,401 characters of that level cover Taiwanese text but for rare names; text decoded with the wrong table is
    made of the others.
    """
    rare = class_table() <= CharClass.TRADITIONAL_FUNCTION
    simplified, _ = script_characters()
    for code in range(_FIRST_HAN, _LAST_HAN + 1):
        character = chr(code)
        encoded = character.encode("big5", "replace")
        rare[code] = not (character in simplified or _LEVEL_1[0] <= encoded <= _LEVEL_1[1])
    rare[[ord(character) for character in "々〇〻"]] = False
    return rare


@lru_cache(maxsize=1)
def _sign_table() -> npt.NDArray[np.uint8]:
    """Which of `_SIGNS` each code point belongs to, from 1 on; 0 for the others."""
    table = np.zeros(0x110000, dtype=np.uint8)
    for kind, signs in enumerate(_SIGNS, start=1):
        table[[ord(sign) for sign in signs]] = kind
    table.flags.writeable = False
    return table


def _num_signs(joined: JoinedTexts) -> list[list[int]]:
    """Signs of each kind in each text, by kind."""
    kinds = _sign_table().take(joined.codes)
    places = kinds.nonzero()[0]
    num_texts = len(joined.texts)
    found = (kinds[places].astype(np.intp) - 1) * num_texts + joined.numbers[places]
    return np.bincount(found, minlength=len(_SIGNS) * num_texts).reshape(len(_SIGNS), num_texts).tolist()


def _is_decoration(joined: JoinedTexts) -> Marks:
    """Arrows, dingbats, emoji, and the heavy bracket 【 that frames slogans."""
    marks = joined.classes == CharClass.SYMBOL
    marks &= joined.codes >= _FIRST_ARROW
    marks |= joined.codes == _HEAVY_BRACKET
    return marks
