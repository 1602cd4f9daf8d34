"""Two answers at a time, in both orders: ask for every comparison, keep each as it comes, sum up at the end.

The folder holds `run.json`, `pairs.jsonl` (one line per attempt; the last of a comparison counts), `summary.json` and
`report.html`. Killed at any moment, the same command goes on with the comparisons that have no answer.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import cast

from llm_eval._judge_ask import check_form, engine_failure, send
from llm_eval._judge_plan import content_sha256
from llm_eval._judge_run import DECISIVE_PACKAGES, PACKAGES, REPORT_NAME, currency_of, progress_note, token_cost
from llm_eval._judge_settings import PromptForm
from llm_eval._judge_summary import TokenTotals, token_totals
from llm_eval._judgements import JudgementFailure, JudgementFailureKind, ParseFailure
from llm_eval._load_answers import Answer, AnswerFile, Question
from llm_eval._pair_judgements import (
    PairJudgement,
    PairKey,
    PairwiseSummary,
    pair_to_json,
    pairwise_summary_to_json,
    summarise_pairs,
)
from llm_eval._pairwise import PairVerdict, parse_pair
from llm_eval._pairwise_prompts import PairStyle, build_pair_prompt, pair_schema
from llm_eval._pairwise_stored import COMMAND, PAIRS_NAME, finished_pairs, last_pairs, pairs_to_json, read_pair_attempts
from llm_eval._report import usage_text
from llm_eval._report_pairwise import pairwise_report
from twllm_engines import Engine, answer_settings
from twllm_runs import JsonlAppender, Progress, Run, RunState, describe_inputs, open_run, write_text_atomic
from twllm_runs.report import Report, render_report
from twllm_types import Completion, ConfigError, EngineFailure, GenerationRequest, JsonObject, JsonValue, SamplingParams

_OWN_STYLES = (PairStyle.STRUCTURED, PairStyle.ZH_TW)
_NOTES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseSettings:
    """What decides the comparisons of given answers by a given model; decoding is greedy.

    Attributes:
        style: wording of the prompt.
        form: how prompts reach the model.
        structured: hold the answer to a JSON Schema; for our own styles.
        with_reason: ask for a reason after the winner; for our own styles.
        max_tokens: most new tokens; Taiwan-LLM's styles explain first, so they need some.
        seed: sent with each request, >= 0.

    Raises:
        ConfigError: a value is out of range, or the style has no JSON.
    """

    style: PairStyle = PairStyle.ZH_TW
    form: PromptForm = PromptForm.CHAT_API
    structured: bool = False
    with_reason: bool = False
    max_tokens: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.seed < 0:
            raise ConfigError(f"max_tokens {self.max_tokens} or seed {self.seed} is too small; give at least 1 and 0")
        if self.structured and self.style not in _OWN_STYLES:
            raise ConfigError(f"style {self.style} is answered by a text; use structured or zh-TW with --structured")

    def to_json(self) -> JsonObject:
        """Return what decides the comparisons."""
        return {
            "style": self.style.value,
            "form": self.form.value,
            "structured": self.structured,
            "with_reason": self.with_reason,
            "max_tokens": self.max_tokens,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseRun:
    """What a run gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        summary: all figures.
        judgements: last attempt of each comparison, in the order of the plan.
        tokens: of all attempts.
        cost: by the engine's prices; None where none are set.
        currency: of the cost.
        num_asked: requests put by this call.
        num_faults: comparisons that failed.
    """

    folder: Path
    state: RunState
    summary: PairwiseSummary
    judgements: tuple[PairJudgement, ...]
    tokens: TokenTotals
    cost: float | None
    currency: str | None
    num_asked: int
    num_faults: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    key: PairKey
    question: Question
    a: Answer
    b: Answer
    prompt: str
    attempt: int = 1

    @property
    def shown(self) -> tuple[str, ...]:
        texts = (self.question.text, self.a.text, self.b.text)
        return texts if self.question.reference is None else (*texts, self.question.reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    engine: Engine
    questions: tuple[Question, ...]
    files: tuple[AnswerFile, ...]
    settings: PairwiseSettings
    plan: tuple[_Planned, ...]
    progress: Progress
    retry_failures: bool


def run_pairwise(
    engine: Engine,
    questions: Sequence[Question],
    files: Sequence[AnswerFile],
    settings: PairwiseSettings,
    *,
    output: Path,
    progress: Progress,
    retry_failures: bool = False,
) -> PairwiseRun:
    """Compare every two systems on every question that both answered, in both orders.

    Args:
        engine: the judge's model.
        questions: what was answered, as `load_answers` gives it.
        files: the answers.
        settings: what decides the comparisons.
        output: folder of the run.
        progress: where to report.
        retry_failures: ask again where the engine failed.

    Raises:
        ConfigError: the engine cannot do what is asked, or the folder holds something else.
        DataError: a file of the folder is damaged.
        ArtifactError: the folder holds another run.
        EngineError: the engine as a whole failed; the same command goes on.
    """
    check_form(engine, settings.form, structured=settings.structured)
    job = _Job(
        engine=engine,
        questions=tuple(questions),
        files=tuple(files),
        settings=settings,
        plan=tuple(_plan(questions, files, settings)),
        progress=progress,
        retry_failures=retry_failures,
    )
    with _open(job, output) as run:
        if run.state is not RunState.FINISHED:
            return _carry_out(run, job)
        finished_pairs(output, run.result)
        result = _result(run, job, num_asked=0)
        if not (retry_failures and any(_failed_by_engine(row) for row in result.judgements)):
            return result
    with _open(job, output, reopen=True) as run:
        return _carry_out(run, job)


def _plan(questions: Sequence[Question], files: Sequence[AnswerFile], settings: PairwiseSettings) -> Iterator[_Planned]:
    for question in questions:
        answered = [file for file in files if question.id in file.answers]
        for one, other in combinations(answered, 2):
            a, b = one.answers[question.id], other.answers[question.id]
            for is_swapped in (False, True):
                first, second = (b, a) if is_swapped else (a, b)
                prompt = build_pair_prompt(
                    question.text,
                    first.text,
                    second.text,
                    question.reference,
                    settings.style.value,
                    with_reason=settings.with_reason,
                )
                key = PairKey(question_id=question.id, a=one.system, b=other.system, is_swapped=is_swapped)
                yield _Planned(key=key, question=question, a=a, b=b, prompt=prompt)


def _open(job: _Job, output: Path, *, reopen: bool = False) -> AbstractContextManager[Run]:
    return open_run(
        output,
        command=COMMAND,
        parameters={
            "pairwise": job.settings.to_json(),
            "prompts_sha256": content_sha256("\n".join(content_sha256(planned.prompt) for planned in job.plan)),
            "engine": answer_settings(job.engine.settings),
        },
        settings={"retry_failures": job.retry_failures},
        inputs=describe_inputs([(file.system, file.path) for file in job.files]),
        models=(replace(job.engine.identity, reported_id=None),),
        engine_settings=job.engine.settings,
        seed=job.settings.seed,
        packages=PACKAGES,
        decisive_packages=DECISIVE_PACKAGES,
        reopen=reopen,
    )


def _carry_out(run: Run, job: _Job) -> PairwiseRun:
    # Opening repairs a last line that a kill left torn, so it comes before reading.
    with JsonlAppender(run.folder / PAIRS_NAME) as appender:
        done = last_pairs(read_pair_attempts(run.folder / PAIRS_NAME))
        todo = [planned for planned in job.plan if planned.key not in done]
        if job.retry_failures:
            failed = [planned for planned in job.plan if planned.key in done and _failed_by_engine(done[planned.key])]
            todo.extend(replace(planned, attempt=done[planned.key].num_attempts + 1) for planned in failed)
        _ask_missing(appender, job, todo)
    result = _result(run, job, num_asked=len(todo))
    write_text_atomic(run.folder / REPORT_NAME, render_report(_report(run, job, result)))
    run.finish(_summary_json(job, result), num_faults=result.num_faults)
    return result


def _failed_by_engine(row: PairJudgement) -> bool:
    return row.failure is not None and row.failure.kind is JudgementFailureKind.ENGINE_ERROR


def _ask_missing(appender: JsonlAppender, job: _Job, todo: Sequence[_Planned]) -> None:
    task = job.progress.task("comparing", len(job.plan), "comparisons")
    task.set(len(job.plan) - len(todo))
    num_tokens = 0
    for number, row in enumerate(_ask(job, todo), start=1):
        appender.append(pair_to_json(row))
        task.advance()
        if row.usage is not None:
            num_tokens += row.usage.num_prompt_tokens + row.usage.num_completion_tokens
        if number % max(1, len(todo) // _NOTES) == 0:
            task.note(progress_note(job.engine, number, num_tokens))


def _ask(job: _Job, todo: Sequence[_Planned]) -> Iterator[PairJudgement]:
    settings = job.settings
    params = SamplingParams(
        max_tokens=settings.max_tokens,
        temperature=0.0,
        seed=settings.seed,
        json_schema=pair_schema(with_reason=settings.with_reason) if settings.structured else None,
    )
    contents = [send(job.engine, planned.prompt, settings.form) for planned in todo]
    requests = [GenerationRequest(prompt=content, params=params) for content in contents]
    for at, answer in job.engine.stream(requests) if requests else ():
        yield _judgement(todo[at], answer, settings, content_sha256(contents[at]))


def _judgement(
    planned: _Planned, answer: Completion | EngineFailure, settings: PairwiseSettings, sha256: str
) -> PairJudgement:
    completion = answer if isinstance(answer, Completion) else None
    verdict: PairVerdict | None = None
    failure: JudgementFailure | None = None
    if isinstance(answer, EngineFailure):
        failure = engine_failure(answer)
    else:
        read = parse_pair(answer.text, settings.style.value, finish_reason=answer.finish_reason, shown=planned.shown)
        if isinstance(read, ParseFailure):
            failure = JudgementFailure(kind=read.kind, message=read.message, dimension=read.dimension)
        else:
            verdict = read
    return PairJudgement(
        key=planned.key,
        a_id=planned.a.id,
        b_id=planned.b.id,
        verdict=verdict,
        failure=failure,
        responses=() if completion is None else completion.texts,
        model=None if completion is None else completion.model,
        prompt_sha256=sha256,
        usage=None if completion is None else completion.usage,
        num_attempts=planned.attempt,
        a_item_sha256=planned.a.item_sha256,
        b_item_sha256=planned.b.item_sha256,
    )


def _result(run: Run, job: _Job, *, num_asked: int) -> PairwiseRun:
    attempts = read_pair_attempts(run.folder / PAIRS_NAME)
    found = last_pairs(attempts)
    judgements = tuple(found[planned.key] for planned in job.plan if planned.key in found)
    tokens = token_totals(attempts)
    return PairwiseRun(
        folder=run.folder,
        state=run.state,
        summary=summarise_pairs(judgements),
        judgements=judgements,
        tokens=tokens,
        cost=token_cost(tokens, job.engine.settings),
        currency=currency_of(job.engine.settings),
        num_asked=num_asked,
        num_faults=sum(row.failure is not None for row in judgements),
    )


def _summary_json(job: _Job, result: PairwiseRun) -> JsonObject:
    models = Counter(row.model for row in result.judgements if row.model is not None)
    return {
        "model": job.engine.identity.spec,
        "reported_models": cast("JsonValue", dict(sorted(models.items()))),
        "pairwise": job.settings.to_json(),
        "num_questions": len(job.questions),
        "systems": [file.system for file in job.files],
        "tokens": cast("JsonValue", asdict(result.tokens)),
        "cost": result.cost,
        "currency": result.currency,
        "comparisons": pairs_to_json(result.judgements),
        **pairwise_summary_to_json(result.summary),
    }


def _report(run: Run, job: _Job, result: PairwiseRun) -> Report:
    facts = {key: str(value) for key, value in job.settings.to_json().items() if value}
    packages = {f"package {name}": version for name, version in sorted(run.manifest.packages.items())}
    return pairwise_report(
        result.summary,
        result.judgements,
        questions={question.id: question for question in job.questions},
        answers={file.system: file.answers for file in job.files},
        model=job.engine.identity.spec,
        usage=usage_text(result.tokens, result.cost, result.currency),
        setting={**facts, **packages},
    )
