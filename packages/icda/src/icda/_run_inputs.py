"""What a stage says of the models and files that decide its result, without a machine's paths."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from twllm_engines import answer_settings, parse_spec, settings_to_json
from twllm_runs import StoredRun, StoredState, hash_file, read_run
from twllm_types import ArtifactError, InputFile, IntentExample, JsonObject, JsonValue

DECISIVE_PACKAGES = ("icda",)
PACKAGES = ("numpy", "scikit-learn", "twllm-engines", "torch", "transformers", "tokenizers", "vllm", "h11")
SUMMARY_NAME = "summary.json"


def read_stage(folder: Path, command: str) -> StoredRun:
    """Read the folder of a finished stage, whose summary is then not None.

    Raises:
        ArtifactError: it holds no run of this command, or one that is not finished.
    """
    stored = read_run(folder)
    if stored.manifest.command != command:
        raise ArtifactError(f"{folder}: holds a run of {stored.manifest.command!r}; give a folder of {command!r}")
    if stored.state is not StoredState.FINISHED or stored.summary is None:
        raise ArtifactError(f"{folder}: the run of {command!r} is not finished; run the same command to its end")
    return stored


def rows_sha256(rows: Sequence[IntentExample]) -> str:
    """Hash of the content of rows, in order: utterance, intent and id."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row.text, row.intent, row.id]).encode("ascii") + b"\n")
    return digest.hexdigest()


def files_json(inputs: Sequence[InputFile]) -> JsonObject:
    """The files that rows came from, by name, for the settings of a manifest: what decides are the rows themselves."""
    return {one.name: one.sha256 for one in inputs}


def engine_key(spec: str) -> JsonObject:
    """What a spec says of answers, without loading the engine: settings that decide, and files by their content.

    Raises:
        ConfigError: the spec names no engine.
    """
    values = answer_settings(settings_to_json(parse_spec(spec)))
    return {name: _content_sha256(value) or value for name, value in values.items()}


def _content_sha256(value: JsonValue) -> str | None:
    """Hash of the file or folder that a text names; None where it names none."""
    path = Path(value) if isinstance(value, str) and value else None
    if path is None or not path.exists():
        return None
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    lines = (f"{hash_file(one)}  {one.relative_to(path).as_posix()}\n" for one in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
