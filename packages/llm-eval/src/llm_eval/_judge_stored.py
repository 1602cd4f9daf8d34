"""Runs of a judge read back: items and judgements, and whether these are still what the figures were made of."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from llm_eval._items import JudgeItem, item_to_json, json_line
from llm_eval._judgements import Judgement, judgement_from_json, judgement_to_json
from llm_eval._load_items import load_items
from twllm_runs import read_jsonl, read_run
from twllm_types import ArtifactError, DataError, JsonObject, RunManifest

COMMAND = "llm-eval judge"
JUDGEMENTS_NAME = "judgements.jsonl"
ITEMS_NAME = "items.jsonl"
_SUMMARY_NAME = "summary.json"
_RESTORE = "restore the file, or judge again in a new folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJudgeRun:
    """A finished run as a consumer reads it.

    Attributes:
        folder: of the run.
        manifest: of its first start.
        summary: what `summary.json` holds.
        items: what was judged.
        judgements: last attempt of each judgement, in the order of the items.
    """

    folder: Path
    manifest: RunManifest
    summary: JsonObject
    items: tuple[JudgeItem, ...]
    judgements: tuple[Judgement, ...]

    @property
    def model(self) -> str:
        """Spec of the judge's model."""
        return self.manifest.models[0].spec

    @property
    def judge(self) -> JsonObject:
        """Settings of the judge."""
        return cast("JsonObject", self.manifest.parameters["judge"])

    @property
    def weights(self) -> dict[str, float]:
        """Weights of the dimensions in `overall`."""
        return cast("dict[str, float]", self.judge["weights"])

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the dimensions, in the order of the settings."""
        return tuple(str(row["name"]) for row in cast("list[JsonObject]", self.judge["dimensions"]))


def read_attempts(folder: Path) -> tuple[Judgement, ...]:
    """Return every line of `judgements.jsonl`, in order; no file gives none.

    Raises:
        DataError: a line is no judgement; the message names file and line.
    """
    path = folder / JUDGEMENTS_NAME
    if not path.exists():
        return ()
    rows = enumerate(read_jsonl(path), start=1)
    return tuple(judgement_from_json(row, source=f"{path}:{number}") for number, row in rows)


def last_attempts(attempts: Iterable[Judgement]) -> dict[tuple[str, int], Judgement]:
    """Return the last attempt of each judgement, by (item, repeat)."""
    return {(attempt.item_id, attempt.repeat): attempt for attempt in attempts}


def read_judge_run(folder: Path) -> StoredJudgeRun:
    """Read a finished run as a consumer.

    Raises:
        ArtifactError: there is no finished run of this command, or its items or judgements are not those that it was
            summed up from.
        DataError: a line of `items.jsonl` is no item, or one of `judgements.jsonl` no judgement.
    """
    stored = read_run(folder)
    if stored.manifest.command != COMMAND or stored.summary is None:
        state = "is not finished" if stored.manifest.command == COMMAND else f"holds a run of {stored.manifest.command}"
        raise ArtifactError(f"{folder}: {state}; give the folder of a finished {COMMAND}")
    return StoredJudgeRun(
        folder=folder,
        manifest=stored.manifest,
        summary=stored.summary,
        items=finished_items(folder, stored.summary),
        judgements=finished_judgements(folder, stored.summary),
    )


def finished_items(folder: Path, summary: JsonObject) -> tuple[JudgeItem, ...]:
    """Read what a finished run judged, in order, and compare it with what was summed up.

    Raises:
        ArtifactError: it is not the same, or `items.jsonl` or its hash is missing.
        DataError: a line is no item.
    """
    path = folder / ITEMS_NAME
    if not path.is_file():
        raise ArtifactError(f"{path}: is missing; {_RESTORE}")
    items = load_items(path)
    _refuse_other(path, summary, "items", items_to_json(items))
    return items


def finished_judgements(folder: Path, summary: JsonObject) -> tuple[Judgement, ...]:
    """Read the judgements of a finished run, sorted by item and repeat, and compare them with what was summed up.

    Raises:
        ArtifactError: they are not the same, or their hash is missing.
        DataError: a line is no judgement.
    """
    found = last_attempts(read_attempts(folder))
    judgements = tuple(found[key] for key in sorted(found))
    _refuse_other(folder / JUDGEMENTS_NAME, summary, "judgements", judgements_to_json(judgements))
    return judgements


def _refuse_other(path: Path, summary: JsonObject, key: str, found: JsonObject) -> None:
    match summary.get(key):
        case {"num": int() as num, "sha256": str()} as wanted:
            if wanted != found:
                raise ArtifactError(
                    f"{path}: its {found['num']:,} {key} are not the {num:,} that {_SUMMARY_NAME} was made of; "
                    f"{_RESTORE}"
                )
        case _:
            raise ArtifactError(f"{path.with_name(_SUMMARY_NAME)}: {key!r} is not {{num, sha256}}; {_RESTORE}")


def items_to_json(items: Sequence[JudgeItem]) -> JsonObject:
    """Return what summary.json says of the items: how many, and a hash of all, whatever their order."""
    return _hashed(item_to_json(item) for item in items)


def judgements_to_json(judgements: Sequence[Judgement]) -> JsonObject:
    """Return what summary.json says of its judgements: how many, and a hash of all, whatever their order."""
    return _hashed(judgement_to_json(judgement) for judgement in judgements)


def _hashed(rows: Iterable[JsonObject]) -> JsonObject:
    lines = sorted(map(json_line, rows))
    return {"num": len(lines), "sha256": hashlib.sha256("\n".join(lines).encode("ascii")).hexdigest()}


def read_judgements(path: Path) -> tuple[tuple[Judgement, ...], dict[str, float]]:
    """Read a finished run, or a file of judgements: the last attempt of each, and the weights of its dimensions.

    Args:
        path: folder of a run, or `judgements.jsonl`, whose dimensions weigh alike.

    Raises:
        ArtifactError: the folder holds no finished run.
        DataError: the file cannot be read, holds nothing, or a line is no judgement.
    """
    if path.is_dir():
        run = read_judge_run(path)
        return run.judgements, run.weights
    rows = enumerate(read_jsonl(path), start=1)
    found = last_attempts(judgement_from_json(row, source=f"{path}:{number}") for number, row in rows)
    if not found:
        raise DataError(f"{path}: holds no judgement; give the judgements.jsonl of a run")
    return tuple(found[key] for key in sorted(found)), {}
