# datasets has no types for what its rows hold
# pyright: standard
"""Writes a folder of Hugging Face datasets (extra `datasets`)."""

import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from twllm_types import ConfigError, MissingDependencyError, RunError


def write_datasets_folder(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write rows by `datasets.Dataset.save_to_disk`; the folder appears whole or not at all.

    Raises:
        ConfigError: the folder exists.
        MissingDependencyError: `datasets` is not installed.
        RunError: the folder cannot be written.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError("writing datasets needs the extra: pip install 'icda[datasets]'") from error
    if path.exists():
        raise ConfigError(f"{path}: exists; remove it, or export to another folder")
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        datasets.Dataset.from_list([dict(row) for row in rows]).save_to_disk(str(temporary))
        temporary.rename(path)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise RunError(f"{path}: cannot be written ({error.strerror or error}); correct this and run again") from error
