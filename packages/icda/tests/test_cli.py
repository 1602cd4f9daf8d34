import json
import sys
from pathlib import Path

import pytest

from icda._cli import app
from icda._generate import run_generate
from icda._run import run_icda
from twllm_engines import RecordingEngine
from twllm_runs import load_recipe, read_jsonl, run_app

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from icda_fakes import FakeGenerator, FakeServer, SilentProgress, make_recipe, write_data

from icda.jobs import GenerateSettings, IcdaRecipe, load_run_data

RECIPE = """
description: three intents of a bank
data: {test: test}
generate: {num_samples: 2, num_per_intent: 8, requests_per_round: 3, max_requests_per_intent: 12, block_size: 4}
select: {kind: argmax}
train: {seeds: [0]}
"""


@pytest.fixture
def command(capfd):
    def run(*words):
        code = run_app(app, ["--quiet", *map(str, words)])
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def setting(tmp_path):
    """A recipe, options that name the data, and a recording of the generator."""
    paths = write_data(tmp_path / "data")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    files = {"seeds": paths["seeds"], "test": paths["test"]}
    loaded = load_recipe(recipe, IcdaRecipe).with_options(files=files)
    record = tmp_path / "answers.jsonl"
    with RecordingEngine(FakeGenerator(), record) as engine:
        run_generate(
            engine,
            load_run_data(loaded.data),
            loaded.generate,
            seed=0,
            output=tmp_path / "recorded",
            progress=SilentProgress(),
        )
    return recipe, ["--file", f"seeds={paths['seeds']}", f"test={paths['test']}"], f"replay:{record}"


def test_stages_follow_each_other_on_the_command_line(command, setting, tmp_path):
    recipe, files, engine = setting
    code, out, _ = command("generate", recipe, *files, "--engine", engine, "--output", tmp_path / "g")
    assert code == 0
    assert "24 candidates for 3 intents" in out
    assert "requests" in out
    code, out, _ = command("score", recipe, *files, "--candidates", tmp_path / "g", "--output", tmp_path / "s")
    assert code == 0
    assert "V-information of the seeds" in out
    code, out, _ = command("select", recipe, "--scores", tmp_path / "s", "--output", tmp_path / "k")
    assert code == 0
    assert "argmax agrees" in out
    sheet = tmp_path / "k" / "review.csv"
    code, out, _ = command(
        "train", recipe, *files, "--selected", tmp_path / "k", "--review", sheet, "--output", tmp_path / "t"
    )
    assert code == 0
    assert "nothing beats the seeds alone" in out
    assert "review: 0 rescued" in out


def test_run_does_all_of_it_again_and_again(command, setting, tmp_path):
    recipe, files, engine = setting
    words = ("run", recipe, *files, "--engine", engine, "--output", tmp_path / "run")
    code, first, _ = command(*words)
    assert code == 0
    assert "report.html" in first
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("run/*-*/*") if path.is_file()}
    assert command(*words)[1] == first
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_run_until_a_stage(command, setting, tmp_path):
    recipe, files, engine = setting
    code, out, _ = command("run", recipe, *files, "--engine", engine, "--output", tmp_path / "run", "--until", "select")
    assert code == 0
    assert "edit it, then train" in out
    assert not list(tmp_path.glob("run/train-*"))


def test_report_and_export_of_a_run(command, setting, tmp_path):
    recipe, files, engine = setting
    command("run", recipe, *files, "--engine", engine, "--output", tmp_path / "run")
    assert command("report", tmp_path / "run", "--output", tmp_path / "page.html")[0] == 0
    assert "icda: a run" in (tmp_path / "page.html").read_text(encoding="utf-8")
    code, out, _ = command("export", tmp_path / "run", "--format", "jsonl", "--output", tmp_path / "rows.jsonl")
    rows = list(read_jsonl(tmp_path / "rows.jsonl"))
    assert code == 0
    assert f"wrote {len(rows)} rows" in out
    assert {str(row["source"]) for row in rows} == {"seed", "replay:answers.jsonl"}
    code, _, _ = command("export", tmp_path / "run", "--format", "rasa", "--output", tmp_path / "nlu.yml")
    assert code == 0
    assert '- intent: "lost_card"' in (tmp_path / "nlu.yml").read_text(encoding="utf-8")


