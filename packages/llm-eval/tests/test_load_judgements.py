"""Judges' scores from our files, from plain ones, and from what others recorded."""

import json
from pathlib import Path

import pytest

from llm_eval._items import JudgeItem, Turn
from llm_eval._judge_scores import match_in_order, plain_scores, scores_of_judgements
from llm_eval._judgements import (
    DimensionScore,
    Judgement,
    JudgementFailure,
    JudgementFailureKind,
    ScoreMethod,
    judgement_to_json,
)
from llm_eval._load_judgements import load_judgements
from llm_eval._recorded import read_recorded
from twllm_types import DataError


def judgement(item_id: str, *, repeat: int = 0, **scores: float | str) -> Judgement:
    """A judgement; without scores one that failed."""
    made = {
        name: DimensionScore(
            value=None if isinstance(value, str) else value,
            verdict=value if isinstance(value, str) else None,
            method=ScoreMethod.ARGMAX,
        )
        for name, value in scores.items()
    }
    failure = JudgementFailure(kind=JudgementFailureKind.NO_JSON, message="no object")
    return Judgement(
        item_id=item_id,
        repeat=repeat,
        scores=made or None,
        failure=None if made else failure,
        responses=(),
        prompt_sha256="0" * 64,
    )


def write(folder: Path, *rows: object, name: str = "judge.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_load_judgements_of_a_run_keeps_repeats_and_failures(tmp_path: Path) -> None:
    made = [
        judgement("a", repeat=1, content=0.0, verdict="好"),
        judgement("a", content=3.0, verdict="壞"),
        judgement("b"),
        judgement("c", repeat=0),
        judgement("c", repeat=1, content=2.0),
    ]
    found = load_judgements(write(tmp_path, *map(judgement_to_json, made)))
    assert found.judge == "judge"
    assert found.scores == {
        "a": {"content": (3.0, 0.0), "verdict": ("壞", "好")},
        "b": {},
        "c": {"content": (None, 2.0)},
    }
    assert found.failures == {"no_json": 2}
    assert found.num_failed == 2
    assert found.dimensions == ("content", "verdict")
    assert scores_of_judgements("judge", made) == found


def test_load_judgements_simple_rows(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": 1, "scores": {"x": 3}}, {"id": "b", "scores": {"x": "好"}}, name="mine.jsonl")
    found = load_judgements(path, judge="J")
    assert (found.judge, found.scores) == ("J", {"1": {"x": (3.0,)}, "b": {"x": ("好",)}})
    failed = load_judgements(write(tmp_path, {"id": "a", "scores": None, "failure": "refused"}))
    assert failed.failures == {"refused": 1}


def test_load_judgements_names_one_of_several_figures(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "a", "scores": {"x": {"expected": 2.5, "argmax": 3, "mass": 0.9}}})
    assert load_judgements(path, field="expected").scores["a"] == {"x": (2.5,)}
    assert load_judgements(path, field="argmax").scores["a"] == {"x": (3.0,)}
    with pytest.raises(DataError, match="no number 'median'"):
        load_judgements(path, field="median")
    with pytest.raises(DataError, match=r"score of 'x' is .*give a number or a verdict"):
        load_judgements(path)


def items(*texts: tuple[str, str, str]) -> list[JudgeItem]:
    return [
        JudgeItem(id=f"row {at}", context=(Turn(speaker=None, text=context),), response=response, system=system)
        for at, (system, context, response) in enumerate(texts)
    ]


def test_load_judgements_by_text_join_repeated_keys_in_order(tmp_path: Path) -> None:
    known = items(("s", "嗨", "好"), ("s", "嗨", "好"), ("t", "嗨", "好"))
    row = {"system": "s", "context": [[None, "嗨"]], "response": "好"}
    path = write(
        tmp_path,
        {**row, "scores": {"x": 1}},
        {**row, "system": "t", "context": "嗨", "scores": {"x": 2}},
        {**row, "scores": {"x": 3}},
    )
    found = load_judgements(path, items=known)
    assert {item_id: scores["x"] for item_id, scores in found.scores.items()} == {
        "row 0": (1.0,),
        "row 2": (2.0,),
        "row 1": (3.0,),
    }


def test_match_in_order_says_what_is_left_over() -> None:
    assert match_in_order(["k", "k", "k", "m"], [("k", "1"), ("m", "2"), ("k", "3")]) == ["1", "3", None, "2"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no judgement"),
        ([{"id": None, "scores": {"x": 1}}], ":1: the item's id is None; give a text"),
        (
            [{"context": "嗨", "response": "不", "scores": {"x": 1}}],
            ":1: the item's id is None; its text is that of no",
        ),
        ([{"scores": {"x": 1}}], ":1: has neither an id nor context"),
        ([{"context": [], "response": 3, "scores": {"x": 1}}], ":1: has neither an id nor context"),
        (
            [{"id": "a", "scores": {"x": 1}}, {"id": "a", "scores": {"x": 2}}],
            r":2: item 'a', repeat 0 was read at .*:1",
        ),
        ([{"id": "a", "repeat": -1, "scores": {"x": 1}}], ":1: repeat is -1"),
        ([{"id": "a", "repeat": True, "scores": {"x": 1}}], ":1: repeat is True"),
        ([{"id": "a", "scores": [1]}], r":1: scores are \[1\]"),
        ([{"id": "a", "scores": {}}], ":1: scores are {}"),
        ([{"id": "a", "scores": None}], ":1: has neither scores nor a failure"),
        ([{"id": "a", "scores": {"x": None}}], ":1: score of 'x' is None"),
        ([{"id": "a", "scores": {"x": True}}], ":1: score of 'x' is True"),
        ([{"id": "a", "scores": {"x": " "}}], ":1: score of 'x' is ' '"),
        ([{"id": "a", "scores": {"x": 10**400}}], ":1: score of 'x' is 1"),
    ],
)
def test_load_judgements_bad_file_is_refused(tmp_path: Path, rows: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_judgements(write(tmp_path, *rows))


def test_plain_scores_have_one_repeat() -> None:
    found = plain_scores("me", {"a": {"x": 1.0}})
    assert (found.scores, found.num_failed) == ({"a": {"x": (1.0,)}}, 0)


def recorded(folder: Path, content: object) -> Path:
    path = folder / "recording.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_read_recorded_pair_of_columns(tmp_path: Path) -> None:
    path = recorded(
        tmp_path, {"model": "M", "human": [1, 2], "predicted": [0.1, 0.9], "published": {"pearson_correlation": 1.0}}
    )
    found = read_recorded(path)
    assert (found.name, found.num_rows) == ("M", 2)
    assert found.scores == {"Overall": ((0.1, 0.9),)}
    assert found.human == {"Overall": (1.0, 2.0)}
    assert found.published == {"pearson_correlation": 1.0}
    assert found.join(["a", "b"]).scores == {"a": {"Overall": (0.1,)}, "b": {"Overall": (0.9,)}}


def test_read_recorded_rows(tmp_path: Path) -> None:
    rows = [{"scores": {"x": at}, "predict_scores": {"x": at / 2, "y": 1}} for at in range(3)]
    found = read_recorded(recorded(tmp_path, rows))
    assert (found.name, found.human) == ("recording", {"x": (0.0, 1.0, 2.0)})
    assert found.scores == {"x": ((0.0, 0.5, 1.0),), "y": ((1.0, 1.0, 1.0),)}


def test_read_recorded_repeats_are_sorted_by_number(tmp_path: Path) -> None:
    content = {f"very_good_{at}": [at, -at] for at in (10, 2, 1)}
    found = read_recorded(recorded(tmp_path, content))
    assert found.scores == {"very_good": ((1.0, -1.0), (2.0, -2.0), (10.0, -10.0))}
    assert found.join(["a", "b"]).scores["b"] == {"very_good": (-1.0, -2.0, -10.0)}


def test_recorded_judge_must_cover_the_whole_set(tmp_path: Path) -> None:
    found = read_recorded(recorded(tmp_path, {"x_1": [1, 2]}))
    with pytest.raises(DataError, match="2 recorded rows for 3 items"):
        found.join(["a", "b", "c"])
    with pytest.raises(DataError, match="comes twice"):
        found.join(["a", "a"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "no layout of a recorded judge"),
        ({"fed-turn": [1]}, "no layout of a recorded judge"),
        ("text", "no layout of a recorded judge"),
        ([{"scores": {}}], "row 1 has no 'scores' and 'predict_scores'"),
        ({"human": [1], "predicted": [1, 2]}, "unequal lengths"),
        ({"human": 1, "predicted": [1]}, "human is int"),
        ({"human": ["N/A"], "predicted": [1]}, r"human\[0\] is 'N/A'"),
        ({"human": [1], "predicted": [True]}, r"predicted\[0\] is True"),
        ({"human": [1], "predicted": [1], "published": {"r": None}}, "published: r is None"),
        ({"a_1": [1], "b_1": [1, 2]}, "unequal lengths"),
    ],
)
def test_read_recorded_bad_file_is_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_recorded(recorded(tmp_path, content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"x_1": [1], "x_1": [2]}', "the key 'x_1' comes twice in one object"),
        ("[" * 100_000, "cannot be read"),
    ],
    ids=["repeated", "nested"],
)
def test_read_recorded_of_repeated_keys_or_bottomless_nesting_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "judge.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_recorded(path)


def test_read_recorded_without_figures_of_its_own(tmp_path: Path) -> None:
    assert read_recorded(recorded(tmp_path, {"human": [1], "predicted": [2], "published": []})).published == {}
    with pytest.raises(DataError, match="cannot be read as JSON"):
        read_recorded(tmp_path / "nothing.json")


def test_load_judgements_counts_the_last_of_several_attempts(tmp_path: Path) -> None:
    first = {**judgement_to_json(judgement("a")), "num_attempts": 1}
    again = {**judgement_to_json(judgement("a", relevance=4.0)), "num_attempts": 2}
    other = {**judgement_to_json(judgement("b", relevance=2.0)), "num_attempts": 1}
    scores = load_judgements(write(tmp_path, first, other, again))
    assert {item: dict(of_item) for item, of_item in scores.scores.items()} == {
        "a": {"relevance": (4.0,)},
        "b": {"relevance": (2.0,)},
    }
