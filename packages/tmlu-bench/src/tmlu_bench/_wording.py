"""Counts in words."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return "1 question", "0 questions", "2,000 questions".

    Args:
        number: >= 0.
        noun: in the singular.
        plural: of the noun; None appends an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
