import json
import os
import resource
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from step_kto._data import write_solutions
from step_kto._model_folder import identify_model, write_folder
from step_kto._selection import SelectionRules
from step_kto._stage_build import run_build
from step_kto._stage_evaluate import named_judge, read_training_judge
from step_kto._stage_train import last_whole_checkpoint, read_log, run_train
from step_kto._train_settings import TrainSettings
from twllm_runs import RunState, parse_recipe
from twllm_types import ArtifactError, ConfigError, DataError, RunError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from small_runs import small_model, solutions
from step_fakes import SilentProgress, make_labels, summary_of

from step_kto._toy_tokenizer import make_toy_tokenizer

pytestmark = [
    # TRL says so about classes of its own when it is imported
    pytest.mark.filterwarnings("ignore::FutureWarning:trl.*"),
]
SETTINGS = TrainSettings(max_steps=4, learning_rate=1e-3, batch_size=4, save_steps=1, logging_steps=1)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "model"
    small_model().save_pretrained(folder)
    make_toy_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "train.jsonl"
    write_solutions(path, solutions())
    return path


@pytest.fixture(scope="module")
def whole(start, data, tmp_path_factory):
    return train(data, start, tmp_path_factory.mktemp("whole"))


def train(data, model, output, settings=SETTINGS, progress=None, **options):
    return run_train(data, model, settings, output=output, progress=progress or SilentProgress(), **options)


def weights(run):
    return (run.model / "model.safetensors").read_bytes()


def stop_at(update, act):
    def on_advance(name, count):
        if (name, count) == ("training", update):
            act()

    return SilentProgress(on_advance)


def interrupt():
    raise KeyboardInterrupt


def test_run_train_writes_an_ordinary_model_and_its_log(whole, start):
    model = AutoModelForCausalLM.from_pretrained(whole.model)
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in small_model().parameters())
    assert identify_model(start).sha256["weights"] != summary_of(whole)["model_sha256"]["weights"]
    log = read_log(whole.folder)
    assert [row["step"] for row in log] == [1, 2, 3, 4]
    assert {"loss", "outcome_loss", "step_loss", "z0/step"} <= set(log[0])
    assert not any("runtime" in name for row in log for name in row)
    assert not (whole.folder / "work").exists()


def test_run_train_finished_is_read_and_not_trained_again(whole, start, data):
    again = train(data, start, whole.folder, progress=stop_at(1, interrupt))
    assert (again.state, again.summary) == (RunState.FINISHED, whole.summary)


