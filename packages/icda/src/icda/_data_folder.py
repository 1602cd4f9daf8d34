# datasets has no types for what its rows hold
# pyright: standard
"""Reads a folder that `datasets.Dataset.save_to_disk` wrote (extra `datasets`)."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icda._data import IntentData, RowFields, read_rows
from twllm_runs import hash_file
from twllm_types import DataError, MissingDependencyError


def load_datasets_folder(path: Path, *, split: str | None, fields: RowFields) -> IntentData:
    """Read a `Dataset`, or one split of a `DatasetDict`; labels of a `ClassLabel` are read by their names.

    The hash is that of the lines `<sha256>  <relative path>` of its Arrow files, as sha256sum prints them.

    Raises:
        DataError: the folder holds no data set, the split is missing or given where there is none, or what
            `icda._data.read_rows` refuses.
        MissingDependencyError: `datasets` is not installed.
    """
    data, folder = _chosen(path, _loaded(path), split)
    names = {
        column: feature.names for column, feature in data.features.items() if type(feature).__name__ == "ClassLabel"
    }
    rows = [(f"{path}: row {number}", _named(row, names)) for number, row in enumerate(data)]
    source = str(path) if split is None else f"{path} ({split})"
    return IntentData(
        examples=read_rows(rows, fields=fields, name=split or path.name), sha256=_hash_folder(folder), source=source
    )


def _loaded(path: Path) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError(
            "reading a folder of datasets needs the extra: pip install 'icda[datasets]'"
        ) from error
    try:
        return datasets.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: is no folder of save_to_disk ({reason}); give one, or a file") from error


def _chosen(path: Path, loaded: Any, split: str | None) -> tuple[Any, Path]:
    if isinstance(loaded, dict):
        if split is None or split not in loaded:
            raise DataError(f"{path}: has the splits {', '.join(loaded)}; name one of them, not {split!r}")
        return loaded[split], path / split
    if split is not None:
        raise DataError(f"{path}: is one data set without splits; leave {split!r} out")
    return loaded, path


def _named(row: Mapping[str, Any], names: Mapping[str, list[str]]) -> dict[str, object]:
    # -1 is a row without label, which is not the same as one that is out of scope; it stays a number and is refused.
    return {
        column: names[column][value] if column in names and value is not None and value >= 0 else value
        for column, value in row.items()
    }


def _hash_folder(folder: Path) -> str:
    files = sorted(folder.rglob("*.arrow"))
    lines = "".join(f"{hash_file(file)}  {file.relative_to(folder).as_posix()}\n" for file in files)
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()
