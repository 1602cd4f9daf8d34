"""One exam of one model: put every planned item, keep each answer as it comes, and sum up at the end.

The folder holds `run.json`, `items.jsonl` (one line per answer; the last of an item counts), `summary.json` and
`report.html`. Killed at any moment, the same command goes on with the items that have no answer.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from tmlu_bench._aggregate import ExamSummary, SummaryOptions, summarise, summary_to_json
from tmlu_bench._outcomes import ItemKey, ItemResult, Outcome, item_from_json, item_to_json, last_records
from tmlu_bench._question_set import QuestionSet
from tmlu_bench._report import exam_report
from tmlu_bench._run_ask import ask, choose_method
from tmlu_bench._run_plan import ExamPlan, ExamSettings, PlannedItem, plan_exam
from twllm_engines import Engine
from twllm_runs import (
    JsonlAppender,
    Progress,
    Run,
    RunState,
    describe_inputs,
    open_run,
    read_jsonl,
    read_run,
    run_lock,
    write_json_atomic,
    write_text_atomic,
)
from twllm_runs.report import Report, render_report
from twllm_types import ArtifactError, ChoiceQuestion, InputFile, JsonObject, JsonValue, RunManifest

COMMAND = "tmlu-bench run"
ITEMS_NAME = "items.jsonl"
REPORT_NAME = "report.html"
_DECISIVE_PACKAGES = ("tmlu-bench", "twllm-engines")
_PACKAGES = ("numpy", "torch", "transformers", "tokenizers", "vllm", "httpx")
# Settings of engines that change speed or transport, never an answer; all others belong to the run's parameters.
_TRANSPORT = frozenset(
    {
        "allow_key_over_http",
        "api_key_env",
        "api_key_header",
        "api_key_prefix",
        "attempt_timeout_seconds",
        "backoff_base_seconds",
        "backoff_max_seconds",
        "batch_tokens",
        "ca_bundle",
        "cache",
        "cache_max_age_seconds",
        "cache_requests",
        "cached_prompt_price",
        "client_certificate",
        "client_key",
        "completion_price",
        "connect_timeout_seconds",
        "currency",
        "deadline_seconds",
        "device",
        "enable_prefix_caching",
        "enforce_eager",
        "extra_headers",
        "gpu_memory_utilization",
        "headers_from_env",
        "max_attempts",
        "max_in_flight",
        "max_retry_after_seconds",
        "prompt_price",
        "proxy",
        "read_timeout_seconds",
        "requests_per_minute",
        "sends_key",
        "tensor_parallel_size",
        "tokens_per_minute",
        "trust_env",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamRun:
    """What a run gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        summary: all figures.
        items: last record of each item, by key.
        num_asked: items put by this call.
        num_faults: items that ended in error, and rows of the data that were no questions.
    """

    folder: Path
    state: RunState
    summary: ExamSummary
    items: tuple[ItemResult, ...]
    num_asked: int
    num_faults: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    engine: Engine
    questions: QuestionSet
    settings: ExamSettings
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
        DataError: there is nothing to ask, or `items.jsonl` was changed.
        ArtifactError: the folder holds another run.
        LockedError: another process works on it.
        EngineError: the engine as a whole failed; the same command goes on.
    """
    method = choose_method(engine, settings)
    job = _Job(
        engine=engine,
        questions=questions,
        settings=settings,
        plan=plan_exam(questions, settings),
        progress=progress,
        retry_errors=retry_errors,
        exclude_errors=exclude_errors,
    )
    inputs = _inputs(questions)
    # What a server calls itself is known after its first answer only, so it cannot say whether two runs are the same.
    identity = replace(engine.identity, reported_id=None)
    parameters = _parameters(engine, questions, settings, method.value)

    def opened() -> AbstractContextManager[Run]:
        return open_run(
            output,
            command=COMMAND,
            parameters=parameters,
            settings={"exclude_errors": exclude_errors, "retry_errors": retry_errors},
            inputs=inputs,
            models=(identity,),
            engine_settings=engine.settings,
            seed=settings.seed,
            packages=_PACKAGES,
            decisive_packages=_DECISIVE_PACKAGES,
        )

    with opened() as run:
        if run.state is RunState.FINISHED and not _wants_more(run, job):
            return _result(run, job, read_items(output), num_asked=0)
        if run.state is not RunState.FINISHED:
            return _carry_out(run, job)
    _reopen(output)
    with opened() as run:
        return _carry_out(run, job)


