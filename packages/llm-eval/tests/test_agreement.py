"""Kappa and alpha against published examples and hand-computed tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_eval._agreement import AlphaLevel, KappaWeights, NoAgreement, cohen_kappa, krippendorff_alpha
from twllm_types import ConfigError, DataError, EstimateUnit

# Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section E: four observers, twelve units.
KRIPPENDORFF = [
    [1, 1, None, 1],
    [2, 2, 3, 2],
    [3, 3, 3, 3],
    [3, 3, 3, 3],
    [2, 2, 2, 2],
    [1, 2, 3, 4],
    [4, 4, 4, 4],
    [1, 1, 2, 1],
    [2, 2, 2, 2],
    [None, 5, 5, 5],
    [None, None, 1, 1],
    [None, None, 3, None],
]


@pytest.mark.parametrize(
    ("scale", "published"), [(AlphaLevel.NOMINAL, 0.743), (AlphaLevel.ORDINAL, 0.815), (AlphaLevel.INTERVAL, 0.849)]
)
def test_alpha_published_example(scale: AlphaLevel, published: float) -> None:
    found = krippendorff_alpha(KRIPPENDORFF, scale=scale, seed=1, draws=300)
    assert found.estimate is not None
    assert found.estimate.mean == pytest.approx(published, abs=0.0005)
    assert (found.n, found.reason) == (11, None)
    assert found.estimate.ci_low is not None
    assert found.estimate.ci_high is not None
    assert found.estimate.ci_low < published < found.estimate.ci_high <= 1
    assert found.estimate.unit is EstimateUnit.CORRELATION
    assert scale.value in found.estimate.method


def table(counts: list[list[int]]) -> tuple[list[float], list[float]]:
    cells = [(float(i), float(j)) for i, row in enumerate(counts) for j, count in enumerate(row) for _ in range(count)]
    return [a for a, _ in cells], [b for _, b in cells]


def test_kappa_by_hand() -> None:
    # 50 items: 20 + 15 agree, expected 0.5 x 0.6 + 0.5 x 0.4 = 0.5; (0.7 - 0.5) / 0.5
    first, second = table([[20, 5], [10, 15]])
    found = cohen_kappa(first, second, seed=1, draws=300)
    assert found.estimate is not None
    assert found.estimate.mean == pytest.approx(0.4)
    assert found.estimate.ci_low is not None
    assert found.estimate.ci_low < 0.4


def test_kappa_weights_by_hand() -> None:
    # Cells (0,0) 4, (0,1) 2, (1,1) 3, (2,0) 1, (2,2) 2 of 12; rows 6, 3, 3; columns 5, 5, 2.
    first, second = table([[4, 2, 0], [0, 3, 0], [1, 0, 2]])
    expected = {
        KappaWeights.PLAIN: 1 - 12 * 3 / (144 - (6 * 5 + 3 * 5 + 3 * 2)),
        KappaWeights.LINEAR: 1 - 12 * (2 + 2) / (6 * 5 + 2 * 6 * 2 + 3 * 5 + 3 * 2 + 2 * 3 * 5 + 3 * 5),
        KappaWeights.QUADRATIC: 1 - 12 * (2 + 4) / (6 * 5 + 4 * 6 * 2 + 3 * 5 + 3 * 2 + 4 * 3 * 5 + 3 * 5),
    }
    for weights, value in expected.items():
        found = cohen_kappa(first, second, weights=weights, seed=1, draws=20)
        assert found.estimate is not None
        assert found.estimate.mean == pytest.approx(value)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=30))
def test_kappa_of_two_categories_knows_no_weights(rows: list[tuple[int, int]]) -> None:
    first, second = [float(a) for a, _ in rows], [float(b) for _, b in rows]
    values = [cohen_kappa(first, second, weights=weights, seed=1, draws=2).estimate for weights in KappaWeights]
    means = [None if one is None else pytest.approx(one.mean) for one in values]
    assert means[0] == means[1] == means[2] or values[0] is None


def test_kappa_extra_category_counts_as_a_step() -> None:
    first, second = table([[3, 1], [1, 3]])
    moved = [2 * value for value in second]
    plain = cohen_kappa(first, second, weights=KappaWeights.LINEAR, seed=1, draws=5).estimate
    wide = cohen_kappa(
        [2 * value for value in first], moved, categories=[0, 1, 2], weights=KappaWeights.LINEAR, seed=1, draws=5
    ).estimate
    assert plain is not None
    assert wide is not None
    assert plain.mean == pytest.approx(wide.mean)


def test_kappa_clusters_widen_the_interval_of_copies() -> None:
    first, second = table([[4, 2], [2, 4]])
    copies = [value for value in first for _ in range(5)], [value for value in second for _ in range(5)]
    labels = [at // 5 for at in range(60)]
    plain = cohen_kappa(*copies, seed=1).estimate
    clustered = cohen_kappa(*copies, clusters=labels, seed=1).estimate
    assert plain is not None
    assert clustered is not None
    assert plain.stderr is not None
    assert clustered.stderr is not None
    assert clustered.stderr > 1.8 * plain.stderr
    assert clustered.num_clusters == 12


def test_agreement_undefined_has_a_reason() -> None:
    assert cohen_kappa([], [], seed=1).reason is NoAgreement.NO_ITEMS
    assert cohen_kappa([1.0, 1.0], [1.0, 1.0], seed=1).reason is NoAgreement.ONE_CATEGORY
    assert krippendorff_alpha([], seed=1).reason is NoAgreement.NO_ITEMS
    assert krippendorff_alpha([[1.0, None], [2.0]], seed=1).reason is NoAgreement.NO_ITEMS
    same = krippendorff_alpha([[1.0, 1.0], [1.0, 1.0], [2.0, None]], seed=1)
    assert (same.reason, same.estimate, same.n) == (NoAgreement.ONE_CATEGORY, None, 2)


def test_agreement_draws_without_a_value_are_counted() -> None:
    found = krippendorff_alpha([[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]], seed=1, draws=100)
    assert found.estimate is not None
    assert "of 100 draws undefined and left out" in found.estimate.method


def test_agreement_one_cluster_has_no_interval() -> None:
    found = cohen_kappa([1.0, 2.0], [1.0, 1.0], clusters=["a", "a"], seed=1, draws=10)
    assert found.estimate is not None
    assert found.estimate.ci_low is None
    assert "no error" in found.estimate.method


def test_agreement_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="1 and 2 values"):
        cohen_kappa([1.0], [1.0, 2.0], seed=1)
    with pytest.raises(DataError, match=r"3\.0 is none of the categories"):
        cohen_kappa([1.0], [3.0], categories=[1.0, 2.0], seed=1)
    with pytest.raises(DataError, match="not finite"):
        krippendorff_alpha([[1.0, float("nan")]], seed=1)
    with pytest.raises(ConfigError, match="draws"):
        cohen_kappa([1.0], [1.0], seed=1, draws=0)
    with pytest.raises(ConfigError, match="level"):
        krippendorff_alpha([[1.0, 2.0]], seed=1, level=0)


def test_alpha_of_ratings_whose_squares_overflow_is_refused() -> None:
    with pytest.raises(DataError, match=r"1e\+308 in row 1.* smaller scale"):
        krippendorff_alpha([[1.0, 2.0], [2.0, 1e308]], seed=1, scale=AlphaLevel.INTERVAL)
