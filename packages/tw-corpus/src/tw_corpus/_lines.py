"""Measures over the lines of a text: punctuation at their ends, lists, labels, duplicates.

What repeats by design in Taiwanese documents does not count as a duplicate: speaker labels (`### 主持人：`), article
numbers (`第 3 條`), bracketed notes (`（刪除）`), table rows and short push comments (`推 +1`).
"""

import re
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from tw_corpus._characters import FUNCTION_CHARACTERS

# Everything a finished line of Chinese may end in. datatrove's TERMINAL_PUNCTUATION lacks 」』）…～；：
# (corpus_and_training.md, section 5).
TERMINAL_PUNCTUATION = frozenset("。！？!?.…；;：:」』】》〉）)〕］]\"'”’｣｡～~﹞︰︵︶﹖﹗。、，,")
SENTENCE_TERMINALS = TERMINAL_PUNCTUATION - frozenset("、，,")
SHORT_LINE_CHARS = 10
BARE_ENTRY_CHARS = 16

_ELLIPSES = ("…", "...", "。。。", "‧‧‧", "⋯")
_ELLIPSIS_ENDS = frozenset("….。‧⋯")
_BULLETS = frozenset("•‧·●○◎◆◇■□▪▶►★☆※→-*–—")
_TABLE_STARTS = frozenset(map(chr, range(0x2500, 0x25A0))) | {"|", "+"}
_ORDINAL = "0-9０-９零〇一二三四五六七八九十百千甲乙丙丁戊己庚辛壬癸IVXivx"
_LABEL = re.compile(
    rf"#{{1,6}}\s.*|[^。，！？]{{1,20}}[：:]|第\s*[{_ORDINAL}]+\s*[條条章節节款項项目編编篇回集課课次].{{0,12}}"
    rf"|[（(〔\[]?[{_ORDINAL}]{{1,6}}[）)〕\].、．]?|[（(〔\[【][^）)〕\]】]{{1,10}}[）)〕\]】]|[推噓嘘→]\s?.{{0,12}}|\W+"
)
_NUMBERED = re.compile(rf"第\s*[{_ORDINAL}]+\s*[條条章節节款項项目編编篇回集課课次]|#{{1,6}}\s")
_NUMBERED_STARTS = frozenset("第#")
_SEPARATOR = r"[\s|｜/／>＞»›·‧•]"
_ENTRY_SEPARATOR = re.compile(f"{_SEPARATOR}+")
# Without the repetition it is found in half of the time.
_ANY_SEPARATOR = re.compile(_SEPARATOR)
_HAN = re.compile("[\u3400-\u9fff]")
_FUNCTION = frozenset(FUNCTION_CHARACTERS)


class LineMeasures(NamedTuple):
    """Measures of lines that hold anything but blanks; lengths without leading and trailing blanks, in characters.

    Shares are 0 to 1 and 0 where there is no line. `_char_share` is a share of the characters of all lines, `_share`
    of the lines.
    """

    num_lines: int
    mean_line_chars: float
    median_line_chars: float
    short_line_share: float
    short_line_char_share: float
    terminal_line_share: float
    terminal_line_char_share: float
    ellipsis_line_share: float
    bullet_line_share: float
    bare_entry_char_share: float
    duplicate_line_share: float
    duplicate_line_char_share: float
    label_line_share: float


_NO_LINES = LineMeasures(
    num_lines=0,
    mean_line_chars=0.0,
    median_line_chars=0.0,
    short_line_share=0.0,
    short_line_char_share=0.0,
    terminal_line_share=0.0,
    terminal_line_char_share=0.0,
    ellipsis_line_share=0.0,
    bullet_line_share=0.0,
    bare_entry_char_share=0.0,
    duplicate_line_share=0.0,
    duplicate_line_char_share=0.0,
    label_line_share=0.0,
)


def split_lines(text: str) -> list[str]:
    """The lines of `text` without blanks at their ends; lines of blanks only are left out."""
    return [line for line in map(str.strip, text.split("\n")) if line]


def measure_lines(lines: Sequence[str], repeated: Counter[str], labels: frozenset[str]) -> LineMeasures:
    """Measure `lines` (see `LineMeasures`).

    Args:
        lines: what `split_lines` gives.
        repeated: the lines that occur more than once, with their number.
        labels: those of `repeated` that repeat by design (`label_lines`).
    """
    if not lines:
        return _NO_LINES
    lengths = list(map(len, lines))
    total = sum(lengths)
    terminal = [length for line, length in zip(lines, lengths, strict=True) if line[-1] in SENTENCE_TERMINALS]
    short = [length for length in lengths if length <= SHORT_LINE_CHARS]
    num_labels = sum(repeated[line] for line in labels)
    duplicates = [(len(line), count - 1) for line, count in repeated.items() if line not in labels]
    num_counted = len(lines) - num_labels
    return LineMeasures(
        num_lines=len(lines),
        mean_line_chars=total / len(lines),
        median_line_chars=float(median(lengths)),
        short_line_share=len(short) / len(lines),
        short_line_char_share=sum(short) / total,
        terminal_line_share=len(terminal) / len(lines),
        terminal_line_char_share=sum(terminal) / total,
        ellipsis_line_share=sum([line[-1] in _ELLIPSIS_ENDS and line.endswith(_ELLIPSES) for line in lines])
        / len(lines),
        bullet_line_share=sum([line[0] in _BULLETS for line in lines]) / len(lines),
        bare_entry_char_share=sum(map(_num_bare_chars, lines)) / total,
        duplicate_line_share=sum(count for _, count in duplicates) / num_counted if num_counted else 0.0,
        duplicate_line_char_share=sum(length * count for length, count in duplicates) / total,
        label_line_share=num_labels / len(lines),
    )


def repeated_lines(lines: Sequence[str]) -> Counter[str]:
    """The lines that occur more than once."""
    counts = Counter(lines)
    if len(counts) == len(lines):
        return Counter()
    return Counter({line: count for line, count in counts.items() if count > 1})


def label_lines(repeated: Counter[str]) -> frozenset[str]:
    """Those of the repeated lines that repeat by design: labels, numbers, notes, table rows, short pushes."""
    return frozenset(line for line in repeated if line[0] in _TABLE_STARTS or _LABEL.fullmatch(line))


def _num_bare_chars(line: str) -> int:
    """Characters of `line` in entries like those of a menu; an article number or a table row holds none.

    Blanks and separators cut a line into entries. An entry is bare if it is short, holds an ideograph but no
    grammatical character, and does not end as a finished line may.
    """
    if line[0] in _TABLE_STARTS or (line[0] in _NUMBERED_STARTS and _NUMBERED.match(line)):
        return 0
    if _ANY_SEPARATOR.search(line):
        return sum([len(entry) for entry in _ENTRY_SEPARATOR.split(line) if _is_bare_entry(entry)])
    return len(line) if _is_bare_entry(line) else 0


def _is_bare_entry(entry: str) -> bool:
    return (
        0 < len(entry) <= BARE_ENTRY_CHARS
        and entry[-1] not in TERMINAL_PUNCTUATION
        and _FUNCTION.isdisjoint(entry)
        and _HAN.search(entry) is not None
    )
