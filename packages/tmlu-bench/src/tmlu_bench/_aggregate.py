"""From items to figures: accuracy with interval by subject, group and exam, never without its counts.

`unparsed` and `truncated` answers are wrong ones: they stay in the denominator. An `error` is no answer: a figure over
items with errors is withheld until they are run again, or left out by explicit choice and counted as unscored.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

from tmlu_bench._aggregate_letters import Calibration, PositionBias, measure_calibration, measure_position_bias
from tmlu_bench._outcomes import ItemResult, Outcome, last_records
from tmlu_bench._wording import counted
from twllm_runs.statistics import mean_estimate, paired_difference, proportion_estimate
from twllm_types import Estimate, EstimateUnit, JsonObject

MASS_WARNING = 0.9
WITHHELD = "{errors:,} of {items} ended in error; run them again with --retry-errors, or use --exclude-errors"


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
    """One group: `micro` weighs each question alike, `macro_subjects` each subject; None where errors withhold them."""

    group: str
    num_subjects: int
    counts: Mapping[Outcome, int]
    micro: Estimate | None
    macro_subjects: Estimate | None
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OverallSummary:
    """The exam: `macro_groups` weighs each group alike, and is None also where no subject has a group.

    Attributes:
        num_questions: distinct questions, of which each has `num_variants` items.
        num_subjects: subjects of these questions.
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
    """How much probability the reported letters held: mean with interval, least, and the share of items below 0.9."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionScore:
    """One question over its variants.

    Attributes:
        subject: subject id.
        question_id: unique within the subject.
        share: share of its variants answered rightly; None where a variant ended in error.
        num_variants: items of the question.
        num_options: options of the question.
    """

    subject: str
    question_id: str
    share: float | None
    num_variants: int
    num_options: int


def score_questions(items: Iterable[ItemResult]) -> tuple[QuestionScore, ...]:
    """Join the variants of each question, in the order of subject and id; the last record of an item counts."""
    variants: dict[tuple[str, str], list[ItemResult]] = {}
    for item in last_records(items):
        variants.setdefault((item.subject, item.question_id), []).append(item)
    return tuple(
        QuestionScore(
            subject=subject,
            question_id=question_id,
            share=None
            if any(item.outcome is Outcome.ERROR for item in group)
            else sum(item.outcome is Outcome.CORRECT for item in group) / len(group),
            num_variants=len(group),
            num_options=group[0].num_options,
        )
        for (subject, question_id), group in variants.items()
    )


def summarise(
    items: Iterable[ItemResult],
    *,
    groups: Mapping[str, str] | None = None,
    options: SummaryOptions | None = None,
) -> ExamSummary:
    """Make all figures of a run; the order of the items does not matter, and an item's last record counts.

    Micro figures over questions with one variant have Wilson intervals, with several variants Student intervals over
    the questions' means. Macro figures have bootstrap intervals, resampled within each subject. No items: figures
    without mean.

    Args:
        items: records of one run.
        groups: subject to group; subjects that are absent belong to none.
        options: how figures are made; None for the defaults.
    """
    chosen = options or SummaryOptions()
    by_subject = dict(groups or {})
    records = last_records(items)
    questions = score_questions(records)
    names = sorted({item.subject for item in records})
    group_names = sorted({by_subject[name] for name in names if name in by_subject})
    scored = [item for item in records if item.outcome is not Outcome.ERROR]
    return ExamSummary(
        overall=_overall(records, questions, by_subject, chosen),
        groups=tuple(_group(name, records, questions, by_subject, chosen) for name in group_names),
        subjects=tuple(_subject(name, records, questions, by_subject.get(name), chosen) for name in names),
        position_bias=measure_position_bias(scored, level=chosen.level),
        calibration=measure_calibration(scored, level=chosen.level, draws=chosen.draws, seed=chosen.seed),
        captured_mass=_mass(scored, chosen),
        options=chosen,
    )


def count_outcomes(items: Iterable[ItemResult]) -> dict[Outcome, int]:
    """Count items by outcome, all five named."""
    found = Counter(item.outcome for item in items)
    return {outcome: found[outcome] for outcome in Outcome}


def count_failures(items: Iterable[ItemResult]) -> dict[str, int]:
    """Count failures by kind, the most frequent first, equal ones by name."""
    found = Counter(item.failure.kind for item in items if item.failure is not None)
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def summary_to_json(summary: ExamSummary) -> JsonObject:
    """Return the summary as JSON; each figure is an `Estimate` or null."""
    return cast("JsonObject", _plain(asdict(summary)))


def without_collapsed_interval(estimate: Estimate) -> Estimate:
    """Drop error and interval of width 0, which items that all agree give; it would claim a certainty that few give."""
    if estimate.stderr != 0 or estimate.method == "wilson":
        return estimate
    words = f"{estimate.method}, no error: no two items of a stratum differ"
    return replace(estimate, stderr=None, ci_low=None, ci_high=None, method=words, draws=None, seed=None)


def estimate_to_json(estimate: Estimate) -> JsonObject:
    """Return an estimate as JSON; `estimate_from_json` is its inverse."""
    return cast("JsonObject", _plain(asdict(estimate)))


def estimate_from_json(row: Mapping[str, object]) -> Estimate:
    """Read what `estimate_to_json` writes.

    Raises:
        DataError: the parts contradict each other.
    """
    fields = dict(cast("dict[str, float]", row))
    unit = EstimateUnit(str(fields.pop("unit")))
    method = str(fields.pop("method"))
    return Estimate(unit=unit, method=method, **cast("dict[str, int]", fields))


def _plain(value: object) -> object:
    match value:
        case dict():
            return {str(key): _plain(part) for key, part in cast("dict[object, object]", value).items()}
        case list() | tuple():
            return [_plain(part) for part in cast("Sequence[object]", value)]
        case str():
            return str(value)
        case _:
            return value


def _overall(
    records: Sequence[ItemResult],
    questions: Sequence[QuestionScore],
    groups: Mapping[str, str],
    options: SummaryOptions,
) -> OverallSummary:
    grouped = [question for question in questions if question.subject in groups]
    num_variants = max((question.num_variants for question in questions), default=1)
    excluded = sum(question.share is None for question in questions)
    counts = count_outcomes(records)
    reason = WITHHELD.format(errors=counts[Outcome.ERROR], items=counted(len(records), "item"))
    subjects = {question.subject for question in questions}
    return OverallSummary(
        num_questions=len(questions),
        num_subjects=len(subjects),
        num_grouped_subjects=len(subjects & set(groups)),
        num_groups=len({groups[subject] for subject in subjects & set(groups)}),
        num_variants=num_variants,
        counts=counts,
        micro=_micro(questions, options),
        macro_subjects=_macro(questions, [q.subject for q in questions], options),
        macro_groups=_macro(grouped, [groups[q.subject] for q in grouped], options) if grouped else None,
        all_variants=_all_variants(questions, options) if num_variants > 1 else None,
        chance=_chance(questions),
        withheld=reason if _withheld(questions, options) else None,
        num_excluded=excluded if options.exclude_errors else 0,
        failures=count_failures(records),
    )


def _group(
    name: str,
    records: Sequence[ItemResult],
    questions: Sequence[QuestionScore],
    groups: Mapping[str, str],
    options: SummaryOptions,
) -> GroupSummary:
    inner = [question for question in questions if groups.get(question.subject) == name]
    return GroupSummary(
        group=name,
        num_subjects=len({question.subject for question in inner}),
        counts=count_outcomes(item for item in records if groups.get(item.subject) == name),
        micro=_micro(inner, options),
        macro_subjects=_macro(inner, [question.subject for question in inner], options),
        chance=_chance(inner),
    )


def _subject(
    name: str,
    records: Sequence[ItemResult],
    questions: Sequence[QuestionScore],
    group: str | None,
    options: SummaryOptions,
) -> SubjectSummary:
    inner = [question for question in questions if question.subject == name]
    return SubjectSummary(
        subject=name,
        group=group,
        counts=count_outcomes(item for item in records if item.subject == name),
        accuracy=_micro(inner, options),
        chance=_chance(inner),
    )


def _withheld(questions: Sequence[QuestionScore], options: SummaryOptions) -> bool:
    return not options.exclude_errors and any(question.share is None for question in questions)


def _micro(questions: Sequence[QuestionScore], options: SummaryOptions) -> Estimate | None:
    if _withheld(questions, options):
        return None
    shares = [question.share for question in questions if question.share is not None]
    missing = len(questions) - len(shares)
    if all(question.num_variants == 1 for question in questions):
        return proportion_estimate(round(sum(shares)), len(shares), level=options.level, num_unscored=missing)
    estimate = mean_estimate(shares, unit=EstimateUnit.SHARE, level=options.level, num_unscored=missing)
    return without_collapsed_interval(estimate)


def _macro(questions: Sequence[QuestionScore], strata: Sequence[Hashable], options: SummaryOptions) -> Estimate | None:
    if _withheld(questions, options):
        return None
    kept = [
        (question.share, stratum)
        for question, stratum in zip(questions, strata, strict=True)
        if question.share is not None
    ]
    shares = [share for share, _ in kept]
    # A mean is a difference to zero: this is the one bootstrap of twllm_runs that resamples within strata.
    estimate = paired_difference(
        shares,
        [0.0] * len(shares),
        unit=EstimateUnit.SHARE,
        strata=[stratum for _, stratum in kept],
        weighting="strata",
        method="bootstrap",
        draws=options.draws,
        seed=options.seed,
        level=options.level,
        num_unscored=len(questions) - len(kept),
    )
    return without_collapsed_interval(replace(estimate, method=estimate.method.removeprefix("paired ")))


def _all_variants(questions: Sequence[QuestionScore], options: SummaryOptions) -> Estimate | None:
    if _withheld(questions, options):
        return None
    shares = [question.share for question in questions if question.share is not None]
    return proportion_estimate(
        sum(share == 1.0 for share in shares),
        len(shares),
        level=options.level,
        num_unscored=len(questions) - len(shares),
    )


def _chance(questions: Sequence[QuestionScore]) -> float:
    return sum(1 / question.num_options for question in questions) / len(questions) if questions else 0.0


def _mass(items: Sequence[ItemResult], options: SummaryOptions) -> MassSummary | None:
    masses = [item.captured_mass for item in items if item.captured_mass is not None]
    if not masses:
        return None
    clusters = [(item.subject, item.question_id) for item in items if item.captured_mass is not None]
    return MassSummary(
        mean=mean_estimate(masses, unit=EstimateUnit.SHARE, clusters=clusters, level=options.level),
        least=min(masses),
        share_below=proportion_estimate(sum(mass < MASS_WARNING for mass in masses), len(masses), level=options.level),
    )
