"""Pages of html_warc, their exact similarity, and the pairs that a signature finds among them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from datatrove.data import Document
from datatrove_peers import Block, bucket_signatures
from near_pages import load_page_rows, read_page

from tw_corpus._boilerplate import strip_boilerplate
from tw_corpus._clusters import LAST_CHOICE, agreement
from tw_corpus._comparable import comparable_codes, shingle_hashes
from tw_corpus._minhash import MinHasher, MinHashOptions
from tw_corpus._normalize import normalize
from tw_corpus._pii import redact
from tw_corpus._script import Script, script_of
from tw_corpus.blocks import NearClusters, NearSignature, near_search

TRUE_FROM = 0.8
SHINGLE_CHARS = 5
LAW, MIRROR, LISTING, OTHER, ALL = "laws", "script mirrors", "directory listings", "other pages", "all"

Pair = tuple[int, int]
# one value per bucket that two texts must share; None for a text that is never a near-duplicate
Buckets = Sequence[Sequence[Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page as the near-duplicate stages see it.

    Attributes:
        row: of pages.jsonl.
        text: extracted, normalised, without boilerplate lines, personal data masked.
        shingles: hashes of its character 5-grams, folded as ours compares them, unique.
        is_simplified: in Simplified characters: it stays only where its whole cluster is.
    """

    row: dict[str, Any]
    text: str
    shingles: frozenset[int]
    is_simplified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Exact similarity of every pair that shares a shingle, and the group of each pair."""

    similarity: Mapping[Pair, float]
    group: Mapping[Pair, str]

    def between(self, one: int, other: int) -> float:
        """Similarity of two pages, in either order."""
        return self.similarity.get((min(one, other), max(one, other)), 0.0)

    def of(self, group: str) -> dict[Pair, float]:
        """The pairs of one group."""
        return {pair: value for pair, value in self.similarity.items() if group in (ALL, self.group[pair])}

    def wanted(self, group: str) -> set[Pair]:
        """The pairs of one group that are true near-duplicates."""
        return {pair for pair, value in self.of(group).items() if value >= TRUE_FROM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the job makes of the pages.

    Attributes:
        linked: pairs that the search brought, less those that NearClusters left out.
        kept: for each page the one of its cluster that stays; itself where it has no cluster.
    """

    linked: frozenset[Pair]
    kept: tuple[int, ...]

    def together(self) -> set[Pair]:
        """Pairs in one cluster."""
        members: dict[int, list[int]] = {}
        for page, kept in enumerate(self.kept):
            members.setdefault(kept, []).append(page)
        return {pair for group in members.values() for pair in combinations(group, 2)}

    def dropped(self) -> set[int]:
        """Pages that go."""
        return {page for page, kept in enumerate(self.kept) if page != kept}


def prepare(text: str) -> str:
    """What the filter stage of the recipe `web` makes of a text; its rules are left aside, so that every page stays."""
    return redact(strip_boilerplate(normalize(text).text).text).text


def shingles_of(text: str) -> frozenset[int]:
    """The hashes of a text's shingles."""
    return frozenset(shingle_hashes(comparable_codes(text), SHINGLE_CHARS).tolist())


def load_pages(folder: Path) -> list[Page]:
    """All pages that hold text."""
    pages: list[Page] = []
    for row in load_page_rows(folder):
        text = prepare(read_page(folder, row))
        if text:
            is_simplified = script_of(text).script is Script.HANS
            pages.append(Page(row=row, text=text, shingles=shingles_of(text), is_simplified=is_simplified))
    return pages


def similarity(first: frozenset[int], second: frozenset[int]) -> float:
    """Jaccard similarity; 0 where both are empty."""
    common = len(first & second)
    return common / (len(first) + len(second) - common) if common else 0.0


def compare(pages: Sequence[Page]) -> Truth:
    """Exact similarity of all pairs."""
    similarities: dict[Pair, float] = {}
    groups: dict[Pair, str] = {}
    for one, other in combinations(range(len(pages)), 2):
        value = similarity(pages[one].shingles, pages[other].shingles)
        if value:
            similarities[one, other] = value
            groups[one, other] = group_of(pages[one].row, pages[other].row)
    return Truth(similarity=similarities, group=groups)


