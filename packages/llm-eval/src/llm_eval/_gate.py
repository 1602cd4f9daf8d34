"""Whether a run is good enough, for CI: least scores, no worse than a baseline, few failures.

A figure is tested at the end of its interval that is against it, so noise does not pass a gate; `GateRules.by_mean`
tests the mean instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from math import isfinite
from pathlib import Path

from llm_eval._judge_settings import OVERALL
from llm_eval._judge_stored import StoredJudgeRun, read_judge_run
from llm_eval._judge_summary import ItemScore, cluster_labels, item_scores, sample_counts
from llm_eval._judgements import Judgement
from twllm_runs.statistics import mean_estimate, paired_difference, proportion_estimate
from twllm_types import ArtifactError, ConfigError, Estimate, EstimateUnit, FrozenDict

GATE_FAILED = 4
"""Exit code of `llm-eval check` where a test fails."""
# Rules of the figures, not of the judge: a run and its baseline may differ in them.
_NOT_COMPARED = frozenset({"weights"})


class GateTest(StrEnum):
    """What is tested."""

    MINIMUM = "minimum"
    NOT_WORSE = "not_worse"
    FAILURES = "failures"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """What a run must reach.

    Attributes:
        minimums: least mean score by dimension, `overall` among them.
        margins: by dimension, how much lower than the baseline a score may be, >= 0.
        max_failure_share: most judgements that may fail, in [0, 1]; one of several samples counts by the share of its
            samples that could not be read.
        by_mean: test means instead of the ends of their intervals.
        allow_different: compare with a baseline of another judge; the result says what differs.
        level: coverage of the intervals, in (0, 1).

    Raises:
        ConfigError: a value is out of its range.
    """

    minimums: Mapping[str, float] = field(default_factory=FrozenDict[str, float])
    margins: Mapping[str, float] = field(default_factory=FrozenDict[str, float])
    max_failure_share: float = 0.0
    by_mean: bool = False
    allow_different: bool = False
    level: float = 0.95

    def __post_init__(self) -> None:
        if any(not isfinite(value) for value in self.minimums.values()):
            raise ConfigError(f"minimums are {dict(self.minimums)}; give finite numbers")
        if any(not (value >= 0 and isfinite(value)) for value in self.margins.values()):
            raise ConfigError(f"margins are {dict(self.margins)}; give finite numbers >= 0")
        if not 0 <= self.max_failure_share <= 1:
            raise ConfigError(f"the share of failures is {self.max_failure_share}; give one in [0, 1]")
        for name in ("minimums", "margins"):
            object.__setattr__(self, name, FrozenDict(getattr(self, name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLine:
    """One test.

    Attributes:
        test: what is tested.
        name: dimension; empty for failures.
        estimate: of the score, of run - baseline, or of the share of failures.
        tested: the figure that is held against the bound; None where there is none, which fails.
        bound: what it is held against.
        passed: whether it holds.
    """

    test: GateTest
    name: str
    estimate: Estimate
    tested: float | None
    bound: float
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """All tests of one run.

    Attributes:
        lines: in the order failures, minimums, margins.
        num_shared: items that run and baseline both hold; None without a baseline.
        different: what differs between run and baseline, where that was allowed.
    """

    lines: tuple[GateLine, ...]
    num_shared: int | None
    different: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Every test holds."""
        return all(line.passed for line in self.lines)


def check_run(folder: Path, rules: GateRules, *, baseline: Path | None = None) -> GateResult:
    """Test a finished run.

    The share of failures is always tested, against `GateRules.max_failure_share`, so there is one line at least. A test
    whose figure does not exist, since nothing was scored, fails.

    Args:
        folder: of the run.
        rules: what it must reach.
        baseline: folder of the run that `margins` compare with, on the items that both hold, pair by pair.

    Raises:
        ConfigError: a dimension was not judged or was judged by words, or margins stand without baseline or a baseline
            without margins.
        ArtifactError: a folder holds no finished run, or the two do not compare.
        DataError: the judgements of a run are damaged.
    """
    if bool(rules.margins) != (baseline is not None):
        raise ConfigError("a baseline and margins go together: give --baseline RUN and --margin D=M, or neither")
    run = read_judge_run(folder)
    lines = [_failures(run, rules)]
    scores = item_scores(run.judgements, weights=run.weights)
    lines.extend(_minimum(run, scores, name, least, rules) for name, least in rules.minimums.items())
    if baseline is None:
        return GateResult(lines=tuple(lines), num_shared=None, different=())
    other = read_judge_run(baseline)
    different = _differences(run, other)
    if different and not rules.allow_different:
        raise ArtifactError(
            f"{folder} and {baseline} were not judged alike: {'; '.join(different)}; "
            "judge both alike, or compare all the same by --allow-different"
        )
    shared = _shared(run, other, scores)
    lines.extend(_not_worse(run, shared, name, margin, rules) for name, margin in rules.margins.items())
    return GateResult(lines=tuple(lines), num_shared=len(shared), different=different)


