"""What the scoring stage leaves for the next: scores, held-out seeds, thresholds; written and read back exactly."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from icda._pvi import FloatArray, codes_of
from icda._score import HeldOutScores
from icda._scores import CandidateScores
from icda._thresholds import EstimatedOn, ThresholdRule, Thresholds, ThresholdScale
from twllm_runs import (
    read_jsonl,
    write_json_atomic,
    write_jsonl,
)
from twllm_types import ArtifactError, JsonObject, JsonValue

SCORES_NAME = "scores.jsonl"
HELD_OUT_NAME = "held_out.jsonl"
THRESHOLDS_NAME = "thresholds.json"


def write_scores(path: Path, scores: CandidateScores) -> None:
    """Write one line per candidate: what selection looks at."""
    nearest = scores.nearest
    write_jsonl(
        path,
        (
            {
                "id": scores.ids[place],
                "intent": scores.intents[place],
                "logp": float(scores.logps[place]),
                "best": scores.classes[int(scores.best[place])],
                "best_logp": float(scores.best_logps[place]),
                "nearest": None if nearest is None else scores.classes[int(nearest[place])],
                "pvi": float(scores.pvi[place]),
            }
            for place in range(len(scores))
        ),
    )


def read_scores(path: Path, *, classes: Sequence[str], null_logps: Sequence[float]) -> CandidateScores:
    """Read what `write_scores` wrote; numbers come back to the last digit.

    Raises:
        ArtifactError: the file is damaged.
    """
    rows = list(read_jsonl(path))
    try:
        intents = tuple(str(row["intent"]) for row in rows)
        has_nearest = bool(rows) and rows[0]["nearest"] is not None
        return CandidateScores(
            ids=tuple(str(row["id"]) for row in rows),
            intents=intents,
            classes=tuple(classes),
            asked=codes_of(intents, classes),
            logps=_column(rows, "logp"),
            best=codes_of([str(row["best"]) for row in rows], classes, strict=True),
            best_logps=_column(rows, "best_logp"),
            null_logps=np.asarray(null_logps, dtype=np.float64),
            nearest=codes_of([str(row["nearest"]) for row in rows], classes, strict=True) if has_nearest else None,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ArtifactError(f"{path}: is damaged ({error}); run the scoring again in a new folder") from error


def write_held_out(path: Path, held_out: HeldOutScores) -> None:
    """Write one line per row with a known label."""
    pvi = held_out.pvi
    write_jsonl(
        path,
        (
            {
                "id": held_out.ids[row],
                "intent": held_out.labels[row],
                "predicted": held_out.predicted[row],
                "logp": float(held_out.logps[row]),
                "null_logp": float(held_out.null_logps[row]),
                "pvi": float(pvi[row]),
                "fold": held_out.folds[row],
            }
            for row in range(len(held_out.ids))
        ),
    )


def read_held_out(path: Path, *, estimated_on: EstimatedOn) -> HeldOutScores:
    """Read what `write_held_out` wrote.

    Raises:
        ArtifactError: the file is damaged.
    """
    rows = list(read_jsonl(path))
    try:
        return HeldOutScores(
            ids=tuple(str(row["id"]) for row in rows),
            labels=tuple(str(row["intent"]) for row in rows),
            logps=_column(rows, "logp"),
            null_logps=_column(rows, "null_logp"),
            predicted=tuple(str(row["predicted"]) for row in rows),
            estimated_on=estimated_on,
            folds=tuple(int(cast("int", row["fold"])) for row in rows),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ArtifactError(f"{path}: is damaged ({error}); run the scoring again in a new folder") from error


def thresholds_to_json(thresholds: Thresholds) -> JsonObject:
    """Return thresholds as JSON values."""
    return {
        "per_class": cast("JsonValue", dict(thresholds.per_class)),
        "global": thresholds.global_,
        "rule": thresholds.rule.value,
        "scale": thresholds.scale.value,
        "num_rows": thresholds.num_rows,
        "counts": cast("JsonValue", dict(thresholds.counts)),
        "from_global": list(thresholds.from_global),
        "estimated_on": thresholds.estimated_on.value,
        "shrinkage": thresholds.shrinkage,
    }


def thresholds_from_json(row: Mapping[str, JsonValue]) -> Thresholds:
    """Read what `thresholds_to_json` gave; a key that is missing or of another type is a KeyError or ValueError."""
    return Thresholds(
        per_class=cast("dict[str, float]", row["per_class"]),
        global_=float(cast("float", row["global"])),
        rule=ThresholdRule(str(row["rule"])),
        scale=ThresholdScale(str(row["scale"])),
        num_rows=int(cast("int", row["num_rows"])),
        counts=cast("dict[str, int]", row["counts"]),
        from_global=tuple(cast("list[str]", row["from_global"])),
        estimated_on=EstimatedOn(str(row["estimated_on"])),
        shrinkage=float(cast("float", row["shrinkage"])),
    )


def write_thresholds(path: Path, thresholds: Sequence[Thresholds]) -> None:
    """Write thresholds by their scale."""
    write_json_atomic(path, {one.scale.value: thresholds_to_json(one) for one in thresholds})


def read_thresholds(path: Path) -> dict[ThresholdScale, Thresholds]:
    """Read what `write_thresholds` wrote.

    Raises:
        ArtifactError: the file is damaged.
    """
    try:
        content = cast("dict[str, JsonObject]", json.loads(path.read_text(encoding="utf-8")))
        return {ThresholdScale(scale): thresholds_from_json(row) for scale, row in content.items()}
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path}: is damaged ({error}); run the scoring again in a new folder") from error


def _column(rows: Sequence[JsonObject], name: str) -> FloatArray:
    return np.fromiter((float(cast("float", row[name])) for row in rows), dtype=np.float64, count=len(rows))
