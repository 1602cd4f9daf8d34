"""One judge over one file of items: ask for every planned judgement, keep each attempt as it comes, sum up at the end.

The folder holds `run.json`, `items.jsonl` (what was judged), `judgements.jsonl` (one line per attempt; the last of a
judgement counts), `summary.json` and `report.html`. Killed at any moment, the same command goes on with the judgements
that have no answer.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

from llm_eval._items import JudgeItem, item_to_json
from llm_eval._judge_ask import ask, check_engine
from llm_eval._judge_plan import PlannedJudgement, failed_by_engine, may_try_again, plan_judgements, prompts_sha256
from llm_eval._judge_settings import JudgeSettings
from llm_eval._judge_stored import (
    COMMAND,
    ITEMS_NAME,
    JUDGEMENTS_NAME,
    StoredJudgeRun,
    finished_items,
    finished_judgements,
    items_to_json,
    judgements_to_json,
    last_attempts,
    read_attempts,
)
from llm_eval._judge_summary import JudgeSummary, TokenTotals, judge_summary_to_json, summarise_judgements, token_totals
from llm_eval._judgements import Judgement, judgement_to_json
from llm_eval._load_items import load_items
from llm_eval._report import judge_facts, judge_report, usage_text
from twllm_engines import Engine, MeteredEngine, answer_settings
from twllm_runs import (
    JsonlAppender,
    Progress,
    Run,
    RunState,
    describe_inputs,
    open_atomic,
    open_run,
    write_text_atomic,
)
from twllm_runs.report import Report, render_report
from twllm_types import ArtifactError, JsonObject, JsonValue, RunManifest

REPORT_NAME = "report.html"
DECISIVE_PACKAGES = ("llm-eval", "twllm-engines")
PACKAGES = ("numpy", "torch", "transformers", "tokenizers", "vllm", "h11")
_NOTES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRun:
    """What a run gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        summary: all figures.
        judgements: last attempt of each judgement, sorted by item and repeat.
        tokens: of all attempts.
        cost: of all attempts by the engine's prices; None where none are set.
        currency: of the cost; None where it is.
        num_asked: requests put by this call.
        num_faults: judgements that failed, and samples of the others that could not be read.
    """

    folder: Path
    state: RunState
    summary: JudgeSummary
    judgements: tuple[Judgement, ...]
    tokens: TokenTotals
    cost: float | None
    currency: str | None
    num_asked: int
    num_faults: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    engine: Engine
    items: tuple[JudgeItem, ...]
    settings: JudgeSettings
    plan: tuple[PlannedJudgement, ...]
    progress: Progress
    retry_failures: bool


def run_judge(
    engine: Engine,
    items: Sequence[JudgeItem],
    settings: JudgeSettings,
    *,
    output: Path,
    progress: Progress,
    items_file: Path | None = None,
    retry_failures: bool = False,
) -> JudgeRun:
    """Judge items, go on with a killed run, or read a finished one.

    Args:
        engine: the judge's model.
        items: what is judged.
        settings: what decides the judgements.
        output: folder of the run.
        progress: where to report.
        items_file: where the items were read; its hash is part of the run.
        retry_failures: ask again for judgements that the engine failed (`engine_error`), also those of a finished run.
            An answer that cannot be read is never asked again by this: that would select answers.

    Raises:
        ConfigError: the engine cannot do what is asked, or the folder holds something else.
        DataError: there is no item, or the judgements of the folder are damaged.
        ArtifactError: the folder holds another run, or was changed.
        LockedError: another process works on it.
        EngineError: the engine as a whole failed; the same command goes on.
    """
    check_engine(engine, settings)
    job = _Job(
        engine=engine,
        items=tuple(items),
        settings=settings,
        plan=plan_judgements(items, settings),
        progress=progress,
        retry_failures=retry_failures,
    )
    with _open(job, output, items_file) as run:
        if run.state is not RunState.FINISHED:
            return _carry_out(run, job)
        finished_items(output, run.result)
        _refuse_other_items(output / ITEMS_NAME, job.items)
        judgements = finished_judgements(output, run.result)
        if not (retry_failures and any(failed_by_engine(judgement) for judgement in judgements)):
            return _result(run, job, judgements, num_asked=0)
    with _open(job, output, items_file, reopen=True) as run:
        return _carry_out(run, job)


def _open(job: _Job, output: Path, items_file: Path | None, *, reopen: bool = False) -> AbstractContextManager[Run]:
    engine, settings = job.engine, job.settings
    return open_run(
        output,
        command=COMMAND,
        parameters={
            "judge": settings.to_json(),
            "prompts_sha256": prompts_sha256(job.plan),
            "engine": answer_settings(engine.settings),
        },
        settings={"retry_failures": job.retry_failures},
        inputs=() if items_file is None else describe_inputs([("items", items_file)]),
        # What a server calls itself is known after its first answer only, so it cannot tell two runs apart.
        models=(replace(engine.identity, reported_id=None),),
        engine_settings=engine.settings,
        seed=settings.seed,
        packages=PACKAGES,
        decisive_packages=DECISIVE_PACKAGES,
        reopen=reopen,
    )


def _carry_out(run: Run, job: _Job) -> JudgeRun:
    _keep_items(run.folder / ITEMS_NAME, job.items)
    # Opening repairs a last line that a kill left torn, so it comes before reading.
    with JsonlAppender(run.folder / JUDGEMENTS_NAME) as appender:
        todo = _todo(job, read_attempts(run.folder))
        num_asked = _ask_missing(appender, job, todo)
    attempts = last_attempts(read_attempts(run.folder))
    result = _result(run, job, tuple(attempts[key] for key in sorted(attempts)), num_asked=num_asked)
    write_text_atomic(run.folder / REPORT_NAME, render_report(_report(run, job, result)))
    run.finish(_summary_json(job, result), num_faults=result.num_faults)
    return result


def _keep_items(path: Path, items: Sequence[JudgeItem]) -> None:
    """Write what was judged beside its judgements, so that reports and preferences need no other file."""
    if path.exists():
        _refuse_other_items(path, items)
        return
    with open_atomic(path, "w") as file:
        for item in items:
            file.write(json.dumps(item_to_json(item), ensure_ascii=False) + "\n")


def _refuse_other_items(path: Path, items: Sequence[JudgeItem]) -> None:
    # Equal prompts do not say it: systems, clusters and, in some styles, documents are in none.
    if items_to_json(load_items(path)) != items_to_json(items):
        raise ArtifactError(
            f"{path}: holds other items than those given; give the items of this run, restore the file, or judge in a "
            "new folder"
        )


def _todo(job: _Job, attempts: Sequence[Judgement]) -> list[PlannedJudgement]:
    """What is left to ask: without answer, with attempts left, or failed by the engine where those are wanted again."""
    done = last_attempts(attempts)
    draws = Counter((attempt.item_id, attempt.repeat) for attempt in attempts if not failed_by_engine(attempt))
    todo: list[PlannedJudgement] = []
    for planned in job.plan:
        judgement = done.get(planned.key)
        if judgement is None:
            todo.append(planned)
        elif may_try_again(judgement, job.settings) or (job.retry_failures and failed_by_engine(judgement)):
            todo.append(planned.again(attempt=judgement.num_attempts + 1, draw=draws[planned.key]))
    return todo


def _ask_missing(appender: JsonlAppender, job: _Job, todo: Sequence[PlannedJudgement]) -> int:
    total = len(job.plan)
    task = job.progress.task("judging", total, "judgements")
    task.set(total - len(todo))
    num_asked = num_tokens = 0
    for attempt in ask(job.engine, todo, job.settings):
        appender.append(judgement_to_json(attempt))
        num_asked += 1
        if attempt.usage is not None:
            num_tokens += attempt.usage.num_prompt_tokens + attempt.usage.num_completion_tokens
        if not may_try_again(attempt, job.settings):
            task.advance()
        if num_asked % max(1, len(todo) // _NOTES) == 0:
            task.note(progress_note(job.engine, num_asked, num_tokens))
    return num_asked


def progress_note(engine: Engine, num_asked: int, num_tokens: int) -> str:
    """Say what the answers of this call took so far, with the cost where the engine knows prices."""
    ledger = engine.ledger() if isinstance(engine, MeteredEngine) else None
    cost = "" if ledger is None or ledger.cost is None else f", {ledger.cost:.4f} {ledger.currency}"
    return f"{num_asked:,} answers took {num_tokens:,} tokens{cost} so far"


def _result(run: Run, job: _Job, judgements: tuple[Judgement, ...], *, num_asked: int) -> JudgeRun:
    tokens = token_totals(read_attempts(run.folder))
    summary = summarise_judgements(judgements, weights=job.settings.weights, seed=job.settings.seed)
    return JudgeRun(
        folder=run.folder,
        state=run.state,
        summary=summary,
        judgements=judgements,
        tokens=tokens,
        cost=token_cost(tokens, job.engine.settings),
        currency=currency_of(job.engine.settings),
        num_asked=num_asked,
        num_faults=summary.all_items.num_failed + summary.all_items.num_failed_samples,
    )


def token_cost(tokens: TokenTotals, engine_settings: Mapping[str, JsonValue]) -> float | None:
    """Cost of tokens by an engine's prices per million; None where it has none, or an attempt without count.

    Answers of the engine's own cache are counted as if they were bought: the figure says what the run costs anyone.
    """
    prices = [engine_settings.get(name) for name in ("prompt_price", "completion_price", "cached_prompt_price")]
    prompt, completion, cached = (None if isinstance(price, str | bool) else price for price in prices)
    if not isinstance(prompt, int | float) or not isinstance(completion, int | float) or tokens.num_without_usage:
        return None
    cached_price = cached if isinstance(cached, int | float) else prompt
    return (
        (tokens.num_prompt_tokens - tokens.num_cached_tokens) * prompt
        + tokens.num_cached_tokens * cached_price
        + tokens.num_completion_tokens * completion
    ) / 1_000_000


def currency_of(engine_settings: Mapping[str, JsonValue]) -> str | None:
    """Currency of an engine's prices; None where it has none."""
    value = engine_settings.get("currency")
    return value if isinstance(value, str) else None