def group_of(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Which table a pair belongs to."""
    kinds = {first["kind"], second["kind"]}
    if kinds == {"law"}:
        return LAW
    if kinds == {"law_index"}:
        return LISTING
    twin = kinds == {"manual"} and first["lang"] != second["lang"] and bare_name(first) == bare_name(second)
    return MIRROR if twin else OTHER


def bare_name(row: Mapping[str, Any]) -> str:
    """Name of a manual page without its language: twins share it."""
    return re.sub(r"[-.]zh-(tw|cn)", "", row["file"])


def our_buckets(texts: Iterable[str], options: MinHashOptions) -> Buckets:
    """The buckets of each text, by our signature."""
    hasher = MinHasher(options)
    found: list[list[bytes] | None] = []
    for text in texts:
        signature = hasher.signature(text)
        rows = None if signature is None else signature.reshape(options.num_buckets, options.hashes_per_bucket)
        found.append(None if rows is None else [row.tobytes() for row in rows])
    return found


def peer_buckets(texts: Iterable[str], block: Block) -> Buckets:
    """The buckets of each text, by datatrove's signature."""
    return [bucket_signatures(block, text) for text in texts]


def candidates(buckets: Buckets) -> set[Pair]:
    """Pairs that share a bucket."""
    members: dict[tuple[int, Any], list[int]] = {}
    for number, values in enumerate(buckets):
        for bucket, value in enumerate(values or ()):
            members.setdefault((bucket, value), []).append(number)
    return {pair for group in members.values() for pair in combinations(group, 2)}


def run_job(
    pages: Sequence[Page], options: MinHashOptions, levels: Iterable[float | None]
) -> dict[float | None, Outcome]:
    """Run the job's own near-duplicate steps, the last one for each `min_agreement`."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        documents = [Document(text=page.text, id=str(number)) for number, page in enumerate(pages)]
        list(NearSignature(root / "signatures", options).run(documents, 0, 1))
        for bucket in range(options.num_buckets):
            for step in near_search(root / "signatures", root / "pairs", options):
                # datatrove's step returns nothing
                cast("Any", step).run(None, bucket, options.num_buckets)
        neighbours = _neighbours(root / "pairs", _whole_signatures(pages, options))
        return {
            level: _outcome(root, len(pages), neighbours, replace(options, min_agreement=level)) for level in levels
        }


def _whole_signatures(pages: Sequence[Page], options: MinHashOptions) -> Any:
    hasher = MinHasher(options)
    missing = np.zeros(options.num_hashes, dtype=np.uint32)
    signatures = [hasher.signature(page.text) for page in pages]
    return np.array([missing if each is None else each for each in signatures]).astype(np.uint16)


def _neighbours(folder: Path, rows: Any) -> dict[Pair, float]:
    """The pairs that the search wrote, with the share of hashes that agree."""
    read = [np.fromfile(path, dtype="<u4").reshape(-1, 4) for path in sorted(folder.glob("*.dups"))]
    numbers = np.unique(np.sort(np.concatenate(read)[:, [1, 3]] & (LAST_CHOICE - 1), axis=1), axis=0).astype(np.intp)
    shares = agreement(rows, numbers)
    return {(one, other): share for (one, other), share in zip(numbers.tolist(), shares.tolist(), strict=True)}


def _outcome(root: Path, num_pages: int, neighbours: Mapping[Pair, float], options: MinHashOptions) -> Outcome:
    """Run NearClusters; which page stays is read from its files, as is a check of the clusters."""
    folder = root / f"clusters-{options.min_agreement}"
    steps = NearClusters(root / "pairs", folder, options, signatures=root / "signatures", num_tasks=1)
    list(steps.run(None, 0, 1))
    removed = set(np.fromfile(folder / "000000.remove", dtype="<u4").tolist())
    sizes = dict(np.fromfile(folder / "000000.sizes", dtype="<u4").reshape(-1, 2).tolist())
    linked = frozenset(pair for pair, share in neighbours.items() if share >= (options.min_agreement or 0))
    root_of = list(range(num_pages))
    for one, other in sorted(linked):
        low, high = sorted((root_of[one], root_of[other]))
        root_of = [low if value == high else value for value in root_of]
    # files that do not follow from the pairs end the script here
    assert sizes == {page: num for page, top in enumerate(root_of) if (num := root_of.count(top)) > 1}
    stays = {top: page for page, top in enumerate(root_of) if page not in removed}
    assert len(stays) == num_pages - len(removed)
    return Outcome(linked=linked, kept=tuple(stays[top] for top in root_of))


def curve(value: float, options: MinHashOptions) -> float:
    """Probability that two texts of a similarity share a bucket."""
    return 1 - (1 - value**options.hashes_per_bucket) ** options.num_buckets
