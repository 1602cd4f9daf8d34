"""Prompts: LLM-Eval's byte for byte, ours with their data in place."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_eval._dimensions import PAPER_DIMENSIONS, Dimension
from llm_eval._items import JudgeItem, Turn
from llm_eval._prompts import build_prompt
from llm_eval._scales import SCALE_0_5, SCALE_0_5_INT, SCALE_0_100, parse_scale
from llm_eval._template import fill, quote
from twllm_types import ConfigError

GOLDEN = Path(__file__).parent / "golden"
TURN = JudgeItem(
    id="t", context=(Turn(speaker=None, text="I am a human."),), response="I am responding to you.", references=()
)
WITH_REFERENCE = replace(TURN, references=("I am a reference.",))
DIALOGUE = JudgeItem(
    id="d",
    context=(Turn(speaker="Human", text="I am a human."), Turn(speaker="Bot", text="I am responding to you.")),
    response=None,
)
RICH = replace(WITH_REFERENCE, documents=("A fact.", "Another."))
DESCRIBED = (
    Dimension(name="relevance", definition="It answers what was said.", levels=((0, "not at all"), (5, "fully"))),
    Dimension(name="grammar"),
)
# Words of mainland China with a common Taiwanese one, and characters that exist in Simplified script only.
MAINLAND = ["用戶", "質量", "通過", "信息", "視頻", "默認", "字符", "屏幕", "軟件", "網絡", "程序", "數據", "水平"]
SIMPLIFIED = ["优", "质", "这", "说", "评", "话"]


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_bytes().decode("utf-8")


@pytest.mark.parametrize(("scale", "name"), [(SCALE_0_5, "0-5"), (SCALE_0_100, "0-100")], ids=["0-5", "0-100"])
def test_build_prompt_paper_and_repo_equal_the_golden_bytes(scale, name):
    for style in ("paper", "repo"):
        assert build_prompt(WITH_REFERENCE, PAPER_DIMENSIONS, scale, style) == golden(f"paper_turn_reference_{name}")
        assert build_prompt(TURN, PAPER_DIMENSIONS, scale, style) == golden(f"paper_turn_{name}")
        assert build_prompt(DIALOGUE, PAPER_DIMENSIONS, scale, style) == golden(f"{style}_dialogue_{name}")


def test_build_prompt_demonstration_of_the_official_code_equals_the_golden_bytes():
    names = [Dimension(name=name) for name in ("fluency", "coherence", "relevance", "engagingness")]
    assert build_prompt(WITH_REFERENCE, names, SCALE_0_5, "repo") == golden("repo_demo_turn_reference_0-5")


def test_build_prompt_paper_keeps_the_stray_brace_and_the_name_as_title():
    prompt = build_prompt(TURN, [Dimension(name="topic_fit")], SCALE_0_5_INT)
    assert '"required": ["foo"]}}\n' in prompt
    assert '"title": "Topic Fit", "description": "topic_fit score in the range of 0 to 5", "type": "integer"' in prompt


@pytest.mark.parametrize("style", ["paper", "repo"])
@pytest.mark.parametrize(
    ("item", "dimensions", "scale", "options"),
    [
        (RICH, PAPER_DIMENSIONS, SCALE_0_5, {}),
        (replace(TURN, references=("a", "b")), PAPER_DIMENSIONS, SCALE_0_5, {}),
        (replace(DIALOGUE, references=("a",)), PAPER_DIMENSIONS, SCALE_0_5, {}),
        (TURN, DESCRIBED, SCALE_0_5, {}),
        (TURN, PAPER_DIMENSIONS, parse_scale("good,bad"), {}),
        (TURN, PAPER_DIMENSIONS, parse_scale("0,2,5"), {}),
        (TURN, PAPER_DIMENSIONS, SCALE_0_5, {"with_reason": True}),
        (TURN, PAPER_DIMENSIONS, SCALE_0_5, {"taiwan_rule": True}),
    ],
    ids=["documents", "references", "dialogue-reference", "definition", "verdicts", "listed", "reason", "rule"],
)
def test_build_prompt_paper_what_its_bytes_cannot_say_is_refused(style, item, dimensions, scale, options):
    with pytest.raises(ConfigError, match=style):
        build_prompt(item, dimensions, scale, style, **options)


def test_build_prompt_unknown_style_is_refused():
    with pytest.raises(ConfigError, match="paper, repo, structured, zh-TW"):
        build_prompt(TURN, PAPER_DIMENSIONS, SCALE_0_5, "fancy")


@pytest.mark.parametrize("style", ["structured", "zh-TW"])
@pytest.mark.parametrize("item", [TURN, WITH_REFERENCE, RICH, DIALOGUE], ids=["turn", "reference", "rich", "dialogue"])
def test_build_prompt_ours_shows_every_part_of_the_item(style, item):
    prompt = build_prompt(item, DESCRIBED, SCALE_0_5_INT, style)
    texts = [*(turn.text for turn in item.context), *item.references, *item.documents, *filter(None, [item.response])]
    assert all(prompt.count(quote(text)) == 1 for text in texts)
    for text in ("It answers what was said.", "not at all", "fully", '"relevance"', '"grammar"'):
        assert text in prompt
    assert '"reason"' not in prompt
    assert '"reason"' in build_prompt(item, DESCRIBED, SCALE_0_5_INT, style, with_reason=True)


@pytest.mark.parametrize("style", ["structured", "zh-TW"])
@pytest.mark.parametrize(
    ("scale", "shown"),
    [
        ("0-5", ("0.0", "5.0")),
        ("1-10", ("1", "10")),
        ("0,0.5,1", ("0.0", "0.5", "1.0")),
        ("good,fair,bad", ('"good"', '"fair"', '"bad"')),
    ],
)
def test_build_prompt_ours_names_the_scores_of_any_scale(style, scale, shown):
    prompt = build_prompt(TURN, PAPER_DIMENSIONS, parse_scale(scale), style)
    assert all(text in prompt.splitlines()[0] for text in shown)


@pytest.mark.parametrize("style", ["structured", "zh-TW"])
def test_build_prompt_ours_describes_verdicts(style):
    tone = Dimension(name="tone", levels=(("good", "kind"),))
    assert '"good"' in build_prompt(TURN, [tone], parse_scale("good,bad"), style).split("kind")[0].splitlines()[-1]


def test_build_prompt_zh_tw_is_taiwanese_and_its_rule_can_be_switched_off():
    with_rule = build_prompt(RICH, PAPER_DIMENSIONS, SCALE_0_5, "zh-TW", with_reason=True)
    without = build_prompt(RICH, PAPER_DIMENSIONS, SCALE_0_5, "zh-TW", with_reason=True, taiwan_rule=False)
    assert "簡體字" in with_rule
    assert "中國大陸" in with_rule
    assert "簡體字" not in without
    assert len(with_rule) > len(without)
    assert [word for word in MAINLAND + SIMPLIFIED if word in with_rule] == []
    assert build_prompt(RICH, PAPER_DIMENSIONS, SCALE_0_5, "structured", taiwan_rule=False)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(str.strip))
def test_build_prompt_any_response_is_put_in_once_and_as_it_is(text):
    item = replace(WITH_REFERENCE, response=text)
    before, behind = build_prompt(replace(item, response="@@"), PAPER_DIMENSIONS, SCALE_0_5).split("@@")
    assert build_prompt(item, PAPER_DIMENSIONS, SCALE_0_5) == before + text + behind


def test_fill_what_is_put_in_is_not_read_again():
    assert fill("{a}|{b}|{c}|{}", {"a": "{b}", "b": "{a}{c}"}) == "{b}|{a}{c}|{c}|{}"


@given(st.text())
def test_quote_any_text_is_one_line_of_json_equal_to_it(text):
    quoted = quote(text)
    assert json.loads(quoted) == text
    assert len(quoted.splitlines()) == 1
    assert quoted[0] == quoted[-1] == '"'


def test_quote_shows_what_is_hidden_and_keeps_what_is_plain():
    assert quote("好 <b, 3 < 4, 👩\u200d⚖️, [1]") == '"好 \\u003cb, 3 < 4, 👩\u200d⚖️, [1]"'
    assert quote("\u202e\u200b\u2028\ufeff\x7f") == '"\\u202e\\u200b\\u2028\\ufeff\\u007f"'
    assert quote("\U000e0067") == '"\\udb40\\udc67"'


@pytest.mark.parametrize("style", ["paper", "repo", "structured", "zh-TW"])
def test_build_prompt_names_and_a_scale_in_words_stand_for_what_they_name(style):
    one = JudgeItem(id="1", context=(Turn(speaker=None, text="Hi."),), response="Hello.")
    named = build_prompt(one, ["relevance", "tone"], "0-5-int", style)
    assert named == build_prompt(one, [Dimension(name="relevance"), Dimension(name="tone")], SCALE_0_5_INT, style)


def test_build_prompt_what_is_no_list_of_dimensions_or_no_scale_is_refused():
    one = JudgeItem(id="1", context=(Turn(speaker=None, text="Hi."),), response="Hello.")
    wrong: tuple[Any, ...] = ("relevance", [3], [None])
    for dimensions in wrong:
        with pytest.raises(ConfigError, match="dimension"):
            build_prompt(one, dimensions, SCALE_0_5_INT)
    with pytest.raises(ConfigError, match="scale 'five' is unknown"):
        build_prompt(one, ["relevance"], "five")
