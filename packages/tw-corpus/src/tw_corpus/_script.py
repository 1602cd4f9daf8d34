"""Which script a Chinese text is written in, by characters that only one of the two scripts holds.

The sets are derived from OpenCC (tools/build_script_table.py), less the forms that Taiwan and Hong Kong write
although OpenCC lists them as Simplified (群 峰 床 秘 …).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Script(StrEnum):
    """The script of a text, ISO 15924 codes where they apply."""

    HANT = "Hant"
    HANS = "Hans"
    MIXED = "mixed"
    UNDETERMINED = "undetermined"


# Scripts in which a text can be converted text, and its Traditional forms say something.
TRADITIONAL = frozenset({Script.HANT, Script.MIXED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptCounts:
    """The characters that speak for a script.

    Attributes:
        num_han: ideographs of any kind, U+3007 〇 and U+3005 々 included.
        num_simplified_only: ideographs that only Simplified text holds.
        num_traditional_only: ideographs that only Traditional text holds.
    """

    num_han: int
    num_simplified_only: int
    num_traditional_only: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptVerdict:
    """The script of a text and the counts that decided it."""

    script: Script
    counts: ScriptCounts


# From this share of the deciding characters on, the smaller side is more than slips and proper names: of 1,393
# Taiwanese documents (calibration half of benchmarks/tw_corpus/quality.py) two machine answers reach it.
_MIXED_SHARE = 0.1
# Fewer Simplified-only characters do not tell the script of a text: names and slips.
MIN_SIMPLIFIED_CHARS = 2


def script_of(text: str, *, min_simplified_chars: int = MIN_SIMPLIFIED_CHARS) -> ScriptVerdict:
    """Tell the script of `text` from the characters that only one script holds.

    Args:
        text: any string.
        min_simplified_chars: fewer Simplified-only characters than this are ignored: names and slips in Taiwanese
            text (并 庄 约 …) must not decide. 1 serves single sentences that are known to be of one script.

    Returns:
        `Hans` or `Hant` where at least nine tenths of the deciding characters are of that script, `mixed` where both
        have more than a tenth; `undetermined` where nothing decides (empty text, no ideographs, only shared ones).
    """
    counts = count_script(text)
    return ScriptVerdict(script=decide_script(counts, min_simplified_chars=min_simplified_chars), counts=counts)


def decide_script(counts: ScriptCounts, *, min_simplified_chars: int = 1) -> Script:
    """Tell the script from the characters that only one script holds.

    One Simplified character among Traditional ones is a name or a slip (并 庄 约 …) and is ignored, and so is one
    Traditional character among several Simplified ones.

    Args:
        counts: what was counted.
        min_simplified_chars: fewer Simplified-only characters than this are ignored even where none is Traditional.

    Returns:
        `undetermined` where nothing decides, `mixed` where both scripts have more than a tenth of the deciding
        characters.
    """
    simplified, traditional = counts.num_simplified_only, counts.num_traditional_only
    if simplified < min_simplified_chars or (simplified == 1 and traditional >= 1):
        simplified = 0
    deciding = simplified + traditional
    if deciding == 0:
        return Script.UNDETERMINED
    share = simplified / deciding
    if share <= _MIXED_SHARE:
        return Script.HANT
    if share >= 1 - _MIXED_SHARE or traditional == 1:
        return Script.HANS
    return Script.MIXED


def count_script(text: str) -> ScriptCounts:
    """Count ideographs and those that speak for one script; all 0 for empty text."""
    from tw_corpus import _characters as characters

    return script_counts(characters.count_classes(characters.class_table()[characters.codes_of(text)]))


def script_counts(class_counts: "npt.NDArray[np.intp]") -> ScriptCounts:
    """Ideographs, and those of one script only, from the counts of each `CharClass`."""
    return script_counts_of(class_counts.tolist())


def script_counts_of(class_counts: Sequence[int]) -> ScriptCounts:
    """The same from a list of the counts, whose first six classes are those of ideographs."""
    han, han_function, simplified, simplified_function, traditional, traditional_function = class_counts[:6]
    simplified += simplified_function
    traditional += traditional_function
    return ScriptCounts(
        num_han=han + han_function + simplified + traditional,
        num_simplified_only=simplified,
        num_traditional_only=traditional,
    )
