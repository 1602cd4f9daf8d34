# datasets is typed in part.
# pyright: standard
"""Data sets of the Hugging Face hub, through `datasets` (extra `hub`)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from twllm_types import DataError, MissingDependencyError

_SPLITS = {"test": "test", "dev": "dev", "train": "dev", "validation": "validation", "val": "validation"}
_CLOSED = (
    "the data set miulab/tmlu has been private or deleted since 2026, and no public copy is known; "
    "give the folder of a copy that you hold (<subset>_test.jsonl and <subset>_dev.jsonl)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRows:
    """The rows of one split of one subject: (row from 1, columns)."""

    subject: str
    split: str
    rows: tuple[tuple[int, Mapping[str, object]], ...]


def read_hub(name: str, wanted: frozenset[str] | None) -> Iterator[HubRows]:
    """Yield the splits of every configuration of a data set; a configuration is a subject.

    Raises:
        DataError: the hub does not give the data set; for miulab/tmlu the message says how to use a copy.
        MissingDependencyError: `datasets` is not installed.
    """
    try:
        from datasets import get_dataset_config_names, load_dataset
    except ImportError as error:
        closed = f"; {_CLOSED}" if _is_closed(name) else ""
        raise MissingDependencyError(
            f"{name} is read from the hub with datasets; install tmlu-bench[hub], or give a folder{closed}"
        ) from error
    return read_configurations(
        name, wanted, list_names=cast("Callable[[str], list[str]]", get_dataset_config_names), load=load_dataset
    )


def read_configurations(
    name: str,
    wanted: frozenset[str] | None,
    *,
    list_names: Callable[[str], list[str]],
    load: Callable[[str, str], Any],
) -> Iterator[HubRows]:
    """Yield the splits, by the two functions of `datasets` that `read_hub` passes.

    Raises:
        DataError: a function failed, or a configuration holds no split that is known.
    """
    try:
        for subject in list_names(name):
            if wanted is None or subject in wanted:
                yield from _splits(subject, load(name, subject))
    # What datasets raises for a missing, closed or unreachable data set.
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, DataError):
            raise
        lines = str(error).splitlines() or [type(error).__name__]
        help_ = _CLOSED if _is_closed(name) else "check name, access and network, or give a folder"
        raise DataError(f"{name} cannot be loaded from the hub ({lines[0]}); {help_}") from error


def _is_closed(name: str) -> bool:
    return name.lower() == "miulab/tmlu"


def _splits(subject: str, splits: Mapping[str, Iterable[Mapping[str, object]]]) -> Iterator[HubRows]:
    known = [name for name in splits if name in _SPLITS]
    if not known:
        raise DataError(f"{subject} has the splits {', '.join(splits) or 'none'}; one of {', '.join(_SPLITS)} must be")
    for name in known:
        yield HubRows(subject=subject, split=_SPLITS[name], rows=tuple(enumerate(splits[name], start=1)))
