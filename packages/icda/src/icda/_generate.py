"""The stage that generates: rounds of requests until every intent has its candidates or has spent its budget.

The folder holds `run.json`, `requests.jsonl` (raw completions, one line per request), `candidates.jsonl`,
`rejected.jsonl` and `summary.json`. Killed at any moment, the same command goes on with the requests that are missing:
what a round asks depends on the answers before it and on nothing else, so the files come out the same.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from icda._candidates import Candidate, candidate_from_json, candidate_to_json
from icda._clean import rejected_to_json
from icda._generate_settings import GenerateSettings, PlannedRequest
from icda._pool import CandidatePool, IntentYield
from icda._requests import AnsweredRequest, TokenTotals, answered, answered_from_json, token_totals
from icda._run_data import RunData
from icda._run_inputs import DECISIVE_PACKAGES, PACKAGES, files_json, read_stage, rows_sha256
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
    ProgressTask,
    Run,
    RunState,
    blocks,
    check_sha256,
    hash_file,
    open_run,
    read_jsonl,
    recipe_to_json,
    to_ask,
    write_jsonl,
)
from twllm_types import EngineError, FailureKind, JsonObject, JsonValue

GENERATE_COMMAND = "icda generate"
REQUESTS_NAME = "requests.jsonl"
CANDIDATES_NAME = "candidates.jsonl"
REJECTED_NAME = "rejected.jsonl"

# Failures of these kinds say that the engine is down, not that a request was bad.
_DOWN = frozenset({FailureKind.CONNECTION.value, FailureKind.AUTHENTICATION.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRun:
    """What the stage gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        candidates: by intent, then as they were accepted.
        yields: of each intent: how it ended and what became of its lines.
        tokens: what all requests took.
        num_asked: requests put by this call.
    """

    folder: Path
    state: RunState
    candidates: tuple[Candidate, ...]
    yields: tuple[IntentYield, ...]
    tokens: TokenTotals
    num_asked: int

    @property
    def num_faults(self) -> int:
        """Requests that the engine failed."""
        return self.tokens.num_failed

    @property
    def unfilled(self) -> tuple[IntentYield, ...]:
        """Intents whose budget was spent before they had their candidates."""
        return tuple(one for one in self.yields if one.end == "budget_spent")


def run_generate(
    engine: Engine,
    data: RunData,
    settings: GenerateSettings,
    *,
    seed: int,
    output: Path,
    progress: Progress,
    retry_failures: bool = False,
) -> GenerateRun:
    """Generate, go on with a killed run, or read a finished one.

    Args:
        engine: any of twllm_engines.
        data: seeds to show, and test rows that no candidate may repeat.
        settings: how to ask and when to stop.
        seed: of the order of seeds and of every request's sampling.
        output: folder of the run.
        progress: where to report.
        retry_failures: ask again for what the engine failed, also of a finished run.

    Raises:
        ConfigError: the engine cannot do what is asked, or the folder holds something else.
        ArtifactError: the folder holds another run, or was changed.
        LockedError: another process works on it.
        EngineError: the engine as a whole failed; the same command goes on.
    """
    parameters = generate_parameters(engine, data, settings)
    for reopen in (False, True):
        with open_run(
            output,
            command=GENERATE_COMMAND,
            parameters=parameters,
            settings={"retry_failures": retry_failures, "files": files_json(data.inputs)},
            models=(portable_identity(engine.identity),),
            engine_settings=portable_settings(engine),
            seed=seed,
            packages=PACKAGES,
            decisive_packages=DECISIVE_PACKAGES,
            reopen=reopen,
        ) as run:
            if run.state is not RunState.FINISHED:
                return _Generation(run, engine, data, settings, seed).carry_out(progress, retry=retry_failures)
            stored = read_generated(output)
            if not (retry_failures and stored.tokens.num_failed):
                return stored
    raise AssertionError  # pragma: no cover - a reopened run is never found finished


def generate_parameters(engine: Engine, data: RunData, settings: GenerateSettings) -> JsonObject:
    """What decides the candidates, seed and model aside."""
    return {
        "generate": recipe_to_json(settings),
        "seeds_sha256": rows_sha256(data.seeds),
        "test_sha256": rows_sha256((*data.test, *data.out_of_scope)),
        "engine": answer_settings(portable_settings(engine)),
    }


def read_generated(folder: Path) -> GenerateRun:
    """Read a finished run of this stage.

    Raises:
        ArtifactError: the folder holds none, or was changed.
    """
    stored = read_stage(folder, GENERATE_COMMAND)
    summary = stored.summary or {}
    hashes = cast("dict[str, str]", summary["sha256"])
    for name, sha256 in hashes.items():
        check_sha256(folder / name, sha256)
    answers = [answered_from_json(row) for row in read_jsonl(folder / REQUESTS_NAME)]
    return GenerateRun(
        folder=folder,
        state=RunState.FINISHED,
        candidates=read_candidates(folder / CANDIDATES_NAME),
        yields=tuple(IntentYield.from_json(row) for row in cast("list[JsonObject]", summary["intents"])),
        tokens=token_totals(answers, stored.manifest.engine_settings),
        num_asked=0,
    )


def read_candidates(path: Path) -> tuple[Candidate, ...]:
    """Read a file of candidates.

    Raises:
        DataError: it cannot be read, or a line is no candidate.
    """
    return tuple(
        candidate_from_json(row, where=f"{path}:{number}") for number, row in enumerate(read_jsonl(path), start=1)
    )


class _Generation:
    """One run of the stage: what was answered so far, and what the pool makes of it."""

    def __init__(self, run: Run, engine: Engine, data: RunData, settings: GenerateSettings, seed: int) -> None:
        self._run = run
        self._engine = engine
        self._settings = settings
        source = portable_identity(engine.identity).spec
        self._pool = CandidatePool(data, settings, seed=seed, source=source)
        self._path = run.folder / REQUESTS_NAME
        self._file: ItemFile[str] = ItemFile(self._path, lambda row: answered_from_json(row).id)
        self._done: dict[str, AnsweredRequest] = {}
        self._num_asked = 0

    def carry_out(self, progress: Progress, *, retry: bool) -> GenerateRun:
        """Ask round by round, then write what came of it."""
        task = progress.task("generating", None, "requests")
        # Opening repairs a last line that a kill left torn, so it comes before reading.
        with JsonlAppender(self._path) as appender:
            found = {key: answered_from_json(row) for key, row in self._file.read().items()}
            self._done = {key: row for key, row in found.items() if not (retry and row.failure is not None)}
            task.set(len(self._done))
            number = 0
            while planned := self._pool.next_round():
                number += 1
                self._ask(planned, appender, task)
                self._pool.take([self._done[one.id] for one in planned])
                kept, wanted = self._pool.num_kept, self._pool.num_wanted
                task.note(f"round {number}: {kept:,} of {wanted:,} candidates")
                _refuse_dead_engine(number, [self._done[one.id] for one in planned])
        return self._finish()

    def _ask(self, planned: Sequence[PlannedRequest], appender: JsonlAppender, task: ProgressTask) -> None:
        whole = not isinstance(self._engine, MeteredEngine)
        for block in blocks(planned, self._settings.block_size):
            asked = to_ask(block, self._done, lambda one: one.id, whole=whole)
            for index, answer in self._engine.stream([one.request for one in asked]) if asked else ():
                self._num_asked += 1
                row = answered(asked[index], answer)
                if row.id not in self._done:
                    appender.append(row.to_json())
                    self._done[row.id] = row
                    task.advance()

    def _finish(self) -> GenerateRun:
        folder = self._run.folder
        # An answer that a retry made superfluous was paid for all the same, and stays behind what counts.
        self._file.put_in_order(self._pool.request_ids, keeps_other=lambda row: row["failure"] is None)
        candidates = self._pool.candidates
        write_jsonl(folder / CANDIDATES_NAME, [candidate_to_json(candidate) for candidate in candidates])
        write_jsonl(folder / REJECTED_NAME, [rejected_to_json(line) for line in self._pool.rejected])
        answers = [answered_from_json(row) for row in self._file.read().values()]
        result = GenerateRun(
            folder=folder,
            state=self._run.state,
            candidates=candidates,
            yields=self._pool.yields,
            tokens=token_totals(answers, self._run.manifest.engine_settings),
            num_asked=self._num_asked,
        )
        self._run.finish(generate_summary(result), num_faults=result.num_faults)
        return result


def generate_summary(result: GenerateRun) -> JsonObject:
    """Return the content of `summary.json`."""
    rejected = Counter[str]()
    for one in result.yields:
        rejected.update(one.rejected)
    names = (REQUESTS_NAME, CANDIDATES_NAME, REJECTED_NAME)
    return {
        "num_candidates": len(result.candidates),
        "num_intents": len(result.yields),
        "unfilled": [one.intent for one in result.unfilled],
        "rejected": cast("JsonValue", dict(sorted(rejected.items()))),
        "tokens": result.tokens.to_json(),
        "intents": [one.to_json() for one in result.yields],
        "sha256": {name: hash_file(result.folder / name) for name in names},
    }


def _refuse_dead_engine(number: int, answers: Sequence[AnsweredRequest]) -> None:
    """Stop before a budget is spent on a server that does not answer."""
    kinds = {row.failure for row in answers}
    if kinds <= _DOWN:
        raise EngineError(
            f"all {len(answers)} requests of round {number} failed ({answers[0].failure}: {answers[0].message}); mend "
            "the engine and give the same command with --retry-failures"
        )
