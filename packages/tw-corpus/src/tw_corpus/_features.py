"""How the measures are computed; what they mean is said in `Measures`."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tw_corpus._characters import (
    CORE_FUNCTION_CHARACTERS,
    NUM_CLASSES,
    CharClass,
    Classes,
    Codes,
    class_table,
    codes_of,
    count_classes,
)
from tw_corpus._lines import LineMeasures, label_lines, measure_lines, repeated_lines, split_lines
from tw_corpus._measure import Measures
from tw_corpus._page_types import score_page
from tw_corpus._repetition import Repetition, measure_repetition
from tw_corpus._structure import Structure, measure_structure
from tw_corpus._terms import SELLING, TermCategory, TermCounts, count_terms

_PER_THOUSAND = 1000
_DISTINCT_WINDOW = 1000
_URL = re.compile(r"(?:https?://|www\.)[!-~]+")
_MOJIBAKE_TERM_CHARS = 3


def compute_measures(text: str) -> Measures:
    """Measure `text`, as `measure` says."""
    codes = codes_of(text)
    classes = class_table().take(codes)
    counts: list[int] = count_classes(classes).tolist()
    written = max(len(codes) - counts[CharClass.BLANK] - counts[CharClass.BOX], 1)
    lines = split_lines(text)
    repeated = repeated_lines(lines)
    labels = label_lines(repeated)
    by_line = measure_lines(lines, repeated, labels)
    terms = count_terms(text, codes)
    by_character = _character_measures(text, codes, classes, counts, written)
    num_han = by_character["num_han_chars"]
    values: dict[str, Any] = {
        **by_character,
        **_fields_of(by_line),
        **_fields_of(measure_structure(text, codes, classes, num_written=written, num_han=num_han)),
        **_fields_of(measure_repetition(_repeatable_codes(codes, classes, lines, labels))),
        **term_measures(terms, written),
        "line_break_ratio": by_line.num_lines / written,
        "mojibake_share": _num_mojibake(codes, counts, terms) / written,
    }
    scores = score_page(values)
    return Measures(**values, promotion_score=scores.promotion, boilerplate_score=scores.boilerplate)


def _character_measures(
    text: str, codes: Codes, classes: Classes, counts: Sequence[int], written: int
) -> dict[str, Any]:
    """Measures from the number of characters of each class; `written` is the denominator, at least 1."""
    of = CharClass
    num_chars = sum(counts)
    num_han = sum(counts[: of.TRADITIONAL_FUNCTION + 1])
    num_function = counts[of.HAN_FUNCTION] + counts[of.SIMPLIFIED_FUNCTION] + counts[of.TRADITIONAL_FUNCTION]
    simplified = counts[of.SIMPLIFIED] + counts[of.SIMPLIFIED_FUNCTION]
    traditional = counts[of.TRADITIONAL] + counts[of.TRADITIONAL_FUNCTION]
    num_url_chars = sum(len(found.group()) for found in _URL.finditer(text)) if "://" in text or "www." in text else 0
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
        "unique_char_ratio": _unique_char_ratio(codes, classes),
        "url_share": num_url_chars / written,
        "curly_brace_share": (text.count("{") + text.count("}")) / written,
    }


def term_measures(terms: TermCounts, written: int) -> dict[str, Any]:
    """Measures from the terms found; `written` is the denominator, at least 1."""
    of = TermCategory
    weights, telling = terms.weights(), terms.num_telling()
    reporting = weights[of.REPORTING]
    return {
        "num_javascript_mentions": terms.num_occurrences(of.JAVASCRIPT),
        "num_placeholder_terms": terms.num_occurrences(of.PLACEHOLDER),
        "gambling_term_density": _density(weights[of.GAMBLING] + reporting, written),
        "num_gambling_terms": telling[of.GAMBLING],
        "adult_term_density": _density(weights[of.ADULT] + reporting, written),
        "num_adult_terms": telling[of.ADULT],
        "selling_term_density": _density(sum(weights[category] for category in SELLING) + reporting, written),
        "num_selling_terms": sum(telling[category] for category in SELLING),
        "contact_term_density": _density(weights[of.CONTACT], written),
        "boilerplate_term_density": _density(weights[of.BOILERPLATE], written),
        "num_boilerplate_terms": telling[of.BOILERPLATE],
        "reporting_term_density": _density(-reporting, written),
        "narration_term_density": _density(weights[of.NARRATION], written),
    }


def _fields_of(record: LineMeasures | Repetition | Structure) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _density(weight: float, written: int) -> float:
    return max(0.0, weight) * _PER_THOUSAND / written


def _unique_char_ratio(codes: Codes, classes: Classes) -> float:
    start = slice(2 * _DISTINCT_WINDOW)
    window = codes[start][classes[start] != CharClass.BLANK][:_DISTINCT_WINDOW]
    if not len(window):
        return 0.0
    window.sort()
    return (1 + int(np.count_nonzero(window[1:] != window[:-1]))) / len(window)


_IS_REPEATABLE = np.ones(NUM_CLASSES, dtype=np.bool_)
_IS_REPEATABLE[[CharClass.BLANK, CharClass.BOX, CharClass.RULE]] = False


def _repeatable_codes(codes: Codes, classes: Classes, lines: list[str], labels: frozenset[str]) -> Codes:
    """The characters whose repetition says something: no blanks, no rules, no lines that repeat by design."""
    if labels:
        codes = codes_of("".join([line for line in lines if line not in labels]))
        classes = class_table().take(codes)
    return codes[_IS_REPEATABLE.take(classes)]


def _num_mojibake(codes: Codes, counts: Sequence[int], terms: TermCounts) -> int:
    found = counts[CharClass.REPLACEMENT] + _MOJIBAKE_TERM_CHARS * terms.num_occurrences(TermCategory.MOJIBAKE)
    if counts[CharClass.LATIN_1] > 1:
        # UTF-8 read as Latin-1 shows a lead byte (U+00C2 to U+00EF) before a continuation byte (U+0080 to U+00BF).
        leads = (codes[:-1] >= 0xC2) & (codes[:-1] <= 0xEF)
        found += 2 * int(np.count_nonzero(leads & (codes[1:] >= 0x80) & (codes[1:] <= 0xBF)))
    return found
