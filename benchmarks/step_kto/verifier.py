"""The answer verifier: right on public pairs, on graded outputs, and as fast as its cores.

TWLLM_DATA=... uv run python benchmarks/step_kto/verifier.py [pairs] [graded] [speed]
"""

import argparse
import gzip
import json
import logging
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from math_verify import parse, verify

from step_kto._answers import AnswerPolicy
from step_kto._verify_pool import AnswerVerifier
from twllm_runs.statistics import format_estimate, proportion_estimate

HANG = ("$5$", r"$10^{10^{10}} + 1$")
NUM_ANSWERS, EVERY = 10_000, 500


def main() -> None:
    """Run the parts named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["pairs", "graded", "speed"])
    parser.add_argument("--limit", type=float, default=2.0, help="seconds for one answer in the speed part")
    parser.add_argument("--plain-sample", type=int, default=2_000, help="answers on which math-verify is timed")
    options = parser.parse_args()
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    data = Path(os.environ["TWLLM_DATA"]) / "math"
    if "pairs" in options.parts:
        report_pairs(read(data / "answer_equivalence/unit_test_pairs.jsonl"))
    if "graded" in options.parts:
        report_graded(read(data / "graded_outputs/gsm8k_openai_model_solutions.jsonl.gz"))
    if "speed" in options.parts:
        rows = read(data / "MATH/math_test_5000_answers.jsonl")
        report_speed([str(row["answer"]) for row in rows], options)


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a file."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def plain(gold: str, prediction: str) -> bool:
    """What math-verify says, as its README uses it."""
    return verify(parse(gold), parse(prediction))


def report_pairs(rows: list[dict[str, Any]]) -> None:
    """Accuracy on labelled pairs, by kind, beside math-verify."""
    rows = [row for row in rows if row["label"] is not None]
    pairs = [(row["gold"], row["pred"]) for row in rows]
    for percent in ("ratio", "either"):
        with AnswerVerifier(timeout_seconds=30, policy=AnswerPolicy(percent=percent)) as verifier:
            ours = [verdict.label for verdict in verifier.verify_many(pairs)]
        show_pairs(f"step-kto, percent={percent}", rows, ours)
    show_pairs("math-verify", rows, [plain(*pair) for pair in pairs])


def show_pairs(name: str, rows: list[dict[str, Any]], labels: list[bool | None]) -> None:
    """One line for each kind of pair."""
    for audit in ("clear", "convention"):
        chosen = [(bool(row["label"]), label) for row, label in zip(rows, labels, strict=True) if row["audit"] == audit]
        right = sum(truth == label for truth, label in chosen)
        unknown = sum(label is None for _, label in chosen)
        accepted = sum(label is True and not truth for truth, label in chosen)
        estimate = format_estimate(proportion_estimate(right, len(chosen)))
        print(f"{name}: {audit} {right} of {len(chosen)}, {estimate}; {unknown} unknown, {accepted} wrongly accepted")


def report_graded(rows: list[dict[str, Any]]) -> None:
    """Labels of graded outputs, from the whole response."""
    started = time.perf_counter()
    with AnswerVerifier() as verifier:
        verdicts = verifier.verify_many([(row["gold"], row["response"]) for row in rows])
    seconds = time.perf_counter() - started
    agree = Counter(verdict.label == bool(row["label"]) for row, verdict in zip(rows, verdicts, strict=True))
    reasons = Counter(verdict.reason.value for verdict in verdicts)
    print(f"graded outputs: {agree[True]} of {len(rows)} labels reproduced in {seconds:.1f} s; {dict(reasons)}")


def report_speed(answers: list[str], options: argparse.Namespace) -> None:
    """10,000 answers with a hang every 500, against math-verify in one process times the cores."""
    shifted = [*answers[1:], answers[0]]
    half = NUM_ANSWERS // 2
    golds = [f"${answer}$" for answer in (answers[:half] + answers[:half])]
    predictions = [f"So it is $\\boxed{{{answer}}}$." for answer in (answers[:half] + shifted[:half])]
    clean = list(zip(golds, predictions, strict=True))
    hung = [HANG if at % EVERY == EVERY - 1 else pair for at, pair in enumerate(clean)]
    num_cores = len(os.sched_getaffinity(0))
    sample = clean[:: NUM_ANSWERS // options.plain_sample]
    started = time.perf_counter()
    for pair in sample:
        plain(*pair)
    rate = len(sample) / (time.perf_counter() - started)
    with AnswerVerifier(timeout_seconds=options.limit) as verifier:
        verifier.verify("$x + 1$", "$1 + x$")
        started = time.perf_counter()
        verdicts = verifier.verify_many(hung)
        seconds = time.perf_counter() - started
    num_hangs = NUM_ANSWERS // EVERY
    net = seconds - options.limit * num_hangs / num_cores
    late = [at for at, verdict in enumerate(verdicts) if verdict.reason == "timeout"]
    wanted = [at for at in range(NUM_ANSWERS) if at % EVERY == EVERY - 1]
    right = sum(verdict.label is True for at, verdict in enumerate(verdicts[:half]) if at % EVERY != EVERY - 1)
    print(f"math-verify, one process: {rate:.0f} answers/s over {len(sample)}")
    print(f"verifier, {num_cores} cores: {seconds:.1f} s, {net:.1f} s without hangs: {NUM_ANSWERS / net:.0f} answers/s")
    print(f"ratio to math-verify times the cores: {NUM_ANSWERS / net / (rate * num_cores):.2f}")
    found = set(wanted) <= set(late)
    print(f"verdicts {len(verdicts)}; injected hangs found: {found}; other time-outs {len(late) - num_hangs}")
    print(f"same answer accepted: {right} of {half - num_hangs // 2}; {Counter(v.reason.value for v in verdicts)}")


if __name__ == "__main__":
    main()
