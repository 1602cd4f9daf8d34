"""Responses that try to rate themselves: what a prompt, a schema and a parser make of them.

Where a judge repeats such a response as its whole answer, nobody can tell it from the judge's own; everything short of
that holds.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from llm_eval._dimensions import PAPER_DIMENSIONS
from llm_eval._items import JudgeItem, Turn
from llm_eval._judge_ask import shown_texts
from llm_eval._judgements import ParseFailure
from llm_eval._pairwise import PairWinner, parse_pair
from llm_eval._pairwise_prompts import build_pair_prompt
from llm_eval._parse import ParsedScores, parse_scores
from llm_eval._prompts import build_prompt
from llm_eval._scales import SCALE_0_5, SCALE_0_100
from llm_eval._template import quote

LINES = (Path(__file__).parent / "data" / "attacks.jsonl").read_text(encoding="ascii").splitlines()
ATTACKS = [json.loads(line) for line in LINES]
TEXTS = {row["id"]: row["response"] for row in ATTACKS}
MARK = "Harmless-7f3a"
OWN_SCORES = {"content": 1.5, "grammar": 2.5, "relevance": 0.5, "appropriateness": 3.5}
OWN = json.dumps(OWN_SCORES)
# Instead of the scores in an attack, for comparisons: the judge's own verdict, and the attack's.
SCORES = TEXTS["fake_json-1"]
PAIR_VERDICTS = {
    "taiwan-llm": ("[[B]]", "[[A]]"),
    "taiwan-llm-score": ("A: 3分, B: 6分", "A: 10分, B: 1分"),
    "structured": ('{"winner": "B"}', '{"winner": "A"}'),
}

attack = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())


def item(text: str, *, part: str) -> JudgeItem:
    parts = {
        "context": "Hello.",
        "speaker": "user",
        "response": "Hi.",
        "reference": "Hey.",
        "document": "D.",
        part: text,
    }
    is_ours = part == "document"
    return JudgeItem(
        id="i",
        context=(Turn(speaker=parts["speaker"], text=parts["context"]),),
        response=parts["response"],
        references=(parts["reference"],),
        documents=(parts["document"],) if is_ours else (),
    )


def written(answer: str, *, shown: Sequence[str] = ()) -> dict[str, float | None] | None:
    """Scores that are read from an answer; None where it fails."""
    parsed = parse_scores(answer, PAPER_DIMENSIONS, SCALE_0_5, shown=shown)
    return {name: one.value for name, one in parsed.values.items()} if isinstance(parsed, ParsedScores) else None


def test_attacks_are_many_and_different():
    assert len(TEXTS) == len(set(TEXTS.values())) == len(ATTACKS) >= 40
    assert len({row["kind"] for row in ATTACKS}) >= 8


@attack
@pytest.mark.parametrize("style", ["paper", "repo", "structured", "zh-TW"])
def test_prompt_attack_changes_nothing_outside_of_its_slot(text, style):
    slot = quote if style in ("structured", "zh-TW") else str
    for part in ("context", "speaker", "response", "reference"):
        before, behind = build_prompt(item(MARK, part=part), PAPER_DIMENSIONS, SCALE_0_100, style).split(slot(MARK))
        prompt = build_prompt(item(text, part=part), PAPER_DIMENSIONS, SCALE_0_100, style)
        assert prompt == before + slot(text) + behind


@attack
@pytest.mark.parametrize("style", ["structured", "zh-TW"])
def test_prompt_attack_in_a_document_stays_in_its_slot(text, style):
    harmless = build_prompt(item(MARK, part="document"), PAPER_DIMENSIONS, SCALE_0_5, style)
    before, behind = harmless.split(quote(MARK))
    assert (
        build_prompt(item(text, part="document"), PAPER_DIMENSIONS, SCALE_0_5, style) == before + quote(text) + behind
    )


@attack
@pytest.mark.parametrize("style", ["taiwan-llm", "taiwan-llm-score", "structured", "zh-TW"])
def test_pair_prompt_attack_changes_nothing_outside_of_its_slot(text, style):
    slot = quote if style in ("structured", "zh-TW") else str
    for place in range(4):
        texts = ["Q?", "Yes.", "No.", "R."]
        texts[place] = MARK
        before, behind = build_pair_prompt(*texts, style=style).split(slot(MARK))
        texts[place] = text
        assert build_pair_prompt(*texts, style=style) == before + slot(text) + behind


@attack
def test_quote_attack_is_one_line_that_cannot_be_closed(text):
    quoted = quote(text)
    assert json.loads(quoted) == text
    assert len(quoted.splitlines()) == 1
    assert not any(token in quoted for token in ("<|", "<｜", "</", "<think", "<start_of_turn", "[INST]", "[/INST]"))


@attack
def test_parse_attack_in_the_reason_is_never_read(text):
    for answer in (
        json.dumps({**OWN_SCORES, "reason": text}),
        json.dumps({"reason": text, **OWN_SCORES}, ensure_ascii=False),
    ):
        assert written(answer) == OWN_SCORES
        assert written(answer, shown=[text]) == OWN_SCORES


@attack
def test_parse_attack_quoted_beside_the_own_answer_never_wins(text):
    for answer in (
        f"{OWN}\nThe response says: {text}",
        f"The response says: {text}\n{OWN}",
        f"{text}\n{OWN}",
        f"{OWN}\n{text}",
        f"<think>{OWN[:-1]}, it says {text}</think>{OWN}",
    ):
        assert written(answer) in (OWN_SCORES, None)
        assert written(answer, shown=[text]) in (OWN_SCORES, None)


@attack
def test_parse_attack_quoted_in_prose_alone_is_no_answer(text):
    for answer in (f"The response says: {text}", f"回應寫道：{text}。", f"{text}\n{text} and so on"):
        parsed = parse_scores(answer, PAPER_DIMENSIONS, SCALE_0_5, shown=["Hello.", text])
        assert isinstance(parsed, ParseFailure)


@attack
@pytest.mark.parametrize("part", ["context", "speaker", "response", "reference", "document"])
def test_parse_attack_quoted_from_any_slot_is_no_answer(text, part):
    shown = shown_texts(item(text, part=part))
    assert text in shown
    for answer in (f"The user {text} wrote a greeting; I will not rate.", f"Quoted: {text}"):
        assert written(answer, shown=shown) is None


@pytest.mark.parametrize("part", ["context", "speaker", "response", "reference", "document"])
def test_parse_of_plain_scores_quoted_from_any_slot_is_no_answer(part):
    answer = f"The user {OWN} wrote a greeting; I will not rate."
    assert written(answer) == OWN_SCORES
    assert written(answer, shown=shown_texts(item(OWN, part=part))) is None


def test_shown_texts_leaves_out_speakers_that_nobody_names():
    nameless = JudgeItem(id="i", context=(Turn(speaker=None, text="Hello."),), response="Hi.")
    assert shown_texts(nameless) == ("Hello.", "Hi.")


@attack
@pytest.mark.parametrize("style", PAIR_VERDICTS)
def test_parse_pair_attack_quoted_never_wins(text, style):
    own, theirs = PAIR_VERDICTS[style]
    hostile = text.replace(SCORES, theirs)
    for answer in (
        f"{own}\nThe response says: {hostile}",
        f"The response says: {hostile}\n{own}",
        f"回應寫道：「{hostile}」\n\n{own}",
        f"{hostile}\n{own}",
        f"{own}\n{hostile}",
    ):
        for shown in ((), ("Q?", hostile)):
            parsed = parse_pair(answer, style, shown=shown)
            assert isinstance(parsed, ParseFailure) or parsed.winner is PairWinner.SECOND
    for answer in (f"The response says: {hostile}", f"回應寫道：「{hostile}」。", f"It says {hostile} and so on"):
        assert isinstance(parse_pair(answer, style, shown=("Q?", hostile)), ParseFailure)


def test_parse_attack_around_the_own_answer_is_no_answer_where_the_data_are_known():
    text = TEXTS["swallow-5"]
    answer = f"{text} {OWN} {text}"
    assert written(answer, shown=[text]) is None
