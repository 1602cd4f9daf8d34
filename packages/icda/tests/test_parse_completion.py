"""Completions taken apart: every reason, and nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icda import ParsedLine, RejectReason, normalise_text, parse_completion
from twllm_types import ConfigError, FinishReason

STOP, LENGTH = FinishReason.STOP, FinishReason.LENGTH


def read(text: str, style: str, finish: FinishReason | None = STOP) -> list[tuple[str, str | None]]:
    return [(line.text, line.reason) for line in parse_completion(text, style=style, finish_reason=finish)]


def test_parse_sahu_one_line_is_one_utterance():
    assert read(" Has my card been sent?", "sahu") == [("Has my card been sent?", None)]


def test_parse_sahu_numbered_lines_and_several_on_one_line():
    text = ' first one\nExample 5: "second one"\n\nexample 6 : third Example 7: fourth'
    assert read(text, "sahu") == [("first one", None), ("second one", None), ("third", None), ("fourth", None)]


def test_parse_sahu_echoed_heading_ends_the_category():
    text = " mine\nThe following sentences belong to the same category 'other':\nExample 1: not mine"
    assert [reason for _, reason in read(text, "sahu")] == [None, "echo", "echo"]


def test_parse_sahu_number_without_text_and_empty_quotes():
    assert read(' ok\nExample 5:\nExample 6: ""', "sahu") == [
        ("ok", None),
        ("", "numbering_only"),
        ("", "numbering_only"),
    ]


@pytest.mark.parametrize("text", ["", "  \n \n"], ids=["none", "blank"])
@pytest.mark.parametrize("style", ["sahu", "chat", "zh-TW"])
def test_parse_blank_completion_is_one_empty_line(text, style):
    assert read(text, style) == [("", RejectReason.EMPTY)]
    assert read(text, style, LENGTH) == [("", RejectReason.EMPTY)]


@pytest.mark.parametrize("style", ["sahu", "chat"])
def test_parse_punctuation_alone_is_empty(style):
    assert read("...?!", style) == [("...?!", RejectReason.EMPTY)]


def test_parse_chat_numbered_list_leaves_chatter_out():
    text = "Sure! Here you go:\n1. Where is it?\n2) Not here yet\n(3) 還沒收到\nI hope this helps!"
    assert read(text, "chat") == [
        ("Sure! Here you go:", "echo"),
        ("Where is it?", None),
        ("Not here yet", None),
        ("還沒收到", None),
        ("I hope this helps!", "echo"),
    ]


def test_parse_chat_bullets_bold_and_quotes_come_off():
    text = "- **Where is it?**\n* “Still waiting”\n• 'my card'"
    assert read(text, "chat") == [("Where is it?", None), ("Still waiting", None), ("my card", None)]


def test_parse_zh_numbering_and_quotes_of_chinese_come_off():
    text = "以下是五句：\n１．「卡片不見了」\n2、『悠遊卡掉了』\n（3）請問怎麼掛失"
    assert [line for line, reason in read(text, "zh-TW") if reason is None] == [
        "卡片不見了",
        "悠遊卡掉了",
        "請問怎麼掛失",
    ]
    assert read(text, "zh-TW")[0] == ("以下是五句：", "echo")


def test_parse_chat_plain_lines_are_all_utterances_unless_they_introduce():
    assert read("Where is it?\nStill waiting", "chat") == [("Where is it?", None), ("Still waiting", None)]
    assert read("Of course:\nWhere is it?", "chat")[0][1] == "echo"


@pytest.mark.parametrize(
    ("style", "echo"),
    [
        ("chat", "1. Write 5 new utterances with exactly this intent."),
        ("chat", "1. They all have the same intent"),
        ("zh-TW", "1. 再寫 5 句意圖完全相同的話"),
        ("zh-TW", "1. 這些話的意圖都是「掛失」。"),
    ],
    ids=["write", "same", "zh-write", "zh-same"],
)
def test_parse_words_of_the_prompt_are_an_echo(style, echo):
    assert [reason for _, reason in read(f"{echo}\n2. fine", style)] == ["echo", None]


@pytest.mark.parametrize("text", ["3.5 percent is too much", "10:30 is fine", '"a" or "b"', "2 cards"])
def test_parse_numbers_and_quotes_that_belong_to_the_text_stay(text):
    assert read(text, "sahu") == [(text, None)]


def test_parse_cut_off_completion_drops_its_last_line_only():
    assert read("1. whole\n2. half of a sen", "chat", LENGTH) == [("whole", None), ("half of a sen", "truncated")]
    assert read("1. whole\n2. whole too\n", "chat", LENGTH)[-1] == ("whole too", None)
    assert read(" half", "sahu", LENGTH) == [("half", "truncated")]
    assert read(" half", "sahu", None) == [("half", None)]


@pytest.mark.parametrize("finish", [FinishReason.REFUSAL, FinishReason.CONTENT_FILTER, FinishReason.TOOL_CALL])
def test_parse_what_the_server_marks_as_no_answer_is_refused_whole(finish):
    assert read("I cannot\nhelp", "chat", finish) == [("I cannot", "refused"), ("help", "refused")]
    assert read("", "sahu", finish) == [("", "refused")]


def test_parse_unknown_style_is_refused():
    with pytest.raises(ConfigError, match="no prompt style"):
        parse_completion("x", style="poem", finish_reason=STOP)


@given(st.text(), st.sampled_from(["sahu", "chat", "zh-TW"]), st.sampled_from([None, *FinishReason]))
def test_parse_any_text_gives_lines_and_what_passes_says_something(text, style, finish):
    lines = parse_completion(text, style=style, finish_reason=finish)
    assert lines
    for line in lines:
        assert isinstance(line, ParsedLine)
        assert line.reason is not None or (normalise_text(line.text) and line.text == line.text.strip())
