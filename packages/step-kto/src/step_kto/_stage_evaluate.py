"""The stage that evaluates a model: greedy and sampled solutions, labelled by a judge other than the training one.

The folder holds `run.json`, `problems.jsonl`, `samples.jsonl`, `solutions.jsonl` and `summary.json`. Killed at any
moment, the same command goes on.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

from step_kto._answers import AnswerPolicy
from step_kto._evaluation import evaluation_figures
from step_kto._judge_spec import JudgeSettings, OpenJudge, open_judge, same_judge
from step_kto._label_settings import LabelSettings
from step_kto._model_folder import TRAINING_NAME, identify_model
from step_kto._problems import Problem, write_problems
from step_kto._sample_settings import SampleSettings
from step_kto._stage_inputs import DECISIVE_PACKAGES, PACKAGES
from step_kto._stage_label import SOLUTIONS_NAME, label_samples, label_summary, num_label_faults
from step_kto._stage_sample import PROBLEMS_NAME, SAMPLES_NAME, collect_samples, plan_samples, problems_sha256
from step_kto._verify_pool import AnswerVerifier
from twllm_engines import (
    Engine,
    answer_settings,
    portable_identity,
    portable_settings,
)
from twllm_runs import Progress, Run, RunState, hash_file, open_run
from twllm_types import ConfigError, Estimate, EstimateUnit, JsonObject, JsonValue

EVALUATE_COMMAND = "step-kto evaluate"
_LEAST_K = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings:
    """How a model is evaluated.

    Attributes:
        sample: of the sampled solutions; temperature above 0 and num_samples >= 2 give pass@k and maj@num_samples. The
            paper reports Maj@8 (arXiv 2501.10799); its temperature is not known to us.
        label: outcomes and steps.
        ks: of pass@k, each within 2..num_samples; pass@1 is always given, greedy and sampled.
        allow_same_judge: let the judge that trained judge the result, which flatters it.

    Raises:
        ConfigError: a k is out of its range, or sampling is greedy.
    """

    sample: SampleSettings = field(default_factory=lambda: SampleSettings(num_samples=8))
    label: LabelSettings = field(default_factory=LabelSettings)
    ks: tuple[int, ...] = (4, 8)
    allow_same_judge: bool = False

    def __post_init__(self) -> None:
        if self.sample.temperature == 0:
            raise ConfigError("temperature of an evaluation's samples is 0; raise it, the greedy one comes besides")
        for k in self.ks:
            if not _LEAST_K <= k <= self.sample.num_samples:
                raise ConfigError(f"ks holds {k}; give numbers within 2..{self.sample.num_samples} (num_samples)")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRun:
    """What the stage gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        estimates: see `EvaluationFigures`.
        summary: as in `summary.json`.
        num_faults: samples without text, blank ones, and solutions that the judge failed.
    """

    folder: Path
    state: RunState
    estimates: dict[str, Estimate]
    summary: JsonObject
    num_faults: int


def run_evaluate(
    engine: Engine,
    problems: Sequence[Problem],
    settings: EvaluateSettings,
    *,
    output: Path,
    progress: Progress,
    training_judge: Mapping[str, object] | None = None,
    retry_failures: bool = False,
) -> EvaluateRun:
    """Evaluate, go on with a killed run, or read a finished one.

    Args:
        engine: the model.
        problems: that it was not trained on; whether that is so is the caller's to know.
        settings: how.
        output: folder of the run.
        progress: where to report.
        training_judge: identity of the judge whose labels trained the model (`read_training_judge`); None where none
            did, or it is not known.
        retry_failures: ask again where an engine failed, also in a finished run.

    Raises:
        ConfigError: the judge is the one that trained, and that is not allowed; or engine and settings do not fit.
        ArtifactError: the folder holds another run.
        LockedError: another process works on it.
    """
    with ExitStack() as stack:
        judge = stack.enter_context(open_judge(settings.label.judge, problems))
        _refuse_training_judge(judge, training_judge, settings)
        for reopen in (False, True):
            with open_run(
                output,
                command=EVALUATE_COMMAND,
                parameters=_parameters(engine, problems, settings, judge, training_judge),
                settings={"retry_failures": retry_failures, "allow_same_judge": settings.allow_same_judge},
                models=(portable_identity(engine.identity),),
                engine_settings=portable_settings(engine),
                seed=settings.sample.seed,
                packages=PACKAGES,
                decisive_packages=(*DECISIVE_PACKAGES, "math-verify"),
                reopen=reopen,
            ) as run:
                if run.state is not RunState.FINISHED:
                    return _carry_out(run, engine, problems, settings, judge, progress, retry=retry_failures)
                if not (retry_failures and run.num_faults):
                    return _result(run, run.result, run.num_faults)
    raise AssertionError  # pragma: no cover - a reopened run is never found finished


def read_training_judge(model: str) -> Mapping[str, object] | None:
    """Who judged the steps that a model folder was trained on; None where the folder does not say.

    Raises:
        ConfigError: its `step_kto.json` is damaged.
    """
    path = Path(model) / TRAINING_NAME
    if not path.is_file():
        return None
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(
            f"{path}: is not JSON ({error}); restore it, or delete it and name --training-judge"
        ) from error
    row = cast("Mapping[str, object]", found)
    judge = row.get("step_judge")
    # A baseline of outcomes alone never saw the judge.
    return cast("Mapping[str, object]", judge) if isinstance(judge, dict) and row.get("kind") == "step-kto" else None


def named_judge(judge: str) -> JsonObject:
    """The identity of a judge that is known by its word only, such as "arithmetic" or "llm:hf:MODEL".

    Raises:
        ConfigError: the word names no judge.
    """
    settings = JudgeSettings(judge=judge)
    kind, _, model = settings.target.rpartition(":")
    if not settings.target:
        return {"judge": settings.kind}
    if Path(model).is_dir():
        identity = identify_model(model)
        spec = f"{kind}:{Path(model).name}" if kind else Path(model).name
        return {"judge": settings.kind, "model": spec, "sha256": {"weights": identity.sha256["weights"]}}
    return {"judge": settings.kind, "model": settings.target}


def estimate_to_json(estimate: Estimate) -> JsonObject:
    """Return an estimate as JSON; `estimate_from_json` is its inverse."""
    return cast("JsonObject", {**asdict(estimate), "unit": estimate.unit.value})


def estimate_from_json(row: Mapping[str, object]) -> Estimate:
    """Read what `estimate_to_json` wrote.

    Raises:
        DataError: the parts contradict each other.
    """
    fields = dict(cast("dict[str, float]", row))
    unit, method = EstimateUnit(str(fields.pop("unit"))), str(fields.pop("method"))
    return Estimate(unit=unit, method=method, **cast("dict[str, int]", fields))


def read_estimates(summary: Mapping[str, object]) -> dict[str, Estimate]:
    """The estimates of an evaluation's summary, by name."""
    rows = cast("Mapping[str, Mapping[str, object]]", summary["estimates"])
    return {name: estimate_from_json(row) for name, row in rows.items()}


