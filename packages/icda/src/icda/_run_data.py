"""Reads the rows that a recipe names, and refuses what cannot work before any request is paid for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from icda._data import IntentData, RowFields, intents_of, load_intent_data
from icda._names import check_intent_names
from icda._recipe_data import DataFile, DataSettings
from icda._splits import deduplicated, few_shot_rows, load_index_splits
from twllm_runs import hash_file
from twllm_types import ConfigError, DataError, InputFile, IntentExample

ExampleRows = tuple[IntentExample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunData:
    """The rows of a run.

    Attributes:
        seeds: human-written rows, each with an intent; no intent has the same utterance twice.
        validation: labelled rows, no row twice; empty where thresholds are cross-fitted.
        test: rows that results are measured on, of the seeds' intents; empty for none.
        out_of_scope: rows of no intent; empty for none.
        candidates: rows of a pool made elsewhere, of whatever intents; None where candidates are generated.
        inputs: the files, for the manifest.
    """

    seeds: ExampleRows
    validation: ExampleRows = ()
    test: ExampleRows = ()
    out_of_scope: ExampleRows = ()
    candidates: ExampleRows | None = None
    inputs: tuple[InputFile, ...] = ()

    @property
    def intents(self) -> tuple[str, ...]:
        """Of the seeds, sorted."""
        return intents_of(self.seeds)

    def seeds_of(self, intent: str) -> ExampleRows:
        """Seeds of an intent, in their order."""
        return tuple(seed for seed in self.seeds if seed.intent == intent)


def load_run_data(settings: DataSettings) -> RunData:
    """Read the rows that the settings name.

    Raises:
        ConfigError: a path or a name is missing.
        DataError: a file cannot be read, is not the one that row numbers count in, or its rows cannot be used: seeds
            without an intent or of fewer than two intents, labels that the seeds lack, labels that nobody can tell
            apart.
    """
    files = _load_files(settings)
    splits = {} if settings.index is None else _load_index(settings, settings.index, files)

    def rows(name: str | None) -> ExampleRows:
        return () if name is None else _rows_of(name, splits, files)

    seeds = _checked_seeds(settings, rows(settings.seeds))
    intents = frozenset(intents_of(seeds))
    validation, test = deduplicated(rows(settings.validation)), rows(settings.test)
    candidates = None if settings.candidates is None else rows(settings.candidates)
    for name, part in (("validation", validation), ("test", test)):
        _refuse_unknown(name, part, intents)
    in_test, outside = _parted(test)
    return RunData(
        seeds=seeds,
        validation=validation,
        test=in_test,
        out_of_scope=outside + rows(settings.out_of_scope),
        candidates=candidates,
        inputs=_inputs(settings, files),
    )


def _load_files(settings: DataSettings) -> dict[str, IntentData]:
    wanted = RowFields(text=settings.text_field, intent=settings.intent_field, out_of_scope=settings.out_of_scope_label)
    return {name: _load_file(name, file, wanted) for name, file in settings.files.items()}


def _load_file(name: str, file: DataFile, fields: RowFields) -> IntentData:
    if file.path is None:
        raise ConfigError(f"data.files.{name} has no path; give --file {name}=PATH")
    data = load_intent_data(file.path, split=file.split, fields=fields)
    if file.sha256 is not None and data.sha256 != file.sha256:
        raise DataError(
            f"{file.path}: has sha256 {data.sha256}, data.files.{name} wants {file.sha256}; use the file that is "
            "meant, or correct the recipe"
        )
    return data


def _load_index(settings: DataSettings, path: Path, files: Mapping[str, IntentData]) -> dict[str, ExampleRows]:
    hashes = {name: file.sha256 for name, file in settings.files.items() if file.sha256 is not None}
    return load_index_splits(path, files, sha256=hashes)


def _rows_of(name: str, splits: Mapping[str, ExampleRows], files: Mapping[str, IntentData]) -> ExampleRows:
    if name in splits:
        return splits[name]
    if name in files:
        return files[name].examples
    known = ", ".join(sorted({*splits, *files})) or "no files"
    raise ConfigError(
        f"data: there are no rows called {name!r} among {known}; give --file {name}=PATH, or another name"
    )


def _checked_seeds(settings: DataSettings, seeds: ExampleRows) -> ExampleRows:
    outside = sum(seed.intent is None for seed in seeds)
    if outside:
        raise DataError(
            f"{settings.seeds}: {outside} seeds are out of scope; leave them out, they have no intent to augment"
        )
    if settings.num_shots is not None:
        seeds = tuple(
            seeds[row] for row in few_shot_rows(seeds, num_shots=settings.num_shots, seed=settings.shots_seed)
        )
    seeds = deduplicated(seeds)
    intents = intents_of(seeds)
    if len(intents) < 2:
        raise DataError(f"{settings.seeds}: the seeds have {len(intents)} intent; a classifier needs two or more")
    check_intent_names(intents)
    return seeds


def _refuse_unknown(name: str, rows: Sequence[IntentExample], intents: frozenset[str]) -> None:
    unknown = Counter(row.intent for row in rows if row.intent is not None and row.intent not in intents)
    if unknown:
        label, count = min(unknown.items())
        raise DataError(
            f"{name}: {sum(unknown.values())} rows have intents that the seeds lack, such as {label!r} ({count} rows); "
            "add seeds of them, or leave the rows out"
        )


def _parted(rows: ExampleRows) -> tuple[ExampleRows, ExampleRows]:
    """Rows with an intent, and those out of scope."""
    return tuple(row for row in rows if row.intent is not None), tuple(row for row in rows if row.intent is None)


def _inputs(settings: DataSettings, files: Mapping[str, IntentData]) -> tuple[InputFile, ...]:
    described = [
        InputFile(name=name, num_bytes=_num_bytes(settings.files[name].path), sha256=data.sha256)
        for name, data in sorted(files.items())
    ]
    if settings.index is not None:
        described.append(
            InputFile(name="index", num_bytes=_num_bytes(settings.index), sha256=hash_file(settings.index))
        )
    return tuple(described)


def _num_bytes(path: Path | None) -> int | None:
    return path.stat().st_size if path is not None and path.is_file() else None
