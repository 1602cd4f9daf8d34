import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from icda._guards import GuardName
from icda._review import read_review
from icda._run_score import ScoreJob
from icda._run_select import SelectJob, read_selected, run_select
from icda._score import ScoreSettings
from icda._selection_rules import Outcome, SelectionKind, SelectionRules
from icda._threshold_settings import ThresholdSettings
from icda._thresholds import EstimatedOn, ThresholdRule
from twllm_runs import RunState, read_jsonl
from twllm_types import ArtifactError, ConfigError, DataError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from icda_fakes import INTENTS, make_scored


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    return make_scored(tmp_path_factory.mktemp("scored"))


def chosen(scored, output, **rules):
    return run_select(scored, SelectJob(rules=SelectionRules(**rules)), output=output)


def test_run_select_keeps_what_was_asked_for_and_drops_swapped_rows(scored, tmp_path):
    run = chosen(scored, tmp_path)
    kept = {row.id for row in run.selected}
    right = {one.id for at, one in enumerate(scored.candidates) if at % 12 >= 4}
    assert kept <= right
    assert len(kept) >= 3
    assert [one.candidate.id for one in run.decisions] == [one.id for one in scored.candidates]


def test_run_select_shows_every_plain_rule_beside_the_chosen_one(scored, tmp_path):
    run = chosen(scored, tmp_path)
    assert set(run.num_kept) == {"selected", *SelectionKind}
    assert run.num_kept["keep-all"] == 36
    assert run.num_kept["random"] == run.num_kept["selected"] == run.num_kept["pvi-class"]
    for kind in SelectionKind:
        assert len(run.baseline(kind)) == run.num_kept[kind.value]
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["agreement"]["pvi-class"] == 1.0
    assert summary["agreement"]["keep-all"] == pytest.approx(run.num_kept["selected"] / 36)


def test_relabelled_row_is_trained_as_what_the_classifier_says(scored, tmp_path):
    run = chosen(scored, tmp_path, relabel=True)
    moved = [one for one in run.decisions if one.decision.outcome is Outcome.RELABELLED]
    assert moved
    assert {one.decision.intent for one in moved} <= set(INTENTS)
    assert all(one.decision.intent == one.predicted != one.candidate.intent for one in moved)
    rows = {row["id"]: row for row in read_jsonl(tmp_path / "selected.jsonl")}
    assert all(rows[one.candidate.id]["intent"] == one.decision.intent for one in moved)
    assert all(rows[one.candidate.id]["asked_intent"] == one.candidate.intent for one in moved)


def test_run_select_finished_is_read_back_and_ignores_the_sheet(scored, tmp_path):
    first = chosen(scored, tmp_path)
    (tmp_path / "review.csv").write_text("edited", encoding="utf-8")
    again = chosen(scored, tmp_path)
    assert again == replace(first, state=RunState.FINISHED)
    assert read_selected(tmp_path) == again


def test_sheet_holds_every_candidate_and_reads_back(scored, tmp_path):
    run = chosen(scored, tmp_path, relabel=True)
    rows = read_review(tmp_path / "review.csv", written=run.review_rows, intents=INTENTS)
    assert rows == run.review_rows
    kept = [(row.id, row.intent) for row in rows if row.verdict == "keep"]
    assert kept == [(row.id, row.intent) for row in run.selected]


def test_random_selection_is_as_large_as_that_by_pvi(scored, tmp_path):
    run = chosen(scored, tmp_path, kind=SelectionKind.RANDOM, seed=3)
    assert run.num_kept["selected"] == run.num_kept["pvi-class"]


def test_other_thresholds_come_from_the_same_held_out_rows(scored, tmp_path):
    low = ThresholdSettings(rule=ThresholdRule.QUANTILE, quantile=0.0)
    run = run_select(scored, SelectJob(thresholds=low), output=tmp_path / "low")
    assert run.num_kept["pvi-class"] > chosen(scored, tmp_path / "mean").num_kept["pvi-class"]
    elsewhere = ThresholdSettings(estimated_on=EstimatedOn.VALIDATION)
    with pytest.raises(ConfigError, match="score again"):
        run_select(scored, SelectJob(thresholds=elsewhere), output=tmp_path / "other")


def test_intent_that_keeps_nothing_is_guarded(tmp_path):
    scored = make_scored(tmp_path, wrong=1.0)
    run = chosen(scored, tmp_path / "selected")
    assert GuardName.CLASS_COLLAPSE in {guard.name for guard in run.guards}
    assert read_selected(tmp_path / "selected").guards == run.guards


def test_selection_of_no_candidates_keeps_nothing_and_says_so(tmp_path):
    run = chosen(make_scored(tmp_path, count=0), tmp_path / "selected")
    assert run.selected == ()
    assert {guard.name for guard in run.guards} == {GuardName.CLASS_COLLAPSE, GuardName.KEEPS_NEARLY_NOTHING}


def test_guard_of_the_scoring_stops_the_selection_unless_allowed(tmp_path):
    job = ScoreJob(thresholds=ThresholdSettings(estimated_on=EstimatedOn.FITTED_ROWS))
    scored = make_scored(tmp_path, job=job)
    with pytest.raises(DataError, match="stopped by guard fitted_thresholds"):
        run_select(scored, SelectJob(), output=tmp_path / "selected")
    allowed = SelectJob(allow_guards=(GuardName.FITTED_THRESHOLDS,))
    run = run_select(scored, allowed, output=tmp_path / "selected")
    assert run.num_kept["pvi-class"] < run.num_kept["argmax"]


def test_rule_by_features_needs_them(tmp_path):
    scored = make_scored(tmp_path, job=ScoreJob(score=ScoreSettings(nearest=False)))
    run = chosen(scored, tmp_path / "selected")
    assert "nearest-intent" not in run.num_kept
    with pytest.raises(ConfigError, match="needs features"):
        run.baseline(SelectionKind.NEAREST_INTENT)


def test_keep_all_is_not_told_that_it_keeps_all(scored, tmp_path):
    assert chosen(scored, tmp_path, kind=SelectionKind.KEEP_ALL).guards == ()


def test_run_select_of_other_rules_is_refused(scored, tmp_path):
    chosen(scored, tmp_path)
    with pytest.raises(ArtifactError, match="relabel"):
        chosen(scored, tmp_path, relabel=True)


def test_changed_decisions_are_refused(scored, tmp_path):
    chosen(scored, tmp_path)
    path = tmp_path / "decisions.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("kept", "lost"), encoding="utf-8")
    with pytest.raises(ArtifactError, match="was changed"):
        read_selected(tmp_path)
