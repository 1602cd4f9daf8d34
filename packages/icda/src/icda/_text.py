"""When two utterances count as the same text. Pure."""

import unicodedata

# punctuation, symbols, separators and control characters say nothing of what was asked
_SILENT = frozenset("PSZC")


def has_half_character(text: str) -> bool:
    """Whether a lone surrogate is in a text: half of a character, which no encoding and so no tokenizer takes."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def normalise_text(text: str) -> str:
    """Case-folded NFKC text of letters, marks and digits; everything between two of them is one space.

    Idempotent. Texts of punctuation alone give "". An apostrophe or hyphen inside a word vanishes without a space, so
    that "what's" equals "whats".
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    joined = "".join(char for char in folded if char not in "'’‘ʼ-‐‑")
    kept = "".join(char if unicodedata.category(char)[0] not in _SILENT else " " for char in joined)
    return " ".join(kept.split())
