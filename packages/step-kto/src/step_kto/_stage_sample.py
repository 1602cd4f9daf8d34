"""The stage that samples: several solutions of each problem, from any engine.

The folder holds `run.json`, `problems.jsonl`, `samples.jsonl` (one line per sample, see `twllm_runs.ItemFile`) and
`summary.json`. Killed at any moment, the same command goes on with the samples that are missing.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, cast

from step_kto._problems import Problem, write_problems
from step_kto._records import optional_text, text_field
from step_kto._sample_settings import SampleSettings, sample_seed, sampling_params
from step_kto._stage_inputs import DECISIVE_PACKAGES, PACKAGES
from twllm_engines import (
    Engine,
    MeteredEngine,
    answer_settings,
    portable_identity,
    portable_settings,
)
from twllm_runs import (
    ItemFile,
    JsonlAppender,
    Progress,
    Run,
    RunState,
    blocks,
    check_sha256,
    hash_file,
    open_run,
    to_ask,
)
from twllm_types import (
    Completion,
    Conversation,
    DataError,
    EngineFailure,
    GenerationRequest,
    JsonObject,
    JsonValue,
    Message,
    Role,
)

SAMPLE_COMMAND = "step-kto sample"
SAMPLES_NAME = "samples.jsonl"
PROBLEMS_NAME = "problems.jsonl"
GREEDY = -1

SampleKey: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one request gave.

    Attributes:
        prompt: of the problem.
        number: of the sample, from 0; `GREEDY` for the greedy one of an evaluation.
        text: the solution; None where the engine failed, which is never a solution.
        finish_reason: why it ended; None where the engine failed.
        failure: kind of the engine's failure; None where there is a text.
        message: of the failure.
    """

    prompt: str
    number: int
    text: str | None
    finish_reason: str | None
    failure: str | None = None
    message: str | None = None

    @property
    def key(self) -> SampleKey:
        """What tells it from others."""
        return self.prompt, self.number

    def to_json(self) -> JsonObject:
        """Return the line of `samples.jsonl`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRun:
    """What the stage gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        samples: by problem, then number.
        num_asked: requests put by this call.
        num_failed: samples that the engine failed.
        num_truncated: samples that reached max_tokens.
    """

    folder: Path
    state: RunState
    samples: tuple[Sample, ...]
    num_asked: int
    num_failed: int
    num_truncated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSample:
    """A sample to be asked for."""

    prompt: str
    number: int
    request: GenerationRequest

    @property
    def key(self) -> SampleKey:
        """What tells it from others."""
        return self.prompt, self.number


def run_sample(
    engine: Engine,
    problems: Sequence[Problem],
    settings: SampleSettings,
    *,
    output: Path,
    progress: Progress,
    retry_failures: bool = False,
) -> SampleRun:
    """Sample, go on with a killed run, or read a finished one.

    Args:
        engine: any of twllm_engines.
        problems: what is solved.
        settings: how.
        output: folder of the run.
        progress: where to report.
        retry_failures: ask again for samples that the engine failed, also of a finished run.

    Raises:
        ConfigError: the engine cannot do what is asked, or the folder holds something else.
        ArtifactError: the folder holds another run, or was changed.
        LockedError: another process works on it.
        EngineError: the engine as a whole failed; the same command goes on.
    """
    plan = plan_samples(problems, settings)
    parameters: JsonObject = {
        "sample": settings.to_json(),
        "problems_sha256": problems_sha256(problems),
        "engine": answer_settings(portable_settings(engine)),
    }
    for reopen in (False, True):
        with open_run(
            output,
            command=SAMPLE_COMMAND,
            parameters=parameters,
            settings={"retry_failures": retry_failures},
            models=(portable_identity(engine.identity),),
            engine_settings=portable_settings(engine),
            seed=settings.seed,
            packages=PACKAGES,
            decisive_packages=DECISIVE_PACKAGES,
            reopen=reopen,
        ) as run:
            if run.state is not RunState.FINISHED:
                return _carry_out(run, engine, problems, plan, settings, progress, retry_failures=retry_failures)
            samples = read_samples(output / SAMPLES_NAME, sha256=str(run.result["samples_sha256"]))
            if not (retry_failures and any(sample.failure for sample in samples)):
                return _result(run, samples, num_asked=0)
    raise AssertionError  # pragma: no cover - a reopened run is never found finished


def plan_samples(
    problems: Sequence[Problem], settings: SampleSettings, *, with_greedy: bool = False
) -> tuple[PlannedSample, ...]:
    """Every sample of every problem, in order; with `with_greedy` the greedy one of each first."""
    plan: list[PlannedSample] = []
    for problem in problems:
        prompt = _prompt(problem, settings)
        for number in range(GREEDY if with_greedy else 0, settings.num_samples):
            params = sampling_params(settings, seed=sample_seed(settings.seed, problem.prompt, number))
            if number == GREEDY:
                params = replace(params, temperature=0.0, top_p=1.0, top_k=None, seed=None)
            request = GenerationRequest(prompt=prompt, params=params)
            plan.append(PlannedSample(prompt=problem.prompt, number=number, request=request))
    return tuple(plan)


def collect_samples(
    path: Path, engine: Engine, plan: Sequence[PlannedSample], *, block_size: int, progress: Progress, retry: bool
) -> tuple[tuple[Sample, ...], int]:
    """Ask for what a file lacks, append each answer as it comes, put the file in order.

    Args:
        path: of the samples.
        engine: answers.
        plan: what the file shall hold.
        block_size: samples asked together.
        progress: where to report.
        retry: ask again where the engine failed.

    Returns:
        The samples in the order of the plan, and how many requests were put.
    """
    file = ItemFile(path, _row_key)
    num_asked = 0
    # Opening repairs a last line that a kill left torn, so it comes before reading.
    with JsonlAppender(path) as appender:
        done = {key: row for key, row in file.read().items() if not (retry and row["failure"] is not None)}
        task = progress.task("sampling", len(plan), "samples")
        task.set(len(done))
        for block in blocks(plan, block_size):
            asked = to_ask(block, done, lambda planned: planned.key, whole=not isinstance(engine, MeteredEngine))
            for sample in _ask(engine, asked):
                num_asked += 1
                if sample.key not in done:
                    appender.append(sample.to_json())
                    task.advance()
    rows = file.put_in_order([planned.key for planned in plan])
    return tuple(sample_from_json(row) for row in rows), num_asked


def read_samples(path: Path, *, sha256: str) -> tuple[Sample, ...]:
    """Read the samples of a finished run.

    Raises:
        ArtifactError: the file is not the one that the run wrote.
    """
    check_sha256(path, sha256)
    return tuple(sample_from_json(row) for row in ItemFile(path, _row_key).read().values())


def sample_from_json(row: Mapping[str, object]) -> Sample:
    """Read a line of `samples.jsonl`.

    Raises:
        DataError: a field is missing or of the wrong type.
    """
    number = row.get("number")
    texts = {name: optional_text(row, name) for name in ("text", "finish_reason", "failure", "message")}
    if isinstance(number, bool) or not isinstance(number, int):
        raise DataError(f"'number' of a sample is {number!r}; give a whole number")
    return Sample(prompt=text_field(row, "prompt"), number=number, **texts)


def problems_sha256(problems: Sequence[Problem]) -> str:
    """Hash of the problems' content, in order."""
    digest = hashlib.sha256()
    for problem in problems:
        for name, value in sorted(problem.to_json().items()):
            digest.update(f"{name}\0{value}\0".encode("utf-8", "surrogatepass"))
        digest.update(b"\n")
    return digest.hexdigest()


