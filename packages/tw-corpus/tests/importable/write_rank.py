"""A datatrove block for the tests of the executors; workers import it by name."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from twllm_types import DataError


class WriteRank(PipelineStep):
    """Writes one file per task, or fails in a chosen way on task 1."""

    def __init__(self, folder: Path, failure: str = "") -> None:
        super().__init__()
        self.folder = folder
        self.failure = failure

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        yield from data or ()
        if rank == 1 and self.failure == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if rank == 1 and self.failure == "disk":
            raise OSError(28, "No space left on device", "shard")
        if rank == 1 and self.failure == "files":
            raise OSError(24, "Too many open files", "shard")
        if rank == 1 and self.failure == "data":
            raise DataError("pages.jsonl: line 3 is wrong; mend it")
        if rank == 1 and self.failure == "bug":
            raise ZeroDivisionError("division by zero")
        if rank == 1 and self.failure == "waits":
            mark = self.folder / "waiting"
            mark.touch()
            while mark.exists():
                time.sleep(0.01)
        with (self.folder / str(rank)).open("a", encoding="ascii") as file:
            file.write(str(world_size))
