import json
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import IO, cast

import pytest

from step_kto._cli import app
from step_kto._data import load_solutions, write_solutions
from step_kto._problems import write_problems
from twllm_runs import recipe_to_json, run_app
from twllm_types import StepwiseSolution

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from step_fakes import make_start_model, problems, tiny_recipe

COMMANDS = ("sample", "label", "build", "train", "evaluate", "iterate", "report", "validate", "convert")


def run(*words):
    return run_app(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "model"
    make_start_model(folder)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example(command, capsys):
    assert run(command, "--help") == 0
    assert f"Example: step-kto {command}" in " ".join(capsys.readouterr().out.split())


def test_help_imports_no_torch():
    code = (
        "import sys\nfrom step_kto._cli import app\nfrom twllm_runs import run_app\n"
        "run_app(app, ['iterate', '--help'])\nprint([n for n in ('torch', 'transformers', 'trl') if n in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "[]"


def test_face_loads_the_trainer_when_it_is_asked_for():
    code = (
        "import sys, step_kto\nassert 'torch' not in sys.modules\n"
        "from step_kto import StepKTOConfig, StepKTOTrainer, step_kto_loss\nimport transformers\n"
        "print(issubclass(StepKTOTrainer, transformers.Trainer), 'torch' in sys.modules, hasattr(step_kto, 'nothing'))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["True", "True", "False"]


def test_stub_names_what_the_face_holds():
    import step_kto
    from step_kto._lazy import LAZY_NAMES

    stub = (Path(step_kto.__file__).parent / "__init__.pyi").read_text(encoding="utf-8")
    for name in (*step_kto.__all__, *LAZY_NAMES):
        assert f" {name} as {name}" in stub or f"{name} as {name}," in stub, name
        assert getattr(step_kto, name).__doc__


def test_stages_one_by_one_from_problems_to_a_report(start, tmp_path, capsys):
    train_file, test_file = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    known = problems(14)
    write_problems(train_file, known[:10])
    write_problems(test_file, known[10:])
    settings = tmp_path / "train.yaml"
    settings.write_text("{max_steps: 2, save_steps: 1, logging_steps: 1, learning_rate: 1e-4}", encoding="utf-8")
    sampled, labelled, built, trained = (tmp_path / name for name in ("s", "l", "b", "t"))
    engine = ("--engine", f"hf:{start}")
    assert run("sample", train_file, *engine, "--output", sampled, "--max-tokens", 30) == 0
    assert run("label", sampled, "--output", labelled, "--require-marked-answer") == 0
    assert run("build", labelled, "--output", built) == 0
    assert run("train", built, "--model", start, "--settings", settings, "--output", trained) == 0
    model = ("--engine", f"hf:{trained / 'model'}", "--num-samples", 2, "--max-tokens", 30, "--require-marked-answer")
    assert run("evaluate", test_file, *model, "--judge", "arithmetic", "--output", tmp_path / "e") == 2
    assert "flatters the result" in capsys.readouterr().err
    assert run("evaluate", test_file, *model, "--judge", "arithmetic-truth", "--output", tmp_path / "e") == 0
    shown = capsys.readouterr().out
    assert "pass@1_greedy" in shown
    assert "stepwise_errors_sampled" in shown
    other = ("--judge", "arithmetic-truth", "--training-judge", "arithmetic-truth", "--output", tmp_path / "f")
    assert run("evaluate", test_file, *model, *other) == 2
    assert run("report", tmp_path / "e", "--output", tmp_path / "r.html") == 0
    assert "pass@1_greedy" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_iterate_runs_the_recipe_and_report_shows_it(start, tmp_path, capsys):
    recipe = tmp_path / "loop.yaml"
    recipe.write_text(json.dumps(recipe_to_json(tiny_recipe(Path("gone")))), encoding="utf-8")
    words = ("iterate", recipe, "--model", start, "--seed", 3, "--output", tmp_path / "loop")
    assert run(*words) == 0
    assert "iteration 1" in capsys.readouterr().out
    assert run(*words) == 0
    assert run("report", tmp_path / "loop", "--output", tmp_path / "r.html") == 0
    assert (tmp_path / "r.html").stat().st_size > 10_000
    assert run("iterate", recipe, "--output", tmp_path / "other") == 2


def test_sigterm_during_training_exits_143_and_the_same_command_goes_on(start, tmp_path):
    rows = [
        StepwiseSolution(
            prompt=f"p{at}", steps=("a = b\n", "c"), step_labels=(bool(at % 2), None), outcome=bool(at % 2)
        )
        for at in range(8)
    ]
    write_solutions(tmp_path / "train.jsonl", rows)
    settings = tmp_path / "train.yaml"
    settings.write_text("{max_steps: 100000, save_steps: 100000, logging_steps: 1000}", encoding="utf-8")
    words = [tmp_path / "train.jsonl", "--model", start, "--settings", settings, "--output", tmp_path / "t"]
    command = [Path(sys.executable).parent / "step-kto", "train", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        # the first line of the training comes before the trainer listens, the second within it
        lines = (line for line in cast("IO[str]", process.stderr) if line.startswith("training: "))
        assert len(list(islice(lines, 2))) == 2
        process.send_signal(signal.SIGTERM)
        rest = cast("IO[str]", process.stderr).read()
    assert process.returncode == 143, rest
    assert "stopped; the same command continues" in rest
    assert list((tmp_path / "t" / "work" / "checkpoints").glob("checkpoint-*/trainer_state.json"))


def test_validate_counts_and_names_line_and_field(tmp_path, capsys):
    path = tmp_path / "train.jsonl"
    good = {"prompt": "p", "completions": ["a", "b"], "labels": [True, False], "outcome": True}
    path.write_text("\n".join(json.dumps(row) for row in (good, {**good, "outcome": False})) + "\n", encoding="utf-8")
    assert run("validate", path) == 0
    assert "outcomes: 1 right, 1 wrong, 0 unknown" in capsys.readouterr().out
    path.write_text(json.dumps({**good, "labels": [True]}), encoding="utf-8")
    assert run("validate", path) == 2
    assert f"{path}:1: 'labels' has 1 entries for 2 steps" in capsys.readouterr().err
    path.write_text(json.dumps(good), encoding="utf-8")
    assert run("validate", path, "--level", "step") == 0
    assert run("validate", path) == 2
    assert run("validate", path, "--level", "words") == 2


def test_convert_writes_the_on_disk_format(tmp_path, capsys):
    source, output = tmp_path / "bench.jsonl", tmp_path / "train.jsonl"
    row = {"problem": "1 + 1?", "steps": ["1 + 1 = 3", "So 3."], "label": 0, "final_answer_correct": False}
    source.write_text(json.dumps(row), encoding="utf-8")
    assert run("convert", source, "--from", "processbench", "--output", output) == 0
    (solution,) = load_solutions(output)
    assert (solution.step_labels, solution.outcome) == ((False, None), False)
    assert run("convert", source, "--from", "processbench", "--output", output) == 2
    assert "exists already" in capsys.readouterr().err
    assert run("convert", source, "--from", "prm800k", "--output", tmp_path / "x") == 2
    assert "--neutral" in capsys.readouterr().err
    assert run("convert", source, "--from", "processbench", "--neutral", "right", "--output", tmp_path / "x") == 2
    assert run("convert", source, "--from", "prm800k", "--neutral", "right", "--output", tmp_path / "x") == 2
    assert f"{source}:1:" in capsys.readouterr().err


def test_convert_unpaired_makes_one_step(tmp_path):
    source, output = tmp_path / "thumbs.jsonl", tmp_path / "train.jsonl"
    source.write_text('{"prompt": "p", "completion": "c", "label": true}', encoding="utf-8")
    assert run("convert", source, "--from", "unpaired", "--step-label", "outcome", "--output", output) == 0
    assert load_solutions(output)[0].step_labels == (True,)


def test_shared_options_decide_the_run(start, tmp_path):
    write_problems(tmp_path / "p.jsonl", problems(1))
    sampled = ("--num-samples", 2, "--max-tokens", 5, "--top-k", 7, "--stop", "xx", "yy", "--seed", 3)
    labelled = ("--judge", "arithmetic", "--steps", "markers", "--percent", "either", "--timeout-seconds", 9)
    engine = ("--engine", f"hf:{start}")
    assert run("evaluate", tmp_path / "p.jsonl", *engine, *sampled, *labelled, "--output", tmp_path / "e") == 0
    parameters = json.loads((tmp_path / "e" / "run.json").read_text(encoding="utf-8"))["manifest"]["parameters"]
    sample, label = parameters["sample"], parameters["label"]
    assert (sample["num_samples"], sample["top_k"], sample["stop"], sample["seed"]) == (2, 7, ["xx", "yy"], 3)
    assert (label["steps"], label["percent"], label["timeout_seconds"]) == ("markers", "either", 9.0)
    assert parameters["ks"] == [2]
    assert run("evaluate", tmp_path / "p.jsonl", *engine, "--judge", "arithmetic", "--output", tmp_path / "e") == 2


def test_failed_samples_exit_with_3(tmp_path):
    known = problems(1)
    write_problems(tmp_path / "p.jsonl", known)
    (tmp_path / "empty.jsonl").touch()
    spec = tmp_path / "engine.yaml"
    spec.write_text("engine: replay\nfile: empty.jsonl\nmissing: failure\n", encoding="utf-8")
    assert run("sample", tmp_path / "p.jsonl", "--engine", spec, "--output", tmp_path / "s") == 3
    assert run("label", tmp_path / "s", "--output", tmp_path / "l") == 3
    assert run("build", tmp_path / "l", "--output", tmp_path / "b") == 2
