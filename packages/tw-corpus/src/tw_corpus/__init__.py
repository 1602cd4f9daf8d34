"""Curation of Taiwanese Mandarin text: decode, extract, normalise, redact, measure, decide.

They work on strings and bytes, and importing them imports neither datatrove nor a parser. `tw_corpus.readers` reads
files, `tw_corpus.blocks` holds the datatrove blocks, `tw_corpus.curation` the whole job.
"""

from tw_corpus._boilerplate import Stripped, strip_boilerplate
from tw_corpus._decode import Decoded, decode
from tw_corpus._extract import Extracted, extract_html
from tw_corpus._measure import Measures, measure
from tw_corpus._normalize import NormalizationChanges, Normalized, normalize
from tw_corpus._pii import Finding, PiiKind, Redaction, RedactMode, find_pii, redact
from tw_corpus._ptt import PttArticle, extract_ptt
from tw_corpus._rules import Kept, Margin, QualityRules, Rejected, decide, margins
from tw_corpus._script import Script, ScriptCounts, ScriptVerdict, count_script, script_of
from tw_corpus._variant import (
    EvidenceKind,
    EvidenceSpan,
    OtherReason,
    Variant,
    VariantVerdict,
    classify_variant,
    classify_variants,
)

__all__ = [
    "Decoded",
    "EvidenceKind",
    "EvidenceSpan",
    "Extracted",
    "Finding",
    "Kept",
    "Margin",
    "Measures",
    "NormalizationChanges",
    "Normalized",
    "OtherReason",
    "PiiKind",
    "PttArticle",
    "QualityRules",
    "RedactMode",
    "Redaction",
    "Rejected",
    "Script",
    "ScriptCounts",
    "ScriptVerdict",
    "Stripped",
    "Variant",
    "VariantVerdict",
    "classify_variant",
    "classify_variants",
    "count_script",
    "decide",
    "decode",
    "extract_html",
    "extract_ptt",
    "find_pii",
    "margins",
    "measure",
    "normalize",
    "redact",
    "script_of",
    "strip_boilerplate",
]
