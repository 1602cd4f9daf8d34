"""Ids and fields that come with a record, in JSON lines and Parquet."""

import xxhash

from tw_corpus._records import Record, position_id
from tw_corpus.readers._json import Outsized
from tw_corpus.readers._options import ReadOptions
from twllm_types import JsonObject, JsonValue


class GivenIds:
    """Makes the ids of one file unique: the given id, with the position after it where it was given before.

    Keeps eight bytes of a hash for each given id; two that collide cost a needless suffix, nothing else.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: set[int] = set()

    def record(self, text: str, fields: JsonObject, metadata: dict[str, JsonValue], options: ReadOptions) -> Record:
        """Make the record of `text`; `fields` is the whole object, `metadata` holds the position already.

        A string or an integer, of any size, is an id; any other value of the id's field stays with the other fields.
        """
        position = str(metadata["position"])
        given = fields.get(options.id_field)
        is_id = isinstance(given, str | int) and not isinstance(given, bool) and given != ""
        left_out = (options.text_field, options.id_field) if is_id or given in (None, "") else (options.text_field,)
        others = {key: value for key, value in fields.items() if key not in left_out}
        if others:
            metadata["fields"] = others
        if not is_id:
            return Record(id=position_id(self._name, position), text=text, source=self._name, metadata=metadata)
        metadata["given_id"] = str(given) if isinstance(given, Outsized) else given
        return Record(id=self._unique(str(given), position), text=text, source=self._name, metadata=metadata)

    def _unique(self, given: str, position: str) -> str:
        candidate = given
        while (fingerprint := xxhash.xxh3_64_intdigest(candidate.encode())) in self._seen:
            candidate = position_id(candidate, position)
        self._seen.add(fingerprint)
        return candidate
