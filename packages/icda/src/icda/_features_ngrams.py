# scikit-learn and scipy have no types
# pyright: standard
"""Hashed character n-grams with tf-idf: features that need no model and read every script; the default for Chinese."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twllm_types import ConfigError, DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterNgrams:
    """Counts of character n-grams, hashed, weighted by smoothed tf-idf, of length one (sklearn's `TfidfTransformer`).

    Texts are NFKC, lower case, white space squeezed. `fit` keeps the columns that occur in its texts, so that a probe
    has as many weights as there are different n-grams, not as there are hashes.

    Attributes:
        smallest: characters of the shortest n-gram, at least 1; 1 and 3 are ours: single characters and short words of
            Chinese.
        largest: characters of the longest, at least `smallest`.
        num_hashes: columns before `fit`, a power of two is usual; ours.

    Raises:
        ConfigError: a range is empty.
    """

    smallest: int = 1
    largest: int = 3
    num_hashes: int = 1 << 18

    def __post_init__(self) -> None:
        if not 1 <= self.smallest <= self.largest:
            raise ConfigError(f"n-grams of {self.smallest} to {self.largest} characters; give 1 <= smallest <= largest")
        if self.num_hashes < 1:
            raise ConfigError(f"num_hashes is {self.num_hashes}; give at least 1")

    @property
    def key(self) -> str:
        """What makes the features."""
        return f"character-ngrams-{self.smallest}-{self.largest}-{self.num_hashes}-tfidf"

    def fit(self, texts: Sequence[str]) -> "FittedCharacterNgrams":
        """Count the document frequencies of these texts and keep the columns that occur.

        Texts that are all blank give one column of zeros: a probe on it is the null model.

        Raises:
            DataError: there is no text.
        """
        from sklearn.feature_extraction.text import TfidfTransformer

        if not texts:
            raise DataError("n-grams of no texts have no frequencies; give at least one text")
        counts = _counts(self, texts)
        columns = np.unique(counts.indices) if counts.nnz else np.zeros(1, dtype=np.int64)
        return FittedCharacterNgrams(
            settings=self, columns=columns, weighting=TfidfTransformer().fit(counts[:, columns])
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedCharacterNgrams:
    """N-grams with the document frequencies of some texts; n-grams that those lack count for nothing."""

    settings: CharacterNgrams
    columns: Any
    weighting: Any

    def transform(self, texts: Sequence[str]) -> Any:
        """Return a sparse matrix in rows, shape (N, columns); a text without a known n-gram is all zero."""
        counts = _counts(self.settings, texts)[:, self.columns]
        return self.weighting.transform(counts) if texts else counts


def _counts(settings: CharacterNgrams, texts: Sequence[str]) -> Any:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import HashingVectorizer

    if not texts:
        return csr_matrix((0, settings.num_hashes))
    vectorizer = HashingVectorizer(
        analyzer="char",
        preprocessor=_comparable,
        ngram_range=(settings.smallest, settings.largest),
        n_features=settings.num_hashes,
        # the stub knows texts only; None turns the scaling off
        norm=None,  # pyright: ignore[reportArgumentType]
        # signed counts would make frequencies negative
        alternate_sign=False,
    )
    return vectorizer.transform(texts)


def _comparable(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())
