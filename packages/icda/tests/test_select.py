"""Selection: every kind and rule on cases small enough to decide by hand, and laws on any case."""

import time
from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icda import (
    DecisionReason,
    Outcome,
    SelectionKind,
    SelectionRules,
    class_thresholds,
    join_scores,
    mass_weights,
    scores_from_logps,
    select,
    self_confidence_thresholds,
)
from twllm_types import ConfigError, DataError

CLASSES = ("a", "b", "c")
NULL = np.log([0.25, 0.25, 0.5])
TABLE = np.log(
    [
        [0.90, 0.05, 0.05],  # a, surely
        [0.50, 0.40, 0.10],  # a, hardly
        [0.10, 0.80, 0.10],  # asked a, is b
        [0.20, 0.70, 0.10],  # b
        [0.30, 0.30, 0.40],  # asked b, is c
        [0.10, 0.10, 0.80],  # asked for what the classifier does not know
    ]
)
ASKED = ("a", "a", "a", "b", "b", "new")
IDS = ("1", "2", "3", "4", "5", "6")
NEAREST = np.array([0, 1, 1, 1, 2, 2])
SCORES = scores_from_logps(IDS, ASKED, TABLE, CLASSES, null_logps=NULL, nearest=NEAREST)
# a: 1 bit (p = 1/2), b: 1 bit, c: 0.5 bits (p = 0.707), all: 0.9
BITS = class_thresholds(
    [1.0, 1.0, 0.5, 1.1], ["a", "b", "c", "b"], estimated_on="validation", rule="quantile", quantile=0
)
PROBABILITIES = self_confidence_thresholds(np.log([0.4, 0.75, 0.8]), ["a", "b", "c"], estimated_on="cross_fit")


def outcomes(rules: SelectionRules, thresholds=BITS, like=None) -> list[tuple[str | None, str]]:
    return [(one.intent, one.reason.value) for one in select(SCORES, thresholds, rules, like=like).decisions()]


LOW, OFF, NEW = (None, "below_threshold"), (None, "disagrees"), (None, "unknown_intent")


