"""What reading a generated answer gives."""

from dataclasses import dataclass
from enum import StrEnum

from twllm_types import DataError


class Extractor(StrEnum):
    """Who reads the answer.

    ROBUST is ours. COMPAT and COMPAT_COT are the official TMLU harness's readers of direct and of reasoned answers,
    faults included; COMPAT_TC_EVAL is that of Taiwan-LLM's own evaluation.
    """

    ROBUST = "robust"
    COMPAT = "compat"
    COMPAT_COT = "compat-cot"
    COMPAT_TC_EVAL = "compat-tc-eval"


class ExtractionStatus(StrEnum):
    """What became of an answer: one letter, none, several that contradict each other, or a refusal to answer."""

    FOUND = "found"
    UNPARSED = "unparsed"
    AMBIGUOUS = "ambiguous"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """The letter that an answer chooses, or why there is none.

    Attributes:
        letter: one of the question's letters; None exactly when the status is not FOUND.
        status: what became of the answer.

    Raises:
        DataError: a letter without FOUND, or FOUND without a letter.
    """

    letter: str | None
    status: ExtractionStatus

    def __post_init__(self) -> None:
        if (self.letter is not None) != (self.status is ExtractionStatus.FOUND):
            raise DataError(f"extraction {self.status} has the letter {self.letter!r}; give one exactly with 'found'")
