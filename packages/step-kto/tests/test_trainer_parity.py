"""Step weight 0 against TRL's KTOTrainer: loss, gradients, and weights after several updates on the same pairs."""

import sys
import warnings
from pathlib import Path

import pytest
import torch
from datasets import Dataset

from step_kto._prepare import prepare_rows
from step_kto._toy_tokenizer import make_toy_tokenizer
from twllm_types import StepwiseSolution

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from small_runs import config, largest_difference, moved, small_model, solutions, trainer, weights

pytestmark = [
    # TRL says so about classes of its own when it is imported
    pytest.mark.filterwarnings("ignore::FutureWarning:trl.*"),
]
SETTINGS = {"optim": "sgd", "learning_rate": 0.05, "beta": 0.3, "desirable_weight": 1.3, "undesirable_weight": 0.7}
BATCH = 4


def rows_for_both() -> list[StepwiseSolution]:
    """Known outcomes, prompts in turn: eight rows, in whose order TRL pairs within each batch."""
    known = [row for row in solutions(num_problems=12, samples=2) if row.outcome is not None]
    return [*known[0:8:2], *known[1:9:2]]


def trl_trainer(output, *, precompute):
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer

    rows = [{"prompt": row.prompt, "completion": "".join(row.steps), "label": row.outcome} for row in rows_for_both()]
    arguments = KTOConfig(
        output_dir=str(output),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        max_length=None,
        report_to=[],
        disable_tqdm=True,
        per_device_train_batch_size=BATCH,
        max_steps=4,
        lr_scheduler_type="constant",
        logging_steps=1,
        save_strategy="no",
        precompute_ref_log_probs=precompute,
        **SETTINGS,
    )
    return KTOTrainer(
        model=moved(small_model()),
        ref_model=small_model().eval(),
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=make_toy_tokenizer(),
    )


def our_trainer(output, **changes):
    """Ours, with the partners that TRL draws: the answer of the row before, within the batch."""
    from dataclasses import replace

    settings = {
        **SETTINGS,
        "step_weight": 0.0,
        "per_device_train_batch_size": BATCH,
        "train_sampling_strategy": "sequential",
        **changes,
    }
    prepared = prepare_rows(
        rows_for_both(),
        tokenizer=make_toy_tokenizer(),
        config=config(output, **settings),
        name="train",
        model_max_tokens=None,
    )
    partners = tuple(row - row % BATCH + (row - 1) % BATCH for row in range(len(prepared)))
    prepared = replace(prepared, partners=(partners,), content_hash="partners of TRL")
    return trainer(output, rows=prepared, model=moved(small_model()), ref_model=small_model(), **settings)


def gradients(model):
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("precompute", [False, True], ids=["beside", "precomputed"])
def test_loss_and_gradients_equal_trl(tmp_path, precompute):
    theirs, ours = trl_trainer(tmp_path / "trl", precompute=precompute), our_trainer(tmp_path / "ours")
    their_batch = next(iter(theirs.get_train_dataloader()))
    our_batch = next(iter(ours.get_train_dataloader()))
    assert torch.equal(their_batch["input_ids"], our_batch["input_ids"])
    assert torch.equal(their_batch["KL_input_ids"], our_batch["mismatched"]["input_ids"])
    assert ours.model is not None
    assert theirs.model is not None
    their_loss = theirs.compute_loss(theirs.model, their_batch)
    our_loss = ours.compute_loss(ours.model, our_batch)
    their_loss.backward()
    our_loss.backward()
    assert our_loss.item() == pytest.approx(their_loss.item(), rel=1e-6)
    assert our_loss.item() != pytest.approx(0.5, abs=1e-3)
    theirs_by_name, ours_by_name = gradients(theirs.model), gradients(ours.model)
    norm = float(torch.stack([gradient.norm() for gradient in theirs_by_name.values()]).norm())
    assert norm > 1e-2
    for name, gradient in theirs_by_name.items():
        torch.testing.assert_close(ours_by_name[name], gradient, rtol=1e-4, atol=1e-6 * norm)


def test_weights_after_several_updates_equal_trl(tmp_path):
    with warnings.catch_warnings():
        # eight rows are not balanced as KTO advises
        warnings.filterwarnings("ignore", message=".*desirable.*")
        theirs = trl_trainer(tmp_path / "trl", precompute=True)
    theirs.train()
    ours = our_trainer(tmp_path / "ours")
    ours.train()
    assert theirs.state.global_step == ours.state.global_step == 4
    assert largest_difference(weights(ours), moved(small_model()).state_dict()) > 1e-3
    assert largest_difference(weights(ours), weights(theirs)) < 2e-6
    for left, right in zip(theirs.state.log_history[:-1], ours.state.log_history[:-1], strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-5)
        assert left["kl"] == pytest.approx(right["kl"], rel=1e-4, abs=1e-5)
        assert left["grad_norm"] == pytest.approx(right["grad_norm"], rel=1e-4)
