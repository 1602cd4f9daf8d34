"""Train the small model of the arithmetic task from scratch and measure where it stands.

uv run python benchmarks/step_kto/toy_sft.py --seed 1 --output /tmp/toy
"""

import argparse
import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, cast

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from step_kto._answer_extraction import extract_answer
from step_kto._arithmetic import ArithmeticProblem, ArithmeticSettings, Split, make_arithmetic_problems
from step_kto._arithmetic_truth import arithmetic_step_truth
from step_kto._judges_arithmetic import ArithmeticJudge
from step_kto._steps import segment_steps
from step_kto._toy_model import make_toy_model
from step_kto._toy_tokenizer import make_toy_tokenizer
from twllm_runs.statistics import format_estimate, proportion_estimate

MAX_NEW_TOKENS = 120


def small_numbers() -> ArithmeticSettings:
    """Problems that 600 updates half teach; the package's defaults take several times as many."""
    return ArithmeticSettings(max_operand=10, max_factor=4, max_value=50)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSettings:
    """How a start is trained.

    Attributes:
        seed: of the weights, the problems and their order.
        updates: of Muon and AdamW.
        batch: solutions of an update.
        learning_rate: highest of Muon; AdamW has a fifth of it.
        num_problems: of the training split to draw batches from.
        problems: how hard.
        max_cpu_seconds: give up after this much processor time.
    """

    seed: int = 1
    updates: int = 600
    batch: int = 16
    learning_rate: float = 2e-2
    num_problems: int = 10_000
    problems: ArithmeticSettings = field(default_factory=small_numbers)
    max_cpu_seconds: float = 600.0


def main() -> None:
    """Train, sample, report."""
    defaults = StartSettings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=defaults.updates)
    parser.add_argument("--max-cpu-seconds", type=float, default=defaults.max_cpu_seconds)
    parser.add_argument("--batch", type=int, default=defaults.batch)
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    parser.add_argument("--train-problems", type=int, default=defaults.num_problems)
    parser.add_argument("--test-problems", type=int, default=500)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON of ArithmeticSettings that differ")
    parser.add_argument("--output", type=Path, required=True, help="folder for the weights")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = StartSettings(
        seed=options.seed,
        updates=options.updates,
        batch=options.batch,
        learning_rate=options.learning_rate,
        num_problems=options.train_problems,
        problems=replace(defaults.problems, **options.settings),
        max_cpu_seconds=options.max_cpu_seconds,
    )
    tokenizer, model = train_start(settings, options.output)
    test = make_arithmetic_problems(options.test_problems, split=Split.TEST, seed=0, settings=settings.problems)
    for name, temperature in (("greedy", 0.0), ("temperature 1", 1.0)):
        started = time.perf_counter()
        solutions = sample(model, tokenizer, [p.prompt for p in test], temperature=temperature, seed=options.seed)
        print(f"{name} ({time.perf_counter() - started:.0f} s)")
        report(test, solutions)


def train_start(settings: StartSettings, folder: Path) -> tuple[PreTrainedTokenizerFast, LlamaForCausalLM]:
    """Train a start from scratch and write it."""
    train = make_arithmetic_problems(
        settings.num_problems, split=Split.TRAIN, seed=settings.seed, settings=settings.problems
    )
    tokenizer, model = make_toy_tokenizer(), make_toy_model(settings.seed)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} tokens, {settings}")
    num_updates, seconds = fit(model, [encode(problem, tokenizer) for problem in train], settings)
    print(f"{num_updates} updates of {settings.batch} rows in {seconds:.0f} s of processor time")
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return tokenizer, model


def encode(problem: ArithmeticProblem, tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], int]:
    """Token ids with the end of sequence, and the length of the prompt."""
    prompt = tokenizer(problem.prompt).input_ids
    return prompt + tokenizer("".join(problem.steps)).input_ids + [tokenizer.eos_token_id], len(prompt)


