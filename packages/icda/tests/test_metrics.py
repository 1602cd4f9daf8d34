"""Metrics: equal to sklearn's, with intervals that can be trusted at the edges."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score, roc_auc_score

from icda import accuracy, auroc, macro_f1
from twllm_runs.statistics import clopper_pearson_interval
from twllm_types import DataError


# few distinct values, so that most cases have ties
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=60))
def test_auroc_equals_sklearn_with_ties(rows):
    scores, truth = [score / 7 for score, _ in rows], [positive for _, positive in rows]
    assume(0 < sum(truth) < len(truth))
    assert auroc(scores, truth).mean == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)


def test_auroc_error_is_delongs():
    rng = np.random.default_rng(1)
    truth = rng.random(80) < 0.4
    scores = np.round(rng.normal(size=80) + truth, 1)
    found = auroc(scores, truth)
    # the definition: variances of the placements over all pairs
    wins = (scores[truth][:, None] > scores[~truth]) + 0.5 * (scores[truth][:, None] == scores[~truth])
    variance = wins.mean(axis=1).var(ddof=1) / wins.shape[0] + wins.mean(axis=0).var(ddof=1) / wins.shape[1]
    assert found.mean is not None
    assert found.stderr == pytest.approx(np.sqrt(variance))
    assert found.ci_low == pytest.approx(found.mean - stats.norm.ppf(0.975) * np.sqrt(variance))
    assert (found.n, found.method) == (80, "delong")


def test_auroc_perfect_order_has_the_exact_interval_of_independent_pairs():
    right, wrong = auroc([1, 2, 3, 4, 5], [0, 0, 1, 1, 1]), auroc([5, 4, 3, 2, 1], [0, 0, 1, 1, 1])
    assert (right.mean, right.stderr) == (1.0, None)
    assert (right.ci_low, right.ci_high) == pytest.approx(clopper_pearson_interval(2, 2))
    assert (wrong.ci_low, wrong.ci_high) == pytest.approx(clopper_pearson_interval(0, 2))


def test_auroc_small_sides():
    one = auroc([1.0, 2.0, 3.0], [False, True, False])
    assert (one.mean, one.stderr, one.ci_low) == (0.5, None, None)
    none = auroc([1.0, 2.0], [True, True])
    assert (none.mean, none.n, none.num_unscored) == (None, 0, 2)
    assert auroc([], []).mean is None


def test_auroc_bad_columns_are_refused():
    with pytest.raises(DataError, match="give one of each per row"):
        auroc([1.0], [True, False])
    with pytest.raises(DataError, match="score of row 1 is not finite"):
        auroc([1.0, np.nan], [True, False])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_macro_f1_and_accuracy_equal_sklearn(rows):
    predicted, labels = [one for one, _ in rows], [other for _, other in rows]
    found = macro_f1(predicted, labels, seed=0, draws=10)
    expected = f1_score(labels, predicted, average="macro")
    assert found.mean == pytest.approx(expected)
    assert accuracy(predicted, labels).mean == pytest.approx(np.mean([one == other for one, other in rows]))


def test_macro_f1_interval_depends_on_the_seed_alone():
    rng = np.random.default_rng(0)
    labels = rng.choice(list("abc"), 60).tolist()
    predicted = [label if keep else "a" for label, keep in zip(labels, rng.random(60) < 0.7, strict=True)]
    first, again = macro_f1(predicted, labels, seed=5, draws=200), macro_f1(predicted, labels, seed=5, draws=200)
    assert first == again
    assert first.mean is not None
    assert first.ci_low is not None
    assert first.ci_high is not None
    assert first.ci_low < first.mean < first.ci_high
    assert macro_f1(predicted, labels, seed=6, draws=200) != first


def test_metrics_of_no_rows_have_no_mean_and_unequal_columns_are_refused():
    assert accuracy([], []).mean is None
    assert macro_f1([], [], seed=0).mean is None
    for metric in (accuracy, lambda one, other: macro_f1(one, other, seed=0)):
        with pytest.raises(DataError, match="1 predictions for 2 labels"):
            metric(["a"], ["a", "b"])
