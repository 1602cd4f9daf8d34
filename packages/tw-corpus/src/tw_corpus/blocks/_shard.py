"""Passing documents from one stage to the next, one file per task, complete or not there.

A task writes into the attempt folder of its invocation; `Publish` moves its files to their final names when the task is
through. A process that was killed leaves nothing under a final name, and a task that runs twice ends with one result.
"""
# datatrove's blocks are untyped in part
# pyright: standard

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import zstandard
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from tw_corpus._tally import Tally
from twllm_runs import write_json_atomic
from twllm_types import ArtifactError


class ReadShard(PipelineStep):
    """Reads the documents that the same task of an earlier stage published."""

    type = "📖 - READER"
    name = "stage shard"

    def __init__(self, folder: Path) -> None:
        """Read `<folder>/<rank>.jsonl.zst`.

        Args:
            folder: of the earlier stage.
        """
        super().__init__()
        self.folder = folder

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield the documents in the order in which they were written.

        Raises:
            ArtifactError: the shard is missing or damaged.
        """
        path = self.folder / f"{rank:05d}.jsonl.zst"
        try:
            with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
                for line in _lines(stream):
                    row = orjson.loads(line)
                    document = Document(text=row["text"], id=row["id"], metadata=row.get("metadata", {}))
                    self.stat_update("total")
                    yield document
        except (FileNotFoundError, zstandard.ZstdError, orjson.JSONDecodeError, KeyError) as error:
            raise ArtifactError(
                f"{path} is missing or damaged ({error}); delete the output folder and run the command again"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Where one kind of file of a stage is written, and where it stands once the task is through.

    Attributes:
        attempt: folder that only this invocation writes to.
        final: folder of the finished files.
        suffix: the file of task 3 is `00003<suffix>`.
        always: publish an empty file where the task opened none, for a stage that reads it.
    """

    attempt: Path
    final: Path
    suffix: str
    always: bool = False


class Publish(PipelineStep):
    """Moves a finished task's files from its attempt folder to their final names.

    It must be the last step: the writers before it close their files when their input ends, and only then does this
    step act.
    """

    type = "💽 - WRITER"
    name = "publish"

    def __init__(self, files: Sequence[Published], *, tally_folder: Path, tally: Tally) -> None:
        """Publish `files`.

        Args:
            files: what the writers before wrote.
            tally_folder: the tally becomes `<tally_folder>/<rank>.json`.
            tally: counts of this task.
        """
        super().__init__()
        self.files = files
        self.tally_folder = tally_folder
        self.tally = tally

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Pass all documents on, then publish."""
        yield from data or ()
        for file in self.files:
            name = f"{rank:05d}{file.suffix}"
            source = file.attempt / name
            if not source.exists():
                if not file.always:
                    continue
                source.parent.mkdir(parents=True, exist_ok=True)
                source.touch()
            with source.open("rb") as written:
                os.fsync(written.fileno())
            file.final.mkdir(parents=True, exist_ok=True)
            source.replace(file.final / name)
        self.tally_folder.mkdir(parents=True, exist_ok=True)
        write_json_atomic(self.tally_folder / f"{rank:05d}.json", self.tally.to_json())


def read_tally(folder: Path, num_tasks: int) -> Tally:
    """Merge the tallies that the tasks of a stage published in `folder`.

    Raises:
        ArtifactError: one is missing or of another version.
    """
    merged = Tally()
    for rank in range(num_tasks):
        path = folder / f"{rank:05d}.json"
        try:
            merged.merge(Tally.from_json(json.loads(path.read_text(encoding="utf-8"))))
        except (FileNotFoundError, json.JSONDecodeError) as error:
            raise ArtifactError(
                f"{path} is missing or damaged; delete the output folder and run the command again"
            ) from error
    return merged


def _lines(stream: zstandard.ZstdDecompressionReader) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(1 << 20):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        yield rest
