"""YAML as a recipe uses it: the YAML 1.2 core schema, with the line of every key.

PyYAML reads YAML 1.1, where `no` is False, `1e-4` a string, `010` eight and `1:30` ninety. A recipe that means
something else than it says is worse than none, so scalars are resolved here by the rules of YAML 1.2, chapter 10.3;
infinities and NaN are left out. Duplicate keys, aliases and tags are refused.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import cast

import yaml

from twllm_types import ConfigError, JsonValue

# A key or an index per step from the top.
KeyPath = tuple[str | int, ...]

_NULL, _BOOL, _INT, _FLOAT = ("tag:yaml.org,2002:" + name for name in ("null", "bool", "int", "float"))
_READERS: dict[str, Callable[[str], JsonValue]] = {
    _NULL: lambda _text: None,
    _BOOL: lambda text: text.lower() == "true",
    _INT: lambda text: int(text, 10) if text.lstrip("+-").isdigit() else int(text, 0),
    _FLOAT: float,
    "tag:yaml.org,2002:str": str,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlTree:
    """A document and where its parts stand.

    Attributes:
        value: the document; None where the text is empty.
        lines: line of each key or list entry, from 1, by its path; the document itself is ().
    """

    value: JsonValue
    lines: dict[KeyPath, int]


def parse_yaml(text: str, *, source: str) -> YamlTree:
    """Read one YAML document.

    Args:
        text: the document; empty or comments only gives None.
        source: what messages begin with, a file.

    Raises:
        ConfigError: the text is not YAML, or uses what is refused; the message begins with source:line.
    """
    try:
        root = _compose(text)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        raise ConfigError(
            f"{source}:{line}: is not YAML ({error.problem or error.context}); correct the line"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: is not YAML ({' '.join(str(error).split())}); correct the file") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: is nested too deeply; flatten it") from error
    walk = _Walk(source)
    return YamlTree(value=None if root is None else walk.read(root, ()), lines={(): 1} | walk.lines)


def _compose(text: str) -> yaml.Node | None:
    """Call PyYAML, whose stubs leave the node open."""
    compose = cast("Callable[..., yaml.Node | None]", yaml.compose)  # pyright: ignore[reportUnknownMemberType]
    return compose(text, Loader=_Loader)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return PyYAML's table of implicit types, by first character, in the order in which they are tried."""
    types = (
        (_NULL, r"~|null|Null|NULL|", ("~", "n", "N", "")),
        (_BOOL, r"true|True|TRUE|false|False|FALSE", "tTfF"),
        (_INT, r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
        (_FLOAT, r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    )
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, firsts in types:
        for first in firsts:
            table.setdefault(first, []).append((tag, re.compile(f"(?:{pattern})$")))
    return table


# The C loader would be faster; recipes are small, and PyYAML may be built without it.
class _Loader(yaml.SafeLoader):
    """The safe loader with the implicit types of YAML 1.2."""

    yaml_implicit_resolvers = _resolvers()


class _Walk:
    """Turns nodes into values and notes their lines."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._seen: set[int] = set()
        self.lines: dict[KeyPath, int] = {}

    def read(self, node: yaml.Node, path: KeyPath) -> JsonValue:
        if id(node) in self._seen:
            raise self._error(node, "an alias (*name) is used for this value; write the value out at each place")
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, path)
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> JsonValue:
        result: dict[str, JsonValue] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, "a key is a list or mapping; give a plain key")
            key = str(key_node.value)
            if key in result:
                first = self.lines[(*path, key)]
                raise self._error(key_node, f"key {key!r} stands twice, first in line {first}; remove one")
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            result[key] = self.read(value_node, (*path, key))
        return result

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> JsonValue:
        result: list[JsonValue] = []
        for at, item in enumerate(node.value):
            self.lines[(*path, at)] = item.start_mark.line + 1
            result.append(self.read(item, (*path, at)))
        return result

    def _scalar(self, node: yaml.Node) -> JsonValue:
        reader = _READERS.get(node.tag)
        if reader is None:
            raise self._error(node, f"tag {node.tag!r} is not read; write a plain value")
        try:
            value = reader(node.value)
        except ValueError as error:
            raise self._error(node, f"{node.value!r} does not fit its tag; write a plain value") from error
        if isinstance(value, float) and not isfinite(value):
            raise self._error(node, f"{node.value} is too large for a number; give a smaller one")
        return value

    def _error(self, node: yaml.Node, problem: str) -> ConfigError:
        return ConfigError(f"{self._source}:{node.start_mark.line + 1}: {problem}")
