"""Text files of exams: UTF-8, with or without a mark, or code page 950 (Big5 as Windows writes it)."""

from twllm_types import DataError

_MARK = b"\xef\xbb\xbf"


def decode_text(payload: bytes, name: str) -> tuple[str, str]:
    """Return the text and the encoding that it had, "utf-8" or "cp950".

    Both are tried strictly. Code page 950 is believed only where most lines beyond ASCII are no UTF-8: a damaged UTF-8
    file, of which a few lines fail, must not become a Big5 one by luck.

    Args:
        payload: the file.
        name: of the file, for the error.

    Raises:
        DataError: neither encoding reads the file; names the first row at fault.
    """
    body = payload.removeprefix(_MARK)
    try:
        return body.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        row = body.count(b"\n", 0, error.start) + 1
    if not payload.startswith(_MARK) and _mostly_not_utf8(body):
        try:
            return body.decode("cp950"), "cp950"
        except UnicodeDecodeError as error:
            row = body.count(b"\n", 0, error.start) + 1
            raise DataError(
                f"{name}:{row}: neither UTF-8 nor Big5 (code page 950) reads this row; save the file as UTF-8"
            ) from error
    raise DataError(f"{name}:{row}: bytes that are no UTF-8 in a UTF-8 file; restore the row or save the file as UTF-8")


def _mostly_not_utf8(body: bytes) -> bool:
    num_bad, num_good = 0, 0
    for line in body.splitlines():
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            num_bad += 1
        else:
            num_good += 1
    return num_bad > num_good
