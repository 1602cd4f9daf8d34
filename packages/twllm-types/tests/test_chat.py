import dataclasses

import pytest

from twllm_types import Conversation, DataError, Document, Message, Role


def test_conversation_without_messages_is_refused() -> None:
    with pytest.raises(DataError, match="conversation 'c1' has no message"):
        Conversation(messages=(), id="c1")


def test_conversation_with_late_system_message_is_refused() -> None:
    user, system = Message(role=Role.USER, content="你好"), Message(role=Role.SYSTEM, content="你是助理")
    assert Conversation(messages=(system, user)).messages[0].role is Role.SYSTEM
    with pytest.raises(DataError, match="system message after the first place"):
        Conversation(messages=(user, system))


def test_role_reads_the_chat_completions_names() -> None:
    assert [Role(name) for name in ("system", "user", "assistant", "tool")] == list(Role)


def test_document_is_frozen_and_its_default_metadata_is_read_only() -> None:
    document = Document(id="a", text="")
    with pytest.raises(dataclasses.FrozenInstanceError):
        document.text = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        document.metadata["k"] = 1  # type: ignore[index]
