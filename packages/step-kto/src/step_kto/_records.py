"""Reading fields of foreign records, with errors that name the field; pieces that the converters share."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

from twllm_types import DataError

SameAnswer: TypeAlias = Callable[[str, str], bool | None]
"""Whether two final answers, the set's and the solution's, are the same: True, False, or None where it cannot tell."""


def same_text(gold: str, answer: str) -> bool:
    """Whether two answers agree character by character, white space at the ends aside."""
    return gold.strip() == answer.strip()


def with_separator(steps: Sequence[str], separator: str) -> tuple[str, ...]:
    """End every step but the last with `separator`, so that the steps joined are the solution."""
    return (*[step + separator for step in steps[:-1]], *steps[-1:])


def labels_until(first_error: int | None, *, num_steps: int) -> tuple[bool | None, ...]:
    """Labels from the place of the first error: right before it, wrong there, unknown behind it; all right without.

    Raises:
        DataError: the place is outside of the steps.
    """
    if first_error is None:
        return (True,) * num_steps
    if not 0 <= first_error < num_steps:
        raise DataError(f"the first error is step {first_error} (from 0), but there are {num_steps} steps")
    return (*[True] * first_error, False, *[None] * (num_steps - first_error - 1))


def text_field(record: Mapping[str, object], name: str) -> str:
    """A field that is a string.

    Raises:
        DataError: it is missing or something else.
    """
    value = _required(record, name)
    if not isinstance(value, str):
        raise DataError(f"{name!r} is {type(value).__name__}; give a string")
    return value


def bool_field(record: Mapping[str, object], name: str) -> bool:
    """A field that is true or false.

    Raises:
        DataError: it is missing or something else.
    """
    value = _required(record, name)
    if not isinstance(value, bool):
        raise DataError(f"{name!r} is {value!r}; give true or false")
    return value


def int_field(record: Mapping[str, object], name: str) -> int:
    """A field that is a whole number.

    Raises:
        DataError: it is missing or something else.
    """
    value = _required(record, name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(f"{name!r} is {value!r}; give a whole number")
    return value


def texts_field(record: Mapping[str, object], name: str) -> tuple[str, ...]:
    """A field that is a list of strings.

    Raises:
        DataError: it is missing or something else.
    """
    items = list_field(record, name)
    for number, item in enumerate(items, start=1):
        if not isinstance(item, str):
            raise DataError(f"{name!r} entry {number} is {type(item).__name__}; give a string")
    return tuple(cast("list[str]", items))


def list_field(record: Mapping[str, object], name: str) -> list[object]:
    """A field that is a list.

    Raises:
        DataError: it is missing or something else.
    """
    value = _required(record, name)
    if not isinstance(value, list):
        raise DataError(f"{name!r} is {type(value).__name__}; give a list")
    return cast("list[object]", value)


def object_field(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    """A field that is an object.

    Raises:
        DataError: it is missing or something else.
    """
    return as_object(_required(record, name), name)


def as_object(value: object, name: str) -> Mapping[str, object]:
    """A value that is an object.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(value, Mapping):
        raise DataError(f"{name!r} is {type(value).__name__}; give an object")
    return cast("Mapping[str, object]", value)


def optional_text(record: Mapping[str, object], name: str) -> str | None:
    """A field that is a string, or None where it is null or missing.

    Raises:
        DataError: it is something else.
    """
    return None if record.get(name) is None else text_field(record, name)


def _required(record: Mapping[str, object], name: str) -> object:
    if name not in record:
        raise DataError(f"field {name!r} is missing; the record has {', '.join(sorted(map(repr, record))) or 'none'}")
    return record[name]
