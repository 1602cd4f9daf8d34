"""Files of items that grow while a stage runs and are put in order at its end.

An item is one line with a key. While a stage runs, lines are appended as they come, and the last line of a key counts.
At the end the file is written anew with one line per key, in the order of the plan, so that an interrupted run leaves
the same bytes as an undisturbed one. Work is cut into blocks of the plan: a local model that computes in batches gives
the same answers, to the last digit, only in the same company, so an interrupted block is asked again as a whole and
what it gave before is kept; a server that is paid by the token is asked for the missing items only.
"""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from twllm_runs import open_atomic, read_jsonl
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

    def put_in_order(self, keys: Sequence[_Key]) -> list[JsonObject]:
        """Write one row per key, in this order, and return them.

        Raises:
            ArtifactError: a key has no row.
        """
        found = self.read()
        missing = [key for key in keys if key not in found]
        if missing:
            raise ArtifactError(f"{self._path}: {len(missing)} items are missing; run the same command again")
        rows = [found[key] for key in keys]
        with open_atomic(self._path, "w") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return rows


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
