"""Answers that repeat an option's text, or name it 甲, instead of giving its letter."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tmlu_bench._extract_clean import clean_answer

_STEMS = "甲乙丙丁戊己"
_PLAIN_LEAD = re.compile(r"[\s)\].:、,。—]{0,16}(?:- )?")
_VERB_LEAD = re.compile(r"[\s)\].:、,。—]{0,16}(?:是|為|即|is\b)?[\s:]{0,8}")
_WORDY_LEAD = re.compile(r"(?:[\s)\].:、,。\-—]|選項|是|為|即|也就是|is\b){0,16}")
_CUE = re.compile(
    r"(?:答案|正解|(?<!不)正確的?(?:選項|敘述|者)?|應選|故選|我選|選擇|answer)(?:應該|應|會)?",
    re.IGNORECASE,
)
_STEM_ALONE = re.compile(rf"\A[\s(「]*(?P<stem>[{_STEMS}])[\s)」.。、]*\Z")
_STEM_CUE = re.compile(
    rf"(?:答案|應選|故選|我選|選擇|選項|選)(?:應該|應|會)?(?:是|為|:|選項|\s|[(「])*(?P<stem>[{_STEMS}])"
    rf"(?=$|[\s)」.。,，;!])"
)
_LETTERED = re.compile(r"[(\[]?\s*[A-F]\s*[)\].:、]")
_KEPT_SIGNS = frozenset("-/%&@")
_DROPPED_SYMBOLS = frozenset("$`^~|")


def option_keys(options: Sequence[str]) -> tuple[str, ...]:
    """Return what of each option is compared: letters, digits and mathematical signs, in one case.

    White space counts for nothing, since options keep the line breaks of the page that they were taken from.
    """
    return tuple("".join(char for char, _end in _kept(clean_answer(option))) for option in options)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionMention:
    """An option's text where an answer stands.

    Attributes:
        letter: of the option.
        start: first character, of the cue where there is one.
        end: after the option's text.
        cued: it follows 答案是 and the like; else it is the first line, or all there is.
    """

    letter: str
    start: int
    end: int
    cued: bool


def end_of_option(text: str, start: int, key: str) -> int | None:
    """Return where an option's text ends that starts at `start`, after a bracket, a dot or 是; None where none does.

    Args:
        text: of `clean_answer`.
        start: where to look.
        key: of `option_keys`; an empty one is never found.
    """
    # First without 是 or with a single one, as it may be the option's own first character.
    for pattern in (_PLAIN_LEAD, _VERB_LEAD, _WORDY_LEAD):
        lead = pattern.match(text, start)
        end = _end_of(text, lead.end() if lead else start, key)
        if end is not None:
            return end
    return None


def find_option_texts(text: str, letters: str, keys: Sequence[str]) -> list[OptionMention]:
    """Return the options whose text stands where an answer does: alone, on the first line, or right after 答案是.

    Only whole texts count: an option that merely occurs in a sentence may be discussed there. A text that is itself a
    letter of the question says nothing, as nobody knows which of the two is meant.
    """
    known = ["" if key.upper() in letters else key for key in keys]
    found: list[OptionMention] = []
    # "C) O2" is the letter C and its text, not the text CO2.
    for whole in () if _LETTERED.match(text) else (text, text.split("\n", 1)[0]):
        shown = "".join(char for char, _end in _kept(whole))
        if shown and known.count(shown) == 1:
            return [OptionMention(letter=letters[known.index(shown)], start=0, end=len(whole), cued=False)]
    for match in _CUE.finditer(text):
        lead = _VERB_LEAD.match(text, match.end())
        lettered = lead is not None and _LETTERED.match(text, lead.end()) is not None
        ends = {} if lettered else _options_at(text, match.end(), known)
        if len(ends) == 1:
            ((index, end),) = ends.items()
            found.append(OptionMention(letter=letters[index], start=match.start(), end=end, cued=True))
    return found


def contradicts_option(text: str, start: int, letter: str, letters: str, keys: Sequence[str]) -> bool:
    """The text right after a letter is another option's text and not its own."""
    named = _options_at(text, start, keys)
    return bool(named) and letters.index(letter) not in named


def find_heavenly_stem(text: str, letters: str, options: Sequence[str] | None) -> str | None:
    """Return the letter for an answer 甲, 乙, … alone or right after a cue; None else, or where options use stems."""
    if options is not None and any(stem in option for option in options for stem in _STEMS):
        return None
    alone = _STEM_ALONE.match(text)
    found = {alone["stem"]} if alone else {match["stem"] for match in _STEM_CUE.finditer(text)}
    if len(found) != 1:
        return None
    index = _STEMS.index(found.pop())
    return letters[index] if index < len(letters) else None


def _options_at(text: str, start: int, keys: Sequence[str]) -> dict[int, int]:
    """Options whose text starts here, with its end; the longest ones where one is the start of another."""
    ends = {i: end for i, key in enumerate(keys) if (end := end_of_option(text, start, key)) is not None}
    longest = max(ends.values(), default=0)
    return {i: end for i, end in ends.items() if end == longest}


def _end_of(text: str, begin: int, key: str) -> int | None:
    # Twice the length leaves room for the white space between the characters.
    window = text[begin : begin + 2 * len(key) + 64]
    kept = iter(_kept(window))
    end = 0
    for wanted in key:
        found = next(kept, None)
        if found is None or found[0] != wanted:
            return None
        end = found[1]
    return None if not key or window[end : end + 1].isalnum() else begin + end


def _kept(text: str) -> Iterable[tuple[str, int]]:
    """The characters that are compared, folded, each with the index after it."""
    for i, char in enumerate(text):
        between_digits = char in ".:" and text[i - 1 : i].isdigit() and text[i + 1 : i + 2].isdigit()
        symbol = unicodedata.category(char).startswith("S") and char not in _DROPPED_SYMBOLS
        if char.isalnum() or between_digits or symbol or char in _KEPT_SIGNS:
            for folded in char.casefold():
                yield folded, i + 1
