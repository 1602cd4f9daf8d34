"""Where a context ends and a continuation begins, in tokens.

Context and continuation are tokenised together, as a text that a model would meet, and the continuation's tokens are
those after the context's. Where tokens merge across the border ('(A' may be one token) the context's tokens are no
beginning of the whole's: then everything from the last token that all continuations of the context share with the
context itself is scored. All continuations of one context are split at the same place, so that their
log-probabilities compare: each is the log-probability of the same stretch of text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twllm_types import EngineFailure, FailureKind

Ids = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One text to score.

    Attributes:
        tokens: context and continuation, ids, shape (T,).
        start: the first token to score, 1..T-1.
        merged: the border lay inside a token, so that `start` stands before the end of the context.
        num_cut: tokens cut off at the left, >= 0.
    """

    tokens: Ids
    start: int
    merged: bool
    num_cut: int = 0


def split_continuations(
    context: Ids, wholes: Sequence[Ids], *, num_bos: int, max_read: int | None, cut_left: bool
) -> list[Split | EngineFailure]:
    """Split every continuation of one context at the same token.

    Args:
        context: ids of the context alone, with the tokens that open a text.
        wholes: ids of context and continuation together, with the same opening.
        num_bos: tokens of that opening, which are never cut.
        max_read: most tokens that the model reads, or None; the last token is scored and not read.
        cut_left: cut what is too long at the left, for all continuations alike, instead of refusing it.

    Returns:
        One per whole, in order; a failure where nothing stands before the first token, nothing is left to score, or
        the text is too long.
    """
    start = min([len(context), *(num_shared(context, whole) for whole in wholes)])
    merged = start < len(context)
    longest = max((len(whole) for whole in wholes), default=0)
    num_cut = 0 if max_read is None or not cut_left else max(0, longest - 1 - max_read)
    return [
        _split(whole, start, merged=merged, num_bos=num_bos, max_read=max_read, num_cut=num_cut) for whole in wholes
    ]


def too_long(num_tokens: int, max_read: int) -> EngineFailure:
    """Say that a text does not fit, with both lengths."""
    return EngineFailure(
        kind=FailureKind.CONTEXT_LENGTH,
        message=f"the text has {num_tokens} tokens to read, and the model reads at most {max_read}; "
        "shorten it, or set truncation: left where the engine has it",
    )


def num_shared(left: Ids, right: Ids) -> int:
    """Count the tokens with which both begin."""
    length = min(len(left), len(right))
    differ = left[:length] != right[:length]
    return int(differ.argmax()) if differ.any() else length


def _split(
    whole: Ids, start: int, *, merged: bool, num_bos: int, max_read: int | None, num_cut: int
) -> Split | EngineFailure:
    if len(whole) <= start:
        return EngineFailure(
            kind=FailureKind.BAD_REQUEST,
            message="the continuation adds no token of its own to its context, so there is nothing to score",
        )
    if start == 0:
        return EngineFailure(
            kind=FailureKind.BAD_REQUEST,
            message="no token stands before the first one to score; give a context, or set bos: always",
        )
    if num_cut and start - num_cut >= max(num_bos, 1):
        tokens = np.concatenate([whole[:num_bos], whole[num_bos + num_cut :]])
        return Split(tokens=tokens, start=start - num_cut, merged=merged, num_cut=num_cut)
    if max_read is not None and len(whole) - 1 > max_read:
        return too_long(len(whole) - 1, max_read)
    if num_cut:
        return EngineFailure(
            kind=FailureKind.CONTEXT_LENGTH,
            message=f"a continuation of the same context has to lose {num_cut} tokens at the left, which leaves no "
            "context; shorten the continuation",
        )
    return Split(tokens=whole, start=start, merged=merged)
