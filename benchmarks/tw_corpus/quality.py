"""Pass and rejection rates of the quality rules on genuine Taiwanese genres and on pages that must go.

    TWLLM_DATA=... uv run --with spacy --with jieba python benchmarks/tw_corpus/quality.py

writes quality.md beside this file. Thresholds and weights were set on the calibration half, the development pages and
the package's test pages; the tables are of the held-out half and of two sets of written pages. Without spaCy and jieba,
which datatrove's Chinese tokenizer needs, pass --no-peers.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from genres import SIMPLIFIED_ANSWERS, GenreDocument, load_documents

from tw_corpus._boilerplate import strip_boilerplate
from tw_corpus._measure import measure
from tw_corpus._normalize import normalize
from tw_corpus._recipe import load_curation_recipe
from tw_corpus._rules import QualityRules, Rejected, decide
from twllm_runs.statistics import wilson_interval

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "packages" / "tw-corpus" / "src" / "tw_corpus"
OURS = "tw-corpus, recipe web"
COMMAND = "uv run --with spacy --with jieba python benchmarks/tw_corpus/quality.py"
# Recipes for one kind of text of which the data hold a genre; there is no news, forum or book text among them.
OWN_RECIPES = {"law": "law"}

AIM_KEPT = 0.97
AIM_REJECTED = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSet:
    """Texts of one verdict.

    Attributes:
        title: heading of its table.
        note: what a reader must know of it.
        is_kept: these texts must stay, not go.
        groups: texts by genre or kind.
    """

    title: str
    note: str
    is_kept: bool
    groups: dict[str, list[str]]


ReasonToDrop = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one set of texts fared under one filter."""

    group: str
    num_texts: int
    reasons: Counter[str]

    @property
    def num_dropped(self) -> int:
        """Texts that were dropped."""
        return self.reasons.total()


def our_filter(rules: QualityRules) -> ReasonToDrop:
    """Normalise, measure and decide."""

    def reason_to_drop(text: str) -> str | None:
        # as the recipes do: boilerplate lines go before a text is measured
        verdict = decide(measure(strip_boilerplate(normalize(text).text).text), rules)
        return verdict.reason if isinstance(verdict, Rejected) else None

    return reason_to_drop


def run(filter_: ReasonToDrop, groups: dict[str, list[str]]) -> list[Outcome]:
    """Apply one filter to every group of texts."""
    outcomes: list[Outcome] = []
    for group, texts in groups.items():
        reasons = Counter(reason for reason in map(filter_, texts) if reason is not None)
        outcomes.append(Outcome(group=group, num_texts=len(texts), reasons=reasons))
    return outcomes


def group_documents(documents: Sequence[GenreDocument], half: str) -> dict[str, list[str]]:
    """Texts of one half by genre; what is not Taiwanese text is left to `load_rejectable`."""
    groups: dict[str, list[str]] = {}
    for document in documents:
        if document.half == half and document.genre != SIMPLIFIED_ANSWERS:
            groups.setdefault(document.genre, []).append(document.text)
    return groups


def load_written(name: str, verdict: str) -> dict[str, list[str]]:
    """Pages of data/`name` that must go or stay, by kind; a file without verdicts holds pages that must go."""
    groups: dict[str, list[str]] = {}
    with (HERE / "data" / name).open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("verdict", "reject") == verdict:
                groups.setdefault(row["kind"], []).append(row["text"])
    return dict(sorted(groups.items()))


def held_out_simplified(documents: Sequence[GenreDocument]) -> list[str]:
    """Answers in Simplified characters, which must go, of the held-out half."""
    return [d.text for d in documents if d.genre == SIMPLIFIED_ANSWERS and d.half == "held-out"]


def rate(num: int, n: int) -> str:
    """A share with its 95 % Wilson interval."""
    low, high = wilson_interval(num, n)
    return f"{100 * num / n:.1f} % [{100 * low:.1f}, {100 * high:.1f}] ({num}/{n})"


def short_rate(num: int, n: int) -> str:
    """A share without interval, for the wide table."""
    return f"{100 * num / n:.1f} %"


