"""How a text is built: running sentences, bare runs of words, and the signs of pages that sell or navigate.

C4 (Raffel et al. 2020, 2.2) keeps lines that end in punctuation, FineWeb (Penedo et al. 2024, 3.6) asks for a share
of such lines. Chinese prose is told better by its sentences: stretches that end in a sentence mark and hold
grammatical characters; menus, keyword lists and adverts hold few of them.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tw_corpus._characters import CharClass, Classes, Codes, class_table, script_characters

MIN_SENTENCE_HAN = 8
MIN_SENTENCE_FUNCTION = 2
_NEW_LINE = 0x0A
_FIRST_ARROW = 0x2190
_FIRST_HAN, _LAST_HAN = 0x4E00, 0x9FFF
_LEVEL_1 = (b"\xa4\x40", b"\xc6\x7e")

_PRICE = re.compile(r"\$ ?[0-9]|[0-9] ?[元折塊組%起]")
_BRACKETED_NUMBER = re.compile(r"[(（] ?\d[\d,.]* ?[)）]")
_SEPARATORS = "|｜/／>»›·・•、"
_SECOND_PERSON = "你您妳"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
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


def measure_structure(text: str, codes: Codes, classes: Classes, *, num_written: int, num_han: int) -> Structure:
    """Measure how `text` is built.

    Args:
        text: any string.
        codes: its code points.
        classes: their classes.
        num_written: written characters, the denominator of most shares, at least 1.
        num_han: ideographs.
    """
    sentence, bare, lone = _han_shares(codes, classes)
    return Structure(
        sentence_han_share=sentence,
        bare_run_han_share=bare,
        lone_han_share=lone,
        rare_han_share=int(np.count_nonzero(_rare_table().take(codes))) / max(num_han, 1),
        exclamation_share=(text.count("!") + text.count("！")) / num_written,
        second_person_share=sum(map(text.count, _SECOND_PERSON)) / num_written,
        decoration_share=_num_decorations(text, codes, classes) / num_written,
        separator_share=sum(map(text.count, _SEPARATORS)) / num_written,
        price_share=len(_PRICE.findall(text)) / num_written,
        bracketed_number_share=_num_bracketed(text) / num_written,
    )


def _num_bracketed(text: str) -> int:
    return len(_BRACKETED_NUMBER.findall(text)) if "(" in text or "（" in text else 0


def _han_shares(codes: Codes, classes: Classes) -> tuple[float, float, float]:
    """Shares of the ideographs that stand in sentences, in runs of words without a grammatical character, and alone.

    A sentence ends in a sentence mark, with no line break inside, and holds at least 8 ideographs of which 2 are
    grammatical. A run is cut by everything that is no letter, digit or ideograph.
    """
    size = len(classes)
    sums = np.zeros(size + 1, dtype=np.int64)
    np.cumsum(_UNITS.take(classes), out=sums[1:])
    total = int(sums[-1]) & _HAN_MASK
    if total == 0:
        return 0.0, 0.0, 0.0
    ends_sentence = classes == CharClass.SENTENCE_END
    stops = (ends_sentence | (codes == _NEW_LINE)).nonzero()[0]
    inside = _between(sums[stops])
    is_prose = ends_sentence[stops] & (inside >= MIN_SENTENCE_FUNCTION * _FUNCTION_UNIT)
    in_sentences = (inside & _HAN_MASK)[is_prose]
    cuts = _IS_CUT.take(classes).nonzero()[0]
    runs = _between(np.concatenate((sums[cuts], sums[-1:])))
    return (
        int(in_sentences[in_sentences >= MIN_SENTENCE_HAN].sum()) / total,
        int(runs[runs < _FUNCTION_UNIT].sum()) / total,
        int(np.count_nonzero((runs & _HAN_MASK) == 1)) / total,
    )


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


def _num_decorations(text: str, codes: Codes, classes: Classes) -> int:
    """Arrows, dingbats, emoji, and the heavy bracket 【 that frames slogans."""
    signs = codes[classes == CharClass.SYMBOL]
    return int(np.count_nonzero(signs >= _FIRST_ARROW)) + text.count("【")
