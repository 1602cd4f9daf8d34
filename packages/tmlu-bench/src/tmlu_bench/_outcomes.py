"""What became of one question: its outcome, and the record that a run keeps of it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf, isinf
from typing import TypeVar, cast

from twllm_types import DataError, FrozenDict, JsonObject, JsonValue

ITEM_SCHEMA_VERSION = 1
_NO_PROBABILITY = "-inf"
_T = TypeVar("_T")


class Outcome(StrEnum):
    """A closed set; all but `error` count in the denominator of an accuracy."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNPARSED = "unparsed"
    """The model answered, but no single option could be read from the answer."""
    TRUNCATED = "truncated"
    """The answer was cut off by the token limit before an option could be read."""
    ERROR = "error"
    """The question could not be put or the engine gave nothing; not the model's mistake, so no score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFailure:
    """Why a question has no answer: a stable kind and one line."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemKey:
    """What an item is known by, in one run and across runs.

    Attributes:
        subject: subject id.
        question_id: unique within the subject.
        variant: 0 for the order as given, k for the k-th permutation of the options.
    """

    subject: str
    question_id: str
    variant: int = 0

    @property
    def sort_key(self) -> tuple[str, str, int]:
        """Order of items wherever figures are summed, so that the order of writing never shows."""
        return self.subject, self.question_id, self.variant


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """One question as it was put and answered; one line of `items.jsonl`.

    Letters are those of the original order of the options, whatever order was shown.

    Attributes:
        subject: subject id.
        question_id: unique within the subject.
        variant: 0 for the order as given, k for the k-th permutation.
        order: shown position to original option index, a permutation of 0..options-1.
        gold: letter of the right option.
        choice: letter chosen; None unless the outcome is `correct` or `wrong`.
        outcome: what became of it.
        logprobs: letter to natural log-probability, -inf among them; a letter that the engine did not report is
            absent; None where none were asked for.
        captured_mass: probability of all reported letters together, in [0, 1]; None where it is not known.
        response: what the model wrote; None where nothing was generated.
        extraction: how the letter was read from `response`; None where nothing was.
        finish_reason: why the generation ended ("stop", "length", "content_filter", "tool_call", "refusal"); None where
            nothing was generated.
        failure: why there is no answer, exactly where the outcome is `error`.
        prompt_sha256: hash of the prompt as sent, 64 hexadecimal digits; None where it was never built.
        num_prompt_tokens: of the prompt; None where the engine does not say.
        num_shots: examples in the prompt, >= 0.
        model: id of the model as the server named it; None where it named none.

    Raises:
        DataError: the parts contradict each other.
    """

    subject: str
    question_id: str
    variant: int = 0
    order: tuple[int, ...]
    gold: str
    choice: str | None
    outcome: Outcome
    logprobs: Mapping[str, float] | None = None
    captured_mass: float | None = None
    response: str | None = None
    extraction: str | None = None
    finish_reason: str | None = None
    failure: ItemFailure | None = None
    prompt_sha256: str | None = None
    num_prompt_tokens: int | None = None
    num_shots: int = 0
    model: str | None = None

    def __post_init__(self) -> None:
        if self.logprobs is not None:
            object.__setattr__(self, "logprobs", FrozenDict(self.logprobs))
        letters = self.letters
        decided = self.outcome in (Outcome.CORRECT, Outcome.WRONG)
        problems = (
            (sorted(self.order) != list(range(len(self.order))), f"order {self.order} is no permutation"),
            (len(self.gold) != 1 or self.gold not in letters, f"gold {self.gold!r} is none of {letters}"),
            ((self.choice is not None) != decided, f"outcome {self.outcome} does not fit choice {self.choice!r}"),
            (self.choice is not None and self.choice not in letters, f"choice {self.choice!r} is none of {letters}"),
            (decided and (self.choice == self.gold) != (self.outcome is Outcome.CORRECT), "the outcome is not theirs"),
            ((self.failure is not None) != (self.outcome is Outcome.ERROR), "an error needs a failure, nothing else"),
            (self.variant < 0 or self.num_shots < 0, "variant and num_shots must be >= 0"),
        )
        for broken, message in problems:
            if broken:
                raise DataError(f"item {self.subject}/{self.question_id}/{self.variant}: {message}; run it again")

    @property
    def key(self) -> ItemKey:
        """What the item is known by."""
        return ItemKey(subject=self.subject, question_id=self.question_id, variant=self.variant)

    @property
    def num_options(self) -> int:
        """Options shown."""
        return len(self.order)

    @property
    def letters(self) -> str:
        """Letters of the options, as one string: 'ABCD'."""
        return "ABCDEFGHIJ"[: len(self.order)]

    def shown_position(self, letter: str) -> int:
        """Position, from 0, at which the option with this original letter was shown."""
        return self.order.index(self.letters.index(letter))


