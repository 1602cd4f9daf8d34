"""Variety, script and conversion: held-out figures, other tools, sources left out, genuine genres, speed.

    OMP_NUM_THREADS=1 TWLLM_DATA=... uv run --with hanzidentifier --with pycld2 --with canto-filter \
        python benchmarks/tw_corpus/variants.py

writes variants.md beside this file. Without the three tools, pass --no-peers.
"""

import argparse
import hashlib
import os
import sys
import time
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from genres import SIMPLIFIED_ANSWERS, load_documents
from variants_peers import Said, load_peers
from variants_tables import (
    confusion_table,
    converted_table,
    flagged_table,
    genre_table,
    label_table,
    reliability_table,
    script_table,
    share,
    source_table,
    written,
)

from tw_corpus._normalize import normalize
from tw_corpus._variant import Variant, classify_variant, load_variant_model
from tw_corpus._variant_evaluation import (
    Scored,
    converted_auroc,
    held_out_samples,
    in_both_scripts,
    samples_of,
    score,
    script_figure,
)
from tw_corpus._variant_training import TrainingSettings, fit_model
from tw_corpus._variant_training_labels import holds_cantonese
from tw_corpus._variant_training_rows import Part, Row, read_rows, split_rows, text_key
from tw_corpus._variant_training_samples import Convert, load_converter, sentences, wording_label

HERE = Path(__file__).parent
MODEL = HERE.parents[1] / "packages" / "tw-corpus" / "src" / "tw_corpus" / "models" / "variant.npz"
COMMAND = (
    "OMP_NUM_THREADS=1 uv run --with hanzidentifier --with pycld2 --with canto-filter "
    "python benchmarks/tw_corpus/variants.py"
)
Lengths = Mapping[str, Sequence[Scored]]

# What is left out at once; a locale of Common Voice counts by file, but small files of one kind go together.
LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "Common Voice zh-TW, sentence-collector": ("common_voice/zh-TW/sentence-collector",),
    "Common Voice zh-TW, setences": ("common_voice/zh-TW/setences",),
    "Common Voice zh-TW, chat, lms, city": tuple(
        f"common_voice/zh-TW/{n}" for n in ("chatlogs", "lms", "taipei_city_gov")
    ),
    "transcripts_tw": ("transcripts_tw",),
    "tw_law": ("tw_law",),
    "Common Voice zh-HK, sentence-collector": ("common_voice/zh-HK/sentence-collector",),
    "Common Voice zh-HK, government, transport, adverts": tuple(
        f"common_voice/zh-HK/{name}" for name in ("hkgov", "mtr", "advertise")
    ),
    "hkcancor": ("hkcancor",),
    "Common Voice zh-CN, wiki": ("common_voice/zh-CN/wiki.zh-cn", "converted"),
    "Common Voice zh-CN, sentence-collector": ("common_voice/zh-CN/sentence-collector",),
    "udhr": ("udhr",),
    "zhtw": ("zhtw",),
    "allauth": ("allauth",),
}
# Thirteen trainings must fit into the time of a benchmark.
SMALL = TrainingSettings(max_sentences=2500, max_runs=40)
SMALL = replace(SMALL, fit=replace(SMALL.fit, num_steps=35))


def leave_out(rows: Sequence[Row], sources: Sequence[str], convert: Convert) -> Lengths:
    """Train without `sources`, and without what else holds one of their texts, and score all of them."""
    left_out = [row for row in rows if row.source in sources]
    known = {text_key(row.text) for row in left_out}
    ids = {row.id for row in left_out}
    parts = split_rows(rows)
    kept = [
        (row, part)
        for row, part in zip(rows, parts, strict=True)
        if row.source not in sources and text_key(row.text) not in known and not ids.intersection(row.keys)
    ]
    # What is no test row of the split may be learned from; the rest has no part here.
    train = [row for row, part in kept if part is Part.TRAIN]
    calibration = [row for row, part in kept if part is Part.CALIBRATION]
    model = fit_model(train, calibration, convert, SMALL)
    seen = frozenset(text_key(sentence) for row in train if row.document for sentence in sentences(row))
    samples = samples_of(left_out, exclude=seen, seed=1)
    return {name: score(model, in_both_scripts(members, convert)) for name, members in samples.items()}