def test_guard_that_stops_is_an_exit_code_of_the_scoring_and_an_error_behind_it(command, setting, tmp_path):
    recipe, files, _ = setting
    recipe.write_text(RECIPE + "thresholds: {estimated_on: fitted_rows}\n", encoding="utf-8")
    pool = tmp_path / "data" / "validation.jsonl"
    words = (*files, f"candidates={pool}")
    code, out, _ = command("score", recipe, *words, "--output", tmp_path / "s")
    assert code == 3
    assert "guard: stop, fitted_thresholds" in out
    code, _, err = command("select", recipe, "--scores", tmp_path / "s", "--output", tmp_path / "k")
    assert code == 2
    assert "stopped by guard fitted_thresholds" in err


def test_intents_without_candidates_are_told(command, setting, tmp_path):
    recipe, files, _ = setting
    loaded = load_recipe(recipe, IcdaRecipe)
    paths = write_data(tmp_path / "data")
    record = tmp_path / "silence.jsonl"
    data = load_run_data(loaded.with_options(files={"seeds": paths["seeds"], "test": paths["test"]}).data)
    with RecordingEngine(FakeServer(lambda *_: ""), record) as engine:
        run_generate(engine, data, loaded.generate, seed=0, output=tmp_path / "silent", progress=SilentProgress())
    code, out, _ = command("generate", recipe, *files, "--engine", f"replay:{record}", "--output", tmp_path / "g")
    assert code == 0
    assert "3 of 3 intents spent their budget" in out
    assert "empty 72" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("generate", "--output", "x"), "there is no engine to generate with"),
        (("generate", "--file", "seeds", "--engine", "hf:x", "--output", "x"), "--file seeds is no NAME=PATH"),
        (("score", "--output", "x"), "no rows called 'seeds'"),
        (("run", "none.yaml", "--output", "x"), "none.yaml: cannot be read"),
        (("report", "nowhere", "--output", "x"), "give the folder of icda run"),
        (("export", "nowhere", "--format", "csv", "--output", "x"), "nowhere"),
    ],
)
def test_wrong_usage_is_one_line(command, words, message):
    code, _, err = command(*words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_folder_of_candidates_alone_is_no_run_to_export(command, setting, tmp_path):
    code, _, err = command("export", tmp_path / "recorded", "--format", "csv", "--output", tmp_path / "rows.csv")
    assert code == 2
    assert "give a folder of icda select" in err


def test_reviewed_run_says_what_reviewers_changed(command, setting, tmp_path):
    recipe, files, engine = setting
    words = ("run", recipe, *files, "--engine", engine, "--output", tmp_path / "run")
    command(*words, "--until", "select")
    (sheet,) = tmp_path.glob("run/select-*/review.csv")
    sheet.write_text(sheet.read_text(encoding="utf-8").replace('"keep"', '"drop"', 1), encoding="utf-8")
    code, out, _ = command(*words)
    assert code == 0
    assert "review: 0 rescued, 1 dropped" in out


def test_help_names_every_command(command):
    code, out, _ = command("--help")
    assert code == 0
    assert all(name in out for name in ("generate", "score", "select", "train", "run", "report", "export"))


def test_default_settings_are_those_of_the_recipe(tmp_path):
    recipe = make_recipe(tmp_path / "data", generate=GenerateSettings(num_per_intent=2, max_requests_per_intent=2))
    done = run_icda(
        recipe, output=tmp_path / "run", progress=SilentProgress(), engine=FakeGenerator(), until="generate"
    )
    summary = json.loads((tmp_path / "run" / done.stages["generate"] / "summary.json").read_text(encoding="utf-8"))
    assert summary["num_intents"] == 3
