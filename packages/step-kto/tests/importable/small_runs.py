"""Small training runs on the arithmetic of one line, shared by the tests of the trainer."""

from pathlib import Path
from typing import Any

import torch

from step_kto._config import StepKTOConfig
from step_kto._toy_model import make_toy_model, toy_model_config
from step_kto._toy_tokenizer import make_toy_tokenizer
from step_kto._trainer import StepKTOTrainer
from twllm_types import StepwiseSolution

# models this small only lose by threads, all the more where tests run side by side
torch.set_num_threads(1)


def solutions(num_problems: int = 8, samples: int = 2) -> list[StepwiseSolution]:
    """Samples of one problem follow each other, as a sampler writes them; every third has a wrong first step."""
    rows: list[StepwiseSolution] = []
    for number in range(num_problems):
        left, right = number + 1, 2 * number + 3
        for sample in range(samples):
            good = (number + sample) % 3 != 0
            product = 2 * right if good else 2 * right + 1
            steps = [f"## Step 1: {right} * 2 = {product}.\n", f"## Step 2: {left} + {product} = {left + product}.\n"]
            labels: list[bool | None] = [good, True if number % 2 else None]
            if sample % 2:
                steps.append(f"\\boxed{{{left + product}}}\n")
                labels.append(good)
            rows.append(
                StepwiseSolution(
                    prompt=f"Compute {left} + {right} * 2?\n",
                    steps=tuple(steps),
                    step_labels=tuple(labels),
                    outcome=good if number != 3 else None,
                )
            )
    return rows


def small_model(seed: int = 1) -> Any:
    return make_toy_model(seed, toy_model_config(hidden_size=32, num_layers=2, num_heads=4))


def moved(model: Any, by: float = 0.05, seed: int = 7) -> Any:
    """A model some way from where it was, so that log-ratios are not 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=generator))
    return model


def config(output: Path, **changes: Any) -> StepKTOConfig:
    settings: dict[str, Any] = {
        "output_dir": str(output),
        "use_cpu": True,
        "report_to": [],
        "disable_tqdm": True,
        "max_steps": 4,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "save_strategy": "no",
        "per_device_train_batch_size": 4,
        **changes,
    }
    return StepKTOConfig(**settings)


def trainer(output: Path, *, rows: Any = None, model: Any = None, **changes: Any) -> Any:
    parts = {name: changes.pop(name) for name in ("ref_model", "eval_dataset", "peft_config") if name in changes}
    return StepKTOTrainer(
        small_model() if model is None else model,
        args=config(output, **changes),
        train_dataset=solutions() if rows is None else rows,
        processing_class=make_toy_tokenizer(),
        **parts,
    )


def weights(run: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in run.model.state_dict().items()}


def largest_difference(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> float:
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)
