"""Readers and extraction on the shared Big5 law pages, XHTML manuals, help pages and WARC files.

    TWLLM_DATA=... uv run --with trafilatura==2.3.1 --with fastwarc==2.0.1 python benchmarks/tw_corpus/extraction.py

writes extraction.md beside this file. One process, one core.
"""

import argparse
import gzip
import io
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from resiliparse.extract.html2text import extract_plain_text

from tw_corpus._big5 import decode_big5
from tw_corpus._decode import decode
from tw_corpus._extract import ExtractMode, extract_html
from tw_corpus.readers import Fault, Ignored, Outcome, Record, find_inputs, read_file
from twllm_runs.statistics import bootstrap_estimate
from twllm_types import EstimateUnit

HERE = Path(__file__).parent
COMMAND = "uv run --with trafilatura==2.3.1 --with fastwarc==2.0.1 python benchmarks/tw_corpus/extraction.py"
GRAM = 5
SEED = 20
DRAWS = 2000
MIN_PARAGRAPH_CHARS = 20
BASELINE = "trafilatura, default"

Extractor = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of the data: its row, its bytes as text, and the articles that it must give."""

    row: dict[str, Any]
    html: str
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one extractor made of all pages."""

    name: str
    texts: tuple[str, ...]
    megabytes_per_second: float


def bare(text: str) -> str:
    """Text without white space, entities unescaped: the form in which reference and extraction are compared."""
    return re.sub(r"\s+", "", unescape(text))


def grams(text: str) -> Counter[str]:
    """Count the 5-grams of characters."""
    return Counter(text[start : start + GRAM] for start in range(len(text) - GRAM + 1))


def load_pages(folder: Path) -> list[Page]:
    """Read pages.jsonl, decode each page with `decode`, and look up its reference articles (each content once)."""
    with (folder / "law_expected.jsonl").open(encoding="utf-8") as file:
        laws = {law["law_id"]: law["articles"] for law in map(json.loads, file)}
    with (folder / "pages.jsonl").open(encoding="utf-8") as file:
        rows: list[dict[str, Any]] = [json.loads(line) for line in file]
    pages: list[Page] = []
    for row in rows:
        contents = [bare(laws[row["law_id"]][number]["content"]) for number in row.get("articles", ())]
        html = decode((folder / row["file"]).read_bytes()).text
        pages.append(Page(row=row, html=html, references=tuple(dict.fromkeys(contents))))
    return pages


def extractors() -> dict[str, Extractor]:
    """The settings that are compared.

    Raises:
        ImportError: trafilatura is not installed.
    """
    import trafilatura

    def by_trafilatura(**settings: Any) -> Extractor:
        return lambda html: trafilatura.extract(html, **settings) or ""

    return {
        BASELINE: by_trafilatura(),
        "trafilatura, as datatrove calls it": by_trafilatura(
            favor_precision=True, include_comments=False, deduplicate=True
        ),
        "trafilatura, favor_recall": by_trafilatura(favor_recall=True, include_comments=False),
        "trafilatura, html2txt": lambda html: trafilatura.html2txt(html) or "",
        "resiliparse, main_content": lambda html: extract_plain_text(html, main_content=True),
        "resiliparse, all": lambda html: extract_plain_text(html),
        "tw-corpus, all": lambda html: extract_html(html, mode=ExtractMode.ALL).text,
        "tw-corpus, main (default)": lambda html: extract_html(html).text,
    }


def run(name: str, extractor: Extractor, pages: Sequence[Page]) -> Result:
    """Extract all pages; processor time, decoding and reading left out."""
    started = time.process_time()
    texts = tuple(extractor(page.html) for page in pages)
    seconds = time.process_time() - started
    num_bytes = sum(len(page.html.encode()) for page in pages)
    return Result(name=name, texts=texts, megabytes_per_second=num_bytes / seconds / 1e6)


