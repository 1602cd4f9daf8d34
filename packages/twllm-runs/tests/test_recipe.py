import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twllm_runs import load_recipe, parse_recipe, recipe_to_json
from twllm_types import ConfigError


class Genre(StrEnum):
    WEB = "web"
    LAW = "law"


class Level(Enum):
    LOW = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    min_chars: int | None = 50
    max_share: float | None = 0.3
    strict: bool = False

    def __post_init__(self) -> None:
        if self.max_share is not None and not 0 <= self.max_share <= 1:
            raise ConfigError(f"max_share is {self.max_share}; give a value in [0, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    path: Path
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    genre: Genre = Genre.WEB
    rules: Rules = field(default_factory=Rules)
    sources: tuple[Source, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    by_genre: Mapping[str, Annotated[Rules, "per genre"]] = field(default_factory=dict[str, Rules])
    special: Rules | Source | None = None
    note: str = ""
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    name: str


shares = st.none() | st.floats(min_value=0, max_value=1)
rules = st.builds(Rules, min_chars=st.none() | st.integers(), max_share=shares, strict=st.booleans())
# YAML takes a key of up to 1,024 characters, counted with its JSON escapes
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
sources = st.builds(Source, path=st.text("abc/.", min_size=1).map(Path), rules=rules)
recipes = st.builds(
    Recipe,
    genre=st.sampled_from(Genre),
    rules=rules,
    sources=st.lists(sources, max_size=2).map(tuple),
    weights=st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), max_size=2),
    by_genre=st.dictionaries(names, rules, max_size=2),
    special=st.none() | rules | sources,
    note=names,
    tags=st.frozensets(names, max_size=3),
)


def problems(text: str, type_: type = Recipe) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_recipe(text, type_, source="r.yaml")
    return str(caught.value).splitlines()


@given(recipe=recipes)
def test_recipe_to_json_read_as_recipe_gives_it_back(recipe: Recipe) -> None:
    text = json.dumps(recipe_to_json(recipe))
    assert parse_recipe(text, Recipe, source="json") == recipe


@given(recipe=recipes)
def test_recipe_to_json_is_canonical(recipe: Recipe) -> None:
    row = recipe_to_json(recipe)
    assert json.loads(json.dumps(row)) == row
    assert recipe_to_json(parse_recipe(json.dumps(row), Recipe, source="json")) == row


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_parse_recipe_empty_text_is_all_defaults(text: str) -> None:
    assert parse_recipe(text, Recipe, source="r.yaml") == Recipe()


def test_parse_recipe_reads_nested_values() -> None:
    text = """
genre: law
rules: {min_chars: 010, max_share: 1}
sources:
  - path: a/b.jsonl
    rules:
      min_chars: null
      max_share: 1e-2
      strict: true
weights:
  1: 2
special: {path: x}
note: no
"""
    assert parse_recipe(text, Recipe, source="r.yaml") == Recipe(
        genre=Genre.LAW,
        rules=Rules(min_chars=10, max_share=1.0),
        sources=(Source(path=Path("a/b.jsonl"), rules=Rules(min_chars=None, max_share=0.01, strict=True)),),
        weights={"1": 2.0},
        special=Source(path=Path("x")),
        note="no",
    )


@pytest.mark.parametrize(
    ("scalar", "value"), [("0x1F", 31), ("0o17", 15), ("-3", -3), ("+4", 4), ("~", None), ("", None)]
)
def test_parse_recipe_integers_follow_yaml_1_2(scalar: str, value: int | None) -> None:
    assert parse_recipe(f"min_chars: {scalar}", Rules, source="r.yaml").min_chars == value


@pytest.mark.parametrize("text", ["yes", "1:30", "2024-05-01", "1_000", ".inf", "0b1", "on"])
def test_parse_recipe_yaml_1_1_scalars_are_strings(text: str) -> None:
    assert parse_recipe(f"name: {text}", Strict, source="r.yaml").name == text


