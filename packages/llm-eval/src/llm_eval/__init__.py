"""One-call multi-dimensional LLM judge for dialogue, and the evaluation of judges.

Asking and reading are here; runs in `llm_eval.jobs`, statistics in `llm_eval.statistics`, the assertion for test suites
in `llm_eval.testing`.
"""

from llm_eval._best_of import BestOf, best_of
from llm_eval._dimensions import PAPER_DIMENSIONS, Dimension, dimension_from_json, dimension_to_json
from llm_eval._expected import PathQuestion, expected_from_likelihoods, expected_scores, path_question
from llm_eval._face import correlate, meta_evaluate
from llm_eval._items import JudgeItem, Level, Turn, item_from_json, item_to_json
from llm_eval._judge import judge, judge_stream, make_settings
from llm_eval._judge_settings import JudgeSettings, PromptForm, RetryPolicy
from llm_eval._judgements import (
    DimensionScore,
    Judgement,
    JudgementFailure,
    JudgementFailureKind,
    ParseFailure,
    ScoreMethod,
    judgement_from_json,
    judgement_to_json,
)
from llm_eval._load_items import load_items
from llm_eval._load_ratings import load_ratings
from llm_eval._pairwise_prompts import PairStyle, build_pair_prompt, pair_schema
from llm_eval._parse import ParsedScores, ParsedValue, argmax_scores, parse_scores
from llm_eval._preferences import (
    ChosenPair,
    LabelledResponse,
    NoPreference,
    PairChoice,
    PreferenceForm,
    PreferenceRules,
    Preferences,
    SwapVerdict,
    label_row,
    pair_row,
    select_preferences,
)
from llm_eval._prompts import PromptStyle, build_prompt
from llm_eval._ratings import RatedItem, RatingFault, RatingFaultKind, Ratings
from llm_eval._sampled import sampled_scores
from llm_eval._scales import SCALE_0_5, SCALE_0_5_INT, SCALE_0_100, NumberScale, Scale, VerdictScale, parse_scale
from llm_eval._schema import answer_schema

__all__ = [
    "PAPER_DIMENSIONS",
    "SCALE_0_5",
    "SCALE_0_5_INT",
    "SCALE_0_100",
    "BestOf",
    "ChosenPair",
    "Dimension",
    "DimensionScore",
    "JudgeItem",
    "JudgeSettings",
    "Judgement",
    "JudgementFailure",
    "JudgementFailureKind",
    "LabelledResponse",
    "Level",
    "NoPreference",
    "NumberScale",
    "PairChoice",
    "PairStyle",
    "ParseFailure",
    "ParsedScores",
    "ParsedValue",
    "PathQuestion",
    "PreferenceForm",
    "PreferenceRules",
    "Preferences",
    "PromptForm",
    "PromptStyle",
    "RatedItem",
    "RatingFault",
    "RatingFaultKind",
    "Ratings",
    "RetryPolicy",
    "Scale",
    "ScoreMethod",
    "SwapVerdict",
    "Turn",
    "VerdictScale",
    "answer_schema",
    "argmax_scores",
    "best_of",
    "build_pair_prompt",
    "build_prompt",
    "correlate",
    "dimension_from_json",
    "dimension_to_json",
    "expected_from_likelihoods",
    "expected_scores",
    "item_from_json",
    "item_to_json",
    "judge",
    "judge_stream",
    "judgement_from_json",
    "judgement_to_json",
    "label_row",
    "load_items",
    "load_ratings",
    "make_settings",
    "meta_evaluate",
    "pair_row",
    "pair_schema",
    "parse_scale",
    "parse_scores",
    "path_question",
    "sampled_scores",
    "select_preferences",
]
