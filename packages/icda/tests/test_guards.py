"""Guards: each at its limit, on both sides."""

from math import log2

import pytest

from icda import (
    GuardRules,
    accuracy,
    at_chance,
    class_collapse,
    class_thresholds,
    fitted_thresholds,
    kept_share,
    leakage,
    low_v_information,
    refuse_stops,
    unknown_tokens,
    v_information,
)
from twllm_types import ConfigError, DataError, IntentExample

RULES = GuardRules()
TEST = [IntentExample(text="Where is my card?", intent="a"), IntentExample(text="How do I pay?", intent=None)]


def level(guard) -> str | None:
    return None if guard is None else guard.level.value


def test_guard_at_chance_stops_an_untrained_classifier_and_passes_a_good_one():
    labels = [str(row % 10) for row in range(100)]
    counts = {str(code): 10 for code in range(10)}
    constant = accuracy(["0"] * 100, labels)
    found = at_chance(constant, counts, RULES)
    assert found is not None
    assert (found.name, found.level, found.value, found.limit) == ("at_chance", "stop", 0.1, 0.1)
    assert "10.0%" in found.message
    assert at_chance(accuracy(labels, labels), counts, RULES) is None
    assert level(at_chance(accuracy([], []), {}, RULES)) == "stop"
    assert at_chance(constant, counts, GuardRules(at_chance=False)) is None


def test_guard_at_chance_compares_with_the_largest_intent():
    labels = ["a"] * 90 + ["b"] * 10
    assert level(at_chance(accuracy(["a"] * 100, labels), {"a": 90, "b": 10}, RULES)) == "stop"


@pytest.mark.parametrize(("share", "expected"), [(0.0, "stop"), (0.05, "stop"), (0.2, "warn"), (0.78, None)])
def test_guard_low_v_information_by_share_of_the_label_entropy(share, expected):
    # 150 intents; the published re-implementation had 0.0001 bits
    found = low_v_information(v_information([share * log2(150)] * 4), 150, RULES)
    assert level(found) == expected


def test_guard_low_v_information_edges():
    assert level(low_v_information(v_information([]), 150, RULES)) == "stop"
    off = GuardRules(stop_information_share=None, warn_information_share=None)
    assert low_v_information(v_information([-5.0]), 150, off) is None
    with pytest.raises(DataError, match="at least two"):
        low_v_information(v_information([1.0]), 1, RULES)


def test_guard_fitted_thresholds():
    for source, expected in (("fitted_rows", "stop"), ("validation", None), ("cross_fit", None)):
        thresholds = class_thresholds([1.0], ["a"], estimated_on=source)
        assert level(fitted_thresholds(thresholds.estimated_on, RULES)) == expected
    assert level(fitted_thresholds("fitted_rows", GuardRules(allow_fitted_thresholds=True))) == "warn"


def test_guard_leakage_by_normalised_text():
    candidates = ["where is my CARD", "new words"]
    found = leakage(candidates, TEST, RULES, of="candidates")
    assert found is not None
    assert (found.level, found.value) == ("stop", 1.0)
    assert level(leakage(candidates, TEST, RULES, of="seeds")) == "warn"
    assert leakage(["new words"], TEST, RULES, of="candidates") is None
    assert leakage(candidates, TEST, GuardRules(stop_leaked_rows=2), of="candidates") is None
    assert leakage(candidates, TEST, GuardRules(stop_leaked_rows=None), of="candidates") is None


def test_guard_class_collapse_names_the_intents():
    found = class_collapse({"a": 3, "b": 0, "c": 1}, RULES)
    assert found is not None
    assert (found.level, found.value) == ("warn", pytest.approx(1 / 3))
    assert "(b)" in found.message
    many = class_collapse({str(code): 0 for code in range(9)}, RULES)
    assert many is not None
    assert many.level == "stop"
    assert "(0, 1, 2, 3, 4, ...)" in many.message
    assert class_collapse({"a": 1}, RULES) is None
    assert class_collapse({"a": 0}, GuardRules(stop_collapsed_share=None)) is None


@pytest.mark.parametrize(
    ("kept", "total", "expected"),
    [
        (0, 0, ("keeps_nearly_nothing", "stop")),
        (0, 100, ("keeps_nearly_nothing", "stop")),
        (1, 100, ("keeps_nearly_nothing", "warn")),
        (2, 100, None),
        (98, 100, None),
        (99, 100, ("keeps_nearly_all", "warn")),
    ],
)
def test_guard_kept_share(kept, total, expected):
    found = kept_share(kept, total, RULES)
    assert (None if found is None else (found.name, found.level)) == expected
    assert kept_share(kept, total, GuardRules(warn_kept_above=None, warn_kept_below=None)) is None


@pytest.mark.parametrize(("unknown", "expected"), [(0, None), (2, None), (3, "warn"), (10, "warn"), (11, "stop")])
def test_guard_unknown_tokens(unknown, expected):
    found = unknown_tokens(unknown, 100, RULES)
    assert level(found) == expected
    assert found is None or found.value == pytest.approx(unknown / 100)


def test_guard_unknown_tokens_without_tokens_or_limits_says_nothing():
    assert unknown_tokens(0, 0, RULES) is None
    assert unknown_tokens(9, 9, GuardRules(stop_unknown_share=None, warn_unknown_share=None)) is None


@pytest.mark.parametrize(
    "options",
    [
        {"stop_information_share": 1.5},
        {"warn_kept_below": -0.1},
        {"stop_leaked_rows": 0},
        {"warn_leaked_seeds": 0},
        {"warn_unknown_share": 0.5},
        {"stop_information_share": 0.4},
    ],
    ids=lambda options: "-".join(f"{name}={value}" for name, value in options.items()),
)
def test_guard_rules_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="guard"):
        GuardRules(**options)


def test_refuse_stops_tells_all_unless_they_are_allowed_by_name():
    stops = [kept_share(0, 5, RULES), fitted_thresholds("fitted_rows", RULES)]
    guards = [guard for guard in stops if guard is not None]
    with pytest.raises(DataError, match=r"stopped by guard keeps_nearly_nothing, fitted_thresholds: .*keeps 0 of 5"):
        refuse_stops(guards)
    with pytest.raises(DataError, match="stopped by guard keeps_nearly_nothing:"):
        refuse_stops(guards, allowed=["fitted_thresholds"])
    refuse_stops(guards, allowed=["fitted_thresholds", "keeps_nearly_nothing"])
    warning = kept_share(1, 1000, RULES)
    assert warning is not None
    refuse_stops([warning])