def item_to_json(item: ItemResult) -> JsonObject:
    """Return one line of `items.jsonl`; `item_from_json` is its inverse. -inf is written as "-inf"."""
    return {
        "schema_version": ITEM_SCHEMA_VERSION,
        "subject": item.subject,
        "question_id": item.question_id,
        "variant": item.variant,
        "order": list(item.order),
        "gold": item.gold,
        "choice": item.choice,
        "outcome": item.outcome.value,
        "logprobs": None if item.logprobs is None else {key: _number(value) for key, value in item.logprobs.items()},
        "captured_mass": item.captured_mass,
        "response": item.response,
        "extraction": item.extraction,
        "finish_reason": item.finish_reason,
        "failure": None if item.failure is None else {"kind": item.failure.kind, "message": item.failure.message},
        "prompt_sha256": item.prompt_sha256,
        "num_prompt_tokens": item.num_prompt_tokens,
        "num_shots": item.num_shots,
        "model": item.model,
    }


def item_from_json(row: Mapping[str, JsonValue], *, source: str = "items.jsonl") -> ItemResult:
    """Read what `item_to_json` writes; unknown keys are ignored.

    Args:
        row: the JSON object.
        source: what messages begin with, such as file:line.

    Raises:
        DataError: another schema version, a missing key, or a value that no run writes.
    """
    if row.get("schema_version") != ITEM_SCHEMA_VERSION:
        raise DataError(
            f"{source}: schema_version is {row.get('schema_version')!r}, this tmlu-bench reads {ITEM_SCHEMA_VERSION}; "
            "use the version that wrote it, or run it again"
        )
    try:
        return _item(row)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{source}: is no item of tmlu-bench ({what}); restore the file or run it again") from error


def last_records(items: Iterable[ItemResult]) -> tuple[ItemResult, ...]:
    """Return the last record of each item, in the order of their keys.

    A run appends; a retried item has several records, of which the last counts. No items: an empty tuple.
    """
    latest = {item.key: item for item in items}
    return tuple(latest[key] for key in sorted(latest, key=lambda key: key.sort_key))


def hash_items(items: Iterable[ItemResult]) -> str:
    """Return the hash of the last records of items, 64 hexadecimal digits, whatever the order of writing."""
    digest = hashlib.sha256()
    for item in last_records(items):
        digest.update(f"{json.dumps(item_to_json(item), sort_keys=True)}\n".encode())
    return digest.hexdigest()


def _item(row: Mapping[str, JsonValue]) -> ItemResult:
    failure = cast("dict[str, str] | None", row["failure"])
    logprobs = cast("dict[str, float | str] | None", row["logprobs"])
    order = cast("list[int]", row["order"])
    return ItemResult(
        subject=_typed(row, "subject", str),
        question_id=_typed(row, "question_id", str),
        variant=_typed(row, "variant", int),
        order=tuple(order),
        gold=_typed(row, "gold", str),
        choice=_optional(row, "choice", str),
        outcome=Outcome(_typed(row, "outcome", str)),
        logprobs=None if logprobs is None else {key: _float(value) for key, value in logprobs.items()},
        captured_mass=None if row["captured_mass"] is None else float(cast("float", row["captured_mass"])),
        response=_optional(row, "response", str),
        extraction=_optional(row, "extraction", str),
        finish_reason=_optional(row, "finish_reason", str),
        failure=None if failure is None else ItemFailure(kind=failure["kind"], message=failure["message"]),
        prompt_sha256=_optional(row, "prompt_sha256", str),
        num_prompt_tokens=_optional(row, "num_prompt_tokens", int),
        num_shots=_typed(row, "num_shots", int),
        model=_optional(row, "model", str),
    )


def _typed(row: Mapping[str, JsonValue], key: str, kind: type[_T]) -> _T:
    value = row[key]
    if not isinstance(value, kind):
        raise TypeError(f"{key!r} is {type(value).__name__}")
    return value


def _optional(row: Mapping[str, JsonValue], key: str, kind: type[_T]) -> _T | None:
    return None if row[key] is None else _typed(row, key, kind)


def _number(value: float) -> JsonValue:
    return _NO_PROBABILITY if isinf(value) else value


def _float(value: float | str) -> float:
    return -inf if value == _NO_PROBABILITY else float(value)
