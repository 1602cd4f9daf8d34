"""Personal data: the shared vectors, false positives on real text, chance hits, spellings, speed.

    TWLLM_DATA=... uv run python benchmarks/tw_corpus/pii.py

writes pii.md beside this file. One process, one core.
"""

import argparse
import gzip
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

# datatrove uses importlib.metadata without importing it
import importlib.metadata  # isort: skip  # noqa: F401

from datatrove.pipeline.formatters import PIIFormatter

from tw_corpus._pii import POLICIES, PiiKind, Policy, UbnRule, find_pii, is_ubn, redact
from twllm_runs import hardware
from twllm_runs.statistics import format_estimate, proportion_estimate

HERE = Path(__file__).parent
COMMAND = "uv run python benchmarks/tw_corpus/pii.py"
SEED, DRAWS, REPEATS = 20, 20_000, 5

# kind of the vectors -> (kinds that count as found, sentences with a context word)
VECTORS: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "ubn": (
        frozenset(("ubn",)),
        (
            "本公司統一編號 {}，歡迎洽詢。",
            "發票請打統編{}並寄到公司。",
            "統一編號：{}\n負責人：余測試",
            "（統編：{}）",
        ),
    ),
    "national_id": (
        frozenset(("national_id",)),
        ("申請人身分證字號：{}，請核對。", "身分證{}影本一份", "姓名余測試，身分證統一編號 {} 。", "身分證字號\n{}\n"),
    ),
    "arc_new": (
        frozenset(("arc_new",)),
        ("居留證統一證號{}，請核對。", "外籍人士（統一證號：{}）", "她的居留證號碼換成 {} 了", "居留證\n{}\n"),
    ),
    "arc_old": (
        frozenset(("arc_old",)),
        ("居留證統一證號{}，請核對。", "外籍人士（統一證號：{}）", "她的居留證號碼原來是 {} 的", "居留證\n{}\n"),
    ),
    "Default options tests": (
        frozenset(("national_id", "arc_new")),
        ("證件號碼 {} 請核對。", "身分證字號或居留證號：{}", "證號{}的那位先生", "身分證\n{}\n"),
    ),
    "citizen_digital_certificate": (
        frozenset(("citizen_certificate",)),
        ("自然人憑證卡號「{}」已登錄。", "憑證號碼：{}，效期五年", "請輸入自然人憑證{}登入", "自然人憑證\n{}\n"),
    ),
    "einvoice_mobile_barcode": (
        frozenset(("einvoice_barcode",)),
        ("手機條碼載具是 {} 沒錯", "載具：{}，存好了", "我的手機條碼「{}」", "載具\n{}\n"),
    ),
    "einvoice_donate_code": (
        frozenset(("einvoice_donation",)),
        ("愛心碼請填 {}，謝謝。", "捐贈碼：{}", "發票捐贈碼「{}」", "愛心碼\n{}\n"),
    ),
}
ROADS = ("中正路", "虛構路二段", "示範一街", "民生東路五段", "虛構大道三段")
PLACES = (
    "臺北市大安區",
    "台中市西屯區",
    "高雄市前鎮區",
    "嘉義縣阿里山鄉",
    "花蓮縣花蓮市",
    "新竹市東區",
    "連江縣南竿鄉",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Texts of one source, and their size in millions of bytes of UTF-8."""

    name: str
    texts: tuple[str, ...]

    @property
    def megabytes(self) -> float:
        """Size in UTF-8."""
        return sum(len(text.encode("utf-8")) for text in self.texts) / 1e6


def share(num: int, n: int) -> str:
    """Write a share with its Wilson interval and counts."""
    return f"{format_estimate(proportion_estimate(num, n))}, {num} found" if n else "none"


def is_found(row: dict[str, Any], text: str, value: str) -> bool:
    """Tell whether `find_pii` finds exactly the value of a vector, as its kind."""
    kinds = VECTORS[row["kind"]][0]
    return any(finding.kind in kinds and text[finding.start : finding.end] == value for finding in find_pii(text))


def rule_of(row: dict[str, Any]) -> str:
    """Name the rule that a vector is judged by."""
    if row["kind"] != "ubn":
        return row["kind"]
    return "ubn, rule before 2023" if row["note"].startswith("rule=old") else "ubn, rule since 2023"


def vector_section(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One table: vectors found alone and in sentences."""
    lines = [
        "## The vectors of pii_taiwan",
        "",
        "Alone: the value is the whole text. In running text: four sentences with a context word for each value; a",
        "valid value counts as found where all four find exactly it, as its kind, an invalid one where any does.",
        "",
        "| vectors | valid, alone | valid, running text | invalid, alone | invalid, running text |",
        "|---|---|---|---|---|",
    ]
    for rule in dict.fromkeys(map(rule_of, rows)):
        cells = []
        for is_valid in (True, False):
            chosen = [row for row in rows if rule_of(row) == rule and row["valid"] is is_valid]
            alone = sum(is_found(row, row["value"], row["value"].strip()) for row in chosen)
            hits = [
                [is_found(row, frame.format(row["value"]), row["value"].strip()) for frame in VECTORS[row["kind"]][1]]
                for row in chosen
            ]
            running = sum(all(each) if is_valid else any(each) for each in hits)
            cells += [share(alone, len(chosen)), share(running, len(chosen))]
        lines.append(f"| {rule} | {' | '.join(cells)} |")
    ubn = [row for row in rows if row["kind"] == "ubn"]
    agree = sum(
        is_ubn(
            row["value"].replace("-", "").strip(),
            UbnRule.BEFORE_2023 if row["note"].startswith("rule=old") else UbnRule.SINCE_2023,
        )
        is row["valid"]
        for row in ubn
    )
    return [
        *lines,
        "",
        "`redact` knows one company number rule, that of 2023, which every older number also fits; so the one",
        "value that fits only this rule counts as wrongly found in the row of the older rule.",
        f"`is_ubn(value, rule)` judges each rule by itself: {share(agree, len(ubn)).replace('found', 'right')}.",
        "Not found alone: carriers and donation codes, which need a context word, and a number written with a",
        "hyphen, which needs one too.",
        "",
        "Changed after these vectors were seen: the years that make eight digits a date (now 1800 to 2059 and",
        "years 0 to 149 of the Republic; two company numbers were hidden), and a line end between a donation code",
        "and its word.",
        "",
    ]


def load(folder: Path, name: str) -> Corpus:
    """Read the texts of one file of zh_variants."""
    with gzip.open(folder / "zh_variants" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return Corpus(name=name, texts=tuple(json.loads(line)["text"] for line in file))


def false_positive_section(corpora: Iterable[Corpus]) -> list[str]:
    """Findings where none is expected."""
    lines = [
        "## False positives",
        "",
        "Statutes and transcripts hold no such identifiers as far as we know, so each finding would count as false.",
        "",
        "| text | MB | documents | findings | per MB | kinds |",
        "|---|---|---|---|---|---|",
    ]
    for corpus in corpora:
        kinds = Counter(str(finding.kind) for text in corpus.texts for finding in find_pii(text))
        listed = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()) or "none"
        total = sum(kinds.values())
        lines.append(
            f"| {corpus.name} | {corpus.megabytes:.2f} | {len(corpus.texts)} | {total} "
            f"| {total / corpus.megabytes:.2f} | {listed} |"
        )
    return [
        *lines,
        "",
        "With no finding in x MB the rate is below 3/x per MB (rule of three, 95 %). These texts hold few long",
        "numbers; the next table says what numbers meet by chance.",
        "",
    ]


def chance_section(generator: random.Random) -> list[str]:
    """Random numbers in a sentence without a context word."""
    lines = [
        "## Numbers at random",
        "",
        f"{DRAWS:,} random values each, in 「資料是{{}}這樣」, without a context word: how many are taken for",
        "something. Eight digits: the rule of 2023 accepts one number in five.",
        "",
        "| form | found | as |",
        "|---|---|---|",
    ]
    forms: dict[str, Callable[[], str]] = {
        **{f"{n} digits": (lambda n=n: _digits(generator, n)) for n in (7, 8, 9, 10, 11, 12, 13, 14, 16, 19)},
        "1 letter, 9 digits": lambda: _letters(generator, 1) + _digits(generator, 9),
        "2 letters, 8 digits": lambda: _letters(generator, 2) + _digits(generator, 8),
        "2 letters, 14 digits": lambda: _letters(generator, 2) + _digits(generator, 14),
        "32 hexadecimal digits": lambda: f"{generator.getrandbits(128):032x}",
    }
    for name, make in forms.items():
        kinds: Counter[str] = Counter()
        hits = 0
        for _ in range(DRAWS):
            found = find_pii(f"資料是{make()}這樣")
            hits += bool(found)
            kinds.update(str(finding.kind) for finding in found)
        listed = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()) or "none"
        lines.append(f"| {name} | {format_estimate(proportion_estimate(hits, DRAWS))} | {listed} |")
    return [*lines, ""]


