"""What exceptions of foreign code say, in a form that can be stored and shown."""

from tw_corpus._pii import redact

_MAX_CHARS = 200

# What ends a foreign call without an answer. KeyboardInterrupt is not among them: it is the user's.
FOREIGN_ERRORS = (Exception, SystemExit, GeneratorExit)


def one_line(error: BaseException) -> str:
    """Return type and message of an exception: one line, valid UTF-8, without personal data, 200 characters at most."""
    try:
        message = str(error)
    # foreign code again: an exception may fail to say what it is
    except Exception:  # noqa: BLE001
        message = "no message"
    whole = " ".join(f"{type(error).__name__}: {message}".split()).encode("utf-8", "replace").decode("utf-8")
    # it may quote a document; masked before the cut, which could split a value
    text = redact(whole).text
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}…"
