"""Runs compared on the questions that they have in common: which model is better, and could this sample show it."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import cast

from tmlu_bench._aggregate import score_questions
from tmlu_bench._asked import differing
from tmlu_bench._estimates import without_collapsed_interval
from tmlu_bench._outcomes import ItemResult
from tmlu_bench._wording import counted
from twllm_runs.statistics import (
    TestResult,
    benjamini_hochberg,
    holm,
    mcnemar,
    minimum_detectable_difference,
    paired_difference,
    permutation_test_paired,
)
from twllm_types import ConfigError, DataError, Estimate, EstimateUnit, JsonObject

QuestionKey = tuple[str, str]
"""Subject and question id."""

_PROMPT_SETTINGS = frozenset({"protocol", "num_shots", "data", "form", "permute"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """What a comparison needs of one run.

    Attributes:
        name: what to call it; unique in a comparison.
        shares: question to the share of its variants answered rightly, 0 or 1 without permutations; None where it
            ended in error.
        setting: what must agree between runs for a fair comparison, "protocol", "scoring", "num_shots", ...
        prompts: question to the hash of its prompt, of those that are known. Where two runs put the same prompts to all
            common questions, their names for protocol, shots and data need not agree.
    """

    name: str
    shares: Mapping[QuestionKey, float | None]
    setting: Mapping[str, str] = field(default_factory=dict[str, str])
    prompts: Mapping[QuestionKey, str] = field(default_factory=dict[QuestionKey, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """How runs are compared.

    Attributes:
        allow_different: compare runs of different settings or questions; the differences are listed in the result.
        exclude_errors: leave questions out on which a run ended in error; else they are refused.
        level: coverage of the intervals, in (0, 1).
        draws: resamples.
        seed: of the resamples.
        power: for the smallest difference that the sample can show.
    """

    allow_different: bool = False
    exclude_errors: bool = False
    level: float = 0.95
    draws: int = 2000
    seed: int = 0
    power: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectDifference:
    """One subject of one pair; p-values corrected over the subjects of the pair."""

    subject: str
    difference: Estimate
    test: TestResult
    p_holm: float
    p_benjamini_hochberg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairComparison:
    """Two runs; differences are first - second.

    Attributes:
        first: name of the first run.
        second: name of the second.
        num_only_first: questions that only the first answers rightly (in all variants).
        num_only_second: the same for the second.
        micro: difference with each question alike, resampled within subjects.
        macro_subjects: difference with each subject alike.
        test: McNemar's exact test; with several variants a question may be half right, and signs are flipped instead.
        p_holm: corrected over the pairs.
        p_benjamini_hochberg: corrected over the pairs.
        detectable: smallest difference that a test on as many questions finds with the power asked for, given the
            share on which the two differ; None where they never differ or even the largest would not be found:
            `detectable_text` tells the two apart.
        subjects: per subject.
    """

    first: str
    second: str
    num_only_first: int
    num_only_second: int
    micro: Estimate
    macro_subjects: Estimate
    test: TestResult
    p_holm: float
    p_benjamini_hochberg: float
    detectable: float | None
    subjects: tuple[SubjectDifference, ...]

    @property
    def detectable_text(self) -> str:
        """`detectable` in percentage points, or why there is none."""
        if self.detectable is not None:
            return f"{100 * self.detectable:.1f} pp"
        if self.num_only_first + self.num_only_second == 0:
            return "not known, as no question is right in one run only"
        return f"none, {counted(self.micro.n, 'question is', 'questions are')} too few for any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two or more runs on their common questions.

    Attributes:
        names: of the runs, in the order given.
        num_common: questions that every run has and none ended in error.
        num_left_out: per run, its questions that are not among the common ones.
        num_errors: common questions left out for errors.
        different: settings that differ, "protocol: tmlu-direct@1 (a), lm-eval-tmlu@1 (b)"; empty where all agree.
        pairs: each two runs.
        options: how it was made.
    """

    names: tuple[str, ...]
    num_common: int
    num_left_out: Mapping[str, int]
    num_errors: int
    different: tuple[str, ...]
    pairs: tuple[PairComparison, ...]
    options: CompareOptions


