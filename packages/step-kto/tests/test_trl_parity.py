"""Both terms against TRL 1.16's KTOTrainer on a random model: loss and gradients of every parameter.

TRL is an oracle here and nothing else. Rows are made by hand and given to its collator, so that its preparation, which
appends an end-of-sequence token to every completion, does not touch them.
"""

import copy

import numpy as np
import pytest
import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from step_kto._loss import step_kto_loss, step_sums
from step_kto._reference import reference_step_kto_loss
from step_kto._weights import StepKTOWeights
from step_kto._z0 import Z0, mean_z0, outcome_z0_sums, step_z0_sums

WEIGHTS = StepKTOWeights(beta=0.3, desirable_weight=1.3, undesirable_weight=0.7, step_weight=0.0)
STEP_WEIGHTS = StepKTOWeights(
    step_beta=0.3, step_desirable_weight=1.3, step_undesirable_weight=0.7, outcome_weight=0.0, step_weight=1.0
)
LETTERS = [chr(code) for code in range(32, 127)] + ["\n"]
# problem, steps, step labels, outcome
SOLUTIONS = [
    ("2+3*4=", ("3*4=12\n", "2+12=14\n", "so 14"), (1, 1, 1), 1),
    ("9-5=", ("5-9=4\n", "answer 4"), (0, 1), 1),
    ("7*6+1=", ("7*6=48\n", "48+1=49\n", "so 49"), (0, 1, -1), 0),
    ("8/2=", ("it is 3",), (0,), 0),
]


def tokenizer() -> PreTrainedTokenizerFast:
    words = {letter: place for place, letter in enumerate([*LETTERS, "<pad>", "<eos>", "<unk>"])}
    raw = Tokenizer(WordLevel(words, unk_token="<unk>"))
    raw.pre_tokenizer = Split(Regex(r"[\s\S]"), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")


@pytest.fixture(scope="module")
def models() -> tuple[Qwen2ForCausalLM, Qwen2ForCausalLM]:
    """A random policy and the reference it was moved away from."""
    torch.manual_seed(20261121)
    reference = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(LETTERS) + 3,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            pad_token_id=len(LETTERS),
            eos_token_id=len(LETTERS) + 1,
            bos_token_id=None,
        )
    ).eval()
    policy = copy.deepcopy(reference)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return policy, reference


def trl_trainer(models, tmp_path, loss_type: str):
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer

    arguments = KTOConfig(
        output_dir=str(tmp_path),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        max_length=None,
        report_to=[],
        per_device_train_batch_size=4,
        beta=0.3,
        desirable_weight=1.3,
        undesirable_weight=0.7,
        loss_type=loss_type,
    )
    rows = Dataset.from_list([{"prompt": "1+1=", "completion": str(n), "label": n == 2} for n in range(4)])
    return KTOTrainer(
        model=copy.deepcopy(models[0]),
        # the trainer freezes it
        ref_model=copy.deepcopy(models[1]),
        args=arguments,
        train_dataset=rows,
        processing_class=tokenizer(),
    )


def trl_loss(trainer, rows) -> tuple[float, dict[str, Tensor]]:
    trainer.model.zero_grad()
    trainer.model.eval()
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    loss.backward()
    return loss.item(), gradients(trainer.model)


