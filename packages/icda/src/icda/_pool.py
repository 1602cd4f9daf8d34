"""What a generation has so far: which requests come next, which lines became candidates, how each intent ended.

Nothing here reads or writes. The pool is given answers in the order in which requests were planned, so that it is in
the same state whenever it has been given the same answers.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from icda._candidates import Candidate
from icda._clean import Cleaner, RejectedLine
from icda._generate_settings import GenerateSettings, PlannedRequest, plan_request
from icda._parse import ParsedLine, parse_completion
from icda._requests import AnsweredRequest
from icda._run_data import RunData
from twllm_types import FinishReason, FrozenDict, IntentExample, JsonObject, JsonValue

IntentEnd: TypeAlias = Literal["filled", "budget_spent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentYield:
    """What the requests of one intent gave.

    Attributes:
        intent: the label.
        end: whether it has its candidates, or has spent its budget of requests before.
        num_requests: put.
        num_failed: that the engine failed.
        num_lines: parsed from completions.
        num_kept: candidates.
        num_surplus: good lines of the last round beyond those wanted, which are left out.
        rejected: lines by the reason of their rejection.
    """

    intent: str
    end: IntentEnd
    num_requests: int
    num_failed: int
    num_lines: int
    num_kept: int
    num_surplus: int
    rejected: Mapping[str, int] = field(default_factory=FrozenDict[str, int])

    def to_json(self) -> JsonObject:
        """Return it as JSON values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return cast("JsonObject", {**values, "rejected": dict(self.rejected)})

    @staticmethod
    def from_json(row: Mapping[str, JsonValue]) -> "IntentYield":
        """Read what `to_json` gave."""
        return IntentYield(**cast("dict[str, object]", dict(row)))  # pyright: ignore[reportArgumentType]


@dataclass(slots=True, kw_only=True)
class _IntentState:
    """One intent while it is being filled."""

    seeds: tuple[IntentExample, ...]
    request_ids: list[str] = field(default_factory=list[str])
    candidates: list[Candidate] = field(default_factory=list[Candidate])
    rejected: list[RejectedLine] = field(default_factory=list[RejectedLine])
    num_failed: int = 0
    num_surplus: int = 0


class CandidatePool:
    """The candidates of all intents, round by round.

    Args:
        data: seeds, and test rows that no candidate may repeat.
        settings: how to ask and when to stop.
        seed: of the run.
        source: name of the generator.
    """

    def __init__(self, data: RunData, settings: GenerateSettings, *, seed: int, source: str) -> None:
        self._settings = settings
        self._seed = seed
        self._source = source
        self._intents = {intent: _IntentState(seeds=data.seeds_of(intent)) for intent in data.intents}
        self._cleaner = Cleaner(data.seeds, (*data.test, *data.out_of_scope), settings.clean)

    @property
    def num_kept(self) -> int:
        """Candidates so far."""
        return sum(len(state.candidates) for state in self._intents.values())

    @property
    def num_wanted(self) -> int:
        """Candidates of all intents together."""
        return self._settings.num_per_intent * len(self._intents)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """By intent, then as they were accepted."""
        return tuple(candidate for state in self._intents.values() for candidate in state.candidates)

    @property
    def rejected(self) -> tuple[RejectedLine, ...]:
        """By intent, then as they were rejected."""
        return tuple(line for state in self._intents.values() for line in state.rejected)

    @property
    def request_ids(self) -> tuple[str, ...]:
        """Of all requests whose answers were taken, by intent, then number."""
        return tuple(one for state in self._intents.values() for one in state.request_ids)

    @property
    def yields(self) -> tuple[IntentYield, ...]:
        """How every intent stands, by intent; meant for the end."""
        return tuple(self._yield(intent, state) for intent, state in self._intents.items())

    def next_round(self) -> tuple[PlannedRequest, ...]:
        """Plan the next requests of every intent that lacks candidates and has budget left; empty at the end."""
        settings = self._settings
        planned: list[PlannedRequest] = []
        for intent, state in self._intents.items():
            first = len(state.request_ids)
            if len(state.candidates) >= settings.num_per_intent:
                continue
            last = min(first + settings.requests_per_round, settings.max_requests_per_intent)
            planned += [
                plan_request(intent, number, state.seeds, settings, seed=self._seed) for number in range(first, last)
            ]
        return tuple(planned)

    def take(self, answers: Sequence[AnsweredRequest]) -> None:
        """Take the answers of a round, in the order in which it was planned."""
        for answer in answers:
            state = self._intents[answer.intent]
            state.request_ids.append(answer.id)
            state.num_failed += answer.failure is not None
            self._take_lines(state, answer)

    def _take_lines(self, state: _IntentState, answer: AnsweredRequest) -> None:
        lines: list[ParsedLine] = []
        for text, reason in zip(answer.texts, answer.finish_reasons, strict=True):
            lines += parse_completion(text, style=self._settings.style, finish_reason=FinishReason(reason))
        judged = self._cleaner.admit(
            lines, intent=answer.intent, request_id=answer.id, source=self._source, seed_ids=answer.seed_ids
        )
        for found in judged:
            if isinstance(found, RejectedLine):
                state.rejected.append(found)
            elif len(state.candidates) < self._settings.num_per_intent:
                state.candidates.append(found)
            else:
                state.num_surplus += 1

    def _yield(self, intent: str, state: _IntentState) -> IntentYield:
        reasons = Counter(line.reason.value for line in state.rejected)
        num_kept = len(state.candidates)
        return IntentYield(
            intent=intent,
            end="filled" if num_kept >= self._settings.num_per_intent else "budget_spent",
            num_requests=len(state.request_ids),
            num_failed=state.num_failed,
            num_lines=num_kept + state.num_surplus + len(state.rejected),
            num_kept=num_kept,
            num_surplus=state.num_surplus,
            rejected=FrozenDict(sorted(reasons.items())),
        )
