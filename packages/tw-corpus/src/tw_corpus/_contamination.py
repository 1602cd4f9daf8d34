"""Which texts hold items of an exam or benchmark: character n-grams of comparable text; no input or output.

The comparison ignores script, width, case, punctuation and white space, so an exam copied into Simplified characters or
set with other brackets is found. An item is in a text when enough of its n-grams are. Brown et al. 2020, appendix C,
take one hit of 13 words; one hit of 13 characters would be a phrase of law that exam and statute share by right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tw_corpus._characters import Codes
from tw_corpus._comparable import Hashes, comparable_codes, comparable_codes_with_positions, shingle_hashes
from twllm_types import ConfigError, DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class DecontaminationOptions:
    """What counts as contamination.

    Attributes:
        ngram_chars: characters per n-gram, >= 2.
        min_coverage: share of an item's n-grams that a text must hold, in (0, 1].
        min_item_chars: items with fewer characters that compare are not looked for, since they stand in innocent text;
            they are counted. Items from here to below `ngram_chars` must occur whole. >= 2.

    Raises:
        ConfigError: a number is out of its range.
    """

    ngram_chars: int = 13
    min_coverage: float = 0.5
    min_item_chars: int = 8

    def __post_init__(self) -> None:
        if not 2 <= self.min_item_chars <= self.ngram_chars:
            raise ConfigError(
                f"min_item_chars is {self.min_item_chars} and ngram_chars {self.ngram_chars}; "
                "give numbers with 2 <= min_item_chars <= ngram_chars"
            )
        if not 0 < self.min_coverage <= 1:
            raise ConfigError(f"min_coverage is {self.min_coverage}; give a share above 0 and up to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkItem:
    """One item that must stay out of training text.

    Attributes:
        benchmark: name of the file or folder it came from.
        id: unique in its benchmark.
        text: what is looked for: the question, without options.
    """

    benchmark: str
    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One item found in a text.

    Attributes:
        item: the item.
        coverage: share of its n-grams that the text holds; 1.0 for a short item, which must occur whole.
        start: where the first matching n-gram begins in the text.
        end: where the last one ends.
    """

    item: BenchmarkItem
    coverage: float
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkIndex:
    """Items prepared for search; made by `build_index`.

    Attributes:
        options: what counts.
        items: all items, too short ones included.
        too_short: numbers of the items that are not looked for.
        hashes: sorted n-gram hashes of the longer items, unique per item.
        owners: number of the item behind each of `hashes`.
        num_ngrams: unique n-grams of each item; 0 for short ones.
        heads: hash of the first `min_item_chars` characters of each short item, to its numbers.
        codes: comparable characters of the short items, by number.
    """

    options: DecontaminationOptions
    items: tuple[BenchmarkItem, ...]
    too_short: tuple[int, ...]
    hashes: Hashes
    owners: npt.NDArray[np.int64]
    num_ngrams: npt.NDArray[np.int64]
    heads: Mapping[int, tuple[int, ...]] = field(repr=False)
    codes: Mapping[int, Codes] = field(repr=False)


def build_index(items: Sequence[BenchmarkItem], options: DecontaminationOptions) -> BenchmarkIndex:
    """Prepare items for search.

    Raises:
        DataError: no item is long enough to be looked for.
    """
    hashes: list[Hashes] = []
    num_ngrams = np.zeros(len(items), dtype=np.int64)
    heads: dict[int, list[int]] = {}
    codes: dict[int, Codes] = {}
    too_short: list[int] = []
    for number, item in enumerate(items):
        found = comparable_codes(item.text)
        if len(found) < options.min_item_chars:
            too_short.append(number)
        elif len(found) < options.ngram_chars:
            head = int(shingle_hashes(found[: options.min_item_chars], options.min_item_chars)[0])
            heads.setdefault(head, []).append(number)
            codes[number] = found
        else:
            unique = np.unique(shingle_hashes(found, options.ngram_chars))
            hashes.append(unique)
            num_ngrams[number] = len(unique)
    if len(too_short) == len(items):
        raise DataError(
            f"none of {len(items)} benchmark items has {options.min_item_chars} characters to look for; "
            "check the file, or lower min_item_chars"
        )
    together = np.concatenate(hashes) if hashes else np.empty(0, dtype=np.uint64)
    owners = np.repeat(np.flatnonzero(num_ngrams), num_ngrams[num_ngrams > 0])
    order = np.argsort(together, kind="stable")
    return BenchmarkIndex(
        options=options,
        items=tuple(items),
        too_short=tuple(too_short),
        hashes=together[order],
        owners=owners[order],
        num_ngrams=num_ngrams,
        heads={head: tuple(numbers) for head, numbers in heads.items()},
        codes=codes,
    )


def find_items(text: str, index: BenchmarkIndex) -> tuple[Match, ...]:
    """Find the items that a text holds, by number of the item.

    Args:
        text: any string; empty text holds nothing.
        index: what to look for.
    """
    codes, positions = comparable_codes_with_positions(text)
    found = {**_long_matches(codes, index), **_short_matches(codes, index)}
    return tuple(
        Match(
            item=index.items[number],
            coverage=coverage,
            start=int(positions[first]),
            end=int(positions[last]) + 1,
        )
        for number, (coverage, first, last) in sorted(found.items())
    )


def _long_matches(codes: Codes, index: BenchmarkIndex) -> dict[int, tuple[float, int, int]]:
    size = index.options.ngram_chars
    shingles = shingle_hashes(codes, size)
    if not len(index.hashes) or not len(shingles):
        return {}
    low = np.searchsorted(index.hashes, shingles, side="left")
    hits = np.flatnonzero(index.hashes[np.minimum(low, len(index.hashes) - 1)] == shingles)
    if not len(hits):
        return {}
    # one row per (position in the text, entry of the index); an n-gram that several items share has several entries
    num_entries = np.searchsorted(index.hashes, shingles[hits], side="right") - low[hits]
    at = np.repeat(hits, num_entries)
    within = np.arange(len(at)) - np.repeat(np.cumsum(num_entries) - num_entries, num_entries)
    entries = np.repeat(low[hits], num_entries) + within
    owners = index.owners[entries]
    matches: dict[int, tuple[float, int, int]] = {}
    for number in np.unique(owners).tolist():
        mine = owners == number
        coverage = len(np.unique(entries[mine])) / int(index.num_ngrams[number])
        if coverage >= index.options.min_coverage:
            matches[number] = (coverage, int(at[mine].min()), int(at[mine].max()) + size - 1)
    return matches


def _short_matches(codes: Codes, index: BenchmarkIndex) -> dict[int, tuple[float, int, int]]:
    if not index.heads:
        return {}
    shingles = shingle_hashes(codes, index.options.min_item_chars)
    heads = np.fromiter(index.heads, dtype=np.uint64, count=len(index.heads))
    matches: dict[int, tuple[float, int, int]] = {}
    for at in np.flatnonzero(np.isin(shingles, heads)).tolist():
        for number in index.heads[int(shingles[at])]:
            wanted = index.codes[number]
            if number not in matches and np.array_equal(codes[at : at + len(wanted)], wanted):
                matches[number] = (1.0, at, at + len(wanted) - 1)
    return matches