def gradients(model) -> dict[str, Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def encode(text: str) -> list[int]:
    return tokenizer()(text)["input_ids"]


def kto_rows(solutions):
    """TRL's rows, the mismatched completion taken from the row before as its preparation does."""
    completions = [encode("".join(steps)) for _, steps, _, _ in solutions]
    return [
        {
            "prompt_ids": encode(prompt),
            "completion_ids": completions[place],
            "KL_completion_ids": completions[place - 1],
            "label": outcome == 1,
        }
        for place, (prompt, _, _, outcome) in enumerate(solutions)
    ]


def step_rows(solutions):
    """One row per labelled step: the prompt is x + s_<h, the completion s_h."""
    return [
        {"prompt_ids": encode(prompt + "".join(steps[:h])), "completion_ids": encode(steps[h]), "label": label == 1}
        for prompt, steps, labels, _ in solutions
        for h, label in enumerate(labels)
        if label >= 0
    ]


def our_step_sums(model, pairs, *, num_steps: int = 3, padding: int = 0) -> Tensor:
    """Per-step sums of (prompt, steps) pairs from one padded forward."""
    texts = [encode(prompt + "".join(steps)) for prompt, steps in pairs]
    width = max(map(len, texts)) + padding
    ids = torch.full((len(pairs), width), len(LETTERS))
    attention = torch.zeros(len(pairs), width, dtype=torch.long)
    step_ids = torch.full((len(pairs), width), -1)
    for row, (prompt, steps) in enumerate(pairs):
        ids[row, : len(texts[row])] = torch.tensor(texts[row])
        attention[row, : len(texts[row])] = 1
        start = len(prompt)
        for h, step in enumerate(steps):
            step_ids[row, start : start + len(step)] = h
            start += len(step)
    logits = model(input_ids=ids, attention_mask=attention).logits[:, :-1]
    logps = logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    return step_sums(logps, step_ids[:, 1:], num_steps=num_steps)


def our_loss(models, solutions, weights, *, z0_outcome: Tensor | float, z0_step: Tensor | float, padding: int = 0):
    policy, reference = copy.deepcopy(models[0]), models[1]
    pairs = [(prompt, steps) for prompt, steps, _, _ in solutions]
    with torch.no_grad():
        ref = our_step_sums(reference, pairs)
    labels = [(*labels, *[-2] * (3 - len(labels))) for _, _, labels, _ in solutions]
    result = step_kto_loss(
        our_step_sums(policy, pairs, padding=padding),
        ref,
        step_labels_BH=torch.tensor(labels, dtype=torch.int8),
        outcome_labels_B=torch.tensor([outcome for *_, outcome in solutions], dtype=torch.int8),
        z0_outcome=z0_outcome,
        z0_step=z0_step,
        weights=weights,
    )
    result.loss.backward()
    return result, gradients(policy)


def our_mismatched(models, solutions) -> tuple[Tensor, Tensor]:
    """Step log-ratios of (prompt of this row, answer of the row before), and where there is a step."""
    pairs = [(prompt, solutions[place - 1][1]) for place, (prompt, *_) in enumerate(solutions)]
    with torch.no_grad():
        ratios = our_step_sums(models[0], pairs) - our_step_sums(models[1], pairs)
    return ratios, torch.tensor([[h < len(steps) for h in range(3)] for _, steps in pairs])


def our_z0(models, solutions) -> tuple[Z0, Z0]:
    ratios, present = our_mismatched(models, solutions)
    return mean_z0(outcome_z0_sums(ratios, present)), mean_z0(step_z0_sums(ratios, present))


def assert_same_gradients(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    norm = torch.stack([gradient.norm() for gradient in theirs.values()]).norm()
    assert norm > 1e-3
    for name, gradient in theirs.items():
        torch.testing.assert_close(
            ours[name], gradient, rtol=1e-4, atol=1e-6 * float(norm), msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.fixture
def z0_signs(models):
    """The policy as it is, and with reference and policy exchanged: one has a mean log-ratio above 0, one below."""
    ordered = (models, (models[1], models[0]))
    signs = [float(our_z0(pair, SOLUTIONS)[0].raw) for pair in ordered]
    assert max(signs) > 0.1
    assert min(signs) < -0.1
    return {"clamped": ordered[signs.index(min(signs))], "positive": ordered[signs.index(max(signs))]}


@pytest.mark.parametrize("sign", ["clamped", "positive"])
def test_outcome_term_equals_trl_kto_loss_and_gradients(z0_signs, sign, tmp_path):
    models = z0_signs[sign]
    z0, _ = our_z0(models, SOLUTIONS)
    trainer = trl_trainer(models, tmp_path, "kto")
    theirs, their_gradients = trl_loss(trainer, kto_rows(SOLUTIONS))
    ours, our_gradients = our_loss(models, SOLUTIONS, WEIGHTS, z0_outcome=z0.clamped, z0_step=0.0)
    assert (z0.clamped.item() == 0.0) is (sign == "clamped")
    assert ours.loss.item() == pytest.approx(theirs, rel=1e-6, abs=1e-7)
    assert_same_gradients(our_gradients, their_gradients)


def test_step_term_equals_trl_apo_zero_unpaired_on_rows_of_one_step(models, tmp_path):
    trainer = trl_trainer(models, tmp_path, "apo_zero_unpaired")
    theirs, their_gradients = trl_loss(trainer, step_rows(SOLUTIONS))
    ours, our_gradients = our_loss(models, SOLUTIONS, STEP_WEIGHTS, z0_outcome=0.0, z0_step=0.0)
    assert ours.loss.item() == pytest.approx(theirs, rel=1e-6, abs=1e-7)
    assert_same_gradients(our_gradients, their_gradients)


def test_step_term_with_positive_z0_equals_float64_reference_on_model_outputs(z0_signs):
    models = z0_signs["positive"]
    doubled = tuple(copy.deepcopy(model).double() for model in models)
    _, z0 = our_z0(doubled, SOLUTIONS)
    assert z0.clamped.item() > 0.01
    pairs = [(prompt, steps) for prompt, steps, _, _ in SOLUTIONS]
    with torch.no_grad():
        sums, ref = (our_step_sums(model, pairs).numpy() for model in doubled)
    labels = np.array([(*labels, *[-2] * (3 - len(labels))) for _, _, labels, _ in SOLUTIONS], dtype=np.int8)
    expected = reference_step_kto_loss(
        sums,
        ref,
        step_labels_BH=labels,
        outcome_labels_B=np.array([outcome for *_, outcome in SOLUTIONS], dtype=np.int8),
        z0_outcome=0.0,
        z0_step=z0.clamped.item(),
        weights=STEP_WEIGHTS,
    )
    ours, _ = our_loss(doubled, SOLUTIONS, STEP_WEIGHTS, z0_outcome=0.0, z0_step=z0.clamped)
    # parts of the model (norms, rotations) stay in float32, with other kernels where a gradient is asked for
    assert ours.loss.item() == pytest.approx(expected.loss, rel=1e-6)
    single, _ = our_loss(models, SOLUTIONS, STEP_WEIGHTS, z0_outcome=0.0, z0_step=z0.clamped.float())
    assert single.loss.item() == pytest.approx(expected.loss, rel=1e-5)


def test_parameter_gradients_do_not_depend_on_padding_and_row_order(models):
    both = StepKTOWeights(beta=0.3, step_beta=0.3)
    plain, plain_gradients = our_loss(models, SOLUTIONS, both, z0_outcome=0.4, z0_step=0.1)
    other, other_gradients = our_loss(models, SOLUTIONS[::-1], both, z0_outcome=0.4, z0_step=0.1, padding=7)
    torch.testing.assert_close(other.loss, plain.loss, rtol=1e-5, atol=0)
    assert_same_gradients(other_gradients, plain_gradients)


def test_one_forward_equals_a_forward_per_step(models):
    prompt, steps, *_ = SOLUTIONS[0]
    with torch.no_grad():
        together = our_step_sums(models[0], [(prompt, steps)])
        apart = [
            our_step_sums(models[0], [(prompt + "".join(steps[:h]), (step,))], num_steps=1).item()
            for h, step in enumerate(steps)
        ]
    np.testing.assert_allclose(together[0].numpy(), apart, rtol=1e-5)
