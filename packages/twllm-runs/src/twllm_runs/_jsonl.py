"""Files of one JSON object per line, read strictly and appended so that a kill loses no complete record."""

import json
import os
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self, TypeVar, cast

from twllm_runs._atomic import encode_json, write_error
from twllm_types import DataError, JsonObject, JsonValue, RunError

_BLOCK_BYTES = 1 << 16
_T = TypeVar("_T")


def read_jsonl(path: Path) -> Iterator[JsonObject]:
    """Yield the objects of a JSONL file in order; an empty file yields nothing.

    Lines end with a line feed only, so other line separators inside a string do no harm. The last line may lack it.

    Raises:
        DataError: the file cannot be opened, or a line is not one JSON object in UTF-8 whose keys are unique; the
            message begins with file:line. Lines before it have been yielded.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    with file:
        for number, line in enumerate(file, start=1):
            yield parse_json_line(line, where=f"{path}:{number}")


def parse_json_line(line: bytes, *, where: str) -> JsonObject:
    """Read one line of a JSONL file, for readers that open their files by themselves, such as packed ones.

    Args:
        line: with or without its line feed.
        where: what messages begin with, such as file:line.

    Raises:
        DataError: the line is not one JSON object in UTF-8, or a key comes twice in one object, at any depth.
    """
    try:
        value: object = _DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: byte {error.start} is not UTF-8; write the file as UTF-8") from error
    except _RepeatedKeyError as error:
        raise DataError(f"{where}: {error}; give it once") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not JSON ({_reason(line, error)}); give one JSON object per line") from error
    if not isinstance(value, dict):
        raise DataError(f"{where}: holds {type(value).__name__}; give one JSON object per line")
    return cast("JsonObject", value)


class _RepeatedKeyError(ValueError):
    """A key comes twice in one JSON object, so nobody can tell which value is meant."""


def unique_keys(pairs: Sequence[tuple[str, _T]]) -> dict[str, _T]:
    """Return the object of these keys and values; the `object_pairs_hook` of a decoder that refuses repeated keys.

    Raises:
        ValueError: a key comes twice; the message names it.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _RepeatedKeyError(f"the key {name!r} comes twice in one object")
            seen.add(name)
    return found


class JsonlAppender:
    """Appends records to a JSONL file; a context manager.

    Entering opens the file (made where it is missing) and repairs its end: a last line without line feed, as a kill
    leaves it, is completed where it is a whole object and cut off where it is not. So `read_jsonl` sees the same
    complete records before and after. One process appends at a time; `run_lock` sees to that.

    Args:
        path: the file; its folder must exist.
        fsync: make each record durable before `append` returns. Without it a record survives a kill of the process,
            not a loss of power.
    """

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        self._path = path
        self._fsync = fsync
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Open and repair the file.

        Raises:
            RunError: the file cannot be opened or repaired.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise write_error(self._path, error) from error
        self._descriptor = descriptor
        try:
            _repair_end(descriptor)
        except OSError as error:
            self.close()
            raise write_error(self._path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def append(self, record: Mapping[str, JsonValue]) -> None:
        """Write one record and its line feed; when this returns, the system has the whole line.

        Raises:
            DataError: the record is not JSON; nothing was written.
            RunError: the file is not open, or the system refuses the write; the file ends with the record before.
        """
        if self._descriptor is None:
            raise RunError(f"{self._path}: is not open; append inside the with-block")
        line = encode_json(dict(record), where=str(self._path)) + b"\n"
        size = os.fstat(self._descriptor).st_size
        try:
            _write_all(self._descriptor, line)
            if self._fsync:
                os.fsync(self._descriptor)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, size)
            raise write_error(self._path, error) from error

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _reason(line: bytes, error: Exception) -> str:
    if line.startswith(BOM_UTF8):
        return "it begins with a byte order mark; write UTF-8 without one"
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=unique_keys)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _repair_end(descriptor: int) -> None:
    """Complete or cut a last line that has no line feed."""
    size = os.fstat(descriptor).st_size
    start = _start_of_last_line(descriptor, size)
    if start == size:
        return
    if _is_whole(os.pread(descriptor, size - start, start)):
        _write_all(descriptor, b"\n")
    else:
        os.ftruncate(descriptor, start)


def _is_whole(line: bytes) -> bool:
    """Tell whether a kill left all of a line; whether it may be read is the reader's to say, which names the fault."""
    try:
        return isinstance(json.loads(line.decode("utf-8")), dict)
    except (ValueError, RecursionError):
        return False


def _start_of_last_line(descriptor: int, size: int) -> int:
    """Return the offset behind the last line feed; 0 without one, `size` where the file ends with one."""
    end = size
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
