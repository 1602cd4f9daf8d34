import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from step_kto._baselines import baseline_rows, train_baseline
from step_kto._toy_tokenizer import make_toy_tokenizer
from twllm_types import ConfigError, DataError, MissingDependencyError, StepwiseSolution

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from small_runs import config, largest_difference, small_model, solutions

pytestmark = [
    # TRL says so about classes of its own when it is imported
    pytest.mark.filterwarnings("ignore::FutureWarning:trl.*"),
]


def sample(prompt, text, outcome):
    return StepwiseSolution(prompt=prompt, steps=(text,), step_labels=(None,), outcome=outcome)


SAMPLES = [
    sample("p", "right one", True),
    sample("p", "right one", True),
    sample("p", "wrong one", False),
    sample("p", "unknown", None),
    sample("q", "right", True),
    sample("r", "wrong", False),
    sample("r", "good", True),
    sample("r", "bad", False),
]


def test_kto_rows_take_prompts_in_turn():
    made = baseline_rows("kto", SAMPLES, seed=0)
    assert (len(made.rows), made.num_unused) == (7, 1)
    prompts = [row["prompt"] for row in made.rows]
    assert all(left != right for left, right in pairwise(prompts))
    assert sorted(row["label"] for row in made.rows) == [False] * 3 + [True] * 4


def test_dpo_pairs_use_every_sample_of_a_prompt_with_both():
    made = baseline_rows("dpo", SAMPLES, seed=0)
    pairs = sorted((row["prompt"], row["chosen"], row["rejected"]) for row in made.rows)
    assert pairs == [
        ("p", "right one", "wrong one"),
        ("p", "right one", "wrong one"),
        ("r", "good", "bad"),
        ("r", "good", "wrong"),
    ]
    assert made.num_unused == 2


def test_rft_rows_are_the_distinct_right_samples():
    made = baseline_rows("rft", SAMPLES, seed=0)
    assert sorted((row["prompt"], row["completion"]) for row in made.rows) == [
        ("p", "right one"),
        ("q", "right"),
        ("r", "good"),
    ]
    assert made.num_unused == 5


def test_order_follows_the_seed():
    rows = solutions()
    assert baseline_rows("kto", rows, seed=0) == baseline_rows("kto", rows, seed=0)
    assert baseline_rows("kto", rows, seed=0) != baseline_rows("kto", rows, seed=1)


@pytest.mark.parametrize(("kind", "samples"), [("kto", SAMPLES[3:4]), ("dpo", SAMPLES[4:6]), ("rft", SAMPLES[5:6])])
def test_baseline_without_rows_is_refused(kind, samples):
    with pytest.raises(DataError, match=f"no row is left for {kind}"):
        baseline_rows(kind, samples, seed=0)


def test_unknown_baseline_is_refused():
    with pytest.raises(ConfigError, match="'ppo' is unknown"):
        # what a recipe may well say
        baseline_rows("ppo", SAMPLES, seed=0)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", ["kto", "dpo", "rft"])
def test_baseline_trains_the_given_updates_on_the_same_samples(tmp_path, kind):
    rows = solutions(num_problems=7, samples=3)
    model = small_model()
    settings = config(tmp_path, max_steps=3, save_strategy="steps", save_steps=3)
    run = train_baseline(kind, model, solutions=rows, tokenizer=make_toy_tokenizer(), args=settings)
    assert run.trainer.state.global_step == 3
    assert run.num_rows > 0
    assert not run.stopped_by_signal
    assert largest_difference(model.state_dict(), small_model().state_dict()) > 1e-4
    assert (tmp_path / "checkpoint-3" / "model.safetensors").is_file()
    assert run.trainer.args.learning_rate == settings.learning_rate


@pytest.mark.parametrize("kind", ["kto", "dpo", "rft"])
def test_baseline_resumed_behind_its_last_update_makes_no_further_one(tmp_path, kind):
    settings = config(tmp_path, max_steps=1, save_strategy="steps", save_steps=1, per_device_train_batch_size=2)
    runs = []
    for checkpoint in (None, str(tmp_path / "checkpoint-1")):
        model = small_model()
        run = train_baseline(
            kind,
            model,
            solutions=solutions(num_problems=7, samples=3),
            tokenizer=make_toy_tokenizer(),
            args=settings,
            resume_from_checkpoint=checkpoint,
        )
        assert run.trainer.state.global_step == 1
        runs.append(model.state_dict())
    assert largest_difference(runs[0], small_model().state_dict()) > 1e-4
    assert largest_difference(*runs) == 0.0


def test_baseline_cuts_nothing_off(tmp_path):
    long = sample("Compute 9 + 9 * 2?\n", "## Step 1: " + "9 + 9 + " * 8 + "9 = 81.\n", True)
    rows = [*solutions(num_problems=4, samples=2), long]
    with pytest.raises(DataError, match=r"train row 9: .* longer than max_length 40"):
        train_baseline(
            "rft",
            small_model(),
            solutions=rows,
            tokenizer=make_toy_tokenizer(),
            args=config(tmp_path, max_steps=1, max_length=40),
        )
    run = train_baseline(
        "rft",
        small_model(),
        solutions=rows,
        tokenizer=make_toy_tokenizer(),
        args=config(tmp_path, max_steps=1, max_length=40, too_long="drop"),
    )
    assert all("9 + 9 + 9" not in text for text in make_toy_tokenizer().batch_decode(seen_ids(run)))
    assert run.num_rows + run.num_unused == len(rows)


def seen_ids(run):
    return [row["input_ids"] for row in run.trainer.train_dataset]


@pytest.mark.parametrize("kind", ["kto", "dpo", "rft"])
def test_baseline_stops_at_a_loss_that_is_not_finite(tmp_path, kind):
    model = small_model()
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    settings = config(tmp_path, max_steps=2)
    with pytest.raises(DataError, match=r"update 1: loss .*not finite"):
        train_baseline(
            kind,
            model,
            solutions=solutions(num_problems=7, samples=3),
            tokenizer=make_toy_tokenizer(),
            args=settings,
        )


def test_baseline_needs_an_end_of_sequence_token(tmp_path):
    tokenizer = make_toy_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(DataError, match="no end-of-sequence token"):
        train_baseline("kto", small_model(), solutions=solutions(), tokenizer=tokenizer, args=config(tmp_path))


def test_kto_drops_a_row_that_would_be_paired_with_itself(tmp_path):
    rows = [*solutions(num_problems=2, samples=2), sample("Compute 9 + 9 * 2?\n", "27", True)]
    settings = config(tmp_path, max_steps=1, per_device_train_batch_size=2)
    run = train_baseline("kto", small_model(), solutions=rows, tokenizer=make_toy_tokenizer(), args=settings)
    assert (run.num_rows, run.num_unused) == (4, 1)


def test_settings_that_trl_cannot_follow_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=">= 2"):
        train_baseline(
            "kto",
            small_model(),
            solutions=SAMPLES,
            tokenizer=make_toy_tokenizer(),
            args=config(tmp_path, per_device_train_batch_size=1),
        )
    with pytest.raises(ConfigError, match="chat template"):
        train_baseline(
            "rft",
            small_model(),
            solutions=SAMPLES,
            tokenizer=make_toy_tokenizer(),
            args=config(tmp_path, prompt_format="chat"),
        )


def test_missing_trl_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(MissingDependencyError, match=r"step-kto\[baselines\]"):
        train_baseline("rft", small_model(), solutions=SAMPLES, tokenizer=make_toy_tokenizer(), args=config(tmp_path))
