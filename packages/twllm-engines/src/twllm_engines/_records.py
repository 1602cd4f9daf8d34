"""Files of recorded answers: JSON lines `{"key", "request", "response"}`."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from twllm_engines._canonical import (
    Answer,
    answer_from_json,
    answer_to_json,
    canonical_json,
    generation_to_json,
    likelihood_to_json,
    request_key,
)
from twllm_types import (
    Completion,
    DataError,
    EngineFailure,
    GenerationRequest,
    JsonObject,
    Likelihood,
    LikelihoodRequest,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One recorded answer.

    Attributes:
        request: content of the request.
        answer: what came back.
        line: where it stands in its file, from 1.
    """

    request: JsonObject
    answer: Answer
    line: int


def read_records(path: Path) -> dict[str, Record]:
    """Read a file of records, by key; an empty file gives none.

    An answer may follow a failure of the same request, which it replaces: that is a request tried again.

    Raises:
        DataError: the file cannot be read, a line is no record, a key is not that of its request, or a request stands
            twice; the message names file and line.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path of the recording") from error
    records: dict[str, Record] = {}
    for number, line in enumerate(lines, start=1):
        if not line and number == len(lines):
            continue
        key, record = _parse(line, number, where=f"{path}:{number}")
        before = records.get(key)
        if before is not None and not isinstance(before.answer, EngineFailure):
            raise DataError(f"{path}:{number}: answers the request of line {before.line} again; remove one of the two")
        records[key] = record
    return records


def _parse(line: bytes, number: int, *, where: str) -> tuple[str, Record]:
    try:
        row: object = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not JSON in UTF-8; remove the line, or record again") from error
    fields = cast("JsonObject", row) if isinstance(row, dict) else {}
    key, request = fields.get("key"), fields.get("request")
    if not isinstance(key, str) or not isinstance(request, dict):
        raise DataError(f"{where}: is no record; a line has 'key', 'request' and 'response'")
    if key != request_key(request):
        raise DataError(f"{where}: 'key' is not that of 'request', which was changed by hand; record it again")
    answer = answer_from_json(fields.get("response"), where=where)
    return key, Record(request=request, answer=answer, line=number)


class RecordWriter:
    """Appends records to a file that only its owner can read; one process writes at a time.

    Opening cuts off a last line that a kill left incomplete.

    Args:
        path: the file, made where it is missing; its folder must exist.

    Raises:
        DataError: the file cannot be opened, or holds something else than records.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror}); check the path of the recording") from error
        try:
            content = path.read_bytes()
            os.ftruncate(self._descriptor, content.rfind(b"\n") + 1)
            self._answered = {
                key for key, record in read_records(path).items() if not isinstance(record.answer, EngineFailure)
            }
        except BaseException:
            self.close()
            raise

    def write(self, request: JsonObject, answer: Answer) -> None:
        """Append an answer; nothing where the file has one to an equal request, save after a failure."""
        key = request_key(request)
        if self._descriptor is None or key in self._answered:
            return
        if not isinstance(answer, EngineFailure):
            self._answered.add(key)
        line = canonical_json({"key": key, "request": request, "response": answer_to_json(answer)})
        rest = memoryview(line.encode("ascii") + b"\n")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def record_answers(
    file: Path,
    answers: Iterable[
        tuple[GenerationRequest, Completion | EngineFailure] | tuple[LikelihoodRequest, Likelihood | EngineFailure]
    ],
) -> None:
    """Append answers that came from elsewhere to a recording, which `replay:` then serves.

    Args:
        file: made where missing, readable by its owner only; its folder must exist.
        answers: requests with their answers; of equal requests the first answer stays.

    Raises:
        DataError: the file cannot be written, or holds something else than records.
    """
    writer = RecordWriter(file)
    try:
        for request, answer in answers:
            is_generation = isinstance(request, GenerationRequest)
            writer.write(generation_to_json(request) if is_generation else likelihood_to_json(request), answer)
    finally:
        writer.close()
