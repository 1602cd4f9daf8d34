"""Option scoring: questions per second of the transformers engine against lm-eval's `hf` backend.

The same model (a Llama of about 10 million random weights, with a tokenizer trained on the exam text) and the same
prompts, in one process, by turns. Each pass begins with texts and ends with a log-probability per option.

Usage: TWLLM_DATA=... uv run python benchmarks/tmlu_bench/option_scoring.py [--quick]
"""

import argparse
import contextlib
import datetime as dt
import io
import json
import math
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# Read by the tokenizers library when it is first used: the passes share one process and never fork.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

HERE = Path(__file__).parent
# The first of subjects.json that have enough questions.
SUBJECTS = ("chinese_cuisine_vegetarian", "basic_medicine", "architectural_painting", "cap_chinese")
NUM_SHOTS, NUM_QUESTIONS = 5, 50
VOCABULARY = 8192
BATCH_SIZES: tuple[int | str, ...] = (1, 2, 4, 8, 16, "auto")
AIM_RATIO, AIM_SAME, AIM_GAP = 4.0, 0.995, 1e-3
OURS, PEER = "twllm-engines", "lm-eval"

Scores = list[list[float]]
Scorer = Callable[[Sequence["Item"]], Scores]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question as lm-eval's `tmlu` task would put it (brief tmlu.md, 4).

    Attributes:
        context: description, five answered questions, the question.
        options: " A", " B", ...
    """

    context: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Times and scores of one pass over all questions; seconds of the wall clock and of the processor."""

    wall: float
    processor: float
    scores: Scores


def letters(row: dict[str, Any]) -> str:
    """Return the letters of a row's options."""
    return "".join(letter for letter in "ABCDEF" if row.get(letter))


def question_text(row: dict[str, Any]) -> str:
    """Return stem and options, up to where the letter follows."""
    options = "\n".join(f"{letter}. {row[letter]}" for letter in letters(row))
    return f"{row['question'].strip()}\n{options}\nAnswer:"


