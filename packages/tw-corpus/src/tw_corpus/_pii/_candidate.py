"""A form that may be personal data; the surroundings decide."""

from dataclasses import dataclass, field

from tw_corpus._pii._kinds import PiiKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One form at one place.

    Attributes:
        kind: what it may be.
        start: first character in the text.
        end: one past the last.
        value: letters and digits only, folded; phone numbers in national form without extension.
        stands_alone: the form is strict enough to be judged without a context word.
    """

    kind: PiiKind
    start: int
    end: int
    value: str = field(repr=False)
    stands_alone: bool
