"""From items to figures: accuracy with interval by subject, group and exam, never without its counts.

`unparsed` and `truncated` answers are wrong ones: they stay in the denominator. An `error` is no answer: a figure over
items with errors is withheld until they are run again, or left out by explicit choice and counted as unscored.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

from tmlu_bench._aggregate_letters import measure_calibration, measure_position_bias, question_clusters
from tmlu_bench._estimates import mean_share, plain, share_of, without_collapsed_interval
from tmlu_bench._outcomes import ItemResult, Outcome, last_records
from tmlu_bench._summary import (
    ExamSummary,
    GroupSummary,
    MassSummary,
    OverallSummary,
    SubjectSummary,
    SummaryOptions,
)
from tmlu_bench._wording import counted
from twllm_runs.statistics import mean_estimate, paired_difference, proportion_estimate
from twllm_types import Estimate, EstimateUnit, JsonObject

MASS_WARNING = 0.9
WITHHELD = "{errors:,} of {items} ended in error; run them again with --retry-errors, or use --exclude-errors"


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
    return cast("JsonObject", plain(asdict(summary)))


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
    subjects = {question.subject for question in _counted(questions, options)}
    left_out = {question.subject for question in questions} - subjects
    group_names = {groups[subject] for subject in subjects & set(groups)}
    return OverallSummary(
        num_questions=len(questions),
        num_subjects=len(subjects),
        num_grouped_subjects=len(subjects & set(groups)),
        num_groups=len(group_names),
        subjects_left_out=tuple(sorted(left_out)),
        groups_left_out=tuple(sorted({groups[subject] for subject in left_out & set(groups)} - group_names)),
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
    subjects = {question.subject for question in _counted(inner, options)}
    return GroupSummary(
        group=name,
        num_subjects=len(subjects),
        subjects_left_out=tuple(sorted({question.subject for question in inner} - subjects)),
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


def _counted(questions: Sequence[QuestionScore], options: SummaryOptions) -> list[QuestionScore]:
    """Questions that the figures are made of; all of them where errors withhold the figures."""
    return [question for question in questions if question.share is not None or not options.exclude_errors]


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
    known = [(item, item.captured_mass) for item in items if item.captured_mass is not None]
    if not known:
        return None
    masses = [mass for _, mass in known]
    clusters = question_clusters([item for item, _ in known])
    return MassSummary(
        mean=mean_share(masses, clusters=clusters, level=options.level),
        least=min(masses),
        share_below=share_of([mass < MASS_WARNING for mass in masses], clusters=clusters, level=options.level),
    )
