"""Weighted terms of pages that are not prose: promotion, gambling, adult content, navigation, broken encoding.

The list is tables/terms.tsv, curated by hand in Traditional and Simplified characters. No term is a single character:
lists with 奶 or 幹 in them drop one genuine Taiwanese paragraph in ten (corpus_and_training.md, section 5). A page is
never judged by the presence of a term, only by density and number of different terms; words of news, law, medicine
and teaching speak against a promotional page.
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Term:
    """One entry of the list: both of its forms share the entry, which is one object and compared as such.

    Attributes:
        text: the Traditional form, lower case.
        category: what it speaks for.
        weight: 3 hardly ever found elsewhere, 2 typical, below 2 an ordinary word; negative for reporting words.
    """

    text: str
    category: TermCategory
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TermCounts:
    """What was found: how often each term occurs; terms do not overlap, the longest at a position counts."""

    occurrences: Mapping[Term, int]

    def weight(self, *categories: TermCategory) -> float:
        """Sum of weight times occurrences over the terms of `categories`; 0 where there is none."""
        return sum(
            (term.weight * count for term, count in self.occurrences.items() if term.category in categories), 0.0
        )

    def num_occurrences(self, category: TermCategory) -> int:
        """Occurrences of all terms of one category."""
        return sum(count for term, count in self.occurrences.items() if term.category == category)

    def num_telling(self, *categories: TermCategory) -> int:
        """Number of different terms of weight 2 or more: ordinary words alone never make a page of a kind."""
        return sum(term.category in categories and term.weight >= 2 for term in self.occurrences)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    """The list, ready to search."""

    may_start: npt.NDArray[np.bool_]
    by_first_two: Mapping[str, tuple[tuple[str, Term], ...]]


# With a quarter of a million buckets for some 5,000 pairs, nearly every position looked at starts like a term.
_NUM_BUCKETS = 1 << 18


def count_terms(text: str, codes: Codes) -> TermCounts:
    """Find the terms in `text`.

    Args:
        text: any string.
        codes: its code points (`codes_of(text)`), which the caller has at hand.

    Two characters select the positions where a term may start, all at once; only those are compared.
    """
    if len(codes) < 2:
        return TermCounts(occurrences={})
    index = _index()
    found: Counter[Term] = Counter()
    end = 0
    for position in np.flatnonzero(index.may_start[_buckets(codes[:-1], codes[1:])]).tolist():
        if position < end:
            continue
        for form, term in index.by_first_two.get(text[position : position + 2].lower(), ()):
            if text[position : position + len(form)].lower() == form:
                found[term] += 1
                end = position + len(form)
                break
    return TermCounts(occurrences=found)


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
    may_start = np.zeros(_NUM_BUCKETS, dtype=np.bool_)
    by_first_two: dict[str, list[tuple[str, Term]]] = {}
    for form, term in sorted(load_terms().items(), key=lambda item: -len(item[0])):
        by_first_two.setdefault(form[:2], []).append((form, term))
        for first in {form[0], form[0].upper()}:
            for second in {form[1], form[1].upper()}:
                pair = np.array([[ord(first)], [ord(second)]], dtype=np.uint32)
                may_start[_buckets(pair[0], pair[1])] = True
    return _Index(may_start=may_start, by_first_two={start: tuple(entries) for start, entries in by_first_two.items()})
