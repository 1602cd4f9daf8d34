"""Ranges that several records share; each check names the field and the fix."""

import re

from twllm_types._errors import DataError

_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_count(name: str, value: int, *, least: int = 0) -> None:
    """Refuse a count below `least`.

    Raises:
        DataError: it is smaller.
    """
    if not value >= least:
        raise DataError(f"{name} is {value}; give a count >= {least}")


def check_logprob(name: str, value: float) -> None:
    """Refuse what is no natural logarithm of a probability.

    -inf is one: a model that masks part of its vocabulary gives some texts the probability zero, and ranking by it is
    well defined. NaN is none.

    Raises:
        DataError: it is NaN or above 0.
    """
    # Written so that NaN, which compares as False, does not pass.
    if not value <= 0:
        raise DataError(f"{name} is {value}; give a natural logarithm <= 0, or report an EngineFailure")


def check_filled(name: str, value: str) -> None:
    """Refuse a blank text where one must say something.

    Raises:
        DataError: it is empty or white space.
    """
    if not value.strip():
        raise DataError(f"{name} is empty; give it")


def check_sha256(name: str, value: str) -> None:
    """Refuse what is no SHA-256 in lower-case hexadecimal.

    Raises:
        DataError: it is not 64 such digits.
    """
    if not _SHA256.fullmatch(value):
        raise DataError(f"{name} is {value!r}; give a SHA-256 as 64 lower-case hexadecimal digits")
