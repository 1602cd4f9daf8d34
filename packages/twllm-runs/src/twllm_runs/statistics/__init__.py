"""Statistics of evaluations: estimates with intervals, comparisons on the same items, corrected p-values.

numpy and the standard library only; no clock and no global random state. What is random takes `seed` and `draws`.
"""

from twllm_runs.statistics._bootstrap import bootstrap_estimate
from twllm_runs.statistics._design import Weighting
from twllm_runs.statistics._format import EstimateText, estimate_text, format_estimate
from twllm_runs.statistics._means import mean_estimate, scores_estimate
from twllm_runs.statistics._paired import PairedMethod, paired_difference, paired_scores_difference
from twllm_runs.statistics._power import minimum_detectable_difference
from twllm_runs.statistics._proportions import clopper_pearson_interval, proportion_estimate, wilson_interval
from twllm_runs.statistics._ratios import RatioMethod, ratio_estimate
from twllm_runs.statistics._significance import (
    McnemarMethod,
    TestResult,
    benjamini_hochberg,
    holm,
    mcnemar,
    permutation_test_paired,
)
from twllm_runs.statistics._special import correlation_p_value, student_quantile

__all__ = [
    "EstimateText",
    "McnemarMethod",
    "PairedMethod",
    "RatioMethod",
    "TestResult",
    "Weighting",
    "benjamini_hochberg",
    "bootstrap_estimate",
    "clopper_pearson_interval",
    "correlation_p_value",
    "estimate_text",
    "format_estimate",
    "holm",
    "mcnemar",
    "mean_estimate",
    "minimum_detectable_difference",
    "paired_difference",
    "paired_scores_difference",
    "permutation_test_paired",
    "proportion_estimate",
    "ratio_estimate",
    "scores_estimate",
    "student_quantile",
    "wilson_interval",
]