def test_parse_recipe_all_problems_at_once_each_with_line_key_and_fix() -> None:
    text = """genre: lew
rules:
  min_char: 3
sources:
  - path: a
    rules: {min_chars: "50", strict: 1}
  - rules: {max_share: 2}
weights:
  a: x
unknown_thing: 1
"""
    assert problems(text) == [
        "r.yaml:1: genre is \"lew\"; input should be 'web' or 'law'",
        "r.yaml:3: rules.min_char is not a known key; did you mean 'min_chars'?",
        'r.yaml:6: sources[0].rules.min_chars is "50"; input should be a valid integer',
        "r.yaml:6: sources[0].rules.strict is 1; input should be a valid boolean",
        "r.yaml:7: sources[1].path is missing; give a value",
        "r.yaml:7: sources[1].rules is refused: max_share is 2.0; give a value in [0, 1]",
        'r.yaml:9: weights.a is "x"; input should be a valid number',
        f"r.yaml:10: unknown_thing is not a known key; known keys are {', '.join(sorted(recipe_to_json(Recipe())))}",
    ]


def test_parse_recipe_unknown_key_behind_mapping_and_union_is_suggested() -> None:
    assert problems("by_genre: {law: {strct: true}}") == [
        "r.yaml:1: by_genre.law.strct is not a known key; did you mean 'strict'?"
    ]
    assert "r.yaml:2: special.max_shar is not a known key; did you mean 'max_share'?" in problems(
        "special:\n  max_shar: 1"
    )


def test_parse_recipe_missing_key_of_the_document_is_named() -> None:
    assert problems("", Strict) == ["r.yaml:1: name is missing; give a value"]


def test_parse_recipe_document_that_is_no_mapping_is_refused() -> None:
    assert problems("- 1") == ["r.yaml:1: the recipe is [1]; input should be an object"]


def test_parse_recipe_long_value_is_shortened() -> None:
    (problem,) = problems(f"rules: {{min_chars: {'x' * 500}}}")
    assert len(problem) < 150


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "r.yaml:3: key 'a' stands twice, first in line 1; remove one"),
        ("a: &x [1]\nb: *x", "r.yaml:1: an alias (*name) is used for this value; write the value out at each place"),
        ("a:\n  - !!python/name:os.system x", "r.yaml:2: tag 'tag:yaml.org,2002:python/name:os.system' is not read"),
        ("a: !!int x", "r.yaml:1: 'x' does not fit its tag"),
        ("a: 1e999", "r.yaml:1: 1e999 is too large for a number"),
        ("[1]: 2", "r.yaml:1: a key is a list or mapping"),
        ("a: [1\nb: 2", "r.yaml:2: is not YAML"),
        ("a: 1\n---\nb: 2", "r.yaml:2: is not YAML"),
        ("a: \x00", "r.yaml: is not YAML"),
        ("[" * 5_000, "r.yaml: is nested too deeply"),
    ],
)
def test_parse_recipe_yaml_problem_is_one_line_with_place(text: str, message: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(message)


def test_load_recipe_reads_utf8_and_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text("note: 臺灣\n", encoding="utf-8")
    assert load_recipe(path, Recipe).note == "臺灣"
    path.write_bytes("note: 臺灣\n".encode("big5"))
    with pytest.raises(ConfigError, match=r"web\.yaml: byte 6 is not UTF-8"):
        load_recipe(path, Recipe)
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read \(No such file"):
        load_recipe(tmp_path / "absent.yaml", Recipe)


def test_recipe_to_json_what_is_no_recipe_is_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Odd:
        level: Level = Level.LOW
        parts: tuple[object, ...] = ()

    assert recipe_to_json(Odd()) == {"level": 1, "parts": []}
    with pytest.raises(ConfigError, match=r"parts\[1\]\.a is nan"):
        recipe_to_json(Odd(parts=(1, {"a": float("nan")})))
    with pytest.raises(ConfigError, match="a recipe is a dataclass instance, not dict"):
        recipe_to_json({"a": 1})
    with pytest.raises(ConfigError, match="recipe is <class"):
        recipe_to_json(Odd)
