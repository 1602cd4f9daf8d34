"""Utterances with an intent."""

from dataclasses import dataclass

from twllm_types._errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentExample:
    """One utterance and its label.

    Attributes:
        text: the utterance; not blank.
        intent: the label as the data spell it; None for out-of-scope.
        id: identity in its source, or None.
        source: "seed" for a human-written row, else the generator's name.

    Raises:
        DataError: the text is blank, or the label is the empty string.
    """

    text: str
    intent: str | None
    id: str | None = None
    source: str = "seed"

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise DataError(f"intent example {self.id or ''} has no text; drop the row".replace("  ", " "))
        if self.intent == "":
            raise DataError(f"intent of {self.text!r} is empty; give a label, or None for out-of-scope")
