"""Exams as jobs: run, read back, sum up, compare, report, and look for contamination."""

from tmlu_bench._aggregate import summarise, summary_to_json
from tmlu_bench._asked import AskedOverview
from tmlu_bench._compare import (
    ComparedRun,
    CompareOptions,
    Comparison,
    PairComparison,
    SubjectDifference,
    compare_runs,
    compared_run,
    comparison_to_json,
)
from tmlu_bench._contamination import ContaminationResult
from tmlu_bench._contamination_run import ContaminationInputs, ContaminationSettings, run_contamination
from tmlu_bench._estimates import estimate_from_json, estimate_to_json
from tmlu_bench._lm_eval_logs import read_lm_eval_run
from tmlu_bench._outcomes import (
    ItemFailure,
    ItemKey,
    ItemResult,
    Outcome,
    item_from_json,
    item_to_json,
    last_records,
)
from tmlu_bench._report_stored import read_compared, write_leaderboard, write_report
from tmlu_bench._run import ExamRun, run_exam
from tmlu_bench._run_plan import ExamSettings, plan_exam
from tmlu_bench._run_stored import StoredExam, read_exam, read_items
from tmlu_bench._show import show_comparison, show_contamination, show_exam, show_report
from tmlu_bench._summary import ExamSummary, GroupSummary, OverallSummary, SubjectSummary, SummaryOptions

__all__ = [
    "AskedOverview",
    "CompareOptions",
    "ComparedRun",
    "Comparison",
    "ContaminationInputs",
    "ContaminationResult",
    "ContaminationSettings",
    "ExamRun",
    "ExamSettings",
    "ExamSummary",
    "GroupSummary",
    "ItemFailure",
    "ItemKey",
    "ItemResult",
    "Outcome",
    "OverallSummary",
    "PairComparison",
    "StoredExam",
    "SubjectDifference",
    "SubjectSummary",
    "SummaryOptions",
    "compare_runs",
    "compared_run",
    "comparison_to_json",
    "estimate_from_json",
    "estimate_to_json",
    "item_from_json",
    "item_to_json",
    "last_records",
    "plan_exam",
    "read_compared",
    "read_exam",
    "read_items",
    "read_lm_eval_run",
    "run_contamination",
    "run_exam",
    "show_comparison",
    "show_contamination",
    "show_exam",
    "show_report",
    "summarise",
    "summary_to_json",
    "write_leaderboard",
    "write_report",
]
