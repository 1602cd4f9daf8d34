"""What pages and terminals say alike."""

from collections.abc import Mapping

from icda._guards import Guard
from icda._requests import TokenTotals
from icda._selection_rules import SelectionKind


def cost_text(tokens: TokenTotals) -> str:
    """Requests, tokens and cost in one line."""
    parts = [
        f"{tokens.num_requests:,} requests",
        f"{tokens.num_prompt_tokens:,} tokens read",
        f"{tokens.num_completion_tokens:,} written",
    ]
    if tokens.num_failed:
        parts.append(f"{tokens.num_failed:,} failed")
    if tokens.num_without_usage:
        parts.append(f"{tokens.num_without_usage:,} without a count of tokens")
    if tokens.cost is not None:
        parts.append(f"{tokens.cost:,.4f} {tokens.currency or ''}".rstrip())
    return ", ".join(parts)


def guard_text(guard: Guard) -> str:
    """One line on what is wrong."""
    return f"{guard.level.value}, {guard.name.value}: {guard.message}"


def counts_text(counts: Mapping[str, int]) -> str:
    """Counts by name, largest first; "none" where there are none."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} {count:,}" for name, count in ordered if count) or "none"


def rule_title(name: str) -> str:
    """What a rule or arm is called on a page."""
    return _TITLES.get(name, name)


_TITLES: dict[str, str] = {
    "seeds-only": "seeds only",
    "selected": "selected (the recipe's rules)",
    "reviewed": "selected and reviewed",
    SelectionKind.PVI_CLASS.value: "PVI per intent",
    SelectionKind.PVI_GLOBAL.value: "PVI, one threshold",
    SelectionKind.KEEP_ALL.value: "keep all",
    SelectionKind.RANDOM.value: "random, same size",
    SelectionKind.ARGMAX.value: "argmax agrees",
    SelectionKind.CONFIDENCE.value: "confidence",
    SelectionKind.SELF_CONFIDENCE.value: "self-confidence (cleanlab)",
    SelectionKind.NEAREST_INTENT.value: "nearest intent agrees",
}
