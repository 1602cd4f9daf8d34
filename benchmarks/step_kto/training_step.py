"""Time of a training step beside TRL's KTOTrainer: same model, rows, order, pairs and padding, one configuration.

uv run python benchmarks/step_kto/training_step.py --output /tmp/training_step.json
uv run python benchmarks/step_kto/training_step.py --preset gpu --output /tmp/training_step_gpu.json

Each measurement is a process of its own, so that peaks of memory are its own; the trainers take turns. A step's time is
that from the end of the step before to its end, so that everything a trainer does is in it; the first steps are left
out. Tokens are those of prompts and answers, without padding.
"""

import argparse
import copy
import gc
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from step_kto._config import StepKTOConfig
from step_kto._prepare import prepare_rows
from step_kto._toy_tokenizer import make_toy_tokenizer
from step_kto._trainer import StepKTOTrainer
from twllm_runs.statistics import mean_estimate
from twllm_types import EstimateUnit, StepwiseSolution

KINDS = ("ours", "ours-no-step-term", "trl", "trl-precomputed")
PRESETS = {
    # 2 M parameters of body and a head of 8,192 words: what a CPU does in seconds
    "cpu": {"hidden": 192, "layers": 4, "vocabulary": 8192, "prompt": 96, "answer": 160, "batch": 4, "steps": 12},
    # about 130 M parameters in bfloat16
    "gpu": {"hidden": 768, "layers": 12, "vocabulary": 32768, "prompt": 256, "answer": 768, "batch": 16, "steps": 40},
}
WARM_UP = 3


class Stopwatch(TrainerCallback):
    """Seconds between the ends of consecutive steps."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.processor_ends: list[float] = []

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Note the time, when the device has done its work."""
        del args, state, control, kwargs
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        self.processor_ends.append(time.process_time())


