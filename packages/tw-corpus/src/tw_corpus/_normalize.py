"""One form for the same text: width, invisible characters, compatibility characters, line ends, blank space.

NFKC is not used on the whole text: it would turn ！？，（） into ASCII and lose 「」『』 information that
Taiwanese text is recognised by (corpus_and_training.md, section 7). Each kind of change is counted.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizationChanges:
    """How many characters `normalize` changed, by kind, and what it left standing; all 0 for clean or empty text.

    Attributes:
        full_width: full-width Latin letters and digits (U+FF10 to U+FF5A) turned into ASCII.
        spaces: U+3000, no-break and typographic spaces turned into U+0020.
        line_ends: CR, CR LF, NEL, VT, FF, U+2028 and U+2029 turned into LF.
        controls: C0 and C1 control characters and noncharacters removed; LF and TAB are kept.
        invisible: zero-width characters, soft hyphens, byte order marks, bidi controls, tags and variation selectors
            removed; those inside an emoji sequence are kept.
        compatibility: compatibility ideographs (U+F900, U+2F800 blocks) and Kangxi radicals mapped to ideographs.
        private_use_mapped: private-use characters that stand for ETEN kana, numerals or Cyrillic, mapped.
        private_use_remaining: private-use characters left in the text.
        surrogates: lone surrogates replaced by U+FFFD (a high and a low one side by side are joined instead).
        trailing_spaces: spaces and tabs removed at line ends.
        blank_lines: line feeds removed: more than one blank line in a row, or blank lines at either end.
    """

    full_width: int = 0
    spaces: int = 0
    line_ends: int = 0
    controls: int = 0
    invisible: int = 0
    compatibility: int = 0
    private_use_mapped: int = 0
    private_use_remaining: int = 0
    surrogates: int = 0
    trailing_spaces: int = 0
    blank_lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalized:
    """A normalised text and what was changed to reach it."""

    text: str
    changes: NormalizationChanges


_UNCHANGED = NormalizationChanges()

_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_LINE_ENDS = "\r\x0b\x0c\x85\u2028\u2029"
_CONTROLS = "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufdd0-\ufdef\ufffe\uffff" + "".join(
    chr(plane * 0x10000 + offset) for plane in range(1, 17) for offset in (0xFFFE, 0xFFFF)
)
_INVISIBLE = (
    "\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_COMPATIBILITY = "\u2e80-\u2ef3\u2f00-\u2fd5\uf900-\ufaff\U0002f800-\U0002fa1f"
_PRIVATE_USE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_FULL_WIDTH = "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"

# One scan decides whether a text needs any work; most web text needs none beyond spaces. It takes all characters beyond
# the first plane, of which a second look leaves few: each range of theirs would be compared with every character.
_CANDIDATES = f"{_SPACES}{_LINE_ENDS}{_CONTROLS}{_INVISIBLE}{_COMPATIBILITY}{_PRIVATE_USE}{_FULL_WIDTH}\ud800-\udfff"
_FIRST_PLANE_CANDIDATES = re.sub("[\U00010000-\U0010ffff]-?", "", _CANDIDATES)
_SCANNED = re.compile(f"[{_FIRST_PLANE_CANDIDATES}\U00010000-\U0010ffff]")
_CANDIDATE = re.compile(f"[{_CANDIDATES}]")
_KINDS = {
    "full_width": re.compile(f"[{_FULL_WIDTH}]"),
    "spaces": re.compile(f"[{_SPACES}]"),
    "controls": re.compile(f"[{_CONTROLS}]"),
    "invisible": re.compile(f"[{_INVISIBLE}]"),
    "private_use": re.compile(f"[{_PRIVATE_USE}]"),
}
_LINE_END = re.compile(f"\r\n|[{_LINE_ENDS}]")
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BLANK_LINES = re.compile("\n{3,}")

# UTS #51 (emoji sequences), reduced: a base with a presentation selector or skin tone, joined by ZWJ; keycaps; and
# subdivision flags. Whatever invisible character is not inside one of these is removed.
_EMOJI_BASE = "\u00a9\u00ae\u203c-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_EMOJI_UNIT = f"[{_EMOJI_BASE}]\ufe0f?[\U0001f3fb-\U0001f3ff]?"
_EMOJI_OR_INVISIBLE = re.compile(
    f"([#*0-9]\ufe0f\u20e3|\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f|{_EMOJI_UNIT}(?:\u200d{_EMOJI_UNIT})*)"
    f"|[{_INVISIBLE}]"
)

# Radicals of U+2E80 to U+2EF3 that look exactly like an ideograph; text copied from PDF files carries them.
_RADICALS_SUPPLEMENT = dict(
    zip(
        "⺟⺠⻄⻅⻆⻉⻋⻑⻓⻔⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻩⻬⻮⻰⻳",
        "母民西见角贝车長长门青韦页风飞食马骨鬼鱼鸟黄齐齿龙龟",
        strict=True,
    )
)


def normalize(text: str) -> Normalized:
    """Bring `text` to the one form that measures, hashes and models see. Idempotent; any string is accepted.

    Kept on purpose: CJK and full-width punctuation, Bopomofo and tone marks, half-width kana, TAB, leading spaces,
    emoji sequences, private-use characters whose meaning is unknown (counted), and the twelve unified ideographs
    that stand in the compatibility block (U+FA0E and others, which Unicode does not decompose). Variation selectors
    after ideographs go: they choose a glyph, and would hide a duplicate. Combining marks are not recomposed.

    Private-use characters U+F6B1 to U+F7B9 are what Windows made of the ETEN extension of Big5 (0xC6A1 onward: kana,
    numerals, Cyrillic). Icon fonts use the same code points, so they are mapped only in a run of two or more, or
    between two ideographs or kana.

    Returns:
        The text and the counts of what changed. Empty text gives empty text and zero counts.
    """
    changes = _UNCHANGED
    candidates = _candidates(text)
    if candidates:
        text, changes = _map_characters(text, candidates)
    return _tidy_lines(text, changes)


def _candidates(text: str) -> Counter[str]:
    """Occurrences of each character that may have to change."""
    found = Counter(_SCANNED.findall(text))
    if found and max(found) > "\uffff":
        return Counter({character: count for character, count in found.items() if _CANDIDATE.match(character)})
    return found


def _map_characters(text: str, candidates: Counter[str]) -> tuple[str, NormalizationChanges]:
    """Replace and remove single characters; `candidates` holds the occurrences of each character to look at."""
    surrogates = 0
    if any("\ud800" <= character <= "\udfff" for character in candidates):
        text = _SURROGATE_PAIR.sub(_join_surrogates, text)
        text, surrogates = _SURROGATE.subn("\ufffd", text)
        # A joined pair can be any character of the supplementary planes: look again.
        candidates = _candidates(text)
    line_ends = 0
    if any(character in candidates for character in _LINE_ENDS):
        text, line_ends = _LINE_END.subn("\n", text)
    table = {ord(character): _replacement(character) for character in candidates}
    mapping = {code: new for code, new in table.items() if new is not None}
    if mapping:
        text = text.translate(mapping)
    counts = {kind: _count(candidates, pattern) for kind, pattern in _KINDS.items()}
    compatibility = sum(candidates[chr(code)] for code in mapping if _is_compatibility(code))
    invisible = 0
    if counts["invisible"]:
        before = len(text)
        text = _EMOJI_OR_INVISIBLE.sub(_keep_emoji, text)
        invisible = before - len(text)
    mapped = 0
    if counts["private_use"]:
        text, mapped = _map_eten(text)
    return text, NormalizationChanges(
        full_width=counts["full_width"],
        spaces=counts["spaces"],
        line_ends=line_ends,
        controls=counts["controls"],
        invisible=invisible,
        compatibility=compatibility,
        private_use_mapped=mapped,
        private_use_remaining=counts["private_use"] - mapped,
        surrogates=surrogates,
    )


def _count(candidates: Counter[str], pattern: re.Pattern[str]) -> int:
    return sum(count for character, count in candidates.items() if pattern.match(character))


def _join_surrogates(match: re.Match[str]) -> str:
    high, low = match.group()
    return chr(0x10000 + ((ord(high) - 0xD800) << 10) + (ord(low) - 0xDC00))


def _keep_emoji(match: re.Match[str]) -> str:
    return match.group(1) or ""


def _is_compatibility(code: int) -> bool:
    return 0x2E80 <= code <= 0x2FD5 or 0xF900 <= code <= 0xFAFF or 0x2F800 <= code <= 0x2FA1F


@lru_cache(maxsize=4096)
def _replacement(character: str) -> str | None:
    """What stands for one candidate character; None leaves it for a later step or for good."""
    code = ord(character)
    if _KINDS["controls"].match(character):
        return ""
    if _KINDS["spaces"].match(character):
        return " "
    if 0xFF10 <= code <= 0xFF5A:
        return chr(code - 0xFEE0)
    if not _is_compatibility(code):
        return None
    if character in _RADICALS_SUPPLEMENT:
        return _RADICALS_SUPPLEMENT[character]
    # NFKC of one radical or compatibility ideograph is the unified ideograph that it stands for, or itself.
    target = unicodedata.normalize("NFKC", character)
    return target if target != character and len(target) == 1 else None


def _map_eten(text: str) -> tuple[str, int]:
    pattern, table = _eten_rules()
    mapped = 0

    def replace_run(match: re.Match[str]) -> str:
        nonlocal mapped
        run = match.group().translate(table)
        mapped += sum(before != after for before, after in zip(match.group(), run, strict=True))
        return run

    return pattern.sub(replace_run, text), mapped


@lru_cache(maxsize=1)
def _eten_rules() -> tuple[re.Pattern[str], dict[int, str]]:
    """The runs that are certain, and what each private-use code stands for."""
    table = {code: character for code, character in _eten_characters() if not 0x4E00 <= ord(character) <= 0x9FFF}
    held = "".join(map(chr, table))
    text = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    return re.compile(f"[{held}]{{2,}}|(?<=[{text}])[{held}](?=[{text}])"), table


def _eten_characters() -> Iterator[tuple[int, str]]:
    """Microsoft's private-use code of each ETEN character 0xC6A1 to 0xC875, with the character Big5-HKSCS gives it.

    Code point: 0xF672 + 157 * (lead - 0xC6) + (trail - 0x40, or trail - 0x62 from 0xA1 on), as code page 950 maps
    its user-defined range (Unicode's bestfit950 chart).
    """
    trails = (*range(0x40, 0x7F), *range(0xA1, 0xFF))
    for lead in (0xC6, 0xC7, 0xC8):
        for index, trail in enumerate(trails):
            in_extension = 0xC6A1 <= (lead << 8 | trail) <= 0xC875
            character = bytes((lead, trail)).decode("big5hkscs", errors="ignore") if in_extension else ""
            # The radicals of this range differ between ETEN and HKSCS and are left alone.
            if len(character) == 1 and not 0x2E80 <= ord(character) <= 0x2FDF:
                yield 0xF672 + 157 * (lead - 0xC6) + index, character


def _tidy_lines(text: str, changes: NormalizationChanges) -> Normalized:
    """Cut spaces at line ends, and blank lines at either end or beyond one in a row."""
    length = len(text)
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    trailing_spaces = length - len(text)
    length = len(text)
    if "\n\n\n" in text:
        text = _BLANK_LINES.sub("\n\n", text)
    text = text.strip("\n")
    blank_lines = length - len(text)
    if trailing_spaces or blank_lines:
        changes = replace(changes, trailing_spaces=trailing_spaces, blank_lines=blank_lines)
    return Normalized(text=text, changes=changes)