def fit(model: torch.nn.Module, rows: list[tuple[list[int], int]], options: StartSettings) -> tuple[int, float]:
    """Muon and AdamW with warm-up and linear decay; loss on the solution only; returns updates and processor seconds.

    Processor time, so that other work on the machine does not change the figure. Batches hold rows of like length.
    """
    optimizers = make_optimizers(model, options)
    # a draw to be repeated, not a secret
    rng, started = Random(options.seed), time.process_time()  # noqa: S311
    batches: list[list[tuple[list[int], int]]] = []
    for update in range(options.updates):
        elapsed = time.process_time() - started
        if elapsed > options.max_cpu_seconds:
            return update, elapsed
        share = min(1.0, (update + 1) / 30, 3 * (1 - update / options.updates))
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["highest_lr"] * share
        if not batches:
            drawn = sorted(rng.sample(rows, 16 * options.batch), key=lambda row: len(row[0]))
            batches = [drawn[at : at + options.batch] for at in range(0, len(drawn), options.batch)]
            rng.shuffle(batches)
        ids, labels, mask = pad(batches.pop())
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
        loss = cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        if (update + 1) % 100 == 0:
            print(f"  update {update + 1}, {elapsed:.0f} s, loss {loss.item():.4f}", flush=True)
    return options.updates, time.process_time() - started


def make_optimizers(model: torch.nn.Module, options: StartSettings) -> list[torch.optim.Optimizer]:
    """Muon (Jordan 2024) for the matrices inside the layers, AdamW for embeddings and norms."""
    inner = {name: weight for name, weight in model.named_parameters() if weight.ndim == 2 and ".layers." in name}
    outer = [weight for name, weight in model.named_parameters() if name not in inner]
    muon = torch.optim.Muon(list(inner.values()), lr=options.learning_rate, weight_decay=0.01)
    adam = torch.optim.AdamW(outer, lr=options.learning_rate / 5, weight_decay=0.01, betas=(0.9, 0.98))
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["highest_lr"] = group["lr"]
    return [muon, adam]


def pad(batch: list[tuple[list[int], int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pad on the right; prompt and padding carry the label -100."""
    width = max(len(ids) for ids, _ in batch)
    ids = torch.tensor([row + [0] * (width - len(row)) for row, _ in batch])
    labels = torch.tensor([[-100] * n + row[n:] + [-100] * (width - len(row)) for row, n in batch])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row, _ in batch])
    return ids, labels, mask


def sample(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[str], *, temperature: float, seed: int
) -> list[str]:
    """One solution for each prompt."""
    torch.manual_seed(seed)
    texts: list[str] = []
    for at in range(0, len(prompts), 125):
        batch = tokenizer(prompts[at : at + 125], return_tensors="pt", padding=True, return_token_type_ids=False)
        chosen = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        with torch.no_grad():
            out = cast("Any", model).generate(**batch, max_new_tokens=MAX_NEW_TOKENS, **chosen)
        texts += tokenizer.batch_decode(out[:, batch.input_ids.shape[1] :], skip_special_tokens=True)
    return texts


def report(problems: list[ArithmeticProblem], solutions: list[str]) -> None:
    """Print accuracy, wrong steps, and wrong steps in solutions whose answer is right."""
    outcomes, steps, flawed, only_program = [], [], [], 0
    judge = ArithmeticJudge()
    for problem, solution in zip(problems, solutions, strict=True):
        answer = extract_answer(solution)
        outcomes.append(answer is not None and answer.text == problem.answer)
        pieces = segment_steps(solution if solution.strip() else "nothing", by="auto")
        truth = arithmetic_step_truth(problem.expression, pieces)
        steps += truth
        flawed.append(False in truth)
        only_program += [label is not False for label in judge.judge(problem.prompt, "", pieces)] != [
            label is not False for label in truth
        ]
    right = [bad for bad, good in zip(flawed, outcomes, strict=True) if good]
    print(f"  accuracy {format_estimate(proportion_estimate(sum(outcomes), len(outcomes)))}")
    num_known = sum(label is not None for label in steps)
    share_wrong = format_estimate(proportion_estimate(steps.count(False), num_known))
    print(f"  wrong steps {share_wrong}; {len(steps) - num_known} say nothing")
    print(f"  answer right, a step wrong: {sum(right)} of {len(right)}; ArithmeticJudge differs in {only_program}")
    for flag, problem, solution in list(zip(flawed, problems, solutions, strict=True))[:4]:
        print("  " + repr(problem.prompt + solution), "has a wrong step" if flag else "")


if __name__ == "__main__":
    main()
