"""How inputs are cut into tasks. The cut follows from the inputs alone, never from the number of workers."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tw_corpus.readers import FileFormat, FoundFile
from twllm_runs import write_text_atomic
from twllm_types import ConfigError


def input_of(name: str) -> str:
    """Return the group that a file is counted under: the first folder below the input, or the file itself."""
    return name.split("/", 1)[0]


def plan_tasks(files: Sequence[FoundFile], *, target_bytes: int, max_files: int) -> tuple[tuple[FoundFile, ...], ...]:
    """Group consecutive files into tasks.

    A task is closed when another file would bring it over `target_bytes` or `max_files`; a larger file is a task of its
    own. No input gives no task.

    Args:
        files: in the order in which documents shall come out.
        target_bytes: aim for the sum of file sizes in one task, > 0.
        max_files: most files in one task, > 0.

    Raises:
        ConfigError: a limit is not positive.
    """
    if target_bytes <= 0 or max_files <= 0:
        raise ConfigError(f"task limits are {target_bytes} bytes and {max_files} files; give numbers > 0")
    return tuple(_grouped(files, target_bytes, max_files))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTasks:
    """Tasks on disk, one file each, so that a worker reads its own task and not all of them.

    Attributes:
        folder: holds `<rank>.json`.
        num_tasks: how many there are.
    """

    folder: Path
    num_tasks: int

    def __len__(self) -> int:
        return self.num_tasks

    def __getitem__(self, rank: int) -> tuple[FoundFile, ...]:
        rows = json.loads((self.folder / f"{rank:05d}.json").read_text(encoding="ascii"))
        return tuple(
            FoundFile(path=Path(path), name=name, format=FileFormat(file_format), num_bytes=num_bytes)
            for path, name, file_format, num_bytes in rows
        )


def store_tasks(tasks: Sequence[Sequence[FoundFile]], folder: Path) -> StoredTasks:
    """Write tasks to `folder`, replacing what is there, each whole: a job of an earlier start may be reading."""
    folder.mkdir(parents=True, exist_ok=True)
    for rank, files in enumerate(tasks):
        rows = [[str(file.path), file.name, str(file.format), file.num_bytes] for file in files]
        # ASCII with escapes, since a file name may hold bytes that are no UTF-8
        write_text_atomic(folder / f"{rank:05d}.json", json.dumps(rows))
    return StoredTasks(folder=folder, num_tasks=len(tasks))


def _grouped(files: Iterable[FoundFile], target_bytes: int, max_files: int) -> Iterable[tuple[FoundFile, ...]]:
    group: list[FoundFile] = []
    num_bytes = 0
    for file in files:
        if group and (num_bytes + file.num_bytes > target_bytes or len(group) == max_files):
            yield tuple(group)
            group, num_bytes = [], 0
        group.append(file)
        num_bytes += file.num_bytes
    if group:
        yield tuple(group)
