"""Tables of near_duplicates.py."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any, cast

import numpy as np
from datatrove_peers import MANDARIN, ComparableCharacters, signature_block
from near_truth import (
    ALL,
    LAW,
    LISTING,
    MIRROR,
    OTHER,
    SHINGLE_CHARS,
    TRUE_FROM,
    Buckets,
    Outcome,
    Page,
    Pair,
    Truth,
    candidates,
    curve,
    our_buckets,
    peer_buckets,
    run_job,
    shingles_of,
    similarity,
)
from opencc import OpenCC

from tw_corpus._clusters import agreement
from tw_corpus._minhash import MinHashOptions
from twllm_runs.statistics import format_estimate, proportion_estimate

SEEDS = range(1, 21)
BANDS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)
# buckets, hashes of each, characters of a shingle
SETTINGS = (
    (14, 8, 5),
    (9, 13, 5),
    (11, 10, 5),
    (16, 7, 5),
    (20, 8, 5),
    (25, 10, 5),
    (30, 8, 5),
    (32, 14, 5),
    (14, 8, 3),
    (14, 8, 8),
)
SHIPPED = MinHashOptions().min_agreement
# None: bucket only
LEVELS = (None, 0.70, 0.75, 0.80)

GROUPS = (LAW, MIRROR, LISTING, OTHER, ALL)
TRUE_HEAD = f"J >= {TRUE_FROM}"
# pages that pairs of a group are of; mirrors are manuals
KINDS = {LAW: ("law",), MIRROR: ("manual",), LISTING: ("law_index",), OTHER: ("help",)}

Outcomes = Mapping[float | None, Sequence[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """Where the buckets of texts come from, and which share of all hashes must agree besides."""

    buckets: Callable[[Sequence[str]], Buckets]
    min_agreement: float | None = None


def level_name(level: float | None) -> str:
    """How a table calls a `min_agreement`."""
    return "bucket only" if level is None else f"{level}"


def share(num: int, n: int) -> str:
    """A share with its Wilson interval and counts."""
    return f"{format_estimate(proportion_estimate(num, n)).split(', n =')[0]} ({num}/{n})" if n else "none"


def seed_table(outcomes: Outcomes, pages: Sequence[Page], truth: Truth) -> list[str]:
    """The job as it ships and by its buckets alone, by group, over seeds of the hash functions."""
    lines = [
        (
            "| min_agreement | group | pairs linked: recall | precision | pairs in one cluster: recall | precision "
            f"| pages dropped | of those to be dropped | dropped, kept page {TRUE_HEAD} | lowest J with the kept page |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for level in (SHIPPED, None):
        for group in (LAW, MIRROR, LISTING, ALL):
            runs, similarities = outcomes[level], truth.of(group)
            linked = zip(*(scores(run.linked, similarities) for run in runs), strict=True)
            together = zip(*(scores(run.together(), similarities) for run in runs), strict=True)
            numbers = numbers_of(pages, group)
            surplus = surplus_of(pages, truth, numbers)
            gone = [run.dropped() & numbers for run in runs]
            kept = [kept_similarities(run, truth, numbers) for run in runs]
            cells = [*map(spread, linked), *map(spread, together), f"{mean(map(len, gone)):.1f}"]
            cells.append(spread([len(surplus & each) / len(surplus) for each in gone]))
            cells.append(spread([_share_true(values) for values in kept]))
            cells.append(f"{min(value for values in kept for value in values):.2f}")
            name = level_name(level) + (", as shipped" if level is not None else "")
            lines.append(f"| {name} | {group} | {' | '.join(cells)} |")
    return lines


def spread(values: Iterable[float | None]) -> str:
    """Mean, least and most; a seed that gives nothing to take a share of is left out."""
    known = [value for value in values if value is not None]
    return f"{mean(known):.1%} ({min(known):.1%}, {max(known):.1%})" if known else "none"


def numbers_of(pages: Sequence[Page], group: str) -> set[int]:
    """The pages that a group's pairs are of."""
    return {number for number, page in enumerate(pages) if group == ALL or page.row["kind"] in KINDS[group]}