def _digits(generator: random.Random, length: int) -> str:
    return "".join(generator.choices("0123456789", k=length))


def _letters(generator: random.Random, length: int) -> str:
    return "".join(generator.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=length))


def spelling_section(generator: random.Random) -> list[str]:
    """Invented phones, mailboxes and addresses, glued to Chinese characters."""
    n = 500
    makers: dict[str, tuple[PiiKind, Callable[[], str]]] = {
        "0940-xxx-xxx": (PiiKind.MOBILE, lambda: f"0940-{_digits(generator, 3)}-{_digits(generator, 3)}"),
        "0940xxxxxx": (PiiKind.MOBILE, lambda: f"0940{_digits(generator, 6)}"),
        "+886 940 xxx xxx": (PiiKind.MOBILE, lambda: f"+886 940 {_digits(generator, 3)} {_digits(generator, 3)}"),
        "（０２）5xxx-xxxx": (PiiKind.LANDLINE, lambda: f"（０２）5{_digits(generator, 3)}-{_digits(generator, 4)}"),
        "037-55xxxx#xx": (PiiKind.LANDLINE, lambda: f"037-55{_digits(generator, 4)}#{_digits(generator, 2)}"),
        "x@example.com.tw": (PiiKind.EMAIL, lambda: f"u{_digits(generator, 5)}.wu@example.com.tw"),
        "address": (
            PiiKind.ADDRESS,
            lambda: (
                f"{generator.choice(PLACES)}{generator.choice(ROADS)}{generator.randint(1, 400)}號"
                f"{generator.randint(2, 20)}樓"
            ),
        ),
    }
    lines = [
        "## Spellings, glued to Chinese characters",
        "",
        f"{n} invented values each in 「請洽{{}}謝謝」; exactly the value must be found. Written by the author of the",
        "rules: this shows that the boundaries work, not how people write.",
        "",
        "| form | found |",
        "|---|---|",
    ]
    emails: list[tuple[str, str]] = []
    for name, (kind, make) in makers.items():
        num = 0
        for _ in range(n):
            value = make()
            text = f"請洽{value}謝謝"
            num += any(each.kind is kind and text[each.start : each.end] == value for each in find_pii(text))
            if kind is PiiKind.EMAIL:
                emails.append((value, text))
        lines.append(f"| {name} | {share(num, n)} |")
    peer: Any = PIIFormatter()
    # A local part with a full stop is replaced from the stop on, so what stands before it has to be gone, too.
    replaced = sum(value[:6] not in peer.format(text) for value, text in emails)
    lines.append(f"| x@example.com.tw, datatrove's `PIIFormatter` | {share(replaced, n)} |")
    return [
        *lines,
        "",
        "datatrove's pattern begins at a word boundary, which Chinese characters are not: of",
        "`u12345.wu@example.com.tw` it replaces what follows the full stop; without one it replaces nothing.",
        "",
    ]


