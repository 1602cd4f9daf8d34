"""Finding the files to read, in an order that does not depend on the machine."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tw_corpus._records import Fault, FaultReason, Ignored, IgnoredKind
from twllm_types import DataError


class FileFormat(StrEnum):
    """Formats by name; `SUFFIXES` says which name means which."""

    JSONL = "jsonl"
    PARQUET = "parquet"
    TEXT = "text"
    HTML = "html"
    WARC = "warc"


_COMPRESSED = ("", ".gz", ".zst", ".zstd")
SUFFIXES: dict[str, FileFormat] = {
    **{f"{stem}{end}": FileFormat.JSONL for stem in (".jsonl", ".ndjson") for end in _COMPRESSED},
    **{f".txt{end}": FileFormat.TEXT for end in _COMPRESSED},
    **{f"{stem}{end}": FileFormat.HTML for stem in (".html", ".htm", ".xhtml") for end in _COMPRESSED},
    **{f"{stem}{end}": FileFormat.WARC for stem in (".warc", ".wet") for end in ("", ".gz")},
    ".parquet": FileFormat.PARQUET,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """One file to read.

    Attributes:
        path: where to open it.
        name: relative to the input given, with ``/``; it goes into ids and faults.
        format: from the name.
        num_bytes: size on disk.
    """

    path: Path
    name: str
    format: FileFormat
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What `find_inputs` found; each file under the inputs is in exactly one of the three."""

    files: tuple[FoundFile, ...]
    faults: tuple[Fault, ...] = ()
    ignored: tuple[Ignored, ...] = ()


def format_of(name: str) -> FileFormat | None:
    """Tell the format of a file from its name, in any case of letters; `None` for an unknown one."""
    lowered = name.lower()
    return next((kind for suffix, kind in SUFFIXES.items() if lowered.endswith(suffix)), None)


def find_inputs(paths: Sequence[Path], *, exclude: Path | None = None) -> Inputs:
    """List the files under `paths`, sorted by name within each input, inputs in the order given.

    A file in a folder is named relative to that folder, a file given by itself by its file name: ids stay the same when
    an input moves. Where two files would get one name, all are named relative to the folder that the inputs share. A
    file that is met twice is read once. Links are followed, a linked folder once.

    Args:
        paths: files and folders.
        exclude: what this path leads to, and all below it, is not there for this function, not even as ignored: the
            folder for the output may stand inside an input. It need not exist.

    Raises:
        DataError: a path does not exist.
    """
    excluded = None if exclude is None else _target(exclude)
    found: dict[Path, tuple[Path, str]] = {}
    broken: list[Fault] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; check the path")
        if _is_within(path, excluded):
            continue
        listed = walk_folder(path, excluded, broken) if path.is_dir() else [(path, path.name)]
        for each, name in listed:
            if not _is_within(each, excluded):
                found.setdefault(_target(each), (each, name))
    names = [name for _, name in found.values()]
    if len(set(names)) < len(names):
        shared = Path(os.path.commonpath([path.absolute() for path in paths]))
        shared = shared if shared.is_dir() else shared.parent
        found = {key: (path, _relative(path, shared)) for key, (path, _) in found.items()}
    return _sorted_out(list(found.values()), broken)


def _is_within(path: Path, folder: Path | None) -> bool:
    """Tell whether `path` leads to `folder`, which is resolved, or to something below it."""
    return folder is not None and _target(path).is_relative_to(folder)


def _target(path: Path) -> Path:
    """Resolve `path`; a link that leads to itself stays as it is, where `Path.resolve` raises before Python 3.13."""
    return Path(os.path.realpath(path))


def walk_folder(folder: Path, excluded: Path | None, broken: list[Fault]) -> list[tuple[Path, str]]:
    """List the files of a folder by name; a hidden folder stands in the list itself and is not entered.

    Args:
        folder: to list, in any depth.
        excluded: resolved folder that is not entered.
        broken: gains a fault for each folder that cannot be listed.
    """
    seen: set[Path] = set()
    files: list[Path] = []

    def note(error: OSError) -> None:
        detail = error.strerror or type(error).__name__
        name = _relative(Path(error.filename), folder)
        broken.append(Fault(path=name, position="file", reason=FaultReason.UNREADABLE_FILE, detail=detail))

    for place, folders, names in os.walk(folder, followlinks=True, onerror=note):
        here = Path(place)
        if here.resolve() in seen:
            folders.clear()
            continue
        seen.add(here.resolve())
        files.extend(here / name for name in (*names, *(each for each in folders if each.startswith("."))))
        entered = [each for each in folders if not each.startswith(".")]
        folders[:] = sorted(each for each in entered if not _is_within(here / each, excluded))
    return sorted(((path, _relative(path, folder)) for path in files), key=lambda pair: pair[1])


def _relative(path: Path, folder: Path) -> str:
    """Name `path` from `folder`; bytes of a name that are not UTF-8 are written as escapes."""
    name = Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    return os.fsencode(name).decode("utf-8", errors="backslashreplace")


def _sorted_out(found: list[tuple[Path, str]], broken: list[Fault]) -> Inputs:
    files: list[FoundFile] = []
    faults, ignored = list(broken), list[Ignored]()
    for path, name in found:
        file_format = format_of(path.name)
        if path.name.startswith("."):
            ignored.append(Ignored(path=name, position="file", kind=IgnoredKind.HIDDEN_FILE))
        elif not path.is_file():
            detail = "a broken link, or no regular file"
            faults.append(Fault(path=name, position="file", reason=FaultReason.UNREADABLE_FILE, detail=detail))
        elif file_format is None:
            detail = f"no reader for this name; the names are {', '.join(sorted(SUFFIXES))}"
            faults.append(Fault(path=name, position="file", reason=FaultReason.UNKNOWN_FORMAT, detail=detail))
        else:
            files.append(FoundFile(path=path, name=name, format=file_format, num_bytes=path.stat().st_size))
    return Inputs(files=tuple(files), faults=tuple(faults), ignored=tuple(ignored))
