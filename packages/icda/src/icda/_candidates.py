"""Cleaned synthetic rows. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from twllm_types import DataError, IntentExample, JsonObject, JsonValue

_TEXT_FIELDS = ("id", "text", "intent", "source", "request_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One synthetic utterance that was parsed and cleaned, and waits to be selected.

    Attributes:
        text: the utterance as the generator wrote it, without numbering and quotes; not blank.
        intent: the label that was asked for; not blank.
        id: stable identity, see `candidate_id`; not blank.
        source: name of the generator, never "seed".
        request_id: of the request whose completion it came from; "" for a pool made elsewhere.
        seed_ids: ids of the seeds that its prompt showed, in their order.

    Raises:
        DataError: text, intent or id is blank, or the source is blank or "seed".
    """

    text: str
    intent: str
    id: str
    source: str
    request_id: str = ""
    seed_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("text", self.text), ("intent", self.intent), ("id", self.id), ("source", self.source)):
            if not value.strip():
                raise DataError(f"candidate {self.id!r} has an empty {name}; give it, or drop the row")
        if self.source == "seed":
            raise DataError(f"candidate {self.id!r} has the source 'seed'; name its generator")


def candidate_id(intent: str, request_id: str, place: int) -> str:
    """Identity of the utterance at `place` (0-based) of the completion of a request: 16 hexadecimal digits.

    Depends on nothing else, so that a resumed run gives the same row the same id.
    """
    parts = "\0".join((intent, request_id, str(place)))
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def candidate_to_json(candidate: Candidate) -> JsonObject:
    """The row of `candidates.jsonl`."""
    return {
        "id": candidate.id,
        "text": candidate.text,
        "intent": candidate.intent,
        "source": candidate.source,
        "request_id": candidate.request_id,
        "seed_ids": list(candidate.seed_ids),
    }


def candidate_from_json(row: Mapping[str, JsonValue], *, where: str) -> Candidate:
    """Read a row of `candidates.jsonl`.

    Args:
        row: with the keys of `candidate_to_json`; `request_id` and `seed_ids` may be absent.
        where: file and line, for the message.

    Raises:
        DataError: a key is missing or of another type, or the values make no candidate.
    """
    texts = {name: row.get(name, "" if name == "request_id" else None) for name in _TEXT_FIELDS}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise DataError(f"{where}: {name!r} is {value!r}; give a text")
    seed_ids = row.get("seed_ids", [])
    if not isinstance(seed_ids, list) or not all(isinstance(one, str) for one in seed_ids):
        raise DataError(f"{where}: 'seed_ids' is {seed_ids!r}; give a list of texts")
    try:
        return Candidate(**cast("dict[str, str]", texts), seed_ids=tuple(cast("list[str]", seed_ids)))
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def candidate_example(candidate: Candidate, *, intent: str | None = None) -> IntentExample:
    """The training row of a candidate, under another intent where it was relabelled."""
    return IntentExample(
        text=candidate.text, intent=intent or candidate.intent, id=candidate.id, source=candidate.source
    )