def main() -> None:
    """Measure by turns and report, or measure one kind where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing on both sides")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--measure", choices=KINDS, default=None, help="used by the command itself")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.measure is not None:
        options.output.write_text(json.dumps(measure(options)), encoding="utf-8")
        return
    results: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for repeat in range(options.repeats):
        # each repeat begins with another, so that none always runs on the warmest machine
        for kind in (*KINDS[repeat % len(KINDS) :], *KINDS[: repeat % len(KINDS)]):
            results[kind].append(measure_apart(kind, options))
            print(f"{kind}: {results[kind][-1]}", flush=True)
    options.output.write_text(json.dumps({"options": str(vars(options)), "results": results}), encoding="utf-8")
    report(results)


def measure_apart(kind: str, options: argparse.Namespace) -> dict[str, float]:
    """Measure one kind in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "result.json"
        command = [sys.executable, __file__, "--measure", kind, "--output", str(output), "--preset", options.preset]
        command += ["--threads", str(options.threads), *(["--checkpointing"] if options.checkpointing else [])]
        environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "TQDM_DISABLE": "1"}
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        return json.loads(output.read_text(encoding="utf-8"))


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Train once; return tokens per second of a step, seconds of the whole run, and the peak of memory in MiB."""
    shape = PRESETS[options.preset]
    rows = make_rows(shape)
    model, watch = make_model(shape), Stopwatch()
    gc.collect()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        make = our_trainer if options.measure.startswith("ours") else trl_trainer
        trainer = make(options, shape, rows, model, watch, folder)
        constructed = time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        trainer.train()
        finished = time.perf_counter()
    tokenizer, batch = make_toy_tokenizer(), shape["batch"]
    lengths = [len(tokenizer(row.prompt + "".join(row.steps)).input_ids) + 1 for row in rows]
    tokens = sum(lengths[WARM_UP * batch :])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if torch.cuda.is_available():
        before, peak = 0.0, torch.cuda.max_memory_allocated() / 2**20
    return {
        "tokens_per_second": tokens / (watch.ends[-1] - watch.ends[WARM_UP - 1]),
        "tokens_per_processor_second": tokens / (watch.processor_ends[-1] - watch.processor_ends[WARM_UP - 1]),
        "whole_run_seconds": finished - started,
        "construction_seconds": constructed - started,
        "peak_mib": peak,
        "peak_before_training_mib": before,
    }


def make_rows(shape: dict[str, int]) -> list[StepwiseSolution]:
    """Rows of varied length, about 7 steps each, right and wrong in turn; neighbours have different prompts."""
    # a draw of samples, not a secret
    rng = Random(0)  # noqa: S311
    letters = "0123456789+-*/() "
    rows: list[StepwiseSolution] = []
    for number in range(shape["batch"] * shape["steps"]):
        prompt = "".join(rng.choices(letters, k=rng.randint(shape["prompt"] // 2, shape["prompt"]))) + f"#{number}\n"
        answer = "".join(rng.choices(letters, k=rng.randint(shape["answer"] // 2, shape["answer"])))
        size = max(8, len(answer) // 7)
        steps = tuple(f"{answer[at : at + size]}.\n" for at in range(0, len(answer), size))
        labels = tuple(rng.random() < 0.7 for _ in steps)
        rows.append(StepwiseSolution(prompt=prompt, steps=steps, step_labels=labels, outcome=number % 2 == 0))
    return rows


def make_model(shape: dict[str, int]) -> LlamaForCausalLM:
    """Make the model with fresh weights, the same each time."""
    torch.manual_seed(0)
    tokenizer: Any = make_toy_tokenizer()
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=shape["vocabulary"],
            hidden_size=shape["hidden"],
            intermediate_size=shape["hidden"] * 8 // 3 // 16 * 16,
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["hidden"] // 48 if shape["hidden"] < 768 else 12,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )


def shared(options: argparse.Namespace, shape: dict[str, int], folder: str) -> dict[str, Any]:
    """Give the settings that both sides share."""
    gpu = torch.cuda.is_available()
    return {
        "output_dir": folder,
        "use_cpu": not gpu,
        "bf16": gpu,
        "gradient_checkpointing": options.checkpointing,
        "per_device_train_batch_size": shape["batch"],
        "per_device_eval_batch_size": shape["batch"],
        "num_train_epochs": 1,
        "learning_rate": 1e-5,
        "logging_steps": 10,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "train_sampling_strategy": "sequential",
        "max_length": None,
    }


def our_trainer(
    options: argparse.Namespace,
    shape: dict[str, int],
    rows: list[StepwiseSolution],
    model: LlamaForCausalLM,
    watch: Stopwatch,
    folder: str,
) -> StepKTOTrainer:
    """Make ours, with the reference computed before as by default."""
    step_weight = 0.0 if options.measure == "ours-no-step-term" else 1.0
    config = StepKTOConfig(**shared(options, shape, folder), step_weight=step_weight)
    prepared = prepare_rows(rows, tokenizer=make_toy_tokenizer(), config=config, name="train", model_max_tokens=None)
    # the partners that TRL takes, so that padding is the same too: the answer of the row before, within the batch
    batch = shape["batch"]
    partners = tuple(row - row % batch + (row - 1) % batch for row in range(len(prepared)))
    prepared = replace(prepared, partners=(partners,), content_hash="partners of TRL")
    return StepKTOTrainer(
        model, args=config, train_dataset=prepared, processing_class=make_toy_tokenizer(), callbacks=[watch]
    )


def trl_trainer(
    options: argparse.Namespace,
    shape: dict[str, int],
    rows: list[StepwiseSolution],
    model: LlamaForCausalLM,
    watch: Stopwatch,
    folder: str,
) -> Trainer:
    """Make TRL's, with the reference beside the policy or computed before."""
    from datasets import Dataset
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer

    precompute = options.measure == "trl-precomputed"
    config = KTOConfig(**shared(options, shape, folder), precompute_ref_log_probs=precompute)
    given = [{"prompt": row.prompt, "completion": "".join(row.steps), "label": row.outcome} for row in rows]
    return KTOTrainer(
        model=model,
        ref_model=None if precompute else copy.deepcopy(model).eval(),
        args=config,
        train_dataset=Dataset.from_list(given),
        processing_class=make_toy_tokenizer(),
        callbacks=[watch],
    )


def report(results: dict[str, list[dict[str, float]]]) -> None:
    """Print speeds, peaks and ratios."""
    for kind, measured in results.items():
        speeds = sorted(result["tokens_per_second"] for result in measured)
        peaks = max(result["peak_mib"] for result in measured)
        print(f"{kind}: {speeds[len(speeds) // 2]:,.0f} tokens/s (median), peak {peaks:,.0f} MiB")
    # processor time too: other work on the machine moves it less, and on a CPU the step does nothing but compute
    for field in ("tokens_per_second", "tokens_per_processor_second"):
        compare(f"{field}, ours / TRL default", results["ours"], results["trl"], field)
        compare(f"{field}, ours / TRL precomputed", results["ours"], results["trl-precomputed"], field)
        compare(f"{field}, step term on / off", results["ours"], results["ours-no-step-term"], field)
    compare("whole run, TRL default / ours (seconds)", results["trl"], results["ours"], "whole_run_seconds")
    compare("whole run, TRL precomputed / ours", results["trl-precomputed"], results["ours"], "whole_run_seconds")


def compare(name: str, left: list[dict[str, float]], right: list[dict[str, float]], field: str) -> None:
    """Geometric mean of the repeats' ratios with a Student interval of its logarithm."""
    logs = [math.log(a[field] / b[field]) for a, b in zip(left, right, strict=True)]
    estimate = mean_estimate(logs, unit=EstimateUnit.RATIO)
    low, high = (math.exp(value) for value in (estimate.ci_low or math.nan, estimate.ci_high or math.nan))
    print(f"{name}: {math.exp(estimate.mean or math.nan):.3f} [{low:.3f}, {high:.3f}], {len(logs)} repeats")


if __name__ == "__main__":
    main()
