"""The stage that scores: a classifier fitted on the seeds says what it makes of every candidate.

The folder holds `run.json`, `candidates.jsonl` (and, of a pool, `rejected.jsonl`), `scores.jsonl`, `held_out.jsonl`
(rows with known labels, scored by classifiers that were not fitted on them), `thresholds.json` and `summary.json` with
the guards. A guard that stops does not stop the scoring, whose figures say why, but what comes after it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

from icda._baselines import self_confidence_thresholds
from icda._candidates import Candidate, candidate_to_json
from icda._clean import CleanRules, RejectedLine, rejected_from_json, rejected_to_json
from icda._features import UnknownTokens, measured_unknown_tokens
from icda._generate import CANDIDATES_NAME, GENERATE_COMMAND, REJECTED_NAME, read_candidates, read_generated
from icda._given_pool import CleanedPool, clean_pool
from icda._guards import (
    Guard,
    GuardRules,
    at_chance,
    fitted_thresholds,
    leakage,
    low_v_information,
    unknown_tokens,
)
from icda._recipe_classifier import ClassifierSettings, MadeClassifier, make_classifier
from icda._run_data import RunData
from icda._run_inputs import DECISIVE_PACKAGES, PACKAGES, files_json, read_stage, rows_sha256
from icda._score import (
    HeldOutScores,
    ScoreSettings,
    cross_fit_seeds,
    fit_seed_models,
    score_candidates,
    score_validation,
)
from icda._scores import CandidateScores
from icda._stored_scores import (
    HELD_OUT_NAME,
    SCORES_NAME,
    THRESHOLDS_NAME,
    read_held_out,
    read_scores,
    read_thresholds,
    write_held_out,
    write_scores,
    write_thresholds,
)
from icda._summary_json import estimate_from_json, estimate_to_json, guards_from_json, guards_to_json
from icda._threshold_settings import ThresholdSettings
from icda._thresholds import (
    EstimatedOn,
    Thresholds,
    ThresholdScale,
    class_thresholds,
)
from twllm_runs import (
    Progress,
    Run,
    RunState,
    check_sha256,
    hash_file,
    open_run,
    read_jsonl,
    recipe_to_json,
    write_jsonl,
)
from twllm_runs.statistics import proportion_estimate
from twllm_types import ConfigError, Estimate, IntentExample, JsonObject, JsonValue

SCORE_COMMAND = "icda score"
_FILES = (CANDIDATES_NAME, SCORES_NAME, HELD_OUT_NAME, THRESHOLDS_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreJob:
    """What scoring needs to know.

    Attributes:
        classifier: that judges.
        score: null model, folds, batches.
        thresholds: how they are estimated.
        guards: limits.
    """

    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    score: ScoreSettings = field(default_factory=ScoreSettings)
    thresholds: ThresholdSettings = field(default_factory=ThresholdSettings)
    guards: GuardRules = field(default_factory=GuardRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRun:
    """What the stage gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        candidates: that were scored.
        scores: of the candidates, in their order.
        held_out: rows with known labels.
        thresholds: by their scale.
        v_information: of the held-out rows, bits, rows of one intent counted as dependent.
        accuracy: on the held-out rows.
        seed_counts: seeds per intent.
        guards: what is wrong.
        rejected: rows of the pool that cleaning left out; None where the candidates come from a generation.
        unknown_tokens: of seeds, held-out rows and candidates, as the classifier reads them; None where it has no
            tokenizer.
    """

    folder: Path
    state: RunState
    candidates: tuple[Candidate, ...]
    scores: CandidateScores
    held_out: HeldOutScores
    thresholds: Mapping[ThresholdScale, Thresholds]
    v_information: Estimate
    accuracy: Estimate
    seed_counts: Mapping[str, int]
    guards: tuple[Guard, ...]
    rejected: tuple[RejectedLine, ...] | None = None
    unknown_tokens: UnknownTokens | None = None


def run_score(
    data: RunData,
    candidates: Sequence[Candidate] | CleanedPool,
    job: ScoreJob,
    *,
    output: Path,
    progress: Progress,
    cache: Path | None = None,
    made: MadeClassifier | None = None,
) -> ScoreRun:
    """Score candidates, or read a finished run. A killed one begins anew, but for the embeddings that are kept.

    Args:
        data: seeds, validation rows and test rows.
        candidates: to be scored; may be none. Of a cleaned pool the rejected rows are kept beside them.
        job: how.
        output: folder of the run.
        progress: where to report.
        cache: folder of kept embeddings; None keeps them in the run's own.
        made: the job's classifier where it has been made already; None makes it.

    Raises:
        ConfigError: a setting cannot be used, or the folder holds something else.
        DataError: rows cannot be used.
        ArtifactError: the folder holds another run, or was changed.
        LockedError: another process works on it.
    """
    made = made or make_classifier(job.classifier, cache=output / "work" / "embeddings" if cache is None else cache)
    parameters = score_parameters(data, candidates, job, made)
    with open_run(
        output,
        command=SCORE_COMMAND,
        parameters=parameters,
        settings={"files": files_json(data.inputs)},
        packages=PACKAGES,
        decisive_packages=DECISIVE_PACKAGES,
    ) as run:
        if run.state is RunState.FINISHED:
            return read_scored(output)
        return _carry_out(run, data, candidates, job, made, progress)


def score_parameters(
    data: RunData, candidates: Sequence[Candidate] | CleanedPool, job: ScoreJob, made: MadeClassifier
) -> JsonObject:
    """What decides the scores."""
    rows, rejected = _parts(candidates)
    return {
        "classifier": made.decides,
        "score": recipe_to_json(job.score),
        "thresholds": recipe_to_json(job.thresholds),
        "guards": recipe_to_json(job.guards),
        "seeds_sha256": rows_sha256(data.seeds),
        "validation_sha256": rows_sha256(data.validation),
        "test_sha256": rows_sha256(data.test),
        "out_of_scope_sha256": rows_sha256(data.out_of_scope),
        "candidates_sha256": rows_sha256([_example(candidate) for candidate in rows]),
        "rejected_sha256": None if rejected is None else rows_sha256([_rejected_example(line) for line in rejected]),
    }


def load_candidates(
    path: Path | None, data: RunData, rules: CleanRules | None = None
) -> tuple[Candidate, ...] | CleanedPool:
    """Read candidates: of a folder of `icda generate`, or those of a pool that the data name, cleaned.

    Args:
        path: folder or JSONL file of `icda generate`; None for the pool.
        data: that may hold a pool made elsewhere.
        rules: of the cleaning of a pool; None for the defaults.

    Raises:
        ConfigError: there is neither.
        ArtifactError: the folder is none of `icda generate`.
        DataError: a line is no candidate, or a row of the pool has no intent.
    """
    if path is not None:
        return read_generated(path).candidates if path.is_dir() else read_candidates(path)
    if data.candidates is None:
        raise ConfigError(f"there are no candidates; give the folder of {GENERATE_COMMAND!r}, or set data.candidates")
    return clean_pool(data, rules)


def read_scored(folder: Path) -> ScoreRun:
    """Read a finished run of this stage.

    Raises:
        ArtifactError: the folder holds none, or was changed.
    """
    summary = read_stage(folder, SCORE_COMMAND).summary or {}
    for name, sha256 in cast("dict[str, str]", summary["sha256"]).items():
        check_sha256(folder / name, sha256)
    null_logps = cast("dict[str, float]", summary["null_logps"])
    tokens = cast("dict[str, int] | None", summary["unknown_tokens"])
    return ScoreRun(
        folder=folder,
        state=RunState.FINISHED,
        candidates=read_candidates(folder / CANDIDATES_NAME),
        scores=read_scores(folder / SCORES_NAME, classes=tuple(null_logps), null_logps=tuple(null_logps.values())),
        held_out=read_held_out(folder / HELD_OUT_NAME, estimated_on=EstimatedOn(str(summary["estimated_on"]))),
        thresholds=read_thresholds(folder / THRESHOLDS_NAME),
        v_information=estimate_from_json(cast("JsonObject", summary["v_information"])),
        accuracy=estimate_from_json(cast("JsonObject", summary["accuracy"])),
        seed_counts=cast("dict[str, int]", summary["seed_counts"]),
        guards=guards_from_json(summary["guards"]),
        rejected=None if summary["rejected"] is None else _read_rejected(folder / REJECTED_NAME),
        unknown_tokens=None if tokens is None else UnknownTokens(**tokens),
    )


def estimate_thresholds(
    held_out: HeldOutScores, settings: ThresholdSettings, classes: Sequence[str]
) -> dict[ThresholdScale, Thresholds]:
    """Thresholds in bits, and those of self-confidence, on the same rows."""
    bits = class_thresholds(
        held_out.pvi,
        held_out.labels,
        estimated_on=held_out.estimated_on,
        rule=settings.rule,
        quantile=settings.quantile,
        shrinkage=settings.shrinkage,
        min_count=settings.min_count,
        classes=classes,
    )
    probability = self_confidence_thresholds(
        held_out.logps,
        held_out.labels,
        estimated_on=held_out.estimated_on,
        min_count=settings.min_count,
        classes=classes,
    )
    return {ThresholdScale.BITS: bits, ThresholdScale.PROBABILITY: probability}


def _carry_out(
    run: Run,
    data: RunData,
    given: Sequence[Candidate] | CleanedPool,
    job: ScoreJob,
    made: MadeClassifier,
    progress: Progress,
) -> ScoreRun:
    candidates, rejected = _parts(given)
    source = job.thresholds.source(data)
    task = progress.task("scoring", len(candidates), "candidates")
    models = fit_seed_models(made.family, data.seeds, job.score)
    if source is EstimatedOn.CROSS_FIT:
        held_out = cross_fit_seeds(made.family, data.seeds, job.score)
    else:
        rows = data.validation if source is EstimatedOn.VALIDATION else data.seeds
        held_out = score_validation(models, rows, estimated_on=source)
    scores = score_candidates(models, candidates, batch_rows=job.score.batch_rows, on_rows=task.advance)
    thresholds = estimate_thresholds(held_out, job.thresholds, models.classes)
    accuracy = proportion_estimate(held_out.num_right, len(held_out.ids))
    information = held_out.v_information()
    tokens = measured_unknown_tokens(made.family, [row.text for row in (*data.seeds, *data.validation, *candidates)])
    guards = _guards(data, candidates, held_out, accuracy, information, job.guards, num_classes=len(models.classes))
    unreadable = None if tokens is None else unknown_tokens(tokens.num_unknown, tokens.num_tokens, job.guards)
    result = ScoreRun(
        folder=run.folder,
        state=run.state,
        candidates=tuple(candidates),
        scores=scores,
        held_out=held_out,
        thresholds=thresholds,
        v_information=information,
        accuracy=accuracy,
        seed_counts=dict(sorted(Counter(seed.intent or "" for seed in data.seeds).items())),
        guards=guards if unreadable is None else (*guards, unreadable),
        rejected=rejected,
        unknown_tokens=tokens,
    )
    _write(run, result)
    return result


def _guards(
    data: RunData,
    candidates: Sequence[Candidate],
    held_out: HeldOutScores,
    accuracy: Estimate,
    information: Estimate,
    rules: GuardRules,
    *,
    num_classes: int,
) -> tuple[Guard, ...]:
    test = (*data.test, *data.out_of_scope)
    found = (
        at_chance(accuracy, Counter(held_out.labels), rules),
        low_v_information(information, num_classes, rules),
        fitted_thresholds(held_out.estimated_on, rules),
        leakage([candidate.text for candidate in candidates], test, rules, of="candidates"),
        leakage([seed.text for seed in data.seeds], test, rules, of="seeds"),
    )
    return tuple(guard for guard in found if guard is not None)


def _write(run: Run, result: ScoreRun) -> None:
    folder, scores = run.folder, result.scores
    write_jsonl(folder / CANDIDATES_NAME, (candidate_to_json(candidate) for candidate in result.candidates))
    write_scores(folder / SCORES_NAME, scores)
    write_held_out(folder / HELD_OUT_NAME, result.held_out)
    write_thresholds(folder / THRESHOLDS_NAME, list(result.thresholds.values()))
    names = _FILES
    if result.rejected is not None:
        names = (*_FILES, REJECTED_NAME)
        write_jsonl(folder / REJECTED_NAME, (rejected_to_json(line) for line in result.rejected))
    run.finish(
        {
            "num_candidates": len(result.candidates),
            "rejected": None if result.rejected is None else cast("JsonValue", rejection_counts(result.rejected)),
            "unknown_tokens": None if result.unknown_tokens is None else asdict(result.unknown_tokens),
            "estimated_on": result.held_out.estimated_on.value,
            "v_information": estimate_to_json(result.v_information),
            "accuracy": estimate_to_json(result.accuracy),
            "null_logps": cast("JsonValue", dict(zip(scores.classes, scores.null_logps.tolist(), strict=True))),
            "seed_counts": cast("JsonValue", dict(result.seed_counts)),
            "guards": guards_to_json(result.guards),
            "sha256": {name: hash_file(folder / name) for name in names},
        }
    )


def rejection_counts(rejected: Sequence[RejectedLine]) -> dict[str, int]:
    """Rejected lines by reason, sorted by its name."""
    return dict(sorted(Counter(line.reason.value for line in rejected).items()))


def _parts(
    given: Sequence[Candidate] | CleanedPool,
) -> tuple[Sequence[Candidate], tuple[RejectedLine, ...] | None]:
    return (given.candidates, given.rejected) if isinstance(given, CleanedPool) else (given, None)


def _read_rejected(path: Path) -> tuple[RejectedLine, ...]:
    return tuple(
        rejected_from_json(row, where=f"{path}:{number}") for number, row in enumerate(read_jsonl(path), start=1)
    )


def _rejected_example(line: RejectedLine) -> IntentExample:
    return IntentExample(text=f"{line.reason.value} {line.text}", intent=line.intent, id=line.id, source=line.source)


def _example(candidate: Candidate) -> IntentExample:
    return IntentExample(text=candidate.text, intent=candidate.intent, id=candidate.id, source=candidate.source)
