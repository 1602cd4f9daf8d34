"""Pairwise runs read back, whole or as what they say of two responses."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from llm_eval._items import JudgeItem, item_sha256
from llm_eval._pair_judgements import PairJudgement, PairKey, outcomes_by_answers, pair_from_json, pair_to_json
from llm_eval._pairwise import PairOutcome
from llm_eval._preferences import SwapVerdict
from twllm_runs import read_jsonl, read_run
from twllm_types import ArtifactError, DataError, JsonObject

COMMAND = "llm-eval pairwise"
PAIRS_NAME = "pairs.jsonl"
_VERDICTS = {PairOutcome.A_WINS: SwapVerdict.FIRST, PairOutcome.B_WINS: SwapVerdict.SECOND}


def read_pair_attempts(path: Path) -> tuple[PairJudgement, ...]:
    """Return every line of a file of comparisons, in order; no file gives none.

    Raises:
        DataError: a line is no comparison; the message names file and line.
    """
    if not path.exists():
        return ()
    return tuple(pair_from_json(row, source=f"{path}:{number}") for number, row in enumerate(read_jsonl(path), start=1))


def last_pairs(attempts: Iterable[PairJudgement]) -> dict[PairKey, PairJudgement]:
    """Return the last attempt of each comparison."""
    return {attempt.key: attempt for attempt in attempts}


def finished_pairs(folder: Path, summary: JsonObject) -> dict[PairKey, PairJudgement]:
    """Read the comparisons of a finished run and compare them with what was summed up.

    Raises:
        ArtifactError: they are not the same.
        DataError: a line is no comparison.
    """
    found = last_pairs(read_pair_attempts(folder / PAIRS_NAME))
    if summary["comparisons"] != pairs_to_json(found.values()):
        raise ArtifactError(
            f"{folder / PAIRS_NAME}: its {len(found):,} comparisons are not those that summary.json was made of; "
            "restore the file, or compare again in a new folder"
        )
    return found


def pairs_to_json(judgements: Iterable[PairJudgement]) -> JsonObject:
    """Return what summary.json says of its comparisons: how many, and a hash of all, whatever their order."""
    rows = sorted(json.dumps(pair_to_json(row), sort_keys=True, separators=(",", ":")) for row in judgements)
    return {"num": len(rows), "sha256": hashlib.sha256("\n".join(rows).encode("ascii")).hexdigest()}


def read_swaps(path: Path, items: Mapping[str, JudgeItem]) -> dict[tuple[str, str], SwapVerdict]:
    """Read what a pairwise judge said over both orders, by the ids of the two responses.

    Args:
        path: folder of a finished pairwise run, or its `pairs.jsonl`.
        items: what must have been compared, by id, as far as the comparisons say; others are not looked at.

    Raises:
        ArtifactError: the folder holds no finished pairwise run.
        DataError: a line is no comparison, there is none, or one is of another item under an id of `items`.
    """
    if path.is_dir():
        stored = read_run(path)
        if stored.manifest.command != COMMAND or stored.summary is None:
            raise ArtifactError(f"{path}: holds no finished {COMMAND}; give the folder of one")
        found = finished_pairs(path, stored.summary)
    else:
        found = last_pairs(read_pair_attempts(path))
    if not found:
        raise DataError(f"{path}: holds no comparison; give the folder of a pairwise run")
    hashes = {item_id: item_sha256(item) for item_id, item in items.items()}
    compared = {pair for row in found.values() for pair in row.item_hashes}
    others = sorted({item_id for item_id, sha256 in compared if hashes.get(item_id, sha256) != sha256})
    if others:
        raise DataError(
            f"{path}: compares another item {others[0]!r} than the one given ({len(others):,} such); "
            "give the items that were compared"
        )
    outcomes = outcomes_by_answers(found.values())
    return {ids: _VERDICTS.get(outcome, SwapVerdict.UNDECIDED) for ids, outcome in outcomes.items()}
