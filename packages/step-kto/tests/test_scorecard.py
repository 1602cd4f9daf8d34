import pytest
from hypothesis import given
from hypothesis import strategies as st

from step_kto._scorecard import first_error, first_error_scorecard
from twllm_types import DataError


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        ((True, True), -1),
        ((True, False, None), 1),
        ((False,), 0),
        ((None, False), None),
        ((True, None), None),
        ((), -1),
    ],
)
def test_first_error_place_or_open(labels: tuple[bool | None, ...], place: int | None) -> None:
    assert first_error(labels) == place


def test_scorecard_by_hand() -> None:
    truths = [(True, False, None), (False, True), (True, True), (True,), (True, True), (None, True), (True, False)]
    judged = [(True, False, True), (True, False), (True, True), (False,), (None, True), (True, True), (None, None)]
    card = first_error_scorecard(truths, judged, seed=1, draws=200)
    # flawed: the first is found, the second missed, the last not judged; sound: two passed, one blamed
    assert card.flawed_accuracy.mean == pytest.approx(1 / 2)
    assert (card.flawed_accuracy.n, card.flawed_accuracy.num_unscored) == (2, 1)
    assert card.sound_accuracy.mean == pytest.approx(2 / 3)
    assert card.first_error_f1.mean == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))
    assert (card.first_error_f1.n, card.first_error_f1.num_unscored) == (5, 1)
    # called wrong: steps 1.2, 2.2, 4.1, of which one is; wrong: 1.2, 2.1 and the unjudged 7.2
    assert card.wrong_precision.mean == pytest.approx(1 / 3)
    assert (card.wrong_recall.mean, card.wrong_recall.n, card.wrong_recall.num_unscored) == (pytest.approx(1 / 2), 2, 1)
    assert card.num_unknown_steps == 3
    assert card.step_accuracy.mean == pytest.approx(6 / 9)


labels = st.lists(st.booleans(), min_size=1, max_size=4).map(tuple)


@given(st.lists(labels, min_size=1, max_size=8))
def test_scorecard_perfect_judge_has_the_value_one(truths: list[tuple[bool, ...]]) -> None:
    card = first_error_scorecard(truths, truths, seed=0, draws=20)
    has_both = any(False in truth for truth in truths) and any(False not in truth for truth in truths)
    assert card.first_error_f1.mean == (1.0 if has_both else 0.0)
    assert card.step_accuracy.mean == 1.0


def test_scorecard_same_seed_gives_the_same_interval() -> None:
    truths = [(True, False), (True, True)] * 10
    judged = [(True, False), (True, False)] * 5 + [(True, True), (True, True)] * 5
    first, second = (first_error_scorecard(truths, judged, seed=3, draws=100) for _ in range(2))
    assert first == second
    low, high = first.first_error_f1.ci_low, first.first_error_f1.ci_high
    assert low is not None
    assert high is not None
    assert 0 <= low <= 0.5 <= high <= 1


def test_scorecard_nothing_to_score_has_no_figures() -> None:
    card = first_error_scorecard([], [], seed=0)
    assert card.first_error_f1.mean is None
    assert card.wrong_precision.mean is None


@pytest.mark.parametrize(
    ("truths", "judged", "message"),
    [([(True,)], [], "0 judgements for 1 solutions"), ([(True,)], [(True, True)], "solution 0: 2 labels for 1 steps")],
)
def test_scorecard_unequal_numbers_are_refused(truths: list, judged: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        first_error_scorecard(truths, judged, seed=0)
