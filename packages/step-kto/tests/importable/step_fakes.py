"""Problems, engines, progress and a small start model of our own for tests of the stages."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self, cast

from step_kto._arithmetic import ArithmeticSettings, Split
from step_kto._judge_spec import JudgeSettings
from step_kto._label_settings import LabelSettings
from step_kto._loop_recipe import ArithmeticSource, LoopRecipe, ProblemSource
from step_kto._problems import Problem, arithmetic_problems
from step_kto._sample_settings import SampleSettings
from step_kto._stage_evaluate import EvaluateSettings
from step_kto._stage_label import run_label
from step_kto._stage_sample import run_sample
from step_kto._train_settings import TrainSettings
from twllm_engines import EngineCapabilities
from twllm_types import (
    Completion,
    EngineFailure,
    FailureKind,
    FinishReason,
    GenerationRequest,
    JsonObject,
    ModelIdentity,
)

# sums of two small numbers: a model of a few thousand weights learns them in seconds
TINY = ArithmeticSettings(min_steps=1, max_steps=1, operators=("+",), max_operand=9, max_value=18, story_share=0.0)


def problems(count: int = 4, *, split: Split = Split.TRAIN) -> tuple[Problem, ...]:
    return arithmetic_problems(count, split=split, seed=0, settings=TINY)


def right_answer(problem: Problem) -> str:
    return problem.reference


def wrong_step(problem: Problem) -> str:
    """A right final answer behind a false equation."""
    left, _, right = problem.reference.partition(" = ")
    value, _, rest = right.partition("\n")
    return f"{left} = {int(value) + 1}\n{rest}"


def wrong_answer(problem: Problem) -> str:
    return problem.reference.replace("\\boxed{", "\\boxed{1")


class FakeEngine:
    """Answers by rule and counts; `breaks_at` is the request (from 1) at which it raises, like a kill in between."""

    def __init__(
        self,
        known: Sequence[Problem],
        *,
        answer: Callable[[Problem, GenerationRequest], str | EngineFailure] | None = None,
        name: str = "fake",
        breaks_at: int | None = None,
        truncates: bool = False,
    ) -> None:
        self._problems = {problem.prompt: problem for problem in known}
        self._answer = answer if answer is not None else by_seed
        self._name = name
        self._breaks_at = breaks_at
        self._truncates = truncates
        self.requests: list[GenerationRequest] = []

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(
            spec=f"fake:{self._name}", sha256={"weights": hashlib.sha256(self._name.encode()).hexdigest()}
        )

    @property
    def settings(self) -> JsonObject:
        return {"engine": "fake", "name": self._name}

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
            if self._breaks_at is not None and len(self.requests) == self._breaks_at:
                raise KeyboardInterrupt
            text = request.prompt if isinstance(request.prompt, str) else request.prompt.messages[-1].content
            found = self._answer(self._problems[text], request)
            if isinstance(found, EngineFailure):
                yield index, found
                continue
            reason = FinishReason.LENGTH if self._truncates else FinishReason.STOP
            yield index, Completion(texts=(found,), finish_reasons=(reason,))

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


class FakeServer(FakeEngine):
    """The same, paid by the token."""

    def ledger(self) -> Any:
        raise NotImplementedError


def by_seed(problem: Problem, request: GenerationRequest) -> str | EngineFailure:
    """Right, right with a wrong step, or wrong, by the request's seed; greedy is right."""
    kinds = (right_answer, wrong_step, wrong_answer)
    return kinds[0 if request.params.seed is None else request.params.seed % 3](problem)


def fails_on(*prompts: str) -> Callable[[Problem, GenerationRequest], str | EngineFailure]:
    def answer(problem: Problem, request: GenerationRequest) -> str | EngineFailure:
        if problem.prompt in prompts:
            return EngineFailure(kind=FailureKind.TIMEOUT, message="no answer in time")
        return by_seed(problem, request)

    return answer


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


def summary_of(run: Any) -> Any:
    """The summary of a stage, whose values are JSON of many types."""
    return run.summary


def make_labels(folder: Path, answer: Callable[[Problem, GenerationRequest], str] | None = None) -> Path:
    """Finished stages of sampling and labelling; the folder of the latter."""
    engine, settings = FakeEngine(problems(), answer=answer), SampleSettings(num_samples=6, max_tokens=50)
    run_sample(engine, problems(), settings, output=folder / "s", progress=SilentProgress())
    run_label(folder / "s", LabelSettings(), output=folder / "l", progress=SilentProgress())
    return folder / "l"


def tiny_recipe(model: Path, **changes: Any) -> LoopRecipe:
    """A loop of seconds on the sums that `make_start_model` half knows."""

    def source(count: int, split: Split) -> ProblemSource:
        return ProblemSource(arithmetic=ArithmeticSource(num_problems=count, split=split, settings=TINY))

    sample = SampleSettings(num_samples=4, max_tokens=30, block_size=16)
    settings: dict[str, Any] = {
        "model": str(model),
        "problems": source(12, Split.TRAIN),
        "evaluation_problems": source(4, Split.TEST),
        "iterations": 1,
        "sample": sample,
        "label": LabelSettings(require_marked_answer=True, block_size=16),
        "train": TrainSettings(
            max_steps=4, save_steps=1, logging_steps=1, learning_rate=3e-4, batch_size=8, lr_scheduler="constant"
        ),
        "evaluate": EvaluateSettings(
            ks=(2,),
            sample=SampleSettings(num_samples=2, max_tokens=30),
            label=LabelSettings(require_marked_answer=True, judge=JudgeSettings(judge="arithmetic-truth")),
        ),
        **changes,
    }
    return LoopRecipe(**settings)


def make_start_model(folder: Path, *, updates: int = 150, seed: int = 0) -> None:
    """Teach a very small model some of the sums, so that its samples are right and wrong."""
    import torch
    from torch.nn.functional import cross_entropy

    from step_kto._toy_model import make_toy_model, toy_model_config
    from step_kto._toy_tokenizer import make_toy_tokenizer

    torch.set_num_threads(1)
    tokenizer = make_toy_tokenizer()
    model = make_toy_model(seed, toy_model_config(hidden_size=48, num_layers=2, num_heads=4, max_positions=128))
    known = arithmetic_problems(50, split=Split.TRAIN, seed=1, settings=TINY)
    rows = [
        (ids := tokenizer(p.prompt).input_ids, ids + tokenizer(p.reference).input_ids + [tokenizer.eos_token_id])
        for p in known
    ]
    width = max(len(ids) for _, ids in rows)
    optimizer, rng = torch.optim.AdamW(model.parameters(), lr=4e-3), Random(seed)
    for _ in range(updates):
        batch = rng.sample(rows, 24)
        ids = torch.tensor([ids + [0] * (width - len(ids)) for _, ids in batch])
        labels = torch.tensor(
            [[-100] * len(prompt) + ids[len(prompt) :] + [-100] * (width - len(ids)) for prompt, ids in batch]
        )
        logits = cast("Any", model)(input_ids=ids).logits[:, :-1]
        loss = cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
