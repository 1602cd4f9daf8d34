"""What is known of a judge after it was held against people."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, StrEnum
from typing import cast

from llm_eval._agreement import Agreement
from llm_eval._calibration import Calibration, CalibrationMethod
from llm_eval._correlation import Correlation, CorrelationMethod
from llm_eval._ppi import CorrectedMean
from llm_eval._ratings import RatingFaultKind
from llm_eval._reliability import Halo, MeanCorrelation, Reliability, SelfConsistency
from llm_eval._resample import CorrelationDifference
from twllm_types import DataError, Estimate, FrozenDict, JsonObject, JsonValue

META_EVALUATION_SCHEMA_VERSION = 1


class EvaluationLevel(StrEnum):
    """What is correlated: responses, dialogues, or the means of systems."""

    TURN = "turn"
    DIALOGUE = "dialogue"
    SYSTEM = "system"


class Clustering(StrEnum):
    """Which items depend on each other: those of one context (or named cluster), those of one system, or none."""

    CONTEXT = "context"
    SYSTEM = "system"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationResult:
    """One coefficient against people.

    Attributes:
        correlation: the coefficient, or why there is none.
        by_items: its interval from resampled items; None without a coefficient.
        by_clusters: the same from resampled clusters; None without a coefficient, or where nothing is clustered.
        permutation_p: two-sided p-value by permutation, of clusters where there are any; None without a coefficient or
            where it was not asked for.
    """

    correlation: Correlation
    by_items: Estimate | None
    by_clusters: Estimate | None
    permutation_p: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictAgreement:
    """Agreement on words.

    Attributes:
        kappa: Cohen's kappa of the judge with the most frequent human verdict.
        weighted_kappa: the same with quadratic weights by the order of the verdicts.
        people: Krippendorff's alpha among the human raters.
        people_and_judge: the same with the judge as one rater more.
        num_tied: items without a most frequent human verdict, which are in no kappa.
    """

    kappa: Agreement
    weighted_kappa: Agreement
    people: Agreement
    people_and_judge: Agreement
    num_tied: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionEvaluation:
    """One dimension of one judge.

    Attributes:
        dimension: as the judge names it.
        human_dimension: as the ratings name it.
        n: items (or systems) with a rating and a score.
        num_unscored: rated items without a score.
        correlations: by method.
        within_clusters: mean of the coefficients inside of the clusters, by method; empty where nothing is clustered.
        reliability: agreement of the raters over the rated items, or over the means of systems at their level, with the
            ceiling.
        rater_baseline: one rater against the mean of the others, by method; likewise.
        baselines: coefficient of length, BLEU-4 and ROUGE-L with the same ratings on the same items, by name and
            method; only those that the items allow.
        length_partial: the judge's coefficient with length taken out, by method; empty without items.
        self_consistency: how far the repeats agree.
        verdicts: agreement on words; None for a dimension that is rated by numbers.
        calibration: error before and after, by the shape of the map; empty at the level of systems.
    """

    dimension: str
    human_dimension: str
    n: int
    num_unscored: int
    correlations: Mapping[CorrelationMethod, CorrelationResult]
    within_clusters: Mapping[CorrelationMethod, MeanCorrelation]
    reliability: Reliability
    rater_baseline: Mapping[CorrelationMethod, MeanCorrelation]
    baselines: Mapping[str, Mapping[CorrelationMethod, CorrelationResult]]
    length_partial: Mapping[CorrelationMethod, Correlation]
    self_consistency: SelfConsistency
    verdicts: VerdictAgreement | None
    calibration: Mapping[CalibrationMethod, Calibration]

    def __post_init__(self) -> None:
        for name in (
            "correlations",
            "within_clusters",
            "rater_baseline",
            "baselines",
            "length_partial",
            "calibration",
        ):
            object.__setattr__(self, name, FrozenDict(getattr(self, name)))


class NoCorrectedMean(StrEnum):
    """Why a system's mean rating was not corrected."""

    NOTHING_UNLABELLED = "nothing_unlabelled"
    """Every judged item is rated: the human mean is all there is to know."""
    TOO_FEW_LABELLED = "too_few_labelled"
    """Fewer than three rated items or clusters, on which the judge's weight is fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMean:
    """The mean of one system in one dimension.

    Attributes:
        system: its name; None for items that name none.
        dimension: as the judge names it.
        judge: mean score over all judged items of the system, on the judge's scale.
        human: mean rating over the rated ones.
        corrected: the prediction-powered mean beside the other two; None with a reason.
        reason: why it is None.
    """

    system: str | None
    dimension: str
    judge: Estimate
    human: Estimate
    corrected: CorrectedMean | None
    reason: NoCorrectedMean | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeEvaluation:
    """One judge.

    Attributes:
        judge: its name.
        num_failed: failed judgements.
        failures: the same by kind.
        unmatched: ids that it judged and that are neither rated nor among the items.
        num_unjudged: rated items that it did not judge, or of which every judgement failed.
        dimensions: those that people rated, too.
        unrated_dimensions: those that people did not rate.
        halo: correlation of each two dimensions, beside that of people.
        systems: mean of each system and dimension.
    """

    judge: str
    num_failed: int
    failures: Mapping[str, int]
    unmatched: tuple[str, ...]
    num_unjudged: int
    dimensions: tuple[DimensionEvaluation, ...]
    unrated_dimensions: tuple[str, ...]
    halo: tuple[Halo, ...]
    systems: tuple[SystemMean, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "failures", FrozenDict(self.failures))


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeComparison:
    """Two judges against the same ratings, on the items that both scored.

    Attributes:
        first: name of one judge.
        second: name of the other.
        dimension: as the ratings name it.
        method: which coefficient.
        difference: that of the first less that of the second.
    """

    first: str
    second: str
    dimension: str
    method: CorrelationMethod
    difference: CorrelationDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaEvaluation:
    """Judges against people.

    Attributes:
        level: what was correlated.
        clustering: which items depend on each other.
        num_rated: rated items that were used.
        left_out_systems: systems whose items were left out.
        num_faults: ratings that were left out, by kind.
        judges: one after the other.
        comparisons: of each two judges.
        draws: bootstrap and permutation draws.
        seed: of all draws.
        confidence: coverage of the intervals.
    """

    level: EvaluationLevel
    clustering: Clustering
    num_rated: int
    left_out_systems: tuple[str, ...]
    num_faults: Mapping[RatingFaultKind, int]
    judges: tuple[JudgeEvaluation, ...]
    comparisons: tuple[JudgeComparison, ...]
    draws: int
    seed: int
    confidence: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "num_faults", FrozenDict(self.num_faults))


def meta_evaluation_to_json(evaluation: MetaEvaluation) -> JsonObject:
    """All fields by their names, with `schema_version`; what is undefined is null beside its reason."""
    return {"schema_version": META_EVALUATION_SCHEMA_VERSION, **cast("JsonObject", _to_json(evaluation))}


def _to_json(value: object) -> JsonValue:
    if isinstance(value, Enum):
        return str(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_dataclass(value):
        return {field.name: _to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _to_json(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, tuple):
        return [_to_json(item) for item in cast("tuple[object, ...]", value)]
    raise DataError(f"{type(value).__name__} has no place in a meta-evaluation; report this as a fault of llm-eval")
