"""What a judge says of an item: a score for every dimension, or why there is none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import TypeVar, cast

from twllm_types import DataError, FrozenDict, JsonObject, JsonValue, Usage

JUDGEMENT_SCHEMA_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
# sums of probabilities end a rounding error above 1
_ROUNDING = 1e-6
_T = TypeVar("_T")


class ScoreMethod(StrEnum):
    """How a score is made of what the model gave.

    ARGMAX is the value that it wrote; EXPECTED the mean over the allowed values, weighted by their probabilities;
    SAMPLED the mean of several answers.
    """

    ARGMAX = "argmax"
    EXPECTED = "expected"
    SAMPLED = "sampled"


class JudgementFailureKind(StrEnum):
    """Why there is no judgement; a closed set, not that of the engines (`twllm_types.FailureKind`)."""

    NO_JSON = "no_json"
    """No JSON object that holds a dimension."""
    MISSING_DIMENSION = "missing_dimension"
    OUT_OF_RANGE = "out_of_range"
    """A number or word that is none of the scale's."""
    NOT_A_NUMBER = "not_a_number"
    AMBIGUOUS = "ambiguous"
    """A key twice in one object, or two whole answers that disagree."""
    REFUSED = "refused"
    """The model declined, called a tool instead, or a filter stopped it."""
    TRUNCATED = "truncated"
    """The token limit cut the answer off before it was whole."""
    ENGINE_ERROR = "engine_error"
    MISSING_LOGPROBS = "missing_logprobs"
    """The engine gave none where a score was written, none of an allowed score, or such as add up to more than 1."""
    MISALIGNED_TOKENS = "misaligned_tokens"
    """The tokens do not join to the text, so a score cannot be found among them."""
    LOW_CAPTURED_MASS = "low_captured_mass"
    """The allowed scores that were seen hold less probability than was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseFailure:
    """Why nothing could be read from one text.

    Attributes:
        kind: why.
        message: one line.
        dimension: the first dimension that is at fault; None where the whole text is.
    """

    kind: JudgementFailureKind
    message: str
    dimension: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgementFailure:
    """Why an item has no scores.

    Attributes:
        kind: why.
        message: one line.
        dimension: the first dimension that is at fault; None where none is.
    """

    kind: JudgementFailureKind
    message: str
    dimension: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionScore:
    """One dimension's score and how it was made.

    Attributes:
        value: the number; None exactly where the scale is one of verdicts.
        verdict: the word; None exactly where the scale is one of numbers.
        method: how the score was made.
        captured_mass: probability of all allowed scores that were seen, before it was made 1, in [0, 1]; for EXPECTED
            only.
        probabilities: score as written to probability, with the sum 1 (for SAMPLED, the share of the samples); None
            for ARGMAX.
        num_samples: answers behind the score, >= 1.
        num_failed: further answers that could not be read, >= 0; they are in no mean.

    Raises:
        DataError: both or neither of value and verdict, or a figure out of its range.
    """

    value: float | None
    verdict: str | None = None
    method: ScoreMethod
    captured_mass: float | None = None
    probabilities: Mapping[str, float] | None = None
    num_samples: int = 1
    num_failed: int = 0

    def __post_init__(self) -> None:
        mass, shares = self.captured_mass, self.probabilities
        problems = (
            ((self.value is None) == (self.verdict is None), "give exactly one of value and verdict"),
            (self.value is not None and not isfinite(self.value), f"value {self.value} is not finite"),
            (mass is not None and not 0 <= mass <= 1 + _ROUNDING, f"captured_mass {mass} must lie in [0, 1]"),
            ((mass is not None) != (self.method is ScoreMethod.EXPECTED), "captured_mass goes with 'expected' alone"),
            ((shares is None) != (self.method is ScoreMethod.ARGMAX), "only 'argmax' has no probabilities"),
            (shares is not None and not _is_distribution(shares), "probabilities must be >= 0 with the sum 1"),
            (self.num_samples < 1 or self.num_failed < 0, "num_samples must be >= 1 and num_failed >= 0"),
        )
        for broken, message in problems:
            if broken:
                raise DataError(f"score: {message}")
        if shares is not None:
            object.__setattr__(self, "probabilities", FrozenDict(shares))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One item as it was judged once; one line of `judgements.jsonl`. Whole or failed, never half.

    Attributes:
        item_id: id of the item.
        system: who wrote the response; None where nobody says.
        cluster: cluster of the item (`JudgeItem.cluster_key`); None where it is not known.
        repeat: 0 for the first judgement of an item, k for its k-th repetition.
        scores: a score for each dimension, in their order; None exactly where it failed.
        failure: why there are none; None exactly where there are.
        responses: texts that the model gave, one per sample; empty where the engine failed.
        reason: the model's explanation, shown to people and never read for scores; None where none was given.
        model: id of the model as the engine named it; None where it named none.
        prompt_sha256: hash of the prompt as sent, 64 hexadecimal digits.
        usage: tokens taken; None where the engine does not say.
        num_attempts: tries made, >= 1.
        item_sha256: hash of the item as it was judged (`item_sha256`), 64 hexadecimal digits; None where it is not
            known, as in judgements of earlier versions.

    Raises:
        DataError: the parts contradict each other.
    """

    item_id: str
    system: str | None = None
    cluster: str | None = None
    repeat: int = 0
    scores: Mapping[str, DimensionScore] | None
    failure: JudgementFailure | None
    responses: tuple[str, ...]
    reason: str | None = None
    model: str | None = None
    prompt_sha256: str
    usage: Usage | None = None
    num_attempts: int = 1
    item_sha256: str | None = None

    def __post_init__(self) -> None:
        problems = (
            ((self.scores is None) == (self.failure is None), "give exactly one of scores and failure"),
            (self.scores is not None and not self.scores, "scores are empty; give the failure instead"),
            (self.repeat < 0 or self.num_attempts < 1, "repeat must be >= 0 and num_attempts >= 1"),
            *(
                (not _SHA256.fullmatch(value), f"{name} is no SHA-256 in lower-case hexadecimal")
                for name, value in (("prompt_sha256", self.prompt_sha256), ("item_sha256", self.item_sha256))
                if value is not None
            ),
        )
        for broken, message in problems:
            if broken:
                raise DataError(f"judgement of item {self.item_id}: {message}")
        if self.scores is not None:
            object.__setattr__(self, "scores", FrozenDict(self.scores))


