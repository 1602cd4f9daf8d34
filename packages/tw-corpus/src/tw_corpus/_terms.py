"""Weighted terms of pages that are not prose: promotion, gambling, adult content, navigation, broken encoding.

The list is tables/terms.tsv, curated by hand in Traditional and Simplified characters. No term is a single character:
lists with 奶 or 幹 in them drop one genuine Taiwanese paragraph in ten (corpus_and_training.md, section 5). A page is
never judged by the presence of a term, only by density and number of different terms together with how it is built
(`_page_types`); words of news, law, medicine, teaching and stories speak against a promotional page.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from tw_corpus._characters import Codes
from tw_corpus._joined import JoinedTexts


class TermCategory(StrEnum):
    """What a term speaks for."""

    GAMBLING = "gambling"
    ADULT = "adult"
    LOAN = "loan"
    GOODS = "goods"
    CONTACT = "contact"
    INCOME = "income"
    SEO = "seo"
    HEALTH = "health"
    REPORTING = "reporting"
    NARRATION = "narration"
    BOILERPLATE = "boilerplate"
    JAVASCRIPT = "javascript"
    PLACEHOLDER = "placeholder"
    MOJIBAKE = "mojibake"


# The categories whose pages sell something; one page often mixes them.
PROMOTION = (
    TermCategory.LOAN,
    TermCategory.GOODS,
    TermCategory.CONTACT,
    TermCategory.INCOME,
    TermCategory.SEO,
    TermCategory.HEALTH,
)

# Every category of a page that wants something sold, played or visited.
SELLING = (TermCategory.GAMBLING, TermCategory.ADULT, *PROMOTION)

_CATEGORIES = tuple(TermCategory)
TELLING_WEIGHT = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Term:
    """One entry of the list: both of its forms share the entry, which is one object and compared as such.

    Attributes:
        text: the Traditional form, lower case.
        category: what it speaks for.
        weight: 3 hardly ever found elsewhere, 2 typical, below 2 an ordinary word; negative for reporting words,
            1 for the words of stories and teaching (narration).
    """

    text: str
    category: TermCategory
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TermCounts:
    """What was found: how often each term occurs; terms do not overlap, the longest at a position counts."""

    occurrences: Mapping[Term, int]

    def weights(self) -> dict[TermCategory, float]:
        """Sum of weight times occurrences by category; 0 where there is none."""
        sums = dict.fromkeys(_CATEGORIES, 0.0)
        for term, count in self.occurrences.items():
            sums[term.category] += term.weight * count
        return sums

    def num_occurrences(self, category: TermCategory) -> int:
        """Occurrences of all terms of one category."""
        return sum(count for term, count in self.occurrences.items() if term.category == category)

    def num_telling(self) -> dict[TermCategory, int]:
        """Number of different terms of weight 2 or more by category: ordinary words alone make no page of a kind."""
        numbers = dict.fromkeys(_CATEGORIES, 0)
        for term in self.occurrences:
            numbers[term.category] += term.weight >= TELLING_WEIGHT
        return numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    """The list, ready to search: terms of two characters apart from longer ones, which are found by three."""

    may_be_pair: npt.NDArray[np.bool_]
    may_start_longer: npt.NDArray[np.bool_]
    pairs: Mapping[str, Term]
    longer: Mapping[str, tuple[tuple[str, Term], ...]]


# With a quarter of a million buckets for some thousand starts, few positions are looked at in vain, and the table stays
# in the cache.
_NUM_BUCKETS = 1 << 18
# Positions looked at in one go, so that a text of any length takes little memory.
_BLOCK = 1 << 20
_CASE_BIT = np.uint32(0x20)


def count_terms(text: str, codes: Codes) -> TermCounts:
    """Find the terms in `text`, whatever the case of its ASCII letters.

    Args:
        text: any string.
        codes: its code points (`codes_of(text)`), which the caller has at hand.
    """
    return TermCounts(occurrences=Counter([term for _, term in _occurrences(text, codes)]))


def count_terms_of_each(joined: JoinedTexts) -> list[TermCounts]:
    """Find the terms in each of some texts; no term holds the line feed that parts them."""
    occurrences = _occurrences(joined.text, joined.codes)
    if len(joined.texts) == 1:
        return [TermCounts(occurrences=Counter([term for _, term in occurrences]))]
    found = [Counter[Term]() for _ in joined.texts]
    numbers: list[int] = joined.numbers[[position for position, _ in occurrences]].tolist() if occurrences else []
    for number, (_, term) in zip(numbers, occurrences, strict=True):
        found[number][term] += 1
    return [TermCounts(occurrences=each) for each in found]


def _occurrences(text: str, codes: Codes) -> list[tuple[int, Term]]:
    """Position of each term.

    Two or three characters select the positions where a term may start, all at once; only those are compared.
    """
    text, codes = _lower_case(text, codes)
    index = _index()
    found: list[tuple[int, Term]] = []
    end = 0
    for offset in range(0, len(codes) - 1, _BLOCK):
        for place in _candidates(codes[offset : offset + _BLOCK + 2], index):
            position = offset + place
            if position < end:
                continue
            for form, term in index.longer.get(text[position : position + 3], ()):
                if text.startswith(form, position):
                    found.append((position, term))
                    end = position + len(form)
                    break
            else:
                term = index.pairs.get(text[position : position + 2])
                if term is not None:
                    found.append((position, term))
                    end = position + 2
    return found


def _candidates(codes: Codes, index: _Index) -> list[int]:
    """Positions where a term may start, ascending; the last two characters belong to the next block."""
    pairs = _buckets(codes[:-1], codes[1:])
    may_start = index.may_be_pair.take(pairs)
    may_start[:-1] |= index.may_start_longer.take(_buckets(pairs[:-1], codes[2:]))
    return may_start.nonzero()[0][:_BLOCK].tolist()


def _lower_case(text: str, codes: Codes) -> tuple[str, Codes]:
    """Both with ASCII letters in lower case; `str.lower` may change the length."""
    is_upper = (codes - np.uint32(ord("A"))) < np.uint32(26)
    if not is_upper.any():
        return text, codes
    lower = codes | (is_upper * _CASE_BIT)
    return lower.tobytes().decode("utf-32-le", "surrogatepass"), lower


def _buckets(first: npt.NDArray[np.uint32], second: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    return (first * np.uint32(0x9E35) + second) & np.uint32(_NUM_BUCKETS - 1)


@lru_cache(maxsize=1)
def load_terms() -> dict[str, Term]:
    """Every form in the list, Traditional and Simplified, with its term."""
    forms: dict[str, Term] = {}
    table = files("tw_corpus").joinpath("tables", "terms.tsv").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line.startswith("#"):
            continue
        category, weight, text, *simplified = line.split("\t")
        term = Term(text=text, category=TermCategory(category), weight=float(weight))
        for form in (text, *simplified):
            forms.setdefault(form, term)
    return forms


@lru_cache(maxsize=1)
def _index() -> _Index:
    may_be_pair, may_start_longer = np.zeros((2, _NUM_BUCKETS), dtype=np.bool_)
    pairs: dict[str, Term] = {}
    longer: dict[str, list[tuple[str, Term]]] = {}
    for form, term in sorted(load_terms().items(), key=lambda item: -len(item[0])):
        start = np.array([ord(character) for character in form[:3]], dtype=np.uint32)
        bucket = _buckets(start[:1], start[1:2])
        if len(form) == 2:
            pairs[form] = term
            may_be_pair[bucket] = True
        else:
            longer.setdefault(form[:3], []).append((form, term))
            may_start_longer[_buckets(bucket, start[2:])] = True
    return _Index(
        may_be_pair=may_be_pair,
        may_start_longer=may_start_longer,
        pairs=pairs,
        longer={start: tuple(entries) for start, entries in longer.items()},
    )
