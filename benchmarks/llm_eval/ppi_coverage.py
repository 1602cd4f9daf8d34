"""How often the interval of a prediction-powered mean holds the truth, and how wide it is beside that of people alone.

Invented ratings whose mean is known, with a biased judge; few labelled items, alone or in clusters.

Usage: uv run python benchmarks/llm_eval/ppi_coverage.py [--quick]
"""

import argparse
import datetime as dt
import math
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
SEED, NUM_TRIALS, NUM_UNLABELLED = 100, 2000, 300
BIAS, CLUSTER_SHARE = 0.5, 0.3
SKEWED_MEAN, SKEWED_SIZES = 4.6, (5, 10, 20, 40)
AIM_LOW, AIM_HIGH = 0.93, 0.97


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of the table: so many clusters of so many labelled items each; a size of 1 is no cluster."""

    seed: int
    num_clusters: int
    cluster_size: int
    agreement: float
    num_trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A setting and what was found."""

    setting: Setting
    corrected: float
    human: float
    judge: float
    width_ratio: float


SKEWED = (
    "Whole ratings from 1 to 5, most of them 5, as many trials, no clusters: the interval covers too little where few "
    "are labelled, and more so than that of people alone; with such ratings take at least 40. With fewer than ten "
    "labelled items or clusters the result says `few_labelled_units`."
)
PEOPLE = (
    "People alone: `twllm_runs.statistics.mean_estimate`, whose clustered error has no small-sample factor: it covers "
    "a little less with few clusters."
)
# Clusters, labelled items of each, correlation of judge and ratings.
SHAPES: Sequence[tuple[int, int, float]] = (
    (3, 1, 0.7),
    (5, 1, 0.7),
    (10, 1, 0.7),
    (20, 1, 0.7),
    (60, 1, 0.7),
    (10, 1, 0.2),
    (10, 1, 0.9),
    (3, 5, 0.7),
    (6, 5, 0.7),
    (10, 2, 0.7),
    (10, 6, 0.7),
    (10, 6, 0.2),
)


