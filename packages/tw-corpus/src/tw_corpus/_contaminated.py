"""The report on benchmark items that stood in the corpus: one line per item, which tmlu-bench reads."""

import json
from collections import Counter

from tw_corpus._benchmark_files import Benchmark, load_benchmarks
from tw_corpus._comparable import comparable_codes
from tw_corpus._contamination import BenchmarkItem
from tw_corpus._stages import Plan
from twllm_runs import open_atomic, read_jsonl
from twllm_types import JsonObject, JsonValue

CONTAMINATION_SCHEMA_VERSION = 1
_MAX_DOCUMENTS = 20
_MAX_UNUSED = 20
_OUTCOMES = ("clean", "found", "too_short")


def publish_contamination(plan: Plan) -> list[JsonValue]:
    """Write `contamination.jsonl` and return the counts by benchmark.

    Each line: schema_version, benchmark, item, outcome (`clean`, `found` or `too_short`), num_documents, and up to 20
    documents with coverage, span and the matched text. No file is written where no benchmark was given. The counts also
    hold how many files of a folder gave no item, and the first 20 of their names.
    """
    if not plan.benchmarks:
        return []
    hits = _hits(plan)
    rows: list[JsonValue] = []
    with open_atomic(plan.layout.output / "contamination.jsonl", "w") as file:
        for benchmark in load_benchmarks(plan.benchmarks):
            count: Counter[str] = Counter()
            for item in benchmark.items:
                found = hits.get((item.benchmark, item.id), [])
                outcome = _outcome(item, found, plan.recipe.decontamination.min_item_chars)
                count[outcome] += 1
                row = {
                    "schema_version": CONTAMINATION_SCHEMA_VERSION,
                    "benchmark": item.benchmark,
                    "item": item.id,
                    "outcome": outcome,
                    "num_documents": len(found),
                    "documents": found[:_MAX_DOCUMENTS],
                }
                file.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")
            rows.append(_counted(benchmark, count))
    return rows


def _counted(benchmark: Benchmark, count: Counter[str]) -> JsonValue:
    return {
        "benchmark": benchmark.name,
        **{outcome: count[outcome] for outcome in _OUTCOMES},
        "num_unused_files": len(benchmark.unused),
        "unused_files": list(benchmark.unused[:_MAX_UNUSED]),
    }


def _outcome(item: BenchmarkItem, found: list[JsonObject], min_item_chars: int) -> str:
    if found:
        return "found"
    return "too_short" if len(comparable_codes(item.text)) < min_item_chars else "clean"


def _hits(plan: Plan) -> dict[tuple[str, str], list[JsonObject]]:
    by_item: dict[tuple[str, str], list[JsonObject]] = {}
    for rank in range(plan.num_tasks):
        for hit in read_jsonl(plan.layout.hits / f"{rank:05d}.jsonl"):
            by_item.setdefault((str(hit.pop("benchmark")), str(hit.pop("item"))), []).append(hit)
    return by_item
