"""Prompts: byte for byte against the golden files."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icda import PromptStyle, build_prompt, choose_examples, stop_strings
from twllm_types import ConfigError, DataError

GOLDEN = Path(__file__).parent / "golden"
SEEDS = ["Where is my card?", "My card has not come yet.", "I ordered a card two weeks ago"]
ZH_SEEDS = ["我的悠遊卡不見了", "卡片掉在捷運上怎麼辦"]


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_bytes().decode("utf-8")


def test_build_prompt_equals_the_golden_bytes():
    assert build_prompt("card_arrival", SEEDS) == golden("sahu_card_arrival")
    assert build_prompt("card_arrival", SEEDS, num_new=9) == golden("sahu_card_arrival")
    assert build_prompt("card_arrival", SEEDS, show_name=False, num_examples=2) == golden("sahu_hidden")
    assert build_prompt("card_arrival", SEEDS, style="chat", num_new=5) == golden("chat_card_arrival")
    hidden = build_prompt("card_arrival", SEEDS, style="chat", show_name=False, num_examples=2)
    assert hidden == golden("chat_hidden")
    assert build_prompt("悠遊卡_遺失", ZH_SEEDS, style="zh-TW", num_new=5) == golden("zh-TW_lost_card")
    assert build_prompt("悠遊卡_遺失", ZH_SEEDS, style=PromptStyle.ZH_TW, show_name=False) == golden("zh-TW_hidden")


def test_build_prompt_sahu_follows_the_published_construction():
    # upstream: header with the category, "Example i: " lines joined by line ends, then the next number and a colon
    lines = "\n".join(f"Example {number}: {text}" for number, text in enumerate(SEEDS, start=1))
    header = "The following sentences belong to the same category 'card arrival':\n"
    assert build_prompt("card arrival", SEEDS) == f"{header}{lines}\nExample {len(SEEDS) + 1}:"


def test_build_prompt_line_breaks_inside_a_seed_do_not_break_the_list():
    assert "Example 1: a b\nExample 2:" in build_prompt("x", ["a\n\n b "])


@pytest.mark.parametrize("seeds", [[], [" \n"], ["fine", ""]], ids=["none", "blank", "second"])
def test_build_prompt_without_a_seed_is_refused(seeds):
    with pytest.raises(DataError, match=r"intent 'x' has (no|an empty) seed"):
        build_prompt("x", seeds)


def test_build_prompt_wrong_options_are_refused():
    with pytest.raises(ConfigError, match="no prompt style 'poem'; choose from sahu, chat, zh-TW"):
        build_prompt("x", SEEDS, style="poem")
    with pytest.raises(ConfigError, match="counts >= 1"):
        build_prompt("x", SEEDS, num_examples=0)
    with pytest.raises(ConfigError, match="counts >= 1"):
        build_prompt("x", SEEDS, num_new=0)
    with pytest.raises(DataError, match="has no name"):
        build_prompt("__", SEEDS)


def test_stop_strings_end_one_line_of_sahu_and_no_chat():
    assert stop_strings("sahu") == ("\n",)
    assert stop_strings("sahu", num_new=4) == ("\n\n",)
    assert stop_strings("chat") == stop_strings("zh-TW", num_new=3) == ()


@given(st.lists(st.text()), st.integers(0, 50), st.integers(), st.integers(1, 12))
def test_choose_examples_is_a_reproducible_sample_without_replacement(seeds, number, seed, num_examples):
    options = {"intent": "a", "number": number, "seed": seed, "num_examples": num_examples}
    chosen = choose_examples(seeds, **options)
    assert chosen == choose_examples(seeds, **options)
    assert len(chosen) == min(num_examples, len(seeds))
    assert Counter(chosen) <= Counter(seeds)


def test_choose_examples_differ_between_requests_intents_and_seeds():
    options = {"intent": "a", "number": 0, "seed": 0, "num_examples": None}
    base = choose_examples(range(10), **options)
    assert sorted(base) == list(range(10))
    for change in ({"intent": "b"}, {"number": 1}, {"seed": 1}):
        assert choose_examples(range(10), **{**options, **change}) != base


def test_choose_examples_of_none_are_refused():
    with pytest.raises(ConfigError, match="num_examples is 0"):
        choose_examples(SEEDS, intent="a", number=0, seed=0, num_examples=0)
