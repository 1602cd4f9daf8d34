# What __init__.py holds, and the types of the names that it loads when they are asked for (_lazy.py).
from icda._baselines import nearest_intents as nearest_intents
from icda._baselines import self_confidence_thresholds as self_confidence_thresholds
from icda._candidates import Candidate as Candidate
from icda._candidates import candidate_example as candidate_example
from icda._candidates import candidate_from_json as candidate_from_json
from icda._candidates import candidate_id as candidate_id
from icda._candidates import candidate_to_json as candidate_to_json
from icda._clean import Cleaner as Cleaner
from icda._clean import CleanRules as CleanRules
from icda._clean import RejectedLine as RejectedLine
from icda._clean import clean as clean
from icda._folds import CrossFit as CrossFit
from icda._folds import fold_of as fold_of
from icda._folds import seed_folds as seed_folds
from icda._guards import Guard as Guard
from icda._guards import GuardLevel as GuardLevel
from icda._guards import GuardName as GuardName
from icda._guards import GuardRules as GuardRules
from icda._guards import at_chance as at_chance
from icda._guards import class_collapse as class_collapse
from icda._guards import fitted_thresholds as fitted_thresholds
from icda._guards import kept_share as kept_share
from icda._guards import leakage as leakage
from icda._guards import low_v_information as low_v_information
from icda._guards import refuse_stops as refuse_stops
from icda._guards import unknown_tokens as unknown_tokens
from icda._metrics import accuracy as accuracy
from icda._metrics import auroc as auroc
from icda._metrics import macro_f1 as macro_f1
from icda._names import check_intent_names as check_intent_names
from icda._names import humanise_intent as humanise_intent
from icda._names import intent_key as intent_key
from icda._near_duplicates import NearDuplicate as NearDuplicate
from icda._near_duplicates import NearDuplicates as NearDuplicates
from icda._parse import ParsedLine as ParsedLine
from icda._parse import RejectReason as RejectReason
from icda._parse import parse_completion as parse_completion
from icda._prompts import PromptStyle as PromptStyle
from icda._prompts import build_prompt as build_prompt
from icda._prompts import choose_examples as choose_examples
from icda._prompts import stop_strings as stop_strings
from icda._pvi import label_logps as label_logps
from icda._pvi import pointwise_v_information as pointwise_v_information
from icda._pvi import prior_null_logps as prior_null_logps
from icda._pvi import v_information as v_information
from icda._scores import CandidateScores as CandidateScores
from icda._scores import join_scores as join_scores
from icda._scores import scores_from_logps as scores_from_logps
from icda._select import Selection as Selection
from icda._select import mass_weights as mass_weights
from icda._select import select as select
from icda._selection_rules import Decision as Decision
from icda._selection_rules import DecisionReason as DecisionReason
from icda._selection_rules import Outcome as Outcome
from icda._selection_rules import SelectionKind as SelectionKind
from icda._selection_rules import SelectionRules as SelectionRules
from icda._text import normalise_text as normalise_text
from icda._thresholds import EstimatedOn as EstimatedOn
from icda._thresholds import ThresholdRule as ThresholdRule
from icda._thresholds import Thresholds as Thresholds
from icda._thresholds import ThresholdScale as ThresholdScale
from icda._thresholds import class_thresholds as class_thresholds

__all__ = [
    "Candidate",
    "CleanRules",
    "Cleaner",
    "Decision",
    "DecisionReason",
    "Guard",
    "GuardLevel",
    "GuardName",
    "GuardRules",
    "NearDuplicate",
    "NearDuplicates",
    "Outcome",
    "ParsedLine",
    "PromptStyle",
    "RejectReason",
    "RejectedLine",
    "SelectionKind",
    "SelectionRules",
    "at_chance",
    "build_prompt",
    "candidate_example",
    "candidate_from_json",
    "candidate_id",
    "candidate_to_json",
    "check_intent_names",
    "choose_examples",
    "class_collapse",
    "clean",
    "fitted_thresholds",
    "humanise_intent",
    "intent_key",
    "kept_share",
    "leakage",
    "low_v_information",
    "normalise_text",
    "parse_completion",
    "refuse_stops",
    "stop_strings",
    "unknown_tokens",
]
