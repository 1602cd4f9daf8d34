"""What of Python's strings is no text."""


def has_half_pair(text: str) -> bool:
    """Tell whether a text holds half a surrogate pair, which JSON can hold and UTF-8, so no model, can."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)