def speed_section(corpora: Sequence[Corpus], generator: random.Random) -> list[str]:
    """MB/s of our functions and of datatrove's formatter on the same texts."""
    form = "\n".join(
        f"第{number}筆　電話(02)5{_digits(generator, 3)}-{_digits(generator, 4)}　統編{_digits(generator, 8)}　"
        f"日期2026-05-17　金額{_digits(generator, 6)}元　"
        f"地址{generator.choice(PLACES)}{generator.choice(ROADS)}{number}號"
        for number in range(2000)
    )
    peer: Any = PIIFormatter()
    functions: dict[str, Callable[[str], object]] = {
        "`find_pii`": find_pii,
        "`redact`, mask": redact,
        "`redact`, pseudonymise": lambda text: redact(text, "pseudonymise", key=b"benchmark key 16"),
        "datatrove `PIIFormatter`": peer.format,
    }
    texts = [*corpora, Corpus(name="forms (made here, 3 identifiers a line)", texts=(form,))]
    lines = [
        "## Speed",
        "",
        f"One core, best of {REPEATS} passes over all texts, everything warm; MB of UTF-8 a second.",
        "",
        f"| function | {' | '.join(corpus.name for corpus in texts)} |",
        f"|---|{'---|' * len(texts)}",
    ]
    for name, function in functions.items():
        rates = [f"{corpus.megabytes / min(_seconds(function, corpus.texts)):.1f}" for corpus in texts]
        lines.append(f"| {name} | {' | '.join(rates)} |")
    return [*lines, ""]


