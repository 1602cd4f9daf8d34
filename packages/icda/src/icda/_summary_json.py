"""Estimates and guards as the summaries of the stages hold them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import cast

from icda._guards import Guard, GuardLevel, GuardName
from twllm_types import Estimate, EstimateUnit, JsonObject, JsonValue


def estimate_to_json(estimate: Estimate) -> JsonObject:
    """Return an estimate as JSON values."""
    return {**cast("JsonObject", asdict(estimate)), "unit": estimate.unit.value}


def estimate_from_json(row: Mapping[str, JsonValue]) -> Estimate:
    """Read what `estimate_to_json` gave.

    Raises:
        DataError: the parts contradict each other.
    """
    values = {**row, "unit": EstimateUnit(str(row["unit"]))}
    return Estimate(**values)  # pyright: ignore[reportArgumentType] - Estimate checks its own values


def guards_to_json(guards: Sequence[Guard]) -> JsonValue:
    """Return guards as JSON values."""
    return [
        {**cast("JsonObject", asdict(guard)), "name": guard.name.value, "level": guard.level.value} for guard in guards
    ]


def guards_from_json(rows: JsonValue) -> tuple[Guard, ...]:
    """Read what `guards_to_json` gave."""
    return tuple(
        Guard(
            name=GuardName(str(row["name"])),
            level=GuardLevel(str(row["level"])),
            value=cast("float | None", row["value"]),
            limit=float(cast("float", row["limit"])),
            message=str(row["message"]),
        )
        for row in cast("list[JsonObject]", rows)
    )
