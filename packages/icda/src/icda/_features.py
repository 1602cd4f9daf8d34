"""Features: what a probe sees of a text. Shapes: N texts, D features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from icda._guards import UNKNOWN_TOKEN_LIMIT, GuardRules, unknown_tokens
from twllm_types import DataError

Embeddings: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownTokens:
    """How much of some texts a tokenizer cannot write.

    Attributes:
        num_unknown: tokens that are the unknown token.
        num_tokens: in all, special ones aside.
    """

    num_unknown: int
    num_tokens: int

    @property
    def share(self) -> float:
        """In [0, 1]; 0 where there are no tokens."""
        return self.num_unknown / max(1, self.num_tokens)


class FittedFeatures(Protocol):
    """Features whose scale is fixed."""

    def transform(self, texts: Sequence[str]) -> Any:
        """Return the features of texts, shape (N, D): an array, or a sparse matrix of scipy in rows."""
        ...


class Features(Protocol):
    """Features that may fit themselves to the rows a classifier is fitted on, such as document frequencies.

    Attributes:
        key: says what makes the features, models by their hash; equal keys give equal features.
    """

    @property
    def key(self) -> str:
        """What makes the features."""
        ...

    def fit(self, texts: Sequence[str]) -> FittedFeatures:
        """Return the features as these texts set them; `self` is not changed."""
        ...


class TextEncoder(Features, FittedFeatures, Protocol):
    """Features that are the same whatever they are fitted on: the embeddings of a model."""

    def transform(self, texts: Sequence[str]) -> Embeddings:
        """Return one embedding per text, shape (N, D)."""
        ...


@runtime_checkable
class TokenReader(Protocol):
    """Features or a classifier that know which tokens of a text they can read."""

    def unknown_tokens(self, texts: Sequence[str]) -> UnknownTokens | None:
        """Count the tokens of texts; None where there is no tokenizer to ask."""
        ...


class Tokenizer(Protocol):
    """What a measurement needs of a tokenizer of transformers."""

    @property
    def unk_token_id(self) -> int | None:
        """Id of the token for what the vocabulary lacks; None where every text can be written."""
        ...

    def __call__(self, text: list[str], *, add_special_tokens: bool) -> Any:
        """Return a mapping whose `input_ids` holds the tokens of each text."""
        ...


def count_unknown_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> UnknownTokens:
    """Count the tokens of `texts` that are the unknown token, special tokens aside.

    The packaged MiniLM turns most characters of Traditional Chinese into [UNK]: different utterances become the same
    embedding, and nothing says so. A text of which the tokenizer leaves no token counts as one unknown token; blank
    texts, on which a null model is fitted, hold nothing to read and count for nothing. A tokenizer without unknown
    token (byte-level BPE) that leaves a token of every text gives 0.

    Args:
        tokenizer: of the encoder.
        texts: none gives no tokens.
    """
    num_tokens = num_unknown = 0
    unknown = tokenizer.unk_token_id
    filled = [text for text in texts if text.strip()]
    for ids in tokenizer(filled, add_special_tokens=False)["input_ids"] if filled else ():
        num_tokens += max(1, len(ids))
        num_unknown += sum(token == unknown for token in ids) if len(ids) else 1
    return UnknownTokens(num_unknown=num_unknown, num_tokens=num_tokens)


def measured_unknown_tokens(reader: object, texts: Sequence[str]) -> UnknownTokens | None:
    """What a classifier or features say of texts; None where they have no tokenizer, such as n-grams."""
    return reader.unknown_tokens(texts) if isinstance(reader, TokenReader) else None


def check_readable(
    tokenizer: Tokenizer, texts: Sequence[str], *, name: str, limit: float = UNKNOWN_TOKEN_LIMIT
) -> None:
    """Refuse an encoder that cannot read the data, as the guard `unknown_tokens` of a run does.

    Args:
        tokenizer: of the encoder.
        texts: what it is to read; none reads well.
        name: of the encoder, for the message.
        limit: largest share of unknown tokens, ours.

    Raises:
        DataError: the share is above the limit.
    """
    found = count_unknown_tokens(tokenizer, texts)
    rules = GuardRules(stop_unknown_share=limit, warn_unknown_share=None)
    guard = unknown_tokens(found.num_unknown, found.num_tokens, rules)
    if guard is not None:
        raise DataError(f"{name}: {guard.message}")
