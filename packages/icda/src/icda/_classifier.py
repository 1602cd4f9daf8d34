"""What icda asks of a classifier: two methods, and the classes it knows. Shapes: N texts, K intents."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from icda._features import FittedFeatures
from twllm_types import DataError

FloatArray: TypeAlias = NDArray[np.float64]
LogProbs: TypeAlias = NDArray[np.floating[Any]]


class FittedClassifier(Protocol):
    """A classifier that has seen its rows."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Intents that it tells apart, in the order of the columns; K of them."""
        ...

    def predict_log_proba(self, texts: Sequence[str]) -> LogProbs:
        """Return natural log-probabilities, shape (N, K); an empty sequence gives shape (0, K)."""
        ...


@runtime_checkable
class FeatureClassifier(Protocol):
    """A fitted classifier that sees features, which can be made once and used twice."""

    @property
    def features(self) -> FittedFeatures:
        """What it sees of a text."""
        ...

    def log_proba_of(self, features_ND: Any) -> LogProbs:
        """Return natural log-probabilities of rows whose features are there, shape (N, K)."""
        ...


class IntentClassifier(Protocol):
    """A family of classifiers, not fitted yet: the family V of V-information."""

    def fit(
        self, texts: Sequence[str], labels: Sequence[str], weights: Sequence[float] | None = None
    ) -> FittedClassifier:
        """Return a fitted classifier; the same arguments give the same one, and `self` is not changed.

        Args:
            texts: utterances; blank ones, as the null model has them, are allowed.
            labels: intent of each.
            weights: weight of each row in the loss; None for 1 each.
        """
        ...


@runtime_checkable
class SeedableClassifier(Protocol):
    """A family whose fit depends on a seed, such as a network."""

    def with_seed(self, seed: int) -> IntentClassifier:
        """Return the same family with another seed."""
        ...


def check_training_rows(texts: Sequence[str], labels: Sequence[str], weights: Sequence[float] | None) -> None:
    """Refuse rows that no classifier can be fitted on.

    Raises:
        DataError: the columns differ in length, there are fewer than two intents, or a weight is not above 0.
    """
    num_weights = len(texts) if weights is None else len(weights)
    if not len(texts) == len(labels) == num_weights:
        raise DataError(f"{len(texts)} texts, {len(labels)} labels and {num_weights} weights; give one of each per row")
    intents = set(labels)
    if len(intents) < 2:
        raise DataError(f"a classifier needs rows of two intents, these have {len(intents)}; add seeds of another")
    for row, weight in enumerate(weights or ()):
        if not 0 < weight < float("inf"):
            raise DataError(f"weight of row {row} ({labels[row]!r}) is {weight}; give a finite number above 0")
