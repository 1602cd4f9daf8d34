"""Intent names: labels stay as the data spell them, prompts show a readable form. Pure."""

import re
from collections.abc import Iterable

from twllm_types import DataError

_SEPARATORS = re.compile(r"[_\-\s]+")
_NOT_IN_KEY = re.compile(r"[_\-?？\s]+")


def humanise_intent(label: str) -> str:
    """Turn a label into words: `card_arrival` becomes `card arrival`.

    Underscores, hyphens and runs of white space become one space; case and every other character stay. Idempotent; a
    label of separators alone gives "".
    """
    return _SEPARATORS.sub(" ", label).strip()


def intent_key(label: str) -> str:
    """What two labels share that a person would read as one name: case, `_`, `-`, `?` and spaces aside."""
    return _NOT_IN_KEY.sub("", label).casefold()


def check_intent_names(labels: Iterable[str]) -> None:
    """Refuse labels that nobody can tell apart.

    Args:
        labels: in any order; repeated ones count once.

    Raises:
        DataError: a label has no letter or digit, or two have one `intent_key`; both are named.
    """
    by_key: dict[str, str] = {}
    for label in labels:
        key = intent_key(label)
        if not key:
            raise DataError(f"intent {label!r} has no name; give it one")
        other = by_key.setdefault(key, label)
        if other != label:
            raise DataError(
                f"intents {other!r} and {label!r} have the same name after cleaning; rename one, or merge their rows"
            )
