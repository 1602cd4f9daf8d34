import csv
import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from icda._guards import GuardName
from icda._recipe_classifier import ClassifierSettings
from icda._run_select import SelectJob, run_select
from icda._run_train import read_trained, read_training_rows, run_train
from icda._selection_rules import SelectionKind, SelectionRules
from icda._train_settings import TrainDraw, TrainJob, TrainSettings
from twllm_runs import RunState
from twllm_types import ArtifactError, ConfigError, DataError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from icda_fakes import SilentProgress, make_data, make_scored

JOB = TrainJob(train=TrainSettings(seeds=(0, 1)))
ALWAYS = ["seeds-only", "selected", "keep-all", "random", "argmax"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data"), "test")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    return make_scored(tmp_path_factory.mktemp("scored"))


@pytest.fixture
def selection(scored, tmp_path):
    return run_select(scored, SelectJob(rules=SelectionRules(kind=SelectionKind.ARGMAX)), output=tmp_path / "selected")


def train(data, selection, output, job=JOB, *, on_advance=None, **options):
    return run_train(data, selection, job, output=output, progress=SilentProgress(on_advance), **options)


def edit(path, change):
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    for row in rows:
        change(row)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(buffer.getvalue(), encoding="utf-8", newline="")


def test_run_train_holds_the_selection_against_seeds_all_random_and_argmax(data, selection, tmp_path):
    run = train(data, selection, tmp_path / "trained")
    assert [arm.arm for arm in run.arms] == ALWAYS
    seeds_only, *others = run.arms
    assert seeds_only.difference is None
    assert all(arm.difference is not None for arm in others)
    counts = {one.arm: one.num_kept for one in run.trained}
    assert counts == {
        "seeds-only": 0,
        "selected": len(selection.selected),
        "keep-all": 36,
        "random": len(selection.selected),
        "argmax": len(selection.selected),
    }
    assert {one.oos_auroc is not None for one in run.trained} == {True}
    assert run.labels == tuple(row.intent for row in data.test)


def test_run_train_says_when_nothing_beats_the_seeds(data, selection, tmp_path):
    run = train(data, selection, tmp_path / "trained")
    assert run.winners == ()
    assert run.verdict.startswith("nothing beats the seeds alone")


def test_verdict_names_what_beats_the_seeds(data, selection, tmp_path):
    run = train(data, selection, tmp_path / "trained")
    up = run.arms[0].accuracy
    better = replace(run.arms[1], difference=replace(up, mean=0.1, stderr=0.01, ci_low=0.05, ci_high=0.15))
    chosen = replace(run, arms=(run.arms[0], better))
    assert chosen.verdict == "the selection beats the seeds alone; so do, itself among them: selected"
    other = replace(run, arms=(run.arms[0], run.arms[1], replace(better, arm="argmax")))
    assert other.verdict == "the selection does not beat the seeds alone; what does: argmax"


def test_run_train_finished_is_read_back(data, selection, tmp_path):
    first = train(data, selection, tmp_path / "trained")
    again = train(data, selection, tmp_path / "trained")
    assert again == replace(first, state=RunState.FINISHED)
    assert read_trained(tmp_path / "trained") == again


def test_interrupted_training_goes_on_with_what_is_missing(data, selection, tmp_path):
    train(data, selection, tmp_path / "whole")

    def stop(name, count):
        if (name, count) == ("training", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, selection, tmp_path / "parts", on_advance=stop)
    trained = []
    train(data, selection, tmp_path / "parts", on_advance=lambda *told: trained.append(told[1]))
    assert trained == [3, 4, 5]
    for name in ("results.jsonl", "training.jsonl", "summary.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_training_rows_are_seeds_then_the_selection(data, selection, tmp_path):
    train(data, selection, tmp_path / "trained")
    rows = read_training_rows(tmp_path / "trained")
    assert rows == (*data.seeds, *selection.selected)


def test_edited_sheet_is_an_arm_of_its_own(data, selection, tmp_path):
    sheet = selection.folder / "review.csv"

    def change(row):
        if row["asked_intent"] == "lost_card":
            row["verdict"] = "drop"
        elif row["verdict"] == "drop":
            row.update(verdict="keep", intent=row["predicted_intent"], text="reworded " + row["text"])

    edit(sheet, change)
    run = train(data, selection, tmp_path / "trained", review=sheet)
    assert [arm.arm for arm in run.arms] == ["seeds-only", "selected", "reviewed", "keep-all", "random", "argmax"]
    assert run.changes is not None
    assert run.changes.num_rescued > 0
    assert run.changes.num_dropped > 0
    texts = [row.text for row in read_training_rows(tmp_path / "trained")]
    assert sum(text.startswith("reworded ") for text in texts) == run.changes.num_reworded
    assert read_trained(tmp_path / "trained").changes == run.changes
    with pytest.raises(ArtifactError, match="review_sha256"):
        train(data, selection, tmp_path / "trained")


def test_sheet_with_a_bad_cell_stops_before_the_training(data, selection, tmp_path):
    sheet = selection.folder / "review.csv"
    edit(sheet, lambda row: row.update(verdict="yes"))
    with pytest.raises(DataError, match="row 2, column 'verdict'"):
        train(data, selection, tmp_path / "trained", review=sheet)
    assert not (tmp_path / "trained").exists()


def test_more_arms_another_classifier_and_a_mass_can_be_asked_for(data, selection, tmp_path):
    settings = TrainSettings(compare=(SelectionKind.SELF_CONFIDENCE,), classifier=ClassifierSettings(c=1.0))
    run = train(data, selection, tmp_path / "trained", TrainJob(train=settings, mass=0.5))
    assert [arm.arm for arm in run.arms] == [*ALWAYS, "self-confidence"]


def test_guard_of_the_selection_stops_the_training_unless_allowed(data, tmp_path):
    collapsed = run_select(make_scored(tmp_path, wrong=1.0), SelectJob(), output=tmp_path / "selected")
    with pytest.raises(DataError, match="stopped by guard"):
        train(data, collapsed, tmp_path / "trained")
    allowed = replace(JOB, allow_guards=tuple(GuardName))
    assert train(data, collapsed, tmp_path / "trained", allowed).arms


def test_training_needs_test_rows(selection, tmp_path):
    with pytest.raises(DataError, match="no test rows"):
        train(make_data(tmp_path / "data"), selection, tmp_path / "trained")


@pytest.mark.parametrize("change", [{"seeds": ()}, {"seeds": (1, 1)}, {"level": 1.0}, {"draws": 0}])
def test_train_settings_out_of_range_are_refused(change):
    with pytest.raises(ConfigError):
        TrainSettings(**change)


def test_draws_differ_in_what_is_drawn_and_share_the_rest(data, scored, tmp_path):
    selections = [
        run_select(
            scored,
            SelectJob(rules=SelectionRules(kind=SelectionKind.ARGMAX, cap_per_intent=2, seed=seed)),
            output=tmp_path / f"selected-{seed}",
        )
        for seed in range(3)
    ]
    job = TrainJob(train=TrainSettings(seeds=(0,), draws=3))
    more = tuple(TrainDraw(data=data, selection=one) for one in selections[1:])
    steps = []
    run = train(
        data, selections[0], tmp_path / "trained", job, more_draws=more, on_advance=lambda *told: steps.append(told)
    )
    assert [(one.arm, one.draw) for one in run.trained] == [(arm, draw) for arm in ALWAYS for draw in range(3)]
    by_arm = {arm.arm: arm for arm in run.arms}
    over_draws = by_arm["keep-all"].difference_of_draws
    assert over_draws is not None
    assert over_draws.n == 1
    kept = {row.text for one in selections for row in one.selected}
    assert len(kept) > len(selections[0].selected)
    assert read_trained(tmp_path / "trained").arms == run.arms
    with pytest.raises(ConfigError, match=r"train\.draws is 3, and there is a selection for 1"):
        train(data, selections[0], tmp_path / "other", job)
    with pytest.raises(ArtifactError, match="more_draws"):
        train(data, selections[0], tmp_path / "trained", job, more_draws=more[::-1])


def test_interrupted_training_of_several_draws_leaves_the_same_files(data, scored, tmp_path):
    first, second = (
        run_select(scored, SelectJob(rules=SelectionRules(seed=seed)), output=tmp_path / f"selected-{seed}")
        for seed in range(2)
    )
    job = TrainJob(train=TrainSettings(seeds=(0,), draws=2))
    more = (TrainDraw(data=data, selection=second),)
    train(data, first, tmp_path / "whole", job, more_draws=more)

    def stop(name, count):
        if count == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, first, tmp_path / "parts", job, more_draws=more, on_advance=stop)
    train(data, first, tmp_path / "parts", job, more_draws=more)
    for name in ("results.jsonl", "training.jsonl", "summary.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