def test_run_train_interrupted_gives_the_same_weights_and_log(whole, start, data, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(data, start, tmp_path, progress=stop_at(3, interrupt))
    # the checkpoint of the third update is cut short
    folder = tmp_path / "work" / "checkpoints"
    shutil.copytree(folder / "checkpoint-2", folder / "checkpoint-3", dirs_exist_ok=True)
    (folder / "checkpoint-3" / "trainer_state.json").write_text('{"global', encoding="utf-8")
    assert last_whole_checkpoint(folder) == folder / "checkpoint-2"
    resumed = train(data, start, tmp_path)
    assert resumed.state is RunState.CONTINUED
    assert weights(resumed) == weights(whole)
    assert read_log(tmp_path) == read_log(whole.folder)


@pytest.mark.parametrize("lora_rank", [None, 2])
def test_run_train_ended_behind_its_last_update_does_no_further_one(start, data, tmp_path, monkeypatch, lora_rank):
    # two updates take half of the rows, so that a third would find some
    settings = replace(SETTINGS, max_steps=2, lora_rank=lora_rank)
    undisturbed = train(data, start, tmp_path / "whole", settings)
    with monkeypatch.context() as patch:
        patch.setattr("step_kto._stage_train.write_folder", lambda *_, **__: interrupt())
        with pytest.raises(KeyboardInterrupt):
            train(data, start, tmp_path / "parts", settings)
    resumed = train(data, start, tmp_path / "parts", settings)
    assert weights(resumed) == weights(undisturbed)
    assert resumed.summary == undisturbed.summary


def test_run_train_sigterm_saves_and_the_same_call_goes_on(whole, start, data, tmp_path):
    stopped = train(data, start, tmp_path, progress=stop_at(2, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert stopped.stopped
    assert not stopped.model.exists()
    assert weights(train(data, start, tmp_path)) == weights(whole)


@pytest.mark.parametrize("kind", ["kto", "dpo", "rft"])
def test_run_train_baselines_leave_the_same_artifacts(start, data, tmp_path, kind):
    pytest.importorskip("trl", reason="TRL is not installed (extra baselines)")
    settings = TrainSettings(kind=kind, max_steps=1, learning_rate=1e-3, batch_size=4, save_steps=1, logging_steps=1)
    run = train(data, start, tmp_path, settings)
    assert (summary_of(run)["kind"], summary_of(run)["num_updates"]) == (kind, 1)
    assert AutoModelForCausalLM.from_pretrained(run.model) is not None
    assert read_training_judge(str(run.model)) is None


def test_run_train_adapter_is_merged_into_an_ordinary_model(start, data, tmp_path):
    settings = TrainSettings(max_steps=1, learning_rate=1e-2, batch_size=4, lora_rank=2, save_steps=1, logging_steps=1)
    run = train(data, start, tmp_path, settings)
    merged = AutoModelForCausalLM.from_pretrained(run.model).state_dict()
    before = small_model().state_dict()
    assert merged.keys() == before.keys()
    assert any(not torch.equal(merged[name], before[name]) for name in merged)


def test_run_train_bf16_keeps_float32_weights_and_comes_near(whole, start, data, tmp_path):
    run = train(data, start, tmp_path, replace(SETTINGS, precision="bf16"))
    found, exact = read_log(run.folder), read_log(whole.folder)
    assert AutoModelForCausalLM.from_pretrained(run.model).dtype == torch.float32
    assert weights(run) != weights(whole)
    assert [row["loss"] for row in found] == pytest.approx([row["loss"] for row in exact], abs=0.02)


def test_run_train_reference_decides(whole, start, data, tmp_path):
    other = train(data, start, tmp_path / "other", reference=str(whole.model))
    same = train(data, start, tmp_path / "same", reference=start)
    assert weights(same) == weights(whole)
    assert weights(other) != weights(whole)


def test_run_train_balanced_weights_are_those_that_the_labels_suggest(start, data, tmp_path):
    settings = TrainSettings(max_steps=1, batch_size=4, balance_weights=True, save_steps=1, logging_steps=1)
    run = train(data, start, tmp_path, settings)
    assert summary_of(run)["weights"]["step_undesirable_weight"] > 1
    one_class = tmp_path / "one.jsonl"
    write_solutions(one_class, [row for row in solutions() if row.outcome is True])
    with pytest.raises(DataError, match="all"):
        train(one_class, start, tmp_path / "one", settings)


def test_run_train_other_settings_or_data_are_refused(whole, start, data, tmp_path):
    with pytest.raises(ArtifactError, match="max_steps"):
        train(data, start, whole.folder, replace(SETTINGS, max_steps=5))
    with pytest.raises(ConfigError, match="reference is given for 'rft'"):
        train(data, start, tmp_path, TrainSettings(kind="rft"), reference=start)
    with pytest.raises(ConfigError, match="no finished run of step-kto build"):
        train(whole.folder, start, tmp_path)
    with pytest.raises(ConfigError, match="there is no folder"):
        train(data, str(tmp_path / "gone"), tmp_path)


def test_run_train_names_file_and_line_of_a_refused_row(start, tmp_path):
    rows = [*solutions()[:3], replace(solutions()[3], prompt="1" * 500)]
    write_solutions(tmp_path / "long.jsonl", rows)
    for kind in ("step-kto", "rft"):
        with pytest.raises(DataError, match=r"long\.jsonl:4: prompt \(500 tokens\)"):
            train(tmp_path / "long.jsonl", start, tmp_path / kind, TrainSettings(kind=kind))


@pytest.fixture
def limit_file_size():
    """Stands for a full disk: either way a write is cut short."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [20_000, 160_000], ids=["weights", "optimizer"])
def test_run_train_full_disk_is_named_and_the_same_call_goes_on(whole, start, data, tmp_path, limit_file_size, size):
    limit_file_size(size)
    with pytest.raises(RunError, match=r"a checkpoint cannot be written .* then run the same command again"):
        train(data, start, tmp_path)
    limit_file_size(resource.RLIM_INFINITY)
    assert weights(train(data, start, tmp_path)) == weights(whole)


def cut_short(folder):
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:100])


def without_tokenizer(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (cut_short, "model"),
        (without_tokenizer, "tokenizer"),
        (lambda folder: (folder / "config.json").write_text("{", encoding="utf-8"), "tokenizer|model"),
        (lambda folder: (folder / "config.json").unlink(), "tokenizer|model"),
    ],
    ids=["weights", "tokenizer", "config", "no-config"],
)
def test_run_train_damaged_model_is_named(start, data, tmp_path, damage, part):
    shutil.copytree(start, tmp_path / "model")
    damage(tmp_path / "model")
    with pytest.raises(ConfigError, match=rf"the ({part}) of '.*' cannot be loaded \(.*\); give the folder"):
        train(data, str(tmp_path / "model"), tmp_path / "run")


def test_run_train_writes_no_model_that_its_last_update_broke(start, data, tmp_path):
    settings = replace(SETTINGS, max_steps=1, learning_rate=1e38, max_grad_norm=1e30)
    with pytest.raises(DataError, match=r"not finite .* behind update 1; no model is written"):
        train(data, start, tmp_path, settings)
    assert not (tmp_path / "model").exists()


def test_run_build_carries_the_judge_to_the_model(start, tmp_path):
    run_build(make_labels(tmp_path), SelectionRules(), seed=0, output=tmp_path / "b")
    run = train(tmp_path / "b", start, tmp_path / "t", TrainSettings(max_steps=1, save_steps=1, logging_steps=1))
    assert read_training_judge(str(run.model)) == {"judge": "arithmetic"}
    (run.model / "step_kto.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="is not JSON"):
        read_training_judge(str(run.model))
    assert read_training_judge("nowhere") is None


def test_named_judge_is_known_by_its_word_or_weights(start):
    assert named_judge("arithmetic") == {"judge": "arithmetic"}
    assert named_judge("llm:openai:m@http://h/v1") == {"judge": "llm", "model": "openai:m@http://h/v1"}
    found = named_judge(f"llm:hf:{start}")
    assert (found["model"], found["sha256"]) == ("hf:model", {"weights": identify_model(start).sha256["weights"]})


def test_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").touch()

    def fail(folder):
        (folder / "half").touch()
        raise FileExistsError

    with pytest.raises(FileExistsError):
        write_folder(target, fail, work=tmp_path / "work")
    assert [path.name for path in target.iterdir()] == ["old"]
    write_folder(target, lambda folder: (folder / "new").touch(), work=tmp_path / "work")
    assert [path.name for path in target.iterdir()] == ["new"]


def test_model_is_known_by_content_or_by_name(start, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(start, copy)
    assert identify_model(str(copy)) == identify_model(start)
    assert dict(identify_model("some/hub-id").sha256) == {}
    with pytest.raises(ConfigError, match="holds no"):
        identify_model(str(tmp_path))


def test_no_checkpoint_is_none(tmp_path):
    assert last_whole_checkpoint(tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"weight_decay": -1.0}, "weight_decay is -1"),
        ({"save_steps": 5}, "no multiple of logging_steps"),
        ({"beta": 0.0}, "beta"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"outcome_weight": 0.0, "step_weight": 0.0}, "nothing is learned"),
        ({"kind": "kto", "batch_size": 1}, "give 2 or more"),
        ({"kind": "dpo", "lora_rank": 2}, "lora_rank is set for a baseline"),
        ({"kind": "dpo", "prompt_format": "chat"}, "baselines take prompts"),
    ],
)
def test_train_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        TrainSettings(**changes)


def test_train_settings_are_read_from_yaml():
    found = parse_recipe("learning_rate: 1e-4\nkind: kto\n", TrainSettings, source="t.yaml")
    assert (found.learning_rate, found.kind) == (1e-4, "kto")
    with pytest.raises(ConfigError, match="lr_scheduler"):
        parse_recipe("lr_scheduler: consine", TrainSettings, source="t.yaml")
    with pytest.raises(ConfigError, match="did you mean 'beta'"):
        parse_recipe("betta: 1", TrainSettings, source="t.yaml")


def test_log_is_json_without_nan(whole):
    for line in (whole.folder / "log.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(name))