def _summary_json(job: _Job, result: JudgeRun) -> JsonObject:
    return {
        "model": job.engine.identity.spec,
        "reported_models": cast("JsonValue", reported_models(result.judgements)),
        "judge": job.settings.to_json(),
        "num_items": len(job.items),
        "prompts_sha256": prompts_sha256(job.plan),
        "items": items_to_json(job.items),
        "judgements": judgements_to_json(result.judgements),
        "tokens": cast("JsonValue", asdict(result.tokens)),
        "cost": result.cost,
        "currency": result.currency,
        **judge_summary_to_json(result.summary),
    }


def reported_models(judgements: Iterable[Judgement]) -> dict[str, int]:
    """Count the model ids that a server named, in the order of their names."""
    return dict(sorted(Counter(judgement.model for judgement in judgements if judgement.model is not None).items()))


def stored_report(run: StoredJudgeRun) -> Report:
    """Make the page of a finished run again, as the run wrote it."""
    tokens = token_totals(read_attempts(run.folder))
    settings = run.manifest.engine_settings
    return _page(
        summarise_judgements(run.judgements, weights=run.weights, seed=run.manifest.seed or 0),
        run.judgements,
        run.items,
        run.manifest,
        run.judge,
        usage_text(tokens, token_cost(tokens, settings), currency_of(settings)),
    )


def _report(run: Run, job: _Job, result: JudgeRun) -> Report:
    usage = usage_text(result.tokens, result.cost, result.currency)
    return _page(result.summary, result.judgements, job.items, run.manifest, job.settings.to_json(), usage)


def _page(
    summary: JudgeSummary,
    judgements: Sequence[Judgement],
    items: Sequence[JudgeItem],
    manifest: RunManifest,
    judge: JsonObject,
    usage: str,
) -> Report:
    packages = {f"package {name}": version for name, version in sorted(manifest.packages.items())}
    return judge_report(
        summary,
        judgements,
        {item.id: item for item in items},
        model=manifest.models[0].spec,
        usage=usage,
        setting={**judge_facts(judge), **packages},
    )
