"""The report on benchmark items that stood in the corpus: one line per item, which tmlu-bench reads."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tw_corpus._benchmark_files import load_benchmark
from tw_corpus._comparable import comparable_codes
from tw_corpus._contamination import BenchmarkItem
from tw_corpus._stages import Plan
from twllm_runs import open_atomic
from twllm_types import JsonValue

CONTAMINATION_SCHEMA_VERSION = 1
_MAX_DOCUMENTS = 20


def publish_contamination(plan: Plan) -> list[JsonValue]:
    """Write `contamination.jsonl` and return the counts by benchmark.

    Each line: schema_version, benchmark, item, outcome (`clean`, `found` or `too_short`), num_documents, and up to 20
    documents with coverage, span and the matched text. No file is written where no benchmark was given.
    """
    if not plan.benchmarks:
        return []
    hits = _hits(plan)
    counts: dict[str, Counter[str]] = {}
    with open_atomic(plan.layout.output / "contamination.jsonl", "w") as file:
        for path in plan.benchmarks:
            for item in load_benchmark(path):
                found = hits.get((item.benchmark, item.id), [])
                outcome = _outcome(item, found, plan.recipe.decontamination.min_item_chars)
                counts.setdefault(item.benchmark, Counter())[outcome] += 1
                row = {
                    "schema_version": CONTAMINATION_SCHEMA_VERSION,
                    "benchmark": item.benchmark,
                    "item": item.id,
                    "outcome": outcome,
                    "num_documents": len(found),
                    "documents": found[:_MAX_DOCUMENTS],
                }
                file.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")
    return [
        {"benchmark": name, **{outcome: count[outcome] for outcome in ("clean", "found", "too_short")}}
        for name, count in sorted(counts.items())
    ]


def _outcome(item: BenchmarkItem, found: list[dict[str, Any]], min_item_chars: int) -> str:
    if found:
        return "found"
    return "too_short" if len(comparable_codes(item.text)) < min_item_chars else "clean"


def _hits(plan: Plan) -> dict[tuple[str, str], list[dict[str, Any]]]:
    by_item: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for rank in range(plan.num_tasks):
        for hit in _lines(plan.layout.hits / f"{rank:05d}.jsonl"):
            by_item.setdefault((hit.pop("benchmark"), hit.pop("item")), []).append(hit)
    return by_item


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)
