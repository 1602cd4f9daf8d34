"""Files of items that grow while a stage runs and are put in order at its end.

An item is one line with a key. While a stage runs, lines are appended as they come, and the last line of a key counts.
At the end the file is written anew with one line per key, in the order of the plan, so that an interrupted run leaves
the same bytes as an undisturbed one. Work is cut into blocks of the plan: a local model that computes in batches gives
the same answers, to the last digit, only in the same company, so an interrupted block is asked again as a whole and
what it gave before is kept; a server that is paid by the token is asked for the missing items only.
"""

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from twllm_runs._atomic import open_atomic
from twllm_runs._jsonl import read_jsonl
from twllm_runs._manifest import hash_file
from twllm_types import ArtifactError, DataError, JsonObject

_Key = TypeVar("_Key", bound=Hashable)
_Planned = TypeVar("_Planned")


class ItemFile(Generic[_Key]):
    """The rows of one such file.

    Args:
        path: of the file, which may not exist yet.
        key: of a row; it may raise DataError or KeyError where the row is none of ours.
    """

    def __init__(self, path: Path, key: Callable[[JsonObject], _Key]) -> None:
        self._path = path
        self._key = key

    def read(self) -> dict[_Key, JsonObject]:
        """The last row of each key.

        Raises:
            ArtifactError: a row is none of ours.
        """
        if not self._path.exists():
            return {}
        found: dict[_Key, JsonObject] = {}
        try:
            for row in read_jsonl(self._path):
                found[self._key(row)] = row
        except (DataError, KeyError) as error:
            raise ArtifactError(
                f"{self._path}: is damaged ({error}); delete the folder of the stage and run it again"
            ) from error
        return found

    def put_in_order(
        self, keys: Sequence[_Key], *, keeps_other: Callable[[JsonObject], bool] | None = None
    ) -> list[JsonObject]:
        """Write one row per key, in this order, and return them.

        Args:
            keys: of the plan.
            keeps_other: which rows of other keys are kept behind those, as they stood; None keeps none.

        Raises:
            ArtifactError: a key has no row.
            RunError: the system refuses the write.
        """
        found = self.read()
        missing = [key for key in keys if key not in found]
        if missing:
            raise ArtifactError(f"{self._path}: {len(missing)} items are missing; run the same command again")
        rows = [found.pop(key) for key in keys]
        others = [] if keeps_other is None else [row for row in found.values() if keeps_other(row)]
        write_jsonl(self._path, [*rows, *others])
        return rows


def write_jsonl(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write a whole file at once; half characters that a model left are written as JSON escapes.

    Raises:
        RunError: the system refuses the write.
        ValueError: a number is not finite.
    """
    with open_atomic(path, "wb") as file:
        for row in rows:
            line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
            # UTF-8 fails on lone surrogates only, and Python's escape of one is JSON's escape of it
            file.write(line.encode("utf-8", "backslashreplace"))


def blocks(plan: Sequence[_Planned], size: int) -> Iterator[Sequence[_Planned]]:
    """Cut a plan into blocks of `size`; the last may be shorter."""
    for start in range(0, len(plan), size):
        yield plan[start : start + size]


def to_ask(
    block: Sequence[_Planned], done: Mapping[_Key, object], key: Callable[[_Planned], _Key], *, whole: bool
) -> Sequence[_Planned]:
    """What of a block has to be asked: nothing where all is done, else all of it (`whole`) or what is missing."""
    missing = [planned for planned in block if key(planned) not in done]
    return block if missing and whole else missing


def check_sha256(path: Path, sha256: str) -> None:
    """Refuse a file that is not the one that a stage wrote.

    Raises:
        ArtifactError: it is missing or has another content.
    """
    try:
        found = hash_file(path)
    except DataError as error:
        raise ArtifactError(f"{error}; restore it, or delete the folder of the stage and run it again") from error
    if found != sha256:
        raise ArtifactError(f"{path}: was changed since the stage wrote it; restore it, or run the stage again")
