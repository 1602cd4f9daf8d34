"""Recall and precision of the near-duplicates found on the pages of html_warc, against exact Jaccard similarity.

    TWLLM_DATA=... uv run --with spacy --with jieba python benchmarks/tw_corpus/near_duplicates.py

writes near_duplicates.md beside this file. One process; datatrove's Chinese tokenizer needs spaCy and jieba.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from loguru import logger
from near_tables import (
    SEEDS,
    SHIPPED,
    band_table,
    document_table,
    level_table,
    made_mirrors,
    outcomes_of,
    pair_table,
    peer_table,
    seed_table,
    settings_table,
)
from near_truth import MIRROR, SHINGLE_CHARS, TRUE_FROM, Page, Truth, candidates, compare, load_pages, our_buckets

from tw_corpus._minhash import MinHashOptions

HERE = Path(__file__).parent
COMMAND = "uv run --with spacy --with jieba python benchmarks/tw_corpus/near_duplicates.py"


def report(data: Path) -> list[str]:
    """Measure everything, return the report."""
    pages = load_pages(data / "html_warc")
    truth, options = compare(pages), MinHashOptions()
    texts = [page.text for page in pages]
    outcomes = outcomes_of(pages, options, SEEDS)
    runs = [candidates(our_buckets(texts, replace(options, seed=seed))) for seed in SEEDS]
    with TemporaryDirectory() as folder:
        peers, mirrors = peer_table(texts, truth, Path(folder)), made_mirrors(pages, Path(folder))
    sections = {
        f"The job over {len(SEEDS)} seeds of the hash functions": (seed_table(outcomes, pages, truth), _SEEDS_NOTE),
        "Pairs, seed 1": (pair_table(truth, outcomes), _PAIRS_NOTE),
        "Pages, seed 1": (document_table(pages, truth, outcomes), _PAGES_NOTE),
        "Pairs by similarity": (band_table(truth, runs, outcomes[SHIPPED], options), _BANDS_NOTE),
        "Beside datatrove's blocks": (peers, _PEERS_NOTE),
        "Mirrors made with OpenCC": (mirrors, _MIRRORS_NOTE),
        "The job with other settings": (level_table(outcomes, pages, truth), _LEVELS_NOTE),
        "Buckets alone with other settings": (settings_table(texts, truth), _SETTINGS_NOTE),
    }
    lines = header(pages, truth)
    for title, (table, note) in sections.items():
        lines += [f"## {title}", "", *table, "", note, ""]
    return lines


def header(pages: Sequence[Page], truth: Truth) -> list[str]:
    """What was measured and how."""
    kinds = Counter(f"{page.row['kind']} {page.row['lang']}" for page in pages)
    listed = ", ".join(f"{kind} {num}" for kind, num in sorted(kinds.items()))
    laws = {page.row["law_id"] for page in pages if page.row["kind"] == "law"}
    twins = sum(group == MIRROR for group in truth.group.values())
    return [
        "# Near-duplicates: recall and precision",
        "",
        "Measured on the subset named in this report.",
        "",
        f"- Command: `TWLLM_DATA=... {COMMAND}`, {datetime.now(UTC):%Y-%m-%d}",
        f"- tw-corpus {version('tw-corpus')}, datatrove {version('datatrove')}, opencc {version('opencc')}",
        f"- Data: html_warc, {len(pages)} pages ({listed}):",
        f"  versions of {len(laws)} laws, {twins} manual pages in zh-TW and zh-CN",
        "- Prepared as the filter stage of the recipe `web` does, its quality rules aside: our reader, `normalize`,",
        "  `strip_boilerplate`, `redact`",
        f"- Truth: exact Jaccard similarity J of the sets of character {SHINGLE_CHARS}-grams of the folded text, as",
        f"  our signature sees it, of all {len(pages) * (len(pages) - 1) // 2:,} pairs; true from {TRUE_FROM} on",
        "- The job: `NearSignature`, datatrove's search in 14 buckets of 8 hashes, and `NearClusters` as they ship,",
        f"  by their files. Pairs are linked where the search brings them and at least {SHIPPED} of their hashes agree",
        "  (`min_agreement`); linked pairs make clusters. Bucket only: the same job with `min_agreement: null`",
        "- Intervals: Wilson, 95 %; counts in brackets. Pairs of one law depend on each other, so the intervals of",
        "  pairs are narrower than they should be",
        "",
    ]


_SEEDS_NOTE = """\
Mean (least, most). Linked: the search brings only neighbours of a sorted bucket, so of three alike pages two pairs; the
third is joined by the cluster. To be dropped: a page with J >= 0.8 to an earlier one, or to one that is not in
Simplified characters where it is. The last columns judge each dropped page by the one page of its cluster that stays;
those of the mirrors are of manual pages. Lowest J: of all seeds. Script mirrors: the zh-TW and the zh-CN page of one
name; translators wrote them apart in part. Listings: indexes of a few dozen characters, which the rules of `web`
reject. Precision leaves out seeds without a pair."""
_PAIRS_NOTE = """\
A pair may end in one cluster through a third page, which raises recall and lowers precision."""
_BANDS_NOTE = """\
Numbers of pairs that share a 5-gram, by group; then shares of all of them. Expected: mean of the curve
1 - (1 - J^8)^14, the chance to share a bucket, over the pairs of the band. Pairs of few pages with few shingles
(listings) are found or missed together, so one seed may lie far from it; the mean over seeds is what to compare. In one
cluster: by the job as it ships."""
_PAGES_NOTE = """\
A cluster is a chain: a page may have gone because of a page that was dropped itself; its similarity with the page that
stays can then be low."""
_PEERS_NOTE = """\
All pairs that share a bucket, not only neighbours; datatrove verifies none. One seed each, so the shares differ by
chance too. The truth is on folded characters: datatrove's own tokenizer sees words of unfolded text, for which another
similarity would be measured."""
_MIRRORS_NOTE = """\
Each page against its own conversion: tw2s, s2t and s2tw change characters only, tw2sp and s2twp words too. J is that
of folded text; what is missing to 1 in the first three are characters that OpenCC converts by word. Help pages are in
part of Latin letters, which no conversion changes."""
_LEVELS_NOTE = """\
Means over 10 seeds. The share of hashes that agree estimates J, with a standard error of 0.04 for 112 hashes at 0.8."""
_SETTINGS_NOTE = """\
All pairs that share a bucket, none verified. Means over 10 seeds; the truth stays that of 5 characters. `at J`:
probability that a pair of that similarity is found."""


def main() -> int:
    """Write the report; 2 without the shared data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=HERE / "near_duplicates.md")
    arguments = parser.parse_args()
    if "TWLLM_DATA" not in os.environ:
        sys.stderr.write("set TWLLM_DATA to the folder of the shared data\n")
        return 2
    logger.disable("datatrove")
    arguments.output.write_text("\n".join(report(Path(os.environ["TWLLM_DATA"]))), encoding="utf-8")
    sys.stdout.write(f"{arguments.output.name} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
