"""How the measures are computed; what they mean is said in `Measures`."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tw_corpus._characters import (
    CORE_FUNCTION_CHARACTERS,
    CharClass,
    Classes,
    Codes,
    class_table,
    codes_of,
    count_classes,
)
from tw_corpus._lines import LineMeasures, label_lines, measure_lines, repeated_lines, split_lines
from tw_corpus._measure import Measures
from tw_corpus._repetition import Repetition, measure_repetition
from tw_corpus._terms import PROMOTION, TermCategory, TermCounts, count_terms

_PER_THOUSAND = 1000
_DISTINCT_WINDOW = 1000
_URL = re.compile(r"(?:https?://|www\.)[!-~]+")
_MOJIBAKE_TERM_CHARS = 3


def compute_measures(text: str) -> Measures:
    """Measure `text`, as `measure` says."""
    codes = codes_of(text)
    classes = class_table()[codes]
    counts: list[int] = count_classes(classes).tolist()
    written = max(len(codes) - counts[CharClass.BLANK] - counts[CharClass.BOX], 1)
    lines = split_lines(text)
    repeated = repeated_lines(lines)
    labels = label_lines(repeated)
    by_line = measure_lines(lines, repeated, labels)
    terms = count_terms(text, codes)
    return Measures(
        **_character_measures(text, counts, written),
        **_fields_of(by_line),
        **_fields_of(measure_repetition(_repeatable_codes(codes, classes, lines, labels))),
        **_term_measures(terms, written),
        line_break_ratio=by_line.num_lines / written,
        mojibake_share=_num_mojibake(codes, counts, terms) / written,
    )


def _character_measures(text: str, counts: Sequence[int], written: int) -> dict[str, Any]:
    """Measures from the number of characters of each class; `written` is the denominator, at least 1."""
    of = CharClass
    num_chars = sum(counts)
    num_han = sum(counts[: of.TRADITIONAL_FUNCTION + 1])
    num_function = counts[of.HAN_FUNCTION] + counts[of.SIMPLIFIED_FUNCTION] + counts[of.TRADITIONAL_FUNCTION]
    simplified = counts[of.SIMPLIFIED] + counts[of.SIMPLIFIED_FUNCTION]
    traditional = counts[of.TRADITIONAL] + counts[of.TRADITIONAL_FUNCTION]
    num_url_chars = sum(map(len, _URL.findall(text))) if "://" in text or "www." in text else 0
    return {
        "num_chars": num_chars,
        "num_written_chars": num_chars - counts[of.BLANK] - counts[of.BOX],
        "num_han_chars": num_han,
        "han_share": num_han / written,
        "num_simplified_only": simplified,
        "num_traditional_only": traditional,
        "simplified_share": simplified / (simplified + traditional) if simplified > 1 else 0.0,
        "kana_hangul_share": (counts[of.KANA] + counts[of.HANGUL]) / written,
        "latin_share": (counts[of.LATIN] + counts[of.LATIN_1]) / written,
        "digit_share": counts[of.DIGIT] / written,
        "symbol_share": (counts[of.SYMBOL] + counts[of.RULE]) / written,
        "box_share": counts[of.BOX] / max(num_chars - counts[of.BLANK], 1),
        "private_use_share": counts[of.PRIVATE_USE] / written,
        "punctuation_share": (counts[of.PUNCTUATION] + counts[of.SENTENCE_END]) / written,
        "sentence_end_share": counts[of.SENTENCE_END] / written,
        "function_char_share": num_function / max(num_han, 1),
        "num_function_chars": sum([character in text for character in CORE_FUNCTION_CHARACTERS]),
        "unique_char_ratio": _unique_char_ratio(text),
        "url_share": num_url_chars / written,
        "curly_brace_share": (text.count("{") + text.count("}")) / written,
    }


def _term_measures(terms: TermCounts, written: int) -> dict[str, Any]:
    reporting = terms.weight(TermCategory.REPORTING)
    return {
        "num_javascript_mentions": terms.num_occurrences(TermCategory.JAVASCRIPT),
        "num_placeholder_terms": terms.num_occurrences(TermCategory.PLACEHOLDER),
        "gambling_term_density": _density(terms.weight(TermCategory.GAMBLING) + reporting, written),
        "num_gambling_terms": terms.num_telling(TermCategory.GAMBLING),
        "adult_term_density": _density(terms.weight(TermCategory.ADULT) + reporting, written),
        "num_adult_terms": terms.num_telling(TermCategory.ADULT),
        "promotion_term_density": _density(terms.weight(*PROMOTION) + reporting, written),
        "num_promotion_terms": terms.num_telling(*PROMOTION),
        "boilerplate_term_density": _density(terms.weight(TermCategory.BOILERPLATE), written),
        "num_boilerplate_terms": terms.num_telling(TermCategory.BOILERPLATE),
    }


def _fields_of(record: LineMeasures | Repetition) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _density(weight: float, written: int) -> float:
    return max(0.0, weight) * _PER_THOUSAND / written


def _unique_char_ratio(text: str) -> float:
    window = "".join(text[: 2 * _DISTINCT_WINDOW].split())[:_DISTINCT_WINDOW]
    return len(set(window)) / len(window) if window else 0.0


_NOT_REPEATABLE = (CharClass.BLANK, CharClass.BOX, CharClass.RULE)


def _repeatable_codes(codes: Codes, classes: Classes, lines: list[str], labels: frozenset[str]) -> Codes:
    """The characters whose repetition says something: no blanks, no rules, no lines that repeat by design."""
    if labels:
        codes = codes_of("".join([line for line in lines if line not in labels]))
        classes = class_table()[codes]
    kept = np.ones(len(CharClass), dtype=np.bool_)
    kept[list(_NOT_REPEATABLE)] = False
    return codes[kept[classes]]


def _num_mojibake(codes: Codes, counts: Sequence[int], terms: TermCounts) -> int:
    found = counts[CharClass.REPLACEMENT] + _MOJIBAKE_TERM_CHARS * terms.num_occurrences(TermCategory.MOJIBAKE)
    if counts[CharClass.LATIN_1] > 1:
        # UTF-8 read as Latin-1 shows a lead byte (U+00C2 to U+00EF) before a continuation byte (U+0080 to U+00BF).
        leads = (codes[:-1] >= 0xC2) & (codes[:-1] <= 0xEF)
        found += 2 * int(np.count_nonzero(leads & (codes[1:] >= 0x80) & (codes[1:] <= 0xBF)))
    return found
