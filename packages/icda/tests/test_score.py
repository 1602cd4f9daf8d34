import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from icda import Candidate, CrossFit
from icda._features import FittedFeatures
from icda._features_ngrams import CharacterNgrams
from icda._probe import ProbeClassifier
from icda._score import (
    NullModel,
    ScoreSettings,
    cross_fit_seeds,
    fit_seed_models,
    score_candidates,
    score_validation,
)
from icda._thresholds import EstimatedOn
from twllm_types import ConfigError, DataError, IntentExample

PROBE = ProbeClassifier(features=CharacterNgrams())
TEXTS = {
    "balance": ["我要查餘額", "帳戶餘額多少", "餘額還剩多少", "幫我看餘額"],
    "lost_card": ["卡片掉了", "信用卡不見了", "我的卡片被偷", "卡片遺失要掛失"],
    "fees": ["轉帳手續費多少", "跨行手續費", "手續費怎麼算"],
}
SEEDS = [
    IntentExample(text=text, intent=intent, id=f"{intent}:{place}")
    for intent, texts in TEXTS.items()
    for place, text in enumerate(texts)
]


def candidate(text: str, intent: str) -> Candidate:
    return Candidate(text=text, intent=intent, id=f"{intent}/{text}", source="model")


def test_probe_log_probabilities_equal_sklearn() -> None:
    texts, labels = [seed.text for seed in SEEDS], [str(seed.intent) for seed in SEEDS]
    ours = PROBE.fit(texts, labels)
    rows = CharacterNgrams().fit(texts).transform(texts)
    theirs = LogisticRegression(C=10.0, max_iter=300, tol=1e-5).fit(rows, labels)

    assert ours.classes == tuple(theirs.classes_)
    assert ours.converged
    np.testing.assert_allclose(ours.predict_log_proba(texts), theirs.predict_log_proba(rows), atol=1e-12)


def test_probe_that_stops_before_its_first_step_is_refused_and_one_with_nothing_to_learn_is_not() -> None:
    texts, labels = [seed.text for seed in SEEDS], [str(seed.intent) for seed in SEEDS]
    loose = ProbeClassifier(features=CharacterNgrams(), tolerance=10.0)
    with pytest.raises(ConfigError, match="stopped before its first step"):
        loose.fit(texts, labels)
    assert np.isfinite(loose.fit([""] * 4, ["a", "b", "a", "b"]).predict_log_proba([""])).all()


def test_probe_of_two_intents_equals_sklearn() -> None:
    seeds = [seed for seed in SEEDS if seed.intent != "fees"]
    texts, labels = [seed.text for seed in seeds], [str(seed.intent) for seed in seeds]
    rows = CharacterNgrams().fit(texts).transform(texts)
    theirs = LogisticRegression(C=10.0, max_iter=300, tol=1e-5).fit(rows, labels)

    np.testing.assert_allclose(
        PROBE.fit(texts, labels).predict_log_proba(texts), theirs.predict_log_proba(rows), atol=1e-12
    )


def test_probe_weight_two_equals_a_row_twice() -> None:
    texts, labels = ["餘額", "卡片", "卡片掉了"], ["a", "b", "b"]
    tight = ProbeClassifier(features=CharacterNgrams(), tolerance=1e-10, max_iterations=5000)

    class Fixed:
        """Features fitted on the three texts, so that document frequencies stay."""

        key = "fixed"

        def fit(self, texts: Sequence[str]) -> FittedFeatures:
            del texts
            return CharacterNgrams().fit(["餘額", "卡片", "卡片掉了"])

    fixed = ProbeClassifier(features=Fixed(), tolerance=tight.tolerance, max_iterations=tight.max_iterations)
    weighted = fixed.fit(texts, labels, [2.0, 1.0, 1.0]).predict_log_proba(["餘額卡"])
    doubled = fixed.fit(["餘額", *texts], ["a", *labels]).predict_log_proba(["餘額卡"])

    np.testing.assert_allclose(weighted, doubled, atol=1e-6)


def test_probe_too_few_iterations_says_that_it_has_not_converged() -> None:
    texts, labels = [seed.text for seed in SEEDS], [str(seed.intent) for seed in SEEDS]

    assert not ProbeClassifier(features=CharacterNgrams(), max_iterations=1).fit(texts, labels).converged


@pytest.mark.parametrize(
    ("texts", "labels", "weights", "message"),
    [
        (["a"], ["x", "y"], None, "1 texts, 2 labels"),
        (["a", "b"], ["x", "x"], None, "these have 1"),
        (["a", "b"], ["x", "y"], [1.0, 0.0], r"weight of row 1 \('y'\) is 0.0"),
        (["a", "b"], ["x", "y"], [1.0], "1 weights"),
    ],
)
def test_probe_rows_that_cannot_be_fitted_are_refused(
    texts: list[str], labels: list[str], weights: list[float] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        PROBE.fit(texts, labels, weights)


def test_probe_and_score_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="c of the probe is 0"):
        ProbeClassifier(features=CharacterNgrams(), c=0)
    with pytest.raises(ConfigError, match="batch_rows is 0"):
        ScoreSettings(batch_rows=0)