def load_rows(root: Path, subject: str) -> list[dict[str, Any]]:
    """Return all questions of a subject."""
    lines = (root / "subjects" / subject / "test.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def load_items(root: Path, *, num_questions: int) -> list[Item]:
    """Return the questions of four subjects; the first five rows of each are its shots and are not scored."""
    names = {entry["id"]: entry["name"] for entry in json.loads((root / "subjects.json").read_text(encoding="utf-8"))}
    items: list[Item] = []
    for subject in SUBJECTS:
        rows = load_rows(root, subject)
        shots = "".join(f"{question_text(row)} {row['answer']}\n\n" for row in rows[:NUM_SHOTS])
        head = f"以下為{names[subject]}的單選題，請提供正確答案的選項。\n\n{shots}"
        scored = rows[NUM_SHOTS : NUM_SHOTS + num_questions]
        items += [
            Item(context=head + question_text(row), options=tuple(f" {letter}" for letter in letters(row)))
            for row in scored
        ]
    return items


def build_model(folder: Path, items: Sequence[Item]) -> dict[str, float]:
    """Write a random Llama and a tokenizer trained on the exam text; return figures about them.

    The tokenizer sees each question once: trained on the prompts, it would see the shots with every question and make
    them shorter than any tokenizer does.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [question_text(row) for subject in SUBJECTS for row in load_rows(data_root(), subject)]
    tokenizer.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>").save_pretrained(folder)  # noqa: S106
    torch.manual_seed(20)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=8192,
        # Wide enough that options differ clearly, as those of a trained model do.
        initializer_range=0.08,
        eos_token_id=0,
        pad_token_id=0,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    lengths = [len(ids.ids) for ids in tokenizer.encode_batch([item.context for item in items])]
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "mean_tokens": sum(lengths) / len(lengths),
        "max_tokens": max(lengths),
    }


def load_ours(folder: Path) -> Scorer:
    """Return the scorer of twllm-engines, with its default settings."""
    from twllm_engines import TransformersSettings
    from twllm_engines._transformers import TransformersEngine
    from twllm_types import Likelihood, LikelihoodRequest

    engine = TransformersEngine(TransformersSettings(model=str(folder), device="cpu"))

    def score(items: Sequence[Item]) -> Scores:
        requests = [
            LikelihoodRequest(context=item.context, continuation=option) for item in items for option in item.options
        ]
        answers = iter(engine.loglikelihood(requests))
        scores: Scores = []
        for item in items:
            own = [next(answers) for _ in item.options]
            scores.append([answer.logprob for answer in own if isinstance(answer, Likelihood)])
        return scores

    return score


def load_peer(folder: Path) -> Callable[[int | str], Scorer]:
    """Return lm-eval's `hf` backend as a scorer for any batch size; its own progress bars are off."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    # its signature is hidden from type checkers by its base class
    backend: Any = HFLM

    with contextlib.redirect_stdout(io.StringIO()):
        peer = backend(pretrained=str(folder), device="cpu", dtype="float32", batch_size=1)

    def with_batch(batch_size: int | str) -> Scorer:
        def score(items: Sequence[Item]) -> Scores:
            peer.batch_size_per_gpu = batch_size  # as its constructor would set it
            requests = [
                Instance(request_type="loglikelihood", doc={}, arguments=(item.context, option), idx=index)
                for item in items
                for index, option in enumerate(item.options)
            ]
            with contextlib.redirect_stdout(io.StringIO()):
                answers = iter(peer.loglikelihood(requests, disable_tqdm=True))
            return [[next(answers)[0] for _ in item.options] for item in items]

        return score

    return with_batch


def measure(score: Scorer, items: Sequence[Item]) -> Pass:
    """Time one pass."""
    wall, processor = time.perf_counter(), time.process_time()
    scores = score(items)
    return Pass(wall=time.perf_counter() - wall, processor=time.process_time() - processor, scores=scores)


def peak_megabytes() -> float:
    """Return the largest resident memory of this program so far, in 10^6 bytes.

    Linux keeps `ru_maxrss` over a fork and exec, so that a child would report its parent's.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def run_child(args: argparse.Namespace) -> None:
    """Score once in this process and print its memory before and at its peak, in 10^6 bytes."""
    import torch

    torch.set_num_threads(args.threads)
    items = load_items(data_root(), num_questions=args.questions)
    folder = Path(args.model)
    if args.child == OURS:
        score = load_ours(folder)
    else:
        score = load_peer(folder)(int(args.batch) if args.batch.isdigit() else args.batch)
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    before = pages * resource.getpagesize() / 1e6
    score(items)
    sys.stdout.write(json.dumps({"before": before, "peak": peak_megabytes()}) + "\n")


def child_memory(args: argparse.Namespace, folder: Path, *, which: str, batch: int | str = 1) -> dict[str, float]:
    """Return the memory that one pass takes in a process of its own."""
    command = [sys.executable, __file__, "--child", which, "--model", str(folder), "--batch", str(batch)]
    command += ["--questions", str(args.questions), "--threads", str(args.threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def data_root() -> Path:
    """Return the folder of the exam, or stop with the reason."""
    root = Path(os.environ.get("TWLLM_DATA", "")) / "tmmlu"
    if not (root / "subjects.json").is_file():
        sys.exit("shared data not found: tmmlu/subjects.json; set TWLLM_DATA")
    return root


def choose_batch(peer: Callable[[int | str], Scorer], items: Sequence[Item]) -> dict[int | str, float]:
    """Return the peer's processor seconds by batch size, over every fourth question."""
    sample = items[::4]
    peer(1)(sample[:4])
    return {size: measure(peer(size), sample).processor for size in BATCH_SIZES}


def compare(ours: Scores, peer: Scores) -> tuple[float, float]:
    """Return the share of questions with the same best option, and the largest difference of log-probabilities."""
    pairs = list(zip(ours, peer, strict=True))
    same = sum(left.index(max(left)) == right.index(max(right)) for left, right in pairs) / len(pairs)
    gap = max(abs(a - b) for left, right in pairs for a, b in zip(left, right, strict=True))
    return same, gap


def ratio_text(ours: Sequence[float], peer: Sequence[float]) -> str:
    """Return the ratio of times (geometric mean over repetitions) with a Student interval of its logarithm."""
    from twllm_runs.statistics import mean_estimate
    from twllm_types import EstimateUnit

    logs = [math.log(theirs / own) for own, theirs in zip(ours, peer, strict=True)]
    estimate = mean_estimate(logs, unit=EstimateUnit.RATIO)
    if estimate.mean is None:
        return "not measured"
    middle = f"{math.exp(estimate.mean):.1f}"
    if estimate.ci_low is None or estimate.ci_high is None:
        return f"{middle} (one repetition, no interval)"
    return f"{middle} [{math.exp(estimate.ci_low):.1f}, {math.exp(estimate.ci_high):.1f}]"


def main() -> None:
    """Measure and write option_scoring.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="12 questions a subject, 2 repetitions, no report file")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--questions", type=int, default=NUM_QUESTIONS, help="a subject")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", choices=(OURS, PEER), help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--batch", default="1", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run_child(args)
        return
    if args.quick:
        args.questions, args.repetitions = 12, 2
    with TemporaryDirectory() as folder:
        report = run(args, Path(folder))
    sys.stdout.write(report)
    if not args.quick:
        (HERE / "option_scoring.md").write_text(report, encoding="utf-8")


def run(args: argparse.Namespace, folder: Path) -> str:
    """Return the report."""
    import torch

    torch.set_num_threads(args.threads)
    items = load_items(data_root(), num_questions=args.questions)
    facts = build_model(folder, items)
    ours, peer = load_ours(folder), load_peer(folder)
    by_batch = choose_batch(peer, items)
    best = min(by_batch, key=by_batch.__getitem__)
    tasks: dict[str, Scorer] = {OURS: ours, PEER: peer(best)}
    passes: dict[str, list[Pass]] = {name: [] for name in tasks}
    ours(items[:8])
    order = random.Random(20)  # noqa: S311
    for _ in range(args.repetitions):
        for name in order.sample(list(tasks), len(tasks)):
            passes[name].append(measure(tasks[name], items))
    memory = {
        OURS: child_memory(args, folder, which=OURS),
        f"{PEER}, batch size {best}": child_memory(args, folder, which=PEER, batch=best),
        f"{PEER}, batch size 1": child_memory(args, folder, which=PEER, batch=1),
    }
    return render(args, items, facts, by_batch, passes, memory)


def render(
    args: argparse.Namespace,
    items: Sequence[Item],
    facts: dict[str, float],
    by_batch: dict[int | str, float],
    passes: dict[str, list[Pass]],
    memory: dict[str, dict[str, float]],
) -> str:
    """Write the report."""
    from twllm_runs import hardware

    same, gap = compare(passes[OURS][0].scores, passes[PEER][0].scores)
    best = min(by_batch, key=by_batch.__getitem__)
    machine = ", ".join(f"{key} {value}" for key, value in hardware().items())
    rows = [
        f"| {name} | {len(items) / min(one.wall for one in found):.1f} | "
        f"{len(items) / (sum(one.wall for one in found) / len(found)):.1f} | "
        f"{len(items) / (sum(one.processor for one in found) / len(found)):.1f} |"
        for name, found in passes.items()
    ]
    wall = ratio_text([one.wall for one in passes[OURS]], [one.wall for one in passes[PEER]])
    processor = ratio_text([one.processor for one in passes[OURS]], [one.processor for one in passes[PEER]])
    engines = ", ".join(f"{name} {version(name)}" for name in ("twllm-engines", "lm-eval", "torch", "transformers"))
    model = (
        f"Llama, {facts['parameters'] / 1e6:.1f} million random weights, float32, vocabulary {VOCABULARY} trained on "
        f"the exam; a prompt has {facts['mean_tokens']:.0f} tokens on average, {facts['max_tokens']:.0f} at most"
    )
    command = "TWLLM_DATA=... uv run python benchmarks/tmlu_bench/option_scoring.py"
    shots = f"{NUM_SHOTS} shots: the first rows of a subject, which are not scored"
    intervals = "Student, 95 %, over the logarithms of the ratios of one turn"
    lines = [
        "# Option scoring: the transformers engine against lm-eval",
        "",
        "Measured on the subset named in this report.",
        "",
        f"- Command: `{command}`, {dt.datetime.now(tz=dt.UTC).date()}",
        f"- Hardware: {machine}; torch uses {args.threads} of the cores",
        f"- {engines}",
        f"- Data: tmmlu ({', '.join(SUBJECTS)}), {len(items)} questions, {shots}",
        f"- Model: {model}",
        f"- Both in one process, {args.repetitions} repetitions by turns; texts in, log-probabilities out",
        f"- Intervals: {intervals}",
        "",
        "| | questions/s, fastest pass | questions/s, mean | questions per processor second |",
        "|---|---|---|---|",
        *rows,
        "",
        f"- Ratio of questions per second, wall clock: {wall} (aim: at least {AIM_RATIO:g})",
        f"- Ratio by processor time: {processor}",
        f"- Same letter: {same:.1%} of the questions (aim: at least {AIM_SAME:.1%})",
        f"- Largest difference of a log-probability: {gap:.1e} (aim: at most {AIM_GAP:g})",
        "",
        f"lm-eval runs with its best batch size, {best}; processor seconds for a quarter of the questions: "
        + ", ".join(f"{size}: {seconds:.1f}" for size, seconds in by_batch.items())
        + ".",
        "",
        "## Memory",
        "",
        "One pass in a process of its own; 10^6 bytes of resident memory.",
        "",
        "| | after loading | peak | the pass itself |",
        "|---|---|---|---|",
        *(
            f"| {name} | {one['before']:,.0f} | {one['peak']:,.0f} | {one['peak'] - one['before']:,.0f} |"
            for name, one in memory.items()
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
