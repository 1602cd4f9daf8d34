import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM, TrainerCallback

from step_kto._checkpoint import IDENTITY_FILE
from step_kto._policy import disable_dropout, load_tokenizer, pad_id
from step_kto._toy_tokenizer import make_toy_tokenizer
from step_kto._trainer import StepKTOTrainer
from twllm_types import ArtifactError, ConfigError, DataError, StepwiseSolution

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from small_runs import config, largest_difference, moved, small_model, solutions, trainer, weights

# Adam divides by the gradient's size and so blows up the last digit of gradients near 0; plain descent does not
EXACT = {"optim": "sgd", "learning_rate": 0.05}
LORA = LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")


class SignalAt(TrainerCallback):
    """Sends SIGTERM to this process within a step."""

    def __init__(self, step):
        self.step = step

    # transformers calls it with these
    def on_step_begin(self, args, state, control, **kwargs):  # noqa: ARG002
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


class BreakAt(TrainerCallback):
    """Ends the process's training with an error, as a kill would, behind a step."""

    def __init__(self, step):
        self.step = step

    # likewise
    def on_step_end(self, args, state, control, **kwargs):  # noqa: ARG002
        if state.global_step == self.step:
            raise KeyboardInterrupt


def trained(output, **changes):
    run = trainer(output, **changes)
    run.train()
    return run


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("plain"), **EXACT)


