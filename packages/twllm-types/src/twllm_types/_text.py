"""A document of running text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from twllm_types._frozen import FrozenDict, freeze
from twllm_types._json import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text with its identity.

    Attributes:
        id: unique within its source; the same input gives the same id on every run.
        text: the text; may be empty.
        metadata: JSON values only (address, date, encoding, ...); kept as a `FrozenDict`.
    """

    id: str
    text: str
    metadata: Mapping[str, JsonValue] = field(default_factory=FrozenDict[str, JsonValue])

    def __post_init__(self) -> None:
        freeze(self, "metadata")