def measure(setting: Setting) -> Row:
    """Simulate one setting."""
    from llm_eval.statistics import simulate_coverage

    found = simulate_coverage(
        seed=setting.seed,
        num_labelled=setting.num_clusters * setting.cluster_size,
        num_unlabelled=NUM_UNLABELLED,
        agreement=setting.agreement,
        bias=BIAS,
        cluster_size=setting.cluster_size,
        cluster_share=CLUSTER_SHARE,
        num_trials=setting.num_trials,
    )
    return Row(
        setting=setting,
        corrected=found.corrected,
        human=found.human,
        judge=found.judge,
        width_ratio=found.width_ratio,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Skewed:
    """Whole ratings from 1 to 5 that are mostly 5: trials that held the truth."""

    num_labelled: int
    seed: int
    num_trials: int
    corrected: int = 0
    human: int = 0


def measure_skewed(setting: Skewed) -> Skewed:
    """Simulate whole ratings, most of them the highest."""
    import numpy as np

    from llm_eval.statistics import ppi_mean

    rng = np.random.default_rng(setting.seed)
    # The mean of 1 + [x >= 1.5] + ... + [x >= 4.5] for a normal x of mean 4.6 and deviation 1.
    truth = 1 + sum(0.5 * math.erfc((cut - SKEWED_MEAN) / math.sqrt(2)) for cut in (1.5, 2.5, 3.5, 4.5))
    held = [0, 0]
    for _ in range(setting.num_trials):
        merit = rng.normal(size=setting.num_labelled + NUM_UNLABELLED)
        noise = rng.normal(size=merit.size)
        y = np.clip(np.round(SKEWED_MEAN + merit), 1, 5)
        f = np.clip(np.round(SKEWED_MEAN - 0.4 + 0.7 * merit + 0.7 * noise), 1, 5)
        n = setting.num_labelled
        found = ppi_mean(y[:n], f[:n], f[n:])
        for at, one in enumerate(() if found is None else (found.corrected, found.human)):
            held[at] += one.ci_low is not None and one.ci_high is not None and one.ci_low <= truth <= one.ci_high
    return replace(setting, corrected=held[0], human=held[1])


def skewed_text(row: Skewed) -> str:
    """Return one line of the second table."""
    shares = " | ".join(share_text(held / row.num_trials, row.num_trials) for held in (row.corrected, row.human))
    return f"| {row.num_labelled} items | {shares} | {row.seed} |"


def share_text(share: float, trials: int) -> str:
    """Return a share with its Wilson interval."""
    from twllm_runs.statistics import format_estimate, proportion_estimate

    text = format_estimate(proportion_estimate(round(share * trials), trials))
    return text.rpartition(", n = ")[0]


def shape_text(setting: Setting) -> str:
    """Return what is labelled, in words."""
    if setting.cluster_size > 1:
        return f"{setting.num_clusters} clusters of {setting.cluster_size}"
    return f"{setting.num_clusters} items"


def row_text(row: Row) -> str:
    """Return one line of the table."""
    one = row.setting
    aimed = "yes" if AIM_LOW <= row.corrected <= AIM_HIGH else "**no**"
    shares = " | ".join(share_text(share, one.num_trials) for share in (row.corrected, row.human, row.judge))
    return f"| {shape_text(one)} | {one.agreement:g} | {shares} | {row.width_ratio:.2f} | {aimed} | {one.seed} |"


def report(rows: Sequence[Row], skewed: Sequence[Skewed], num_trials: int, seconds: float) -> str:
    """Return the report."""
    from twllm_runs import hardware

    machine = ", ".join(f"{key} {value}" for key, value in hardware().items())
    command = " ".join(["uv run python benchmarks/llm_eval/ppi_coverage.py", *sys.argv[1:]])
    missed = [row for row in rows if not AIM_LOW <= row.corrected <= AIM_HIGH]
    wide = [row.setting for row in rows if row.width_ratio > 1]
    wider = ", ".join(f"{shape_text(one)} at {one.agreement:g}" for one in wide)
    lines = [
        "# Coverage of prediction-powered means",
        "",
        f"Invented ratings; no shared data. Ratings are normal; the judge scores {BIAS:g} too high.",
        "",
        f"- Command: `{command}`, {dt.datetime.now(tz=dt.UTC).date()}, {seconds:.0f} s in two processes",
        f"- Hardware: {machine}",
        f"- llm-eval {version('llm-eval')}, numpy {version('numpy')}",
        f"- {num_trials:,} trials per row, {NUM_UNLABELLED} items without a rating; intervals promise 95 %",
        f"- Items of a cluster share {CLUSTER_SHARE:g} of their variance; unlabelled clusters have the same size",
        f"- Coverage with Wilson intervals, 95 %; aim: between {100 * AIM_LOW:g} % and {100 * AIM_HIGH:g} %",
        "- Width: of the corrected intervals over that of people alone, means; below 1 the judge helps",
        "",
        "| labelled | correlation | corrected (PPI++) | people alone | raw judge mean | width | in the aim | seed |",
        "|---|---|---|---|---|---|---|---|",
        *map(row_text, rows),
        "",
        f"{len(rows) - len(missed)} of {len(rows)} rows are in the aim. Wider than people alone: {wider or 'none'}.",
        "",
        PEOPLE,
        "",
        "## Skewed ratings",
        "",
        SKEWED,
        "",
        "| labelled | corrected (PPI++) | people alone | seed |",
        "|---|---|---|---|",
        *map(skewed_text, skewed),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Simulate and write ppi_coverage.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="50 trials, no report file")
    parser.add_argument("--trials", type=int, default=NUM_TRIALS)
    args = parser.parse_args()
    trials: int = 50 if args.quick else args.trials
    settings = [
        Setting(seed=SEED + at, num_clusters=clusters, cluster_size=size, agreement=agreement, num_trials=trials)
        for at, (clusters, size, agreement) in enumerate(SHAPES)
    ]
    start = dt.datetime.now(tz=dt.UTC)
    with ProcessPoolExecutor(max_workers=2) as pool:
        rows = list(pool.map(measure, settings))
        given = [Skewed(num_labelled=n, seed=2 * SEED + at, num_trials=trials) for at, n in enumerate(SKEWED_SIZES)]
        skewed = list(pool.map(measure_skewed, given))
    text = report(rows, skewed, trials, (dt.datetime.now(tz=dt.UTC) - start).total_seconds())
    sys.stdout.write(text)
    if not args.quick:
        (HERE / "ppi_coverage.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
