"""Ratings as people left them: two layouts, texts among the numbers, scales that disagree."""

import gzip
import json
from pathlib import Path

import pytest

from llm_eval._load_ratings import load_ratings
from llm_eval._ratings import RatedItem, RatingFaultKind, Ratings
from twllm_types import DataError


def write(folder: Path, *rows: object, name: str = "ratings.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def item(item_id: object, human: object, **more: object) -> dict[str, object]:
    return {"id": item_id, "human": human, **more}


def rating(item_id: object, rater: object, value: object, **more: object) -> dict[str, object]:
    return {"id": item_id, "dimension": "overall", "rater": rater, "rating": value, **more}


def test_load_ratings_of_items(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        item("a", {"overall": [1, 2.5], "fluent": 1}, system="s", scale={"overall": [1, 5]}, context=[[None, "嗨"]]),
        item("b", {"overall": []}, system="t", context=[[None, "嗨"]], cluster=None),
        item(3, {"overall": [5]}, cluster="own"),
        item("c", {"overall": [4]}, context=[[None, "哈囉"]]),
    )
    found = load_ratings(path)
    assert found.items["a"].ratings == {"overall": (1.0, 2.5), "fluent": (1.0,)}
    assert found.items["a"].mean("overall") == 1.75
    assert found.items["b"].mean("overall") is None
    assert found.items["b"].mean("fluent") is None
    assert found.items["a"].cluster == found.items["b"].cluster
    assert found.items["a"].cluster != found.items["c"].cluster
    assert found.items["3"].cluster == "own"
    assert (found.items["a"].system, found.items["3"].system) == ("s", None)
    assert found.scales == {"overall": (1.0, 5.0)}
    assert found.dimensions == ("overall", "fluent")
    assert found.faults == ()


def test_load_ratings_packed(tmp_path: Path) -> None:
    path = tmp_path / "ratings.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(item("a", {"overall": [1]})).encode()))
    assert load_ratings(path).items["a"].mean("overall") == 1


def test_load_ratings_texts_and_strangers_are_counted_with_their_line(tmp_path: Path) -> None:
    given = ["N/A (no error)", 6, 0, True, None, [1], 10**400, 5]
    path = write(tmp_path, item("z", {"overall": [3]}), item("a", {"overall": given}, scale={"overall": [1, 5]}))
    found = load_ratings(path)
    assert found.items["a"].ratings["overall"] == (5.0,)
    assert [fault.kind for fault in found.faults] == [
        RatingFaultKind.NOT_A_NUMBER,
        RatingFaultKind.OUT_OF_SCALE,
        RatingFaultKind.OUT_OF_SCALE,
        *[RatingFaultKind.NOT_A_NUMBER] * 4,
    ]
    fault = found.faults[0]
    assert fault.where == f"{path}:2"
    assert (fault.item_id, fault.dimension, fault.value) == ("a", "overall", '"N/A (no error)"')


def test_load_ratings_of_single_raters(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        rating("a", "r1", 4, system="s", cluster="k"),
        rating("b", 7, 2),
        rating("a", "r2", 9),
        rating("a", 3, 5),
    )
    found = load_ratings(path, scales={"overall": (1, 5)})
    assert found.items["a"] == RatedItem(id="a", ratings={"overall": (4.0, 5.0)}, system="s", cluster="k")
    assert [fault.kind for fault in found.faults] == [RatingFaultKind.OUT_OF_SCALE]
    assert found.scales == {"overall": (1.0, 5.0)}


def test_load_ratings_of_words(tmp_path: Path) -> None:
    path = write(tmp_path, item("a", {"verdict": ["好", "壞", "普通", 1]}))
    found = load_ratings(path, verdicts={"verdict": ["壞", "好"]})
    assert found.items["a"].ratings["verdict"] == (1.0, 0.0)
    assert [(fault.kind, fault.value) for fault in found.faults] == [
        (RatingFaultKind.UNKNOWN_VERDICT, '"普通"'),
        (RatingFaultKind.UNKNOWN_VERDICT, "1"),
    ]
    assert found.verdicts == {"verdict": ("壞", "好")}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no rating that counts"),
        ([item("a", {"overall": ["N/A"]})], "no rating that counts"),
        ([{"id": "a"}], r":1: has neither 'human' nor 'rating'"),
        ([item("a", {"x": [1]}), rating("a", "r", 1)], ":2: mixes lines"),
        ([item("a", {"x": [1]}), item("a", {"x": [1]})], r":2: item 'a' was read at .*:1"),
        ([rating("a", 1, 1), rating("a", "1", 2)], r":2: rater '1' on 'a', 'overall' was read at .*:1"),
        ([item(None, {"x": [1]})], ":1: id is None"),
        ([item(True, {"x": [1]})], ":1: id is True"),
        ([item("a", [1])], ":1: human is list"),
        ([item("a", {"x": [1]}, scale=[1, 5])], ":1: scale is list"),
        ([item("a", {"x": [1]}, scale={"x": [5, 1]})], r":1: scale of 'x' is \[5, 1\]"),
        ([item("a", {"x": [1]}, scale={"x": "1-5"})], ":1: scale of 'x' is '1-5'"),
        (
            [item("a", {"x": [1]}, scale={"x": [1, 5]}), item("b", {"x": [1]}, scale={"x": [0, 5]})],
            r":2: scale of 'x' is \[0.0, 5.0\], before it was \[1.0, 5.0\]",
        ),
        ([{"id": "a", "rating": 1, "rater": "r"}], ":1: needs a dimension and a rater"),
        ([{"id": "a", "rating": 1, "dimension": "x", "rater": True}], ":1: needs a dimension and a rater"),
        ([item("a", {"x": [1]}, system=3)], ":1: system is int"),
        ([rating("a", 1, 1, system="s"), rating("a", 2, 1, system="t")], r":2: item 'a' was of 's', now of 't'"),
    ],
)
def test_load_ratings_bad_file_is_refused(tmp_path: Path, rows: list[object], message: str) -> None:
    path = write(tmp_path, *rows)
    with pytest.raises(DataError, match=message):
        load_ratings(path)


def test_ratings_without_systems() -> None:
    items = {name: RatedItem(id=name, ratings={"x": (1.0,)}, system=name.upper()) for name in "abc"}
    ratings = Ratings(items=items, scales={}, verdicts={})
    assert list(ratings.without_systems(["B"]).items) == ["a", "c"]
    with pytest.raises(DataError, match="no rated item is of system 'D'"):
        ratings.without_systems(["B", "D"])


def test_ratings_under_another_id_are_refused() -> None:
    with pytest.raises(DataError, match="'a' stand under 'b'"):
        Ratings(items={"b": RatedItem(id="a", ratings={})}, scales={}, verdicts={})


def test_load_ratings_before_the_line_that_names_the_scale_are_checked(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        item("a", {"overall": [9, 3]}),
        item("b", {"overall": [5]}, scale={"overall": [1, 5]}),
        item("c", {"overall": [0]}),
    )
    found = load_ratings(path)
    assert found.items["a"].ratings["overall"] == (3.0,)
    assert found.items["c"].ratings["overall"] == ()
    assert [(fault.where, fault.kind, fault.value) for fault in found.faults] == [
        (f"{path}:1", RatingFaultKind.OUT_OF_SCALE, "9"),
        (f"{path}:3", RatingFaultKind.OUT_OF_SCALE, "0"),
    ]
