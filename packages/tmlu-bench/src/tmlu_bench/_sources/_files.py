"""Which files of a folder hold which split of which subject, by their names."""

import re
from dataclasses import dataclass
from pathlib import Path

from twllm_types import DataError

SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")
_SPLITS = {
    "test": "test",
    "dev": "dev",
    "train": "dev",  # the hub calls TMMLU+'s dev files train
    "val": "validation",
    "validation": "validation",
}
SPLIT_NAMES = frozenset(_SPLITS)
_NAMED = re.compile(r"(?P<subject>.+?)[_.-](?P<split>test|dev|train|val|validation)")
_SPLIT_ONLY = re.compile(r"(?P<split>test|dev|train|val|validation)(?:-\d+-of-\d+)?")
_MAX_DEPTH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFile:
    """One file with its meaning.

    Attributes:
        path: where it stands.
        name: relative to the source.
        subject: by its name or folder; None where only its rows can tell.
        split: "test", "dev" or "validation".
    """

    path: Path
    name: str
    subject: str | None
    split: str


def find_files(source: Path) -> tuple[tuple[SplitFile, ...], tuple[str, ...]]:
    """Return the question files of a file or folder, in the order of their names, and the names of those passed over.

    Understood, at most three levels deep, the suffix in any case: `<subject>_test.<ext>`, `<subject>/test.<ext>`,
    `<subject>/test-00000-of-00001.<ext>`, `test/<subject>.<ext>`, `test/<subject>_test.<ext>`, `<subject>/data.csv`,
    `<subject>.<ext>`; what lies deeper is passed over, and a folder `subjects/` hides what stands beside it.

    Raises:
        DataError: there is no such file or folder, or no file in it is a question file.
    """
    if source.is_file():
        if not _is_readable(source):
            raise DataError(f"{source.name} is no question file; give one of {', '.join(SUFFIXES)} or a folder")
        return (_meaning(source, source.parent, alone=True),), ()
    if not source.is_dir():
        raise DataError(f"no question file or folder at {source}; give a path or the id of a data set, miulab/tmlu")
    root = source / "subjects" if (source / "subjects").is_dir() else source
    found: list[SplitFile] = []
    ignored: list[str] = []
    paths = [path for path in sorted(root.rglob("*")) if path.is_file() and not _hidden(path, root)]
    # Beside test.jsonl, another file is the same questions in their source's format, not a subject.
    split_folders = {path.parent for path in paths if _is_readable(path) and _SPLIT_ONLY.fullmatch(_stem(path))}
    for path in paths:
        loose = path.parent in split_folders and not _SPLIT_ONLY.fullmatch(_stem(path))
        deep = len(path.relative_to(root).parts) > _MAX_DEPTH
        if _is_readable(path) and path.name != "subjects.json" and not loose and not deep:
            found.append(_meaning(path, root, alone=False))
        elif not path.name.startswith("."):
            ignored.append(path.relative_to(root).as_posix())
    if not found:
        raise DataError(f"{source} holds no question file ({', '.join(SUFFIXES)}); see docs/tmlu-bench.md for layouts")
    return tuple(found), tuple(ignored)


def _is_readable(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _stem(path: Path) -> str:
    return path.name.removesuffix(path.suffix)


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts[:-1])


def _meaning(path: Path, root: Path, *, alone: bool) -> SplitFile:
    folders = path.relative_to(root).parts[:-1]
    stem = _stem(path)
    folder = folders[-1] if folders else None
    subject: str | None
    if match := _SPLIT_ONLY.fullmatch(stem):
        split, subject = match["split"], folder
    elif match := _NAMED.fullmatch(stem):
        split, subject = match["split"], match["subject"]
    elif stem == "data":
        split, subject = "test", folder
    elif folder in _SPLITS:
        split, subject = folder, stem
    else:
        split, subject = "test", None if alone else stem
    return SplitFile(path=path, name=path.relative_to(root).as_posix(), subject=subject, split=_SPLITS[split])
