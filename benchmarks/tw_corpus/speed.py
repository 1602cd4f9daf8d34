"""Speed of the filter chain, of `classify_variant` and of the MinHash signature beside their peers.

    TWLLM_DATA=... uv run --with spacy --with jieba --with ftfy --with hanzidentifier --with pycld2 \
        --with canto-filter python benchmarks/tw_corpus/speed.py

writes speed.md beside this file. One process on one core; in each repetition everything that is compared runs once, in
turns, over the same documents; times are of the processor.
"""

import argparse
import hashlib
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import wrap
from typing import Any

from datatrove_peers import (
    MANDARIN,
    Block,
    Characters,
    ComparableCharacters,
    documents_of,
    fineweb2_blocks,
    signature_block,
)
from genres import load_documents
from loguru import logger
from near_pages import load_page_texts
from speed_timing import Sample, Task, Timing, added, interleaved, rate, run_blocks, times
from variants_peers import load_peers

from tw_corpus import classify_variant, classify_variants
from tw_corpus._minhash import MinHashOptions
from tw_corpus._normalize import normalize
from tw_corpus._recipe import CurationRecipe
from tw_corpus._tally import Tally
from tw_corpus.blocks import ClassifyVariant, NearSignature, Normalize, QualityFilter, Redact, StripBoilerplate
from tw_corpus.curation import load_curation_recipe
from twllm_runs import hardware

HERE = Path(__file__).parent
PEERS = ("spacy", "jieba", "ftfy", "hanzidentifier", "pycld2", "canto-filter")
COMMAND = f"uv run {' '.join(f'--with {name}' for name in PEERS)} python benchmarks/tw_corpus/speed.py"
CORE = min(os.sched_getaffinity(0))
AIM_CHAIN, AIM_MINHASH, AIM_VARIANT = 20.0, 2.0, 5.0
SENTENCE_ENDS = "。！？\n"

OURS = "tw-corpus"
BOTH = "kept by both chains"
STRIPPED = "tw-corpus, with boilerplate lines removed"
FINEWEB2 = "FineWeb2 `cmn_Hani`"
FINEWEB2_CHARACTERS = "FineWeb2 `cmn_Hani`, words are characters"
DATATROVE_OURS = "datatrove, our tokenizer"
DATATROVE_OURS_32 = "datatrove, our tokenizer, 32-bit hashes"
DATATROVE_NORMALISED = "datatrove, our tokenizer after its own simplification"
DATATROVE_MANDARIN = "datatrove, its Chinese tokenizer"

# bytes of UTF-8 from which a document belongs to the next class of lengths
LENGTHS = (1_000, 4_000)


def our_blocks(recipe: CurationRecipe, *, strip: bool) -> list[Block]:
    """Return the blocks of the filter stage, as the recipe sets and orders them; nothing is written."""
    if recipe.pii is None or recipe.variants is None:
        raise ValueError("the recipe leaves out what is to be measured")
    tally = Tally()
    return [
        Normalize(tally=tally),
        *([StripBoilerplate(tally=tally)] if strip else []),
        Redact(recipe.pii.mode, kinds=recipe.pii.kinds, counts=tally.pii),
        QualityFilter(recipe.rules, tally=tally),
        ClassifyVariant(recipe.variants, tally=tally),
    ]


def chain_makers() -> dict[str, Callable[[], list[Block]]]:
    """The filter chains by name; blocks are made anew for each pass, outside of the time that is taken."""
    recipe = load_curation_recipe("web")
    characters = Characters()
    return {
        OURS: lambda: our_blocks(recipe, strip=False),
        STRIPPED: lambda: our_blocks(recipe, strip=True),
        FINEWEB2: lambda: fineweb2_blocks(MANDARIN),
        FINEWEB2_CHARACTERS: lambda: fineweb2_blocks(characters),
    }


