"""Bootstrap of a judge's correlations: our weighted sums against a plain loop over scipy, on the same resamples.

10,000 invented items in five dimensions, 2,000 draws. Three shapes of data: whole scores against mean ratings, expected
scores (all different) against mean ratings, and both all different. Both sides draw the same items and must give the
same numbers.

Usage: uv run python benchmarks/llm_eval/meta_eval.py [--quick]
"""

import argparse
import datetime as dt
import json
import math
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
NUM_ITEMS, NUM_DIMENSIONS, NUM_DRAWS, NUM_RATERS = 10_000, 5, 2000, 4
SEED = 20
AIM_RATIO, AIM_GAP = 20.0, 1e-9
OURS, PEER = "llm-eval", "scipy loop"
SHAPES = {
    "whole": "whole scores, mean ratings",
    "expected": "expected scores, mean ratings",
    "continuous": "expected scores, continuous ratings",
}
METHODS = {"Pearson and Spearman": ("pearson", "spearman"), "Kendall": ("kendall",)}

Floats = NDArray[np.float64]
# Method to an array of shape (dimensions, draws).
Drawn = dict[str, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Scores and ratings, one column per dimension."""

    judge: list[Floats]
    human: list[Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Seconds of the wall clock and of the processor, and what was drawn."""

    wall: float
    processor: float
    drawn: Drawn


def make_columns(shape: str, *, num_items: int) -> Columns:
    """Invent items whose merit a judge sees with noise, and four raters do."""
    rng = np.random.default_rng(SEED)
    merit = rng.normal(size=(NUM_DIMENSIONS, num_items))
    judge = [3 + one + rng.normal(size=num_items) for one in merit]
    raters = np.clip(np.round(3 + merit + rng.normal(size=(NUM_RATERS, NUM_DIMENSIONS, num_items))), 1, 5)
    human = list(raters.mean(axis=0))
    if shape == "whole":
        judge = [np.clip(np.round(one), 0, 5) for one in judge]
    if shape == "continuous":
        human = [one + 1e-3 * rng.normal(size=num_items) for one in human]
    return Columns(judge=judge, human=human)


def run_ours(columns: Columns, methods: Sequence[str], *, draws: int) -> Drawn:
    """Draw with llm-eval."""
    from llm_eval._columns import read_units
    from llm_eval._correlation import CorrelationMethod
    from llm_eval._draws import draw_correlations

    found = draw_correlations(
        [*columns.judge, *columns.human],
        [(at, NUM_DIMENSIONS + at) for at in range(NUM_DIMENSIONS)],
        [CorrelationMethod(method) for method in methods],
        units=read_units(columns.judge[0].size, None),
        draws=draws,
        seed=SEED,
    )
    return {method.value: drawn for method, drawn in found.items()}


def run_peer(columns: Columns, methods: Sequence[str], *, draws: int) -> Drawn:
    """Draw with the loop that one would write: resample, then call scipy for each dimension and coefficient."""
    from scipy import stats

    functions = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}
    rng = np.random.default_rng(SEED)
    num_items = columns.judge[0].size
    found = {method: np.empty((NUM_DIMENSIONS, draws)) for method in methods}
    for draw in range(draws):
        picked = rng.integers(0, num_items, size=num_items)
        for at, (judge, human) in enumerate(zip(columns.judge, columns.human, strict=True)):
            x, y = judge[picked], human[picked]
            for method in methods:
                found[method][at, draw] = functions[method](x, y).statistic
    return found


def measure(run: Callable[[], Drawn]) -> Pass:
    """Time one run."""
    wall, processor = time.perf_counter(), time.process_time()
    drawn = run()
    return Pass(wall=time.perf_counter() - wall, processor=time.process_time() - processor, drawn=drawn)


def check_same(ours: Drawn, peer: Drawn, *, draws: int) -> float:
    """Return the largest difference over the first draws, which both made; stop where it is too large."""
    gap = max(float(np.abs(ours[method][:, :draws] - peer[method]).max()) for method in peer)
    assert gap <= AIM_GAP, f"the numbers differ by {gap}"
    return gap


def ratio_text(ratios: Sequence[float]) -> str:
    """Return the geometric mean of ratios with a Student interval of their logarithms."""
    from twllm_runs.statistics import mean_estimate
    from twllm_types import EstimateUnit

    estimate = mean_estimate([math.log(ratio) for ratio in ratios], unit=EstimateUnit.RATIO)
    if estimate.mean is None:
        return "not measured"
    middle = f"{math.exp(estimate.mean):.1f}"
    if estimate.ci_low is None or estimate.ci_high is None:
        return f"{middle} (one repetition, no interval)"
    return f"{middle} [{math.exp(estimate.ci_low):.1f}, {math.exp(estimate.ci_high):.1f}]"


