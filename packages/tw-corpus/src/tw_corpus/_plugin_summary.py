"""What the plug-in measures of a run gave, as counts.

A value is counted under its first two significant digits: counts add up in any order, which sums of floats do not, and
quantiles to two digits are what one needs to choose a threshold.
"""

from typing import cast

from tw_corpus._plugin_measure import FAILED
from tw_corpus._tally import Tally, join_key, split_key, totals
from twllm_types import JsonObject, JsonValue

QUANTILES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}

_LARGEST = 1.7e308


def count_value(tally: Tally, name: str, outcome: str, value: float | None) -> None:
    """Count one document that a plug-in measured.

    Args:
        tally: counts there.
        name: of the measure.
        outcome: `passed`, or the reason.
        value: finite; None where the measure failed.
    """
    tally.plugin_outcomes[join_key(name, outcome)] += 1
    if value is not None:
        # rounding must not leave the range of floats; + 0.0 makes a negative zero a zero
        rounded = max(-_LARGEST, min(value, _LARGEST)) + 0.0
        tally.plugin_values[join_key(name, f"{rounded:.1e}")] += 1


def num_failed(tally: Tally) -> int:
    """Return how often a plug-in measure failed on a document."""
    return sum(count for (outcome,), count in totals(tally.plugin_outcomes, 1).items() if outcome.startswith(FAILED))


def plugin_rows(tally: Tally) -> list[JsonValue]:
    """Return one row per measure, by name: how many documents it measured, with which outcomes, and the quantiles.

    `quantiles` are the smallest counted values that so many documents do not exceed, to two significant digits; null
    where nothing was measured. Each measure counts the documents that came to it: those that no earlier step dropped.
    """
    rows: list[JsonValue] = []
    for (name,) in totals(tally.plugin_outcomes, 0):
        outcomes = {
            outcome: count for (owner, outcome), count in totals(tally.plugin_outcomes, 0, 1).items() if owner == name
        }
        failed = outcomes.pop(f"{FAILED}{name}", 0)
        passed = outcomes.pop("passed", 0)
        row: JsonObject = {
            "measure": name,
            "num_measured": passed + sum(outcomes.values()),
            "num_passed": passed,
            "num_failed": failed,
            "rejected": cast("JsonObject", outcomes),
            "quantiles": _quantiles(tally, name),
        }
        rows.append(row)
    return rows


def _quantiles(tally: Tally, name: str) -> JsonObject | None:
    keys = ((split_key(key), count) for key, count in tally.plugin_values.items())
    counted = sorted((float(value), count) for (owner, value), count in keys if owner == name)
    total = sum(count for _, count in counted)
    if not total:
        return None
    found: JsonObject = {}
    for label, share in QUANTILES.items():
        seen = 0
        for value, count in counted:
            seen += count
            if seen >= share * total:
                found[label] = value
                break
    return found
