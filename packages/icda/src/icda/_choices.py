"""Options given by name. Pure."""

from enum import StrEnum
from typing import TypeVar

from twllm_types import ConfigError

_Choice = TypeVar("_Choice", bound=StrEnum)


def choose(kind: type[_Choice], value: str, *, name: str) -> _Choice:
    """The member of a closed set that a value names.

    Raises:
        ConfigError: it names none; the message lists them.
    """
    try:
        return kind(value)
    except ValueError as error:
        raise ConfigError(f"no {name} {value!r}; choose from {', '.join(kind)}") from error
