import csv
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from icda._export_rows import rows_to_export
from icda._recipe_classifier import ClassifierSettings, FeatureSettings
from icda._report import write_report
from icda._run import read_icda, run_icda
from icda._selection_rules import SelectionKind, SelectionRules
from icda._thresholds import EstimatedOn
from icda.jobs import ThresholdSettings, TrainSettings
from twllm_runs import read_jsonl, run_lock
from twllm_types import ArtifactError, ConfigError, DataError, EngineFailure, FailureKind, LockedError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from icda_fakes import FakeGenerator, FakeServer, SilentProgress, asked_intent, good_answer, make_recipe, write_data

ARGMAX = SelectionRules(kind=SelectionKind.ARGMAX)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """One run killed at every stage, and one undisturbed."""
    folder = tmp_path_factory.mktemp("runs")
    script = Path(__file__).parent / "importable" / "kill_run.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, script, folder], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def run(recipe, output, *, engine=None, on_advance=None, **options):
    return run_icda(
        recipe, output=output, progress=SilentProgress(on_advance), engine=engine or FakeGenerator(), **options
    )


def files(folder):
    """Every artifact but the manifests, whose times differ."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in {"run.json", ".lock"}
    }


def stages(folder):
    return sorted(path.name.rpartition("-")[0] for path in folder.glob("*-*") if path.is_dir())


def edit_sheet(folder, change):
    path = folder / "review.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    for row in rows:
        change(row)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(buffer.getvalue(), encoding="utf-8", newline="")


def test_run_killed_at_every_stage_leaves_the_files_of_an_undisturbed_one(killed):
    folder, ends = killed
    assert ends.pop("undisturbed") == 0
    assert set(ends.values()) == {-signal.SIGKILL}, ends
    left, right = files(folder / "parts"), files(folder / "whole")
    assert left.keys() == right.keys()
    assert [name for name in left if left[name] != right[name]] == []
    assert stages(folder / "parts") == ["generate", "score", "select", "train"]


def test_finished_run_asks_nothing_and_says_the_same(killed):
    folder, _ = killed
    engine = FakeGenerator()
    again = run(
        make_recipe(folder / "data"), folder / "whole", engine=engine, on_advance=lambda *_: pytest.fail("work")
    )
    assert engine.requests == []
    recipe, stored = read_icda(folder / "whole")
    assert recipe == make_recipe(folder / "data")
    assert stored.trained is not None
    assert again.trained is not None
    assert stored.trained.arms == again.trained.arms


def test_changed_later_setting_redoes_only_what_follows(tmp_path):
    recipe = make_recipe(tmp_path / "data")
    run(recipe, tmp_path / "run")
    changed = replace(recipe, select=ARGMAX)
    engine = FakeGenerator()
    run(changed, tmp_path / "run", engine=engine)
    assert engine.requests == []
    assert stages(tmp_path / "run") == ["generate", "score", "select", "select", "train", "train"]
    run(replace(changed, classifier=ClassifierSettings(c=1.0)), tmp_path / "run", until="score")
    assert stages(tmp_path / "run").count("score") == 2
    # and back again without any work
    before = files(tmp_path / "run").keys()
    run(recipe, tmp_path / "run", on_advance=lambda *_: pytest.fail("work"))
    assert files(tmp_path / "run").keys() == before


def test_run_until_a_stage_stops_there_and_goes_on(tmp_path):
    recipe = make_recipe(tmp_path / "data")
    for until in ("generate", "score", "select", "train"):
        done = run(recipe, tmp_path / "run", until=until)
        assert list(done.stages)[-1] == until
        assert (tmp_path / "run" / "report.html").exists()


def test_sheet_that_somebody_edited_is_read_back_before_the_training(tmp_path):
    recipe = make_recipe(tmp_path / "data", select=ARGMAX)
    first = run(recipe, tmp_path / "run", until="select")
    assert first.selected is not None

    def change(row):
        if row["asked_intent"] == "lost_card":
            row["verdict"] = "drop"

    edit_sheet(first.selected.folder, change)
    done = run(recipe, tmp_path / "run")
    assert done.trained is not None
    assert done.trained.changes is not None
    assert done.trained.changes.num_dropped > 0
    assert "reviewed" in {arm.arm for arm in done.trained.arms}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert f"dropped {done.trained.changes.num_dropped}" in page
    edit_sheet(first.selected.folder, lambda row: row.update(verdict="?"))
    with pytest.raises(DataError, match=r"review\.csv: row 2, column 'verdict'"):
        run(recipe, tmp_path / "run")


def test_guard_stops_the_run_and_what_came_before_is_kept(tmp_path):
    recipe = make_recipe(tmp_path / "data", thresholds=ThresholdSettings(estimated_on=EstimatedOn.FITTED_ROWS))
    with pytest.raises(DataError, match="stopped by guard fitted_thresholds"):
        run(recipe, tmp_path / "run")
    assert stages(tmp_path / "run") == ["generate", "score"]
    _, stored = read_icda(tmp_path / "run")
    assert stored.scored is not None
    assert stored.selected is None
    assert "fitted_thresholds" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_pool_made_elsewhere_needs_no_engine(tmp_path):
    recipe = make_recipe(tmp_path / "data", select=ARGMAX)
    paths = write_data(tmp_path / "data")
    pooled = recipe.with_options(files={"candidates": paths["validation"]})
    done = run_icda(pooled, output=tmp_path / "run", progress=SilentProgress())
    assert done.generated is None
    assert done.scored is not None
    assert len(done.scored.candidates) == 12
    assert stages(tmp_path / "run") == ["score", "select", "train"]


def test_pool_is_cleaned_before_it_is_scored_and_the_page_says_so(tmp_path):
    recipe = make_recipe(tmp_path / "data", select=ARGMAX)
    paths = write_data(tmp_path / "data")
    pool = tmp_path / "pool.jsonl"
    inside = [line for line in paths["test"].read_text(encoding="utf-8").splitlines(keepends=True) if "oos" not in line]
    pool.write_text(paths["validation"].read_text(encoding="utf-8") + "".join(inside), encoding="utf-8")
    done = run_icda(recipe.with_options(files={"candidates": pool}), output=tmp_path / "run", progress=SilentProgress())
    assert done.trained is not None
    assert done.scored is not None
    assert done.scored.rejected is not None
    assert {line.reason.value for line in done.scored.rejected} == {"test_copy"}
    assert len(done.scored.rejected) == len(inside)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert f"Of {12 + len(inside)} rows of the pool, cleaning rejected {len(inside)}: test_copy" in page
    assert "rejected.jsonl" in page


def test_draws_take_other_seeds_and_generate_anew(tmp_path):
    recipe = make_recipe(tmp_path / "data", select=ARGMAX, train=TrainSettings(seeds=(0,), draws=3))
    recipe = replace(recipe, data=replace(recipe.data, num_shots=4))
    done = run(recipe, tmp_path / "run")
    assert stages(tmp_path / "run") == ["generate"] * 3 + ["score"] * 3 + ["select"] * 3 + ["train"]
    assert done.trained is not None
    selected = next(arm for arm in done.trained.arms if arm.arm == "selected")
    assert selected.difference_of_draws is not None
    assert selected.difference_of_draws.n == 3
    assert len({one.num_kept for one in done.trained.trained if one.arm == "keep-all"}) >= 1
    assert "The same, over draws" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert read_icda(tmp_path / "run")[1].more_draws == done.more_draws
    assert [list(draw.stages) for draw in done.more_draws] == [["generate", "score", "select"]] * 2
    run(recipe, tmp_path / "run", on_advance=lambda *_: pytest.fail("work"))


def test_draws_of_given_seeds_share_generation_and_scores(tmp_path):
    recipe = make_recipe(
        tmp_path / "data",
        select=SelectionRules(kind=SelectionKind.ARGMAX, cap_per_intent=3),
        train=TrainSettings(seeds=(0,), draws=2),
    )
    done = run(recipe, tmp_path / "run")
    assert stages(tmp_path / "run") == ["generate", "score", "select", "select", "train"]
    assert done.trained is not None
    assert {(one.arm, one.draw) for one in done.trained.trained} >= {("random", 1), ("seeds-only", 1)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thresholds": ThresholdSettings(estimated_on=EstimatedOn.VALIDATION)}, "there are no such rows"),
        (
            {"classifier": ClassifierSettings(features=FeatureSettings(kind="sentence", model="nowhere"))},
            "nowhere: is no folder",
        ),
    ],
    ids=["thresholds", "features"],
)
def test_run_refuses_what_cannot_be_scored_before_it_generates(tmp_path, change, message):
    engine = FakeGenerator()
    with pytest.raises(ConfigError, match=message):
        run(make_recipe(tmp_path / "data", **change), tmp_path / "run", engine=engine)
    assert engine.requests == []


def test_half_characters_of_a_generator_are_rejected_lines(tmp_path):
    def answer(prompt, seed, sample):
        found = good_answer(prompt, seed, sample)
        return f"{found} \ud83d" if seed % 3 == 0 else found

    done = run(make_recipe(tmp_path / "data"), tmp_path / "run", engine=FakeGenerator(answer), until="generate")
    assert done.generated is not None
    assert sum(one.rejected.get("truncated", 0) for one in done.generated.yields) > 0
    rejected = list(read_jsonl(done.generated.folder / "rejected.jsonl"))
    assert {str(row["text"])[-1] for row in rejected if row["reason"] == "truncated"} == {"\ud83d"}


def test_run_without_test_rows_ends_with_the_selection(tmp_path):
    recipe = make_recipe(tmp_path / "data")
    done = run(replace(recipe, data=replace(recipe.data, test=None)), tmp_path / "run")
    assert done.trained is None
    assert rows_to_export(tmp_path / "run") == rows_to_export(tmp_path / "run" / done.stages["select"])


def test_run_without_an_engine_says_so(tmp_path):
    with pytest.raises(ConfigError, match="names no engine"):
        run_icda(make_recipe(tmp_path / "data"), output=tmp_path / "run", progress=SilentProgress())


def test_failed_requests_are_faults_that_can_be_asked_again(tmp_path):
    def answer(prompt, seed, sample):
        if asked_intent(prompt) == "lost_card" and seed % 2:
            return EngineFailure(kind=FailureKind.TIMEOUT, message="slow")
        return good_answer(prompt, seed, sample)

    recipe = make_recipe(tmp_path / "data")
    failed = run(recipe, tmp_path / "run", engine=FakeServer(answer), until="generate")
    mended = run(recipe, tmp_path / "run", engine=FakeServer(), until="generate", retry_failures=True)
    assert failed.num_faults > mended.num_faults == 0
    drawn = replace(recipe, data=replace(recipe.data, num_shots=4), train=TrainSettings(draws=2))
    twice = run(drawn, tmp_path / "draws", engine=FakeServer(answer), until="generate")
    assert twice.num_faults == read_icda(tmp_path / "draws")[1].num_faults > twice.more_draws[0].num_faults > 0


def test_report_tells_of_intents_rules_drift_confusion_and_cost(killed, tmp_path):
    folder, _ = killed
    page = (folder / "whole" / "report.html").read_text(encoding="utf-8")
    for words in (
        "nothing beats the seeds alone",
        "What is mixed up, before and after",
        "Confusion before: seeds only",
        "random, same size",
        "argmax agrees",
        "lines rejected in cleaning",
        "Where dropped candidates drift",
        "tokens read",
        "TWD",
        "review.csv",
    ):
        assert words.lower() in page.lower(), words
    assert str(folder) not in page
    write_report(folder / "whole", tmp_path / "page.html")
    assert "review.csv" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_generator_that_says_nothing_ends_and_the_report_says_so(tmp_path):
    recipe = make_recipe(tmp_path / "data")
    with pytest.raises(DataError, match="stopped by guard"):
        run(recipe, tmp_path / "run", engine=FakeGenerator(lambda *_: ""))
    write_report(tmp_path / "run", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "3 of 3 intents spent their budget of requests" in page
    assert "budget spent" in page


def test_run_refuses_foreign_folders_and_damaged_ones(tmp_path):
    recipe = make_recipe(tmp_path / "data")
    with pytest.raises(ConfigError, match="holds files"):
        run(recipe, tmp_path / "data")
    with pytest.raises(ConfigError, match="is a file"):
        run(recipe, tmp_path / "data" / "seeds.jsonl")
    with pytest.raises(ArtifactError, match="give the folder of icda run"):
        read_icda(tmp_path)
    done = run(recipe, tmp_path / "run", until="generate")
    with pytest.raises(ArtifactError, match="has not selected anything"):
        rows_to_export(tmp_path / "run")
    with pytest.raises(ArtifactError, match="holds a run of 'icda generate'"):
        rows_to_export(tmp_path / "run" / done.stages["generate"])
    path = tmp_path / "run" / "icda.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"schema_version": 1', '"schema_version": 9'), encoding="utf-8"
    )
    with pytest.raises(ArtifactError, match="schema_version is 9"):
        read_icda(tmp_path / "run")


def test_run_is_for_one_process_at_a_time(tmp_path):
    (tmp_path / "run").mkdir()
    with run_lock(tmp_path / "run"), pytest.raises(LockedError):
        run(make_recipe(tmp_path / "data"), tmp_path / "run")
