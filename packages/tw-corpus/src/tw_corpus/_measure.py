"""Character-level measures of a text, from which `decide` judges it; no threshold stands here.

The rules of Gopher (Rae et al. 2021, A1.1 and Table A1), C4 (Raffel et al. 2020, 2.2) and FineWeb (Penedo et al.
2024, 3.6) count words split at blanks; Chinese has none, and a segmenter costs 30 to 70 times the whole measurement
(corpus_and_training.md, section 5). Here words become characters, stop words grammatical characters, and English
punctuation the full Chinese set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# So many documents at a time make short ones cheap; more gain nothing.
BATCH_DOCUMENTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What was measured of one text. Shares are 0 to 1; where their denominator is 0 (empty text) they are 0.

    Written characters are those that are neither blank nor box drawing; shares are of them unless said otherwise.

    Attributes:
        num_chars: all characters.
        num_written_chars: written characters.
        num_han_chars: ideographs.
        han_share: ideographs.
        num_simplified_only: ideographs only Simplified text holds.
        num_traditional_only: ideographs only Traditional text holds.
        simplified_share: Simplified-only among both; 0 with fewer than two of them, which never decide.
        kana_hangul_share: Japanese kana and Korean Hangul.
        latin_share: Latin letters.
        digit_share: decimal digits.
        symbol_share: symbols, emoji, and ASCII signs that are not punctuation.
        box_share: box drawing, of all characters that are not blank.
        private_use_share: private-use characters.
        punctuation_share: punctuation of any kind.
        sentence_end_share: sentence-ending marks 。！？；…
        function_char_share: grammatical characters (的 是 在 有 …) among the ideographs.
        num_function_chars: how many of the 27 commonest grammatical characters occur at all.
        unique_char_ratio: different characters among the first 1,000 written ones; a window, so that length does not
            lower it.
        num_lines: lines that are not blank.
        mean_line_chars: their mean length.
        median_line_chars: their median length.
        short_line_share: lines of 10 characters or fewer, of the lines.
        short_line_char_share: characters standing in such lines.
        terminal_line_share: lines that end as a finished line may (。！？…」』）】；：～ and the ASCII marks).
        terminal_line_char_share: characters standing in such lines.
        ellipsis_line_share: lines that end in an ellipsis.
        bullet_line_share: lines that start with a bullet.
        bare_entry_char_share: characters in entries like those of a menu: 16 or fewer between blanks or separators, no
            final punctuation, no grammatical character.
        duplicate_line_share: repetitions of lines, labels exempt, of the lines that are no repeated label.
        duplicate_line_char_share: characters in such repetitions.
        label_line_share: lines that repeat by design (speaker labels, article numbers, table rows, short pushes).
        sentence_han_share: ideographs in running sentences, of the ideographs: stretches without line break that end
            in a sentence mark and hold 8 ideographs, 2 of them grammatical.
        bare_run_han_share: ideographs in runs of words without a grammatical character, of the ideographs; blanks and
            marks cut runs.
        lone_han_share: ideographs that stand alone between blanks and marks, of the ideographs.
        rare_han_share: ideographs outside the first level of Big5 that are not Simplified either, of the ideographs.
        exclamation_share: exclamation marks.
        second_person_share: 你, 您 and 妳.
        decoration_share: arrows, dingbats, emoji and 【.
        separator_share: the separators | / > » · • and 、
        price_share: prices, discounts and percentages, each counted once.
        bracketed_number_share: numbers in brackets, as behind the entries of an archive, each counted once.
        line_break_ratio: lines per written character (FineWeb's new-line ratio).
        top_2gram_share: characters covered by the commonest 2-gram; see `Repetition` for this and the next three, which
            are means over blocks in texts of more than a million characters.
        top_4gram_share: by the commonest 4-gram.
        duplicate_10gram_share: inside a 10-gram seen before.
        duplicate_20gram_share: inside a 20-gram seen before.
        url_share: characters of web addresses.
        curly_brace_share: { and }.
        mojibake_share: U+FFFD, and what UTF-8 becomes when read as another encoding (锟斤拷, 嚙踝蕭, Ã¤).
        num_javascript_mentions: occurrences of `javascript`.
        num_placeholder_terms: occurrences of filler text (lorem ipsum, 在此輸入文字).
        gambling_term_density: weighted gambling terms less reporting terms, per 1,000 written characters, at least 0.
        num_gambling_terms: different telling gambling terms (weight 2 or more).
        adult_term_density: the same for adult content.
        num_adult_terms: different telling adult terms.
        selling_term_density: weighted terms of all pages that sell (gambling, adult content, loans, counterfeit
            goods, contact pitches, easy income, SEO, cures) per 1,000 written characters.
        num_selling_terms: different telling terms of these.
        contact_term_density: of those, contact pitches and calls to action.
        boilerplate_term_density: weighted terms of menus, footers, notices and error pages per 1,000 written
            characters.
        num_boilerplate_terms: different telling boilerplate terms.
        reporting_term_density: terms of news, law, medicine and teaching, their weight taken as positive.
        narration_term_density: terms of stories, sports, science and cooking.
        promotion_score: looks like a page that sells, 0 to 1 (`_page_types`).
        boilerplate_score: looks like navigation, forms, notices and error pages, 0 to 1.
    """

    num_chars: int
    num_written_chars: int
    num_han_chars: int
    han_share: float
    num_simplified_only: int
    num_traditional_only: int
    simplified_share: float
    kana_hangul_share: float
    latin_share: float
    digit_share: float
    symbol_share: float
    box_share: float
    private_use_share: float
    punctuation_share: float
    sentence_end_share: float
    function_char_share: float
    num_function_chars: int
    unique_char_ratio: float
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
    line_break_ratio: float
    top_2gram_share: float
    top_4gram_share: float
    duplicate_10gram_share: float
    duplicate_20gram_share: float
    url_share: float
    curly_brace_share: float
    mojibake_share: float
    num_javascript_mentions: int
    num_placeholder_terms: int
    gambling_term_density: float
    num_gambling_terms: int
    adult_term_density: float
    num_adult_terms: int
    selling_term_density: float
    num_selling_terms: int
    contact_term_density: float
    boilerplate_term_density: float
    num_boilerplate_terms: int
    reporting_term_density: float
    narration_term_density: float
    promotion_score: float
    boilerplate_score: float


def measure(text: str) -> Measures:
    """Measure `text`; it should be normalised first (`normalize`), else full-width forms count as they stand.

    Empty text, text of blanks only and text without ideographs are defined: counts and shares are 0 where there is
    nothing to count.
    """
    return measure_each([text])[0]


def measure_each(texts: Sequence[str]) -> list[Measures]:
    """Measure each of `texts` as `measure` does; together, short texts take a third of the time."""
    # numpy comes with it, which an import of tw_corpus must not wait for.
    from tw_corpus._features import compute_measures

    return compute_measures(texts)