def time_chains(samples: Mapping[str, Sample], repetitions: int) -> dict[str, dict[str, list[Timing]]]:
    """Timings by sample and chain; in each repetition every chain goes over every sample."""
    makers = chain_makers()
    tasks = {
        (part, name): _chain_task(maker, sample) for part, sample in samples.items() for name, maker in makers.items()
    }
    timings = interleaved(tasks, repetitions)
    return {part: {name: timings[part, name] for name in makers} for part in samples}


def kept_by_both(sample: Sample) -> Sample:
    """The documents that our chain and FineWeb2's leave, so that neither saves work by dropping one."""
    makers = chain_makers()
    kept = [kept_by(makers[name](), sample) for name in (OURS, FINEWEB2)]
    numbers = set.intersection(*kept)
    return Sample(texts=tuple(text for number, text in enumerate(sample.texts) if str(number) in numbers))


def kept_by(blocks: Sequence[Block], sample: Sample) -> set[str]:
    """The ids of the documents that come through."""
    passed: Any = documents_of(list(sample.texts))
    for block in blocks:
        passed = block.run(passed, 0, 1)
    return {document.id for document in passed}


def by_length(sample: Sample) -> dict[str, Sample]:
    """The documents by class of lengths; classes without documents are left out."""
    edges = (0, *LENGTHS, None)
    parts: dict[str, Sample] = {}
    for low, high in pairwise(edges):
        name = f"{low:,} bytes and more" if high is None else f"{low:,} to {high:,} bytes"
        sizes = ((text, len(text.encode("utf-8"))) for text in sample.texts)
        texts = tuple(text for text, size in sizes if size >= (low or 0) and (high is None or size < high))
        if texts:
            parts[name] = Sample(texts=texts)
    return parts


def _chain_task(maker: Callable[[], list[Block]], sample: Sample) -> Task:
    return lambda: run_blocks(maker(), documents_of(list(sample.texts)))


def signature_tasks(sample: Sample, folder: Path) -> dict[str, Task]:
    """The MinHash signatures of the same normalised texts."""
    ours = ComparableCharacters()
    makers: dict[str, Callable[[], Block]] = {
        OURS: lambda: NearSignature(folder / "ours", MinHashOptions()),
        DATATROVE_OURS: lambda: signature_block(folder / "given", ours, normalise=False),
        DATATROVE_OURS_32: lambda: signature_block(folder / "given32", ours, precision=32, normalise=False),
        DATATROVE_NORMALISED: lambda: signature_block(folder / "simplified", ours),
        DATATROVE_MANDARIN: lambda: signature_block(folder / "mandarin", MANDARIN),
    }
    return {name: _signature_task(maker, sample) for name, maker in makers.items()}


def _signature_task(maker: Callable[[], Block], sample: Sample) -> Task:
    def task() -> Timing:
        block, documents = maker(), documents_of(list(sample.texts))
        started = time.process_time()
        deque(block.run(documents, 0, 1) or (), maxlen=0)
        return Timing(seconds=time.process_time() - started, num_left=len(documents))

    return task


_AIMS_NOTE = """\
The first aim is missed. FineWeb2's chain rejects a quarter of the documents, most of them early, and so does less; over
the documents that both chains keep the ratio is the second row. Of our own time the quality measures take more than
half: repetition (three sorts per document), lines and terms, which are Python per line and per candidate."""
_BATCH = 64
_BATCHES = f"`classify_variants`, batches of {_BATCH}, no evidence"


def variant_tasks(sample: Sample, peers: Mapping[str, Callable[[str], object]]) -> dict[str, Task]:
    """`classify_variant` with and without evidence, and other tools that say something of a text's variety."""
    functions: dict[str, Callable[[str], object]] = {
        "`classify_variant`, no evidence": lambda text: classify_variant(text, max_evidence=0),
        "`classify_variant`": classify_variant,
        **peers,
    }
    tasks = {name: _function_task(function, sample) for name, function in functions.items()}
    return {_BATCHES: _batch_task(sample), **tasks}


