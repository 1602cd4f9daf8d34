"""Utterances, generators and progress of our own for tests of the runs: invented, deterministic, quick."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from icda._candidates import Candidate, candidate_id
from icda._generate_settings import GenerateSettings
from icda._recipe import IcdaRecipe
from icda._recipe_data import DataFile, DataSettings
from icda._run_data import RunData, load_run_data
from icda._run_score import ScoreJob, ScoreRun, run_score
from icda._train_settings import TrainSettings
from twllm_engines import EngineCapabilities
from twllm_types import (
    Completion,
    EngineFailure,
    FinishReason,
    GenerationRequest,
    JsonObject,
    ModelIdentity,
    Usage,
)

STARTS = ("please tell me", "i want to know", "hello,", "could you say", "quick question:", "hi there,")
PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "check_balance": (
        ("how much money", "what amount", "what sum", "how many dollars"),
        ("is left on my account", "does my account hold", "remains in my savings", "shows as my balance"),
    ),
    "lost_card": (
        ("my debit card is gone", "i lost my card", "someone took my card", "my card has vanished"),
        ("since this morning", "on the bus", "at the market", "during lunch"),
    ),
    "opening_hours": (
        ("when does the branch open", "at what hour do you close", "until when is the office open", "are you open"),
        ("on saturdays", "today", "on public holidays", "next week"),
    ),
}
INTENTS = tuple(PARTS)


def utterance(intent: str, number: int) -> str:
    """One of 96 utterances of an intent; equal numbers give equal texts."""
    first, second = PARTS[intent]
    start = STARTS[number % len(STARTS)]
    # 6 and 16 are not coprime, so the rest is taken from the quotient
    rest = number // len(STARTS)
    return f"{start} {first[rest % 4]} {second[rest // 4 % 4]}"


def picked(intent: str, *key: object) -> str:
    """An utterance of an intent by hash."""
    return utterance(intent, digest(intent, *key) % 96)


def digest(*key: object) -> int:
    return int(hashlib.sha256(repr(key).encode()).hexdigest()[:12], 16)


def write_rows(path: Path, numbers: range, *, outside: Sequence[str] = ()) -> Path:
    """A JSONL file of utterances of every intent, and of some out of scope."""
    rows = [{"text": utterance(intent, 7 * number), "intent": intent} for intent in INTENTS for number in numbers]
    rows += [{"text": text, "intent": "oos"} for text in outside]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_data(folder: Path) -> dict[str, Path]:
    """Six seeds, four validation and eight test rows of each intent, and test rows out of scope."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "seeds": write_rows(folder / "seeds.jsonl", range(6)),
        "validation": write_rows(folder / "validation.jsonl", range(6, 10)),
        "test": write_rows(folder / "test.jsonl", range(10, 18), outside=("what is love", "sing a song", "9 times 7")),
    }


def asked_intent(prompt: str) -> str:
    """The intent that a prompt names."""
    return next(intent for intent in INTENTS if intent.replace("_", " ") in prompt)


def good_answer(prompt: str, seed: int, sample: int) -> str:
    """Mostly what was asked for; sometimes another intent, a copy of a seed, an echo or nothing."""
    intent = asked_intent(prompt)
    kind = digest("kind", prompt, seed, sample) % 10
    if kind == 0:
        return ""
    if kind == 1:
        return "The following sentences belong to the same category"
    if kind in {2, 3}:
        return picked(INTENTS[(INTENTS.index(intent) + 1) % len(INTENTS)], seed, sample)
    return f" {picked(intent, seed, sample)}"


