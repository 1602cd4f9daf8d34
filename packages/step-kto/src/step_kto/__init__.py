"""Stepwise Kahneman-Tversky optimisation: learning from binary feedback on steps and outcomes.

`StepKTOConfig`, `StepKTOTrainer`, `step_kto_loss` and the other names of `step_kto.training` are names of this package,
too; they import torch when they are first asked for, and are therefore not among those of a star import. The stages of
the loop are `step_kto.jobs`.
"""

import step_kto._lazy as _lazy
from step_kto._answer_extraction import AnswerSource, ExtractedAnswer, extract_answer
from step_kto._answers import AnswerOutcome, AnswerPolicy, Verdict, VerdictReason
from step_kto._arithmetic import ArithmeticProblem, ArithmeticSettings, Split, make_arithmetic_problems
from step_kto._arithmetic_truth import arithmetic_step_truth
from step_kto._converters import (
    from_bigbench_mistake,
    from_math_shepherd,
    from_mr_gsm8k,
    from_processbench,
    from_trl_stepwise,
    from_unpaired,
    unpaired_from_record,
)
from step_kto._data import SolutionSet, load_converted, load_solutions, validate_solutions, write_solutions
from step_kto._judges import CallableJudge, JudgeFailure, StepItem, StepJudge, StepJudgement, count_failures
from step_kto._judges_arithmetic import ArithmeticJudge
from step_kto._judges_llm import LlmStepJudge
from step_kto._judges_reward import RewardFormat, RewardModelJudge
from step_kto._labels import (
    LabelCode,
    LabelCounts,
    SolutionCounts,
    SuggestedWeights,
    apply_after_first_error,
    count_labels,
    suggest_weights,
)
from step_kto._metrics import (
    SampleCounts,
    accuracy,
    majority_vote,
    pass_at_k,
    pass_at_k_estimate,
    stepwise_errors_in_correct,
)
from step_kto._prm800k import from_prm800k, from_prm800k_rows
from step_kto._problems import Problem, load_problems, write_problems
from step_kto._scorecard import JudgeScorecard, first_error, first_error_scorecard
from step_kto._selection import Candidate, LeftOut, Selection, SelectionRules, select_solutions
from step_kto._steps import segment_steps
from step_kto._verify_pool import AnswerVerifier, verify_answer
from step_kto._weights import StepKTOWeights

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

__getattr__ = _lazy.load_name
