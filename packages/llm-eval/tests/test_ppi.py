"""Prediction-powered means: the formula, its edges, and coverage where the truth is known."""

from math import sqrt
from typing import Any

import numpy as np
import pytest
from scipy import stats

from llm_eval.statistics import ppi_mean, simulate_coverage
from twllm_types import ConfigError, DataError


def invent(num_labelled: int = 40, num_unlabelled: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    y = rng.normal(3, 1, size=num_labelled + num_unlabelled)
    f = 20 * y + 10 * rng.normal(size=y.size) + 7
    return y[:num_labelled], f[:num_labelled], f[num_labelled:]


def test_ppi_mean_follows_the_paper() -> None:
    y, f, others = invent()
    n, size = y.size, others.size
    found = ppi_mean(y, f, others)
    assert found is not None
    variance = np.concatenate([f, others]).var(ddof=1)
    weight = np.cov(y, f)[0, 1] / ((1 + n / size) * variance)
    assert found.weight == pytest.approx(weight)
    # Two degrees of freedom are gone where the paper takes n.
    stderr = sqrt((y - weight * f).var(ddof=2) / n + weight**2 * others.var(ddof=1) / size)
    assert found.corrected.stderr == pytest.approx(stderr)
    reach = stats.t.ppf(0.975, n - 1) * stderr
    point = y.mean() + weight * (others.mean() - f.mean())
    assert found.corrected.mean == pytest.approx(point)
    assert found.corrected.ci_high == pytest.approx(point + reach)
    assert found.corrected.method.startswith("PPI++")
    assert (found.num_labelled, found.num_unlabelled, found.corrected.n) == (40, 400, 440)
    assert (found.num_labelled_units, found.few_labelled_units) == (40, False)


def test_ppi_mean_is_narrower_than_people_alone_and_beside_both() -> None:
    y, f, others = invent()
    found = ppi_mean(y, f, others)
    assert found is not None
    assert found.corrected.stderr is not None
    assert found.human.stderr is not None
    assert found.corrected.stderr < 0.7 * found.human.stderr
    assert found.human.mean == pytest.approx(y.mean())
    assert found.judge.mean == pytest.approx(np.concatenate([f, others]).mean())


def test_ppi_mean_another_scale_or_sign_of_the_judge_changes_nothing() -> None:
    y, f, others = invent()
    one, other = ppi_mean(y, f, others), ppi_mean(y, -3 * f + 5, -3 * others + 5)
    assert one is not None
    assert other is not None
    assert other.corrected.mean == pytest.approx(one.corrected.mean)
    assert other.corrected.stderr == pytest.approx(one.corrected.stderr)
    assert other.weight == pytest.approx(-one.weight / 3)


def test_ppi_mean_constant_judge_leaves_the_human_mean() -> None:
    y, f, others = invent()
    found = ppi_mean(y, 0 * f, 0 * others)
    assert found is not None
    assert found.weight == 0
    assert found.corrected.mean == pytest.approx(y.mean())


def test_ppi_mean_one_unlabelled_item_has_the_variance_of_all() -> None:
    y, f, others = invent()
    found = ppi_mean(y, f, others[:1])
    assert found is not None
    assert found.num_unlabelled == 1
    spread = np.append(f, others[0]).var(ddof=1)
    expected = (y - found.weight * f).var(ddof=2) / 40 + found.weight**2 * spread
    assert found.corrected.stderr == pytest.approx(sqrt(expected))


def test_ppi_mean_clusters_of_one_item_are_plain() -> None:
    y, f, others = invent()
    plain = ppi_mean(y, f, others)
    alone = ppi_mean(y, f, others, clusters=list(range(40)), unlabelled_clusters=list(range(40, 440)))
    assert plain is not None
    assert alone is not None
    assert alone.weight == pytest.approx(plain.weight)
    assert alone.corrected.mean == pytest.approx(plain.corrected.mean)
    assert alone.corrected.stderr == pytest.approx(plain.corrected.stderr)
    assert alone.corrected.ci_low == pytest.approx(plain.corrected.ci_low)
    assert alone.corrected.num_clusters == 440
    assert "clustered" in alone.corrected.method


def test_ppi_mean_clusters_across_both_parts_hold_the_truth() -> None:
    rng = np.random.default_rng(8)
    trials, num_clusters, size = 400, 12, 4
    held = 0
    for _ in range(trials):
        shared = rng.normal(size=(num_clusters, 1))
        y = 3 + shared + rng.normal(size=(num_clusters, size))
        f = y + rng.normal(size=y.shape)
        labels = np.repeat(np.arange(num_clusters), size).reshape(y.shape)
        found = ppi_mean(
            y[:, 0],
            f[:, 0],
            f[:, 1:].ravel(),
            clusters=labels[:, 0].tolist(),
            unlabelled_clusters=labels[:, 1:].ravel().tolist(),
        )
        assert found is not None
        assert found.corrected.ci_low is not None
        assert found.corrected.ci_high is not None
        held += found.corrected.ci_low <= 3 <= found.corrected.ci_high
    assert held / trials == pytest.approx(0.95, abs=3 * sqrt(0.95 * 0.05 / trials))


def test_ppi_mean_fewer_than_ten_clusters_are_said() -> None:
    y, f, others = invent()
    labels = [at // 5 for at in range(440)]
    found = ppi_mean(y, f, others, clusters=labels[:40], unlabelled_clusters=labels[40:])
    assert found is not None
    assert (found.num_labelled_units, found.few_labelled_units) == (8, True)


def test_ppi_mean_copies_in_a_cluster_add_nothing() -> None:
    y, f, others = invent()
    once = ppi_mean(y, f, others, clusters=list(range(40)), unlabelled_clusters=list(range(40, 440)))
    thrice = ppi_mean(
        np.repeat(y, 3),
        np.repeat(f, 3),
        np.repeat(others, 3),
        clusters=np.repeat(np.arange(40), 3).tolist(),
        unlabelled_clusters=np.repeat(np.arange(40, 440), 3).tolist(),
    )
    assert once is not None
    assert thrice is not None
    assert thrice.corrected.stderr == pytest.approx(once.corrected.stderr)
    assert thrice.corrected.mean == pytest.approx(once.corrected.mean)


def test_ppi_mean_without_what_it_needs_is_none() -> None:
    y, f, others = invent()
    assert ppi_mean(y, f, []) is None
    assert ppi_mean(y[:2], f[:2], others) is None
    assert ppi_mean(y[:3], f[:3], others) is not None
    assert ppi_mean([], [], others) is None
    assert ppi_mean(y, f, others, clusters=["a"] * 40, unlabelled_clusters=["b"] * 400) is None


def test_ppi_mean_bad_input_is_refused() -> None:
    y, f, others = invent()
    with pytest.raises(DataError, match="only one of clusters"):
        ppi_mean(y, f, others, clusters=["a"] * 40)
    with pytest.raises(DataError, match="40 and 3 values"):
        ppi_mean(y, f[:3], others)
    with pytest.raises(ConfigError, match="level 2"):
        ppi_mean(y, f, others, level=2)


@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"num_labelled": 30, "agreement": 0.2},
        {"num_labelled": 5},
        {"num_labelled": 30, "cluster_size": 5},
        {"num_labelled": 20, "cluster_size": 2},
    ],
    ids=["plain", "few and bad", "five", "6 clusters of 5", "10 clusters of 2"],
)
def test_ppi_mean_covers_the_truth_as_often_as_it_says(setting: dict[str, Any]) -> None:
    found = simulate_coverage(seed=5, num_trials=300, num_unlabelled=300, **setting)
    # three standard errors of a share of 300; the old clustered interval held .90 of the truths
    assert found.corrected == pytest.approx(0.95, abs=3 * sqrt(0.95 * 0.05 / 300))
    assert found.judge < 0.2
    assert found.width_ratio < 1.03
    assert found.num_trials == 300


