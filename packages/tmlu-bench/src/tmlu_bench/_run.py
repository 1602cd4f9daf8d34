"""One exam of one model: put every planned item, keep each answer as it comes, and sum up at the end.

The folder holds `run.json`, `items.jsonl` (one line per answer; the last of an item counts), `summary.json`,
`report.html`, and `engine_counts.jsonl` where the engine counts its requests. Killed at any moment, the same command
goes on with the items that have no answer.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from tmlu_bench._aggregate import summarise, summary_to_json
from tmlu_bench._asked import asked_facts
from tmlu_bench._outcomes import ItemKey, ItemResult, Outcome, item_to_json, last_records
from tmlu_bench._question_set import QuestionSet
from tmlu_bench._remarks import count_faults, exam_remarks
from tmlu_bench._report import exam_report
from tmlu_bench._run_ask import ITEMS_PER_CALL, AskMethod, ask, choose_method
from tmlu_bench._run_counts import (
    call_row,
    engine_counts,
    is_counting,
    open_counts,
    read_counts,
    settled_items,
    truncation_fact,
)
from tmlu_bench._run_plan import ExamPlan, ExamSettings, PlannedItem, plan_exam
from tmlu_bench._run_stored import (
    COMMAND,
    ITEMS_NAME,
    fact_text,
    finished_items,
    items_to_json,
    read_items,
    read_records,
)
from tmlu_bench._summary import ExamSummary, SummaryOptions
from tmlu_bench._wording import counted
from twllm_engines import Engine, answer_settings
from twllm_runs import (
    JsonlAppender,
    Progress,
    ProgressTask,
    Run,
    RunState,
    describe_inputs,
    open_run,
    write_text_atomic,
)
from twllm_runs.report import Report, render_report
from twllm_types import ChoiceQuestion, InputFile, JsonObject, JsonValue

REPORT_NAME = "report.html"
_DECISIVE_PACKAGES = ("tmlu-bench", "twllm-engines")
_PACKAGES = ("numpy", "torch", "transformers", "tokenizers", "vllm", "httpx")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamRun:
    """What a run gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        asked: what was asked and how, in words by name, the sample among them.
        summary: all figures.
        items: last record of each item, by key.
        num_asked: items put by this call.
        num_faults: items that ended in error, and rows of the data that were no questions.
        faulty_rows: reason to the rows of the data that were no questions for it.
        engine_counts: requests that the engine cut (`num_cut`), and whose border lay inside a token (`num_merged`);
            empty where it counts neither.
        ignored: files of the data that were not read.
    """

    folder: Path
    state: RunState
    asked: Mapping[str, str]
    summary: ExamSummary
    items: tuple[ItemResult, ...]
    num_asked: int
    num_faults: int
    faulty_rows: Mapping[str, int] = field(default_factory=dict[str, int])
    engine_counts: Mapping[str, int] = field(default_factory=dict[str, int])
    ignored: tuple[str, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know beside the figures, a line each."""
        return exam_remarks(self.faulty_rows, self.engine_counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    engine: Engine
    questions: QuestionSet
    settings: ExamSettings
    method: str
    plan: ExamPlan
    progress: Progress
    retry_errors: bool
    exclude_errors: bool


def run_exam(
    engine: Engine,
    questions: QuestionSet,
    settings: ExamSettings,
    *,
    output: Path,
    progress: Progress,
    retry_errors: bool = False,
    exclude_errors: bool = False,
) -> ExamRun:
    """Run an exam, go on with a killed one, or read a finished one.

    Args:
        engine: the model.
        questions: the exam.
        settings: what decides the result.
        output: folder of the run.
        progress: where to report.
        retry_errors: put items again that ended in error before, also those of a finished run.
        exclude_errors: leave questions with errors out of the figures, which say so; can be chosen later as well.

    Raises:
        ConfigError: the settings do not fit questions or engine, or the folder holds something else.
        DataError: there is nothing to ask, or a line of `items.jsonl` is no item.
        ArtifactError: the folder holds another run, or a finished one whose `items.jsonl` was changed.
        LockedError: another process works on it.
        EngineError: the engine as a whole failed; the same command goes on.
    """
    job = _Job(
        engine=engine,
        questions=questions,
        settings=settings,
        method=choose_method(engine, settings).value,
        plan=plan_exam(questions, settings),
        progress=progress,
        retry_errors=retry_errors,
        exclude_errors=exclude_errors,
    )
    with _opened(job, output) as run:
        if run.state is RunState.FINISHED and not _wants_more(run, job):
            return _result(run, job, finished_items(output, run.result), num_asked=0)
        if run.state is not RunState.FINISHED:
            return _carry_out(run, job)
    with _opened(job, output, reopen=True) as run:
        return _carry_out(run, job)


def _opened(job: _Job, output: Path, *, reopen: bool = False) -> AbstractContextManager[Run]:
    return open_run(
        output,
        command=COMMAND,
        parameters=_parameters(job),
        settings={"exclude_errors": job.exclude_errors, "retry_errors": job.retry_errors},
        inputs=_inputs(job.questions),
        # What a server calls itself is known after its first answer only: it cannot say whether two runs are the same.
        models=(replace(job.engine.identity, reported_id=None),),
        engine_settings=job.engine.settings,
        seed=job.settings.seed,
        packages=_PACKAGES,
        decisive_packages=_DECISIVE_PACKAGES,
        reopen=reopen,
    )


def _parameters(job: _Job) -> JsonObject:
    return {
        "exam": job.settings.to_json(),
        "method": job.method,
        "data": job.questions.name,
        "data_sha256": job.questions.sha256,
        "engine": answer_settings(job.engine.settings),
    }


def _inputs(questions: QuestionSet) -> tuple[InputFile, ...]:
    return describe_inputs((file.name, file.path) for file in questions.files if file.path is not None)


def _wants_more(run: Run, job: _Job) -> bool:
    """Whether a finished run has something to do for the flags of this call."""
    counts = cast("dict[str, dict[str, int]]", run.result["overall"])["counts"]
    options = cast("dict[str, bool]", run.result["options"])
    has_errors = counts[Outcome.ERROR.value] > 0
    return has_errors and (job.retry_errors or options["exclude_errors"] != job.exclude_errors)


def _carry_out(run: Run, job: _Job) -> ExamRun:
    # Opening repairs a last line that a kill left torn, so it comes before reading.
    with JsonlAppender(run.folder / ITEMS_NAME) as appender:
        records = read_records(run.folder)
        if is_counting(job.engine, job.method):
            missing = _ask_counted(run.folder, appender, job, records)
        else:
            missing = _missing(job, records)
            _ask(appender, job, missing, _task(job, len(missing)), has_logprobs=_has_logprobs(records))
    result = _result(run, job, read_items(run.folder), num_asked=len(missing))
    write_text_atomic(run.folder / REPORT_NAME, render_report(_report(run, job, result)))
    run.finish(_summary_json(job, result), num_faults=result.num_faults)
    return result


def _missing(job: _Job, records: Iterable[ItemResult]) -> list[PlannedItem]:
    done = {item.key for item in last_records(records) if not (job.retry_errors and item.outcome is Outcome.ERROR)}
    return [item for item in job.plan.items if item.key not in done]


def _task(job: _Job, num_missing: int) -> ProgressTask:
    total = len(job.plan.items)
    task = job.progress.task("asking", total, "questions")
    task.set(total - num_missing)
    return task


def _has_logprobs(records: Iterable[ItemResult]) -> bool:
    return any(item.logprobs for item in records)


def _ask(
    appender: JsonlAppender, job: _Job, items: Sequence[PlannedItem], task: ProgressTask, *, has_logprobs: bool
) -> None:
    for item in ask(job.engine, items, job.settings, has_logprobs=has_logprobs):
        appender.append(item_to_json(item))
        task.advance()


def _ask_counted(folder: Path, appender: JsonlAppender, job: _Job, records: Sequence[ItemResult]) -> list[PlannedItem]:
    """Ask by calls whose counts are kept; what a kill left of a call without its counts is put again."""
    with open_counts(folder, num_lines=len(records)) as counts:
        settled, num_lines = settled_items(folder, records), len(records)
        missing = _missing(job, settled)
        task = _task(job, len(missing))
        # Empty first tokens are judged by the others of their call.
        size = ITEMS_PER_CALL if job.method != AskMethod.FIRST_TOKEN else max(1, len(missing))
        for start in range(0, len(missing), size):
            call, before = missing[start : start + size], engine_counts(job.engine)
            _ask(appender, job, call, task, has_logprobs=_has_logprobs(settled))
            num_lines += len(call)
            counts.append(call_row(before, engine_counts(job.engine), num_lines))
    return missing


def _result(run: Run, job: _Job, items: tuple[ItemResult, ...], *, num_asked: int) -> ExamRun:
    options = SummaryOptions(exclude_errors=job.exclude_errors, seed=job.settings.seed)
    if run.state is RunState.FINISHED:
        kept = cast("dict[str, bool]", run.result["options"])["exclude_errors"]
        options = replace(options, exclude_errors=kept)
    errors = sum(item.outcome is Outcome.ERROR for item in items)
    counts = read_counts(run.folder)
    return ExamRun(
        folder=run.folder,
        state=run.state,
        asked=asked_facts(
            job.settings.to_json(),
            method=job.method,
            data=job.questions.name,
            data_sha256=job.questions.sha256,
            sample=str(sample_json(job.plan, job.settings)["description"]),
            truncation=truncation_fact(job.engine.settings, counts),
        ),
        summary=summarise(items, groups=job.plan.groups, options=options),
        items=items,
        num_asked=num_asked,
        num_faults=errors + len(job.questions.faults),
        faulty_rows=count_faults(job.questions.faults),
        engine_counts=counts,
        ignored=job.questions.ignored,
    )


def _summary_json(job: _Job, result: ExamRun) -> JsonObject:
    return {
        "model": job.engine.identity.spec,
        "reported_models": cast("JsonValue", reported_models(result.items)),
        "exam": job.settings.to_json(),
        "data": {
            "name": job.questions.name,
            "sha256": job.questions.sha256,
            "num_questions": job.questions.num_questions,
            "num_faulty_rows": len(job.questions.faults),
            "faulty_rows": dict(result.faulty_rows),
        },
        "engine_counts": dict(result.engine_counts),
        "sample": sample_json(job.plan, job.settings),
        "items": items_to_json(result.items),
        **summary_to_json(result.summary),
    }


def sample_json(plan: ExamPlan, settings: ExamSettings) -> JsonObject:
    """Return what was asked of what there was, in figures and in words."""
    num_drawn = len({(item.key.subject, item.key.question_id) for item in plan.items})
    is_sample = num_drawn < plan.num_available
    how = f"stratified by subject, seed {settings.seed}" if is_sample else "all"
    return {
        "is_sample": is_sample,
        "description": f"{num_drawn:,} of {counted(plan.num_available, 'question')}, {how}",
        "num_drawn": num_drawn,
        "num_available": plan.num_available,
        "limit": settings.limit,
        "seed": settings.seed if is_sample else None,
        "subjects_without_question": list(plan.not_sampled),
        "num_shots": dict(plan.shots),
    }


def reported_models(items: Iterable[ItemResult]) -> dict[str, int]:
    """Count the model ids that a server named, in the order of their names."""
    return dict(sorted(Counter(item.model for item in items if item.model is not None).items()))


def _report(run: Run, job: _Job, result: ExamRun) -> Report:
    shown: Mapping[ItemKey, ChoiceQuestion] = {item.key: item.permuted.question for item in job.plan.items}
    truncation = truncation_fact(job.engine.settings, result.engine_counts)
    return exam_report(
        result.summary,
        result.items,
        model=job.engine.identity.spec,
        setting={
            "data": f"{job.questions.name} (sha256 {job.questions.sha256[:12]})",
            "sample": str(sample_json(job.plan, job.settings)["description"]),
            **({} if truncation is None else {"truncation": truncation}),
            **{
                key: fact_text(value)
                for key, value in job.settings.to_json().items()
                if value is not None and value is not False and value != []
            },
            **{f"package {name}": version for name, version in sorted(run.manifest.packages.items())},
        },
        questions=shown,
        remarks=result.remarks,
    )
