"""In-context data augmentation for intent detection, selected by pointwise V-information.

Generate utterances per intent with a language model, score them with a classifier fitted on the real seeds, keep those
that carry information, and see beside every selection what simpler rules would have kept. `pointwise_v_information`,
`class_thresholds`, `select` and the other names of `_lazy.py` are names of this package, too; they import numpy when
they are first asked for, and are therefore not among those of a star import.
"""

import icda._lazy as _lazy
from icda._candidates import Candidate, candidate_example, candidate_from_json, candidate_id, candidate_to_json
from icda._clean import Cleaner, CleanRules, RejectedLine, clean
from icda._guards import (
    Guard,
    GuardLevel,
    GuardName,
    GuardRules,
    at_chance,
    class_collapse,
    fitted_thresholds,
    kept_share,
    leakage,
    low_v_information,
    refuse_stops,
    unknown_tokens,
)
from icda._names import check_intent_names, humanise_intent, intent_key
from icda._near_duplicates import NearDuplicate, NearDuplicates
from icda._parse import ParsedLine, RejectReason, parse_completion
from icda._prompts import PromptStyle, build_prompt, choose_examples, stop_strings
from icda._selection_rules import Decision, DecisionReason, Outcome, SelectionKind, SelectionRules
from icda._text import normalise_text

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

__getattr__ = _lazy.load_name
