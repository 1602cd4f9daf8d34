"""Variety of Chinese by wording, script, and conversion from Simplified, with evidence.

The functions import numpy when they are called, so that `import tw_corpus` stays light.
"""

from tw_corpus._variant._public import classify_variant, classify_variants, load_variant_model
from tw_corpus._variant._types import EvidenceKind, EvidenceSpan, OtherReason, Variant, VariantVerdict

__all__ = [
    "EvidenceKind",
    "EvidenceSpan",
    "OtherReason",
    "Variant",
    "VariantVerdict",
    "classify_variant",
    "classify_variants",
    "load_variant_model",
]