def surplus_of(pages: Sequence[Page], truth: Truth, numbers: AbstractSet[int]) -> set[int]:
    """The pages that a page before them, or one not in Simplified characters, makes superfluous."""
    later = {max(pair, key=lambda number: (pages[number].is_simplified, number)) for pair in truth.wanted(ALL)}
    return later & numbers


def kept_similarities(outcome: Outcome, truth: Truth, numbers: AbstractSet[int]) -> list[float]:
    """Similarity of each dropped page with the page of its cluster that stays."""
    return [truth.between(number, outcome.kept[number]) for number in sorted(outcome.dropped() & numbers)]


def pair_table(truth: Truth, outcomes: Outcomes) -> list[str]:
    """Recall and precision of pairs, by group, of one seed."""
    lines = [
        (
            f"| min_agreement | group | pairs of {TRUE_HEAD} | linked: recall | precision | in one cluster: recall "
            "| precision |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for level in (SHIPPED, None):
        run = outcomes[level][0]
        for group in GROUPS:
            similarities, wanted = truth.of(group), truth.wanted(group)
            cells = [level_name(level), group, str(len(wanted))]
            for pairs in (run.linked, run.together()):
                here = pairs & similarities.keys()
                cells += [share(len(wanted & here), len(wanted)), share(len(wanted & here), len(here))]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def band_table(
    truth: Truth, runs: Sequence[set[Pair]], shipped: Sequence[Outcome], options: MinHashOptions
) -> list[str]:
    """Pairs by similarity: how many share a bucket, what the curve says, and how many the job joins."""
    lines = [
        (
            f"| J | {' | '.join(GROUPS)} | share a bucket, seed 1 | mean of {len(runs)} seeds | expected "
            f"| in one cluster, seed 1 | mean of {len(runs)} seeds |"
        ),
        f"|---|{'---|' * (len(GROUPS) + 5)}",
    ]
    together = [run.together() for run in shipped]
    for low, high in pairwise(BANDS):
        bands = [{pair: value for pair, value in truth.of(group).items() if low <= value < high} for group in GROUPS]
        # the last group is of all pairs
        every, n = bands[-1], max(len(bands[-1]), 1)
        cells = [str(len(band)) for band in bands]
        cells.append(share(len(every.keys() & runs[0]), len(every)))
        cells.append(f"{mean(len(every.keys() & run) for run in runs) / n:.1%}")
        cells.append(f"{mean(curve(value, options) for value in every.values()):.1%}" if every else "–")
        cells.append(share(len(every.keys() & together[0]), len(every)))
        cells.append(f"{mean(len(every.keys() & run) for run in together) / n:.1%}")
        lines.append(f"| {low:.1f} to {min(high, 1):.1f} | {' | '.join(cells)} |")
    return lines


def document_table(pages: Sequence[Page], truth: Truth, outcomes: Outcomes) -> list[str]:
    """What becomes of pages: which are dropped, and whether they should be; one seed."""
    lines = [
        (
            "| min_agreement | pages | number | to be dropped | of these dropped | dropped | kept page of its cluster "
            f"{TRUE_HEAD} | kept page J >= 0.7 | some page of its cluster {TRUE_HEAD} | lowest J with the kept page |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for level in (SHIPPED, None):
        run = outcomes[level][0]
        near = {number for pair in run.together() & truth.wanted(ALL) for number in pair}
        for group, name in {LAW: "laws", MIRROR: "manuals", LISTING: LISTING, OTHER: "help pages", ALL: ALL}.items():
            numbers = numbers_of(pages, group)
            surplus, dropped = surplus_of(pages, truth, numbers), run.dropped() & numbers
            kept = kept_similarities(run, truth, numbers)
            n = len(dropped)
            cells = [
                level_name(level),
                name,
                str(len(numbers)),
                str(len(surplus)),
                share(len(surplus & dropped), len(surplus)),
                str(n),
                share(sum(value >= TRUE_FROM for value in kept), n),
                share(sum(value >= 0.7 for value in kept), n),
                share(len(near & dropped), n),
                f"{min(kept):.2f}" if kept else "–",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def scores(found: AbstractSet[Pair], similarities: Mapping[Pair, float]) -> tuple[float, float | None]:
    """Recall and precision; precision is None where nothing was found."""
    wanted = {pair for pair, value in similarities.items() if value >= TRUE_FROM}
    here = found & similarities.keys()
    return len(wanted & here) / max(len(wanted), 1), len(wanted & here) / len(here) if here else None


def settings_table(texts: Sequence[str], truth: Truth) -> list[str]:
    """Other numbers of buckets, hashes and characters, each over several seeds."""
    lines = [
        (
            "| buckets × hashes | characters | hashes | at J 0.7 | at J 0.8 | at J 0.9 | laws: recall, precision "
            "| mirrors: recall, precision | all: recall, precision |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for num_buckets, hashes, chars in SETTINGS:
        options = [
            MinHashOptions(num_buckets=num_buckets, hashes_per_bucket=hashes, shingle_chars=chars, seed=seed)
            for seed in SEEDS[:10]
        ]
        runs = [candidates(our_buckets(texts, each)) for each in options]
        chances = " | ".join(
            f"{curve(value, options[0]):.2f}" if chars == SHINGLE_CHARS else "–" for value in (0.7, 0.8, 0.9)
        )
        cells = [_mean_scores(runs, truth.of(group)) for group in (LAW, MIRROR, ALL)]
        lines.append(
            f"| {num_buckets} × {hashes} | {chars} | {num_buckets * hashes} | {chances} | {' | '.join(cells)} |"
        )
    return lines


def level_table(shipped: Outcomes, pages: Sequence[Page], truth: Truth) -> list[str]:
    """The job with other numbers of buckets and other `min_agreement`."""
    lines = [
        (
            "| buckets × hashes | min_agreement | pairs in one cluster, laws: recall, precision "
            "| mirrors: recall, precision | all: recall, precision | pages dropped | of those to be dropped "
            f"| dropped, kept page {TRUE_HEAD} |"
        ),
        "|---|---|---|---|---|---|---|---|",
    ]
    numbers = numbers_of(pages, ALL)
    surplus = surplus_of(pages, truth, numbers)
    default = MinHashOptions()
    for num_buckets, hashes in ((14, 8), (20, 8), (30, 8)):
        options = MinHashOptions(num_buckets=num_buckets, hashes_per_bucket=hashes)
        outcomes = shipped if options == default else outcomes_of(pages, options, SEEDS[:10])
        for level in LEVELS:
            runs = outcomes[level][:10]
            together = [run.together() for run in runs]
            cells = [_mean_scores(together, truth.of(group)) for group in (LAW, MIRROR, ALL)]
            cells.append(f"{mean(len(run.dropped()) for run in runs):.1f}")
            cells.append(f"{mean(len(run.dropped() & surplus) for run in runs) / len(surplus):.1%}")
            shares = [_share_true(kept_similarities(run, truth, numbers)) for run in runs]
            cells.append(f"{mean(value for value in shares if value is not None):.1%}")
            lines.append(f"| {num_buckets} × {hashes} | {level_name(level)} | {' | '.join(cells)} |")
    return lines


def outcomes_of(pages: Sequence[Page], options: MinHashOptions, seeds: Iterable[int]) -> Outcomes:
    """What the job makes of the pages, by level and seed."""
    runs = [run_job(pages, replace(options, seed=seed), LEVELS) for seed in seeds]
    return {level: [run[level] for run in runs] for level in LEVELS}


def _share_true(similarities: Sequence[float]) -> float | None:
    return sum(value >= TRUE_FROM for value in similarities) / len(similarities) if similarities else None


def _mean_scores(runs: Sequence[set[Pair]], similarities: Mapping[Pair, float]) -> str:
    each = [scores(run, similarities) for run in runs]
    precision = [value for _, value in each if value is not None]
    return f"{mean(recall for recall, _ in each):.1%}, {mean(precision):.1%}"


def finders(folder: Path) -> dict[str, Finder]:
    """Ours and datatrove's own blocks, all with 14 buckets of 8 hashes over 5-grams."""
    given = signature_block(folder, ComparableCharacters(), normalise=False)
    simplified = signature_block(folder, ComparableCharacters())
    mandarin = signature_block(folder, MANDARIN)

    def ours(texts: Sequence[str]) -> Buckets:
        return our_buckets(texts, MinHashOptions())

    return {
        f"tw-corpus, min_agreement {SHIPPED}": Finder(buckets=ours, min_agreement=SHIPPED),
        "tw-corpus, bucket only": Finder(buckets=ours),
        "datatrove, our tokenizer": Finder(buckets=lambda texts: peer_buckets(texts, given)),
        "datatrove, our tokenizer after its own simplification": Finder(
            buckets=lambda texts: peer_buckets(texts, simplified)
        ),
        "datatrove, its Chinese tokenizer": Finder(buckets=lambda texts: peer_buckets(texts, mandarin)),
    }


def peer_table(texts: Sequence[str], truth: Truth, folder: Path) -> list[str]:
    """Recall and precision of each finder, one seed."""
    lines = ["| finder | laws: recall | precision | mirrors: recall | precision | all: recall | precision |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, finder in finders(folder).items():
        buckets = finder.buckets(texts)
        found = {(one, other) for one, other in candidates(buckets) if _is_found(buckets[one], buckets[other], finder)}
        cells: list[str] = []
        for group in (LAW, MIRROR, ALL):
            similarities, wanted = truth.of(group), truth.wanted(group)
            here = found & similarities.keys()
            cells += [share(len(wanted & here), len(wanted)), share(len(wanted & here), len(here))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def made_mirrors(pages: Sequence[Page], folder: Path) -> list[str]:
    """Each page against what OpenCC makes of it in the other script."""
    every = finders(folder)
    lines = [
        f"| pages | OpenCC | mean J | {TRUE_HEAD} | {' | '.join(f'found, {name}' for name in every)} |",
        f"|---|---|---|---|{'---|' * len(every)}",
    ]
    wanted = {
        "laws": ("law", "zh-TW", ("tw2s", "tw2sp")),
        "manuals, zh-TW": ("manual", "zh-TW", ("tw2s", "tw2sp")),
        "manuals, zh-CN": ("manual", "zh-CN", ("s2t", "s2tw", "s2twp")),
        "help pages": ("help", "zh-TW", ("tw2s", "tw2sp")),
    }
    for chosen_name, (kind, lang, configurations) in wanted.items():
        chosen = [page for page in pages if page.row["kind"] == kind and page.row["lang"] == lang]
        own = {name: finder.buckets([page.text for page in chosen]) for name, finder in every.items()}
        for configuration in configurations:
            converter: Any = OpenCC(configuration)
            mirrors = [cast("str", converter.convert(page.text)) for page in chosen]
            values = [
                similarity(page.shingles, shingles_of(mirror)) for page, mirror in zip(chosen, mirrors, strict=True)
            ]
            cells = [f"{mean(values):.3f}", str(sum(value >= TRUE_FROM for value in values))]
            for name, finder in every.items():
                pairs = zip(own[name], finder.buckets(mirrors), strict=True)
                num = sum(_is_found(one, other, finder) for one, other in pairs)
                cells.append(share(num, len(chosen)))
            lines.append(f"| {chosen_name} ({len(chosen)}) | {configuration} | {' | '.join(cells)} |")
    return lines


def _is_found(one: Sequence[Any] | None, other: Sequence[Any] | None, finder: Finder) -> bool:
    """Whether two texts share a bucket, and enough hashes where the finder asks for it."""
    if one is None or other is None or not any(a == b for a, b in zip(one, other, strict=True)):
        return False
    if finder.min_agreement is None:
        return True
    # the low halves of the hashes, as the job compares them
    rows = np.array([np.frombuffer(b"".join(each), dtype="<u4") for each in (one, other)]).astype(np.uint16)
    return bool(agreement(rows, np.array([[0, 1]]))[0] >= finder.min_agreement)