def outcome_table(outcomes: Sequence[Outcome], *, kept: bool) -> list[str]:
    """Rows of group, rate and reasons."""
    lines = [f"| set | {'kept' if kept else 'rejected'} | reasons for rejection |", "|---|---|---|"]
    for outcome in outcomes:
        num = outcome.num_texts - outcome.num_dropped if kept else outcome.num_dropped
        reasons = ", ".join(f"{reason} {count}" for reason, count in outcome.reasons.most_common(6)) or "none"
        lines.append(f"| {outcome.group} | {rate(num, outcome.num_texts)} | {reasons} |")
    return lines


def total(outcomes: Sequence[Outcome], group: str) -> Outcome:
    """All groups as one."""
    reasons = sum((outcome.reasons for outcome in outcomes), Counter[str]())
    return Outcome(group=group, num_texts=sum(outcome.num_texts for outcome in outcomes), reasons=reasons)


def comparison_table(by_filter: dict[str, list[Outcome]], *, kept: bool) -> list[str]:
    """One row per set, one column per filter."""
    names = list(by_filter)
    lines = [f"| set | n | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for row in zip(*by_filter.values(), strict=True):
        n = row[0].num_texts
        cells = [short_rate(n - outcome.num_dropped if kept else outcome.num_dropped, n) for outcome in row]
        lines.append(f"| {row[0].group} | {n} | {' | '.join(cells)} |")
    return lines


def measure_speed(texts: Sequence[str]) -> list[str]:
    """Megabytes of UTF-8 per second of processor time on one core, best of five passes, everything warm."""
    megabytes = sum(len(text.encode("utf-8")) for text in texts) / 1e6
    rules = QualityRules()
    normalized = [normalize(text).text for text in texts]
    measured = [measure(text) for text in normalized]
    steps: dict[str, Callable[[], object]] = {
        "normalize": lambda: [normalize(text) for text in texts],
        "measure": lambda: [measure(text) for text in normalized],
        "decide": lambda: [decide(measures, rules) for measures in measured],
        "all three": lambda: [decide(measure(normalize(text).text), rules) for text in texts],
    }
    lines = [f"| step ({len(texts)} texts, {megabytes:.1f} MB) | MB/s |", "|---|---|"]
    for name, step in steps.items():
        seconds: list[float] = []
        for _ in range(5):
            start = time.process_time()
            step()
            seconds.append(time.process_time() - start)
        lines.append(f"| {name} | {megabytes / min(seconds):.1f} |")
    return lines


def frozen_state() -> str:
    """Hash of what decides: the thresholds, the term list, the weights and the script table."""
    digest = hashlib.sha256(repr(load_curation_recipe("web").rules).encode("utf-8"))
    for path in ("tables/terms.tsv", "tables/page_types.tsv", "tables/script_characters.txt"):
        digest.update((PACKAGE / path).read_bytes())
    return digest.hexdigest()[:16]


def load_sets(documents: Sequence[GenreDocument]) -> list[TestSet]:
    """Every set of the report, in its order."""
    return [
        TestSet(
            title="Genuine genres, held-out half",
            note=_HELD_OUT_NOTE,
            is_kept=True,
            groups=group_documents(documents, "held-out"),
        ),
        TestSet(
            title="Set 2, blind: pages that must go",
            note=_SET_2_NOTE,
            is_kept=False,
            groups=load_written("blind_pages_2.jsonl", "reject"),
        ),
        TestSet(
            title="Set 2, blind: pages that must stay",
            note="By another author, chosen because they are easy to reject by mistake.",
            is_kept=True,
            groups=load_written("blind_pages_2.jsonl", "keep"),
        ),
        TestSet(
            title="Set 1, second run: pages that must go",
            note=_SET_1_NOTE,
            is_kept=False,
            groups={
                **load_written("rejectable_pages.jsonl", "reject"),
                SIMPLIFIED_ANSWERS: held_out_simplified(documents),
            },
        ),
    ]


def build_report(documents: Sequence[GenreDocument], *, peers: dict[str, ReasonToDrop]) -> str:
    """Run everything and write the report."""
    web = our_filter(load_curation_recipe("web").rules)
    sets = load_sets(documents)
    results = [(test_set, run(web, test_set.groups)) for test_set in sets]
    lines = [*_header(), *_aims(results)]
    for test_set, outcomes in results:
        lines += [
            f"## {test_set.title}, recipe `web`",
            "",
            test_set.note,
            "",
            *outcome_table([*outcomes, total(outcomes, "all")], kept=test_set.is_kept),
            "",
        ]
        if test_set is sets[0]:
            lines += _other_genuine(documents, test_set.groups)
    lines += [_MISSES, ""]
    if peers:
        lines += _peer_section(results, peers)
    lines += ["## Speed", "", *measure_speed([text for texts in sets[0].groups.values() for text in texts]), ""]
    return "\n".join(lines)


def _other_genuine(documents: Sequence[GenreDocument], genuine: dict[str, list[str]]) -> list[str]:
    """Genres under the recipe of their kind, and the half that the rules were set on."""
    own: list[Outcome] = []
    for recipe, genre in OWN_RECIPES.items():
        rules = load_curation_recipe(recipe).rules
        own += run(our_filter(rules), {f"{genre}, recipe `{recipe}`": genuine[genre]})
    calibration = run(our_filter(load_curation_recipe("web").rules), group_documents(documents, "calibration"))
    return [
        "Under the recipe of the kind (no news, forum or book text is among the data, so the recipes `news`, `forum`",
        "and `book` are not measured):",
        "",
        *outcome_table(own, kept=True),
        "",
        "The calibration half, on which the rules were set; no result, for comparison:",
        "",
        *outcome_table(calibration, kept=True),
        "",
    ]


_HELD_OUT_NOTE = """Second run: the result of the first rules on this half was known, in aggregate, when the rules
were revised; no document of it was looked at. Genres named `joined` are consecutive short lines of one source put
together as documents of 24 lines (12 conversations): they are not documents that somebody wrote. Counts below 30 say
little."""
_SET_2_NOTE = (
    """By another author than the rules, written while they were revised; the rules were run on it once, when frozen."""
)
_SET_1_NOTE = """Second run, rules revised after its first aggregate result was known (72.3 % of 130 pages rejected); no
page of it was looked at."""


_MISSES = """## Misses

No page of the sets was read, so what single pages were missed for is not known. What can be said:

- The misses on set 2 are spam and adult pages, and one gambling page; navigation and debris all went. Set 1 misses
  pages of four kinds.
- The development pages promised more: 94 of 95 adverts rejected, cross-validated at a threshold of 0.4, and 92 to 97 %
  with a drawn half of the terms left out. The term list was written with these pages in view, which cross-validation
  does not take back. The blind set is the figure to quote.
- A guess, not tested: adverts in running prose are built like genuine text, so that the promotion score rests on terms,
  and the list does not hold every author's wording.
- C4 and Gopher reject nearly every page that must go and nearly every page that must stay; their rejection rates alone
  say nothing."""


def _header() -> list[str]:
    return [
        "# Quality rules: what passes and what goes",
        "",
        "Measured on the subset named in this report.",
        "",
        f"- Command: `{COMMAND}`, {datetime.now(UTC):%Y-%m-%d}",
        f"- Hardware: {os.cpu_count()} CPU cores, of which one is used",
        f"- tw-corpus {version('tw-corpus')}, datatrove {version('datatrove')}; SHA-256 of thresholds, term list,",
        f"  weights and script table begins with {frozen_state()}",
        "- Data: zh_variants (tw_law, transcripts_tw, common_voice_zh_tw, udhr), drcd, dialog/zh_tw_bench, zh_chat;",
        "  written pages in data/",
        "- Intervals: Wilson, 95 %; counts in brackets",
        "- Tuned on: the calibration half of the genuine genres, development/pages.jsonl (286 pages by another",
        "  author), the package's own test pages, and the sample corpus of services/pipeline. The weights of both",
        "  scores are fitted by fit_page_types.py on the first three. Terms: by hand, with the development pages in",
        "  view; those that genuine documents of the calibration half hold were given less weight.",
        "- The author of the rules read no page of data/. Its README, which names kinds and counts, was read in part",
        "  after freezing.",
        "- Not fitted but chosen with the development pages, the calibration half and the sample in view: the measures",
        "  that take part, the penalty (0.3, 1 and 3 tried), the thresholds of the scores (0.4 to 0.5), and terms,",
        "  which were added twice after misses and false rejections of these pages had been read.",
        "- Both sets were measured when all that was frozen. The report was made twice more, after a correction of the",
        "  n-gram hash (passages that differ only in a neighbouring last character had counted as repeated) and after",
        "  faster code, with thresholds, terms and weights as they were; no count of any table changed.",
        "",
    ]


def _aims(results: Sequence[tuple[TestSet, list[Outcome]]]) -> list[str]:
    """Which aims are missed, by the point estimate."""
    missed: list[str] = []
    for test_set, outcomes in results:
        if not test_set.is_kept:
            written = total(
                [outcome for outcome in outcomes if outcome.group != SIMPLIFIED_ANSWERS], "all written pages"
            )
            if written.num_dropped < AIM_REJECTED * written.num_texts:
                missed.append(f"- {test_set.title}: {rate(written.num_dropped, written.num_texts)} rejected")
            continue
        missed += [
            f"- {test_set.title}, {outcome.group}: "
            f"{rate(outcome.num_texts - outcome.num_dropped, outcome.num_texts)} kept"
            for outcome in outcomes
            if outcome.num_dropped > (1 - AIM_KEPT) * outcome.num_texts
        ]
    return [
        f"Aims: {AIM_KEPT:.0%} of each genre kept, {AIM_REJECTED:.0%} of the pages that must go rejected. Missed:",
        "",
        *(missed or ["- none"]),
        "",
    ]


def _peer_section(results: Sequence[tuple[TestSet, list[Outcome]]], peers: dict[str, ReasonToDrop]) -> list[str]:
    lines = [
        "## The rules of C4, Gopher, FineWeb and FineWeb2",
        "",
        "datatrove's own blocks with their defaults; FineWeb2 with its `cmn_Hani` numbers, language identification",
        "left out. Words are cut by datatrove's tokenizer for Mandarin. C4 also drops lines; only documents count.",
        "",
    ]
    for test_set, outcomes in results:
        by_filter = {OURS: outcomes, **{name: run(peer, test_set.groups) for name, peer in peers.items()}}
        rows = {name: [*groups, total(groups, "all")] for name, groups in by_filter.items()}
        lines += [f"{'Kept' if test_set.is_kept else 'Rejected'}. {test_set.title}:", ""]
        lines += [*comparison_table(rows, kept=test_set.is_kept), ""]
        if test_set is results[0][0]:
            lines += ["Reasons on these:", "", *(_reasons(name, groups) for name, groups in by_filter.items()), ""]
    return lines


def _reasons(name: str, outcomes: Sequence[Outcome]) -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in total(outcomes, "all").reasons.most_common(5))
    return f"- {name}: {reasons or 'none'}"


def main() -> int:
    """Write the report; 2 without the shared data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-peers", action="store_true", help="leave out C4, Gopher, FineWeb and FineWeb2")
    parser.add_argument("--output", type=Path, default=HERE / "quality.md")
    arguments = parser.parse_args()
    if "TWLLM_DATA" not in os.environ:
        sys.stderr.write("set TWLLM_DATA to the folder of the shared data\n")
        return 2
    peers: dict[str, ReasonToDrop] = {}
    if not arguments.no_peers:
        from quality_peers import peer_filters

        peers = peer_filters()
    report = build_report(load_documents(Path(os.environ["TWLLM_DATA"])), peers=peers)
    arguments.output.write_text(report, encoding="utf-8")
    sys.stdout.write(f"{arguments.output.name} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
