"""An array job as it stands in the run folder: what its elements need, and what the next command must know of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from tw_corpus._executors._task import Failure
from twllm_runs import write_json_atomic
from twllm_types import ArtifactError

_RECORD = "job.json"
_FOLDER = "slurm"


class JobState(StrEnum):
    """What the command knows of its job."""

    ACTIVE = "active"
    CANCELLED = "cancelled"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One array job.

    Attributes:
        folder: `work/slurm/<stage>-<number>`: this record, the packed stage, the script, logs and errors.
        stage: whose tasks it does.
        name: of the job, unique.
        job: its number, empty before Slurm gave it.
        ranks: tasks, in order.
        per_element: how many of them one array element does.
        words: what `sbatch` was called with, for people.
        state: whether it may still be working.
    """

    folder: Path
    stage: str
    name: str
    job: str
    ranks: tuple[int, ...]
    per_element: int
    words: tuple[str, ...]
    state: JobState

    @property
    def packed(self) -> Path:
        """The packed stage."""
        return self.folder / "stage.pickle"

    def ranks_of(self, element: int) -> Sequence[int]:
        """Return the tasks of an array element."""
        return self.ranks[element * self.per_element : (element + 1) * self.per_element]

    def log_of(self, rank: int) -> Path:
        """Return where the element of a task prints."""
        return self.folder / "logs" / f"{self.ranks.index(rank) // self.per_element}.txt"

    def store(self, **changes: Any) -> Self:
        """Write the record with `changes`, whole or not at all, and return it."""
        changed = replace(self, **changes)
        record: dict[str, Any] = {
            "stage": changed.stage,
            "name": changed.name,
            "job": changed.job,
            "ranks": list(changed.ranks),
            "per_element": changed.per_element,
            "words": list(changed.words),
            "state": str(changed.state),
        }
        write_json_atomic(changed.folder / _RECORD, record)
        return changed

    def store_failure(self, rank: int, failure: Failure) -> None:
        """Note why a task failed; the command raises it."""
        folder = self.folder / "errors"
        folder.mkdir(exist_ok=True)
        write_json_atomic(folder / f"{rank:05d}.json", {"kind": failure.kind, "message": failure.message})

    def failure(self) -> Failure | None:
        """Return the failure of the first task that failed."""
        for path in sorted((self.folder / "errors").glob("*.json")):
            row = json.loads(path.read_text(encoding="utf-8"))
            return Failure(kind=row["kind"], message=row["message"])
        return None


def load_submission(folder: Path) -> Submission:
    """Read the record of an array job.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    try:
        row = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        return Submission(
            folder=folder,
            stage=row["stage"],
            name=row["name"],
            job=row["job"],
            ranks=tuple(row["ranks"]),
            per_element=row["per_element"],
            words=tuple(row["words"]),
            state=JobState(row["state"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{folder / _RECORD} is missing or damaged ({error}); see with `squeue --me` that no job of this run is "
            f"left, delete {folder}, then run the same command again, it continues"
        ) from error


def submission_folder(work: Path, stage: str) -> Path:
    """Return a new folder for an array job of `stage`; its number is one above the highest that is there."""
    parent = work.absolute() / _FOLDER
    endings = [path.name.removeprefix(f"{stage}-") for path in parent.glob(f"{stage}-*")]
    number = max((int(ending) for ending in endings if ending.isdecimal()), default=0) + 1
    folder = parent / f"{stage}-{number}"
    (folder / "logs").mkdir(parents=True)
    return folder


def open_submissions(work: Path) -> tuple[Submission, ...]:
    """Return the jobs of earlier commands that did not see them end, as far as is written down.

    Raises:
        ArtifactError: a record is damaged.
    """
    # a folder without a record is one whose job was never submitted
    folders = sorted(path.parent for path in (work.absolute() / _FOLDER).glob(f"*/{_RECORD}"))
    found = [load_submission(folder) for folder in folders]
    return tuple(submission for submission in found if submission.state is not JobState.ENDED)
