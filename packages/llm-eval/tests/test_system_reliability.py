"""Agreement of people on the means of systems: the formula, its edges, and who may be above it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_eval._correlation import CorrelationMethod, correlate
from llm_eval._meta_evaluate import meta_evaluate
from llm_eval._meta_evaluation import EvaluationLevel
from llm_eval._ratings import RatedItem, Ratings
from llm_eval._reliability import NoReliability, leave_one_rater_out, reliability
from llm_eval.statistics import SystemColumns, system_rater_baseline, system_reliability
from twllm_types import DataError

NAMES = tuple("abcde")
NUM_ITEMS = 40


def invent(*, spread: float, seed: int = 4) -> NDArray[np.float64]:
    """Ratings of shape (systems, items, raters) of systems whose merits differ by `spread`."""
    rng = np.random.default_rng(seed)
    merit = spread * np.arange(len(NAMES))[:, None, None]
    return merit + rng.normal(size=(len(NAMES), NUM_ITEMS, 1)) + 2 * rng.normal(size=(len(NAMES), NUM_ITEMS, 3))


def of_systems(labels: list[int]) -> SystemColumns:
    return SystemColumns.of([NAMES[label] for label in labels])


def every_item() -> SystemColumns:
    return of_systems(np.repeat(np.arange(len(NAMES)), NUM_ITEMS).tolist())


def test_system_reliability_of_one_item_each_is_that_of_items() -> None:
    rows = invent(spread=0.5)[:, 0].tolist()
    found, items = system_reliability(rows, of_systems([0, 1, 2, 3, 4]), seed=1), reliability(rows, seed=1)
    assert found.icc_mean == pytest.approx(items.icc_mean)
    assert found.icc_single == pytest.approx(items.icc_single)
    assert (found.n, found.num_ratings, found.reason) == (5, 15, None)


def test_system_reliability_is_the_share_that_raters_do_not_make() -> None:
    ratings = invent(spread=0.5)
    found = system_reliability(ratings.reshape(-1, 3).tolist(), every_item(), seed=1, draws=50)
    error = ratings.var(axis=2, ddof=1).mean() / (3 * NUM_ITEMS)
    expected = 1 - error / ratings.mean(axis=(1, 2)).var(ddof=1)
    assert found.icc_mean == pytest.approx(expected)
    assert found.ceiling is not None
    assert found.ceiling.mean == pytest.approx(expected**0.5)
    assert (found.ceiling.n, found.ceiling.num_clusters, found.raters_per_item) == (5, None, 3)
    assert "5 systems" in found.ceiling.method
    assert "200 items" in found.ceiling.method


def test_system_reliability_predicts_the_correlation_of_two_panels() -> None:
    gaps: list[float] = []
    for seed in range(200):
        first = invent(spread=0.15, seed=seed)
        again = np.random.default_rng(1000 + seed)
        # A second panel sees the same items, so that only the raters' errors differ.
        second = _truth(seed) + 2 * again.normal(size=first.shape)
        found = system_reliability(first.reshape(-1, 3).tolist(), every_item(), seed=1, draws=2)
        x, y = first.mean(axis=(1, 2)), second.mean(axis=(1, 2))
        gaps.append((found.icc_mean or 0.0) * x.var(ddof=1) - float(np.cov(x, y)[0, 1]))
    # The reliable part of the variance is the covariance of the two panels, in the mean.
    assert np.mean(gaps) == pytest.approx(0, abs=4 * np.std(gaps) / np.sqrt(len(gaps)))


def _truth(seed: int) -> NDArray[np.float64]:
    """What `invent` adds the raters' errors to."""
    rng = np.random.default_rng(seed)
    return 0.15 * np.arange(len(NAMES))[:, None, None] + rng.normal(size=(len(NAMES), NUM_ITEMS, 1))


def test_system_reliability_clusters_are_drawn_whole() -> None:
    rows = invent(spread=0.5).reshape(-1, 3).tolist()
    found = system_reliability(rows, every_item(), clusters=list(range(NUM_ITEMS)) * 5, seed=1, draws=50)
    assert found.ceiling is not None
    assert found.ceiling.ci_low is not None
    assert "clustered: 40 clusters" in found.ceiling.method
    alone = system_reliability(rows, every_item(), clusters=["one"] * len(rows), seed=1, draws=50)
    assert alone.ceiling is not None
    assert alone.ceiling.ci_low is None
    assert "no error: one cluster" in alone.ceiling.method


def test_system_reliability_draws_that_lose_a_system_are_left_out_and_counted() -> None:
    rows = invent(spread=0.5)[:, 0].tolist()
    found = system_reliability(rows, of_systems([0, 1, 2, 3, 4]), seed=1, draws=200)
    assert found.ceiling is not None
    assert "of 200 draws undefined and left out" in found.ceiling.method