def judgement_to_json(judgement: Judgement) -> JsonObject:
    """Return one line of `judgements.jsonl`; `judgement_from_json` is its inverse."""
    scores = judgement.scores
    return {
        "schema_version": JUDGEMENT_SCHEMA_VERSION,
        "item_id": judgement.item_id,
        "system": judgement.system,
        "cluster": judgement.cluster,
        "repeat": judgement.repeat,
        "scores": None if scores is None else {name: _score_to_json(score) for name, score in scores.items()},
        "failure": failure_to_json(judgement.failure),
        "responses": list(judgement.responses),
        "reason": judgement.reason,
        "model": judgement.model,
        "prompt_sha256": judgement.prompt_sha256,
        "usage": usage_to_json(judgement.usage),
        "num_attempts": judgement.num_attempts,
        # Left out and not null: runs of earlier versions keep their lines and so the hash of these in their summary.
        **({} if judgement.item_sha256 is None else {"item_sha256": judgement.item_sha256}),
    }


def failure_to_json(failure: JudgementFailure | None) -> JsonObject | None:
    """Return what a line holds of a failure."""
    if failure is None:
        return None
    return {"kind": failure.kind.value, "dimension": failure.dimension, "message": failure.message}


def usage_to_json(usage: Usage | None) -> JsonObject | None:
    """Return what a line holds of the tokens taken."""
    if usage is None:
        return None
    return {
        "num_prompt_tokens": usage.num_prompt_tokens,
        "num_completion_tokens": usage.num_completion_tokens,
        "num_cached_tokens": usage.num_cached_tokens,
    }


def judgement_from_json(row: Mapping[str, JsonValue], *, source: str = "judgements.jsonl") -> Judgement:
    """Read what `judgement_to_json` writes; unknown keys are ignored.

    Args:
        row: the JSON object.
        source: what messages begin with, such as file:line.

    Raises:
        DataError: another schema version, a missing key, or a value that no run writes.
    """
    if row.get("schema_version") != JUDGEMENT_SCHEMA_VERSION:
        raise DataError(
            f"{source}: schema_version is {row.get('schema_version')!r}, this llm-eval reads "
            f"{JUDGEMENT_SCHEMA_VERSION}; use the version that wrote it, or judge again"
        )
    try:
        return _judgement(row)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{source}: is no judgement of llm-eval ({what}); restore the file or judge again") from error