def _parameters(
    engine: Engine,
    problems: Sequence[Problem],
    settings: EvaluateSettings,
    judge: OpenJudge,
    training_judge: Mapping[str, object] | None,
) -> JsonObject:
    """What decides the figures."""
    return {
        "sample": settings.sample.to_json(),
        "label": settings.label.to_json(judge.identity),
        "ks": list(settings.ks),
        "problems_sha256": problems_sha256(problems),
        "training_judge": cast("JsonValue", None if training_judge is None else dict(training_judge)),
        "engine": answer_settings(portable_settings(engine)),
    }


def _refuse_training_judge(
    judge: OpenJudge, training_judge: Mapping[str, object] | None, settings: EvaluateSettings
) -> None:
    if settings.allow_same_judge or training_judge is None or judge.judge is None:
        return
    if same_judge(judge.identity, training_judge):
        raise ConfigError(
            f"the judge {settings.label.judge.judge!r} labelled the steps that trained this model, so it flatters the "
            "result; take another judge, or allow it explicitly (--allow-same-judge, allow_same_judge: true)"
        )


def _carry_out(
    run: Run,
    engine: Engine,
    problems: Sequence[Problem],
    settings: EvaluateSettings,
    judge: OpenJudge,
    progress: Progress,
    *,
    retry: bool,
) -> EvaluateRun:
    write_problems(run.folder / PROBLEMS_NAME, problems)
    samples, _ = collect_samples(
        run.folder / SAMPLES_NAME,
        engine,
        plan_samples(problems, settings.sample, with_greedy=True),
        block_size=settings.sample.block_size,
        progress=progress,
        retry=retry,
    )
    path = run.folder / SOLUTIONS_NAME
    solutions = label_samples(path, samples, problems, settings.label, judge, progress=progress, retry=retry)
    policy = AnswerPolicy(percent=settings.label.percent, units=settings.label.units)
    with AnswerVerifier(timeout_seconds=settings.label.timeout_seconds, policy=policy) as verifier:
        figures = evaluation_figures(
            samples,
            solutions,
            ks=settings.ks,
            num_samples=settings.sample.num_samples,
            golds={problem.prompt: problem.answer for problem in problems},
            equivalent=lambda one, other: verifier.verify(one, other).label is True,
        )
    labels = label_summary(samples, solutions)
    summary: JsonObject = {
        "num_problems": len(problems),
        "estimates": cast("JsonValue", {name: estimate_to_json(one) for name, one in figures.estimates.items()}),
        "num_truncated": figures.num_truncated,
        "labels": labels,
        "step_judge": judge.identity,
        "samples_sha256": hash_file(run.folder / SAMPLES_NAME),
        "solutions_sha256": hash_file(path),
    }
    num_faults = num_label_faults(labels)
    run.finish(summary, num_faults=num_faults)
    return _result(run, summary, num_faults)


def _result(run: Run, summary: JsonObject, num_faults: int) -> EvaluateRun:
    return EvaluateRun(
        folder=run.folder,
        state=run.state,
        estimates=read_estimates(summary),
        summary=summary,
        num_faults=num_faults,
    )