def _batch_task(sample: Sample) -> Task:
    groups = [sample.texts[start : start + _BATCH] for start in range(0, len(sample.texts), _BATCH)]

    def task() -> Timing:
        started = time.process_time()
        for group in groups:
            classify_variants(group, max_evidence=0)
        return Timing(seconds=time.process_time() - started, num_left=len(sample.texts))

    return task


def _function_task(function: Callable[[str], object], sample: Sample) -> Task:
    def task() -> Timing:
        started = time.process_time()
        for text in sample.texts:
            function(text)
        return Timing(seconds=time.process_time() - started, num_left=len(sample.texts))

    return task


def load_sample(data: Path, megabytes: float) -> tuple[Sample, Counter[str]]:
    """Documents of all genres and pages in an order that a hash of the text gives, up to a size; and their genres."""
    found = [(document.genre, document.text) for document in load_documents(data)]
    found += [(f"page, {kind}", text) for kind, text in load_page_texts(data / "html_warc") if text.strip()]
    found.sort(key=lambda pair: hashlib.sha256(pair[1].encode("utf-8")).digest())
    chosen: list[str] = []
    kinds: Counter[str] = Counter()
    size = 0
    for genre, text in found:
        if size < megabytes * 1e6:
            chosen.append(text)
            kinds[genre] += 1
            size += len(text.encode("utf-8"))
    return Sample(texts=tuple(chosen)), kinds


def sentences_of(sample: Sample) -> Sample:
    """The sentences of the documents, where they end in 。！？ or a line end."""
    ends = str.maketrans(dict.fromkeys(SENTENCE_ENDS, "\n"))
    return Sample(
        texts=tuple(part for text in sample.texts for part in map(str.strip, text.translate(ends).split("\n")) if part)
    )


def table(timings: Mapping[str, list[Timing]], megabytes: float, first: str, *, left: str = "") -> list[str]:
    """Rate of each, and the time of each in times of the first."""
    head = f"| what | MB/s | time against {first} |{f' {left} |' if left else ''}"
    lines = [head, f"|{'---|' * (4 if left else 3)}"]
    for name, each in timings.items():
        cells = [name, rate(each, megabytes), "1" if name == first else times(each, timings[first])]
        lines.append(f"| {' | '.join([*cells, str(each[0].num_left)] if left else cells)} |")
    return lines


