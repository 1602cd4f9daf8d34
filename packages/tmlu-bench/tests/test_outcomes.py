from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmlu_bench._outcomes import ItemFailure, ItemResult, Outcome, item_from_json, item_to_json, last_records
from twllm_types import DataError

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


@st.composite
def items(draw: st.DrawFn) -> ItemResult:
    order = tuple(draw(st.permutations(range(draw(st.integers(2, 6))))))
    letters = "ABCDEF"[: len(order)]
    gold = draw(st.sampled_from(letters))
    outcome = draw(st.sampled_from(Outcome))
    others = [letter for letter in letters if letter != gold]
    choice = {Outcome.CORRECT: gold, Outcome.WRONG: draw(st.sampled_from(others))}.get(outcome)
    logprob = st.floats(max_value=0, allow_nan=False)
    return ItemResult(
        subject=draw(TEXTS),
        question_id=draw(TEXTS),
        variant=draw(st.integers(0, 5)),
        order=order,
        gold=gold,
        choice=choice,
        outcome=outcome,
        logprobs=draw(st.none() | st.dictionaries(st.sampled_from(letters), logprob)),
        captured_mass=draw(st.none() | st.floats(0, 1)),
        response=draw(st.none() | TEXTS),
        extraction=draw(st.none() | st.just("found")),
        finish_reason=draw(st.none() | st.sampled_from(["stop", "content_filter"])),
        failure=ItemFailure(kind="timeout", message="too late") if outcome is Outcome.ERROR else None,
        prompt_sha256=draw(st.none() | st.just("0" * 64)),
        num_prompt_tokens=draw(st.none() | st.integers(0, 9)),
        num_shots=draw(st.integers(0, 5)),
        model=draw(st.none() | TEXTS),
    )


@given(items())
def test_item_written_and_read_is_the_same(item: ItemResult) -> None:
    assert item_from_json(item_to_json(item)) == item


def test_item_with_probability_zero_is_written_as_text() -> None:
    row = item_to_json(make(logprobs={"A": -1.0, "B": -inf}))
    assert row["logprobs"] == {"A": -1.0, "B": "-inf"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choice": "B"}, "the outcome is not theirs"),
        ({"choice": None}, "does not fit choice"),
        ({"gold": "E", "choice": "E"}, "gold 'E' is none of ABCD"),
        ({"choice": "E", "outcome": Outcome.WRONG}, "choice 'E' is none of ABCD"),
        ({"order": (0, 1, 1, 3)}, "is no permutation"),
        ({"outcome": Outcome.ERROR, "choice": None}, "an error needs a failure"),
        ({"num_shots": -1}, "must be >= 0"),
    ],
)
def test_item_that_contradicts_itself_is_refused(change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 9}, "schema_version is 9, this tmlu-bench reads 1"),
        ({"outcome": "guessed"}, "is no item"),
        ({"variant": "x"}, "'variant' is str"),
        ({"logprobs": 3}, "is no item"),
    ],
)
def test_item_line_of_something_else_is_refused_with_its_place(change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        item_from_json(item_to_json(make()) | change, source="items.jsonl:7")
    assert str(caught.value).startswith("items.jsonl:7: ")


def test_item_line_without_key_is_refused() -> None:
    row = item_to_json(make())
    del row["gold"]
    with pytest.raises(DataError, match="'gold' is missing"):
        item_from_json(row)


def test_last_records_of_a_retried_item_keep_the_last_and_sort() -> None:
    failed = make(outcome=Outcome.ERROR, choice=None, failure=ItemFailure(kind="timeout", message="late"))
    other = make(question_id="0")
    assert last_records([failed, make(), other]) == (other, make())


def test_shown_position_follows_the_order() -> None:
    item = make(order=(2, 0, 3, 1))
    assert [item.shown_position(letter) for letter in "ABCD"] == [1, 3, 0, 2]


def make(**change: object) -> ItemResult:
    fields = {
        "subject": "s",
        "question_id": "1",
        "order": (0, 1, 2, 3),
        "gold": "A",
        "choice": "A",
        "outcome": Outcome.CORRECT,
    }
    return ItemResult(**(fields | change))  # type: ignore[arg-type]
