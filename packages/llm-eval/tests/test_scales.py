"""Scales: what counts, and how they are written on a command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_eval._scales import SCALE_0_5, SCALE_0_5_INT, SCALE_0_100, NumberScale, VerdictScale, parse_scale, scale_text
from twllm_types import ConfigError


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("0-5", SCALE_0_5),
        ("0-5-int", SCALE_0_5_INT),
        (" 0-100 ", SCALE_0_100),
        ("1-10", NumberScale(minimum=1, maximum=10, integer=True)),
        ("1-7-float", NumberScale(minimum=1, maximum=7, integer=False)),
        ("0.0-1.0", NumberScale(minimum=0, maximum=1, integer=False)),
        ("-1-1", NumberScale(minimum=-1, maximum=1, integer=True)),
        ("0,0.5,1", NumberScale(minimum=0, maximum=1, integer=False, allowed=(0.0, 0.5, 1.0))),
        ("1,3,5", NumberScale(minimum=1, maximum=5, integer=True, allowed=(1.0, 3.0, 5.0))),
        ("good, fair, bad", VerdictScale(verdicts=("good", "fair", "bad"))),
        ("好,壞", VerdictScale(verdicts=("好", "壞"))),
    ],
)
def test_parse_scale_known_text_gives_scale_and_text_back(text, scale):
    assert parse_scale(text) == scale
    assert parse_scale(scale_text(scale)) == scale


@pytest.mark.parametrize("text", ["", "good", "5", "1,good", "5-0", "0-5-str", "good,good", "1,1", "3,2", "0.5-3-int"])
def test_parse_scale_unusable_text_is_refused(text):
    with pytest.raises(ConfigError):
        parse_scale(text)


@given(st.integers(-50, 50), st.integers(1, 60), st.booleans())
def test_scale_text_any_range_round_trips(low, width, integer):
    scale = NumberScale(minimum=low, maximum=low + width, integer=integer)
    assert parse_scale(scale_text(scale)) == scale


def test_scale_text_verdict_with_comma_is_refused():
    with pytest.raises(ConfigError, match="commas"):
        scale_text(VerdictScale(verdicts=("yes, fully", "no")))


def test_number_scale_contains_only_what_counts():
    assert [SCALE_0_5.contains(value) for value in (0, 4.5, 5, 5.01, -0.1, float("nan"))] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert [SCALE_0_5_INT.contains(value) for value in (4, 4.0, 4.5, 6)] == [True, True, False, False]
    listed = NumberScale(minimum=0, maximum=1, integer=False, allowed=(0.0, 0.5, 1.0))
    assert [listed.contains(value) for value in (0.5, 0.25)] == [True, False]


def test_number_scale_values_and_labels_are_as_written():
    assert SCALE_0_5.values is None
    assert SCALE_0_5.labels is None
    assert SCALE_0_5_INT.labels == ("0", "1", "2", "3", "4", "5")
    assert parse_scale("0,0.5,1").labels == ("0.0", "0.5", "1.0")
    assert (SCALE_0_5.text(5), SCALE_0_100.text(100)) == ("5.0", "100")


@pytest.mark.parametrize(
    "fields",
    [
        {"minimum": 5, "maximum": 5, "integer": True},
        {"minimum": 0, "maximum": float("inf"), "integer": False},
        {"minimum": 0, "maximum": 2.5, "integer": True},
        {"minimum": 0, "maximum": 5, "integer": False, "allowed": ()},
        {"minimum": 0, "maximum": 5, "integer": False, "allowed": (1.0, 6.0)},
        {"minimum": 0, "maximum": 5, "integer": False, "allowed": (2.0, 1.0)},
    ],
)
def test_number_scale_impossible_is_refused(fields):
    with pytest.raises(ConfigError):
        NumberScale(**fields)


@pytest.mark.parametrize(
    "verdicts", [("a",), ("a", "a"), ("a", ""), ("a", " b"), ("a", "b\nc"), ("a", 'b"'), ("a", "b\ud83d")]
)
def test_verdict_scale_unusable_words_are_refused(verdicts):
    with pytest.raises(ConfigError):
        VerdictScale(verdicts=verdicts)
