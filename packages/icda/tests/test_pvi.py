"""Pointwise V-information: parity with the reference definition, and every refusal."""

from math import log, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from icda import label_logps, pointwise_v_information, prior_null_logps, v_information
from twllm_types import DataError, EstimateUnit

CLASSES = ("a", "b", "c", "d")


def test_pvi_hand_computed_case():
    # g[null] = 1/4 for each of four classes: -log2(1/4) = 2 bits; g' = 1/2, 1/4, 1, 1/32 -> -1, -2, 0, -5
    found = pointwise_v_information(np.log([0.5, 0.25, 1.0, 1 / 32]), np.log([0.25] * 4))
    np.testing.assert_allclose(found, [1.0, 0.0, 2.0, -3.0], atol=1e-12)


def test_pvi_equals_the_reference_definition_on_a_fitted_probe():
    # H_yb - H_yx of Ethayarajh et al.'s definition, from probabilities in float64, row by row
    rng = np.random.default_rng(3)
    labels = [CLASSES[code] for code in rng.integers(0, 4, 200)]
    features = rng.normal(size=(200, 8)) + np.array([[CLASSES.index(label)] for label in labels])
    probe = LogisticRegression(C=10, max_iter=300, tol=1e-3).fit(features, labels)
    logps = probe.predict_log_proba(features)
    null = prior_null_logps(labels, CLASSES)
    found = pointwise_v_information(label_logps(logps, labels, CLASSES), [null[CLASSES.index(x)] for x in labels])
    for row, label in enumerate(labels):
        h_yx = -log2(probe.predict_proba(features[row : row + 1])[0][CLASSES.index(label)])
        h_yb = -log2(labels.count(label) / len(labels))
        assert found[row] == pytest.approx(h_yb - h_yx, abs=1e-9)


def test_pvi_probability_zero_counts_as_the_floor():
    found = pointwise_v_information([-np.inf, log(1e-30), 0.0], [log(0.5), log(0.5), -np.inf])
    np.testing.assert_allclose(found, [1 - log2(1e12), 1 - log2(1e12), log2(1e12)])


def test_pvi_no_rows_and_a_single_null():
    assert pointwise_v_information([], []).shape == (0,)
    np.testing.assert_allclose(pointwise_v_information(np.log([1.0, 0.5]), log(0.25)), [2, 1])


def test_pvi_float32_rounding_above_zero_counts_as_zero():
    assert pointwise_v_information(np.array([2e-7], dtype=np.float32), [log(0.5)])[0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("given_logps", "null", "message"),
    [
        ([-1.0, float("nan")], [-1.0, -1.0], r"logp_with_input\[1\] is nan"),
        ([-1.0, 0.1], [-1.0, -1.0], r"logp_with_input\[1\] is 0.1"),
        ([-1.0], [0.5], r"logp_null\[0\] is 0.5"),
        ([-1.0, -1.0], [-1.0], r"shape \(2,\), logp_null \(1,\)"),
        ([[-1.0]], [[-1.0]], r"shape \(1, 1\)"),
        (-1.0, -1.0, r"shape \(\)"),
    ],
    ids=["nan", "positive", "null", "lengths", "table", "number"],
)
def test_pvi_refuses_what_are_no_log_probabilities(given_logps, null, message):
    with pytest.raises(DataError, match=message):
        pointwise_v_information(given_logps, null)


@given(st.lists(st.floats(-27, 0), min_size=1), st.floats(-27, -0.1))
def test_pvi_never_exceeds_the_information_of_the_label(logps, null):
    found = pointwise_v_information(logps, null)
    assert (found <= -null / log(2) + 1e-9).all()


def test_prior_null_logps_are_shares_and_the_floor():
    found = prior_null_logps(["a", "a", "b", "a"], CLASSES)
    np.testing.assert_allclose(np.exp(found), [0.75, 0.25, 1e-12, 1e-12])


def test_prior_null_logps_refuses_no_rows_unknown_labels_and_repeated_classes():
    with pytest.raises(DataError, match="no label"):
        prior_null_logps([], CLASSES)
    with pytest.raises(DataError, match="'x' of row 1 is none of the 4 classes"):
        prior_null_logps(["a", "x"], CLASSES)
    with pytest.raises(DataError, match="2 classes have 1 distinct"):
        prior_null_logps(["a"], ["a", "a"])


def test_label_logps_unknown_label_has_the_floor():
    table = np.log([[0.7, 0.3], [0.2, 0.8]])
    np.testing.assert_allclose(np.exp(label_logps(table, ["b", "zz"], ["a", "b"])), [0.3, 1e-12])
    np.testing.assert_allclose(np.exp(label_logps(np.empty((2, 0)), ["b", "a"], [])), [1e-12, 1e-12])


def test_label_logps_refuses_other_shapes():
    with pytest.raises(DataError, match=r"give shape \(1, 2\)"):
        label_logps(np.zeros((1, 3)), ["a"], ["a", "b"])


def test_v_information_is_the_mean_in_bits_and_intents_are_clusters():
    plain = v_information([1.0, 2.0, 3.0, 6.0])
    clustered = v_information([1.0, 2.0, 3.0, 6.0], intents=["a", "a", "b", "b"])
    assert plain.unit is EstimateUnit.BITS
    assert plain.mean == clustered.mean == 3.0
    assert (plain.num_clusters, clustered.num_clusters) == (None, 2)
    assert v_information([]).mean is None
