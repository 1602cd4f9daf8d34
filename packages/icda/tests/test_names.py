"""Intent names: what people read, and labels that nobody can tell apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icda import check_intent_names, humanise_intent, intent_key
from twllm_types import DataError


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("card_arrival", "card arrival"),
        ("Refund_not_showing_up", "Refund not showing up"),
        ("reverted_card_payment?", "reverted card payment?"),
        ("what-is  your__name", "what is your name"),
        ("掛失_信用卡", "掛失 信用卡"),
        ("__", ""),
    ],
)
def test_humanise_intent_turns_separators_into_spaces(label, name):
    assert humanise_intent(label) == name


@given(st.text())
def test_humanise_intent_is_idempotent_and_keeps_the_key(label):
    once = humanise_intent(label)
    assert humanise_intent(once) == once
    assert intent_key(once) == intent_key(label)


def test_check_intent_names_distinct_labels_pass():
    check_intent_names(["card_arrival", "card_arrival", "card_linking", "卡片_掛失"])


@pytest.mark.parametrize("other", ["Card arrival", "card-arrival", "card_arrival?", "cardarrival"])
def test_check_intent_names_collision_names_both(other):
    with pytest.raises(DataError, match="'card_arrival' and") as caught:
        check_intent_names(["card_linking", "card_arrival", other])
    assert repr(other) in str(caught.value)


def test_check_intent_names_of_separators_alone_are_refused():
    with pytest.raises(DataError, match="has no name"):
        check_intent_names(["_?_"])
