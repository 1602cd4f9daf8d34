"""What is judged: a response to a context, or a whole dialogue."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from llm_eval._unicode import has_half_pair
from twllm_types import DataError, JsonObject, JsonValue


class Level(StrEnum):
    """What of an item is judged."""

    TURN = "turn"
    DIALOGUE = "dialogue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One utterance.

    Attributes:
        speaker: who says it; None where nobody is named.
        text: what is said; may be empty.
    """

    speaker: str | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeItem:
    """One response in its context, or one dialogue.

    Attributes:
        id: unique within a set.
        context: the turns before the response, or the dialogue; at least one with a text.
        response: what is judged; None where the dialogue itself is.
        references: good responses to compare with.
        documents: texts that the response should rest on.
        system: who wrote the response; None where nobody says.
        cluster: name of the items that depend on each other; None means those of equal context.

    Raises:
        DataError: the id, the context, the response, a reference or a document is empty, or a text is not Unicode.
    """

    id: str
    context: tuple[Turn, ...]
    response: str | None
    references: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    system: str | None = None
    cluster: str | None = None

    def __post_init__(self) -> None:
        if not self.id.strip():
            raise DataError("an item has an empty id; give each item its own")
        if not any(turn.text.strip() for turn in self.context):
            raise DataError(f"item {self.id}: the context is empty; give at least one turn with a text")
        if self.response is not None and not self.response.strip():
            raise DataError(f"item {self.id}: the response is empty; give it, or null to judge the dialogue itself")
        for name, texts in (("reference", self.references), ("document", self.documents)):
            if any(not text.strip() for text in texts):
                raise DataError(f"item {self.id}: a {name} is empty; give its text or leave it out")
        spoken = (text for turn in self.context for text in (turn.speaker, turn.text))
        named = (self.id, self.system, self.cluster)
        for text in (*named, *spoken, self.response, *self.references, *self.documents):
            if text is not None and has_half_pair(text):
                raise DataError(f"item {self.id!r}: a text holds half a surrogate pair; write the whole character")

    @property
    def level(self) -> Level:
        """TURN where there is a response, else DIALOGUE."""
        return Level.DIALOGUE if self.response is None else Level.TURN

    @property
    def cluster_key(self) -> str:
        """The cluster; without one a SHA-256 of the context, the same for items of equal context."""
        if self.cluster is not None:
            return self.cluster
        turns = [[turn.speaker, turn.text] for turn in self.context]
        return "context-" + hashlib.sha256(json.dumps(turns).encode("ascii")).hexdigest()[:16]


def item_from_json(row: "Mapping[str, JsonValue] | JsonValue", *, source: str = "item") -> JudgeItem:
    """Read `{id, context, response, references | reference, documents, system, cluster}`; other keys are ignored.

    `context` is `[[speaker, text], ...]` with null for no speaker, or one text. A dialogue has `response: null`; a row
    without the key is one only where it says `level: dialogue`, so that a forgotten response is seen. An id that is a
    whole number becomes its text.

    Args:
        row: the JSON object.
        source: what messages begin with, such as file:line.

    Raises:
        DataError: the row is no object, a key is missing, has another type or contradicts `level`, or the item cannot
            be.
    """
    if not isinstance(row, Mapping):
        raise DataError(f"{source}: an item is {type(row).__name__}; give a JSON object with id, context and response")
    where = f"{source}: item {row.get('id')!r}"
    response = _response(row, where)
    try:
        item = JudgeItem(
            id=_item_id(row, source),
            context=_context(row.get("context"), where),
            response=response,
            references=_references(row, where),
            documents=_texts(row, "documents", where),
            system=_optional_text(row, "system", where),
            cluster=_optional_text(row, "cluster", where),
        )
    except DataError as error:
        message = str(error)
        raise DataError(message if message.startswith(source) else f"{source}: {message}") from error
    level = row.get("level")
    if level is not None and level != item.level.value:
        raise DataError(f"{where}: level is {level!r}, but its response makes it {item.level.value!r}; correct one")
    return item


def item_to_json(item: JudgeItem) -> JsonObject:
    """Return the row that `item_from_json` reads as this item."""
    return {
        "id": item.id,
        "level": item.level.value,
        "system": item.system,
        "cluster": item.cluster,
        "context": [[turn.speaker, turn.text] for turn in item.context],
        "response": item.response,
        "references": list(item.references),
        "documents": list(item.documents),
    }


def item_sha256(item: JudgeItem) -> str:
    """Return a hash of all of an item, by which a judgement says what it judged; 64 hexadecimal digits."""
    return hashlib.sha256(json_line(item_to_json(item)).encode("ascii")).hexdigest()


def json_line(row: JsonObject) -> str:
    """Write an object as the one line that hashes are made of, whatever the order of its keys."""
    return json.dumps(row, sort_keys=True, separators=(",", ":"))


def _item_id(row: Mapping[str, JsonValue], source: str) -> str:
    value = row.get("id")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(f"{source}: id is {value!r}; give a text or a whole number")
    return str(value)


def _response(row: Mapping[str, JsonValue], where: str) -> str | None:
    if "response" not in row and row.get("level") != Level.DIALOGUE.value:
        raise DataError(f"{where}: has no response; give it, or null to judge the dialogue itself")
    value = row.get("response")
    if not isinstance(value, str | None):
        raise DataError(f"{where}: response is {type(value).__name__}; give a text or null")
    return value


def _context(value: JsonValue, where: str) -> tuple[Turn, ...]:
    if isinstance(value, str):
        return (Turn(speaker=None, text=value),)
    if not isinstance(value, list):
        raise DataError(f"{where}: context is {type(value).__name__}; give [[speaker, text], ...] or one text")
    turns: list[Turn] = []
    for turn in value:
        match turn:
            case [str() | None as speaker, str() as text]:
                turns.append(Turn(speaker=speaker, text=text))
            case _:
                raise DataError(f"{where}: turn {len(turns) + 1} of the context is not [speaker, text]; correct it")
    return tuple(turns)


def _references(row: Mapping[str, JsonValue], where: str) -> tuple[str, ...]:
    single = _optional_text(row, "reference", where)
    if single is None:
        return _texts(row, "references", where)
    if row.get("references"):
        raise DataError(f"{where}: has both reference and references; give one of them")
    return (single,)


def _texts(row: Mapping[str, JsonValue], key: str, where: str) -> tuple[str, ...]:
    value = row.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise DataError(f"{where}: {key} is not a list of texts; correct it")
    return tuple(cast("list[str]", value))


def _optional_text(row: Mapping[str, JsonValue], key: str, where: str) -> str | None:
    value = row.get(key)
    if not isinstance(value, str | None):
        raise DataError(f"{where}: {key} is {type(value).__name__}; give a text or null")
    return value