class FakeGenerator:
    """Answers by rule; `on_answer` is called with the number of answers so far before each is given."""

    def __init__(
        self,
        answer: Callable[[str, int, int], str | EngineFailure] = good_answer,
        *,
        name: str = "fake",
        on_answer: Callable[[int], None] | None = None,
        prices: bool = True,
        finish_reason: FinishReason = FinishReason.STOP,
    ) -> None:
        self._answer = answer
        self._name = name
        self._on_answer = on_answer
        self._prices = prices
        self._finish_reason = finish_reason
        self.requests: list[GenerationRequest] = []

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(
            spec=f"fake:{self._name}", sha256={"weights": hashlib.sha256(self._name.encode()).hexdigest()}
        )

    @property
    def settings(self) -> JsonObject:
        prices: JsonObject = {"prompt_price": 1.0, "completion_price": 2.0, "currency": "TWD"} if self._prices else {}
        return {"engine": "fake", "name": self._name, **prices}

    @property
    def capabilities(self) -> EngineCapabilities:
        return EngineCapabilities(
            likelihood=False,
            sequence_logprobs=False,
            chat=True,
            raw_prompts=True,
            json_schema=False,
            max_top_logprobs=None,
        )

    def stream(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        # as batches end, not in order
        for index in reversed(range(len(requests))):
            request = requests[index]
            self.requests.append(request)
            if self._on_answer is not None:
                self._on_answer(len(self.requests))
            yield index, self._completion(request)

    def _completion(self, request: GenerationRequest) -> Completion | EngineFailure:
        text = request.prompt if isinstance(request.prompt, str) else request.prompt.messages[-1].content
        count = request.params.num_samples
        answers = [self._answer(text, request.params.seed or 0, sample) for sample in range(count)]
        failures = [answer for answer in answers if isinstance(answer, EngineFailure)]
        if failures:
            return failures[0]
        texts = tuple(answer for answer in answers if isinstance(answer, str))
        usage = Usage(num_prompt_tokens=len(text), num_completion_tokens=sum(map(len, texts)))
        return Completion(texts=texts, finish_reasons=(self._finish_reason,) * count, usage=usage, model="fake-model")

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Completion | EngineFailure]:
        found = dict(self.stream(requests))
        return [found[index] for index in range(len(requests))]

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class FakeServer(FakeGenerator):
    """The same, paid by the token."""

    def ledger(self) -> Any:
        raise NotImplementedError


class SilentProgress:
    """Shows nothing; `on_advance` is called with the task's name and its count."""

    def __init__(self, on_advance: Callable[[str, int], None] | None = None) -> None:
        self._on_advance = on_advance

    def task(self, description: str, total: int | None, unit: str) -> "SilentTask":
        del total, unit
        return SilentTask(description, self._on_advance)


class SilentTask:
    def __init__(self, description: str, on_advance: Callable[[str, int], None] | None) -> None:
        self._description = description
        self._on_advance = on_advance
        self._count = 0

    def advance(self, n: int = 1) -> None:
        self._count += n
        if self._on_advance is not None:
            self._on_advance(self._description, self._count)

    def set(self, completed: int, total: int | None = None) -> None:
        del total
        self._count = completed

    def note(self, text: str) -> None:
        pass


def make_data(folder: Path, *roles: str) -> RunData:
    """The data of `write_data` as a run reads them; `seeds` always, other roles where named."""
    paths = write_data(folder)
    files = {name: DataFile(path=path) for name, path in paths.items()}
    named: dict[str, Any] = {role: role for role in roles}
    return load_run_data(DataSettings(files=files, **named))


def make_candidates(count: int = 12, *, wrong: float = 0.3) -> tuple[Candidate, ...]:
    """Candidates of every intent, a share of them utterances of the next intent."""
    found: list[Candidate] = []
    for intent in INTENTS:
        for number in range(count):
            is_wrong = number < wrong * count
            of = INTENTS[(INTENTS.index(intent) + 1) % len(INTENTS)] if is_wrong else intent
            text = f"{utterance(of, 11 * number + 5)} please"
            found.append(Candidate(text=text, intent=intent, id=candidate_id(intent, "", number), source="pool"))
    return tuple(found)


def make_scored(folder: Path, *, count: int = 12, wrong: float = 0.3, job: ScoreJob | None = None) -> ScoreRun:
    """A finished scoring, cross-fitted."""
    data, candidates = make_data(folder / "data", "test"), make_candidates(count, wrong=wrong)
    return run_score(data, candidates, job or ScoreJob(), output=folder / "scored", progress=SilentProgress())


def make_recipe(folder: Path, **changes: Any) -> IcdaRecipe:
    """A run of seconds on the data of `write_data`."""
    files = {name: DataFile(path=path) for name, path in write_data(folder).items()}
    settings: dict[str, Any] = {
        "description": "three intents of a bank",
        "data": DataSettings(files=files, test="test"),
        "generate": GenerateSettings(
            num_samples=2, num_per_intent=8, requests_per_round=3, max_requests_per_intent=12, block_size=4
        ),
        "train": TrainSettings(seeds=(0,)),
        **changes,
    }
    return IcdaRecipe(**settings)
