"""Text as models over characters read it."""


def spaced_characters(text: str) -> str:
    """Put a blank between the characters of each line; blank characters and empty lines go.

    What `lmplz` (KenLM) and `fasttext` must be trained on for the measures `kenlm` and `fasttext`. Text without a
    character that is not blank gives the empty string.
    """
    lines = (" ".join("".join(line.split())) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