def read_items(folder: Path) -> tuple[ItemResult, ...]:
    """Return the last record of each item of a run, by key; no file gives none.

    Raises:
        DataError: a line is no item; the message names file and line.
    """
    path = folder / ITEMS_NAME
    if not path.exists():
        return ()
    rows = enumerate(read_jsonl(path), start=1)
    return last_records(item_from_json(row, source=f"{path}:{number}") for number, row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExam:
    """A finished run as a consumer reads it."""

    folder: Path
    manifest: RunManifest
    summary: JsonObject
    items: tuple[ItemResult, ...]

    @property
    def model(self) -> str:
        """Spec of the model."""
        return self.manifest.models[0].spec

    @property
    def groups(self) -> dict[str, str]:
        """Subject to group."""
        rows = cast("list[dict[str, str | None]]", self.summary["subjects"])
        return {str(row["subject"]): row["group"] for row in rows if row["group"] is not None}

    @property
    def setting(self) -> dict[str, str]:
        """What a fair comparison needs to agree in; what is off is absent."""
        exam = cast("JsonObject", self.manifest.parameters["exam"])
        named = {key: exam[key] for key in ("num_shots", "form", "extractor", "permute", "circular")}
        scoring, method = exam["scoring"], self.manifest.parameters["method"]
        return {
            "protocol": f"{exam['protocol']}@{exam['protocol_version']}",
            "scoring": str(scoring) if scoring == method else f"{scoring}, {method}",
            "data": str(self.manifest.parameters["data_sha256"]),
            **{key: _as_text(value) for key, value in named.items() if value is not None and value is not False},
        }


def read_exam(folder: Path) -> StoredExam:
    """Read a finished run as a consumer.

    Raises:
        ArtifactError: there is no finished run of this command.
        DataError: a line of `items.jsonl` is no item.
    """
    stored = read_run(folder)
    if stored.manifest.command != COMMAND or stored.summary is None:
        state = "is not finished" if stored.manifest.command == COMMAND else f"holds a run of {stored.manifest.command}"
        raise ArtifactError(f"{folder}: {state}; give the folder of a finished {COMMAND}")
    return StoredExam(folder=folder, manifest=stored.manifest, summary=stored.summary, items=read_items(folder))


def _as_text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parameters(engine: Engine, questions: QuestionSet, settings: ExamSettings, method: str) -> JsonObject:
    return {
        "exam": settings.to_json(),
        "method": method,
        "data": questions.name,
        "data_sha256": questions.sha256,
        "engine": {key: value for key, value in engine.settings.items() if key not in _TRANSPORT},
    }


def _inputs(questions: QuestionSet) -> tuple[InputFile, ...]:
    return describe_inputs((file.name, file.path) for file in questions.files if file.path is not None)


def _wants_more(run: Run, job: _Job) -> bool:
    """Whether a finished run has something to do for the flags of this call."""
    counts = cast("dict[str, dict[str, int]]", run.result["overall"])["counts"]
    options = cast("dict[str, bool]", run.result["options"])
    has_errors = counts[Outcome.ERROR.value] > 0
    return has_errors and (job.retry_errors or options["exclude_errors"] != job.exclude_errors)


def _reopen(folder: Path) -> None:
    """Mark a finished run unfinished, so that `open_run` continues it; its items stay."""
    path = folder / "run.json"
    with run_lock(folder):
        row = cast("JsonObject", json.loads(path.read_text(encoding="utf-8")))
        write_json_atomic(path, {**row, "state": "running", "num_faults": 0})


def _carry_out(run: Run, job: _Job) -> ExamRun:
    # Opening repairs a last line that a kill left torn, so it comes before reading.
    with JsonlAppender(run.folder / ITEMS_NAME) as appender:
        before = read_items(run.folder)
        done = {item.key for item in before if not (job.retry_errors and item.outcome is Outcome.ERROR)}
        missing = [item for item in job.plan.items if item.key not in done]
        _ask_missing(appender, job, missing)
    result = _result(run, job, read_items(run.folder), num_asked=len(missing))
    write_text_atomic(run.folder / REPORT_NAME, render_report(_report(run, job, result)))
    run.finish(_summary_json(job, result), num_faults=result.num_faults)
    return result


def _ask_missing(appender: JsonlAppender, job: _Job, missing: Sequence[PlannedItem]) -> None:
    total = len(job.plan.items)
    task = job.progress.task("asking", total, "questions")
    task.set(total - len(missing))
    for item in ask(job.engine, missing, job.settings):
        appender.append(item_to_json(item))
        task.advance()


def _result(run: Run, job: _Job, items: tuple[ItemResult, ...], *, num_asked: int) -> ExamRun:
    options = SummaryOptions(exclude_errors=job.exclude_errors, seed=job.settings.seed)
    if run.state is RunState.FINISHED:
        kept = cast("dict[str, bool]", run.result["options"])["exclude_errors"]
        options = replace(options, exclude_errors=kept)
    errors = sum(item.outcome is Outcome.ERROR for item in items)
    return ExamRun(
        folder=run.folder,
        state=run.state,
        summary=summarise(items, groups=job.plan.groups, options=options),
        items=items,
        num_asked=num_asked,
        num_faults=errors + len(job.questions.faults),
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
        },
        "sample": sample_json(job.plan, job.settings),
        **summary_to_json(result.summary),
    }


def sample_json(plan: ExamPlan, settings: ExamSettings) -> JsonObject:
    """Return what was asked of what there was, in figures and in words."""
    num_drawn = len({(item.key.subject, item.key.question_id) for item in plan.items})
    is_sample = num_drawn < plan.num_available
    how = f"stratified by subject, seed {settings.seed}" if is_sample else "all"
    return {
        "is_sample": is_sample,
        "description": f"{num_drawn:,} of {plan.num_available:,} questions, {how}",
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
    return exam_report(
        result.summary,
        result.items,
        model=job.engine.identity.spec,
        setting={
            "data": f"{job.questions.name} (sha256 {job.questions.sha256[:12]})",
            "sample": str(sample_json(job.plan, job.settings)["description"]),
            **{
                key: _as_text(value)
                for key, value in job.settings.to_json().items()
                if value is not None and value is not False and value != []
            },
            **{f"package {name}": version for name, version in sorted(run.manifest.packages.items())},
        },
        questions=shown,
    )
