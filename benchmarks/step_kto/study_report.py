"""Tables of the study from its rows."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from study_analysis import MEASURES, Figure, Interval, Measure, Rows, difference, level
from study_design import ABLATED, ABLATION_SEEDS, COMPARED, KINDS, LEARNING_RATES, SEEDS, START, STEP_KTO, TUNING_SEED

from twllm_runs import hardware
from twllm_types import JsonObject

_HEADINGS = " | ".join(measure.name for measure in MEASURES)
_RULE = "|---" * (len(MEASURES) + 1) + "|"


def render(results: Sequence[JsonObject]) -> str:
    """All tables; raises DataError where a run is missing."""
    rows = {(str(row["run"]), _seed(row)): row for row in results}
    return "\n\n".join(
        [
            _head(results),
            "### Accuracy and stepwise errors, five seeds",
            _table(SEEDS, [START, *KINDS], lambda run, measure: _level(level(rows, run, SEEDS, measure))),
            _flawed(rows),
            "### Differences to the start",
            _differences(rows, SEEDS, [(run, START) for run in KINDS]),
            "### Differences to KTO",
            _differences(rows, SEEDS, [(run, "kto") for run in KINDS if run != "kto"]),
            "### Seed by seed, sampled accuracy",
            _by_seed(rows),
            "### Ablations of Step-KTO, three seeds: differences to its own settings",
            f"Step-KTO with its own settings on these seeds: {_levels(rows, STEP_KTO, ABLATION_SEEDS)}.",
            *_ablations(rows),
            "### Training sets and updates",
            _sets(rows),
            "### Learning rates, tuning seed, sampled accuracy on the validation split",
            _tuning(rows),
        ]
    )


def _head(results: Sequence[JsonObject]) -> str:
    machine = hardware()
    return (
        f"{datetime.now(UTC):%d %B %Y}, {machine['platform']}, {machine['cores']} cores shared with other work, "
        f"{machine['python']}; {_minutes(results)} minutes of processor time in all, the tuning among them. Figures in "
        "per cent, differences in points; [95 % over seeds] (95 % within seeds), as study_plan.md defines them."
    )


def _flawed(rows: Rows) -> str:
    counts = ", ".join(f"{run} {_counts(rows, run)}" for run in (START, *KINDS))
    return f"Right answers with a wrong step / right answers, sampled, all seeds: {counts}."


def _table(seeds: Iterable[int], runs: Sequence[str], cell: Callable[[str, Measure], str]) -> str:
    lines = [f"| {'/'.join(map(str, seeds))} | {_HEADINGS} |", _RULE]
    lines += [f"| {run} | " + " | ".join(cell(run, measure) for measure in MEASURES) + " |" for run in runs]
    return "\n".join(lines)


def _differences(rows: Rows, seeds: Sequence[int], pairs: Sequence[tuple[str, str]]) -> str:
    others = dict(pairs)
    return _table(
        seeds,
        [run for run, _ in pairs],
        lambda run, measure: _signed(difference(rows, run, others[run], seeds, measure)),
    )


def _ablations(rows: Rows) -> list[str]:
    parts: list[str] = []
    for group in dict.fromkeys(variant.group for variant in ABLATED):
        names = [variant.name for variant in ABLATED if variant.group == group]
        parts += [f"{group}:", _differences(rows, ABLATION_SEEDS, [(name, STEP_KTO) for name in names])]
    return parts


def _by_seed(rows: Rows) -> str:
    sampled = MEASURES[1]
    lines = [f"| seed | {' | '.join((START, *KINDS))} |", "|---" * (len(KINDS) + 2) + "|"]
    for place, seed in enumerate(SEEDS):
        found = [level(rows, run, SEEDS, sampled).seeds[place] for run in (START, *KINDS)]
        lines.append(f"| {seed} | " + " | ".join(f"{100 * one:.1f}" for one in found) + " |")
    return "\n".join(lines)


def _sets(rows: Rows) -> str:
    lines = ["| seed | solutions | prompts | right | wrong steps | " + " | ".join(f"rows {kind}" for kind in KINDS)]
    lines = [lines[0] + " |", "|---" * (5 + len(KINDS)) + "|"]
    for seed in SEEDS:
        made = cast("dict[str, Any]", rows[START, seed]["training_set"])
        outcomes, steps = made["outcomes"], made["steps"]
        used = [cast("dict[str, Any]", rows[variant.name, seed]["training"])["num_rows"] for variant in COMPARED]
        lines.append(
            f"| {seed} | {made['num_solutions']} | {made['num_prompts']} | {outcomes['right']} | "
            f"{steps['wrong']} of {steps['wrong'] + steps['right']} | {' | '.join(map(str, used))} |"
        )
    return "\n".join(lines)


def _tuning(rows: Rows) -> str:
    lines = ["| | start | " + " | ".join(f"{rate:g}" for rate in LEARNING_RATES) + " |"]
    lines.append("|---" * (len(LEARNING_RATES) + 2) + "|")
    start = _estimate(rows[START, TUNING_SEED])
    for kind in KINDS:
        found = [_estimate(rows[f"{kind}-{rate:g}", TUNING_SEED]) for rate in LEARNING_RATES]
        lines.append(f"| {kind} | {100 * start:.1f} | " + " | ".join(f"{100 * one:.1f}" for one in found) + " |")
    return "\n".join(lines)


def _estimate(row: JsonObject) -> float:
    return float(cast("dict[str, float]", row["estimates"])["pass@1_sampled"])


def _levels(rows: Rows, run: str, seeds: Sequence[int]) -> str:
    return ", ".join(f"{measure.name} {_level(level(rows, run, seeds, measure))}" for measure in MEASURES)


def _counts(rows: Rows, run: str) -> str:
    above, below = level(rows, run, SEEDS, MEASURES[3]).counts
    return f"{above:,} / {below:,}"


def _level(figure: Figure) -> str:
    return f"{100 * figure.mean:.1f} {_ends(figure.over_seeds, '[]', '.1f')}"


def _signed(figure: Figure) -> str:
    over, within = _ends(figure.over_seeds, "[]", "+.1f"), _ends(figure.within_seeds, "()", "+.1f")
    return f"{100 * figure.mean:+.1f} {over} {within}"


def _ends(interval: Interval, brackets: str, form: str) -> str:
    if interval is None:
        return "–"
    low, high = (f"{100 * end:{form}}" for end in interval)
    return f"{brackets[0]}{low}, {high}{brackets[1]}"


def _minutes(results: Sequence[JsonObject]) -> str:
    return f"{sum(float(str(row['processor_seconds'])) for row in results) / 60:.0f}"


def _seed(row: JsonObject) -> int:
    return int(str(row["seed"]))
