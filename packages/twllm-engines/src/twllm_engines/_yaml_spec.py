"""YAML specs: one mapping, read by the rules of YAML 1.2's core schema, checked against the settings' types."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from twllm_types import ConfigError, JsonObject, JsonValue

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecTree:
    """The top level of a spec.

    Attributes:
        values: by key.
        lines: line of each key, from 1.
    """

    values: JsonObject
    lines: dict[str, int]


def read_mapping(path: Path) -> SpecTree:
    """Read a file that holds one mapping.

    Raises:
        ConfigError: it cannot be read, is not YAML, or holds a key twice; the message names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path of the engine spec") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    try:
        return _read(text, path)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        raise ConfigError(f"{path}:{line}: is not YAML ({error.problem}); correct the line") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: is not YAML ({' '.join(str(error).split())}); correct the file") from error


def build_settings(tree: SpecTree, type_: type[_T], *, source: str) -> _T:
    """Make settings of a spec; values must have the declared types.

    Args:
        tree: the spec without its key `engine`.
        type_: the settings' class.
        source: what messages begin with, a file.

    Raises:
        ConfigError: one line per problem; each names source:line, key and fix.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        content = json.dumps(tree.values, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: holds something that is not JSON ({error}); give plain values") from error
    try:
        # JSON mode: strict then means exact JSON types, and strings where Python has enums and paths.
        return TypeAdapter(type_).validate_json(content, strict=True)
    except ValidationError as error:
        known = [field.name for field in fields(cast("Any", type_))]
        problems = [_problem(cast("Any", detail), tree, known, source) for detail in error.errors(include_url=False)]
        raise ConfigError("\n".join(dict.fromkeys(problems))) from error


# PyYAML reads YAML 1.1, where `no` is False and `1e-4` a string.
class _Loader(yaml.SafeLoader):
    """The safe loader with the implicit types of YAML 1.2."""

    # PyYAML's own attribute, a class's table by its design.
    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [
            (f"tag:yaml.org,2002:{name}", re.compile(f"(?:{pattern})$"))
            for name, pattern, firsts in (
                ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
                ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
                ("int", r"[-+]?[0-9]+", "-+0123456789"),
                ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
            )
            if first in firsts
        ]
        for first in ("~", "", *"nNtTfF-+.0123456789")
    }


def _construct_int(loader: yaml.SafeLoader, node: yaml.Node) -> int:
    # PyYAML's own reads 010 as eight.
    return int(str(cast("Any", loader).construct_scalar(node)), 10)


def _construct_float(loader: yaml.SafeLoader, node: yaml.Node) -> float:
    return float(str(cast("Any", loader).construct_scalar(node)))


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)


def _read(text: str, path: Path) -> SpecTree:
    # PyYAML's stubs leave these open.
    compose = cast("Callable[..., yaml.Node | None]", yaml.compose)  # pyright: ignore[reportUnknownMemberType]
    node = compose(text, Loader=_Loader)
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path}:1: is no mapping; write 'engine: NAME' and below it 'setting: value'")
    lines: dict[str, int] = {}
    for key_node, _ in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in lines:
            raise ConfigError(f"{path}:{line}: key {key!r} stands twice, first in line {lines[key]}; remove one")
        lines[key] = line
    # _Loader is a SafeLoader: it makes plain values only.
    values = cast("dict[object, JsonValue]", yaml.load(text, Loader=_Loader))  # noqa: S506
    return SpecTree(values={str(key): value for key, value in values.items()}, lines=lines)


def _problem(detail: dict[str, Any], tree: SpecTree, known: list[str], source: str) -> str:
    location = [str(step) for step in detail["loc"]]
    key = location[0] if location else ""
    where = f"{source}:{tree.lines.get(key, 1)}"
    kind = detail["type"]
    if kind == "missing":
        return f"{where}: {'.'.join(location)} is missing; give a value"
    if kind == "unexpected_keyword_argument":
        close = get_close_matches(key, known, n=1)
        fix = f"did you mean {close[0]!r}?" if close else f"known keys are {', '.join(sorted(known))}"
        return f"{where}: {'.'.join(location)} is not a known key; {fix}"
    if kind == "value_error":
        return f"{where}: is refused: {detail['ctx']['error']}"
    message = str(detail["msg"])
    # The value is not shown: it may be a secret in the wrong place.
    return f"{where}: {key} has a value of the wrong type; {message[:1].lower()}{message[1:]}"
