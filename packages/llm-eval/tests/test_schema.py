"""Schemas: closed, ordered, and the same for every item."""

import json

import pytest

from llm_eval._dimensions import PAPER_DIMENSIONS, Dimension
from llm_eval._scales import SCALE_0_5, SCALE_0_5_INT, parse_scale
from llm_eval._schema import answer_schema
from twllm_types import ConfigError


def plain(schema):
    return json.loads(json.dumps(schema))


def test_answer_schema_is_closed_and_in_the_order_of_the_dimensions():
    schema = plain(answer_schema(PAPER_DIMENSIONS, SCALE_0_5, with_reason=True))
    names = ["content", "grammar", "relevance", "appropriateness", "reason"]
    assert list(schema["properties"]) == schema["required"] == names
    assert schema["additionalProperties"] is False
    assert schema["properties"]["reason"] == {"type": "string"}
    assert "reason" not in plain(answer_schema(PAPER_DIMENSIONS, SCALE_0_5))["properties"]


@pytest.mark.parametrize(
    ("scale", "text"),
    [
        (SCALE_0_5, '{"type": "number", "minimum": 0.0, "maximum": 5.0}'),
        (SCALE_0_5_INT, '{"type": "integer", "minimum": 0, "maximum": 5}'),
        (parse_scale("0,0.5,1"), '{"type": "number", "enum": [0.0, 0.5, 1.0]}'),
        (parse_scale("1,3,5"), '{"type": "integer", "enum": [1, 3, 5]}'),
        (parse_scale("good,bad"), '{"type": "string", "enum": ["good", "bad"]}'),
    ],
    ids=["number", "integer", "numbers", "integers", "verdicts"],
)
def test_answer_schema_score_is_what_the_scale_allows(scale, text):
    schema = plain(answer_schema([Dimension(name="a")], scale))
    assert json.dumps(schema["properties"]["a"]) == text


def test_answer_schema_reason_as_a_dimension_is_refused_where_a_reason_is_asked_for():
    with pytest.raises(ConfigError, match="reason"):
        answer_schema([Dimension(name="reason")], SCALE_0_5, with_reason=True)


def test_answer_schema_names_and_a_scale_in_words_stand_for_what_they_name():
    assert answer_schema(["a"], "0-5-int") == answer_schema([Dimension(name="a")], SCALE_0_5_INT)
