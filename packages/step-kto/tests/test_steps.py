"""Cutting solutions: nothing is lost, nothing is blank, and the borders are where they should be."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from step_kto._steps import segment_steps
from twllm_types import ConfigError, DataError

MARKED = "## Step 1: add\n3+4=7\n\nso far 7\n\n## Step 2: double\n2*7=14\n\nThe answer is \\boxed{14}."
texts = st.text(alphabet="a1.):# \n\tStep步驟：", max_size=60) | st.text(max_size=40)


@given(
    text=texts, by=st.sampled_from(["auto", "markers", "blank-lines", "numbered", re.compile(r"\d"), re.compile("")])
)
def test_steps_joined_are_the_text_and_none_is_blank(text, by):
    if not text.strip():
        with pytest.raises(DataError, match="holds no step"):
            segment_steps(text, by)
        return
    steps = segment_steps(text, by)
    assert "".join(steps) == text
    assert all(step.strip() for step in steps)


@given(pieces=st.lists(st.text(alphabet=" \nab", max_size=4), min_size=1, max_size=8))
def test_pieces_of_a_function_join_blank_ones_to_their_neighbour(pieces):
    text = "".join(pieces)
    if not text.strip():
        return
    steps = segment_steps(text, lambda _: pieces)
    assert "".join(steps) == text
    assert len(steps) == sum(bool(piece.strip()) for piece in pieces)


@pytest.mark.parametrize("by", ["auto", "markers"])
def test_markers_begin_steps_and_keep_blank_lines_inside(by):
    assert segment_steps(MARKED, by) == (
        "## Step 1: add\n3+4=7\n\nso far 7\n\n",
        "## Step 2: double\n2*7=14\n\nThe answer is \\boxed{14}.",
    )


def test_text_before_the_first_marker_is_a_step():
    assert segment_steps("Let us see.\nStep 1: a\nStep 2. b") == ("Let us see.\n", "Step 1: a\n", "Step 2. b")


def test_chinese_markers_begin_steps():
    assert segment_steps("步驟 1：三加四得七\n步驟 2：乘以二得十四") == ("步驟 1：三加四得七\n", "步驟 2：乘以二得十四")


@pytest.mark.parametrize(
    "text",
    [
        "**Step 1:** a\n**Step 2:** b",
        "STEP 1: a\nSTEP 2: b",
        "**Step 1**: a\n## **Step 2** b",
        "步驟一：a\n步驟十二：b",
        "第一步：a\n第 2 步，b",
        "１．a\n２．b",
        "(1) a\n（2）b",
    ],
)
def test_auto_other_ways_to_write_a_step_begin_one(text):
    first, second = text.split("\n")
    assert segment_steps(text) == (first + "\n", second)


def test_chinese_sentence_about_steps_is_no_marker():
    assert segment_steps("第一步很難\n步驟一共兩個") == ("第一步很難\n步驟一共兩個",)


@pytest.mark.parametrize("text", ["a" + "\n" * 100_000, "a" + "\n " * 100_000, "a" + "\n" * 100_000 + "b"])
def test_long_white_space_is_cut_in_linear_time(text):
    # squared time would take minutes
    assert len(segment_steps(text)) == (2 if text.endswith("b") else 1)


def test_marker_inside_a_line_is_no_border():
    assert segment_steps("as in ## Step 1 above\nStep 3 holds too", "markers") == (
        "as in ## Step 1 above\nStep 3 holds too",
    )


def test_blank_lines_end_steps():
    assert segment_steps("a.\n\nb.\n \n\n  c\nd\n") == ("a.\n\n", "b.\n \n\n  ", "c\nd\n")


def test_leading_blank_lines_belong_to_the_first_step():
    assert segment_steps("\n\na\n\nb", "blank-lines") == ("\n\na\n\n", "b")


def test_blank_lines_with_carriage_returns_end_steps():
    assert segment_steps("a\r\n\r\nb", "blank-lines") == ("a\r\n\r\n", "b")


def test_auto_takes_numbered_lines_where_there_is_no_blank_line():
    assert segment_steps("Plan\n1. add\n2) double\n10、 end") == ("Plan\n", "1. add\n", "2) double\n", "10、 end")
    assert segment_steps("1. add\n3+4\n\n2. double") == ("1. add\n3+4\n\n", "2. double")


def test_auto_takes_numbered_lines_behind_leading_blank_lines():
    assert segment_steps("\n\n1. add\n2. double\n\n") == ("\n\n1. add\n", "2. double\n\n")


def test_auto_of_one_numbered_line_is_one_step():
    assert segment_steps("It costs\n1. five") == ("It costs\n1. five",)
    assert segment_steps("It costs\n1. five", "numbered") == ("It costs\n", "1. five")


def test_decimal_number_at_line_start_is_no_border():
    assert segment_steps("it is\n3.5 + 1\n4.5", "numbered") == ("it is\n3.5 + 1\n4.5",)


def test_regular_expression_begins_steps_where_it_matches():
    assert segment_steps("x=1; y=2; z=3", re.compile(r"[yz]=")) == ("x=1; ", "y=2; ", "z=3")


def test_function_that_loses_text_is_refused():
    with pytest.raises(DataError, match="do not join to the text"):
        segment_steps("a\nb", str.split)


@pytest.mark.parametrize("pieces", [None, 3, ["a", 1]])
def test_pieces_that_are_no_texts_are_refused(pieces):
    with pytest.raises(DataError, match="the step function gave"):
        segment_steps("a1", lambda _: pieces)


def test_unknown_way_to_cut_is_refused():
    with pytest.raises(ConfigError, match="steps cannot be cut by 'sentences'"):
        segment_steps("a", "sentences")  # pyright: ignore[reportArgumentType]