def test_simulate_coverage_without_enough_items_is_refused() -> None:
    with pytest.raises(ConfigError, match="three labelled units"):
        simulate_coverage(seed=1, num_labelled=1, num_trials=1)


@pytest.mark.parametrize("name", ["human", "judge", "unlabelled"])
def test_ppi_mean_of_numbers_whose_squares_overflow_is_refused(name: str) -> None:
    y, f, others = invent()
    columns = {"human": y, "judge": f, "unlabelled": others}
    columns[name] = np.where(np.arange(columns[name].size) == 7, 1e308, columns[name])
    with pytest.raises(DataError, match=rf"{name}\[7\] is 1e\+308.* smaller scale"):
        ppi_mean(columns["human"], columns["judge"], columns["unlabelled"])


@pytest.mark.parametrize("scale", [2.0**-600, 2.0**300])
def test_ppi_mean_of_a_judge_of_tiny_or_huge_numbers_is_the_same(scale: float) -> None:
    # such as likelihoods of whole texts
    y, f, others = invent()
    one, other = ppi_mean(y, f, others), ppi_mean(y, scale * f, scale * others)
    assert one is not None
    assert other is not None
    assert other.corrected == one.corrected
    assert other.weight == one.weight / scale


def test_ppi_mean_of_a_judge_too_small_to_weigh_is_the_human_mean() -> None:
    y, f, others = invent()
    found = ppi_mean(1e90 * y, 2.0**-1060 * f, 2.0**-1060 * others)
    assert found is not None
    assert found.weight == 0
    assert found.corrected.mean == pytest.approx(1e90 * y.mean())


def test_ppi_mean_of_a_constant_that_no_float_holds_has_no_weight() -> None:
    # The mean of 14 times 0.1 is not 0.1, and a mean to 12 digits is not its float: neither is a variance of the judge.
    y, _, _ = invent(14)
    for labelled, unlabelled in ((0.1, 0.1), (0.333333333333, 1 / 3)):
        found = ppi_mean(y, [labelled] * 14, [unlabelled] * 440)
        assert found is not None
        assert found.weight == 0
        assert found.corrected.mean == y.mean()
