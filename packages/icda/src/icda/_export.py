"""Writes training rows for other tools: CSV, JSONL, Rasa NLU, Hugging Face datasets."""

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

from icda._data import OUT_OF_SCOPE
from twllm_runs import write_text_atomic
from twllm_types import ConfigError, DataError, IntentExample

# What YAML 1.1 cannot hold once white space is squeezed.
_NOT_YAML = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
# Rasa reads these as entities: [Taipei](city), [Taipei]{"entity": "city"}.
_RASA_ENTITY = re.compile(r"\[[^\]]*\]\s*[({]")
_FIELDS = ("text", "intent", "id", "source")


class ExportFormat(StrEnum):
    """Where rows go: a file of rows, a training file of Rasa 3, a folder of `datasets.Dataset.save_to_disk`."""

    CSV = "csv"
    JSONL = "jsonl"
    RASA = "rasa"
    DATASETS = "datasets"


def export_examples(
    examples: Sequence[IntentExample],
    path: Path,
    form: ExportFormat | str,
    *,
    out_of_scope: str = OUT_OF_SCOPE,
) -> None:
    """Write rows, whole or not at all. CSV, JSONL and datasets have the columns text, intent, id and source.

    `load_intent_data` reads CSV, JSONL and datasets back. Rasa groups rows by intent in the order in which intents
    first come, holds neither id nor source, and takes a line per row, so white space is squeezed there.

    Args:
        examples: at least one.
        path: file, or folder for datasets; a file is replaced.
        form: what is written.
        out_of_scope: label of rows without intent; JSONL writes null.

    Raises:
        ConfigError: no such form, or the folder for datasets exists.
        DataError: there is no row, or Rasa would read one otherwise: markup of entities, or what YAML cannot hold.
        MissingDependencyError: datasets, and the extra `datasets` is not installed.
        RunError: the file cannot be written.
    """
    if not examples:
        raise DataError(f"{path}: there are no rows to write; select some first")
    if form not in tuple(ExportFormat):
        raise ConfigError(f"export format {form!r} is none of {', '.join(ExportFormat)}; give one of them")
    if form == ExportFormat.DATASETS:
        from icda._export_folder import write_datasets_folder

        write_datasets_folder(path, [_row(example, out_of_scope) for example in examples])
        return
    write_text_atomic(path, _WRITERS[ExportFormat(form)](examples, out_of_scope))


def _row(example: IntentExample, out_of_scope: str) -> dict[str, str]:
    intent = example.intent if example.intent is not None else out_of_scope
    return {"text": example.text, "intent": intent, "id": example.id or "", "source": example.source}


def _csv(examples: Sequence[IntentExample], out_of_scope: str) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_FIELDS)
    writer.writerows(_row(example, out_of_scope).values() for example in examples)
    return file.getvalue()


def _jsonl(examples: Sequence[IntentExample], out_of_scope: str) -> str:
    del out_of_scope
    rows = ({name: getattr(example, name) for name in _FIELDS} for example in examples)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _rasa(examples: Sequence[IntentExample], out_of_scope: str) -> str:
    lines_of: dict[str, list[str]] = {}
    for example in examples:
        intent = example.intent if example.intent is not None else out_of_scope
        lines_of.setdefault(intent, []).append(f"    - {_rasa_text(example)}\n")
    blocks = (
        # A string of JSON is one of YAML.
        f"- intent: {json.dumps(intent, ensure_ascii=False)}\n  examples: |\n{''.join(lines)}"
        for intent, lines in lines_of.items()
    )
    return 'version: "3.1"\nnlu:\n' + "".join(blocks)


def _rasa_text(example: IntentExample) -> str:
    text = " ".join(example.text.split())
    found = _RASA_ENTITY.search(text) or _NOT_YAML.search(text)
    if found is not None:
        raise DataError(
            f"row {example.id or text!r}: {found.group()!r} is markup to Rasa, or no YAML; change the text, or "
            "export another format"
        )
    return text


_WRITERS: dict[ExportFormat, Callable[[Sequence[IntentExample], str], str]] = {
    ExportFormat.CSV: _csv,
    ExportFormat.JSONL: _jsonl,
    ExportFormat.RASA: _rasa,
}
