import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from step_kto._iterate import read_loop, run_iterate
from step_kto._judge_spec import JudgeSettings
from step_kto._label_settings import LabelSettings
from step_kto._loop_recipe import ArithmeticSource, LoopRecipe, ProblemSource, derived_seed
from step_kto._problems import Problem, write_problems
from step_kto._report import write_report
from step_kto._sample_settings import SampleSettings
from step_kto._selection import SelectionRules
from step_kto._stage_evaluate import EvaluateSettings
from step_kto._train_settings import TrainSettings
from twllm_runs import load_recipe, parse_recipe, recipe_to_json, run_lock
from twllm_types import ArtifactError, ConfigError, LockedError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from step_fakes import SilentProgress, make_start_model, problems, tiny_recipe

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "model"
    make_start_model(folder)
    return folder


@pytest.fixture(scope="module")
def killed(start, tmp_path_factory):
    """One loop killed at every stage, and one undisturbed."""
    folder = tmp_path_factory.mktemp("loops")
    script = Path(__file__).parent / "importable" / "kill_loop.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, script, start, folder], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


def iterate(recipe, output, progress=None):
    return run_iterate(recipe, output=output, progress=progress or SilentProgress())


def folders(output):
    return sorted(path.relative_to(output).as_posix() for path in output.glob("iteration-*/*"))


def test_loop_killed_at_every_stage_gives_the_hashes_of_an_undisturbed_one(killed):
    _, found = killed
    ends = found["ends"]
    assert ends.pop("undisturbed") == 0
    assert set(ends.values()) == {-signal.SIGKILL}, ends
    assert found["parts"] == found["whole"]
    assert len(found["whole"]) == 6


def test_killed_loop_leaves_the_same_files_as_an_undisturbed_one(killed):
    folder, _ = killed
    assert folders(folder / "parts") == folders(folder / "whole")
    for name in ("*/sample-*/samples.jsonl", "*/*/solutions.jsonl", "*/build-*/train.jsonl", "*/train-*/log.jsonl"):
        left, right = (
            [path.read_bytes() for path in sorted((folder / part).glob(name))] for part in ("parts", "whole")
        )
        assert left
        assert left == right


def test_finished_loop_works_no_more_and_says_the_same(killed, start):
    folder, found = killed

    def fail(name, count):
        raise AssertionError(name)

    again = iterate(tiny_recipe(start), folder / "whole", SilentProgress(fail))
    assert again.hashes() == found["whole"]


def test_changed_later_setting_redoes_only_what_follows(killed, start):
    folder, _ = killed
    output = folder / "whole"
    before = folders(output)
    recipe = tiny_recipe(start)
    work = []
    changed = iterate(
        replace(recipe, train=replace(recipe.train, step_weight=0.5)),
        output,
        SilentProgress(lambda name, _: work.append(name)),
    )
    new = [name.rpartition("-")[0] for name in folders(output) if name not in before]
    assert new == ["iteration-1/evaluate", "iteration-1/train"]
    assert work[0] == "training"
    assert [stage.name for stage in changed.stages] == ["evaluate", "sample", "label", "build", "train", "evaluate"]
    # and back again without any work
    back = iterate(recipe, output, SilentProgress(lambda name, _: pytest.fail(name)))
    assert set(folders(output)) > set(before)
    assert read_loop(output) == (recipe, back.stages)


def test_two_iterations_go_on_from_the_trained_model_and_the_reference_decides(killed, start):
    folder, _ = killed
    output = folder / "whole"
    recipe = tiny_recipe(start, iterations=2, build=SelectionRules(repeated="keep"))
    previous = iterate(recipe, output)
    initial = iterate(replace(recipe, reference="initial"), output)
    hashes, others = previous.hashes(), initial.hashes()
    assert hashes["iteration-1/sample"] != hashes["iteration-2/sample"]
    assert hashes["iteration-2/build"] == others["iteration-2/build"]
    assert hashes["iteration-2/train"] != others["iteration-2/train"]
    page = (output / "report.html").read_text(encoding="utf-8")
    for shown in ("Accuracy, with intervals", "pass@1_greedy, iteration 2", "train.step_beta"):
        assert shown in page
    # results come before the hundred settings of a recipe
    assert page.index("Accuracy, with intervals") < page.index("train.step_beta")


def test_report_compares_loops(killed):
    folder, _ = killed
    write_report([folder / "whole", folder / "parts"], folder / "both.html")
    page = (folder / "both.html").read_text(encoding="utf-8")
    assert "whole, iteration 1" in page
    assert "parts, iteration 1" in page


