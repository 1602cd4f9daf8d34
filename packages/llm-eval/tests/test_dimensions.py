"""Dimensions: names, meanings and what one answer can hold."""

import pytest

from llm_eval._dimensions import (
    PAPER_DIMENSIONS,
    Dimension,
    check_dimensions,
    dimension_from_json,
    dimension_to_json,
)
from llm_eval._scales import SCALE_0_5, SCALE_0_5_INT, parse_scale
from twllm_types import ConfigError


def test_paper_dimensions_are_the_four_of_the_paper_in_order():
    assert [one.name for one in PAPER_DIMENSIONS] == ["content", "grammar", "relevance", "appropriateness"]
    assert all(one.definition is None and one.levels == () for one in PAPER_DIMENSIONS)


@pytest.mark.parametrize(
    "dimension",
    [
        Dimension(name="relevance"),
        Dimension(name="切題", definition="回應是否切合前文", levels=((0, "離題"), (5, "完全切題"))),
        Dimension(name="tone", levels=(("good", "kind"), ("bad", "rude"))),
    ],
)
def test_dimension_json_round_trips(dimension):
    assert dimension_from_json(dimension_to_json(dimension)) == dimension


def test_dimension_from_json_mapping_of_levels_reads_numbers_and_words():
    assert dimension_from_json("fluency") == Dimension(name="fluency")
    read = dimension_from_json({"name": "fluency", "levels": {"0": "broken", "4.5": "fine", "good": "as meant"}})
    assert read.levels == ((0.0, "broken"), (4.5, "fine"), ("good", "as meant"))


@pytest.mark.parametrize(
    "value",
    [
        3,
        {"definition": "x"},
        {"name": "a", "meaning": "x"},
        {"name": "a", "definition": 3},
        {"name": "a", "levels": [[1]]},
        {"name": "a", "levels": [[True, "x"]]},
        {"name": "a", "levels": "x"},
        {"name": ""},
        {"name": " a"},
        {"name": "a\nb"},
        {"name": "a", "definition": " "},
        {"name": "a", "levels": {"1": ""}},
        {"name": "a", "levels": [[1, "x"], [1, "y"]]},
        {"name": "a\ud800"},
        {"name": "a", "definition": "x\udfff"},
        {"name": "a", "levels": {"1": "x\ud83d"}},
        {"name": "a", "levels": {"good\ud83d": "x"}},
    ],
)
def test_dimension_from_json_other_layout_is_refused(value):
    with pytest.raises(ConfigError):
        dimension_from_json(value)


def test_dimension_with_half_a_surrogate_pair_is_refused_by_name():
    with pytest.raises(
        ConfigError, match=r"dimension 'a\\ud83d' holds half a surrogate pair; write the whole character"
    ):
        Dimension(name="a\ud83d")
    assert Dimension(name="a\U0001f600").name == "a😀"


def test_check_dimensions_what_one_answer_cannot_hold_is_refused():
    one = Dimension(name="a")
    with pytest.raises(ConfigError, match="no dimension"):
        check_dimensions([], SCALE_0_5)
    with pytest.raises(ConfigError, match="repeat"):
        check_dimensions([one, one], SCALE_0_5)
    reason = Dimension(name="reason")
    check_dimensions([reason], SCALE_0_5)
    with pytest.raises(ConfigError, match="reason"):
        check_dimensions([reason], SCALE_0_5, with_reason=True)


def test_check_dimensions_level_outside_the_scale_is_refused():
    check_dimensions([Dimension(name="a", levels=((5, "best"),))], SCALE_0_5_INT)
    for score in (6, 4.5, "5"):
        with pytest.raises(ConfigError, match="no score of the scale"):
            check_dimensions([Dimension(name="a", levels=((score, "x"),))], SCALE_0_5_INT)
    verdicts = parse_scale("good,bad")
    check_dimensions([Dimension(name="a", levels=(("good", "x"),))], verdicts)
    with pytest.raises(ConfigError, match="no score of the scale"):
        check_dimensions([Dimension(name="a", levels=((1, "x"),))], verdicts)
