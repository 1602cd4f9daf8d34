"""Cleaning: each reason, the order of judgements, and the same result whatever was asked in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icda import Candidate, Cleaner, CleanRules, ParsedLine, RejectedLine, RejectReason, clean, normalise_text
from twllm_types import ConfigError, IntentExample

SEEDS = [
    IntentExample(text="Where is my new card?", intent="card_arrival", id="s1"),
    IntentExample(text="My card still has not arrived in the post.", intent="card_arrival", id="s2"),
    IntentExample(text="How do I link a card?", intent="card_linking", id="s3"),
]
TEST = [IntentExample(text="When will the card I ordered be delivered to me?", intent="card_arrival", id="t1")]


def admit(*texts: str, intent: str = "card_arrival", cleaner: Cleaner | None = None, request: str = "r"):
    lines = [ParsedLine(text=text) for text in texts]
    return (cleaner or Cleaner(SEEDS, TEST)).admit(
        lines, intent=intent, request_id=request, source="model", seed_ids=("s1",)
    )


def verdicts(rows: tuple[Candidate | RejectedLine, ...]) -> list[tuple[str | None, str | None]]:
    return [(row.reason, row.like) if isinstance(row, RejectedLine) else (None, None) for row in rows]


def test_clean_new_line_becomes_a_candidate_with_its_origin():
    (row,) = admit("Has the card been sent?")
    assert isinstance(row, Candidate)
    assert (row.text, row.intent, row.source) == ("Has the card been sent?", "card_arrival", "model")
    assert (row.request_id, row.seed_ids) == ("r", ("s1",))


@pytest.mark.parametrize(
    ("text", "reason", "like"),
    [
        ("where is my new CARD", "seed_copy", "s1"),
        ("how do i link a card", "seed_copy", "s3"),
        ("when will the card I ordered be delivered to me", "test_copy", "t1"),
        ("When will the card I ordered be delivered to me??s", "near_duplicate", "t1"),
        ("My card still has not arrived in the post.s", "near_duplicate", "s2"),
        ("card", "too_short", None),
        ("card " * 40, "too_long", None),
        ("...", "empty", None),
    ],
    ids=["seed", "other-seed", "test", "near-test", "near-seed", "short", "long", "empty"],
)
def test_clean_refuses_with_the_reason_and_what_it_repeats(text, reason, like):
    assert verdicts(admit(text)) == [(reason, like)]


@pytest.mark.parametrize("reason", list(RejectReason))
def test_clean_keeps_the_reason_of_the_parser(reason):
    lines = [ParsedLine(text="Has the card been sent?", reason=reason)]
    (row,) = clean(lines, intent="card_arrival", source="model", seeds=SEEDS, test=TEST)
    assert isinstance(row, RejectedLine)
    assert (row.reason, row.like) == (reason, None)


def test_clean_repeats_are_dropped_across_requests_of_an_intent():
    cleaner = Cleaner(SEEDS, TEST)
    (first,) = admit("Has the card I want been sent?", cleaner=cleaner)
    again = admit("has the card I want been sent", "Has the card I want been sent?!s", cleaner=cleaner, request="r2")
    assert verdicts(again) == [("duplicate", first.id), ("near_duplicate", first.id)]


def test_clean_the_same_text_under_another_intent_stays_for_the_classifier_to_judge():
    cleaner = Cleaner(SEEDS, TEST)
    admit("Has the card been sent?", cleaner=cleaner)
    (row,) = admit("Has the card been sent?", cleaner=cleaner, intent="card_linking", request="r2")
    assert isinstance(row, Candidate)


def test_clean_rejected_lines_are_not_remembered():
    cleaner = Cleaner(SEEDS, TEST)
    line = ParsedLine(text="Has the card been sent?", reason=RejectReason.TRUNCATED)
    cleaner.admit([line], intent="card_arrival", request_id="r1", source="model")
    (row,) = admit("Has the card been sent?", cleaner=cleaner)
    assert isinstance(row, Candidate)


def test_clean_rules_can_be_turned_off():
    off = CleanRules(near_duplicate=None, min_length_ratio=None, max_length_ratio=None)
    rows = admit("My card still has not arrived in the post.s", "ok", "card " * 40, cleaner=Cleaner(SEEDS, TEST, off))
    assert verdicts(rows) == [(None, None)] * 3
    assert verdicts(admit("x", cleaner=Cleaner((), (), off))) == [("too_short", None)]


def test_clean_intent_without_seeds_has_no_length_to_compare():
    assert verdicts(admit("ok", "a " * 400, intent="new")) == [(None, None), (None, None)]


def test_clean_chinese_near_copies_are_found():
    seeds = [IntentExample(text="請問我的信用卡帳單這個月的繳款截止日期到底是哪一天呢", intent="帳單", id="s")]
    cleaner = Cleaner(seeds)
    rows = admit(
        "請問我的信用卡帳單這個月的繳款截止日期到底是哪一天呢？",
        "請問我的信用卡帳單這個月的繳款截止日期到底是哪一天呢啊",
        "卡費最晚什麼時候要繳",
        intent="帳單",
        cleaner=cleaner,
    )
    assert verdicts(rows) == [("seed_copy", "s"), ("near_duplicate", "s"), (None, None)]


@pytest.mark.parametrize(
    "change",
    [
        {"near_duplicate": 0},
        {"near_duplicate": 1.1},
        {"min_chars": 0},
        {"min_length_ratio": 0},
        {"max_length_ratio": 0.5},
        {"max_length_ratio": float("inf")},
    ],
    ids=lambda change: "-".join(f"{name}={value}" for name, value in change.items()),
)
def test_clean_rules_out_of_range_are_refused(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        CleanRules(**change)


@given(st.lists(st.sampled_from(["a b c d", "a b c e", "x y z", "X, Y, Z!", "", "我的卡", "我的 卡"])))
def test_clean_admits_no_two_equal_texts_of_an_intent(texts):
    rows = clean([ParsedLine(text=text) for text in texts], intent="i", source="m")
    kept = [normalise_text(row.text) for row in rows if isinstance(row, Candidate)]
    assert len(set(kept)) == len(kept)
    assert len({row.id for row in rows}) == len(rows) == len(texts)


@given(st.text())
def test_normalise_text_is_idempotent_and_ignores_case_and_punctuation(text):
    once = normalise_text(text)
    assert normalise_text(once) == once
    assert normalise_text(f" {text}？! ") == once


def test_normalise_text_joins_apostrophes_and_full_width_forms():
    assert normalise_text("What’s  ＮＥＷ, e-mail？") == "whats new email"