def score(text: str, references: Sequence[str]) -> tuple[float, float, float]:
    """Precision, recall and F1 of the multiset of character 5-grams; the reference's are counted article by article."""
    found = grams(bare(text))
    wanted: Counter[str] = sum((grams(reference) for reference in references), Counter[str]())
    common = (found & wanted).total()
    precision, recall = common / max(found.total(), 1), common / max(wanted.total(), 1)
    return precision, recall, 2 * precision * recall / (precision + recall) if common else 0.0


def interval(values: Sequence[float], laws: Sequence[str]) -> str:
    """Mean with its 95 % interval over laws: the versions of one law resemble each other."""
    estimate = bootstrap_estimate(list(values), unit=EstimateUnit.SHARE, seed=SEED, clusters=list(laws), draws=DRAWS)
    return f"{estimate.mean:.4f} [{estimate.ci_low:.4f}, {estimate.ci_high:.4f}]"


def law_table(results: Sequence[Result], pages: Sequence[Page]) -> list[str]:
    """F1 against the reference articles."""
    chosen = [number for number, page in enumerate(pages) if page.references]
    laws = [pages[number].row["law_id"] for number in chosen]
    total = sum(len(pages[number].references) for number in chosen)
    speed = next(result for result in results if result.name == BASELINE).megabytes_per_second
    lines = [
        f"| extractor | F1 | precision | recall | articles found whole (of {total}) | pages without text | speed |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        scores = [score(result.texts[number], pages[number].references) for number in chosen]
        precision, recall, f1 = (interval([each[part] for each in scores], laws) for part in range(3))
        whole = sum(
            reference in bare(result.texts[number]) for number in chosen for reference in pages[number].references
        )
        empty = sum(not text.strip() for text in result.texts)
        ratio = f"{result.megabytes_per_second / speed:.1f}x"
        lines.append(f"| {result.name} | {f1} | {precision} | {recall} | {whole} | {empty} | {ratio} |")
    absolute = f"The speed is over all {len(pages)} pages, as a multiple of `{BASELINE}` ({speed:.1f} MB/s)."
    return [*lines, "", f"n = {len(chosen)} pages of {len(set(laws))} laws. {absolute}"]


class MarkupTexts(HTMLParser):
    """Collects the text of paragraphs and of headings; independent of the libraries that are measured."""

    def __init__(self) -> None:
        super().__init__()
        self.paragraphs: list[str] = []
        self.headings: list[str] = []
        self._open: list[str] | None = None

    # The base class fixes the arguments.
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Start to collect."""
        if tag in ("p", "h1", "h2", "h3", "h4"):
            self._open = []

    def handle_endtag(self, tag: str) -> None:
        """Keep what was collected."""
        if self._open is not None and tag in ("p", "h1", "h2", "h3", "h4"):
            (self.paragraphs if tag == "p" else self.headings).append(bare("".join(self._open)))
            self._open = None

    def handle_data(self, data: str) -> None:
        """Collect."""
        if self._open is not None:
            self._open.append(data)


def manual_table(results: Sequence[Result], pages: Sequence[Page]) -> list[str]:
    """Share of paragraphs and headings, as marked up, that stand character by character in the extracted text."""
    lines = [
        "| extractor | kind | pages | paragraphs whole | headings kept | size against all text |",
        "|---|---|---|---|---|---|",
    ]
    everything = next(result for result in results if result.name == "tw-corpus, all")
    for result in results:
        for kind in ("manual", "help"):
            chosen = [number for number, page in enumerate(pages) if page.row["kind"] == kind]
            found, wanted = Counter[str](), Counter[str]()
            for number in chosen:
                text = bare(result.texts[number])
                markup = MarkupTexts()
                markup.feed(pages[number].html)
                long = [each for each in markup.paragraphs if len(each) >= MIN_PARAGRAPH_CHARS]
                for name, parts in (("paragraphs", long), ("headings", [each for each in markup.headings if each])):
                    wanted[name] += len(parts)
                    found[name] += sum(part in text for part in parts)
                found["chars"] += len(text)
                wanted["chars"] += len(bare(everything.texts[number]))
            cells = [f"{found[name]}/{wanted[name]}" for name in ("paragraphs", "headings")]
            share = f"{found['chars'] / wanted['chars']:.2f}"
            lines.append(f"| {result.name} | {kind} | {len(chosen)} | {' | '.join(cells)} | {share} |")
    return lines


def kind_of(outcome: Outcome) -> str:
    """Name an outcome in a table."""
    match outcome:
        case Record():
            return "record"
        case Fault(reason=reason):
            return f"fault {reason}"
        case Ignored(kind=kind):
            return f"ignored {kind}"


def page_table(folder: Path, pages: Sequence[Page]) -> list[str]:
    """Outcomes of the 254 pages by kind, codec that the data's README names, and encoding that `decode` found."""
    rows: Counter[tuple[str, ...]] = Counter()
    for page in pages:
        for outcome in read_file(folder / page.row["file"], name=page.row["file"]):
            found = outcome.metadata if isinstance(outcome, Record) else {}
            encoding = (str(found.get("encoding", "")), str(found.get("encoding_evidence", "")))
            text = "yes" if isinstance(outcome, Record) and outcome.text.strip() else "no"
            rows[page.row["kind"], page.row["decodes"], *encoding, kind_of(outcome), text] += 1
    lines = [
        "| kind | codec in the data | encoding found | by | outcome | has text | pages |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(key)} | {count} |" for key, count in sorted(rows.items())]
    total = sum(rows.values())
    records = sum(count for key, count in rows.items() if key[-2] == "record")
    return [*lines, "", f"{len(pages)} pages in pages.jsonl, {total} outcomes, {records} records: 0 silent skips."]


def archive_table(folder: Path) -> list[str]:
    """Outcomes of each archive, beside a count of its record headers by another way."""
    lines = ["| archive | record headers (counted in the bytes) | outcomes | which |", "|---|---|---|---|"]
    for path in sorted((folder / "warc").iterdir()):
        counts = Counter(kind_of(outcome) for outcome in read_file(path))
        headers = len(re.findall(rb"(?m)^WARC/1\.\d\r\nWARC-", gzip.decompress(path.read_bytes())))
        which = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        lines.append(f"| {path.name} | {headers} | {counts.total()} | {which} |")
    return lines


def folder_line(folder: Path) -> str:
    """What `find_inputs` makes of the whole folder."""
    found = find_inputs([folder])
    formats = Counter(str(file.format) for file in found.files)
    kinds = ", ".join(f"{name} {count}" for name, count in sorted(formats.items()))
    return (
        f"`find_inputs` on the folder: {kinds}; {len(found.faults)} files of unknown format "
        "(licences, README), each a listed fault."
    )


def header_table(pages: Sequence[Page], folder: Path) -> list[str]:
    """What happens when the server declares something else."""
    lines = ["| header says | pages | text unchanged | evidence |", "|---|---|---|---|"]
    for label in ("big5", "iso-8859-1", "utf-8", "gb2312", "shift_jis"):
        unchanged, evidence = 0, Counter[str]()
        for page in pages:
            decoded = decode((folder / page.row["file"]).read_bytes(), content_type=f"text/html; charset={label}")
            unchanged += decoded.text == page.html
            evidence[str(decoded.evidence)] += 1
        cells = ", ".join(f"{name} {count}" for name, count in sorted(evidence.items()))
        lines.append(f"| {label} | {len(pages)} | {unchanged} | {cells} |")
    return lines


def detection_table(pages: Sequence[Page]) -> list[str]:
    """Detection without any declaration, on running text of several lengths, against the library's own detector."""
    from resiliparse.parse.encoding import detect_encoding

    texts: dict[str, list[str]] = {"big5hkscs": [], "gb18030": [], "utf-8": []}
    by_kind = {("law", "zh-TW"): "big5hkscs", ("manual", "zh-CN"): "gb18030", ("manual", "zh-TW"): "utf-8"}
    for page in pages:
        if (codec := by_kind.get((page.row["kind"], page.row["lang"]))) is not None:
            texts[codec].append(bare(re.sub(r"<[^>]*>", "", page.html)))
    lines = [
        "| encoding | characters | samples | `decode` right | resiliparse's detector right |",
        "|---|---|---|---|---|",
    ]
    for codec, originals in texts.items():
        for length in (20, 60, 200, 1000):
            samples = [text[start : start + length] for text in originals for start in (300, 1500, 2700)]
            samples = [each for each in samples if len(each) == length and not each.isascii()]
            ours = theirs = 0
            for sample in samples:
                payload = sample.encode(codec)
                ours += decode(payload, html=False).text == sample
                guess = detect_encoding(payload, html5_compatible=False) or ""
                theirs += guess.lower().replace("-", "").startswith(codec.replace("-", "").removesuffix("hkscs"))
            lines.append(f"| {codec} | {length} | {len(samples)} | {ours} | {theirs} |")
    return lines


def odd_line(pages: Sequence[Page]) -> str:
    """The measure by which `decode` tells Big5 from GB 18030, on right and on wrong readings."""
    from tw_corpus import _decode

    # The share is no part of the package's surface, but its threshold is documented with this figure.
    odd: Callable[[str], float] = _decode._odd_share  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001
    laws = [page.html for page in pages if page.row["kind"] == "law"]
    simplified = [page.html for page in pages if page.row["lang"] == "zh-CN"]
    right = [odd(html) for html in (*laws, *simplified)]
    wrong = [odd(html.encode("big5hkscs").decode("gb18030", errors="replace")) for html in laws]
    wrong += [odd(decode_big5(html.encode("gb18030")).text) for html in simplified]
    return (
        f"Share of uncommon characters among the non-ASCII ones: at most {max(right):.3f} where {len(right)} pages are "
        f"read in their encoding, at least {min(wrong):.3f} where Big5 is read as GB 18030 or the reverse."
    )


def damage_table() -> list[str]:
    """Invented archives with one damaged record of five: what each reader gives.

    Raises:
        ImportError: fastwarc is not installed.
    """
    from fastwarc.warc import ArchiveIterator

    def record(number: int) -> bytes:
        body = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>第{number}頁{'內文' * 200}{number}</p>".encode()
        head = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        return head + body + b"\r\n\r\n"

    records = [record(number) for number in range(5)]
    members = [gzip.compress(each, mtime=0) for each in records]
    middle = members[2][:50] + bytes(30) + members[2][80:]
    long = records[2].replace(b"Content-Length: ", b"Content-Length: 9")
    cases = {
        "gzip member damaged": (".warc.gz", b"".join([*members[:2], middle, *members[3:]])),
        "Content-Length too long": (".warc", b"".join([*records[:2], long, *records[3:]])),
        "garbage between records": (".warc", b"".join([*records[:2], b"garbage\r\n\r\n", *records[3:]])),
        "file cut in the last record": (".warc.gz", b"".join(members)[:-60]),
    }
    lines = ["| damage | fastwarc 2.0.1 | tw-corpus |", "|---|---|---|"]
    for name, (suffix, content) in cases.items():
        lengths: list[str] = []
        try:
            lengths.extend(str(len(each.reader.read())) for each in ArchiveIterator(io.BytesIO(content)))
        except OSError as error:
            lengths.append(f"error: {error}")
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"a{suffix}"
            path.write_bytes(content)
            counts = Counter(kind_of(outcome) for outcome in read_file(path))
        ours = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
        lines.append(f"| {name} | record bytes {', '.join(lengths)} | {ours} |")
    num_bytes = len(records[2]) - records[2].index(b"HTTP") - len(b"\r\n\r\n")
    return [*lines, "", f"A whole record has {num_bytes} bytes."]


def build_report(folder: Path) -> str:
    """Measure everything and write it down."""
    pages = load_pages(folder)
    results = [run(name, extractor, pages) for name, extractor in extractors().items()]
    packages = ("tw-corpus", "resiliparse", "trafilatura", "fastwarc")
    lines = [
        "# Reading and extraction",
        "",
        "Measured on the subset named in this report: html_warc.",
        "",
        f"- Command: `{COMMAND}`, {datetime.now(tz=UTC).date().isoformat()}",
        f"- Hardware: {os.cpu_count()} CPU cores, of which one is used",
        f"- {', '.join(f'{name} {version(name)}' for name in packages)}",
        "",
        *TEXT["laws"],
        *law_table(results, pages),
        "",
        *TEXT["manuals"],
        *manual_table(results, pages),
        "",
        *TEXT["choice"],
        *TEXT["reading"],
        *page_table(folder, pages),
        "",
        folder_line(folder),
        "",
        *archive_table(folder),
        "",
        *TEXT["headers"],
        *header_table(pages, folder),
        "",
        *TEXT["detection"],
        *detection_table(pages),
        "",
        odd_line(pages),
        "",
        *TEXT["damage"],
        *damage_table(),
        "",
    ]
    return "\n".join(lines)


TEXT = {
    "laws": (
        "## Law pages",
        "",
        "The extracted text against the articles that the data name for each page: multisets of character",
        "5-grams, white space removed, entities unescaped on both sides, an article that the data list",
        "twice counted once. The pages also hold what is no article (name, history, headings of chapters",
        "and articles), so that precision cannot reach 1 for an extractor that keeps all of the law. Recall",
        "stays below 1 although every article stands whole in its page, because the reference counts the",
        "old wording of an article beside the new one that contains it. Intervals: 95 % percentile",
        "bootstrap, 2,000 draws of whole laws.",
        "",
    ),
    "manuals": (
        "## Manual and help pages",
        "",
        "There is no reference for these pages: no person has marked what their text is. What can be",
        "counted is damage: the paragraphs (`<p>` of at least 20 characters) and headings (`<h1>` to",
        "`<h4>`) of the markup that stand in the extracted text character by character, white space aside.",
        "A part may be missing rightly, where it is navigation (each help page has a line of debugging",
        "information and the name of the program as heading); the size says how much was left out.",
        "",
    ),
    "choice": (
        "## The choice",
        "",
        "resiliparse stays, trafilatura goes. On the laws every setting finds every article; they differ in",
        "what they add and in the lines they make: trafilatura writes table bars and joins the lines of an",
        "article that stand in one cell. On the manuals, resiliparse's own main-content mode drops inline",
        "elements from within sentences, and trafilatura loses headings. `tw-corpus, main` takes",
        "resiliparse's full text, leaves out what the markup or the share of links shows to be navigation,",
        "and repairs self-closed elements of XHTML. Its rules for links and class names were written by",
        "hand and tried on these pages; there is no marked set of Taiwanese web pages to measure them on.",
        "",
    ),
    "reading": (
        "## Every page and record is read",
        "",
    ),
    "headers": (
        "## A wrong header",
        "",
        "All pages again, with a charset that the server might declare; the text must be that of the page's",
        "own declaration.",
        "",
    ),
    "detection": (
        "## No declaration",
        "",
        "Running text cut from the pages, without markup.",
        "",
    ),
    "damage": (
        "## Damaged archives",
        "",
        "Five invented records, one of them damaged. Why tw-corpus frames WARC itself:",
        "",
    ),
}


def main() -> int:
    """Write the report; 2 without the shared data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=HERE / "extraction.md")
    arguments = parser.parse_args()
    if "TWLLM_DATA" not in os.environ:
        sys.stderr.write("set TWLLM_DATA to the folder of the shared data\n")
        return 2
    report = build_report(Path(os.environ["TWLLM_DATA"]) / "html_warc")
    arguments.output.write_text(report, encoding="utf-8")
    sys.stdout.write(f"{arguments.output.name} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
