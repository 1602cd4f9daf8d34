"""Messages and conversations."""

from dataclasses import dataclass
from enum import StrEnum

from twllm_types._errors import DataError


class Role(StrEnum):
    """Who speaks; the values are those of the chat-completions format."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn.

    Attributes:
        role: who speaks.
        content: what is said; may be empty.
    """

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """An ordered exchange.

    Attributes:
        messages: at least one turn; a system message, if any, comes first.
        id: identity in its source, or None.

    Raises:
        DataError: there is no message, or a system message stands after the first place.
    """

    messages: tuple[Message, ...]
    id: str | None = None

    def __post_init__(self) -> None:
        name = "conversation" if self.id is None else f"conversation {self.id!r}"
        if not self.messages:
            raise DataError(f"{name} has no message; give at least one")
        if any(message.role is Role.SYSTEM for message in self.messages[1:]):
            raise DataError(f"{name} has a system message after the first place; move it to the front")