def test_loop_stopped_by_sigterm_goes_on(killed, start, tmp_path):
    _, found = killed

    def terminate(name, count):
        if (name, count) == ("training", 2):
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = iterate(tiny_recipe(start), tmp_path, SilentProgress(terminate))
    assert (stopped.stopped, stopped.stages[-1].name) == (True, "build")
    assert iterate(tiny_recipe(start), tmp_path).hashes() == found["whole"]


def test_loop_refuses_a_changed_model_and_foreign_folders(start, tmp_path):
    output = tmp_path / "loop"
    recipe = tiny_recipe(start, evaluation_problems=None)
    stages = iterate(recipe, output).stages
    assert [stage.name for stage in stages] == ["sample", "label", "build", "train"]
    weights = output / stages[-1].folder / "model" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtifactError, match="was changed"):
        iterate(recipe, output)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"holds files"):
        iterate(recipe, tmp_path / "other")
    with pytest.raises(ConfigError, match="is a file"):
        iterate(recipe, tmp_path / "other" / "notes.txt")
    with run_lock(output), pytest.raises(LockedError):
        iterate(recipe, output)


def test_problems_that_are_trained_and_evaluated_on_are_refused(start, tmp_path):
    write_problems(tmp_path / "p.jsonl", problems(3))
    source = ProblemSource(file=tmp_path / "p.jsonl")
    with pytest.raises(ConfigError, match="3 problems are both trained on"):
        iterate(tiny_recipe(start, problems=source, evaluation_problems=source), tmp_path / "loop")


def test_problems_of_an_iteration_are_drawn_by_seed(start):
    recipe = tiny_recipe(start, problems_per_iteration=2)
    known = problems(4)
    draws = {recipe.problems_of(iteration, known) for iteration in range(8)}
    assert len(draws) > 1
    assert all(len(draw) == 2 for draw in draws)
    assert recipe.problems_of(3, known) == recipe.problems_of(3, known)
    with pytest.raises(ConfigError, match="there are 1 problems"):
        recipe.problems_of(1, known[:1])


def test_seeds_of_stages_differ():
    seeds = {derived_seed(seed, stage, i) for seed in (0, 1) for stage in ("sample", "train") for i in (1, 2)}
    assert len(seeds) == 8


def test_damaged_loop_file_is_refused(tmp_path):
    (tmp_path / "loop.json").write_text("{", encoding="utf-8")
    with pytest.raises(ArtifactError, match="give the folder of step-kto iterate"):
        read_loop(tmp_path)


def test_loop_file_of_another_version_is_refused(start, tmp_path):
    content = {"schema_version": 99, "recipe": recipe_to_json(tiny_recipe(start)), "stages": []}
    (tmp_path / "loop.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ArtifactError, match="schema_version is 99"):
        read_loop(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": 0}, "iterations is 0"),
        ({"engine": "hf:model"}, "names no {model}"),
        ({"sample": SampleSettings(seed=1)}, r"sample.seed is 1"),
        ({"train": TrainSettings(kind="dpo"), "reference": "initial"}, "reference is 'initial'"),
        ({"sample": SampleSettings(prompt_format="chat")}, "prompt_format and system_prompt differ"),
        ({"label": LabelSettings(judge=JudgeSettings(judge="arithmetic-truth"))}, "also labels the training set"),
    ],
    ids=["iterations", "engine", "seed", "reference", "format", "judge"],
)
def test_recipe_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        tiny_recipe(Path("m"), **changes)


def test_judge_of_training_may_evaluate_where_it_is_allowed_or_trains_nothing():
    label = LabelSettings(judge=JudgeSettings(judge="arithmetic-truth"))
    evaluate = replace(tiny_recipe(Path("m")).evaluate, allow_same_judge=True)
    assert tiny_recipe(Path("m"), label=label, evaluate=evaluate).evaluate.allow_same_judge
    assert tiny_recipe(Path("m"), label=label, train=TrainSettings(kind="kto")).train.kind == "kto"


def test_source_of_problems_is_one(tmp_path):
    with pytest.raises(ConfigError, match="either 'file' or 'arithmetic'"):
        ProblemSource()
    with pytest.raises(ConfigError, match="num_problems is 0"):
        ArithmeticSource(num_problems=0)
    write_problems(tmp_path / "p.jsonl", [Problem(prompt="a", answer="1")])
    assert ProblemSource(file=tmp_path / "p.jsonl").load() == (Problem(prompt="a", answer="1"),)


def test_recipe_comes_back_from_json(start):
    recipe = tiny_recipe(start)
    assert parse_recipe(json.dumps(recipe_to_json(recipe)), LoopRecipe, source="r") == recipe


def test_recipe_of_the_arithmetic_task_can_be_read():
    recipe = load_recipe(ROOT / "recipes" / "step-kto" / "arithmetic.yaml", LoopRecipe)
    assert recipe.iterations == 3
    assert isinstance(recipe.evaluate, EvaluateSettings)
