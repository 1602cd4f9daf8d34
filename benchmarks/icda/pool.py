"""The generated pool of BANKING77 (back-translations of the 10-shot seeds) through every selection.

    TWLLM_DATA=... uv run python benchmarks/icda/pool.py --cache /tmp/icda

Plan, fixed before the runs:

- Seeds: 10 shots as the index file has them (one draw, since the pool belongs to these seeds); 5 shots: five draws of
  5 of the 10 seeds of each intent, by `few_shot_rows`, draws 0 to 4. Candidates are the pool's rows of the drawn seeds
  alone, without copies of a seed or a test row and without repeated texts of an intent (as `normalise_text` compares).
- Classifier, arms, validation, test: as in `drift.py`. Nobody knows which rows are clean, so there is no oracle.
- Intervals: by test row (each is a cluster over the draws), and for 5 shots over the draws as well.
- The amendment of `drift.py` on the probe's tolerance holds here, too.
"""

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from arms import ARGMAX, CROSS_FIT, RANDOM, SEEDS_ONLY, DrawData, DrawResult, run_draw
from drift import DRAWS, C, IntentSet, load_set, minilm

from icda import Candidate, normalise_text
from icda._evaluate import ArmResult, compare_arms
from icda._features_cache import CachedFeatures
from icda._probe import ProbeClassifier
from icda._splits import few_shot_rows
from twllm_runs import hardware
from twllm_runs.statistics import format_estimate
from twllm_types import IntentExample

REPORT = Path(__file__).with_suffix(".md")
POOL = "generated_pools/banking77_protaugment_train10.jsonl"


def main() -> None:
    """Run both sizes and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder of embeddings")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    features = minilm(options.cache / "embeddings")
    rows = load_set("BANKING77")
    seeds, pool = load_pool()
    lines = [
        "# A real generated pool: back-translations of BANKING77's seeds",
        "",
        "What every selection does for the final classifier. Plan: `pool.py`, `arms.py` (committed before the runs).",
        "",
        "- Command: `TWLLM_DATA=... uv run python benchmarks/icda/pool.py --cache DIR`",
        f"- Date: {datetime.now(tz=UTC):%Y-%m-%d}",
        f"- Hardware: {hardware()['cores']} cores ({hardware()['processor']}); {hardware()['python']}",
        f"- Probe C = {C:g} on all-MiniLM-L6-v2; {len(rows.test)} test rows",
        "",
    ]
    for num_shots, draws in ((5, DRAWS), (10, (0,))):
        results = [one_draw(features, rows, seeds, pool, num_shots=num_shots, draw=draw) for draw in draws]
        lines += section(num_shots, results, rows)
    REPORT.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


def load_pool() -> tuple[tuple[IntentExample, ...], dict[str, list[Candidate]]]:
    """The 10-shot seeds, and the pool's rows by the id of their seed."""
    folder = Path(os.environ["TWLLM_DATA"]) / "intent"
    found: dict[str, list[Candidate]] = {}
    lines = (folder / POOL).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        row = json.loads(line)
        seed_id = f"train:{row['seed_row']}"
        found.setdefault(seed_id, []).append(
            Candidate(
                text=row["text"],
                intent=row["intent"],
                id=f"pool:{number}",
                source=row["generator"],
                request_id="",
                seed_ids=(seed_id,),
            )
        )
    splits = json.loads((folder / "index_splits" / "banking77.json").read_text(encoding="utf-8"))
    wanted = {f"train:{row}" for row in splits["train_10"]["rows"]}
    seeds = tuple(row for row in load_set("BANKING77").train if row.id in wanted)
    return seeds, found


def one_draw(
    features: CachedFeatures,
    rows: IntentSet,
    seeds: tuple[IntentExample, ...],
    pool: dict[str, list[Candidate]],
    *,
    num_shots: int,
    draw: int,
) -> DrawResult:
    """Draw seeds, take their rows of the pool, run all arms."""
    chosen = tuple(seeds[row] for row in few_shot_rows(seeds, num_shots=num_shots, seed=draw))
    taken = {normalise_text(row.text) for row in (*chosen, *rows.test)}
    seen: set[tuple[str, str]] = set()
    candidates: list[Candidate] = []
    for seed in chosen:
        for one in pool.get(str(seed.id), []):
            key = (one.intent, normalise_text(one.text))
            if key[1] not in taken and key not in seen:
                seen.add(key)
                candidates.append(one)
    data = DrawData(seeds=chosen, candidates=tuple(candidates), is_clean=None, validation=rows.valid, test=rows.test)
    return run_draw(ProbeClassifier(features=features, c=C), data, draw=draw)


def section(num_shots: int, results: list[DrawResult], rows: IntentSet) -> list[str]:
    """The table of one size and what it says."""
    trained = [one for result in results for one in result.trained]
    found = compare_arms(trained, rows.test, baseline=SEEDS_ONLY)
    random = {one.arm: one for one in compare_arms(trained, rows.test, baseline=RANDOM)}
    argmax = {one.arm: one for one in compare_arms(trained, rows.test, baseline=ARGMAX)}
    shown = "\n".join(
        f"| {one.arm} | {sum(result.kept[one.arm] for result in results) / len(results):.0%} "
        f"| {format_estimate(one.accuracy)} | {_difference(one)} | {_difference(random[one.arm])} "
        f"| {_difference(argmax[one.arm])} |"
        for one in found
    )
    best = [one.arm for one in found if one.difference is not None and (one.difference.ci_low or 0) > 0]
    main = next(one for one in found if one.arm == CROSS_FIT)
    return [
        f"## {num_shots} shots, {len(results)} draws",
        "",
        f"{len(results[0].pvi):,} candidates in the first draw.",
        "",
        "| selection | kept | accuracy | to seeds only | to random | to argmax |",
        "|---|---|---|---|---|---|",
        shown,
        "",
        f"Better than seeds only, by test row: {', '.join(best) or 'nothing'}.",
        f"Over draws, PVI cross-fitted less seeds only: {_over_draws(main)}.",
        "",
    ]


def _difference(result: ArmResult) -> str:
    return "" if result.difference is None else format_estimate(result.difference)


def _over_draws(result: ArmResult) -> str:
    one = result.difference_of_draws
    return "one draw, so no interval" if one is None or one.ci_low is None else format_estimate(one)


if __name__ == "__main__":
    main()
