import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from icda._evaluate import (
    Trained,
    compare_arms,
    train_and_evaluate,
    trained_from_json,
    trained_to_json,
    training_rows,
    training_seeds,
)
from icda._features_ngrams import CharacterNgrams
from icda._probe import ProbeClassifier
from twllm_types import DataError, EstimateUnit, IntentExample

PROBE = ProbeClassifier(features=CharacterNgrams())
SEEDS = [
    IntentExample(text="帳戶餘額多少", intent="balance"),
    IntentExample(text="查餘額", intent="balance"),
    IntentExample(text="卡片掉了", intent="lost_card"),
    IntentExample(text="信用卡不見", intent="lost_card"),
]
KEPT = [
    IntentExample(text="我還有多少錢", intent="balance", source="model"),
    IntentExample(text="有人偷了我的卡", intent="lost_card", source="model"),
    IntentExample(text="我的卡呢", intent="lost_card", source="model"),
]
TEST = [
    IntentExample(text="餘額", intent="balance"),
    IntentExample(text="還有多少錢", intent="balance"),
    IntentExample(text="卡片", intent="lost_card"),
    IntentExample(text="偷卡", intent="lost_card"),
    IntentExample(text="今天天氣", intent=None),
]


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """A classifier that always says the intent at the place of its seed."""

    seed: int = 0
    classes: tuple[str, ...] = ("balance", "lost_card")

    def with_seed(self, seed: int) -> "Seeded":
        return replace(self, seed=seed)

    def fit(self, texts: Sequence[str], labels: Sequence[str], weights: Sequence[float] | None = None) -> "Seeded":
        del texts, labels, weights
        return self

    def predict_log_proba(self, texts: Sequence[str]) -> np.ndarray:
        row = np.full(2, np.log(0.1))
        row[self.seed % 2] = np.log(0.9)
        return np.tile(row, (len(texts), 1))


def trained(arm: str, predicted: str, *, draw: int = 0, seed: int = 0) -> Trained:
    one = train_and_evaluate(Seeded(), training_rows(SEEDS, []), TEST, arm=arm, draw=draw, seed=seed)
    names = {"b": "balance", "l": "lost_card"}
    return replace(one, predicted=tuple(names[letter] for letter in predicted))


def test_training_rows_mass_weighs_synthetic_rows_as_their_seeds() -> None:
    rows = training_rows(SEEDS, KEPT, mass=0.5)

    assert rows.num_seeds == 4
    assert rows.weights == (1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5)
    assert training_rows(SEEDS, KEPT).weights is None
    assert training_rows(SEEDS, [], mass=0.5).weights is None
    with pytest.raises(DataError, match="1 training rows have no intent"):
        training_rows(SEEDS, [TEST[-1]])


def test_training_seeds_of_a_classifier_without_seed_are_one() -> None:
    assert training_seeds(PROBE, [3, 4]) == (3,)
    assert training_seeds(Seeded(), [3, 4]) == (3, 4)


def test_evaluation_kept_rows_are_counted_and_out_of_scope_is_measured() -> None:
    seeds_only = train_and_evaluate(PROBE, training_rows(SEEDS, []), TEST, arm="seeds-only", draw=0, seed=0)
    more = train_and_evaluate(PROBE, training_rows(SEEDS, KEPT), TEST, arm="keep-all", draw=0, seed=0)

    assert (more.num_seeds, more.num_kept, seeds_only.num_kept) == (4, 3, 0)
    assert more.predicted == ("balance", "balance", "lost_card", "lost_card")
    assert more.accuracy.mean == 1
    assert more.macro_f1 == 1
    assert more.oos_auroc is not None
    assert more.oos_auroc.mean == 1
    assert train_and_evaluate(PROBE, training_rows(SEEDS, []), TEST[:4], arm="a", draw=0, seed=0).oos_auroc is None
    with pytest.raises(DataError, match="no row with an intent"):
        train_and_evaluate(PROBE, training_rows(SEEDS, []), TEST[4:], arm="a", draw=0, seed=0)


