"""Means that are equal but for the order of a sum: they tie, on every version of Python."""

import pytest

from llm_eval._correlation import CorrelationMethod, correlate
from llm_eval._judge_summary import overall_value
from llm_eval._judgements import DimensionScore, ScoreMethod
from llm_eval._meta_evaluate import meta_evaluate
from llm_eval._meta_evaluation import Clustering, EvaluationLevel
from llm_eval._ratings import RatedItem, Ratings

S, K = CorrelationMethod.SPEARMAN, CorrelationMethod.KENDALL


def test_rated_item_mean_does_not_depend_on_the_order_of_the_raters() -> None:
    # Plain sums of these differ in the last digit, and so would break a tie.
    values = (0.1, 0.7, 0.2, 0.3, 1e16, -1e16)
    one, other = (RatedItem(id="a", ratings={"overall": row}) for row in (values, values[::-1]))
    assert one.mean("overall") == other.mean("overall") == pytest.approx(1.3 / 6)


def test_overall_value_does_not_depend_on_the_order_of_the_dimensions() -> None:
    values = {"a": 0.1, "b": 0.7, "c": 0.2, "d": 1e16, "e": -1e16}
    scores = {
        name: DimensionScore(
            value=value, verdict=None, method=ScoreMethod.ARGMAX, captured_mass=None, probabilities=None, num_samples=1
        )
        for name, value in values.items()
    }
    backwards = dict(reversed(scores.items()))
    assert overall_value(scores, {}) == overall_value(backwards, {}) == pytest.approx(0.2)


def test_meta_evaluate_means_equal_but_for_rounding_are_ties() -> None:
    # 0.1 + 0.2 is not 0.3 in floats, and a mean of three times 0.3 is not 0.3 by every sum.
    given = {"a": (0.1, 0.2), "b": (0.3, 0.0), "c": (0.2, 0.6), "d": (0.5, 0.4)}
    ratings = Ratings(
        items={key: RatedItem(id=key, ratings={"overall": row}) for key, row in given.items()}, scales={}, verdicts={}
    )
    scores = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    judged = {key: {"overall": value} for key, value in scores.items()}
    one = meta_evaluate(judged, ratings, draws=2, clustering=Clustering.NONE).judges[0].dimensions[0]
    expected = correlate([1, 2, 3, 4], [1, 1, 2, 3], S)
    assert one.correlations[S].correlation.value == pytest.approx(expected.value)


def test_meta_evaluate_of_systems_keeps_ties_of_their_means() -> None:
    given = {"a": (0.1, 0.2, 0.3), "b": (0.3, 0.2, 0.1), "c": (0.7, 0.1, 0.1), "d": (0.2, 0.2, 0.2)}
    items = {
        f"{name}{at}": RatedItem(id=f"{name}{at}", ratings={"overall": (value,)}, system=name)
        for name, row in given.items()
        for at, value in enumerate(row)
    }
    judged = {key: {"overall": float("abcd".index(key[0]))} for key in items}
    one = (
        meta_evaluate(judged, Ratings(items=items, scales={}, verdicts={}), level=EvaluationLevel.SYSTEM, draws=2)
        .judges[0]
        .dimensions[0]
    )
    assert one.correlations[K].correlation.value == pytest.approx(correlate([0, 1, 2, 3], [1, 1, 2, 1], K).value)
