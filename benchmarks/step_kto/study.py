"""The study on the arithmetic task: Step-KTO beside its start, RFT, KTO and DPO, and what its settings matter.

Two processes, one thread each. `run` goes on where it was stopped; `prepare` is its first part, tuning and starts:

    uv run python benchmarks/step_kto/study.py run --folder STUDY
    uv run python benchmarks/step_kto/study.py report --results STUDY/results.jsonl --output study.md
"""

import os

# before torch is imported, here and in the processes that are started
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from study_design import (
    ABLATED,
    ABLATION_SEEDS,
    COMPARED,
    LEARNING_RATES,
    SEEDS,
    START,
    STEP_KTO,
    TUNING_SEED,
    Variant,
)
from study_report import render
from study_runs import RESULT_NAME, best_rate, prepare_seed, read_result, train_variant

from twllm_runs import open_atomic, read_jsonl, run_lock
from twllm_types import JsonObject

RESULTS_NAME = "results.jsonl"
MARKER = "<!-- made by study.py report -->"
NUM_PROCESSES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work of one process: `work(*arguments)`, not before the job `after` is done."""

    name: tuple[int, str]
    work: Callable[..., JsonObject]
    arguments: tuple[object, ...]
    after: tuple[int, str] | None = None


def main() -> None:
    """Prepare, run or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("prepare", "run", "report"))
    parser.add_argument("--folder", type=Path, default=None, help="of the runs")
    parser.add_argument("--results", type=Path, default=None, help="rows to report")
    parser.add_argument("--output", type=Path, default=None, help="report whose part behind the marker is renewed")
    options = parser.parse_args()
    if options.command != "report":
        if options.folder is None:
            parser.error(f"{options.command} needs --folder")
        options.folder.mkdir(parents=True, exist_ok=True)
        with run_lock(options.folder):
            {"prepare": prepare, "run": run}[options.command](options.folder)
        return
    if options.results is None or options.output is None:
        parser.error("report needs --results and --output")
    kept = options.output.read_text(encoding="utf-8").partition(MARKER)[0] if options.output.exists() else ""
    tables = render(list(read_jsonl(options.results)))
    options.output.write_text(f"{kept}{MARKER}\n\n{tables}\n", encoding="utf-8")


def prepare(folder: Path) -> dict[str, float]:
    """Tune, make the start and the samples of every seed, and return each method's learning rate."""
    own, grid = folder / f"seed-{TUNING_SEED}", tuning_grid()
    tuning = [prepare_job(own, TUNING_SEED), *(train_job(own, TUNING_SEED, *one) for one in grid)]
    carry_out([*tuning, *(prepare_job(folder / f"seed-{seed}", seed) for seed in SEEDS)])
    found = {name: read_result(own / name / RESULT_NAME) for _, _, name in grid}
    rates = {
        variant.name: best_rate({rate: found[name] for one, rate, name in grid if one is variant})
        for variant in COMPARED
    }
    print(json.dumps({"learning_rates": rates}), flush=True)
    return rates


def tuning_grid() -> list[tuple[Variant, float, str]]:
    """Each method with each rate, and the name of that run."""
    return [(variant, rate, f"{variant.name}-{rate:g}") for variant in COMPARED for rate in LEARNING_RATES]


def run(folder: Path) -> None:
    """Tune and prepare, then the comparison, then the ablations; gather the rows."""
    rates = prepare(folder)
    places = {seed: folder / f"seed-{seed}" for seed in SEEDS}
    chosen = [(seed, variant, rates[variant.name]) for seed in SEEDS for variant in COMPARED]
    chosen += [(seed, variant, rates[STEP_KTO]) for variant in ABLATED for seed in ABLATION_SEEDS]
    carry_out([train_job(places[seed], seed, one, rate, one.name) for seed, one, rate in chosen])
    names = [
        (TUNING_SEED, START),
        *((TUNING_SEED, name) for _, _, name in tuning_grid()),
        *((seed, START) for seed in SEEDS),
    ]
    names += [(seed, one.name) for seed, one, _ in chosen]
    with open_atomic(folder / RESULTS_NAME, "w") as file:
        for seed, name in names:
            row = read_result(folder / f"seed-{seed}" / name / RESULT_NAME)
            file.write(json.dumps(row, sort_keys=True) + "\n")
    print(f"{len(names)} rows in {folder / RESULTS_NAME}")


def prepare_job(folder: Path, seed: int) -> Job:
    """The start of a seed."""
    return Job(name=(seed, START), work=prepare_seed, arguments=(folder, seed))


def train_job(folder: Path, seed: int, variant: Variant, rate: float, name: str) -> Job:
    """A training on the samples of a seed's start."""
    arguments = (folder, seed, variant, rate, name)
    start = None if (folder / START / RESULT_NAME).is_file() else (seed, START)
    return Job(name=(seed, name), work=train_variant, arguments=arguments, after=start)


def carry_out(jobs: Sequence[Job]) -> None:
    """Work on jobs in two processes, the first that may begin first, and print each as it ends.

    Raises:
        Exception: of the first job that failed; the same command does that and the later ones again.
    """
    started = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(NUM_PROCESSES, mp_context=context, initializer=use_one_thread) as pool:
        waiting, done = list(jobs), set[tuple[int, str]]()
        running: dict[Future[JsonObject], Job] = {}
        while waiting or running:
            for job in [job for job in waiting if job.after is None or job.after in done]:
                if len(running) < NUM_PROCESSES:
                    waiting.remove(job)
                    running[pool.submit(job.work, *job.arguments)] = job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job, row = running.pop(future), future.result()
                done.add(job.name)
                print(
                    f"{time.strftime('%H:%M:%S')} {len(done)}/{len(jobs)} seed {row['seed']} {row['run']}: "
                    f"{json.dumps(row['estimates'])} {row['processor_seconds']} s of processor, "
                    f"{time.monotonic() - started:.0f} s since the first",
                    flush=True,
                )


def use_one_thread() -> None:
    """Of torch, in a worker."""
    import torch

    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
