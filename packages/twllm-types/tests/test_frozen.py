"""Records with mappings: they do not change, and travel between processes and files like other records."""

import copy
import dataclasses
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twllm_types import (
    Document,
    FrozenDict,
    JsonValue,
    ModelIdentity,
    RunManifest,
    SamplingParams,
    TokenLogprob,
)

json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(st.text(), json_values, max_size=3)

RECORDS: dict[str, Any] = {
    "document": Document(id="1", text="臺北"),
    "document with metadata": Document(id="1", text="臺北", metadata={"address": "a", "tags": ["x"]}),
    "token": TokenLogprob(token="臺", logprob=-0.5),
    "token with alternatives": TokenLogprob(token="臺", logprob=-0.5, top={"台": -1.5}),
    "sampling": SamplingParams(json_schema={"type": "object"}),
    "model": ModelIdentity(spec="hf:x", sha256={"weights": "0a" * 32}),
    "manifest": RunManifest(
        schema_version=1,
        command="demo",
        parameters={"rules": {"min": 1}},
        packages={},
        hardware={},
        started_at="2026-01-31T08:00:00+00:00",
    ),
}


def through_pickle(value: Any) -> Any:
    # The bytes are our own.
    return pickle.loads(pickle.dumps(value))  # noqa: S301


def mapping_of(record: Any) -> Any:
    (name, *_) = [field.name for field in dataclasses.fields(record) if isinstance(getattr(record, field.name), dict)]
    return getattr(record, name)


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_record_with_mapping_survives_pickle_deepcopy_replace_and_asdict(record: Any) -> None:
    for copied in (through_pickle(record), copy.deepcopy(record), dataclasses.replace(record)):
        assert copied == record
        assert isinstance(mapping_of(copied), FrozenDict)
    row = dataclasses.asdict(record)
    assert type(record)(**row) == record
    assert json.loads(json.dumps(mapping_of(record))) == mapping_of(record)


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_record_mapping_cannot_be_changed(record: Any) -> None:
    mapping = mapping_of(record)
    before = dict(mapping)
    changes: tuple[Callable[[], object], ...] = (
        lambda: mapping.__setitem__("k", 1),
        lambda: mapping.__delitem__(next(iter(before), "k")),
        lambda: mapping.__ior__({"k": 1}),
        mapping.clear,
        lambda: mapping.pop("k", None),
        mapping.popitem,
        lambda: mapping.setdefault("k", 1),
        lambda: mapping.update(k=1),
    )
    for change in changes:
        with pytest.raises(TypeError, match=r"cannot change; make a changed copy, by dataclasses\.replace"):
            change()
    assert mapping == before


def test_record_does_not_follow_later_changes_of_the_dict_it_was_given() -> None:
    given_dict: dict[str, JsonValue] = {"a": 1}
    document = Document(id="1", text="", metadata=given_dict)
    given_dict["b"] = 2
    assert document.metadata == {"a": 1}
    assert document == Document(id="1", text="", metadata={"a": 1})


def test_record_deepcopy_does_not_share_the_lists_inside() -> None:
    document = Document(id="1", text="", metadata={"tags": ["x"]})
    tags = copy.deepcopy(document).metadata["tags"]
    assert isinstance(tags, list)
    tags.append("y")
    assert document.metadata == {"tags": ["x"]}


@given(content=objects)
def test_frozen_dict_equals_shows_and_encodes_like_a_dict(content: dict[str, JsonValue]) -> None:
    frozen = FrozenDict(content)
    assert frozen == content
    assert repr(frozen) == repr(content)
    assert json.dumps(frozen) == json.dumps(content)
    assert through_pickle(frozen) == content


def test_frozen_dict_copy_and_union_are_ordinary_dicts() -> None:
    frozen = FrozenDict({"a": 1})
    for changed in (frozen.copy(), frozen | {"a": 1}):
        changed["b"] = 2
        assert changed == {"a": 1, "b": 2}
    assert frozen == {"a": 1}
