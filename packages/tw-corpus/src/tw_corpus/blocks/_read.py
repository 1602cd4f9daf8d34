"""The reader block: files of any supported format become documents; what cannot be read is counted and listed."""
# datatrove's blocks are untyped in part
# pyright: standard

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from tw_corpus._pii import redact
from tw_corpus._plan import StoredTasks, input_of
from tw_corpus._records import FaultReason
from tw_corpus._tally import INPUT_FIELD, Tally, join_key
from tw_corpus.readers import Fault, FoundFile, Ignored, Outcome, ReadOptions, Record, read_file

_PROGRESS_SECONDS = 0.3


class CorpusReader(PipelineStep):
    """Reads the files of its task, in order.

    Unlike datatrove's readers it follows Taiwanese encodings, and skips nothing silently: a record that cannot be read
    becomes a line of the fault list, and a statistic `fault_<reason>`.
    """

    type = "📖 - READER"
    name = "tw-corpus reader"

    def __init__(
        self,
        tasks: Sequence[Sequence[FoundFile]] | StoredTasks,
        options: ReadOptions,
        *,
        tally: Tally,
        faults_folder: Path | None = None,
        progress_folder: Path | None = None,
    ) -> None:
        """Read `tasks[rank]` in the task `rank`.

        Args:
            tasks: files by task, from `plan_tasks`, in memory or stored.
            options: of the readers.
            tally: counts of this task.
            faults_folder: faults are appended to `<faults_folder>/<rank>.jsonl`; None lists them nowhere.
            progress_folder: the numbers of documents and finished bytes are kept in `<progress_folder>/<rank>`; None
                keeps them nowhere.
        """
        super().__init__()
        self.tasks = tasks
        self.options = options
        self.tally = tally
        self.faults_folder = faults_folder
        self.progress_folder = progress_folder

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield the readable documents of the task's files, after those of the step before."""
        yield from data or ()
        faults = _FaultList(self.faults_folder, rank)
        progress = _ProgressFile(self.progress_folder, rank)
        with faults:
            for file in self.tasks[rank]:
                for outcome in self._outcomes(file, progress):
                    document = self._document(outcome, file, faults)
                    if document is not None:
                        progress.num_documents += 1
                        yield document
                    progress.show()
                progress.finish_file(file.num_bytes)

    def _outcomes(self, file: FoundFile, progress: "_ProgressFile") -> Iterator[Outcome]:
        num_bytes = _size_of(file)
        if num_bytes == file.num_bytes:
            yield from read_file(file.path, name=file.name, options=self.options, on_bytes=progress.advance)
            return
        # the manifest tells of another content
        detail = f"{file.num_bytes} bytes when the run was planned, {num_bytes} now; start anew, with another --output"
        yield Fault(path=file.name, position="file", reason=FaultReason.CHANGED_FILE, detail=detail)

    def _document(self, outcome: Outcome, file: FoundFile, faults: "_FaultList") -> Document | None:
        match outcome:
            case Record():
                self.stat_update("total")
                return self._readable(outcome, file)
            case Fault():
                self.stat_update(f"fault_{outcome.reason}")
                self.tally.num_records[input_of(file.name)] += 1
                self.tally.faults[join_key(input_of(file.name), outcome.reason)] += 1
                faults.add(outcome)
            case Ignored():
                self.stat_update(f"ignored_{outcome.kind}")
                self.tally.num_records[input_of(file.name)] += 1
                self.tally.ignored[join_key(input_of(file.name), outcome.kind)] += 1
        return None

    def _readable(self, record: Record, file: FoundFile) -> Document:
        metadata: dict[str, Any] = dict(record.metadata)
        given = metadata.get("fields", {})
        metadata[INPUT_FIELD] = input_of(file.name)
        metadata["file"] = record.source
        for name in ("source", "genre", "url", "title", "date"):
            if metadata.get(name) is None and _label(given.get(name)):
                metadata[name] = given[name]
        self.tally.num_records[metadata[INPUT_FIELD]] += 1
        if "encoding" in metadata:
            self.tally.encodings[join_key(metadata["encoding"], metadata["encoding_evidence"])] += 1
        return Document(text=record.text, id=record.id, metadata=metadata)


def _size_of(file: FoundFile) -> int:
    try:
        return file.path.stat().st_size
    except OSError:
        # its reader says what is wrong
        return file.num_bytes


def _label(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def fault_line(fault: Fault) -> bytes:
    """Return the line of `faults.jsonl` for one fault; its detail may name fields of the input, and is masked."""
    detail = redact(fault.detail).text
    row = {"path": fault.path, "position": fault.position, "reason": fault.reason, "detail": detail}
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


class _FaultList:
    def __init__(self, folder: Path | None, rank: int) -> None:
        self._path = None if folder is None else folder / f"{rank:05d}.jsonl"
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, fault: Fault) -> None:
        if self._file is not None:
            self._file.write(fault_line(fault))


class _ProgressFile:
    """How far a task is, for whoever shows it."""

    def __init__(self, folder: Path | None, rank: int) -> None:
        self._path = None if folder is None else folder / f"{rank:05d}"
        self.num_documents = 0
        self._finished_bytes = 0
        self._bytes = 0
        self._next = 0.0

    def advance(self, num_bytes: int) -> None:
        """Count bytes read of the current file."""
        self._bytes += num_bytes

    def finish_file(self, num_bytes: int) -> None:
        """Count the current file as read, whatever its reader said of its bytes."""
        self._finished_bytes += num_bytes
        self._bytes = self._finished_bytes
        self._next = 0.0
        self.show()

    def show(self) -> None:
        """Write the state, a few times a second at most."""
        if self._path is None or (now := time.monotonic()) < self._next:
            return
        self._next = now + _PROGRESS_SECONDS
        self._path.write_text(f"{self.num_documents} {self._bytes}", encoding="ascii")
