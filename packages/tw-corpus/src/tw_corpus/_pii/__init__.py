"""Taiwanese personal data in text: finding, masking, replacing, tagging."""

from tw_corpus._pii._checks import UbnRule, is_arc_new, is_arc_old, is_card, is_national_id, is_ubn
from tw_corpus._pii._find import find_pii
from tw_corpus._pii._kinds import PLACEHOLDERS, POLICIES, Finding, PiiKind, Policy, Redaction, RedactMode
from tw_corpus._pii._redact import ALL_KINDS, redact

__all__ = [
    "ALL_KINDS",
    "PLACEHOLDERS",
    "POLICIES",
    "Finding",
    "PiiKind",
    "Policy",
    "RedactMode",
    "Redaction",
    "UbnRule",
    "find_pii",
    "is_arc_new",
    "is_arc_old",
    "is_card",
    "is_national_id",
    "is_ubn",
    "redact",
]
