"""What is said about the variety of a text."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tw_corpus._script import Script


class Variant(StrEnum):
    """Variety of the wording, BCP 47 tags where they apply; the script is another matter."""

    ZH_TW = "zh-TW"
    ZH_HK = "zh-HK"
    YUE = "yue"
    ZH_CN = "zh-CN"
    OTHER = "other"


class OtherReason(StrEnum):
    """Why a text is taken for none of the four varieties."""

    NO_HAN = "no_han"
    JAPANESE = "japanese"
    KOREAN = "korean"
    FOREIGN = "foreign"  # mostly letters of other scripts
    CLASSICAL = "classical"
    HOKKIEN = "hokkien"
    HAKKA = "hakka"


class EvidenceKind(StrEnum):
    """What a span shows: a word of a region, or a character form that a region or a converter writes."""

    WORDING = "wording"
    ORTHOGRAPHY = "orthography"
    CONVERSION = "conversion"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSpan:
    """A piece of a text that speaks for a variety.

    Attributes:
        start: offset of its first character.
        end: offset behind its last character; `text` is `document[start:end]`.
        text: the piece.
        label: what it speaks for; spans of kind `conversion` speak for `zh-CN`, the source of the conversion.
        weight: how strongly, in nats of log-odds against the mean of the other varieties, for one occurrence in a
            text of ten ideographs; a longer text divides it by the square root of its length.
        kind: what it shows.
    """

    start: int
    end: int
    text: str
    label: Variant
    weight: float
    kind: EvidenceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantVerdict:
    """The variety of a text.

    Attributes:
        label: the most probable of the five, by wording; in a tie the first in the order of `Variant`.
        script: script of its characters, whatever the wording.
        probabilities: of each label; they sum to 1. Calibrated where the four varieties are equally frequent; that of
            `other` comes from fixed rules and is not calibrated.
        converted_from_simplified: whether `converted_probability` is above 0.8.
        converted_probability: that a text in Traditional characters has Mainland wording, or residue of a conversion
            from Simplified, or both; 0 for text without Traditional characters.
        other_reason: what speaks most for `other`, where that is the label; else None.
        evidence: the strongest spans, by falling weight; empty where nothing speaks or none was asked for.
    """

    label: Variant
    script: Script
    probabilities: Mapping[Variant, float]
    converted_from_simplified: bool
    converted_probability: float
    other_reason: OtherReason | None
    evidence: tuple[EvidenceSpan, ...]

    @property
    def decided(self) -> bool:
        """Whether the label has at least half of the probability; a short neutral sentence is not decided."""
        return self.probabilities[self.label] >= 0.5
