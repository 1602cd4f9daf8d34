"""Utterances with an intent."""

from dataclasses import dataclass

from twllm_types._checks import check_filled
from twllm_types._errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentExample:
    """One utterance and its label.

    Attributes:
        text: the utterance; not blank.
        intent: the label as the data spell it, not blank; None for out-of-scope.
        id: identity in its source, or None.
        source: "seed" for a human-written row, else the generator's name; not blank.

    Raises:
        DataError: the text, the label or the source is blank.
    """

    text: str
    intent: str | None
    id: str | None = None
    source: str = "seed"

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise DataError(f"intent example {self.id or ''} has no text; drop the row".replace("  ", " "))
        if self.intent is not None and not self.intent.strip():
            raise DataError(f"intent of {self.text!r} is empty; give a label, or None for out-of-scope")
        check_filled(f"source of {self.text!r}", self.source)
