"""Scoring and selecting 100,000 synthetic rows with a probe, against one batched `predict_log_proba` of scikit-learn.

The issue's bar: no slower than the latter plus 20 %. Both read the same features from memory, in one run, in turn; the
ratio is taken within each repeat. Everything is invented by a seed.

    uv run python benchmarks/icda/scoring.py
"""

import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from sklearn.linear_model import LogisticRegression

from icda import Candidate, SelectionRules, class_thresholds, select
from icda._probe import ProbeClassifier
from icda._score import ScoreSettings, SeedModels, fit_seed_models, score_candidates, score_validation
from twllm_types import IntentExample

NUM_ROWS = 100_000
NUM_DIMENSIONS = 384
NUM_SEEDS = 10
NUM_REPEATS = 7
INTENTS = (77, 150)


@dataclass(frozen=True, kw_only=True)
class StoredFeatures:
    """Features in memory; a text is the number of its row."""

    rows_ND: np.ndarray
    key: str = "stored"

    def fit(self, texts: Sequence[str]) -> "StoredFeatures":
        """Return these features as they are."""
        del texts
        return self

    def transform(self, texts: Sequence[str]) -> np.ndarray:
        """Return the rows that the texts name."""
        start, stop = int(texts[0]), int(texts[-1]) + 1
        if stop - start == len(texts):
            return self.rows_ND[start:stop]
        return self.rows_ND[[int(text) for text in texts]]


def main() -> None:
    """Print one table."""
    print(f"{platform.platform()}, Python {platform.python_version()}, numpy {np.__version__}, {NUM_ROWS:,} rows")
    print(
        "| intents | features | sklearn, s | ours, s | ratio: median [lowest, highest] | ours with nearest intents, s |"
    )
    print("|---|---|---|---|---|---|")
    for num_intents in INTENTS:
        for kind in (np.float32, np.float64):
            print(measure(num_intents, np.dtype(kind)), flush=True)


def measure(num_intents: int, kind: "np.dtype[np.floating]") -> str:
    """Return a line of the table."""
    rng = np.random.default_rng(7)
    num_seeds = num_intents * NUM_SEEDS
    centres = rng.normal(size=(num_intents, NUM_DIMENSIONS))
    codes = np.concatenate([np.repeat(np.arange(num_intents), NUM_SEEDS), rng.integers(0, num_intents, NUM_ROWS)])
    rows = centres[codes] + 2.0 * rng.normal(size=(codes.size, NUM_DIMENSIONS))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(kind)
    labels = [f"intent {code:03d}" for code in codes]
    seeds = [IntentExample(text=str(row), intent=labels[row], id=str(row)) for row in range(num_seeds)]
    candidates = [
        Candidate(text=str(row), intent=labels[row], id=f"{row:016x}", source="invented")
        for row in range(num_seeds, len(labels))
    ]
    features = StoredFeatures(rows_ND=rows)
    with_nearest = fit_seed_models(ProbeClassifier(features=features), seeds)
    models = fit_seed_models(ProbeClassifier(features=features), seeds, ScoreSettings(nearest=False))
    reference = LogisticRegression(C=10.0, max_iter=300, tol=1e-3).fit(rows[:num_seeds], labels[:num_seeds])
    held_out = score_validation(models, seeds)
    thresholds = class_thresholds(held_out.pvi, held_out.labels, estimated_on="fitted_rows")
    synthetic = rows[num_seeds:]

    def ours(chosen: SeedModels) -> Callable[[], object]:
        return lambda: select(score_candidates(chosen, candidates), thresholds, SelectionRules())

    theirs_seconds, ours_seconds = [], []
    for _ in range(NUM_REPEATS):
        theirs_seconds.append(seconds(lambda: reference.predict_log_proba(synthetic)))
        ours_seconds.append(seconds(ours(models)))
    ratios = [mine / other for mine, other in zip(ours_seconds, theirs_seconds, strict=True)]
    near = seconds(ours(with_nearest))
    return (
        f"| {num_intents} | {kind.name} | {median(theirs_seconds):.2f} | {median(ours_seconds):.2f} | "
        f"{spread(ratios)} | {near:.2f} |"
    )


def spread(ratios: Sequence[float]) -> str:
    """Write the median and the range."""
    return f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