@pytest.mark.parametrize(
    ("rows", "labels", "reason"),
    [
        ([[1.0, 2.0], [3.0, 4.0]], [0, 0], NoReliability.TOO_FEW_ITEMS),
        ([[1.0], [3.0]], [0, 1], NoReliability.ONE_RATING_EACH),
        ([[1.0, 3.0], [2.0, 2.0]], [0, 1], NoReliability.CONSTANT_RATINGS),
    ],
)
def test_system_reliability_undefined_has_a_reason(
    rows: list[list[float]], labels: list[int], reason: NoReliability
) -> None:
    found = system_reliability(rows, of_systems(labels), seed=1)
    assert (found.reason, found.icc_mean, found.icc_single, found.ceiling) == (reason, None, None, None)


def test_system_reliability_item_without_a_rating_is_refused() -> None:
    with pytest.raises(DataError, match="no rating"):
        system_reliability([[1.0, 2.0], []], of_systems([0, 1]), seed=1)


def test_system_rater_baseline_correlates_means_of_systems() -> None:
    ratings = invent(spread=0.3)
    rows = ratings.reshape(-1, 3).tolist()
    for method in CorrelationMethod:
        expected = [
            correlate(
                ratings[..., position].mean(axis=1),
                np.delete(ratings, position, axis=2).mean(axis=(1, 2)),
                method,
            ).value
            for position in range(3)
        ]
        found = system_rater_baseline(rows, every_item(), method)
        assert found.value == pytest.approx(np.mean([value for value in expected if value is not None]))
        assert found.num_averaged == 3
    pearson = CorrelationMethod.PEARSON
    assert (system_rater_baseline(rows, every_item(), pearson).value or 0) > (
        leave_one_rater_out(rows, pearson).value or 1
    )


def test_system_rater_baseline_leaves_out_systems_of_one_rating() -> None:
    rows = [[1.0, 2.0], [2.0, 3.0], [4.0, 4.0], [5.0]]
    found = system_rater_baseline(rows, of_systems([0, 1, 2, 3]), CorrelationMethod.PEARSON)
    assert found.value == pytest.approx(correlate([1, 2, 4], [2, 3, 4], CorrelationMethod.PEARSON).value)


def test_meta_evaluate_of_systems_has_a_ceiling_of_systems() -> None:
    ratings = invent(spread=0.5)
    merit = {f"{name}{at}": 0.5 * NAMES.index(name) for name in NAMES for at in range(NUM_ITEMS)}
    items = {
        f"{name}{at}": RatedItem(
            id=f"{name}{at}", ratings={"overall": tuple(ratings[system, at].tolist())}, system=name, cluster=str(at)
        )
        for system, name in enumerate(NAMES)
        for at in range(NUM_ITEMS)
    }
    found = meta_evaluate(
        {key: {"overall": value} for key, value in merit.items()},
        Ratings(items=items, scales={}, verdicts={}),
        level=EvaluationLevel.SYSTEM,
        draws=50,
    )
    one = found.judges[0].dimensions[0]
    ceiling = one.reliability.ceiling
    result = one.correlations[CorrelationMethod.PEARSON]
    assert ceiling is not None
    assert result.by_clusters is not None
    assert result.by_items is not None
    assert (one.n, one.reliability.n, ceiling.n, result.by_items.n, result.by_clusters.n) == (5, 5, 5, 5, 5)
    # Of items the ceiling is .8; the means of systems are known far better.
    assert (ceiling.mean or 0) > 0.95
    assert (result.correlation.value or 0) > 0.9
    assert (one.rater_baseline[CorrelationMethod.PEARSON].value or 0) > 0.9


def test_system_figures_of_ratings_whose_squares_overflow_are_refused() -> None:
    rows, systems = [[1.0, 2.0], [1e308, 2.0]], of_systems([0, 1])
    with pytest.raises(DataError, match=r"1e\+308 in row 1.* smaller scale"):
        system_reliability(rows, systems, seed=1)
    with pytest.raises(DataError, match=r"1e\+308 in row 1.* smaller scale"):
        system_rater_baseline(rows, systems, CorrelationMethod.PEARSON)


def test_system_columns_of_labels_leave_out_items_without_a_system() -> None:
    found = SystemColumns.of(["b", None, "a", "b"])
    assert found.names == ("a", "b")
    assert found.means(np.array([1.0, 9.0, 2.0, 3.0]), np.ones((1, 4))).tolist() == [[2.0, 2.0]]


def test_system_figures_of_systems_that_do_not_fit_are_refused() -> None:
    rows, systems = [[1.0, 2.0], [2.0, 3.0]], of_systems([0, 1, 1])
    with pytest.raises(DataError, match="systems of 3 items, ratings of 2"):
        system_reliability(rows, systems, seed=1)
    with pytest.raises(DataError, match="systems of 3 items, ratings of 2"):
        system_rater_baseline(rows, systems, CorrelationMethod.PEARSON)