def _carry_out(
    run: Run,
    engine: Engine,
    problems: Sequence[Problem],
    plan: Sequence[PlannedSample],
    settings: SampleSettings,
    progress: Progress,
    *,
    retry_failures: bool,
) -> SampleRun:
    write_problems(run.folder / PROBLEMS_NAME, problems)
    path = run.folder / SAMPLES_NAME
    samples, num_asked = collect_samples(
        path, engine, plan, block_size=settings.block_size, progress=progress, retry=retry_failures
    )
    result = _result(run, samples, num_asked=num_asked)
    summary: JsonObject = {
        "num_problems": len(problems),
        "num_samples": len(samples),
        "num_truncated": result.num_truncated,
        "failures": cast("JsonValue", _failures(samples)),
        "samples_sha256": hash_file(path),
        "problems_sha256": hash_file(run.folder / PROBLEMS_NAME),
    }
    run.finish(summary, num_faults=result.num_failed)
    return result


def _result(run: Run, samples: tuple[Sample, ...], *, num_asked: int) -> SampleRun:
    return SampleRun(
        folder=run.folder,
        state=run.state,
        samples=samples,
        num_asked=num_asked,
        num_failed=sum(sample.failure is not None for sample in samples),
        num_truncated=sum(sample.finish_reason == "length" for sample in samples),
    )


def _failures(samples: Sequence[Sample]) -> dict[str, int]:
    return dict(sorted(Counter(sample.failure for sample in samples if sample.failure is not None).items()))


def _ask(engine: Engine, planned: Sequence[PlannedSample]) -> Iterator[Sample]:
    if not planned:
        return
    for index, answer in engine.stream([one.request for one in planned]):
        yield _sample(planned[index], answer)


def _sample(planned: PlannedSample, answer: Completion | EngineFailure) -> Sample:
    if isinstance(answer, EngineFailure):
        return Sample(
            prompt=planned.prompt,
            number=planned.number,
            text=None,
            finish_reason=None,
            failure=answer.kind.value,
            message=answer.message,
        )
    return Sample(
        prompt=planned.prompt, number=planned.number, text=answer.text, finish_reason=answer.finish_reason.value
    )


def _prompt(problem: Problem, settings: SampleSettings) -> str | Conversation:
    if settings.prompt_format == "text":
        return problem.prompt
    system = () if settings.system_prompt is None else (Message(role=Role.SYSTEM, content=settings.system_prompt),)
    return Conversation(messages=(*system, Message(role=Role.USER, content=problem.prompt)))


def _row_key(row: JsonObject) -> SampleKey:
    return cast("str", row["prompt"]), cast("int", row["number"])
