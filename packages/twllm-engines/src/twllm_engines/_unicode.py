"""Which requests hold text that is none: a lone surrogate has no encoding, so no tokenizer and no server takes it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from twllm_types import Conversation, EngineFailure, FailureKind, GenerationRequest


def texts_of(request: GenerationRequest) -> Iterator[str]:
    """Yield every text of a request: prompt or messages, stop strings, and what its JSON Schema holds."""
    if isinstance(request.prompt, Conversation):
        yield from (message.content for message in request.prompt.messages)
    else:
        yield request.prompt
    yield from request.params.stop
    yield from _strings(request.params.json_schema)


def refusal(texts: Iterable[str]) -> EngineFailure | None:
    """Return the failure of a request that holds these texts; None where all of them can be encoded.

    The message names the code point and its place in its text, never the text.
    """
    for text in texts:
        try:
            # Without a copy for what is most frequent; everything else is encoded once.
            _ = text.isascii() or text.encode("utf-8")
        except UnicodeEncodeError as error:
            shown = f"U+{ord(text[error.start]):04X}"
            return EngineFailure(
                kind=FailureKind.BAD_REQUEST,
                message=f"character {error.start} of a text is {shown}, a lone surrogate; replace it",
            )
    return None


def _strings(value: object) -> Iterator[str]:
    """Yield the strings of a JSON value, names of members among them; without recursion, whatever its depth."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            members = cast("Mapping[object, object]", one)
            left.extend([*members.keys(), *members.values()])
        elif isinstance(one, list | tuple):
            left.extend(cast("list[object]", one))
