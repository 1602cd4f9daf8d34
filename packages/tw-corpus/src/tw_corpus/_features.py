"""How the measures are computed; what they mean is said in `Measures`."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np

from tw_corpus._characters import CORE_FUNCTION_CHARACTERS, NUM_CLASSES, CharClass
from tw_corpus._joined import JoinedTexts, groups, join_texts
from tw_corpus._lines import label_lines, measure_lines, repeated_lines, split_lines
from tw_corpus._measure import Measures
from tw_corpus._page_types import score_page
from tw_corpus._repetition import Repetition, measure_repetition
from tw_corpus._structure import measure_structure
from tw_corpus._terms import SELLING, TermCategory, TermCounts, count_terms_of_each

_PER_THOUSAND = 1000
_DISTINCT_WINDOW = 1000
_URL = re.compile(r"(?:https?://|www\.)[!-~]+")
_MOJIBAKE_TERM_CHARS = 3


class _Lines(NamedTuple):
    """The lines of a text, those that occur more than once, and those of them that do so by design."""

    lines: list[str]
    repeated: Counter[str]
    labels: frozenset[str]


def compute_measures(texts: Sequence[str]) -> list[Measures]:
    """Measure each of `texts`, as `measure` says."""
    return [measures for group in groups(texts) for measures in _measure_group(join_texts(group))]


def _measure_group(joined: JoinedTexts) -> list[Measures]:
    counts = joined.class_counts()
    by_character = [
        _character_measures(text, of_text, unique)
        for text, of_text, unique in zip(joined.texts, counts, _unique_char_ratios(joined), strict=True)
    ]
    num_written = [max(values["num_written_chars"], 1) for values in by_character]
    num_han: list[int] = [values["num_han_chars"] for values in by_character]
    structures = measure_structure(joined, num_written=num_written, num_han=num_han)
    lines = [_lines_of(text) for text in joined.texts]
    repetitions = _measure_repetition(joined, lines)
    terms = count_terms_of_each(joined)
    mojibake = _num_mojibake(joined, counts, terms)
    measured: list[Measures] = []
    for number, values in enumerate(by_character):
        written = num_written[number]
        by_line = measure_lines(*lines[number])
        values.update(by_line._asdict())
        values.update(structures[number]._asdict())
        values.update(repetitions[number]._asdict())
        values.update(term_measures(terms[number], written))
        values["line_break_ratio"] = by_line.num_lines / written
        values["mojibake_share"] = mojibake[number] / written
        scores = score_page(values)
        measured.append(Measures(**values, promotion_score=scores.promotion, boilerplate_score=scores.boilerplate))
    return measured


def _lines_of(text: str) -> _Lines:
    lines = split_lines(text)
    repeated = repeated_lines(lines)
    return _Lines(lines=lines, repeated=repeated, labels=label_lines(repeated))


def _character_measures(text: str, counts: Sequence[int], unique_char_ratio: float) -> dict[str, Any]:
    """Measures from the number of characters of each class."""
    # Each name is looked up once: an enumeration's members are slow to get.
    (han, han_function, simplified, simplified_function, traditional, traditional_function) = counts[:6]
    (kana, hangul, _, latin, latin_1, _, digit, sentence_end, punctuation) = counts[6:15]
    (symbol, rule, box, blank, private_use, _, _) = counts[15:]
    num_chars = len(text)
    written = max(num_chars - blank - box, 1)
    simplified += simplified_function
    traditional += traditional_function
    num_han = han + han_function + simplified + traditional
    num_function = han_function + simplified_function + traditional_function
    num_url_chars = sum(len(found.group()) for found in _URL.finditer(text)) if "://" in text or "www." in text else 0
    return {
        "num_chars": num_chars,
        "num_written_chars": num_chars - blank - box,
        "num_han_chars": num_han,
        "han_share": num_han / written,
        "num_simplified_only": simplified,
        "num_traditional_only": traditional,
        "simplified_share": simplified / (simplified + traditional) if simplified > 1 else 0.0,
        "kana_hangul_share": (kana + hangul) / written,
        "latin_share": (latin + latin_1) / written,
        "digit_share": digit / written,
        "symbol_share": (symbol + rule) / written,
        "box_share": box / max(num_chars - blank, 1),
        "private_use_share": private_use / written,
        "punctuation_share": (punctuation + sentence_end) / written,
        "sentence_end_share": sentence_end / written,
        "function_char_share": num_function / max(num_han, 1),
        "num_function_chars": sum([character in text for character in CORE_FUNCTION_CHARACTERS]),
        "unique_char_ratio": unique_char_ratio,
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


def _density(weight: float, written: int) -> float:
    return max(0.0, weight) * _PER_THOUSAND / written


def _unique_char_ratios(joined: JoinedTexts) -> list[float]:
    """Different characters among the first written ones of each text; blanks stretch that window twofold at most."""
    starts = joined.starts
    written = joined.classes != CharClass.BLANK
    ranks = written.cumsum()
    before = ranks[starts] - written[starts]
    window = written & (ranks <= (before + _DISTINCT_WINDOW)[joined.numbers])
    window &= np.arange(len(ranks)) < (starts + 2 * _DISTINCT_WINDOW)[joined.numbers]
    codes, numbers, sizes = joined.codes[window], joined.numbers[window], joined.count(window)
    for start, end in pairwise(accumulate(sizes, initial=0)):
        codes[start:end].sort()
    is_new = np.ones(len(codes), dtype=np.bool_)
    is_new[1:] = (codes[1:] != codes[:-1]) | (numbers[1:] != numbers[:-1])
    num_different = np.bincount(numbers[is_new], minlength=len(sizes)).tolist()
    return [different / max(size, 1) for different, size in zip(num_different, sizes, strict=True)]


_IS_REPEATABLE = np.ones(NUM_CLASSES, dtype=np.bool_)
_IS_REPEATABLE[[CharClass.BLANK, CharClass.BOX, CharClass.RULE]] = False


def _measure_repetition(joined: JoinedTexts, lines: Sequence[_Lines]) -> list[Repetition]:
    """Repetition of what says something: no blanks, no rules, no lines that repeat by design."""
    if any(each.labels for each in lines):
        texts = zip(joined.texts, lines, strict=True)
        joined = join_texts([_without_labels(each) if each.labels else text for text, each in texts])
    repeatable = _IS_REPEATABLE.take(joined.classes)
    return measure_repetition(joined.codes[repeatable], joined.count(repeatable))


def _without_labels(lines: _Lines) -> str:
    return "".join([line for line in lines.lines if line not in lines.labels])


def _num_mojibake(joined: JoinedTexts, counts: Sequence[Sequence[int]], terms: Sequence[TermCounts]) -> list[int]:
    """Characters of broken encoding in each text."""
    replacements = [each[CharClass.REPLACEMENT] for each in counts]
    debris = [0] * len(counts)
    if any(each[CharClass.LATIN_1] > 1 for each in counts):
        # UTF-8 read as Latin-1 shows a lead byte (U+00C2 to U+00EF) before a continuation byte (U+0080 to U+00BF).
        codes = joined.codes
        leads = (codes[:-1] >= 0xC2) & (codes[:-1] <= 0xEF)
        marks = np.append(leads & (codes[1:] >= 0x80) & (codes[1:] <= 0xBF), False)
        debris = [
            2 * pairs if each[CharClass.LATIN_1] > 1 else 0
            for pairs, each in zip(joined.count(marks), counts, strict=True)
        ]
    return [
        replaced + pairs + _MOJIBAKE_TERM_CHARS * found.num_occurrences(TermCategory.MOJIBAKE)
        for replaced, pairs, found in zip(replacements, debris, terms, strict=True)
    ]