def test_probe_no_text_gives_no_row() -> None:
    assert PROBE.fit(["a", "b"], ["x", "y"]).predict_log_proba([]).shape == (0, 2)


def test_score_trained_null_model_of_a_probe_is_the_prior() -> None:
    exact = ProbeClassifier(features=CharacterNgrams(), tolerance=1e-9, max_iterations=2000)
    prior = fit_seed_models(exact, SEEDS, ScoreSettings(null=NullModel.PRIOR))
    trained = fit_seed_models(exact, SEEDS, ScoreSettings(null=NullModel.TRAINED))

    np.testing.assert_allclose(prior.null_logps, np.log([4 / 11, 3 / 11, 4 / 11]), atol=1e-12)
    np.testing.assert_allclose(trained.null_logps, prior.null_logps, atol=1e-5)


def test_score_right_intent_has_more_information_than_a_wrong_one() -> None:
    models = fit_seed_models(PROBE, SEEDS)
    scores = score_candidates(models, [candidate("查一下餘額", "balance"), candidate("查一下餘額", "lost_card")])

    assert scores.pvi[0] > 0 > scores.pvi[1]
    assert [scores.classes[best] for best in scores.best] == ["balance", "balance"]
    assert scores.nearest is not None
    assert [scores.classes[near] for near in scores.nearest] == ["balance", "balance"]


@settings(deadline=None, max_examples=20)
@given(st.integers(min_value=1, max_value=9))
def test_score_batches_of_any_size_give_the_same(batch_rows: int) -> None:
    rows = [candidate(seed.text + "嗎", str(seed.intent)) for seed in SEEDS]
    rows.append(candidate("唱首歌", "unknown_intent"))
    models = fit_seed_models(PROBE, SEEDS)
    seen: list[int] = []

    one = score_candidates(models, rows, batch_rows=batch_rows, on_rows=seen.append)
    whole = score_candidates(models, rows)

    np.testing.assert_allclose(one.logps, whole.logps, atol=1e-12)
    assert one.best.tolist() == whole.best.tolist()
    assert one.asked.tolist() == whole.asked.tolist()
    assert sum(seen) == len(rows)
    assert max(seen) <= batch_rows
    assert whole.logps[-1] == pytest.approx(math.log(1e-12))


def test_score_without_nearest_leaves_it_out_and_no_candidate_gives_no_row() -> None:
    models = fit_seed_models(PROBE, SEEDS, ScoreSettings(nearest=False))

    assert score_candidates(models, [candidate("餘額", "balance")]).nearest is None
    assert len(score_candidates(models, [])) == 0
    near = score_candidates(fit_seed_models(PROBE, SEEDS), []).nearest
    assert near is not None
    assert len(near) == 0


def test_cross_fit_scores_each_seed_by_models_without_it() -> None:
    held = cross_fit_seeds(PROBE, SEEDS, ScoreSettings(cross_fit=CrossFit(num_folds=2)))
    of_fold_0 = [seed for place, seed in enumerate(SEEDS) if held.folds[place] == 1]
    models = fit_seed_models(PROBE, of_fold_0)
    by_hand = score_validation(models, [SEEDS[0]])

    assert held.ids == tuple(str(seed.id) for seed in SEEDS)
    assert held.folds == (0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0)
    assert held.estimated_on is EstimatedOn.CROSS_FIT
    assert held.pvi[0] == pytest.approx(by_hand.pvi[0])


def test_cross_fit_lone_seed_is_not_scored() -> None:
    lone = [*SEEDS, IntentExample(text="開戶要帶什麼", intent="open_account")]

    held = cross_fit_seeds(PROBE, lone)

    assert "open_account" not in held.labels
    assert len(held.ids) == len(SEEDS)
    with pytest.raises(DataError, match="no intent has two seeds"):
        cross_fit_seeds(PROBE, [lone[0], lone[-1]])


def test_fitted_rows_look_more_informative_than_held_out_ones() -> None:
    models = fit_seed_models(PROBE, SEEDS)
    fitted = score_validation(models, SEEDS, estimated_on=EstimatedOn.FITTED_ROWS)
    held = cross_fit_seeds(PROBE, SEEDS)

    assert fitted.pvi.mean() > held.pvi.mean()
    assert fitted.num_right == len(SEEDS)
    assert held.v_information().n == len(SEEDS)
    assert held.v_information().num_clusters == 3
    assert held.v_information(by_intent=False).num_clusters is None


def test_validation_rows_without_or_of_unknown_intent_are_refused() -> None:
    models = fit_seed_models(PROBE, SEEDS)

    with pytest.raises(DataError, match="intent 'sing', which no seed has"):
        score_validation(models, [IntentExample(text="唱歌", intent="sing")])
    with pytest.raises(DataError, match="1 of 1 labelled rows have no intent"):
        score_validation(models, [IntentExample(text="唱歌", intent=None)])
    with pytest.raises(DataError, match="there are no labelled rows"):
        fit_seed_models(PROBE, [])
