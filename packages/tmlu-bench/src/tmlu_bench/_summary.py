"""The figures of one run, as values."""

from collections.abc import Mapping
from dataclasses import dataclass

from tmlu_bench._aggregate_letters import Calibration, PositionBias
from tmlu_bench._outcomes import Outcome
from tmlu_bench._wording import counted
from twllm_types import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryOptions:
    """How figures are made.

    Attributes:
        exclude_errors: leave questions with an error out of the figures, which then say so.
        level: coverage of the intervals, in (0, 1).
        draws: bootstrap resamples, at least 2.
        seed: of the resamples.
    """

    exclude_errors: bool = False
    level: float = 0.95
    draws: int = 2000
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectSummary:
    """One subject; `accuracy` is None where errors withhold it, `chance` the expected accuracy of random answers."""

    subject: str
    group: str | None
    counts: Mapping[Outcome, int]
    accuracy: Estimate | None
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """One group: `micro` weighs each question alike, `macro_subjects` each subject; None where errors withhold them.

    `num_subjects` are in the figures; `subjects_left_out` are not, since all their questions ended in error.
    """

    group: str
    num_subjects: int
    counts: Mapping[Outcome, int]
    micro: Estimate | None
    macro_subjects: Estimate | None
    chance: float
    subjects_left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OverallSummary:
    """The exam: `macro_groups` weighs each group alike, and is None also where no subject has a group.

    Attributes:
        num_questions: distinct questions, of which each has `num_variants` items.
        num_subjects: subjects of these questions, without `subjects_left_out`.
        num_grouped_subjects: those of them that have a group.
        num_groups: groups that they have.
        counts: items by outcome.
        micro: each question counts alike.
        macro_subjects: each subject counts alike.
        macro_groups: each group counts alike; questions of subjects without group are not in it.
        all_variants: share of questions that are right in every order of the options (circular evaluation, Liu et al.
            2023, MMBench, arXiv 2307.06281); None with one variant, or where errors withhold it.
        chance: expected `micro` of random answers.
        withheld: why there is no figure; None where there is.
        num_excluded: questions left out for their errors.
        failures: kind of failure to the items that ended in it, the most frequent first.
        subjects_left_out: subjects that no figure holds, since all their questions ended in error and errors are left
            out by choice.
        groups_left_out: groups of which the same is true.
    """

    num_questions: int
    num_subjects: int
    num_grouped_subjects: int
    num_groups: int
    num_variants: int
    counts: Mapping[Outcome, int]
    micro: Estimate | None
    macro_subjects: Estimate | None
    macro_groups: Estimate | None
    all_variants: Estimate | None
    chance: float
    withheld: str | None
    num_excluded: int
    failures: Mapping[str, int]
    subjects_left_out: tuple[str, ...] = ()
    groups_left_out: tuple[str, ...] = ()

    @property
    def left_out_text(self) -> str:
        """Which subjects and groups no figure holds, in words; empty where there is none."""
        if not self.subjects_left_out:
            return ""
        groups = f"; groups: {', '.join(self.groups_left_out)}" if self.groups_left_out else ""
        return f"in no figure, as all their questions ended in error: {', '.join(self.subjects_left_out)}{groups}"

    @property
    def failures_text(self) -> str:
        """Failures in words, "2 context_length, 1 timeout"; empty where there is none."""
        return ", ".join(f"{number:,} {kind}" for kind, number in self.failures.items())

    @property
    def group_coverage(self) -> str:
        """How many subjects `macro_groups` is made of, in words; empty where it is made of all."""
        if self.num_grouped_subjects == self.num_subjects:
            return ""
        subjects = counted(self.num_subjects, "subject")
        return f"{counted(self.num_groups, 'group')}, {self.num_grouped_subjects:,} of {subjects}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MassSummary:
    """How much probability the reported letters held.

    Attributes:
        mean: over the items.
        least: of all items; a minimum, so without interval.
        share_below: share of items below 0.9.
    """

    mean: Estimate
    least: float
    share_below: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamSummary:
    """All figures of one run."""

    overall: OverallSummary
    groups: tuple[GroupSummary, ...]
    subjects: tuple[SubjectSummary, ...]
    position_bias: PositionBias
    calibration: Calibration | None
    captured_mass: MassSummary | None
    options: SummaryOptions
