"""Recipes: YAML files read into a tree of frozen dataclasses, every problem named by file, line and key."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_type_hints

from twllm_types import ConfigError, JsonObject, JsonValue

if TYPE_CHECKING:
    from pydantic_core import CoreSchema, ErrorDetails

    from twllm_runs._yaml import KeyPath

_T = TypeVar("_T")
_MAX_SHOWN_CHARS = 60


def load_recipe(path: Path, type_: type[_T]) -> _T:
    """Read the recipe at `path`; see `parse_recipe`.

    Raises:
        ConfigError: the file cannot be read, or what `parse_recipe` says.
    """
    return parse_recipe(read_text(path), type_, source=str(path))


def read_text(path: Path) -> str:
    """Return the text of a file that the user wrote.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


def parse_recipe(text: str, type_: type[_T], *, source: str) -> _T:
    """Read YAML into `type_`, a tree of dataclasses.

    Values must have the declared type: "5" is no int, 1 no bool, 0.5 no int; an int may stand for a float, a string
    for an enum member or a Path, a list for a tuple. Keys that no field has are refused at every level. An empty text
    means all defaults. The YAML is that of version 1.2 without aliases, tags and duplicate keys (`1e-4` is a number,
    `no` is a string).

    Args:
        text: the recipe.
        type_: a dataclass; its `__post_init__` may raise ConfigError or another ValueError.
        source: what messages begin with, a file.

    Raises:
        ConfigError: one line per problem, all problems at once; each names source:line, dotted key and fix.
    """
    # pydantic and PyYAML take a tenth of a second to import, which --help does not need.
    from pydantic import TypeAdapter, ValidationError
    from pydantic_core import SchemaValidator

    from twllm_runs._yaml import parse_yaml

    tree = parse_yaml(text, source=source)
    content = json.dumps({} if tree.value is None else tree.value)
    validator = SchemaValidator(cast("CoreSchema", _forbid_unknown_keys(TypeAdapter(type_).core_schema)))
    try:
        # JSON mode, for there strict means: exact JSON types, and strings where Python has enums and paths.
        return cast("_T", validator.validate_json(content, strict=True))
    except ValidationError as error:
        problems = [_problem(detail, type_, tree.lines, source) for detail in error.errors(include_url=False)]
        raise ConfigError("\n".join(dict.fromkeys(problems))) from error


def recipe_to_json(recipe: object) -> JsonObject:
    """Return a recipe as JSON values, the `parameters` of its run.

    Dataclasses and mappings become objects, enum members their values, paths strings, tuples lists, sets sorted
    lists. What `parse_recipe` reads from this JSON equals `recipe`.

    Args:
        recipe: a dataclass instance.

    Raises:
        ConfigError: it is no dataclass instance, or holds something that is not JSON; the message names the key.
    """
    value = _to_json(recipe, "")
    if not dataclasses.is_dataclass(recipe) or not isinstance(value, dict):
        raise ConfigError(f"a recipe is a dataclass instance, not {type(recipe).__name__}; give one")
    return value


def _to_json(value: object, key: str) -> JsonValue:
    # Enums come first: a StrEnum member is a str, too.
    if isinstance(value, Enum):
        return _to_json(value.value, key)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    if isinstance(value, Path):
        return value.as_posix()
    return _container_to_json(value, key)


def _container_to_json(value: object, key: str) -> JsonValue:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _to_json(getattr(value, field.name), _join(key, field.name))
            for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return {str(_to_json(name, key)): _to_json(item, _join(key, str(name))) for name, item in items}
    if isinstance(value, list | tuple):
        parts = cast("list[object] | tuple[object, ...]", value)
        return [_to_json(item, f"{key}[{at}]") for at, item in enumerate(parts)]
    if isinstance(value, set | frozenset):
        members = [_to_json(item, key) for item in cast("frozenset[object]", value)]
        return sorted(members, key=lambda member: json.dumps(member, sort_keys=True))
    raise ConfigError(f"{key or 'recipe'} is {value!r}; give a finite number, string, list or mapping")


def _forbid_unknown_keys(schema: object) -> object:
    """Return a copy of a pydantic core schema in which every dataclass refuses keys that it does not know.

    A standard dataclass can only say so on its own class; a recipe's types must not have to.
    """
    if isinstance(schema, dict):
        parts = cast("dict[str, object]", schema)
        copy = {key: _forbid_unknown_keys(part) for key, part in parts.items()}
        return copy | {"extra_behavior": "forbid"} if copy.get("type") == "dataclass-args" else copy
    if isinstance(schema, list):
        return [_forbid_unknown_keys(item) for item in cast("list[object]", schema)]
    if isinstance(schema, tuple):
        return tuple(_forbid_unknown_keys(item) for item in cast("tuple[object, ...]", schema))
    return schema


def _problem(detail: "ErrorDetails", type_: type, lines: "Mapping[KeyPath, int]", source: str) -> str:
    """Write one problem as one line."""
    path, rest = _locate(detail["loc"], lines)
    kind = detail["type"]
    if kind == "missing":
        # The path is that of the object that lacks the key; the key is what could not be followed.
        name, problem = _dotted((*path, *rest[-1:])), "is missing; give a value"
    elif kind == "unexpected_keyword_argument":
        name, problem = _dotted(path), f"is not a known key; {_suggest(str(path[-1]), _known_keys(type_, path[:-1]))}"
    elif kind == "value_error":
        name, problem = _dotted(path), f"is refused: {detail.get('ctx', {}).get('error', detail['msg'])}"
    else:
        message = detail["msg"][:1].lower() + detail["msg"][1:]
        name, problem = _dotted(path), f"is {_shown(detail['input'])}; {message}"
    return f"{source}:{lines[path]}: {name} {problem}"


def _locate(location: tuple[int | str, ...], lines: "Mapping[KeyPath, int]") -> "tuple[KeyPath, KeyPath]":
    """Split pydantic's location into the steps that the document has and those that it has not.

    The latter are a missing key and the arms of unions, which are no keys.
    """
    path: KeyPath = ()
    rest: KeyPath = ()
    for step in location:
        if (*path, step) in lines:
            path = (*path, step)
        else:
            rest = (*rest, step)
    return path, rest


def _dotted(path: "KeyPath") -> str:
    name = ""
    for step in path:
        name = f"{name}[{step}]" if isinstance(step, int) else _join(name, step)
    return name or "the recipe"


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}…"


def _suggest(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known keys are {', '.join(sorted(known))}" if known else "there are no keys here; remove it"


def _known_keys(type_: type, path: "KeyPath") -> list[str]:
    """Return the fields of every dataclass that may stand at `path`."""
    hints: list[Any] = [type_]
    for step in path:
        arms = [arm for hint in hints for arm in _dataclass_arms(hint)]
        fields = [get_type_hints(arm, include_extras=True) for arm in arms]
        # A step that is no field is an index or a key of a mapping: the arms behind it are already in the hint.
        hints = [hint[str(step)] for hint in fields if step in hint] or hints
    return list(dict.fromkeys(field.name for arm in _all_arms(hints) for field in dataclasses.fields(arm)))


def _all_arms(hints: list[Any]) -> Iterator[type[Any]]:
    for hint in hints:
        yield from _dataclass_arms(hint)


def _dataclass_arms(hint: object) -> Iterator[type[Any]]:
    """Yield the dataclasses in a type hint: X itself, and those inside X | None, tuple[X, ...], Mapping[str, X]."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield hint
    for part in get_args(hint):
        yield from _dataclass_arms(part)
