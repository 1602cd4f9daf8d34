"""The scores: what the table holds, and that a score can be checked by hand."""

import math
from dataclasses import asdict, fields

import pytest

from tw_corpus._measure import Measures, measure
from tw_corpus._page_types import (
    COUNT_CHARS,
    PRIOR_CHARS,
    PageScores,
    Scale,
    load_intercepts,
    load_weights,
    scale_measure,
    score_page,
)

TEXT = "急用錢？當日撥款免保人！馬上加LINE，名額有限。警方表示這是詐騙。"


def test_table_names_measures_once_and_holds_no_idle_row() -> None:
    names = [weight.measure for weight in load_weights()]
    assert len(set(names)) == len(names)
    assert set(names) <= {field.name for field in fields(Measures)} - {"promotion_score", "boilerplate_score"}
    assert all(weight.cap > 0 and (weight.promotion or weight.boilerplate) for weight in load_weights())


def test_table_genuine_signs_lower_both_scores() -> None:
    by_name = {weight.measure: weight for weight in load_weights()}
    for name in ("sentence_han_share", "function_char_share", "reporting_term_density", "narration_term_density"):
        assert by_name[name].promotion < 0
        assert by_name[name].boilerplate < 0


def test_score_page_is_the_logistic_of_the_weighted_sum() -> None:
    measures = asdict(measure(TEXT))
    logit = load_intercepts()[0] + sum(
        weight.promotion
        * scale_measure(
            measures[weight.measure], weight.scale, cap=weight.cap, num_written=measures["num_written_chars"]
        )
        for weight in load_weights()
    )
    assert score_page(measures).promotion == pytest.approx(1 / (1 + math.exp(-logit)))
    assert measures["promotion_score"] == score_page(measures).promotion


def test_score_page_text_without_written_characters_scores_nothing() -> None:
    assert score_page(asdict(measure(" \n"))) == PageScores(promotion=0.0, boilerplate=0.0)


@pytest.mark.parametrize("scale", list(Scale))
def test_scale_measure_runs_from_zero_to_one_and_stays(scale: Scale) -> None:
    values = [scale_measure(value, scale, cap=10.0, num_written=10**9) for value in (0.0, 2.0, 5.0, 10.0**9)]
    assert values == sorted(values)
    assert values[0] == 0
    assert values[-1] == 1 or scale is Scale.COUNT


def test_scale_measure_length_halves_a_density_and_a_count() -> None:
    density = scale_measure(8.0, Scale.DENSITY, cap=10.0, num_written=PRIOR_CHARS)
    count = scale_measure(8.0, Scale.COUNT, cap=10.0, num_written=COUNT_CHARS)
    assert density == count == math.log1p(4.0) / math.log1p(10.0)