def compared_run(name: str, items: Sequence[ItemResult], setting: Mapping[str, str]) -> ComparedRun:
    """Make a run comparable; variants of a question are joined by their mean."""
    shares = {(score.subject, score.question_id): score.share for score in score_questions(items)}
    prompts = {
        (item.subject, item.question_id): item.prompt_sha256
        for item in items
        if item.variant == 0 and item.prompt_sha256 is not None
    }
    return ComparedRun(name=name, shares=shares, setting=dict(setting), prompts=prompts)


def compare_runs(runs: Sequence[ComparedRun], options: CompareOptions | None = None) -> Comparison:
    """Compare every two runs on the questions that all have in common.

    Args:
        runs: two or more, of different names.
        options: how; None for the defaults.

    Raises:
        ConfigError: fewer than two runs, a name twice, other settings or questions without `allow_different`, or
            errors without `exclude_errors`.
        DataError: the runs have no question in common, or on each some run ended in error.
    """
    chosen = options or CompareOptions()
    names = tuple(run.name for run in runs)
    different, keys, num_errors = _common(runs, chosen)
    return Comparison(
        names=names,
        num_common=len(keys),
        num_left_out={run.name: len(run.shares) - len(keys) for run in runs},
        num_errors=num_errors,
        different=different,
        pairs=_correct_pairs([_pair(a, b, keys, chosen) for a, b in combinations(runs, 2)]),
        options=chosen,
    )


def split_comparable(
    runs: Sequence[ComparedRun], options: CompareOptions
) -> tuple[tuple[ComparedRun, ...], dict[str, str]]:
    """Leave runs out, those first that compare with the fewest, until the others compare.

    Args:
        runs: of different names.
        options: how they are to be compared.

    Returns:
        The runs that compare, in order, where fewer than two are no comparison; and run to why it is left out.
    """
    kept, left_out = list(runs), dict[str, str]()
    while len(kept) > 1 and (whole := _problem(kept, options)) is not None:
        problems: dict[str, list[str]] = {run.name: [] for run in kept}
        for pair in combinations(kept, 2):
            problem = _problem(pair, options)
            for run in pair if problem is not None else ():
                problems[run.name].append(problem or whole)
        worst = max(kept, key=lambda run: (len(problems[run.name]), _num_errors(run)))
        left_out[worst.name] = next(iter(problems[worst.name]), whole)
        kept.remove(worst)
    return tuple(kept), left_out


def _problem(runs: Sequence[ComparedRun], options: CompareOptions) -> str | None:
    try:
        _common(runs, options)
    except (ConfigError, DataError) as error:
        return str(error)
    return None


def _num_errors(run: ComparedRun) -> int:
    return sum(share is None for share in run.shares.values())


def _common(runs: Sequence[ComparedRun], chosen: CompareOptions) -> tuple[tuple[str, ...], list[QuestionKey], int]:
    """What differs, the questions to compare on, and how many more had errors; raises as `compare_runs`."""
    names = [run.name for run in runs]
    if len(runs) < 2 or len(set(names)) < len(names):
        raise ConfigError(f"runs are {', '.join(names) or 'none'}; give two or more runs of different names")
    different = _differences(runs)
    if different and not chosen.allow_different:
        raise ConfigError(
            f"the runs are not alike: {'; '.join(different)}; scores of different protocols or data do not compare, "
            "run them alike or use --allow-different"
        )
    shared = _shared(runs)
    if not shared:
        raise DataError("the runs have no question in common; check that subjects and question ids are the same")
    failed = {key for key in shared if any(run.shares[key] is None for run in runs)}
    if failed == shared:
        raise DataError(f"{_whose_errors(runs, shared)}, so nothing is left to compare; run again with --retry-errors")
    if failed and not chosen.exclude_errors:
        raise ConfigError(
            f"{counted(len(failed), 'common question')} ended in error; run again with --retry-errors, "
            "or leave them out with --exclude-errors"
        )
    return different, sorted(shared - failed), len(failed)


def comparison_to_json(comparison: Comparison) -> JsonObject:
    """Return the comparison as JSON."""
    return cast("JsonObject", asdict(comparison))


