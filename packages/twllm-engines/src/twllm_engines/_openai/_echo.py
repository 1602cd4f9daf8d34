"""Which tokens of an echoed text belong to the context, and which to the continuation.

Servers list the texts of the tokens. Two things keep these from joining to the text that was sent: a token may hold a
part of a character (its text is then U+FFFD, or `bytes:` and escapes), and a beginning-of-sequence token stands in the
list though not in the text. Places that servers state (`text_offset`) err for the same reasons, so they are not used:
the tokens are laid over the bytes of the text, and where that leaves more than one way the answer is refused.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_BROKEN = "�"
_BYTES = "bytes:"
# U+FFFD stands for an incomplete sequence of UTF-8, or is itself meant, which takes three bytes.
_MAX_BROKEN_BYTES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoedToken:
    """One token of an echoed text.

    Attributes:
        text: as the server writes it.
        logprob: given the tokens before; None for the first.
        best: log-probability of the most likely token at its position; None where not given.
    """

    text: str
    logprob: float | None
    best: float | None


def read_echo(
    tokens: Sequence[EchoedToken], *, context: str, continuation: str, num_written: int = 0
) -> tuple[tuple[EchoedToken, ...], int]:
    """Return the tokens of context and continuation, and how many are the context's.

    A beginning-of-sequence token that the text does not hold belongs to the context, even an empty one; what the
    server wrote after the text is dropped.

    Args:
        tokens: as the server lists them.
        context: text before what is scored; may be empty.
        continuation: what is scored; not empty.
        num_written: most tokens that the server wrote after the text, 0 or 1; an end-of-sequence token is not listed
            by every server.

    Raises:
        ValueError: the tokens do not fit the text, one spans the end of the context, or there is more than one way.
    """
    head, whole = _encode(context), _encode(context + continuation)
    for num_marks in (0, 1):
        if num_marks and not (tokens and tokens[0].logprob is None):
            break
        listed = tokens[num_marks:]
        ends = [len(listed) - written for written in range(num_written + 1) if len(listed) > written]
        found = [(end, count) for end in ends for count in _context_counts(listed[:end], head, whole)]
        if len(found) == 1:
            ((end, num_context),) = found
            return tuple(tokens[: num_marks + end]), num_marks + num_context
        if found:
            raise ValueError("where the context ends cannot be told")
    raise ValueError("the tokens do not fit the text, or one spans the end of the context")


def _context_counts(tokens: Sequence[EchoedToken], head: bytes, whole: bytes) -> list[int]:
    """Return after how many tokens the context may end; none where the tokens do not fit the text."""
    # reached[k]: places, in bytes, where the first k tokens may end.
    reached = [{0}]
    for token in tokens:
        reached.append(_ends(token.text, reached[-1], whole))
        if not reached[-1]:
            return []
    # Backwards, only the places that lead to the end of the text remain.
    reached[-1] &= {len(whole)}
    for at in range(len(tokens) - 1, -1, -1):
        reached[at] = {place for place in reached[at] if _ends(tokens[at].text, (place,), whole) & reached[at + 1]}
    return [count for count, places in enumerate(reached) if len(head) in places]


def _ends(token: str, starts: Iterable[int], whole: bytes) -> set[int]:
    """Return where a token that begins at one of `starts` may end."""
    places = set(starts)
    if token.startswith(_BYTES):
        return _after(bytes(int(code, 16) for code in re.findall(r"\\x([0-9a-fA-F]{2})", token)), places, whole)
    for part in re.split(f"({_BROKEN})", token):
        if part == _BROKEN:
            places = {
                place + length
                for place in places
                for length in range(1, _MAX_BROKEN_BYTES + 1)
                if place + length <= len(whole) and not whole[place : place + length].isascii()
            }
        else:
            places = _after(_encode(part), places, whole)
    return places


def _after(part: bytes, places: Iterable[int], whole: bytes) -> set[int]:
    return {place + len(part) for place in places if whole.startswith(part, place)}


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
