"""Candidates: stable ids, and rows on disk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icda import Candidate, candidate_example, candidate_from_json, candidate_id, candidate_to_json
from twllm_types import DataError, IntentExample

CANDIDATE = Candidate(
    text="我的卡呢", intent="card_arrival", id="0f", source="hf:model", request_id="r1", seed_ids=("a", "b")
)


def test_candidate_id_depends_on_its_three_parts_alone_and_is_sixteen_hexadecimal_digits():
    # pinned: ids of finished runs must stay what they are
    assert candidate_id("card_arrival", "r1", 0) == "f9cdf38f003f7655"
    others = {candidate_id("card_arrival", "r1", 1), candidate_id("card_arrival", "r2", 0), candidate_id("x", "r1", 0)}
    assert len(others | {"f9cdf38f003f7655"}) == 4


# surrogates cannot be written as UTF-8, and no JSON file holds them
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip), st.lists(st.text(min_size=1)))
def test_candidate_json_reads_back_equal(text, seed_ids):
    candidate = Candidate(text=text, intent="a", id="1", source="g", seed_ids=tuple(seed_ids))
    assert candidate_from_json(candidate_to_json(candidate), where="f:1") == candidate


def test_candidate_from_json_without_request_and_seeds_takes_none():
    row = {"id": "1", "text": "hi", "intent": "a", "source": "pool"}
    assert candidate_from_json(row, where="f:1") == Candidate(text="hi", intent="a", id="1", source="pool")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": 3}, "f:7: 'text' is 3"),
        ({"intent": None}, "f:7: 'intent' is None"),
        ({"seed_ids": "ab"}, "f:7: 'seed_ids'"),
        ({"seed_ids": [1]}, "f:7: 'seed_ids'"),
        ({"text": "  "}, "f:7: candidate '0f' has an empty text"),
        ({"source": "seed"}, "f:7: candidate '0f' has the source 'seed'"),
    ],
    ids=["text", "intent", "seeds-text", "seeds-number", "blank", "seed"],
)
def test_candidate_from_json_broken_row_names_file_line_and_key(change, message):
    with pytest.raises(DataError, match=message):
        candidate_from_json({**candidate_to_json(CANDIDATE), **change}, where="f:7")


def test_candidate_example_is_a_training_row_under_the_asked_or_another_intent():
    assert candidate_example(CANDIDATE) == IntentExample(
        text="我的卡呢", intent="card_arrival", id="0f", source="hf:model"
    )
    assert candidate_example(CANDIDATE, intent="card_linking").intent == "card_linking"
