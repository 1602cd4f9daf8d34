# scikit-learn has no types
# pyright: standard
"""The probe: logistic regression on features. Shapes: N texts, D features, K intents."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from icda._classifier import FloatArray, LogProbs, check_training_rows
from icda._features import Features, FittedFeatures, UnknownTokens, measured_unknown_tokens
from twllm_types import ConfigError

# Large, since every product of matrices waits for all threads; its memory is some tens of megabytes.
_BATCH_ROWS = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeClassifier:
    """Multinomial logistic regression with an L2 penalty, by L-BFGS, on features.

    Attributes:
        features: what it sees of a text.
        c: inverse strength of the penalty, above 0; 10 of the pilots (brief §7, which also tried 30).
        max_iterations: of L-BFGS, at least 1; 300 of the pilots.
        tolerance: largest entry of the mean gradient at which L-BFGS stops, above 0; ours. The pilots' 1e-3 is too
            large for many intents: an entry is of the order of one over their number, and with 150 intents and 3,750
            rows L-BFGS stopped before its first step (benchmarks/icda/drift.md).

    Raises:
        ConfigError: a value is out of its range.
    """

    features: Features
    c: float = 10.0
    max_iterations: int = 300
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        for name, value in (("c", self.c), ("max_iterations", self.max_iterations), ("tolerance", self.tolerance)):
            if not value > 0:
                raise ConfigError(f"{name} of the probe is {value}; give a number above 0")

    def unknown_tokens(self, texts: Sequence[str]) -> UnknownTokens | None:
        """What the features say."""
        return measured_unknown_tokens(self.features, texts)

    def fit(self, texts: Sequence[str], labels: Sequence[str], weights: Sequence[float] | None = None) -> "FittedProbe":
        """Fit the probe; the same rows give the same probe.

        Args:
            texts: utterances; blank ones, as the null model has them, are allowed.
            labels: intent of each.
            weights: weight of each in the loss, above 0; None for 1 each.

        Raises:
            DataError: the columns differ in length, there are fewer than two intents, or a weight is not above 0.
            ConfigError: the tolerance let L-BFGS stop before its first step, so that nothing was learned.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        check_training_rows(texts, labels, weights)
        fitted = self.features.fit(texts)
        # In float64, so that the figures do not depend on where L-BFGS stops by rounding.
        rows = fitted.transform(texts).astype(np.float64)
        model = LogisticRegression(C=self.c, max_iter=self.max_iterations, tol=self.tolerance)
        # One thread: L-BFGS makes many small products, which more threads slow down, and whose last bits they change.
        with warnings.catch_warnings(), threadpool_limits(limits=1, user_api="blas"):
            # What it warns of is kept as `converged`.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(rows, np.asarray(labels, dtype=object), None if weights is None else np.asarray(weights))
        if not model.n_iter_.any() and _distinguishes(rows):
            raise ConfigError(
                f"the probe stopped before its first step on {len(texts)} rows of {len(model.classes_)} intents: its "
                f"tolerance {self.tolerance:g} is above the gradient there; lower it"
            )
        return FittedProbe(
            features=fitted,
            classes=tuple(str(name) for name in model.classes_),
            weights_DK=_columns(model.coef_),
            biases=_columns(np.asarray(model.intercept_)[:, np.newaxis])[0],
            converged=bool((model.n_iter_ < self.max_iterations).all()),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedProbe:
    """A probe with its weights.

    Attributes:
        features: as the training rows set them.
        classes: intents, sorted; K.
        weights_DK: weights, shape (D, K).
        biases: shape (K,).
        converged: L-BFGS reached its tolerance before the last iteration.
    """

    features: FittedFeatures
    classes: tuple[str, ...]
    weights_DK: FloatArray
    biases: FloatArray
    converged: bool

    def predict_log_proba(self, texts: Sequence[str]) -> LogProbs:
        """Return natural log-probabilities, shape (N, K); features are held for 16,384 texts at a time."""
        parts = [
            self.log_proba_of(self.features.transform(texts[start : start + _BATCH_ROWS]))
            for start in range(0, len(texts), _BATCH_ROWS)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)))

    def log_proba_of(self, features_ND: Any) -> LogProbs:
        """Return natural log-probabilities of rows whose features are there, shape (N, K), in the features' precision.

        A log-softmax, so that small probabilities stay finite. Embeddings of a model are float32, and so are its
        answers; n-grams are float64.
        """
        kind = features_ND.dtype
        logits = np.asarray(features_ND @ self.weights_DK.astype(kind, copy=False))
        logits += self.biases.astype(kind, copy=False)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits


def _distinguishes(rows_ND: Any) -> bool:
    """Whether any row differs from the first; where none does, as for empty texts, zero weights are the right ones."""
    first = rows_ND[[0] * rows_ND.shape[0]]
    return bool(abs(rows_ND - first).max() > 0)


def _columns(rows_KD: Any) -> FloatArray:
    """Return one column per intent; of two intents sklearn keeps the weights of the second against the first."""
    rows = np.asarray(rows_KD, dtype=np.float64)
    if len(rows) == 1:
        rows = np.concatenate([-rows / 2, rows / 2])
    return np.ascontiguousarray(rows.T)
