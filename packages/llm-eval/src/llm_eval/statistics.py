"""The evaluation of judges: correlations, reliability, agreement, calibration, corrected means; needs numpy."""

from llm_eval._agreement import Agreement, AlphaLevel, KappaWeights, NoAgreement, cohen_kappa, krippendorff_alpha
from llm_eval._aligned import SystemColumns
from llm_eval._baselines import TextUnit, bleu4, response_length, rouge_l
from llm_eval._calibration import Calibration, CalibrationMethod, NoCalibration, calibrate
from llm_eval._correlation import Correlation, CorrelationMethod, NoCorrelation, correlate
from llm_eval._judge_scores import JudgeScores, plain_scores, scores_of_judgements
from llm_eval._load_judgements import load_judgements
from llm_eval._meta_evaluate import meta_evaluate
from llm_eval._meta_evaluation import (
    Clustering,
    CorrelationResult,
    DimensionEvaluation,
    EvaluationLevel,
    JudgeComparison,
    JudgeEvaluation,
    MetaEvaluation,
    NoCorrectedMean,
    SystemMean,
    VerdictAgreement,
    meta_evaluation_to_json,
)
from llm_eval._ppi import CorrectedMean, ppi_mean
from llm_eval._ppi_coverage import Coverage, simulate_coverage
from llm_eval._recorded import RecordedJudge, read_recorded
from llm_eval._reliability import (
    Halo,
    MeanCorrelation,
    NoReliability,
    Reliability,
    SelfConsistency,
    leave_one_rater_out,
    partial_correlation,
    reliability,
    self_consistency,
)
from llm_eval._resample import (
    CorrelationDifference,
    CorrelationEstimate,
    bootstrap_correlation_difference,
    bootstrap_correlations,
    permutation_p_values,
)
from llm_eval._system_reliability import system_rater_baseline, system_reliability

__all__ = [
    "Agreement",
    "AlphaLevel",
    "Calibration",
    "CalibrationMethod",
    "Clustering",
    "CorrectedMean",
    "Correlation",
    "CorrelationDifference",
    "CorrelationEstimate",
    "CorrelationMethod",
    "CorrelationResult",
    "Coverage",
    "DimensionEvaluation",
    "EvaluationLevel",
    "Halo",
    "JudgeComparison",
    "JudgeEvaluation",
    "JudgeScores",
    "KappaWeights",
    "MeanCorrelation",
    "MetaEvaluation",
    "NoAgreement",
    "NoCalibration",
    "NoCorrectedMean",
    "NoCorrelation",
    "NoReliability",
    "RecordedJudge",
    "Reliability",
    "SelfConsistency",
    "SystemColumns",
    "SystemMean",
    "TextUnit",
    "VerdictAgreement",
    "bleu4",
    "bootstrap_correlation_difference",
    "bootstrap_correlations",
    "calibrate",
    "cohen_kappa",
    "correlate",
    "krippendorff_alpha",
    "leave_one_rater_out",
    "load_judgements",
    "meta_evaluate",
    "meta_evaluation_to_json",
    "partial_correlation",
    "permutation_p_values",
    "plain_scores",
    "ppi_mean",
    "read_recorded",
    "reliability",
    "response_length",
    "rouge_l",
    "scores_of_judgements",
    "self_consistency",
    "simulate_coverage",
    "system_rater_baseline",
    "system_reliability",
]
