# What __init__.py holds, and the types of the names that it loads when they are asked for (_lazy.py).
from step_kto._answer_extraction import AnswerSource as AnswerSource
from step_kto._answer_extraction import ExtractedAnswer as ExtractedAnswer
from step_kto._answer_extraction import extract_answer as extract_answer
from step_kto._answers import AnswerOutcome as AnswerOutcome
from step_kto._answers import AnswerPolicy as AnswerPolicy
from step_kto._answers import Verdict as Verdict
from step_kto._answers import VerdictReason as VerdictReason
from step_kto._arithmetic import ArithmeticProblem as ArithmeticProblem
from step_kto._arithmetic import ArithmeticSettings as ArithmeticSettings
from step_kto._arithmetic import Split as Split
from step_kto._arithmetic import make_arithmetic_problems as make_arithmetic_problems
from step_kto._arithmetic_truth import arithmetic_step_truth as arithmetic_step_truth
from step_kto._converters import from_bigbench_mistake as from_bigbench_mistake
from step_kto._converters import from_math_shepherd as from_math_shepherd
from step_kto._converters import from_mr_gsm8k as from_mr_gsm8k
from step_kto._converters import from_processbench as from_processbench
from step_kto._converters import from_trl_stepwise as from_trl_stepwise
from step_kto._converters import from_unpaired as from_unpaired
from step_kto._converters import unpaired_from_record as unpaired_from_record
from step_kto._data import SolutionSet as SolutionSet
from step_kto._data import load_converted as load_converted
from step_kto._data import load_solutions as load_solutions
from step_kto._data import validate_solutions as validate_solutions
from step_kto._data import write_solutions as write_solutions
from step_kto._judges import CallableJudge as CallableJudge
from step_kto._judges import JudgeFailure as JudgeFailure
from step_kto._judges import StepItem as StepItem
from step_kto._judges import StepJudge as StepJudge
from step_kto._judges import StepJudgement as StepJudgement
from step_kto._judges import count_failures as count_failures
from step_kto._judges_arithmetic import ArithmeticJudge as ArithmeticJudge
from step_kto._judges_llm import LlmStepJudge as LlmStepJudge
from step_kto._judges_reward import RewardFormat as RewardFormat
from step_kto._judges_reward import RewardModelJudge as RewardModelJudge
from step_kto._labels import LabelCode as LabelCode
from step_kto._labels import LabelCounts as LabelCounts
from step_kto._labels import SolutionCounts as SolutionCounts
from step_kto._labels import SuggestedWeights as SuggestedWeights
from step_kto._labels import apply_after_first_error as apply_after_first_error
from step_kto._labels import count_labels as count_labels
from step_kto._labels import suggest_weights as suggest_weights
from step_kto._metrics import SampleCounts as SampleCounts
from step_kto._metrics import accuracy as accuracy
from step_kto._metrics import majority_vote as majority_vote
from step_kto._metrics import pass_at_k as pass_at_k
from step_kto._metrics import pass_at_k_estimate as pass_at_k_estimate
from step_kto._metrics import stepwise_errors_in_correct as stepwise_errors_in_correct
from step_kto._prm800k import from_prm800k as from_prm800k
from step_kto._prm800k import from_prm800k_rows as from_prm800k_rows
from step_kto._problems import Problem as Problem
from step_kto._problems import load_problems as load_problems
from step_kto._problems import write_problems as write_problems
from step_kto._scorecard import JudgeScorecard as JudgeScorecard
from step_kto._scorecard import first_error as first_error
from step_kto._scorecard import first_error_scorecard as first_error_scorecard
from step_kto._selection import Candidate as Candidate
from step_kto._selection import LeftOut as LeftOut
from step_kto._selection import Selection as Selection
from step_kto._selection import SelectionRules as SelectionRules
from step_kto._selection import select_solutions as select_solutions
from step_kto._steps import segment_steps as segment_steps
from step_kto._verify_pool import AnswerVerifier as AnswerVerifier
from step_kto._verify_pool import verify_answer as verify_answer
from step_kto._weights import StepKTOWeights as StepKTOWeights
from step_kto.training import Z0 as Z0
from step_kto.training import StepKTOConfig as StepKTOConfig
from step_kto.training import StepKTOLoss as StepKTOLoss
from step_kto.training import StepKTOTrainer as StepKTOTrainer
from step_kto.training import mismatched_z0 as mismatched_z0
from step_kto.training import step_kto_loss as step_kto_loss
from step_kto.training import step_sums as step_sums
from step_kto.training import train_baseline as train_baseline

__all__ = [
    "AnswerOutcome",
    "AnswerPolicy",
    "AnswerSource",
    "AnswerVerifier",
    "ArithmeticJudge",
    "ArithmeticProblem",
    "ArithmeticSettings",
    "CallableJudge",
    "Candidate",
    "ExtractedAnswer",
    "JudgeFailure",
    "JudgeScorecard",
    "LabelCode",
    "LabelCounts",
    "LeftOut",
    "LlmStepJudge",
    "Problem",
    "RewardFormat",
    "RewardModelJudge",
    "SampleCounts",
    "Selection",
    "SelectionRules",
    "SolutionCounts",
    "SolutionSet",
    "Split",
    "StepItem",
    "StepJudge",
    "StepJudgement",
    "StepKTOWeights",
    "SuggestedWeights",
    "Verdict",
    "VerdictReason",
    "accuracy",
    "apply_after_first_error",
    "arithmetic_step_truth",
    "count_failures",
    "count_labels",
    "extract_answer",
    "first_error",
    "first_error_scorecard",
    "from_bigbench_mistake",
    "from_math_shepherd",
    "from_mr_gsm8k",
    "from_prm800k",
    "from_prm800k_rows",
    "from_processbench",
    "from_trl_stepwise",
    "from_unpaired",
    "load_converted",
    "load_problems",
    "load_solutions",
    "majority_vote",
    "make_arithmetic_problems",
    "pass_at_k",
    "pass_at_k_estimate",
    "segment_steps",
    "select_solutions",
    "stepwise_errors_in_correct",
    "suggest_weights",
    "unpaired_from_record",
    "validate_solutions",
    "verify_answer",
    "write_problems",
    "write_solutions",
]