@pytest.mark.parametrize(
    ("kind", "thresholds", "expected"),
    [
        ("pvi-class", BITS, [("a", "passed"), LOW, LOW, ("b", "passed"), LOW, NEW]),
        ("pvi-global", BITS, [("a", "passed"), ("a", "passed"), LOW, ("b", "passed"), LOW, NEW]),
        ("keep-all", None, [(name, "passed") for name in ASKED]),
        ("argmax", None, [("a", "passed"), ("a", "passed"), OFF, ("b", "passed"), OFF, NEW]),
        ("confidence", None, [("a", "passed"), ("a", "passed"), LOW, ("b", "passed"), LOW, NEW]),
        ("self-confidence", PROBABILITIES, [("a", "passed"), ("a", "passed"), LOW, LOW, LOW, NEW]),
        ("nearest-intent", None, [("a", "passed"), OFF, OFF, ("b", "passed"), OFF, NEW]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_select_kinds(kind, thresholds, expected):
    assert outcomes(SelectionRules(kind=SelectionKind(kind)), thresholds) == expected


def test_select_equal_to_the_threshold_passes_only_where_inclusive():
    assert outcomes(SelectionRules())[1] == LOW
    assert outcomes(SelectionRules(inclusive=True))[1] == ("a", "passed")


def test_select_decision_shows_value_and_threshold():
    selection = select(SCORES, BITS, SelectionRules())
    first = selection.decision(0)
    assert (first.id, first.asked, first.outcome) == ("1", "a", Outcome.KEPT)
    assert first.value == pytest.approx(np.log2(0.9 / 0.25))
    assert first.threshold == pytest.approx(1.0)
    unknown = selection.decision(5)
    assert (unknown.value, unknown.threshold, unknown.outcome) == (None, None, Outcome.DROPPED)
    assert select(SCORES, None, SelectionRules(kind=SelectionKind.KEEP_ALL)).decision(0).value is None


@pytest.mark.parametrize(
    ("kind", "thresholds", "expected"),
    [
        ("pvi-class", BITS, [("a", "passed"), LOW, ("b", "relabelled"), ("b", "passed"), LOW, NEW]),
        (
            "argmax",
            None,
            [("a", "passed"), ("a", "passed"), ("b", "relabelled"), ("b", "passed"), ("c", "relabelled"), NEW],
        ),
        ("confidence", None, [("a", "passed"), ("a", "passed"), ("b", "relabelled"), ("b", "passed"), LOW, NEW]),
        (
            "self-confidence",
            PROBABILITIES,
            [("a", "passed"), ("a", "passed"), ("b", "relabelled"), LOW, LOW, NEW],
        ),
        (
            "nearest-intent",
            None,
            [("a", "passed"), ("b", "relabelled"), ("b", "relabelled"), ("b", "passed"), ("c", "relabelled"), NEW],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_select_relabel_takes_the_preferred_intent_where_it_passes_there(kind, thresholds, expected):
    selection = select(SCORES, thresholds, SelectionRules(kind=SelectionKind(kind), relabel=True))
    assert [(one.intent, one.reason.value) for one in selection.decisions()] == expected
    moved = [one for one in selection.decisions() if one.reason == "relabelled"]
    assert all(one.outcome is Outcome.RELABELLED and one.intent != one.asked for one in moved)
    assert Counter(selection.kept_intents()) == Counter(name for name, _ in expected if name)


def test_select_band_drops_what_the_model_already_knows():
    per_class = outcomes(SelectionRules(inclusive=True, upper_quantile=0.5))
    # upper limits are the medians of the asked intents: a 1 bit, b between its two
    assert per_class == [(None, "above_band"), ("a", "passed"), LOW, (None, "above_band"), LOW, NEW]
    whole = outcomes(SelectionRules(kind=SelectionKind.PVI_GLOBAL, upper_quantile=0.8))
    assert whole == [(None, "above_band"), ("a", "passed"), LOW, ("b", "passed"), LOW, NEW]
    relabelled = select(SCORES, BITS, SelectionRules(relabel=True, upper_quantile=0.5)).decision(2)
    assert (relabelled.intent, relabelled.reason, relabelled.outcome) == (None, "above_band", "dropped")


def test_select_band_of_unknown_intents_alone_drops_nothing_more():
    scores = scores_from_logps(["1"], ["new"], TABLE[:1], CLASSES, null_logps=NULL)
    for kind in (SelectionKind.PVI_CLASS, SelectionKind.PVI_GLOBAL):
        found = select(scores, BITS, SelectionRules(kind=kind, upper_quantile=0.5))
        assert found.decision(0).reason == "unknown_intent"


def test_select_fills_up_with_the_best_that_failed():
    assert outcomes(SelectionRules(min_per_intent=2)) == [
        ("a", "passed"),
        ("a", "filled"),
        LOW,
        ("b", "passed"),
        ("b", "filled"),
        NEW,
    ]
    assert outcomes(SelectionRules(kind=SelectionKind.NEAREST_INTENT, min_per_intent=3)).count(("a", "filled")) == 2


def test_select_cap_draws_by_seed_and_not_by_value():
    names = [outcomes(SelectionRules(kind=SelectionKind.KEEP_ALL, cap_per_intent=1, seed=seed)) for seed in range(20)]
    for one in names:
        assert Counter(name for name, _ in one if name) == {"a": 1, "b": 1, "new": 1}
        assert sum(reason == "cap" for _, reason in one) == 3
    assert len({tuple(one) for one in names}) > 1
    capped = outcomes(SelectionRules(kind=SelectionKind.ARGMAX, relabel=True, cap_per_intent=1))
    assert Counter(name for name, _ in capped if name) == {"a": 1, "b": 1, "c": 1}


def test_select_random_is_as_large_as_the_other_and_no_function_of_the_order():
    like = select(SCORES, BITS, SelectionRules(relabel=True))
    rules = SelectionRules(kind=SelectionKind.RANDOM, seed=4)
    drawn = select(SCORES, None, rules, like=like)
    assert drawn.num_kept == like.num_kept == 3
    assert {one.reason.value for one in drawn.decisions()} == {"passed", "not_drawn"}
    back = list(range(5, -1, -1))
    turned = scores_from_logps([IDS[i] for i in back], [ASKED[i] for i in back], TABLE[back], CLASSES, null_logps=NULL)
    again = select(turned, None, rules, like=select(turned, BITS, SelectionRules(relabel=True)))
    assert {turned.ids[place] for place in again.kept_places()} == {IDS[place] for place in drawn.kept_places()}
    capped = select(SCORES, None, SelectionRules(kind=SelectionKind.RANDOM, cap_per_intent=1), like=like)
    assert max(capped.kept_per_intent().values()) == 1


def test_select_random_without_or_with_another_pool_is_refused():
    rules = SelectionRules(kind=SelectionKind.RANDOM)
    with pytest.raises(ConfigError, match="give like="):
        select(SCORES, None, rules)
    other = scores_from_logps(["x"], ["a"], TABLE[:1], CLASSES, null_logps=NULL)
    with pytest.raises(DataError, match="other candidates"):
        select(SCORES, None, rules, like=select(other, BITS, SelectionRules()))


def test_select_wants_thresholds_of_its_scale_and_nearest_intents():
    with pytest.raises(ConfigError, match="pvi-class needs thresholds in bits, not none"):
        select(SCORES, None, SelectionRules())
    with pytest.raises(ConfigError, match="not those of probability"):
        select(SCORES, PROBABILITIES, SelectionRules())
    with pytest.raises(ConfigError, match="make them by self_confidence_thresholds"):
        select(SCORES, BITS, SelectionRules(kind=SelectionKind.SELF_CONFIDENCE))
    bare = scores_from_logps(IDS, ASKED, TABLE, CLASSES, null_logps=NULL)
    with pytest.raises(ConfigError, match="needs the nearest intents"):
        select(bare, None, SelectionRules(kind=SelectionKind.NEAREST_INTENT))


def test_select_counts_of_intents_and_reasons():
    selection = select(SCORES, BITS, SelectionRules(relabel=True))
    assert selection.kept_per_intent() == {"a": 1, "b": 2, "new": 0}
    counts = selection.reason_counts()
    assert sum(counts.values()) == len(selection) == 6
    assert counts[DecisionReason.RELABELLED] == 1
    assert counts[DecisionReason.CAP] == 0
    onto_new = select(SCORES, None, SelectionRules(kind=SelectionKind.ARGMAX, relabel=True))
    assert onto_new.kept_per_intent()["c"] == 1


@pytest.mark.parametrize("kind", [kind for kind in SelectionKind if kind is not SelectionKind.RANDOM])
def test_select_no_candidates_give_an_empty_selection(kind):
    empty = scores_from_logps([], [], np.empty((0, 3)), CLASSES, null_logps=NULL, nearest=np.empty(0, dtype=np.int64))
    thresholds = PROBABILITIES if kind is SelectionKind.SELF_CONFIDENCE else BITS
    plain = kind is SelectionKind.KEEP_ALL
    band = 0.5 if kind in {SelectionKind.PVI_CLASS, SelectionKind.PVI_GLOBAL} else None
    rules = SelectionRules(
        kind=kind, relabel=not plain, min_per_intent=None if plain else 1, cap_per_intent=2, upper_quantile=band
    )
    selection = select(empty, thresholds, rules)
    assert (len(selection), selection.num_kept, selection.kept_intents()) == (0, 0, ())


@pytest.mark.parametrize(
    "options",
    [
        {"upper_quantile": 1.0},
        {"cap_per_intent": 0},
        {"min_per_intent": 0},
        {"min_per_intent": 5, "cap_per_intent": 4},
        {"confidence": 0.0},
        {"mass": 0.0},
        {"mass": float("inf")},
        {"upper_quantile": 0.9, "kind": SelectionKind.ARGMAX},
        {"relabel": True, "kind": SelectionKind.RANDOM},
        {"min_per_intent": 1, "kind": SelectionKind.KEEP_ALL},
    ],
    ids=lambda options: "-".join(f"{name}={value}" for name, value in options.items()),
)
def test_selection_rules_out_of_range_or_not_of_the_kind_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        SelectionRules(**options)


@given(st.data())
def test_select_relabel_adds_and_cap_holds_on_any_scores(data):
    num_rows = data.draw(st.integers(0, 25))
    weights = data.draw(
        st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=num_rows, max_size=num_rows)
    )
    table = np.array(weights).reshape(num_rows, 3)
    asked = data.draw(st.lists(st.sampled_from("abcn"), min_size=num_rows, max_size=num_rows))
    scores = scores_from_logps(
        [str(row) for row in range(num_rows)],
        asked,
        np.log(table / table.sum(axis=1, keepdims=True)),
        CLASSES,
        null_logps=NULL,
    )
    plain = select(scores, BITS, SelectionRules())
    relabelled = select(scores, BITS, SelectionRules(relabel=True))
    assert set(plain.kept_places()) <= set(relabelled.kept_places())
    capped = select(scores, BITS, SelectionRules(relabel=True, cap_per_intent=2))
    assert all(count == min(2, relabelled.kept_per_intent()[name]) for name, count in capped.kept_per_intent().items())
    for place, decision in enumerate(plain.decisions()):
        kept = decision.outcome is Outcome.KEPT
        above = (decision.value or 0) > (decision.threshold or 0)
        assert kept == (asked[place] != "n" and above)


def test_scores_argmax_takes_the_first_of_equals_and_pvi_of_the_unknown_is_zero():
    assert SCORES.best.tolist() == [0, 0, 1, 1, 2, 2]
    assert SCORES.asked.tolist() == [0, 0, 0, 1, 1, -1]
    assert SCORES.pvi[5] == 0
    np.testing.assert_allclose(SCORES.best_pvi[4], np.log2(0.4 / 0.5))
    tie = scores_from_logps(["1"], ["b"], np.log([[0.4, 0.4, 0.2]]), CLASSES, null_logps=NULL)
    assert tie.best.tolist() == [0]


def test_scores_join_of_batches_equals_the_whole():
    parts = [
        scores_from_logps(IDS[rows], ASKED[rows], TABLE[rows], CLASSES, null_logps=NULL, nearest=NEAREST[rows])
        for rows in (slice(0, 2), slice(2, 2), slice(2, 6))
    ]
    whole = join_scores(parts)
    assert (whole.ids, whole.intents, whole.classes) == (IDS, ASKED, CLASSES)
    for name in ("asked", "logps", "best", "best_logps", "nearest", "pvi"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(SCORES, name))


def test_scores_bad_input_is_refused():
    with pytest.raises(DataError, match="one row per id"):
        scores_from_logps(["1"], ["a"], TABLE, CLASSES, null_logps=NULL)
    with pytest.raises(DataError, match="0 classes"):
        scores_from_logps(["1"], ["a"], np.empty((1, 0)), [], null_logps=[])
    nan = TABLE.copy()
    nan[2, 2] = np.nan
    with pytest.raises(DataError, match=r"best logps\[2\] is nan"):
        scores_from_logps(IDS, ASKED, nan, CLASSES, null_logps=NULL)
    with pytest.raises(DataError, match="null_logps has shape"):
        scores_from_logps(IDS, ASKED, TABLE, CLASSES, null_logps=NULL[:2])
    with pytest.raises(DataError, match="other lengths"):
        scores_from_logps(IDS, ASKED, TABLE, CLASSES, null_logps=NULL, nearest=NEAREST[:2])
    bare = scores_from_logps(IDS, ASKED, TABLE, CLASSES, null_logps=NULL)
    for parts in ([], [SCORES, bare], [bare, scores_from_logps(IDS, ASKED, TABLE, CLASSES, null_logps=NULL - 1)]):
        with pytest.raises(DataError, match="scores"):
            join_scores(parts)


def test_mass_weights_of_an_intent_weigh_a_share_of_its_seeds():
    weights = mass_weights(["a", "b", "a", "a"], {"a": 6, "b": 4}, mass=0.5)
    np.testing.assert_allclose(weights, [1.0, 2.0, 1.0, 1.0])
    assert mass_weights([], {}, mass=1).shape == (0,)
    with pytest.raises(DataError, match="'b' has synthetic rows and no seed"):
        mass_weights(["b"], {"a": 1}, mass=1.0)
    with pytest.raises(ConfigError, match="mass is -1"):
        mass_weights(["a"], {"a": 1}, mass=-1)


def best_time(work) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def test_select_of_many_rows_takes_less_time_than_one_prediction():
    # a loop over rows and classes would take many times as long as the probe's one product and log-softmax
    num_rows, num_features, num_classes = 20_000, 384, 150
    rng = np.random.default_rng(0)
    features, weights = rng.normal(size=(num_rows, num_features)), rng.normal(size=(num_features, num_classes)) / 10
    classes = [f"intent {code}" for code in range(num_classes)]
    asked = [classes[code] for code in rng.integers(0, num_classes, num_rows)]
    ids = [f"{row:016x}" for row in range(num_rows)]
    null = np.full(num_classes, -log(num_classes))
    thresholds = class_thresholds(rng.normal(size=num_rows), asked, estimated_on="validation", classes=classes)

    def predict():
        logits = features @ weights
        logits -= logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    table = predict()

    def decide():
        scores = scores_from_logps(ids, asked, table, classes, null_logps=null)
        return select(scores, thresholds, SelectionRules(relabel=True, upper_quantile=0.9))

    assert best_time(decide) < best_time(predict)