def _is_distribution(shares: Mapping[str, float]) -> bool:
    return all(share >= 0 for share in shares.values()) and abs(sum(shares.values()) - 1) <= _ROUNDING


def _score_to_json(score: DimensionScore) -> JsonObject:
    shares = score.probabilities
    return {
        "value": score.value,
        "verdict": score.verdict,
        "method": score.method.value,
        "captured_mass": score.captured_mass,
        "probabilities": None if shares is None else dict(shares),
        "num_samples": score.num_samples,
        "num_failed": score.num_failed,
    }


def _judgement(row: Mapping[str, JsonValue]) -> Judgement:
    scores, failure, usage = (_optional_object(row, key) for key in ("scores", "failure", "usage"))
    responses = row["responses"]
    if not isinstance(responses, list) or not all(isinstance(text, str) for text in responses):
        raise TypeError("'responses' is no list of texts")
    return Judgement(
        item_id=_typed(row, "item_id", str),
        system=_optional(row, "system", str),
        cluster=_optional(row, "cluster", str),
        repeat=_typed(row, "repeat", int),
        scores=None if scores is None else {name: _score(_object(scores, name)) for name in scores},
        failure=None if failure is None else _failure(failure),
        responses=tuple(cast("list[str]", responses)),
        reason=_optional(row, "reason", str),
        model=_optional(row, "model", str),
        prompt_sha256=_typed(row, "prompt_sha256", str),
        usage=None if usage is None else _usage(usage),
        num_attempts=_typed(row, "num_attempts", int),
        item_sha256=_optional(row, "item_sha256", str) if "item_sha256" in row else None,
    )


def _score(row: Mapping[str, JsonValue]) -> DimensionScore:
    shares = _optional_object(row, "probabilities")
    return DimensionScore(
        value=_optional_number(row, "value"),
        verdict=_optional(row, "verdict", str),
        method=ScoreMethod(_typed(row, "method", str)),
        captured_mass=_optional_number(row, "captured_mass"),
        probabilities=None if shares is None else {label: _number(shares, label) for label in shares},
        num_samples=_typed(row, "num_samples", int),
        num_failed=_typed(row, "num_failed", int),
    )


def _failure(row: Mapping[str, JsonValue]) -> JudgementFailure:
    return JudgementFailure(
        kind=JudgementFailureKind(_typed(row, "kind", str)),
        dimension=_optional(row, "dimension", str),
        message=_typed(row, "message", str),
    )


def _usage(row: Mapping[str, JsonValue]) -> Usage:
    return Usage(
        num_prompt_tokens=_typed(row, "num_prompt_tokens", int),
        num_completion_tokens=_typed(row, "num_completion_tokens", int),
        num_cached_tokens=_optional(row, "num_cached_tokens", int),
    )


def _typed(row: Mapping[str, JsonValue], key: str, kind: type[_T]) -> _T:
    value = row[key]
    # bool is a kind of int to Python, not to JSON
    if not isinstance(value, kind) or value is True or value is False:
        raise TypeError(f"{key!r} is {type(value).__name__}")
    return value


def _optional(row: Mapping[str, JsonValue], key: str, kind: type[_T]) -> _T | None:
    return None if row[key] is None else _typed(row, key, kind)


def _object(row: Mapping[str, JsonValue], key: str) -> JsonObject:
    value = row[key]
    if not isinstance(value, dict):
        raise TypeError(f"{key!r} is {type(value).__name__}")
    return value


def _optional_object(row: Mapping[str, JsonValue], key: str) -> JsonObject | None:
    return None if row[key] is None else _object(row, key)


def _number(row: Mapping[str, JsonValue], key: str) -> float:
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{key!r} is {type(value).__name__}")
    return float(value)


def _optional_number(row: Mapping[str, JsonValue], key: str) -> float | None:
    return None if row[key] is None else _number(row, key)