@pytest.mark.parametrize(
    "changes",
    [
        {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4},
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2},
        {"padding_free": True},
        {"precompute_ref_logps": False},
        {"logits_path": "model"},
        {"gradient_checkpointing": True},
        {"ref_batch_size": 3},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_weights_do_not_depend_on_how_a_step_is_computed(plain, tmp_path, changes):
    other = trained(tmp_path, **EXACT, **changes)
    assert largest_difference(weights(plain), small_model().state_dict()) > 1e-3
    assert largest_difference(weights(plain), weights(other)) < 2e-6
    left, right = (run.state.log_history[0]["loss"] for run in (plain, other))
    assert left == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize("step_z0", ["segments", "sampled", "zero"])
@pytest.mark.parametrize("reduction", ["step", "response"])
def test_micro_batches_add_up_for_every_estimator_and_reduction(tmp_path, step_z0, reduction):
    settings = {"step_z0": step_z0, "step_reduction": reduction, "max_steps": 2, **EXACT}
    whole = trained(tmp_path / "whole", per_device_train_batch_size=4, **settings)
    parts = trained(tmp_path / "parts", per_device_train_batch_size=1, gradient_accumulation_steps=4, **settings)
    assert largest_difference(weights(whole), weights(parts)) < 2e-6


def test_last_step_of_an_epoch_counts_its_own_rows_only(tmp_path):
    rows = solutions()[:10]
    settings = {"rows": rows, "max_steps": -1, "num_train_epochs": 1, **EXACT}
    whole = trained(tmp_path / "whole", per_device_train_batch_size=4, **settings)
    parts = trained(tmp_path / "parts", per_device_train_batch_size=1, gradient_accumulation_steps=4, **settings)
    assert whole.state.global_step == parts.state.global_step == 3
    assert largest_difference(weights(whole), weights(parts)) < 2e-6


def test_step_weight_zero_does_not_look_at_step_labels(tmp_path):
    flipped = [
        StepwiseSolution(
            prompt=row.prompt,
            steps=row.steps,
            step_labels=tuple(None if label is None else not label for label in row.step_labels),
            outcome=row.outcome,
        )
        for row in solutions()
    ]
    left = trained(tmp_path / "left", step_weight=0.0)
    right = trained(tmp_path / "right", step_weight=0.0, rows=flipped)
    assert largest_difference(weights(left), weights(right)) == 0.0


def test_equal_policies_start_at_half_the_mean_weight(tmp_path):
    run = trained(
        tmp_path,
        max_steps=1,
        desirable_weight=1.4,
        undesirable_weight=1.4,
        step_desirable_weight=0.6,
        step_undesirable_weight=0.6,
    )
    first = run.state.log_history[0]
    assert first["outcome_loss"] == pytest.approx(0.7, abs=1e-5)
    assert first["step_loss"] == pytest.approx(0.3, abs=1e-5)
    assert first["z0/outcome_raw"] == pytest.approx(0.0, abs=1e-4)


def test_log_holds_what_the_issue_names_and_never_nan(plain):
    names = {
        "outcome_loss",
        "step_loss",
        "z0/outcome",
        "z0/outcome_raw",
        "z0/step",
        "z0/step_raw",
        "kl",
        "rewards/outcome_right",
        "rewards/outcome_wrong",
        "rewards/step_right",
        "rewards/step_wrong",
        "margins/outcome",
        "margins/step",
        "length/completion_tokens",
        "length/steps",
        "masked_steps_share",
    }
    logged = plain.state.log_history[:-1]
    assert names <= set().union(*logged)
    assert all(value == value for entry in logged for value in entry.values())
    for entry in logged:
        assert entry["z0/outcome"] == max(entry["z0/outcome_raw"], 0.0)
        assert entry["loss"] == pytest.approx(entry["outcome_loss"] + entry["step_loss"], rel=1e-4)
        assert 0.0 <= entry["masked_steps_share"] <= 1.0


def test_absent_class_is_left_out_of_the_log(tmp_path):
    rows = solutions()
    run = trained(
        tmp_path, rows=rows, per_device_train_batch_size=1, max_steps=16, train_sampling_strategy="sequential"
    )
    entry = run.state.log_history[1]
    assert rows[1].outcome is True
    assert "rewards/outcome_right" in entry
    assert "rewards/outcome_wrong" not in entry
    assert "margins/outcome" not in entry
    unknown = run.state.log_history[6]
    assert rows[6].outcome is None
    assert "outcome_loss" not in unknown


def test_evaluation_is_exact_whatever_the_batches(tmp_path):
    run = trainer(tmp_path, eval_dataset=solutions()[:7], model=moved(small_model()), ref_model=small_model())
    run.args.per_device_eval_batch_size = 8
    whole = run.evaluate()
    assert whole["eval_loss"] == pytest.approx(whole["eval_outcome_loss"] + whole["eval_step_loss"], rel=1e-6)
    assert whole["eval_outcome_loss"] != pytest.approx(0.5, abs=1e-3)


def test_evaluation_of_several_sets_and_of_new_rows(tmp_path):
    run = trainer(tmp_path, eval_dataset={"one": solutions()[:4], "two": solutions()[4:]})
    metrics = run.evaluate()
    assert {"eval_one_loss", "eval_two_loss", "eval_two_step_loss"} <= set(metrics)
    assert run.evaluate("one")["eval_loss"] == pytest.approx(metrics["eval_one_loss"])
    assert "test_outcome_loss" in run.evaluate(solutions()[:5], metric_key_prefix="test")
    run.train()
    with pytest.raises(ConfigError, match="give them to the constructor"):
        run.evaluate(solutions()[:5])


def test_new_rows_after_training_are_scored_by_a_given_reference(tmp_path):
    run = trained(tmp_path, ref_model=moved(small_model()), max_steps=1)
    assert run.evaluate(solutions()[:5])["eval_loss"] > 0


def test_interrupted_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path):
    settings = {"max_steps": 7, "save_strategy": "steps", "save_steps": 2, "num_pairings": 2}
    undisturbed = trained(tmp_path / "undisturbed", **settings)
    broken = trainer(tmp_path / "broken", **settings)
    broken.add_callback(BreakAt(5))
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    again = trainer(tmp_path / "broken", **settings)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 7
    assert largest_difference(weights(undisturbed), weights(again)) == 0.0


def test_resumed_behind_its_last_update_makes_no_further_one_unless_asked_for_more(tmp_path):
    # two updates take half of the rows, so that a third would find some
    settings = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    whole = trained(tmp_path, **settings)
    again = trainer(tmp_path, **settings)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 2
    assert largest_difference(weights(whole), weights(again)) == 0.0
    more = trainer(tmp_path, **{**settings, "max_steps": 3})
    more.train(resume_from_checkpoint=True)
    assert more.state.global_step == 3
    assert largest_difference(weights(whole), weights(more)) > 1e-4