def _seconds(function: Callable[[str], object], texts: Sequence[str]) -> list[float]:
    seconds: list[float] = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for text in texts:
            function(text)
        seconds.append(time.perf_counter() - start)
    return seconds


def build_report(folder: Path) -> str:
    """Measure everything and write it down."""
    with (folder / "pii_taiwan" / "taiwan_id_vectors.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    corpora = [load(folder, name) for name in ("tw_law", "transcripts_tw")]
    # repeatable test values, no secrets
    generator = random.Random(SEED)  # noqa: S311
    machine = hardware()
    policies = ", ".join(
        f"{policy} ({', '.join(kind for kind, its in POLICIES.items() if its is policy)})" for policy in Policy
    )
    return "\n".join(
        [
            "# Personal data: recall on vectors, false positives, speed",
            "",
            "Measured on the subset named in this report.",
            "",
            f"- Command: `TWLLM_DATA=... {COMMAND}`, {datetime.now(UTC):%Y-%m-%d}",
            f"- Hardware: {', '.join(f'{key} {value}' for key, value in _pairs(machine))}; one core is used",
            f"- tw-corpus {version('tw-corpus')}, datatrove {version('datatrove')}, seed {SEED}",
            f"- Data: pii_taiwan ({len(rows)} vectors), zh_variants (tw_law, transcripts_tw); invented values",
            "- Intervals: Wilson, 95 %",
            f"- Evidence needed: {policies}",
            "",
            *vector_section(rows),
            *false_positive_section(corpora),
            *chance_section(generator),
            *spelling_section(generator),
            *speed_section(corpora, generator),
        ]
    )


def _pairs(machine: Any) -> list[tuple[str, object]]:
    values = machine if isinstance(machine, dict) else {name: getattr(machine, name) for name in machine.__slots__}
    return [(name, value) for name, value in values.items() if value]


def main() -> int:
    """Write the report; 2 without the shared data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=HERE / "pii.md")
    arguments = parser.parse_args()
    if "TWLLM_DATA" not in os.environ:
        sys.stderr.write("set TWLLM_DATA to the folder of the shared data\n")
        return 2
    arguments.output.write_text(build_report(Path(os.environ["TWLLM_DATA"])), encoding="utf-8")
    sys.stdout.write(f"{arguments.output.name} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