def length_table(timings: Mapping[str, Mapping[str, list[Timing]]], samples: Mapping[str, Sample]) -> list[str]:
    """Rate and ratios by class of lengths."""
    lines = [
        f"| documents | {OURS}, MB/s | {FINEWEB2}, MB/s | its time against {OURS} | the same, words are characters |",
        "|---|---|---|---|---|",
    ]
    for length, each in timings.items():
        sample = samples[length]
        cells = [f"{length} ({sample.describe})", *(rate(each[name], sample.megabytes) for name in (OURS, FINEWEB2))]
        cells += [times(each[name], each[OURS]) for name in (FINEWEB2, FINEWEB2_CHARACTERS)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def parts_table(timings: Sequence[Timing], blocks: Sequence[Block], megabytes: float) -> list[str]:
    """Share of each block in the time of a chain, and its rate over all documents' bytes."""
    total = sum(timing.seconds for timing in timings)
    lines = ["| block | share of the time | MB/s |", "|---|---|---|"]
    for number, block in enumerate(blocks):
        seconds = sum(timing.parts[number] for timing in timings)
        lines.append(f"| `{type(block).__name__}` | {seconds / total:.1%} | {megabytes * len(timings) / seconds:.1f} |")
    return lines


def aim_lines(
    chain: Mapping[str, list[Timing]],
    both: Mapping[str, list[Timing]],
    signatures: Mapping[str, list[Timing]],
    variants: Sequence[tuple[str, str]],
) -> list[str]:
    """What was asked for and what was measured."""
    rows = [
        (f"filter chain at least {AIM_CHAIN:.0f} times the MB/s of {FINEWEB2}", times(chain[FINEWEB2], chain[OURS])),
        ("the same over the documents that both keep (no aim)", times(both[FINEWEB2], both[OURS])),
        (f"the same against {FINEWEB2_CHARACTERS} (no aim)", times(chain[FINEWEB2_CHARACTERS], chain[OURS])),
        *((f"`classify_variant` at least {AIM_VARIANT:.0f} MB/s, {name}", value) for name, value in variants),
        (
            f"MinHash signature at least {AIM_MINHASH:.0f} times {DATATROVE_OURS}",
            times(signatures[DATATROVE_OURS], signatures[OURS]),
        ),
        (
            f"the same against {DATATROVE_MANDARIN} (no aim)",
            times(signatures[DATATROVE_MANDARIN], signatures[OURS]),
        ),
    ]
    return ["| aim | measured |", "|---|---|", *(f"| {aim} | {measured} |" for aim, measured in rows)]


def measure_and_report(data: Path, megabytes: float, repetitions: int) -> list[str]:
    """Measure everything, return the report."""
    sample, kinds = load_sample(data, megabytes)
    normal = Sample(texts=tuple(normalize(text).text for text in sample.texts))
    classes = by_length(sample)
    samples = {**classes, BOTH: kept_by_both(sample)}
    by_class = time_chains(samples, repetitions)
    chain = {
        name: [added(passes) for passes in zip(*(by_class[length][name] for length in classes), strict=True)]
        for name in chain_makers()
    }
    with TemporaryDirectory() as folder:
        signatures = interleaved(signature_tasks(normal, Path(folder)), repetitions)
    peers, units = load_peers(), {"documents": normal, "sentences": sentences_of(normal)}
    variants = {name: interleaved(variant_tasks(texts, peers), repetitions) for name, texts in units.items()}
    first = "`classify_variant`, no evidence"
    rates = [
        (f"{name} ({units[name].describe}), {how}", rate(each[task], units[name].megabytes))
        for name, each in variants.items()
        for task, how in ((first, "one by one"), (_BATCHES, f"in batches of {_BATCH} as the block does"))
    ]
    recipe = load_curation_recipe("web")
    lines = [
        *header(sample, kinds, repetitions),
        "## Aims",
        "",
        *aim_lines(chain, by_class[BOTH], signatures, rates),
        "",
        _AIMS_NOTE,
        "",
    ]
    left = f"documents left of {len(sample.texts)}"
    lines += ["## Filter chain", "", *table(chain, sample.megabytes, OURS, left=left), "", _CHAIN_NOTE, ""]
    lines += ["### By length of the document, and where both keep it", "", *length_table(by_class, samples), ""]
    for name, blocks in (
        (STRIPPED, our_blocks(recipe, strip=True)),
        (FINEWEB2, fineweb2_blocks(MANDARIN)),
        (FINEWEB2_CHARACTERS, fineweb2_blocks(Characters())),
    ):
        lines += [f"### Blocks: {name}", "", *parts_table(chain[name], blocks, sample.megabytes), ""]
    lines += [_BLOCKS_NOTE, "", "## `classify_variant`", ""]
    for name, each in variants.items():
        texts = units[name]
        lines += [f"### {name} ({texts.describe})", "", *table(each, texts.megabytes, first), ""]
    lines += [_VARIANT_NOTE, "", "## MinHash signature", "", *table(signatures, normal.megabytes, OURS), ""]
    return [*lines, _SIGNATURE_NOTE, ""]


def header(sample: Sample, kinds: Counter[str], repetitions: int) -> list[str]:
    """What was measured, on what and how."""
    machine = ", ".join(f"{key} {value}" for key, value in hardware().items() if value)
    names = ("tw-corpus", "datatrove", "numpy", *PEERS)
    listed = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    return [
        "# Speed beside datatrove and others",
        "",
        "Measured on the subset named in this report.",
        "",
        f"- Command: `TWLLM_DATA=... {COMMAND}`, {datetime.now(UTC):%Y-%m-%d}",
        f"- Hardware: {machine}; the process is bound to one core",
        f"- {', '.join(f'{name} {version(name)}' for name in names)}",
        f"- Data: {len(sample.texts)} documents, {sample.megabytes:.2f} MB of UTF-8, chosen by a hash of the text from",
        "  zh_variants, drcd, dialog/zh_tw_bench, zh_chat and html_warc",
        *(f"  {line}" for line in wrap(f"({listed})", 110)),
        f"- {repetitions} repetitions; in each, all that is compared runs once over the same documents, in turns;",
        "  processor time of the process, user and system; one repetition before is not counted",
        "- Figures are geometric means over repetitions, ratios of those within each; intervals: 95 %, Student, of",
        "  the logarithms",
        "",
    ]


_CHAIN_NOTE = """\
tw-corpus: the blocks of the filter stage in the order of the recipe `web`, with the counts for the report that they
keep there: `Normalize`, (`StripBoilerplate`,) `Redact` (mask, all kinds), `QualityFilter` (rules of `web`),
`ClassifyVariant` (keeps every variety).

FineWeb2 `cmn_Hani`, from fineweb-2-pipeline.py and configs/cmn_Hani.yml of huggingface/fineweb-2:
`GopherRepetitionFilter` (dup_line_frac 0.287; paragraphs and characters of lines off; top n-grams 2: 0.256, 3: 0.201,
4: 0.171; duplicated n-grams 5: 0.198, 6: 0.182, 7: 0.167, 8: 0.154, 9: 0.14, 10: 0.127), `FineWebQualityFilter`
(line_punct_thr 0.106, short_line_thr 999, char_duplicates_ratio 0.1, new_line_ratio 0.178), `GopherQualityFilter`
(words 50 to 100,000, mean length 1 to 5, alphabetic 0.735, 2 of 22 stop words), `FTFYFormatter` and `PIIFormatter` as
they come, `SymbolLinesFormatter` (`|`). Its language identification (GlotLID, a model to download) is left out; ours,
`ClassifyVariant`, is not. Words are cut by datatrove's tokenizer for `cmn_Hani` (spaCy with jieba), once for each
document, since datatrove keeps the words of the last texts.

Neither writes anything. A document that a block drops costs the later blocks nothing; the last column says how many
came through. Where words are characters the thresholds are no longer those that FineWeb2 set: only the time says
something."""
_BLOCKS_NOTE = """\
Rates count the bytes of all documents, also of those that an earlier block dropped. In datatrove's chain the first
block that asks for words pays for the tokenizer."""
_VARIANT_NOTE = """\
Sentences are those of the same documents. A short text costs what a call costs, so its rate in MB/s is low. The
FineWeb-zhtw rule keeps or drops, hanzidentifier and pycld2 tell scripts, canto-filter tells Cantonese from written
Chinese; none tells regions."""
_SIGNATURE_NOTE = """\
All with 14 buckets of 8 hashes over 5-grams, each block as a pipeline runs it: signatures sorted and written to files.
`our tokenizer`: datatrove's block takes a `WordTokenizer` as its `language`; it is given one that returns the
characters our block compares (script-folded, without punctuation), with datatrove's own simplification off and 64-bit
hashes as in FineWeb2; ours hashes with 64 bits and keeps 32. Texts were normalised before, outside of the time."""


def main() -> int:
    """Write the report; 2 without the shared data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=1.5, help="size of the sample")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--output", type=Path, default=HERE / "speed.md")
    arguments = parser.parse_args()
    if "TWLLM_DATA" not in os.environ:
        sys.stderr.write("set TWLLM_DATA to the folder of the shared data\n")
        return 2
    os.sched_setaffinity(0, {CORE})
    logger.disable("datatrove")
    lines = measure_and_report(Path(os.environ["TWLLM_DATA"]), arguments.megabytes, arguments.repetitions)
    arguments.output.write_text("\n".join(lines), encoding="utf-8")
    sys.stdout.write(f"{arguments.output.name} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
