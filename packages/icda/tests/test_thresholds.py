"""Thresholds: every rule, fallbacks, and the law that the null model cancels."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from icda import EstimatedOn, class_thresholds, pointwise_v_information, self_confidence_thresholds
from twllm_types import ConfigError, DataError

PVI = [1.0, 2.0, 6.0, -1.0, 3.0]
LABELS = ["a", "a", "a", "b", "b"]
HELD_OUT = EstimatedOn.VALIDATION


@pytest.mark.parametrize(
    ("options", "expected", "overall"),
    [
        ({}, {"a": 3.0, "b": 1.0}, 2.2),
        ({"rule": "median"}, {"a": 2.0, "b": 1.0}, 2.0),
        ({"rule": "quantile", "quantile": 0.25}, {"a": 1.5, "b": 0.0}, 1.0),
        ({"rule": "global"}, {}, 2.2),
        ({"shrinkage": 3.0}, {"a": (9 + 6.6) / 6, "b": (2 + 6.6) / 5}, 2.2),
        ({"min_count": 3}, {"a": 3.0}, 2.2),
    ],
    ids=["mean", "median", "quantile", "global", "shrunk", "min_count"],
)
def test_class_thresholds_rules(options, expected, overall):
    found = class_thresholds(PVI, LABELS, estimated_on=HELD_OUT, **options)
    assert found.global_ == pytest.approx(overall)
    assert dict(found.per_class) == pytest.approx(expected)
    assert found.num_rows == 5
    assert found.estimated_on is EstimatedOn.VALIDATION


def test_class_thresholds_intent_without_rows_takes_the_global_one_and_says_so():
    found = class_thresholds(PVI, LABELS, estimated_on="cross_fit", classes=["c", "b", "a"], min_count=3)
    assert found.from_global == ("b", "c")
    assert found.counts == {"c": 0, "b": 2, "a": 3}
    assert found.of("c") == found.of("never heard of") == found.global_
    np.testing.assert_allclose(found.per_code(["a", "c"]), [3.0, 2.2])


def test_class_thresholds_global_rule_has_no_fallbacks():
    assert (
        class_thresholds(PVI, LABELS, estimated_on=HELD_OUT, rule="global", classes=["a", "b", "c"]).from_global == ()
    )


@pytest.mark.parametrize(
    ("pvi", "labels", "options", "error", "message"),
    [
        ([], [], {}, DataError, "and a row"),
        ([1.0], ["a", "b"], {}, DataError, "2 labels"),
        ([1.0, float("inf")], ["a", "b"], {}, DataError, r"row 1 \('b'\) is inf"),
        ([1.0], ["a"], {"classes": ["b"]}, DataError, "'a' of row 0"),
        ([1.0], ["a"], {"rule": "mode"}, ConfigError, "no threshold rule 'mode'"),
        ([1.0], ["a"], {"estimated_on": "test"}, ConfigError, "no source of thresholds"),
        ([1.0], ["a"], {"quantile": 0.5}, ConfigError, "quantile is 0.5 for the rule mean"),
        ([1.0], ["a"], {"rule": "quantile"}, ConfigError, "quantile is None"),
        ([1.0], ["a"], {"rule": "quantile", "quantile": 1.5}, ConfigError, "quantile is 1.5"),
        ([1.0], ["a"], {"shrinkage": -1}, ConfigError, "shrinkage is -1"),
        ([1.0], ["a"], {"min_count": 0}, ConfigError, "min_count is 0"),
    ],
    ids=["empty", "lengths", "inf", "class", "rule", "source", "mean-q", "no-q", "q", "shrinkage", "count"],
)
def test_class_thresholds_bad_input_is_refused(pvi, labels, options, error, message):
    with pytest.raises(error, match=message):
        class_thresholds(pvi, labels, **{"estimated_on": HELD_OUT, **options})


def test_thresholds_made_by_hand_must_be_finite():
    found = class_thresholds(PVI, LABELS, estimated_on=HELD_OUT)
    with pytest.raises(DataError, match="finite values"):
        replace(found, global_=float("nan"))
    with pytest.raises(DataError, match="at least one row"):
        replace(found, num_rows=0)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(-20, 0)), min_size=1, max_size=30),
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(-20, 0)), max_size=30),
    st.fixed_dictionaries({name: st.floats(-20, -0.01) for name in "abc"}),
    st.sampled_from([{"rule": "mean"}, {"rule": "median"}, {"rule": "quantile", "quantile": 0.3}]),
)
def test_class_thresholds_cancel_the_null_model(held_out, candidates, null, options):
    # PVI(x*, y) > threshold of y, with any null model, exactly where log g'[x*](y) > the same rule over log g'[x](y)
    labels = [label for label, _ in held_out]
    logps = [logp for _, logp in held_out]
    with_null = class_thresholds(
        pointwise_v_information(logps, [null[label] for label in labels]), labels, estimated_on=HELD_OUT, **options
    )
    without = class_thresholds(np.array(logps) / log(2), labels, estimated_on=HELD_OUT, **options)
    for label, logp in candidates:
        assume(label in with_null.per_class)
        margin = logp / log(2) - without.of(label)
        # the identity is one of real numbers: leave out what rounding alone decides
        assume(abs(margin) > 1e-9)
        pvi = pointwise_v_information([logp], [null[label]])[0]
        assert (pvi > with_null.of(label)) == (margin > 0)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(1e-6, 1)), min_size=1))
def test_self_confidence_thresholds_are_the_mean_probability_and_never_below_the_geometric_mean(rows):
    labels, probabilities = [label for label, _ in rows], np.array([p for _, p in rows])
    found = self_confidence_thresholds(np.log(probabilities), labels, estimated_on=HELD_OUT)
    geometric = class_thresholds(np.log(probabilities) / log(2), labels, estimated_on=HELD_OUT)
    for label in set(labels):
        own = probabilities[[one == label for one in labels]]
        assert found.of(label) == pytest.approx(own.mean())
        assert 2 ** geometric.of(label) <= found.of(label) + 1e-12


def test_self_confidence_thresholds_classes_without_rows_take_the_mean_of_all():
    found = self_confidence_thresholds(
        np.log([0.2, 0.6]), ["a", "b"], estimated_on="cross_fit", classes=["a", "b", "c"]
    )
    assert found.of("c") == pytest.approx(0.4)
    assert found.from_global == ("c",)