def test_sigterm_saves_the_step_and_the_rest_can_follow(tmp_path):
    settings = {"max_steps": 5, "save_strategy": "steps", "save_steps": 100}
    undisturbed = trained(tmp_path / "undisturbed", **settings)
    before = signal.getsignal(signal.SIGTERM)
    stopped = trainer(tmp_path / "stopped", **settings)
    stopped.add_callback(SignalAt(2))
    stopped.train()
    assert stopped.stopped_by_signal
    assert stopped.state.global_step == 3
    assert (tmp_path / "stopped" / "checkpoint-3" / "model.safetensors").is_file()
    assert signal.getsignal(signal.SIGTERM) is before
    again = trainer(tmp_path / "stopped", **settings)
    again.train(resume_from_checkpoint=True)
    assert not again.stopped_by_signal
    assert largest_difference(weights(undisturbed), weights(again)) == 0.0


def test_training_outside_of_the_main_thread_needs_no_handler(tmp_path):
    run = trainer(tmp_path, max_steps=1)
    thread = threading.Thread(target=run.train)
    thread.start()
    thread.join(timeout=120)
    assert run.state.global_step == 1


def test_checkpoint_of_other_rows_or_reference_is_refused(tmp_path):
    settings = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    trained(tmp_path, **settings)
    stored = json.loads((tmp_path / "checkpoint-2" / IDENTITY_FILE).read_text(encoding="utf-8"))
    assert set(stored) == {"data_hash", "reference_key"}
    with pytest.raises(ArtifactError, match="another training rows"):
        trainer(tmp_path, rows=solutions(num_problems=6), **settings).train(resume_from_checkpoint=True)
    with pytest.raises(ArtifactError, match="another reference model"):
        trainer(tmp_path, model=small_model(seed=2), **settings).train(
            resume_from_checkpoint=str(tmp_path / "checkpoint-2")
        )
    (tmp_path / "checkpoint-2" / IDENTITY_FILE).unlink()
    trainer(tmp_path, rows=solutions(num_problems=6), **settings).train(resume_from_checkpoint=True)


def test_checkpoint_loads_as_an_ordinary_model(tmp_path):
    run = trained(tmp_path, save_strategy="steps", save_steps=4)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "checkpoint-4")
    assert largest_difference(weights(run), loaded.state_dict()) == 0.0
    # the folder is a model id too, and brings its tokenizer
    again = StepKTOTrainer(str(tmp_path / "checkpoint-4"), args=config(tmp_path / "more"), train_dataset=solutions())
    again.train()
    assert again.state.global_step == 4


def test_model_kwargs_go_with_a_model_id_only(tmp_path):
    with pytest.raises(ConfigError, match="model_init_kwargs"):
        trainer(tmp_path, model_init_kwargs={"dtype": "bfloat16"})
    small_model().save_pretrained(tmp_path / "model")
    make_toy_tokenizer().save_pretrained(tmp_path / "model")
    run = trainer(tmp_path, model=str(tmp_path / "model"), model_init_kwargs={"dtype": "bfloat16"})
    assert run.model.dtype == torch.bfloat16


def test_model_from_nowhere_needs_a_tokenizer():
    with pytest.raises(ConfigError, match="processing_class"):
        load_tokenizer(small_model())


def test_nan_weights_stop_the_run_with_the_row_named(tmp_path):
    run = trainer(tmp_path, train_sampling_strategy="sequential")
    with torch.no_grad():
        run.model.model.layers[0].mlp.down_proj.weight.fill_(float("nan"))
    with pytest.raises(DataError, match=r"train row 1, train row 2, .*not finite"):
        run.train()


def test_nan_of_the_matched_answers_alone_is_named(tmp_path):
    run = trainer(tmp_path, outcome_z0="zero", step_z0="zero", train_sampling_strategy="sequential")
    with torch.no_grad():
        run.model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(DataError, match="train row 1, train row 2, train row 3, train row 4: log-probabilities"):
        run.train()


