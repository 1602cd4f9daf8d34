"""The account of a curation: every record is kept, rejected, a duplicate, a fault or ignored."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import cast

from tw_corpus._pii import redact
from tw_corpus._plugin_measure import FAILED
from tw_corpus._plugin_summary import plugin_rows
from tw_corpus._tally import EXACT_DUPLICATE, KEPT, NEAR_DUPLICATE, Tally, split_key, totals
from tw_corpus.readers import FoundFile
from twllm_runs.statistics import proportion_estimate
from twllm_types import Estimate, JsonObject, JsonValue, RunError

_CLUSTER_BANDS = ((2, "2"), (3, "3"), (9, "4–9"), (inf, "10+"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CurationCounts:
    """Records by what became of them; they add up to `num_records`.

    Attributes:
        num_records: met by the readers.
        num_kept: documents in the final shards.
        num_rejected: documents that a rule rejected, for the reason that stands with them.
        num_unmeasured: documents that were left out because a plug-in measure with a threshold failed on them.
        num_duplicates: exact duplicates of an earlier document.
        num_near_duplicates: near-duplicates of an earlier document.
        num_faults: records or files that could not be read.
        num_ignored: records that are no documents, such as WARC requests.
    """

    num_records: int
    num_kept: int
    num_rejected: int
    num_unmeasured: int
    num_duplicates: int
    num_near_duplicates: int
    num_faults: int
    num_ignored: int


def account(filtered: Tally, written: Tally) -> CurationCounts:
    """Add up both stages.

    Args:
        filtered: of the stages before the write stage; its documents are the rejected ones.
        written: of the write stage; its documents are kept or duplicates.

    Raises:
        RunError: the outcomes do not add up to the records, which would be a silent loss.
    """
    outcomes = totals(written.num_documents, 2)
    num_unmeasured = count_unmeasured(filtered)
    kept = outcomes.get((KEPT,), 0)
    counts = CurationCounts(
        num_records=filtered.num_records.total(),
        num_kept=kept,
        num_rejected=filtered.num_documents.total() - num_unmeasured,
        num_unmeasured=num_unmeasured,
        num_duplicates=outcomes.get((EXACT_DUPLICATE,), 0),
        num_near_duplicates=outcomes.get((NEAR_DUPLICATE,), 0),
        num_faults=filtered.faults.total(),
        num_ignored=filtered.ignored.total(),
    )
    outcome_sum = sum(asdict(counts).values()) - counts.num_records
    if outcome_sum != counts.num_records:
        raise RunError(
            f"{counts.num_records} records were read but {outcome_sum} are accounted for; this is a bug of tw-corpus, "
            "please report it with run.json"
        )
    return counts


def count_unmeasured(documents: Tally) -> int:
    """Count the documents that were left out because a plug-in measure failed on them."""
    return sum(count for (outcome,), count in totals(documents.num_documents, 2).items() if outcome.startswith(FAILED))


def genre_pass_rates(documents: Tally) -> dict[str, Estimate]:
    """Return the share of each genre's documents that no rule rejected, with its Wilson interval.

    Args:
        documents: of both stages, merged. Duplicates count as passed: their text is good. Documents that a plug-in
            measure failed on count in neither number.
    """
    passed: dict[str, int] = {}
    seen: dict[str, int] = {}
    for (genre, outcome), count in totals(documents.num_documents, 1, 2).items():
        if outcome.startswith(FAILED):
            continue
        seen[genre] = seen.get(genre, 0) + count
        if outcome in (KEPT, EXACT_DUPLICATE, NEAR_DUPLICATE):
            passed[genre] = passed.get(genre, 0) + count
    return {genre: proportion_estimate(passed.get(genre, 0), total) for genre, total in sorted(seen.items())}


def summarize(
    documents: Tally,
    counts: CurationCounts,
    *,
    files: Sequence[FoundFile],
    num_tasks: int,
    seconds: float | None,
) -> JsonObject:
    """Return what stands in `summary.json`; all but `timing` is the same on every run.

    Args:
        documents: both stages' tallies, merged.
        counts: the account.
        files: inputs.
        num_tasks: tasks the inputs were cut into.
        seconds: wall time; None where it was not one invocation that did the work.
    """
    num_bytes = sum(file.num_bytes for file in files)
    return {
        "counts": cast("JsonObject", asdict(counts)),
        "inputs": {"num_files": len(files), "num_bytes": num_bytes, "num_tasks": num_tasks},
        "funnel": _rows(documents.num_documents, ("input", "genre", "outcome"), num_chars=documents.num_chars),
        "faults": _rows(documents.faults, ("input", "reason")),
        "ignored": _rows(documents.ignored, ("input", "kind")),
        "pass_rate_by_genre": {
            genre: cast("JsonObject", asdict(estimate)) for genre, estimate in genre_pass_rates(documents).items()
        },
        "encodings": _rows(documents.encodings, ("encoding", "evidence")),
        "scripts": dict(sorted(documents.scripts.items())),
        "normalisation": dict(sorted(documents.changes.items())),
        "boilerplate_lines": dict(sorted(documents.boilerplate.items())),
        "variants": _rows(documents.variants, ("variant", "script", "converted")),
        "personal_data": dict(sorted(documents.pii.items())),
        "near_duplicate_clusters": _clusters(documents),
        "plugin_measures": plugin_rows(documents),
        "timing": {
            "seconds": None if seconds is None else round(seconds, 3),
            "input_bytes_per_second": None if seconds is None else round(num_bytes / seconds, 1),
        },
    }


def _clusters(documents: Tally) -> JsonObject:
    """Return how many clusters there are, how large, and the largest with the document that stayed, its id masked."""
    sizes = dict.fromkeys((name for _, name in _CLUSTER_BANDS), 0)
    for size, count in documents.cluster_sizes.items():
        sizes[next(name for most, name in _CLUSTER_BANDS if int(size) <= most)] += count
    return {
        "num_clusters": documents.cluster_sizes.total(),
        "sizes": cast("JsonObject", sizes),
        "largest": [
            {"size": cluster.size, "kept_id": redact(cluster.id).text, "input": redact(cluster.source).text}
            for cluster in documents.clusters
        ],
    }


def _rows(
    counter: Mapping[str, int], names: Sequence[str], *, num_chars: Mapping[str, int] | None = None
) -> list[JsonValue]:
    rows: list[JsonValue] = []
    for key, count in sorted(counter.items()):
        row: JsonObject = dict(zip(names, split_key(key), strict=True))
        row["count"] = count
        if num_chars is not None:
            row["num_chars"] = num_chars[key]
        rows.append(row)
    return rows
