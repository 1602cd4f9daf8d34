"""Runs read back: their items, and whether these are still what the figures were made of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tmlu_bench._asked import asked_facts
from tmlu_bench._outcomes import ItemResult, hash_items, item_from_json, last_records
from tmlu_bench._remarks import exam_remarks
from tmlu_bench._run_counts import truncation_fact
from tmlu_bench._wording import counted
from twllm_runs import read_jsonl, read_run
from twllm_types import ArtifactError, JsonObject, JsonValue, RunManifest

COMMAND = "tmlu-bench run"
ITEMS_NAME = "items.jsonl"


def read_items(folder: Path) -> tuple[ItemResult, ...]:
    """Return the last record of each item of a run, by key; no file gives none.

    Raises:
        DataError: a line is no item; the message names file and line.
    """
    return last_records(read_records(folder))


def read_records(folder: Path) -> tuple[ItemResult, ...]:
    """Return all lines of a run's items.jsonl in their order; no file gives none.

    Raises:
        DataError: a line is no item; the message names file and line.
    """
    path = folder / ITEMS_NAME
    if not path.exists():
        return ()
    rows = enumerate(read_jsonl(path), start=1)
    return tuple(item_from_json(row, source=f"{path}:{number}") for number, row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExam:
    """A finished run as a consumer reads it."""

    folder: Path
    manifest: RunManifest
    summary: JsonObject
    items: tuple[ItemResult, ...]

    @property
    def model(self) -> str:
        """Spec of the model."""
        return self.manifest.models[0].spec

    @property
    def groups(self) -> dict[str, str]:
        """Subject to group."""
        rows = cast("list[dict[str, str | None]]", self.summary["subjects"])
        return {str(row["subject"]): row["group"] for row in rows if row["group"] is not None}

    @property
    def engine_counts(self) -> dict[str, int]:
        """What the engine counted, `num_cut` and `num_merged`; empty where it counts nothing."""
        return cast("dict[str, int]", self.summary.get("engine_counts", {}))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know beside the figures, a line each."""
        faulty = cast("dict[str, dict[str, int]]", self.summary["data"]).get("faulty_rows", {})
        return exam_remarks(faulty, self.engine_counts)

    @property
    def truncation(self) -> str | None:
        """How prompts were cut; None where none was."""
        return truncation_fact(cast("JsonObject", self.manifest.parameters["engine"]), self.engine_counts)

    @property
    def asked(self) -> dict[str, str]:
        """What was asked and how, in words by name, the sample among them."""
        parameters, sample = self.manifest.parameters, cast("JsonObject", self.summary["sample"])
        return asked_facts(
            cast("JsonObject", parameters["exam"]),
            method=str(parameters["method"]),
            data=str(parameters["data"]),
            data_sha256=str(parameters["data_sha256"]),
            sample=str(sample["description"]),
            truncation=self.truncation,
        )

    @property
    def setting(self) -> dict[str, str]:
        """What a fair comparison needs to agree in; what is off is absent."""
        exam = cast("JsonObject", self.manifest.parameters["exam"])
        named = {key: exam[key] for key in ("num_shots", "form", "extractor", "max_tokens", "permute", "circular")}
        named["truncation"] = self.truncation
        scoring, method = exam["scoring"], self.manifest.parameters["method"]
        return {
            "protocol": f"{exam['protocol']}@{exam['protocol_version']}",
            "scoring": str(scoring) if scoring == method else f"{scoring}, {method}",
            "data": str(self.manifest.parameters["data_sha256"]),
            **{key: fact_text(value) for key, value in named.items() if value is not None and value is not False},
        }


def read_exam(folder: Path) -> StoredExam:
    """Read a finished run as a consumer.

    Raises:
        ArtifactError: there is no finished run of this command, or `items.jsonl` is not what it was summed up from.
        DataError: a line of `items.jsonl` is no item.
    """
    stored = read_run(folder)
    if stored.manifest.command != COMMAND or stored.summary is None:
        state = "is not finished" if stored.manifest.command == COMMAND else f"holds a run of {stored.manifest.command}"
        raise ArtifactError(f"{folder}: {state}; give the folder of a finished {COMMAND}")
    items = finished_items(folder, stored.summary)
    return StoredExam(folder=folder, manifest=stored.manifest, summary=stored.summary, items=items)


def finished_items(folder: Path, summary: JsonObject) -> tuple[ItemResult, ...]:
    """Read the items of a finished run and compare them with what was summed up.

    Raises:
        ArtifactError: they are not the same.
        DataError: a line is no item.
    """
    items = read_items(folder)
    expected = summary.get("items")
    if not isinstance(expected, dict):
        raise ArtifactError(f"{folder}: summary.json is of an earlier tmlu-bench; run the exam again in a new folder")
    if expected != items_to_json(items):
        raise ArtifactError(
            f"{folder / ITEMS_NAME}: its {counted(len(items), 'item')} are not the {expected['num_items']:,} that "
            "summary.json was made of; restore the file, or run the exam again in a new folder"
        )
    return items


def items_to_json(items: Sequence[ItemResult]) -> JsonObject:
    """Return what summary.json says of its items: how many, and the hash of their content."""
    return {"num_items": len(items), "sha256": hash_items(items)}


def fact_text(value: JsonValue) -> str:
    """Return a text as it stands, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
