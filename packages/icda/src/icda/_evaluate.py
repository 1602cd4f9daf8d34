"""Trains the final classifier on seeds and kept rows, and measures it. Shapes: N test rows, K intents.

An arm is one way to select: `seeds-only`, `keep-all`, `pvi-class`, ... Every arm is trained on every draw (of seeds and
candidates) by every training seed, and all are tested on the same rows, so arms are compared in pairs.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from icda._classifier import IntentClassifier, SeedableClassifier
from icda._metrics import accuracy, auroc, macro_f1
from icda._select import mass_weights
from twllm_runs.statistics import mean_estimate, paired_difference
from twllm_types import DataError, Estimate, EstimateUnit, IntentExample, JsonObject

# Rows whose log-probabilities are held at once.
_BATCH_ROWS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRows:
    """What one classifier is fitted on: seeds first, then the kept rows.

    Attributes:
        texts: utterances.
        labels: intent of each.
        weights: of each in the loss; None for 1 each.
        num_seeds: how many of them are seeds.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    weights: tuple[float, ...] | None
    num_seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One final classifier, measured.

    Attributes:
        arm: how its rows were selected.
        draw: of seeds and candidates.
        seed: of the training.
        num_seeds: seeds it was trained on.
        num_kept: synthetic rows it was trained on.
        predicted: intent of each test row, in the order of the test.
        accuracy: on the test, with the interval of its rows.
        macro_f1: on the test, in [0, 1].
        oos_auroc: AUROC of the highest probability, rows in scope against rows out of scope; None without the latter.
    """

    arm: str
    draw: int
    seed: int
    num_seeds: int
    num_kept: int
    predicted: tuple[str, ...]
    accuracy: Estimate
    macro_f1: float
    oos_auroc: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """One arm over its draws and training seeds.

    Attributes:
        arm: its name.
        accuracy: mean over trainings and test rows; a test row is a cluster, since it is predicted by each training.
        macro_f1: mean over draws, of the mean over the seeds of a draw.
        oos_auroc: the same; None without rows out of scope.
        num_kept: mean synthetic rows over draws.
        difference: accuracy less that of the baseline on the same draws, seeds and rows, clustered by test row: what
            other test rows would have given with these draws. None for the baseline itself.
        difference_of_draws: the same difference, one figure per draw: what other draws would have given on this test;
            its interval is Student's over draws, none for one draw. Draws that change neither this arm nor the baseline
            count as one. None for the baseline itself.
    """

    arm: str
    accuracy: Estimate
    macro_f1: Estimate
    oos_auroc: Estimate | None
    num_kept: Estimate
    difference: Estimate | None
    difference_of_draws: Estimate | None


def training_rows(
    seeds: Sequence[IntentExample], kept: Sequence[IntentExample], *, mass: float | None = None
) -> TrainingRows:
    """Put seeds and kept rows together.

    Args:
        seeds: with an intent each.
        kept: synthetic rows under the intents they are trained as; none for seeds only.
        mass: weight of an intent's synthetic rows together, in those of its seeds; None for weight 1 each.

    Raises:
        DataError: a row has no intent, or, with a mass, an intent has no seed.
    """
    rows = (*seeds, *kept)
    labels = tuple(row.intent for row in rows if row.intent is not None)
    if len(labels) < len(rows):
        raise DataError(f"{len(rows) - len(labels)} training rows have no intent; leave out-of-scope rows out")
    weights = None
    if mass is not None and kept:
        of_kept = mass_weights(labels[len(seeds) :], Counter(labels[: len(seeds)]), mass=mass)
        weights = (1.0,) * len(seeds) + tuple(cast("list[float]", of_kept.tolist()))
    return TrainingRows(texts=tuple(row.text for row in rows), labels=labels, weights=weights, num_seeds=len(seeds))


def training_seeds(classifier: IntentClassifier, seeds: Sequence[int]) -> tuple[int, ...]:
    """Return the seeds to train with: the first alone for a classifier that no seed changes, such as the probe."""
    return tuple(seeds) if isinstance(classifier, SeedableClassifier) else tuple(seeds[:1])


def train_and_evaluate(
    classifier: IntentClassifier,
    rows: TrainingRows,
    test: Sequence[IntentExample],
    *,
    arm: str,
    draw: int,
    seed: int,
) -> Trained:
    """Fit the final classifier and measure it.

    Args:
        classifier: the family; it is given the seed where it takes one.
        rows: what it is fitted on.
        test: rows with an intent are predicted; rows without are out of scope.
        arm: name of the selection.
        draw: number of the draw.
        seed: of the training.

    Raises:
        DataError: the test has no row with an intent, or the classifier refuses the training rows.
    """
    inside = [row for row in test if row.intent is not None]
    if not inside:
        raise DataError("the test has no row with an intent; give rows to measure on")
    family = classifier.with_seed(seed) if isinstance(classifier, SeedableClassifier) else classifier
    fitted = family.fit(rows.texts, rows.labels, rows.weights)
    texts = [row.text for row in (*inside, *(row for row in test if row.intent is None))]
    best: list[str] = []
    highest: list[float] = []
    for start in range(0, len(texts), _BATCH_ROWS):
        logps_NK = fitted.predict_log_proba(texts[start : start + _BATCH_ROWS])
        best += [fitted.classes[code] for code in cast("list[int]", logps_NK.argmax(axis=1).tolist())]
        highest += cast("list[float]", logps_NK.max(axis=1).tolist())
    labels = [str(row.intent) for row in inside]
    predicted = best[: len(inside)]
    return Trained(
        arm=arm,
        draw=draw,
        seed=seed,
        num_seeds=rows.num_seeds,
        num_kept=len(rows.texts) - rows.num_seeds,
        predicted=tuple(predicted),
        accuracy=accuracy(predicted, labels),
        # Two draws, since the mean alone is used: intervals are over trainings.
        macro_f1=float(macro_f1(predicted, labels, seed=0, draws=2).mean or 0.0),
        oos_auroc=auroc(highest, [True] * len(inside) + [False] * (len(texts) - len(inside)))
        if len(texts) > len(inside)
        else None,
    )


def compare_arms(
    trained: Sequence[Trained], test: Sequence[IntentExample], *, baseline: str = "seeds-only", level: float = 0.95
) -> tuple[ArmResult, ...]:
    """Sum up every arm, beside the baseline.

    Args:
        trained: every arm by draws and seeds that the baseline has too; an arm may have fewer, such as one that people
            reviewed in a single draw, and is compared on those.
        test: as it was given to `train_and_evaluate`.
        baseline: the arm that others are compared with.
        level: of the intervals, in (0, 1).

    Returns:
        The arms in the order in which they first come.

    Raises:
        DataError: the baseline is missing, an arm has draws or seeds that it lacks, or comes twice with one of them, or
            a training has predictions for another test.
    """
    labels = np.asarray([row.intent for row in test if row.intent is not None], dtype=object)
    by_arm: dict[str, dict[tuple[int, int], Trained]] = {}
    for one in trained:
        known = by_arm.setdefault(one.arm, {})
        if (one.draw, one.seed) in known:
            raise DataError(f"arm {one.arm!r} has draw {one.draw}, seed {one.seed} twice; keep one of the results")
        if len(one.predicted) != len(labels):
            raise DataError(
                f"arm {one.arm!r} predicts {len(one.predicted)} rows, the test has {len(labels)}; use one test"
            )
        known[one.draw, one.seed] = one
    if baseline not in by_arm:
        raise DataError(f"there is no arm {baseline!r} among {', '.join(by_arm) or 'no results'}; train it too")
    for arm, results in by_arm.items():
        if not results.keys() <= by_arm[baseline].keys():
            raise DataError(f"arm {arm!r} has other draws and seeds than {baseline!r}; train both by the same")
    return tuple(
        _arm_result(
            list(results.values()),
            _hits(results, labels),
            None if arm == baseline else _hits({key: by_arm[baseline][key] for key in results}, labels),
            _draws(results),
            level,
        )
        for arm, results in by_arm.items()
    )


def trained_to_json(trained: Trained) -> JsonObject:
    """Return the row of `results.jsonl`; predictions are kept, so that other comparisons can be made."""
    return cast("JsonObject", {**asdict(trained), "predicted": list(trained.predicted)})


def trained_from_json(row: JsonObject, *, where: str) -> Trained:
    """Read what `trained_to_json` gave.

    Args:
        row: of the file.
        where: file and line, for the message.

    Raises:
        DataError: it holds something else.
    """
    values: dict[str, Any] = dict(row)
    try:
        values["predicted"] = tuple(values["predicted"])
        values["accuracy"] = _estimate(values["accuracy"])
        if values["oos_auroc"] is not None:
            values["oos_auroc"] = _estimate(values["oos_auroc"])
        return Trained(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where}: holds no result of a training ({error}); remove the line") from error


def _estimate(row: dict[str, Any]) -> Estimate:
    values: dict[str, Any] = dict(row)
    values["unit"] = EstimateUnit(values["unit"])
    return Estimate(**values)


def _draws(results: dict[tuple[int, int], Trained]) -> list[int]:
    return [draw for draw, _ in sorted(results)]


def _hits(results: dict[tuple[int, int], Trained], labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """1 where a prediction is right, shape (trainings, N); trainings by draw and seed."""
    predicted = [results[key].predicted for key in sorted(results)]
    return (np.asarray(predicted, dtype=object) == labels).astype(np.float64)


def _arm_result(
    results: Sequence[Trained],
    hits: np.ndarray[Any, Any],
    baseline: np.ndarray[Any, Any] | None,
    draws: Sequence[int],
    level: float,
) -> ArmResult:
    num_trainings, num_rows = hits.shape
    rows = list(range(num_rows)) * num_trainings
    share = EstimateUnit.SHARE
    difference = of_draws = None
    if baseline is not None:
        difference = paired_difference(hits.ravel(), baseline.ravel(), unit=share, clusters=rows, level=level)
        first, second = _draw_means(hits.mean(axis=1), draws), _draw_means(baseline.mean(axis=1), draws)
        # Copies of one figure have no spread, and an interval of no width would claim that other draws give the same.
        num_draws = len(first) if _are_drawn(hits, draws) or _are_drawn(baseline, draws) else 1
        of_draws = paired_difference(first[:num_draws], second[:num_draws], unit=share, level=level)
    ordered = sorted(results, key=lambda one: (one.draw, one.seed))
    aurocs = [one.oos_auroc.mean for one in ordered if one.oos_auroc is not None and one.oos_auroc.mean is not None]
    return ArmResult(
        arm=ordered[0].arm,
        accuracy=mean_estimate(hits.ravel(), unit=share, clusters=rows, level=level),
        macro_f1=_over_draws([one.macro_f1 for one in ordered], draws, EstimateUnit.SHARE, level),
        oos_auroc=_over_draws(aurocs, draws, EstimateUnit.SHARE, level) if aurocs else None,
        num_kept=_over_draws([one.num_kept for one in ordered], draws, EstimateUnit.COUNT, level),
        difference=difference,
        difference_of_draws=of_draws,
    )


def _are_drawn(hits: np.ndarray[Any, Any], draws: Sequence[int]) -> bool:
    """Whether one draw differs from another, by the hits of its trainings."""
    numbers = np.asarray(draws)
    parts = [hits[numbers == draw] for draw in dict.fromkeys(draws)]
    return any(not np.array_equal(part, parts[0]) for part in parts)


def _over_draws(values: Sequence[float], draws: Sequence[int], unit: EstimateUnit, level: float) -> Estimate:
    return mean_estimate(_draw_means(np.asarray(values, dtype=np.float64), draws), unit=unit, level=level)


def _draw_means(values: np.ndarray[Any, Any], draws: Sequence[int]) -> np.ndarray[Any, Any]:
    """Mean over the training seeds of each draw."""
    numbers = np.asarray(draws)
    return np.asarray([values[numbers == draw].mean() for draw in dict.fromkeys(draws)])
