"""Pass and rejection rates of the quality rules on genuine Taiwanese genres and on pages that must go.

    TWLLM_DATA=... uv run --with spacy --with jieba python benchmarks/tw_corpus/quality.py

writes quality.md beside this file. Thresholds were set on the calibration half only; the tables are of the held-out
half. Without spaCy and jieba, which datatrove's Chinese tokenizer needs, pass --no-peers.
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

from tw_corpus._measure import measure
from tw_corpus._normalize import normalize
from tw_corpus._recipe import load_curation_recipe
from tw_corpus._rules import QualityRules, Rejected, decide
from twllm_runs.statistics import wilson_interval

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "packages" / "tw-corpus" / "src" / "tw_corpus"
WRITTEN = "all written pages"
OURS = "tw-corpus, recipe web"
COMMAND = "uv run --with spacy --with jieba python benchmarks/tw_corpus/quality.py"
# Recipes for one kind of text of which the data hold a genre; there is no news, forum or book text among them.
OWN_RECIPES = {"law": "law"}

AIM_KEPT = 0.97
AIM_REJECTED = 0.95

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
        verdict = decide(measure(normalize(text).text), rules)
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


def load_rejectable(documents: Sequence[GenreDocument]) -> dict[str, list[str]]:
    """Pages that must go, by kind, and the held-out answers in Simplified characters."""
    groups: dict[str, list[str]] = {}
    with (HERE / "data" / "rejectable_pages.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            groups.setdefault(row["kind"], []).append(row["text"])
    held_out = [d.text for d in documents if d.genre == SIMPLIFIED_ANSWERS and d.half == "held-out"]
    return {**dict(sorted(groups.items())), SIMPLIFIED_ANSWERS: held_out}


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


def total(outcomes: Sequence[Outcome], group: str, *, among: set[str] | None = None) -> Outcome:
    """All groups, or those named, as one."""
    chosen = [outcome for outcome in outcomes if among is None or outcome.group in among]
    reasons = sum((outcome.reasons for outcome in chosen), Counter[str]())
    return Outcome(group=group, num_texts=sum(outcome.num_texts for outcome in chosen), reasons=reasons)


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
    """Megabytes of UTF-8 per second on one core, best of three passes, everything warm."""
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
        for _ in range(3):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        lines.append(f"| {name} | {megabytes / min(seconds):.1f} |")
    return lines


def frozen_state() -> str:
    """Hash of what decides: the thresholds, the term list and the script table."""
    digest = hashlib.sha256(repr(load_curation_recipe("web").rules).encode("utf-8"))
    for path in ("tables/terms.tsv", "tables/script_characters.txt"):
        digest.update((PACKAGE / path).read_bytes())
    return digest.hexdigest()[:16]


def build_report(documents: Sequence[GenreDocument], *, peers: dict[str, ReasonToDrop]) -> str:
    """Run everything and write the report."""
    genuine = group_documents(documents, "held-out")
    rejectable = load_rejectable(documents)
    web = our_filter(load_curation_recipe("web").rules)
    kept = run(web, genuine)
    rejected = run(web, rejectable)
    own: list[Outcome] = []
    for recipe, genre in OWN_RECIPES.items():
        (outcome,) = run(
            our_filter(load_curation_recipe(recipe).rules), {f"{genre}, recipe `{recipe}`": genuine[genre]}
        )
        own.append(outcome)
    lines = [
        *_header(),
        *_aims(kept, total(rejected, WRITTEN, among=set(rejectable) - {SIMPLIFIED_ANSWERS})),
        "## Genuine genres, held-out half, recipe `web`",
        "",
        *outcome_table([*kept, total(kept, "all")], kept=True),
        "",
        "Genres named `joined` are consecutive short lines of one source put together as documents of 24 lines (12",
        "conversations): they are not documents that somebody wrote. Counts below 30 say little.",
        "",
        "Under the recipe of the kind (no news, forum or book text is among the data, so the recipes `news`, `forum`",
        "and `book` are not measured):",
        "",
        *outcome_table(own, kept=True),
        "",
        "The calibration half, for comparison:",
        "",
        *outcome_table(run(web, group_documents(documents, "calibration")), kept=True),
        "",
        "## Pages that must go, recipe `web`",
        "",
        *outcome_table(
            [*rejected, total(rejected, "all written pages", among=set(rejectable) - {SIMPLIFIED_ANSWERS})], kept=False
        ),
        "",
    ]
    if peers:
        lines += _peer_section(genuine, rejectable, kept, rejected, peers)
    lines += [
        "## Speed",
        "",
        *measure_speed([text for texts in genuine.values() for text in texts]),
        "",
    ]
    return "\n".join(lines)


def _header() -> list[str]:
    return [
        "# Quality rules: what passes and what goes",
        "",
        "Measured on the subset named in this report.",
        "",
        f"- Command: `{COMMAND}`, {datetime.now(UTC):%Y-%m-%d}",
        f"- Hardware: {os.cpu_count()} CPU cores, of which one is used",
        f"- tw-corpus {version('tw-corpus')}, datatrove {version('datatrove')}; SHA-256 of thresholds, term list and",
        f"  script table begins with {frozen_state()}",
        "- Data: zh_variants (tw_law, transcripts_tw, common_voice_zh_tw, udhr), drcd, dialog/zh_tw_bench, zh_chat",
        "- Intervals: Wilson, 95 %; counts in brackets",
        "- Thresholds were set on the calibration half and on invented pages (the package's own test data), then",
        "  frozen. The pages that must go were written by another author and committed before the rules existed; the",
        "  rules were first run on them when frozen, and the thresholds and term lists were not changed since.",
        "",
    ]


def _aims(kept: Sequence[Outcome], written: Outcome) -> list[str]:
    """Which aims are missed, by the point estimate."""
    missed = [
        f"- {outcome.group}: {rate(outcome.num_texts - outcome.num_dropped, outcome.num_texts)} kept"
        for outcome in kept
        if outcome.num_dropped > (1 - AIM_KEPT) * outcome.num_texts
    ]
    if written.num_dropped < AIM_REJECTED * written.num_texts:
        missed.append(f"- {written.group}: {rate(written.num_dropped, written.num_texts)} rejected")
    return [
        f"Aims: {AIM_KEPT:.0%} of each genre kept, {AIM_REJECTED:.0%} of the pages that must go rejected. Missed:",
        "",
        *(missed or ["- none"]),
        "",
    ]


def _peer_section(
    genuine: dict[str, list[str]],
    rejectable: dict[str, list[str]],
    kept: list[Outcome],
    rejected: list[Outcome],
    peers: dict[str, ReasonToDrop],
) -> list[str]:
    by_filter = {OURS: kept, **{name: run(peer, genuine) for name, peer in peers.items()}}
    by_filter_rejected = {OURS: rejected, **{name: run(peer, rejectable) for name, peer in peers.items()}}
    lines = [
        "## The rules of C4, Gopher, FineWeb and FineWeb2",
        "",
        "datatrove's own blocks with their defaults; FineWeb2 with its `cmn_Hani` numbers, language identification",
        "left out. Words are cut by datatrove's tokenizer for Mandarin. C4 also drops lines; only documents count.",
        "",
        "Kept, genuine genres, held-out half:",
        "",
        *comparison_table({name: [*rows, total(rows, "all")] for name, rows in by_filter.items()}, kept=True),
        "",
        "Rejected, pages that must go:",
        "",
        *comparison_table({name: [*rows, total(rows, "all")] for name, rows in by_filter_rejected.items()}, kept=False),
        "",
        "Reasons of the peers on the genuine genres:",
        "",
    ]
    for name, outcomes in by_filter.items():
        reasons = ", ".join(f"{reason} {count}" for reason, count in total(outcomes, "all").reasons.most_common(5))
        lines.append(f"- {name}: {reasons or 'none'}")
    return [*lines, ""]


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