def _failures(run: StoredJudgeRun, rules: GateRules) -> GateLine:
    shares = [_failed_share(judgement) for judgement in run.judgements]
    if all(share in {0, 1} for share in shares):
        estimate = proportion_estimate(int(sum(shares)), len(shares), level=rules.level)
    else:
        estimate = mean_estimate([float(share) for share in shares], unit=EstimateUnit.SHARE, level=rules.level)
    # As a fraction: the sum of twelve times 0.2 is no longer 12 times 0.2, and would fail a bound of 0.2.
    tested = float(sum(shares, Fraction()) / len(shares)) if shares else None
    # The share itself, not the end of its interval: the judgements are all there are, not a sample of them.
    passed = tested is not None and tested <= rules.max_failure_share
    return GateLine(
        test=GateTest.FAILURES,
        name="",
        estimate=estimate,
        tested=tested,
        bound=rules.max_failure_share,
        passed=passed,
    )


def _failed_share(judgement: Judgement) -> Fraction:
    """Share of the answers to one judgement that could not be read; 1 where it failed."""
    given, failed = sample_counts(judgement)
    return Fraction(1) if judgement.failure is not None else Fraction(failed, given)


def _minimum(run: StoredJudgeRun, scores: Sequence[ItemScore], name: str, least: float, rules: GateRules) -> GateLine:
    _check_dimension(run, name)
    scored = [(item.cluster, item.values[name]) for item in scores if item.values is not None]
    estimate = mean_estimate(
        [value for _, value in scored],
        unit=EstimateUnit.POINTS,
        clusters=cluster_labels([cluster for cluster, _ in scored]),
        level=rules.level,
        num_unscored=len(scores) - len(scored),
    )
    return _line(GateTest.MINIMUM, name, estimate, least, rules)


def _not_worse(
    run: StoredJudgeRun, shared: Sequence[tuple[ItemScore, ItemScore]], name: str, margin: float, rules: GateRules
) -> GateLine:
    _check_dimension(run, name)
    scored = [
        (ours.cluster, ours.values[name], theirs.values[name])
        for ours, theirs in shared
        if ours.values is not None and theirs.values is not None
    ]
    estimate = paired_difference(
        [row[1] for row in scored],
        [row[2] for row in scored],
        unit=EstimateUnit.POINTS,
        clusters=cluster_labels([row[0] for row in scored]),
        level=rules.level,
        num_unscored=len(shared) - len(scored),
    )
    return _line(GateTest.NOT_WORSE, name, estimate, -margin, rules)


def _line(test: GateTest, name: str, estimate: Estimate, bound: float, rules: GateRules) -> GateLine:
    tested = estimate.mean if rules.by_mean else estimate.ci_low
    return GateLine(
        test=test,
        name=name,
        estimate=estimate,
        tested=tested,
        bound=bound,
        passed=tested is not None and tested >= bound,
    )


def _check_dimension(run: StoredJudgeRun, name: str) -> None:
    if all(score.value is None for judgement in run.judgements for score in (judgement.scores or {}).values()) and any(
        judgement.scores for judgement in run.judgements
    ):
        raise ConfigError(f"{run.folder}: judged by verdicts, which have no mean to test; judge on a scale of numbers")
    known = (*run.dimensions, *(() if OVERALL in run.dimensions else (OVERALL,)))
    if name not in known:
        raise ConfigError(f"{run.folder}: {name!r} was not judged; give one of {', '.join(known)}")


def _differences(run: StoredJudgeRun, baseline: StoredJudgeRun) -> tuple[str, ...]:
    """What two runs must agree in for their scores to compare: model, its weights, and the judge's settings."""
    lines = [f"the judge is {run.model} and {baseline.model}"] if run.model != baseline.model else []
    if run.manifest.models[0].sha256 != baseline.manifest.models[0].sha256:
        lines.append("the judge's files differ")
    lines.extend(
        f"{key} is {run.judge.get(key)} and {baseline.judge.get(key)}"
        for key in sorted(set(run.judge) | set(baseline.judge))
        if key not in _NOT_COMPARED and run.judge.get(key) != baseline.judge.get(key)
    )
    return tuple(lines)


def _shared(
    run: StoredJudgeRun, baseline: StoredJudgeRun, scores: Sequence[ItemScore]
) -> list[tuple[ItemScore, ItemScore]]:
    others = {item.item_id: item for item in item_scores(baseline.judgements, weights=run.weights)}
    shared = [(item, others[item.item_id]) for item in scores if item.item_id in others]
    if not shared:
        raise ArtifactError(f"{run.folder} and {baseline.folder} have no item in common; judge the same items")
    moved = [item.item_id for item, other in shared if item.cluster != other.cluster]
    if moved:
        raise ArtifactError(
            f"item {moved[0]} has another context in {baseline.folder} than in {run.folder} "
            f"({len(moved):,} such items); give equal items equal ids"
        )
    return shared