def test_evaluation_seed_reaches_the_classifier() -> None:
    one, other = (
        train_and_evaluate(Seeded(), training_rows(SEEDS, []), TEST, arm="a", draw=0, seed=seed) for seed in (0, 1)
    )

    assert set(one.predicted) == {"balance"}
    assert set(other.predicted) == {"lost_card"}
    assert one.macro_f1 == pytest.approx(1 / 3)


def test_result_survives_json() -> None:
    for test in (TEST, TEST[:4]):
        one = train_and_evaluate(PROBE, training_rows(SEEDS, KEPT), test, arm="a", draw=2, seed=1)

        assert trained_from_json(json.loads(json.dumps(trained_to_json(one))), where="results.jsonl:1") == one
    with pytest.raises(DataError, match=r"results\.jsonl:1: holds no result"):
        trained_from_json({"arm": "a"}, where="results.jsonl:1")


def test_comparison_difference_is_paired_over_rows_and_over_draws() -> None:
    results = [
        trained("seeds-only", "bbbb", draw=0),
        trained("seeds-only", "bbbl", draw=1),
        trained("pvi-class", "bbbl", draw=0),
        trained("pvi-class", "bbll", draw=1),
    ]

    base, arm = compare_arms(results, TEST)

    assert (base.arm, base.difference, base.difference_of_draws) == ("seeds-only", None, None)
    assert base.accuracy.mean == pytest.approx((0.5 + 0.75) / 2)
    assert arm.accuracy.num_clusters == 4
    assert arm.difference is not None
    assert arm.difference.mean == pytest.approx(0.25)
    assert arm.difference.num_clusters == 4
    assert arm.difference_of_draws is not None
    assert (arm.difference_of_draws.mean, arm.difference_of_draws.n) == (pytest.approx(0.25), 2)
    assert arm.difference_of_draws.unit is EstimateUnit.SHARE


def test_comparison_seeds_of_a_draw_are_averaged_whatever_their_order() -> None:
    results = [
        trained("seeds-only", word, draw=draw, seed=seed) for draw, seed, word in ((1, 0, "bbll"), (0, 1, "bbbb"))
    ]
    results += [trained("seeds-only", "llbb", draw=0, seed=0), trained("seeds-only", "bbbl", draw=1, seed=1)]
    swapped = [replace(one, arm="other") for one in reversed(results)]

    base, other = compare_arms([*results, *swapped], TEST)

    assert base.num_kept.n == 2
    assert other.difference is not None
    assert other.difference.mean == 0
    assert base.accuracy.mean == pytest.approx((1 + 0.5 + 0 + 0.75) / 4)


def test_comparison_draws_that_change_nothing_have_no_interval_over_draws() -> None:
    results = [trained("seeds-only", "bbbb", draw=draw) for draw in range(3)]
    results += [trained("argmax", "bbbl", draw=draw) for draw in range(3)]
    results += [trained("random", words, draw=draw) for draw, words in enumerate(("bbll", "bbbl", "bbbb"))]

    _, argmax, random = compare_arms(results, TEST)

    assert argmax.difference_of_draws is not None
    assert (argmax.difference_of_draws.n, argmax.difference_of_draws.ci_low) == (1, None)
    assert random.difference_of_draws is not None
    assert random.difference_of_draws.n == 3
    assert random.difference_of_draws.ci_low is not None


def test_comparison_arm_of_one_draw_is_held_against_that_draw() -> None:
    results = [trained("seeds-only", "llll", draw=0), trained("seeds-only", "bbll", draw=1)]
    results.append(trained("reviewed", "bbll", draw=1))

    _, reviewed = compare_arms(results, TEST)

    assert reviewed.difference is not None
    assert reviewed.difference.mean == 0


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([("keep-all", "bbbb", 0)], "no arm 'seeds-only' among keep-all"),
        ([("seeds-only", "bbbb", 0), ("keep-all", "bbbb", 1)], "'keep-all' has other draws and seeds"),
        ([("seeds-only", "bbbb", 0), ("seeds-only", "bbbb", 0)], "draw 0, seed 0 twice"),
        ([("seeds-only", "bbb", 0)], "predicts 3 rows, the test has 4"),
        ([], "among no results"),
    ],
)
def test_comparison_of_what_is_not_paired_is_refused(results: list[tuple[str, str, int]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        compare_arms([trained(arm, words, draw=draw) for arm, words, draw in results], TEST)