def test_nan_reference_stops_before_training_with_the_row_named(tmp_path):
    model = small_model()
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(DataError, match=r"train row \d+: the reference's log-probabilities"):
        trainer(tmp_path, model=model)


def test_adapter_run_trains_the_adapter_only_against_the_base_model(tmp_path):
    run = trainer(tmp_path, peft_config=LORA, model=moved(small_model()))
    before = weights(run)
    run.train()
    after = weights(run)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("lora_" in name for name in changed)
    assert run.state.log_history[0]["z0/outcome_raw"] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapter_reference_is_the_model_with_its_adapter_off(tmp_path, checkpointing):
    def adapted():
        model = get_peft_model(moved(small_model()), LORA)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.fill_(0.3)
        return model

    settings = {"max_steps": 2, "gradient_checkpointing": checkpointing}
    before = trained(tmp_path / "before", model=adapted(), **settings)
    beside = trained(tmp_path / "beside", model=adapted(), precompute_ref_logps=False, **settings)
    given = trained(tmp_path / "given", model=adapted(), ref_model=moved(small_model()), **settings)
    # the same adapter, and so the same log-ratios, in all three
    for other in (beside, given):
        first, second = before.state.log_history[0], other.state.log_history[0]
        assert first["z0/outcome_raw"] == pytest.approx(second["z0/outcome_raw"], rel=1e-4)
        assert first["rewards/outcome_right"] == pytest.approx(second["rewards/outcome_right"], rel=1e-4)
    assert abs(before.state.log_history[0]["rewards/outcome_right"]) > 1e-3


def test_adapter_run_can_evaluate_new_rows_after_training(tmp_path):
    run = trained(tmp_path, peft_config=LORA, max_steps=1)
    assert run.evaluate(solutions()[:5])["eval_loss"] > 0


# PEFT warns about the very adapter that is refused here
@pytest.mark.filterwarnings("ignore:Model has .tie_word_embeddings=True.:UserWarning")
def test_adapters_that_cannot_be_trained_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="has an adapter"):
        trainer(tmp_path, model=get_peft_model(small_model(), LORA), peft_config=LORA)
    with pytest.raises(ConfigError, match="prompt-learning"):
        trainer(tmp_path, peft_config=PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM"))
    head = LoraConfig(r=2, target_modules=["lm_head"], task_type="CAUSAL_LM")
    with pytest.raises(ConfigError, match="not a plain linear layer"):
        trainer(tmp_path, peft_config=head)


def test_reference_that_is_the_model_itself_is_refused(tmp_path):
    model = small_model()
    with pytest.raises(ConfigError, match="one object"):
        trainer(tmp_path, model=model, ref_model=model)


def test_dropout_is_switched_off_unless_kept():
    model = small_model()
    model.model.layers[0].self_attn.attention_dropout = 0.5
    model.model.layers[0].mlp.extra = torch.nn.Dropout(0.5)
    disable_dropout(model)
    assert model.model.layers[0].self_attn.attention_dropout == 0.0
    assert model.model.layers[0].mlp.extra.p == 0.0


def test_padding_takes_any_token_there_is():
    tokenizer = make_toy_tokenizer()
    assert pad_id(tokenizer) == tokenizer.pad_token_id
    tokenizer.pad_token = None
    assert pad_id(tokenizer) == tokenizer.eos_token_id


def test_step_margins_rise_on_the_arithmetic_rows(tmp_path):
    run = trainer(
        tmp_path,
        rows=solutions(num_problems=12, samples=3),
        max_steps=60,
        per_device_train_batch_size=12,
        learning_rate=3e-3,
        logging_steps=5,
        eval_dataset=solutions(num_problems=12, samples=3),
    )
    before = run.evaluate()
    run.train()
    after = run.evaluate()
    assert after["eval_margins/step"] > before["eval_margins/step"] + 0.5
    assert after["eval_step_loss"] < before["eval_step_loss"] - 0.05
    assert after["eval_rewards/step_right"] > after["eval_rewards/step_wrong"]
