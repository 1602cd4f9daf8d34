"""Figures of an evaluation: pass@k, majority vote, accuracy, and step errors in right solutions, with intervals."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from twllm_runs.statistics import mean_estimate, proportion_estimate
from twllm_types import ConfigError, DataError, Estimate, EstimateUnit, StepwiseSolution

Equivalence: TypeAlias = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCounts:
    """The samples of one problem.

    Attributes:
        num_samples: n, at least 1.
        num_right: c, 0..n.

    Raises:
        DataError: a count is out of its range.
    """

    num_samples: int
    num_right: int

    def __post_init__(self) -> None:
        if self.num_samples < 1 or not 0 <= self.num_right <= self.num_samples:
            raise DataError(f"{self.num_right} right of {self.num_samples} samples; give 0 <= right <= samples >= 1")


def pass_at_k(num_samples: int, num_right: int, k: int) -> float:
    """Probability that one of k samples is right, estimated without bias from n samples of which c are.

    1 - C(n - c, k) / C(n, k), as a product (Chen and others 2021, arXiv 2107.03374, eq. 1).

    Args:
        num_samples: n, at least k.
        num_right: c, 0..n.
        k: at least 1.

    Returns:
        Within [0, 1].

    Raises:
        DataError: c is outside of 0..n.
        ConfigError: k is below 1, or there are fewer than k samples.
    """
    counts = SampleCounts(num_samples=num_samples, num_right=num_right)
    if not 1 <= k <= counts.num_samples:
        raise ConfigError(f"pass@{k} cannot be estimated from {num_samples} samples; draw at least k >= 1 samples")
    num_wrong = num_samples - num_right
    if num_wrong < k:
        return 1.0
    all_wrong = 1.0
    for drawn in range(k):
        all_wrong *= (num_wrong - drawn) / (num_samples - drawn)
    return 1.0 - all_wrong


def pass_at_k_estimate(problems: Sequence[SampleCounts], k: int, *, level: float = 0.95) -> Estimate:
    """Mean of `pass_at_k` over problems, which are the independent units, with a Student interval.

    No problem gives an estimate without mean.

    Raises:
        ConfigError: a problem has fewer than k samples, or the level is outside of (0, 1).
    """
    values = [pass_at_k(problem.num_samples, problem.num_right, k) for problem in problems]
    return mean_estimate(values, unit=EstimateUnit.SHARE, level=level)


def majority_vote(answers: Sequence[str | None], *, equivalent: Equivalence | None = None) -> str | None:
    """The answer that most samples give.

    Each answer joins the first group whose first answer it is equivalent to. Ties go to the group that was opened
    first: the earliest sample breaks them, so that the vote depends on nothing but the order of the samples.

    Args:
        answers: one per sample, in the order of sampling; None where a sample gave no answer, which votes for nothing.
        equivalent: called as ``equivalent(first answer of the group, answer)``; None compares the strings.

    Returns:
        The first answer of the largest group; None where nobody voted.
    """
    groups: list[tuple[str, int]] = []
    for answer in answers:
        if answer is None:
            continue
        for place, (first, votes) in enumerate(groups):
            if first == answer or (equivalent is not None and equivalent(first, answer)):
                groups[place] = (first, votes + 1)
                break
        else:
            groups.append((answer, 1))
    # max() keeps the first of equals.
    return max(groups, key=lambda group: group[1])[0] if groups else None


def accuracy(
    outcomes: Sequence[bool | None], *, problems: Sequence[str] | None = None, level: float = 0.95
) -> Estimate:
    """Share of right answers among those with a verdict.

    Args:
        outcomes: True right, False wrong, None where the verifier could not tell; None is counted as unscored.
        problems: the problem of each answer where several answer one: their errors then count as dependent. None
            where every answer is to another problem, which gives Wilson's interval.
        level: coverage, in (0, 1).

    Raises:
        DataError: problems and outcomes differ in number.
        ConfigError: the level is outside of (0, 1).
    """
    if problems is not None and len(problems) != len(outcomes):
        raise DataError(f"{len(problems)} problems for {len(outcomes)} outcomes; give one per answer")
    scored = [place for place, outcome in enumerate(outcomes) if outcome is not None]
    num_unscored = len(outcomes) - len(scored)
    if problems is None:
        num_right = sum(outcome is True for outcome in outcomes)
        return proportion_estimate(num_right, len(scored), level=level, num_unscored=num_unscored)
    return mean_estimate(
        [float(outcomes[place] is True) for place in scored],
        unit=EstimateUnit.SHARE,
        clusters=[problems[place] for place in scored],
        level=level,
        num_unscored=num_unscored,
    )


def stepwise_errors_in_correct(solutions: Iterable[StepwiseSolution], *, level: float = 0.95) -> Estimate:
    """Share of solutions with a right final answer that hold at least one wrong step.

    The reading of the paper's table 3 (arXiv 2501.10799); its own definition could not be confirmed. Solutions whose
    outcome is not right are left out. One without a wrong step but with an unknown one is unscored: it may hold an
    error. Several solutions of one problem count as dependent.

    Args:
        solutions: labelled by a judge other than the one that training used.
        level: coverage, in (0, 1).

    Raises:
        ConfigError: the level is outside of (0, 1).
    """
    right = [solution for solution in solutions if solution.outcome is True]
    verdicts = [_holds_error(solution) for solution in right]
    prompts = [solution.prompt for solution in right]
    return accuracy(verdicts, problems=None if len(set(prompts)) == len(prompts) else prompts, level=level)


def _holds_error(solution: StepwiseSolution) -> bool | None:
    if False in solution.step_labels:
        return True
    return None if None in solution.step_labels else False
