"""Judgements: whole or failed, and the same after writing and reading."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from llm_eval._judgements import (
    DimensionScore,
    Judgement,
    JudgementFailure,
    JudgementFailureKind,
    ScoreMethod,
    judgement_from_json,
    judgement_to_json,
)
from twllm_types import DataError, Usage

SHA = "0" * 64
ARGMAX = DimensionScore(value=4.0, method=ScoreMethod.ARGMAX)
EXPECTED = DimensionScore(value=3.5, method=ScoreMethod.EXPECTED, captured_mass=0.9, probabilities={"3": 0.5, "4": 0.5})
VERDICT = DimensionScore(
    value=None, verdict="good", method=ScoreMethod.SAMPLED, probabilities={"good": 1.0}, num_samples=3, num_failed=1
)
WHOLE = Judgement(
    item_id="i",
    system="s",
    cluster="c",
    repeat=2,
    scores={"content": ARGMAX, "grammar": EXPECTED, "tone": VERDICT},
    failure=None,
    responses=("{}", "好"),
    reason="because",
    model="m",
    prompt_sha256=SHA,
    usage=Usage(num_prompt_tokens=5, num_completion_tokens=2, num_cached_tokens=1),
    num_attempts=2,
    item_sha256="a" * 64,
)
FAILED = Judgement(
    item_id="i",
    scores=None,
    failure=JudgementFailure(kind=JudgementFailureKind.MISSING_DIMENSION, message="no 'grammar'", dimension="grammar"),
    responses=("{}",),
    prompt_sha256=SHA,
)


@pytest.mark.parametrize("judgement", [WHOLE, FAILED], ids=["whole", "failed"])
def test_judgement_json_round_trips(judgement):
    row = json.loads(json.dumps(judgement_to_json(judgement)))
    assert judgement_from_json({**row, "later": "ignored"}) == judgement


def test_judgement_without_hash_of_its_item_is_written_as_earlier_versions_did():
    assert "item_sha256" not in judgement_to_json(FAILED)
    assert judgement_from_json({**judgement_to_json(FAILED), "item_sha256": None}) == FAILED


def test_judgement_half_or_empty_is_refused():
    for changes in (
        {"failure": FAILED.failure},
        {"scores": None},
        {"scores": {}},
        {"repeat": -1},
        {"num_attempts": 0},
        {"prompt_sha256": "x"},
        {"item_sha256": "x"},
    ):
        with pytest.raises(DataError, match="judgement of item i"):
            replace(WHOLE, **changes)


@pytest.mark.parametrize(
    "fields",
    [
        {"value": None, "method": ScoreMethod.ARGMAX},
        {"value": 1.0, "verdict": "good", "method": ScoreMethod.ARGMAX},
        {"value": float("nan"), "method": ScoreMethod.ARGMAX},
        {"value": 1.0, "method": ScoreMethod.EXPECTED, "probabilities": {"1": 1.0}},
        {"value": 1.0, "method": ScoreMethod.EXPECTED, "captured_mass": 1.5, "probabilities": {"1": 1.0}},
        {"value": 1.0, "method": ScoreMethod.EXPECTED, "captured_mass": 0.5},
        {"value": 1.0, "method": ScoreMethod.ARGMAX, "captured_mass": 0.5},
        {"value": 1.0, "method": ScoreMethod.SAMPLED, "probabilities": {"1": 0.7}},
        {"value": 1.0, "method": ScoreMethod.ARGMAX, "num_samples": 0},
    ],
)
def test_dimension_score_contradiction_is_refused(fields):
    with pytest.raises(DataError, match="score:"):
        DimensionScore(**fields)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), 0),
        (("item_id",), 3),
        (("repeat",), True),
        (("responses",), "x"),
        (("responses",), [1]),
        (("scores",), []),
        (("scores", "content"), 4),
        (("scores", "content", "value"), "4"),
        (("scores", "content", "method"), "guess"),
        (("scores", "grammar", "probabilities", "3"), True),
        (("failure",), {"kind": "unknown", "dimension": None, "message": "x"}),
        (("usage", "num_prompt_tokens"), -1),
        (("item_sha256",), 3),
        (("item_sha256",), "x"),
    ],
)
def test_judgement_from_json_value_that_no_run_writes_is_refused(path, value):
    row = json.loads(json.dumps(judgement_to_json(WHOLE)))
    place = row
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(DataError, match=r"j\.jsonl:1"):
        judgement_from_json(row, source="j.jsonl:1")


def test_judgement_from_json_missing_key_is_named():
    row = judgement_to_json(WHOLE)
    del row["model"]
    with pytest.raises(DataError, match="'model' is missing"):
        judgement_from_json(row)


def test_judgement_mappings_cannot_change():
    with pytest.raises(TypeError):
        cast("Any", WHOLE.scores)["content"] = ARGMAX
    with pytest.raises(TypeError):
        cast("Any", EXPECTED.probabilities)["3"] = 1.0