def leave_out_table(rows: Sequence[Row], convert: Convert) -> list[str]:
    """Share found of each source that training did not see."""
    lines = [
        "| left out | label | sentences | 50 ideographs | 200 ideographs | 1,000 ideographs | 50+, said instead |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, sources in LEFT_OUT.items():
        started = time.perf_counter()
        by_length = leave_out(rows, sources, convert)
        for label in dict.fromkeys(item.sample.label for scored in by_length.values() for item in scored):
            cells: list[str] = []
            for scored in by_length.values():
                members = [item for item in scored if item.sample.label is label]
                cells.append(share(sum(item.verdict.label is label for item in members), len(members)))
            lines.append(f"| {title} | {label} | {' | '.join(cells)} | {_said_instead(by_length, label)} |")
        sys.stdout.write(f"left out {title}: {time.perf_counter() - started:.0f} s\n")
        sys.stdout.flush()
    return lines


def _said_instead(by_length: Lengths, label: Variant) -> str:
    wrong = [
        item.verdict.label
        for name, scored in by_length.items()
        for item in scored
        if name != "sentences" and item.sample.label is label and item.verdict.label is not label
    ]
    return ", ".join(f"{other} {wrong.count(other)}" for other in Variant if other in wrong) or "–"


def aims(by_length: Lengths) -> list[str]:
    """The aims of issue 3 and what was reached."""
    long = [item for name, scored in by_length.items() if name != "sentences" for item in scored]
    yue = [item for item in long if item.sample.label is Variant.YUE]
    found = sum(item.verdict.label is Variant.YUE for item in yue)
    lines = [
        "| aim | reached |",
        "|---|---|",
        f"| Cantonese found, 50 ideographs or more: 95 % | {share(found, len(yue))} |",
    ]
    for title, label in (
        ("zh-TW", Variant.ZH_TW),
        ("zh-CN", Variant.ZH_CN),
        ("lines of the zh-HK locale", Variant.ZH_HK),
    ):
        others = [item for item in long if item.sample.label is label]
        wrong = sum(item.verdict.label is Variant.YUE for item in others)
        lines.append(f"| taken for Cantonese, of {title}: at most 0.3 % | {share(wrong, len(others))} |")
    taken = [item for item in long if item.sample.label is Variant.ZH_HK and item.verdict.label is Variant.YUE]
    worded = sum(holds_cantonese(item.sample.text) for item in taken)
    lines.append(f"| of these, with a Cantonese word of the hand-written list | {share(worded, len(taken))} |")
    sentences_ = by_length["sentences"]
    lines.append(
        f"| script right in sentences that hold a deciding character: 99.7 % | {written(script_figure(sentences_))} |"
    )
    for length in ("200", "1000"):
        auroc = written(converted_auroc(by_length[length], seed=0), percent=False)
        lines.append(f"| converted text found, {length} ideographs: AUROC 0.95 | {auroc} |")
    return lines


def supplied_conversions(rows: Sequence[Row]) -> list[str]:
    """The rows of converted.jsonl in the test part, as they are given."""
    parts = split_rows(rows)
    lines = ["| converter | n | label zh-CN | flagged as converted |", "|---|---|---|---|"]
    for name in ("s2t", "s2tw", "s2twp", "s2hk"):
        texts = [
            row.text for row, part in zip(rows, parts, strict=True) if row.converted_by == name and part is Part.TEST
        ]
        verdicts = [classify_variant(text, max_evidence=0) for text in texts]
        labelled = sum(verdict.label is Variant.ZH_CN for verdict in verdicts)
        flagged = sum(verdict.converted_from_simplified for verdict in verdicts)
        lines.append(f"| {name} | {len(texts)} | {share(labelled, len(texts))} | {share(flagged, len(texts))} |")
    return lines


def genres(data: Path) -> list[str]:
    """Genuine Taiwanese documents that the model was not trained on, and those that it was."""
    groups: dict[str, list[str]] = {}
    for document in load_documents(data):
        if document.genre not in {SIMPLIFIED_ANSWERS, "law", "transcripts"} and not document.genre.endswith(", joined"):
            groups.setdefault(f"{document.genre}, {document.half} half", []).append(document.text)
    return genre_table(
        {
            genre: [classify_variant(normalize(text).text, max_evidence=0) for text in texts]
            for genre, texts in sorted(groups.items())
        }
    )


def speed(rows: Sequence[Row]) -> list[str]:
    """Megabytes of UTF-8 a second on one core, best of three, everything warm; and the memory of a long text."""
    documents = [row.text for row in rows if row.document]
    paragraphs = [line for text in documents for line in text.split("\n") if len(line) > 100]
    short = [row.text for row in rows if row.source == "hkcancor"]
    lines = ["| texts | mean bytes | with evidence, MB/s | without, MB/s |", "|---|---|---|---|"]
    for title, texts in (("documents", documents), ("paragraphs", paragraphs), ("utterances", short)):
        num_bytes = sum(len(text.encode("utf-8")) for text in texts)
        cells = [f"{num_bytes / 1e6 / _seconds(texts, max_evidence):.1f}" for max_evidence in (10, 0)]
        lines.append(f"| {title} ({len(texts)}) | {num_bytes // len(texts)} | {' | '.join(cells)} |")
    text = "\n".join(documents)
    long = text * (50_000_000 // len(text.encode("utf-8")) + 1)
    tracemalloc.start()
    started = time.perf_counter()
    classify_variant(long)
    seconds = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = len(long.encode("utf-8")) / 1e6
    lines += ["", f"One text of {size:.0f} MB: {peak / 1e6:.1f} MB beside the text ({seconds:.1f} s while traced)."]
    return lines


def _seconds(texts: Sequence[str], max_evidence: int) -> float:
    seconds: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        for text in texts:
            classify_variant(text, max_evidence=max_evidence)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def report(data: Path, peers: Mapping[str, Said]) -> Iterator[str]:
    """All sections, as lines."""
    convert = load_converter()
    rows = read_rows(data / "zh_variants")
    model = load_variant_model()
    by_length = {
        name: score(model, in_both_scripts(samples, convert))
        for name, samples in held_out_samples(rows, seed=0).items()
    }
    published = {name: [item for item in scored if item.published] for name, scored in by_length.items()}
    yield from _header(rows)
    yield from ["## Aims", "", *aims(by_length), "", _AIMS_NOTE, ""]
    yield from ["## Labels, texts as published", "", _PUBLISHED_NOTE, ""]
    for name, scored in published.items():
        yield from [f"### {_title(name, scored)}", "", *label_table(scored, peers), ""]
    yield from ["## Labels, every text in both scripts", "", _BOTH_NOTE, ""]
    for name, scored in by_length.items():
        yield from [f"### {_title(name, scored)}", "", *label_table(scored, {}), "", *confusion_table(scored), ""]
    yield from ["## Found, by source", "", *source_table(by_length), ""]
    yield from ["## Sources left out", "", _LEFT_OUT_NOTE, "", *leave_out_table(rows, convert), ""]
    yield from ["## Script", "", *script_table(by_length), ""]
    yield from ["## Converted from Simplified", "", _CONVERTED_NOTE, "", *converted_table(by_length), ""]
    yield from ["Sentences of `converted.jsonl` in the test part, as supplied:", "", *supplied_conversions(rows), ""]
    yield from ["Genuine texts of the test part:", "", *flagged_table(published), ""]
    yield from ["## Genuine Taiwanese documents of other sources", "", _GENRES_NOTE, "", *genres(data), ""]
    yield from ["## Reliability", "", _RELIABILITY_NOTE, "", *reliability_table(by_length), ""]
    yield from ["## Speed", "", *speed(rows), ""]


def _title(name: str, scored: Sequence[Scored]) -> str:
    joined = sum(item.sample.joined for item in scored)
    if name == "sentences":
        return f"Sentences ({len(scored)})"
    return f"{name} ideographs or more ({len(scored)}; {joined} joined from sentences that stood apart)"


def _header(rows: Sequence[Row]) -> list[str]:
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()[:16]
    counts = ", ".join(
        f"{label} {sum(wording_label(row) is label for row in rows)}" for label in Variant if label is not Variant.OTHER
    )
    return [
        "# Variety, script and conversion of Chinese text",
        "",
        "Measured on the subset named in this report.",
        "",
        f"- Command: `{COMMAND}`, {datetime.now(UTC):%Y-%m-%d}",
        f"- Hardware: {os.cpu_count()} CPU cores, of which one is used",
        f"- tw-corpus {version('tw-corpus')}, opencc {version('opencc')}; SHA-256 of the weights begins with {digest}",
        f"- Data: zh_variants, rows under CC0, CC BY, MIT and in the public domain ({counts});",
        "  drcd, dialog/zh_tw_bench and zh_chat for the genuine documents of other sources",
        "- Intervals: 95 %; shares Wilson, precision, recall, F1 and AUROC a bootstrap of documents, conversations and",
        "  rows; counts in brackets",
        "- Split by text, twin, original, article, document and conversation, in any script: 70 % training, 10 %",
        "  calibration, 20 % test; lines from templates are all in the training part. The settings were chosen on",
        "  another draw of the split and on DRCD_dev of drcd; after the figures of this test part were first seen,",
        "  speakers' names were taken out of the n-grams and nothing else was changed",
        "",
    ]


_AIMS_NOTE = """\
All texts of the test part in both scripts. Missed: the false positives on the zh-HK locale. Nobody labelled its
lines one by one; those without an unmistakable Cantonese character are scored as written Chinese, and a run of
them nearly always holds some that are Cantonese, as the row below it shows."""
_PUBLISHED_NOTE = """\
Other tools say some labels only: hanzidentifier and pycld2 tell scripts (Traditional counted as zh-TW,
Simplified as zh-CN), the FineWeb-zhtw rule keeps zh-TW and drops the rest, canto-filter knows Cantonese. A tool
has a row for each label that it said at least once."""
_BOTH_NOTE = """\
Texts in Traditional characters also through OpenCC t2s; Mainland texts also through s2t, s2tw, s2twp and s2hk
in turn. The label is that of the wording and must not change. zh-CN is nearly all Chinese Wikipedia, of which
five sentences in six hold no word of any region: training takes those for neutral (docs/model-card-variant.md)."""
_LEFT_OUT_NOTE = """\
The honest figure: the source in question, and every row elsewhere with one of its texts or twins, was in
neither training nor calibration; smaller trainings (2,500 sentences and 40 runs a source and length). Where a
source is the only large one of its label, the hand-written words are all that is left."""
_CONVERTED_NOTE = """\
Converted Mainland texts against genuine Traditional texts of all sources of the test part; the flag is a
probability above 0.8."""
_GENRES_NOTE = """\
No row of these sources may be trained on. The encyclopaedia is Wikipedia in its Taiwanese display, written in
part on the Mainland and in Hong Kong; chat answers come from language models."""
_RELIABILITY_NOTE = """\
Share of right labels among texts by the probability of the label, every label weighing the same. Neutral
encyclopaedic lines are meant to be undecided, so zh-CN is right more often than it is said to be."""


def main() -> None:
    """Write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-peers", action="store_true", help="leave out the tools that are not installed")
    arguments = parser.parse_args()
    if "TWLLM_DATA" not in os.environ:
        sys.exit("TWLLM_DATA is not set: name the folder of the shared data")
    data = Path(os.environ["TWLLM_DATA"])
    if not (data / "zh_variants").is_dir():
        sys.exit("shared data not found: zh_variants")
    lines = list(report(data, {} if arguments.no_peers else load_peers()))
    (HERE / "variants.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