def peak_megabytes() -> float:
    """Return the largest resident memory of this program so far, in 10^6 bytes."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def run_child(args: argparse.Namespace) -> None:
    """Draw once in this process and print its memory before and at its peak, in 10^6 bytes."""
    columns = make_columns("expected", num_items=args.items)
    run = run_ours if args.child == OURS else run_peer
    run(columns, METHODS["Pearson and Spearman"], draws=2)
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    before = pages * resource.getpagesize() / 1e6
    run(columns, METHODS["Pearson and Spearman"], draws=args.draws)
    sys.stdout.write(json.dumps({"before": before, "peak": peak_megabytes()}) + "\n")


def child_memory(args: argparse.Namespace, which: str) -> dict[str, float]:
    """Return the memory that the draws take in a process of its own."""
    draws = args.draws if which == OURS else args.peer_draws
    command = [sys.executable, __file__, "--child", which, "--items", str(args.items), "--draws", str(draws)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(args: argparse.Namespace, shape: str, methods: Sequence[str], order: random.Random) -> str:
    """Return one row of the table: seconds of both and the ratios, by turns."""
    columns = make_columns(shape, num_items=args.items)
    share = args.draws / args.peer_draws
    walls: list[float] = []
    processors: list[float] = []
    passes: dict[str, list[Pass]] = {OURS: [], PEER: []}
    # What either side imports or prepares once is no part of the time.
    run_ours(columns, methods, draws=2)
    run_peer(columns, methods, draws=2)
    for _ in range(args.repetitions):
        for name in order.sample([OURS, PEER], 2):
            if name == OURS:
                passes[name].append(measure(lambda: run_ours(columns, methods, draws=args.draws)))
            else:
                passes[name].append(measure(lambda: run_peer(columns, methods, draws=args.peer_draws)))
        walls.append(passes[PEER][-1].wall * share / passes[OURS][-1].wall)
        processors.append(passes[PEER][-1].processor * share / passes[OURS][-1].processor)
    gap = check_same(passes[OURS][0].drawn, passes[PEER][0].drawn, draws=args.peer_draws)
    ours = sum(one.wall for one in passes[OURS]) / args.repetitions
    peer = share * sum(one.wall for one in passes[PEER]) / args.repetitions
    return f"{ours:.2f} | {peer:.1f} | {ratio_text(walls)} | {ratio_text(processors)} | {gap:.0e}"


def main() -> None:
    """Measure and write meta_eval.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few draws, 2 repetitions, no report file")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--items", type=int, default=NUM_ITEMS)
    parser.add_argument("--draws", type=int, default=NUM_DRAWS)
    parser.add_argument("--peer-draws", type=int, default=200, help="draws of the loop, whose time is per draw")
    parser.add_argument("--child", choices=(OURS, PEER), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run_child(args)
        return
    if args.quick:
        args.repetitions, args.draws, args.peer_draws = 2, 200, 20
    report = run(args)
    sys.stdout.write(report)
    if not args.quick:
        (HERE / "meta_eval.md").write_text(report, encoding="utf-8")


def run(args: argparse.Namespace) -> str:
    """Return the report."""
    from twllm_runs import hardware

    order = random.Random(SEED)  # noqa: S311
    rows = [
        f"| {name} | {SHAPES[shape]} | {compare(args, shape, methods, order)} |"
        for name, methods in METHODS.items()
        for shape in SHAPES
    ]
    memory = {name: child_memory(args, name) for name in (OURS, PEER)}
    machine = ", ".join(f"{key} {value}" for key, value in hardware().items())
    versions = ", ".join(f"{name} {version(name)}" for name in ("llm-eval", "numpy", "scipy"))
    command = " ".join(["uv run python benchmarks/llm_eval/meta_eval.py", *sys.argv[1:]])
    peer_draws = (
        f"The loop makes the first {args.peer_draws:,} of the {args.draws:,} draws, and its time is multiplied by "
        f"{args.draws / args.peer_draws:g}: each of its draws costs the same"
    )
    lines = [
        "# Bootstrap of correlations: weighted sums against a loop over scipy",
        "",
        "Invented items; no shared data.",
        "",
        f"- Command: `{command}`, {dt.datetime.now(tz=dt.UTC).date()}",
        f"- Hardware: {machine}",
        f"- {versions}",
        f"- {args.items:,} items, {NUM_DIMENSIONS} dimensions, {args.draws:,} draws; one process",
        f"- {peer_draws}",
        f"- {args.repetitions} repetitions by turns; intervals: Student, 95 %, over the logarithms of the ratios",
        f"- Both draw the same items; the last column is the largest difference of a coefficient (at most {AIM_GAP:g})",
        "",
        "| coefficients | data | llm-eval, s | scipy loop, s | ratio | ratio by processor time | difference |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Aim: Pearson and Spearman at least {AIM_RATIO:g} times as fast. Kendall's ratio is reported without an aim.",
        "",
        "## Memory",
        "",
        "Pearson and Spearman of expected scores in a process of its own; 10^6 bytes of resident memory.",
        "",
        "| | before | peak | the draws themselves |",
        "|---|---|---|---|",
        *(
            f"| {name} | {one['before']:,.0f} | {one['peak']:,.0f} | {one['peak'] - one['before']:,.0f} |"
            for name, one in memory.items()
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