def _differences(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    shown_by_prompts = _PROMPT_SETTINGS if _same_prompts(runs) else frozenset[str]()
    lines = list(differing({run.name: run.setting for run in runs}, ignore=shown_by_prompts))
    questions = [set(run.shares) for run in runs]
    if any(keys != questions[0] for keys in questions[1:]):
        shared = _shared(runs)
        counts = ", ".join(f"{len(run.shares):,} ({run.name})" for run in runs)
        lines.append(f"questions: {counts}, {len(shared):,} in common")
    return tuple(lines)


def _whose_errors(runs: Sequence[ComparedRun], shared: AbstractSet[QuestionKey]) -> str:
    failed = {run.name: sum(run.shares[key] is None for key in shared) for run in runs}
    errors = ", ".join(f"{number:,} ({name})" for name, number in failed.items())
    return f"each of {counted(len(shared), 'common question')} ended in error in some run: {errors}"


def _shared(runs: Sequence[ComparedRun]) -> set[QuestionKey]:
    shared = set(runs[0].shares)
    for run in runs[1:]:
        shared &= set(run.shares)
    return shared


def _same_prompts(runs: Sequence[ComparedRun]) -> bool:
    known = [{key: run.prompts[key] for key in _shared(runs) if key in run.prompts} for run in runs]
    return len(known[0]) == len(_shared(runs)) > 0 and all(prompts == known[0] for prompts in known[1:])


def _pair(
    first: ComparedRun, second: ComparedRun, keys: Sequence[QuestionKey], options: CompareOptions
) -> PairComparison:
    a, b = _shares(first, keys), _shares(second, keys)
    strata = [subject for subject, _ in keys]
    only_first, only_second = _discordant(a, b)
    discordant = only_first + only_second
    return PairComparison(
        first=first.name,
        second=second.name,
        num_only_first=only_first,
        num_only_second=only_second,
        micro=_difference(a, b, options, strata=strata),
        macro_subjects=_difference(a, b, options, strata=strata, macro=True),
        test=_test(a, b, options),
        p_holm=1.0,
        p_benjamini_hochberg=1.0,
        detectable=minimum_detectable_difference(
            len(keys), discordant_share=discordant / len(keys), level=options.level, power=options.power
        )
        if discordant
        else None,
        subjects=_subject_differences(a, b, strata, options),
    )


def _subject_differences(
    a: Sequence[float], b: Sequence[float], strata: Sequence[str], options: CompareOptions
) -> tuple[SubjectDifference, ...]:
    names = sorted(set(strata))
    rows: list[tuple[Estimate, TestResult]] = []
    for name in names:
        places = [place for place, stratum in enumerate(strata) if stratum == name]
        inner_a, inner_b = [a[place] for place in places], [b[place] for place in places]
        rows.append((_difference(inner_a, inner_b, options), _test(inner_a, inner_b, options)))
    p_values = [test.p_value for _, test in rows]
    return tuple(
        SubjectDifference(subject=name, difference=difference, test=test, p_holm=by_holm, p_benjamini_hochberg=by_bh)
        for name, (difference, test), by_holm, by_bh in zip(
            names, rows, holm(p_values), benjamini_hochberg(p_values), strict=True
        )
    )


def _difference(
    a: Sequence[float],
    b: Sequence[float],
    options: CompareOptions,
    *,
    strata: Sequence[str] | None = None,
    macro: bool = False,
) -> Estimate:
    estimate = paired_difference(
        a,
        b,
        unit=EstimateUnit.SHARE,
        strata=strata,
        weighting="strata" if macro else "items",
        method="bootstrap",
        draws=options.draws,
        seed=options.seed,
        level=options.level,
    )
    return without_collapsed_interval(estimate)


def _test(a: Sequence[float], b: Sequence[float], options: CompareOptions) -> TestResult:
    if all(value in (0.0, 1.0) for value in (*a, *b)):
        return mcnemar(*_discordant(a, b))
    return permutation_test_paired(a, b, seed=options.seed, draws=max(options.draws, 10_000))


def _discordant(a: Sequence[float], b: Sequence[float]) -> tuple[int, int]:
    pairs = [(x == 1.0, y == 1.0) for x, y in zip(a, b, strict=True)]
    return sum(x and not y for x, y in pairs), sum(y and not x for x, y in pairs)


def _shares(run: ComparedRun, keys: Sequence[QuestionKey]) -> list[float]:
    return [share for key in keys if (share := run.shares[key]) is not None]


def _correct_pairs(pairs: Sequence[PairComparison]) -> tuple[PairComparison, ...]:
    p_values = [pair.test.p_value for pair in pairs]
    corrected = zip(pairs, holm(p_values), benjamini_hochberg(p_values), strict=True)
    return tuple(replace(pair, p_holm=one, p_benjamini_hochberg=other) for pair, one, other in corrected)
