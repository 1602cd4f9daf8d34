"""Files that are whole or absent: temporary file in the same folder, fsync, rename, fsync of the folder."""

import errno
import io
import json
import os
import secrets
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal, TextIO, overload

from twllm_types import DataError, JsonValue, RunError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_TEMPORARY_SUFFIX = ".twllm-tmp"
_BUFFER_BYTES = 1 << 20
_FIXES = {
    errno.ENOSPC: "free space",
    errno.EDQUOT: "free space or raise the quota",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EACCES: "give write permission on the folder",
    errno.EPERM: "give write permission on the folder",
    errno.EROFS: "make the file system writable",
    errno.ENOENT: "create the folder",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
}


def write_error(path: Path, error: OSError) -> RunError:
    """Say in one line that `path` could not be written, why, and what to do.

    Args:
        path: the file that the caller wanted to write, not a temporary one.
        error: what the system said.
    """
    fix = _FIXES.get(error.errno or 0, "correct this")
    return RunError(f"{path}: cannot be written ({error.strerror or error}); {fix}, then run the same command again")


@overload
def open_atomic(path: Path, mode: Literal["w"]) -> AbstractContextManager[TextIO]: ...
@overload
def open_atomic(path: Path, mode: Literal["wb"]) -> AbstractContextManager[BinaryIO]: ...
def open_atomic(path: Path, mode: Literal["w", "wb"]) -> AbstractContextManager[IO[Any]]:
    """Open `path` for writing so that it appears whole at the end of the with-block, or stays as it was.

    The bytes go to a hidden file beside `path`, which is renamed onto it after an fsync. When the block raises, the
    hidden file is removed; after a kill it stays until `remove_temporaries`. A symbolic link at `path` is replaced.

    Args:
        path: the file; its folder must exist.
        mode: "w" for UTF-8 text whose line ends are written as they stand, "wb" for bytes.

    Raises:
        RunError: the system refuses a write (full disk, no permission); raised from the write itself, so errors of
            other files inside the block keep their own class.
    """
    return _replace(path, mode)


def write_text_atomic(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all; line ends stay as they are.

    Raises:
        DataError: the text holds a lone surrogate, which UTF-8 cannot hold.
        RunError: the system refuses the write.
    """
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: character {error.start} of the text is a lone surrogate; replace it") from error
    with open_atomic(path, "wb") as file:
        file.write(content)


def write_json_atomic(path: Path, value: JsonValue) -> None:
    """Write `value` as JSON (sorted keys, indented, UTF-8, newline at the end), whole or not at all.

    Lone surrogates are written as JSON escapes, so every string comes back as it was.

    Raises:
        DataError: the value holds NaN, an infinity, or something that is not JSON.
        RunError: the system refuses the write.
    """
    content = encode_json(value, where=str(path), indent=2)
    with open_atomic(path, "wb") as file:
        file.write(content + b"\n")


def encode_json(value: object, *, where: str, indent: int | None = None) -> bytes:
    """Return `value` as UTF-8 JSON; with `indent` the keys are sorted, else they keep their order, on one line.

    Raises:
        DataError: the value is not JSON; the message begins with `where`.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, sort_keys=indent is not None)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{where}: cannot be written as JSON ({error}); give JSON values only") from error
    # UTF-8 fails on lone surrogates only, and Python's escape of one is JSON's escape of it.
    return text.encode("utf-8", "backslashreplace")


def remove_temporaries(folder: Path) -> int:
    """Remove what killed writers left below `folder`; call it only while no writer runs.

    Returns:
        How many files were removed; 0 where the folder does not exist.
    """
    leftovers = [path for path in folder.rglob(f".*{_TEMPORARY_SUFFIX}") if path.is_file()]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


def is_temporary(path: Path) -> bool:
    """Tell whether `path` is the hidden file of an unfinished atomic write."""
    return path.name.startswith(".") and path.name.endswith(_TEMPORARY_SUFFIX)


class _Target(io.FileIO):
    """The temporary file; a refused write names the file that the caller meant."""

    def __init__(self, temporary: Path, target: Path) -> None:
        self._target = target
        self._is_abandoned = False
        try:
            super().__init__(temporary, "x")
        except OSError as error:
            raise write_error(target, error) from error

    def write(self, b: "ReadableBuffer", /) -> int:
        if self._is_abandoned:
            return memoryview(b).nbytes
        try:
            return super().write(b)
        except OSError as error:
            raise write_error(self._target, error) from error

    def abandon(self) -> None:
        """Swallow what is still buffered above, so that closing cannot fail a second time."""
        self._is_abandoned = True


@contextmanager
def _replace(path: Path, mode: Literal["w", "wb"]) -> Generator[IO[Any]]:
    temporary = path.with_name(f".{secrets.token_hex(8)}{_TEMPORARY_SUFFIX}")
    raw = _Target(temporary, path)
    file: IO[Any] = io.BufferedWriter(raw, buffer_size=_BUFFER_BYTES)
    if mode == "w":
        # newline="" keeps the caller's line ends: the same text gives the same bytes on every system.
        file = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        yield file
        file.close()
        _publish(temporary, path)
    except BaseException:
        raw.abandon()
        file.close()
        temporary.unlink(missing_ok=True)
        raise


def _publish(temporary: Path, path: Path) -> None:
    """Make the bytes durable, give them their name, make the name durable."""
    try:
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise write_error(path, error) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
