"""Judges as jobs: resumable runs, comparisons, preferences, meta-evaluations, gates and reports."""

from llm_eval._gate import GATE_FAILED, GateLine, GateResult, GateRules, GateTest, check_run
from llm_eval._judge_run import JudgeRun, run_judge
from llm_eval._judge_stored import StoredJudgeRun, read_judge_run, read_judgements
from llm_eval._judge_summary import (
    GroupSummary,
    ItemScore,
    JudgeSummary,
    SystemDifference,
    TokenTotals,
    estimate_from_json,
    estimate_to_json,
    item_scores,
    judge_summary_to_json,
    summarise_judgements,
)
from llm_eval._load_answers import Answer, AnswerFile, Question, load_answers
from llm_eval._meta_run import MetaInputs, MetaRun, MetaSettings, run_baselines, run_meta_evaluation
from llm_eval._pair_judgements import PairJudgement, PairKey, PairwiseSummary, SystemPair, summarise_pairs
from llm_eval._pairwise import PairOutcome, PairVerdict, PairWinner, combine_orders, pair_rates, parse_pair
from llm_eval._pairwise_run import PairwiseRun, PairwiseSettings, run_pairwise
from llm_eval._pairwise_stored import read_swaps
from llm_eval._prefer import PreferInputs, PreferResult, prefer
from llm_eval._report_stored import write_report
from llm_eval._show import show_judge_run

__all__ = [
    "GATE_FAILED",
    "Answer",
    "AnswerFile",
    "GateLine",
    "GateResult",
    "GateRules",
    "GateTest",
    "GroupSummary",
    "ItemScore",
    "JudgeRun",
    "JudgeSummary",
    "MetaInputs",
    "MetaRun",
    "MetaSettings",
    "PairJudgement",
    "PairKey",
    "PairOutcome",
    "PairVerdict",
    "PairWinner",
    "PairwiseRun",
    "PairwiseSettings",
    "PairwiseSummary",
    "PreferInputs",
    "PreferResult",
    "Question",
    "StoredJudgeRun",
    "SystemDifference",
    "SystemPair",
    "TokenTotals",
    "check_run",
    "combine_orders",
    "estimate_from_json",
    "estimate_to_json",
    "item_scores",
    "judge_summary_to_json",
    "load_answers",
    "pair_rates",
    "parse_pair",
    "prefer",
    "read_judge_run",
    "read_judgements",
    "read_swaps",
    "run_baselines",
    "run_judge",
    "run_meta_evaluation",
    "run_pairwise",
    "show_judge_run",
    "summarise_judgements",
    "summarise_pairs",
    "write_report",
]
