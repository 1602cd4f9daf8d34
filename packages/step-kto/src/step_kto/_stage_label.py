"""The stage that labels: outcomes by the answer verifier, steps by a step judge.

The folder holds `run.json`, `solutions.jsonl` (the on-disk step format, one line per solution, with what else is known
of it under other keys; see `twllm_runs.ItemFile`) and `summary.json`. Samples that the engine failed and blank ones are
counted and are no solutions. Killed at any moment, the same command goes on with the solutions that have no labels.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from step_kto._answer_extraction import AnswerSource, extract_answer
from step_kto._answers import AnswerPolicy
from step_kto._judge_spec import OpenJudge, open_judge
from step_kto._judges import JudgeFailure, StepItem, StepJudgement
from step_kto._label_settings import LabelSettings, step_cut
from step_kto._labels import count_labels
from step_kto._problems import Problem, load_problems
from step_kto._stage_inputs import DECISIVE_PACKAGES, PACKAGES, stage_input
from step_kto._stage_sample import (
    PROBLEMS_NAME,
    SAMPLE_COMMAND,
    SAMPLES_NAME,
    Sample,
    SampleKey,
    read_samples,
)
from step_kto._steps import segment_steps
from step_kto._verify_pool import AnswerVerifier
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
    read_run,
    to_ask,
)
from twllm_types import ArtifactError, JsonObject, JsonValue, StepwiseSolution

LABEL_COMMAND = "step-kto label"
SOLUTIONS_NAME = "solutions.jsonl"

_UNMARKED = "unmarked_answer"
# Places where an answer stands on purpose; the rest of a text is searched only where that is allowed.
_MARKED = (AnswerSource.BOXED, AnswerSource.HASHES, AnswerSource.PHRASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSolution:
    """A sampled solution with its labels.

    Attributes:
        solution: steps, labels and outcome.
        number: of the sample among those of its problem.
        verdict: why the outcome is what it is.
        finish_reason: of the sample.
        judge_failure: why no step has a label; None where the judge answered.
        judge_detail: of that failure.
    """

    solution: StepwiseSolution
    number: int
    verdict: str
    finish_reason: str
    judge_failure: str | None = None
    judge_detail: str = ""

    @property
    def key(self) -> SampleKey:
        """Problem and number."""
        return self.solution.prompt, self.number

    def to_json(self) -> JsonObject:
        """Return the line of `solutions.jsonl`."""
        return {
            **self.solution.to_json(),
            "number": self.number,
            "verdict": self.verdict,
            "finish_reason": self.finish_reason,
            "judge_failure": self.judge_failure,
            "judge_detail": self.judge_detail,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, object]) -> "LabelledSolution":
        """Read such a line; a row that another program wrote has no number and is taken as the first of its problem."""
        failure = row.get("judge_failure")
        return cls(
            solution=StepwiseSolution.from_json(row),
            number=cast("int", row.get("number", 0)),
            verdict=str(row.get("verdict", "")),
            finish_reason=str(row.get("finish_reason", "stop")),
            judge_failure=None if failure is None else str(failure),
            judge_detail=str(row.get("judge_detail", "")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRun:
    """What the stage gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        solutions: in the order of the samples.
        summary: counts, as in `summary.json`.
        num_faults: samples that the engine failed, blank ones, and solutions that the judge failed.
    """

    folder: Path
    state: RunState
    solutions: tuple[LabelledSolution, ...]
    summary: JsonObject
    num_faults: int


def run_label(
    samples: Path, settings: LabelSettings, *, output: Path, progress: Progress, retry_failures: bool = False
) -> LabelRun:
    """Label the samples of a finished run, go on with a killed run, or read a finished one.

    Args:
        samples: folder of a finished `step-kto sample`.
        settings: how.
        output: folder of the run.
        progress: where to report.
        retry_failures: judge again where the judge's engine failed, also in a finished run.

    Raises:
        ArtifactError: `samples` holds no finished run of that command, or `output` another run.
        ConfigError: the judge cannot be loaded or does not fit the problems.
        LockedError: another process works on it.
    """
    problems, sampled = read_sample_run(samples)
    with ExitStack() as stack:
        judge = stack.enter_context(open_judge(settings.judge, problems))
        for reopen in (False, True):
            with open_run(
                output,
                command=LABEL_COMMAND,
                parameters={"label": settings.to_json(judge.identity)},
                settings={"retry_failures": retry_failures},
                inputs=[
                    stage_input(samples, name, hash_file(samples / name)) for name in (PROBLEMS_NAME, SAMPLES_NAME)
                ],
                packages=PACKAGES,
                decisive_packages=(*DECISIVE_PACKAGES, "math-verify"),
                reopen=reopen,
            ) as run:
                if run.state is not RunState.FINISHED:
                    return _carry_out(run, sampled, problems, settings, judge, progress, retry=retry_failures)
                found = read_labelled(output / SOLUTIONS_NAME, sha256=str(run.result["solutions_sha256"]))
                if not (retry_failures and any(_failed_by_engine(one) for one in found)):
                    return _result(run, found, run.result)
    raise AssertionError  # pragma: no cover - a reopened run is never found finished


def read_sample_run(folder: Path) -> tuple[tuple[Problem, ...], tuple[Sample, ...]]:
    """Read problems and samples of a finished run, whole.

    Raises:
        ArtifactError: the folder holds no such run, or a file was changed.
    """
    stored = read_run(folder)
    if stored.manifest.command != SAMPLE_COMMAND or stored.summary is None:
        raise ArtifactError(f"{folder}: holds no finished run of {SAMPLE_COMMAND}; finish that first")
    check_sha256(folder / PROBLEMS_NAME, str(stored.summary["problems_sha256"]))
    samples = read_samples(folder / SAMPLES_NAME, sha256=str(stored.summary["samples_sha256"]))
    return load_problems(folder / PROBLEMS_NAME), samples


def read_labelled(path: Path, *, sha256: str | None) -> tuple[LabelledSolution, ...]:
    """Read labelled solutions.

    Args:
        path: the file.
        sha256: what it must hash to; None for any.

    Raises:
        ArtifactError: it is another file, or damaged.
    """
    if sha256 is not None:
        check_sha256(path, sha256)
    file = ItemFile(path, _row_key)
    return tuple(LabelledSolution.from_json(row) for row in file.read().values())


def label_samples(
    path: Path,
    samples: Sequence[Sample],
    problems: Sequence[Problem],
    settings: LabelSettings,
    judge: OpenJudge,
    *,
    progress: Progress,
    retry: bool,
) -> tuple[LabelledSolution, ...]:
    """Label what a file lacks, append each solution, put the file in order.

    Args:
        path: of the solutions.
        samples: what the file shall hold; failed and blank ones are left out.
        problems: their problems.
        settings: how.
        judge: of the steps.
        progress: where to report.
        retry: judge again where the judge's engine failed.
    """
    by_prompt = {problem.prompt: problem for problem in problems}
    plan = [sample for sample in samples if sample.text is not None and sample.text.strip()]
    file = ItemFile(path, _row_key)
    with JsonlAppender(path) as appender, AnswerVerifier(timeout_seconds=settings.timeout_seconds) as verifier:
        done = {key: row for key, row in file.read().items() if not (retry and _row_failed_by_engine(row))}
        task = progress.task("labelling", len(plan), "solutions")
        task.set(len(done))
        for block in blocks(plan, settings.block_size):
            asked = to_ask(block, done, lambda sample: sample.key, whole=not judge.is_metered)
            for labelled in _label_block(asked, by_prompt, settings, judge, verifier):
                if labelled.key not in done:
                    appender.append(labelled.to_json())
                    task.advance()
    rows = file.put_in_order([sample.key for sample in plan])
    return tuple(LabelledSolution.from_json(row) for row in rows)


def label_summary(samples: Sequence[Sample], solutions: Sequence[LabelledSolution]) -> JsonObject:
    """Counts of labels, verdicts and failures."""
    counts = count_labels([one.solution for one in solutions])
    verdicts = Counter(one.verdict for one in solutions)
    failures = Counter(one.judge_failure for one in solutions if one.judge_failure is not None)
    return {
        "num_solutions": len(solutions),
        "num_failed_samples": sum(sample.failure is not None for sample in samples),
        "num_blank_samples": sum(sample.text is not None and not sample.text.strip() for sample in samples),
        "outcomes": _counts_json(counts.outcomes.num_right, counts.outcomes.num_wrong, counts.outcomes.num_unknown),
        "steps": _counts_json(counts.steps.num_right, counts.steps.num_wrong, counts.steps.num_unknown),
        "verdicts": cast("JsonValue", dict(sorted(verdicts.items()))),
        "judge_failures": cast("JsonValue", dict(sorted(failures.items()))),
    }


def num_label_faults(summary: JsonObject) -> int:
    """Samples without solution, and solutions that the judge failed."""
    failures = cast("dict[str, int]", summary["judge_failures"])
    blank, failed = cast("int", summary["num_blank_samples"]), cast("int", summary["num_failed_samples"])
    return blank + failed + sum(failures.values())


def _carry_out(
    run: Run,
    samples: Sequence[Sample],
    problems: Sequence[Problem],
    settings: LabelSettings,
    judge: OpenJudge,
    progress: Progress,
    *,
    retry: bool,
) -> LabelRun:
    path = run.folder / SOLUTIONS_NAME
    solutions = label_samples(path, samples, problems, settings, judge, progress=progress, retry=retry)
    summary: JsonObject = {
        **label_summary(samples, solutions),
        "step_judge": judge.identity,
        "solutions_sha256": hash_file(path),
    }
    run.finish(summary, num_faults=num_label_faults(summary))
    return _result(run, solutions, summary)


def _result(run: Run, solutions: tuple[LabelledSolution, ...], summary: JsonObject) -> LabelRun:
    return LabelRun(
        folder=run.folder,
        state=run.state,
        solutions=solutions,
        summary=summary,
        num_faults=num_label_faults(summary),
    )


def _label_block(
    samples: Sequence[Sample],
    problems: Mapping[str, Problem],
    settings: LabelSettings,
    judge: OpenJudge,
    verifier: AnswerVerifier,
) -> Iterator[LabelledSolution]:
    if not samples:
        return
    cut = step_cut(settings.steps)
    steps = [segment_steps(sample.text or "", by=cut) for sample in samples]
    outcomes = _outcomes(samples, problems, settings, verifier)
    judgements = _judge(samples, steps, problems, judge)
    for sample, pieces, (outcome, reason), judgement in zip(samples, steps, outcomes, judgements, strict=True):
        yield LabelledSolution(
            solution=StepwiseSolution(
                prompt=sample.prompt, steps=pieces, step_labels=judgement.labels, outcome=outcome
            ),
            number=sample.number,
            verdict=reason,
            finish_reason=sample.finish_reason or "",
            judge_failure=None if judgement.failure is None else judgement.failure.value,
            judge_detail=judgement.detail,
        )


def _outcomes(
    samples: Sequence[Sample], problems: Mapping[str, Problem], settings: LabelSettings, verifier: AnswerVerifier
) -> list[tuple[bool | None, str]]:
    policy = AnswerPolicy(percent=settings.percent, units=settings.units)
    marked = [sample for sample in samples if not _lacks_mark(sample, settings)]
    verdicts = verifier.verify_many(
        [(problems[sample.prompt].answer, sample.text or "") for sample in marked], policy=policy
    )
    found = {sample.key: verdict for sample, verdict in zip(marked, verdicts, strict=True)}
    return [
        (found[sample.key].label, found[sample.key].reason.value) if sample.key in found else (False, _UNMARKED)
        for sample in samples
    ]


def _lacks_mark(sample: Sample, settings: LabelSettings) -> bool:
    if not (settings.require_marked_answer or sample.finish_reason == "length"):
        return False
    answer = extract_answer(sample.text or "")
    return answer is None or answer.source not in _MARKED


def _judge(
    samples: Sequence[Sample], steps: Sequence[tuple[str, ...]], problems: Mapping[str, Problem], judge: OpenJudge
) -> list[StepJudgement]:
    if judge.judge is None:
        return [StepJudgement(labels=(None,) * len(pieces)) for pieces in steps]
    return judge.judge.judge_many(
        [
            StepItem(problem=sample.prompt, reference=problems[sample.prompt].reference, steps=pieces)
            for sample, pieces in zip(samples, steps, strict=True)
        ]
    )


def _failed_by_engine(labelled: LabelledSolution) -> bool:
    return labelled.judge_failure == JudgeFailure.ENGINE


def _row_failed_by_engine(row: JsonObject) -> bool:
    return row.get("judge_failure") == JudgeFailure.ENGINE


def _counts_json(num_right: int, num_wrong: int, num_unknown: int) -> JsonObject:
    return {"right": num_right, "wrong": num_wrong, "unknown": num_unknown}


def _row_key(row: JsonObject) -> SampleKey:
    return cast("str", row["prompt"]), cast("int", row["number"])
