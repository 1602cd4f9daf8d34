"""The stage that trains: the final classifier on seeds and kept rows, beside every arm that it has to beat.

The folder holds `run.json`, `results.jsonl` (one line per arm, draw and training seed, with the predictions),
`training.jsonl` (the rows that the chosen selection trains on, ready to be exported) and `summary.json`. A killed run
goes on with the trainings that are missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias, cast

from icda._evaluate import (
    ArmResult,
    Trained,
    compare_arms,
    train_and_evaluate,
    trained_from_json,
    trained_to_json,
    training_rows,
    training_seeds,
)
from icda._features import measured_unknown_tokens
from icda._guards import Guard, refuse_stops, unknown_tokens
from icda._recipe_classifier import MadeClassifier, make_classifier
from icda._review import ReviewChanges, ReviewRow, read_review, review_changes
from icda._run_data import RunData
from icda._run_inputs import DECISIVE_PACKAGES, PACKAGES, SUMMARY_NAME, files_json, read_stage, rows_sha256
from icda._run_select import SelectRun
from icda._summary_json import estimate_from_json, estimate_to_json, guards_from_json, guards_to_json
from icda._train_settings import TrainDraw, TrainJob, TrainSettings
from twllm_runs import (
    ItemFile,
    JsonlAppender,
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
from twllm_types import ConfigError, DataError, Estimate, IntentExample, JsonObject, JsonValue

TRAIN_COMMAND = "icda train"
RESULTS_NAME = "results.jsonl"
TRAINING_NAME = "training.jsonl"
SEEDS_ONLY = "seeds-only"
SELECTED = "selected"
REVIEWED = "reviewed"
_FILES = (RESULTS_NAME, TRAINING_NAME)
_ESTIMATES = ("accuracy", "macro_f1", "oos_auroc", "num_kept", "difference", "difference_of_draws")

ArmRows: TypeAlias = Mapping[str, tuple[IntentExample, ...]]
_Key: TypeAlias = tuple[str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRun:
    """What the stage gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        trained: every arm by every draw and seed; `reviewed` in the first draw alone.
        arms: summed up, `seeds-only` first.
        labels: of the test rows, in their order.
        changes: what people changed in the sheet; None where none was given.
        guards: what is wrong with the final classifier.
    """

    folder: Path
    state: RunState
    trained: tuple[Trained, ...]
    arms: tuple[ArmResult, ...]
    labels: tuple[str, ...]
    changes: ReviewChanges | None
    guards: tuple[Guard, ...] = ()

    @property
    def winners(self) -> tuple[str, ...]:
        """Arms whose accuracy is above that of the seeds alone by more than its intervals: by test rows, and by draws.

        Where there are no draws to compare, the interval by test rows decides.
        """
        return tuple(arm.arm for arm in self.arms if _is_above(arm))

    @property
    def verdict(self) -> str:
        """One sentence: what beats the seeds alone, and whether the chosen selection does."""
        if not self.winners:
            return "nothing beats the seeds alone: no arm's accuracy is above theirs by more than its interval"
        chosen = REVIEWED if any(arm.arm == REVIEWED for arm in self.arms) else SELECTED
        others = ", ".join(self.winners)
        if chosen in self.winners:
            return f"the selection beats the seeds alone; so do, itself among them: {others}"
        return f"the selection does not beat the seeds alone; what does: {others}"


def run_train(
    data: RunData,
    selection: SelectRun,
    job: TrainJob,
    *,
    output: Path,
    progress: Progress,
    review: Path | None = None,
    cache: Path | None = None,
    more_draws: Sequence[TrainDraw] = (),
    made: MadeClassifier | None = None,
) -> TrainRun:
    """Train and measure every arm, go on with a killed run, or read a finished one.

    Args:
        data: seeds and test rows.
        selection: a finished selection.
        job: how.
        output: folder of the run.
        progress: where to report.
        review: the sheet that people edited; None trains on the selection as it is.
        cache: folder of kept embeddings; None keeps them in the run's own.
        more_draws: beside `data` and `selection`, which are the first.
        made: the job's classifier where it has been made already; None makes it.

    Raises:
        DataError: there are no test rows, a guard stops, or the sheet cannot be meant.
        ConfigError: a setting cannot be used, there are other draws than the settings ask for, or the folder holds
            something else.
        ArtifactError: the folder holds another run, or was changed.
        LockedError: another process works on it.
    """
    draws = (TrainDraw(data=data, selection=selection), *more_draws)
    _check_draws(draws, job)
    written = selection.review_rows
    edited = None if review is None else read_review(review, written=written, intents=data.intents)
    changes = None if edited is None else review_changes(written, edited)
    made = made or make_classifier(
        job.train.classifier or job.classifier, cache=output / "work" / "embeddings" if cache is None else cache
    )
    with open_run(
        output,
        command=TRAIN_COMMAND,
        parameters=train_parameters(data, selection, job, made, edited, more_draws=more_draws),
        settings={"files": files_json(data.inputs)},
        packages=PACKAGES,
        decisive_packages=DECISIVE_PACKAGES,
    ) as run:
        if run.state is RunState.FINISHED:
            return read_trained(output)
        guards = _readable(draws, job, made)
        arms = [_arms(one.selection, job.train, None if place else edited) for place, one in enumerate(draws)]
        return _Training(run, draws, arms, job, made).carry_out(progress, changes, guards)


def train_parameters(
    data: RunData,
    selection: SelectRun,
    job: TrainJob,
    made: MadeClassifier,
    edited: Sequence[ReviewRow] | None,
    *,
    more_draws: Sequence[TrainDraw] = (),
) -> JsonObject:
    """What decides the results."""
    settings = recipe_to_json(replace(job.train, classifier=None))
    kept = None if edited is None else rows_sha256(_kept_rows(selection, edited))
    return {
        "classifier": made.decides,
        "train": {name: value for name, value in settings.items() if name != "classifier"},
        "mass": job.mass,
        "guards": recipe_to_json(job.guards),
        "allow_guards": [guard.value for guard in job.allow_guards],
        "seeds_sha256": rows_sha256(data.seeds),
        "test_sha256": rows_sha256((*data.test, *data.out_of_scope)),
        "selection_sha256": hash_file(selection.folder / SUMMARY_NAME),
        "review_sha256": kept,
        "more_draws": [
            {
                "seeds_sha256": rows_sha256(one.data.seeds),
                "selection_sha256": hash_file(one.selection.folder / SUMMARY_NAME),
            }
            for one in more_draws
        ],
    }


def read_trained(folder: Path) -> TrainRun:
    """Read a finished run of this stage.

    Raises:
        ArtifactError: the folder holds none, or was changed.
    """
    summary = read_stage(folder, TRAIN_COMMAND).summary or {}
    for name, sha256 in cast("dict[str, str]", summary["sha256"]).items():
        check_sha256(folder / name, sha256)
    changes = cast("dict[str, int] | None", summary["review"])
    return TrainRun(
        folder=folder,
        state=RunState.FINISHED,
        trained=tuple(_read_results(folder / RESULTS_NAME)),
        arms=tuple(_arm_from_json(row) for row in cast("list[JsonObject]", summary["arms"])),
        labels=tuple(cast("list[str]", summary["labels"])),
        changes=None if changes is None else ReviewChanges(**changes),
        guards=guards_from_json(summary["guards"]),
    )


def read_training_rows(folder: Path) -> tuple[IntentExample, ...]:
    """Read the rows that the chosen selection trains on: seeds first.

    Raises:
        ArtifactError: the folder holds no finished run, or was changed.
    """
    read_trained(folder)
    return tuple(
        IntentExample(
            text=str(row["text"]),
            intent=str(row["intent"]),
            id=None if row["id"] is None else str(row["id"]),
            source=str(row["source"]),
        )
        for row in read_jsonl(folder / TRAINING_NAME)
    )


def _arms(selection: SelectRun, settings: TrainSettings, edited: Sequence[ReviewRow] | None) -> ArmRows:
    """Synthetic rows of every arm."""
    arms: dict[str, tuple[IntentExample, ...]] = {SEEDS_ONLY: (), SELECTED: selection.selected}
    if edited is not None:
        arms[REVIEWED] = _kept_rows(selection, edited)
    return {**arms, **{kind.value: selection.baseline(kind) for kind in settings.kinds}}


def _kept_rows(selection: SelectRun, edited: Sequence[ReviewRow]) -> tuple[IntentExample, ...]:
    sources = {one.candidate.id: one.candidate.source for one in selection.decisions}
    return tuple(
        IntentExample(text=row.text, intent=row.intent, id=row.id, source=sources[row.id])
        for row in edited
        if row.verdict == "keep"
    )


class _Training:
    """One run of the stage."""

    def __init__(
        self, run: Run, draws: Sequence[TrainDraw], arms: Sequence[ArmRows], job: TrainJob, made: MadeClassifier
    ) -> None:
        self._run = run
        self._draws = draws
        self._arms = arms
        self._job = job
        self._made = made
        self._data = draws[0].data
        self._test = (*self._data.test, *self._data.out_of_scope)

    def carry_out(self, progress: Progress, changes: ReviewChanges | None, guards: tuple[Guard, ...]) -> TrainRun:
        """Train what is missing, then sum up."""
        path = self._run.folder / RESULTS_NAME
        seeds = training_seeds(self._made.family, self._job.train.seeds)
        plan = [
            (arm, draw, seed)
            for arm in self._arms[0]
            for draw, arms in enumerate(self._arms)
            if arm in arms
            for seed in seeds
        ]
        file: ItemFile[_Key] = ItemFile(path, _key_of)
        task = progress.task("training", len(plan), "classifiers")
        # Opening repairs a last line that a kill left torn, so it comes before reading.
        with JsonlAppender(path) as appender:
            done = file.read()
            task.set(len(done))
            rows = {key: self._rows_key(key) for key in plan}
            alike = {rows[key]: trained_from_json(row, where=str(path)) for key, row in done.items() if key in rows}
            for key in plan:
                if key in done:
                    continue
                # the same rows by the same seed are the same classifier, whatever rule they come from
                known = alike.get(rows[key])
                trained = self._train(*key) if known is None else replace(known, arm=key[0], draw=key[1])
                alike[rows[key]] = trained
                appender.append(trained_to_json(trained))
                task.advance()
        file.put_in_order(plan)
        return self._finish(tuple(_read_results(path)), changes, guards)

    def _rows_key(self, key: _Key) -> tuple[str, str, int]:
        arm, draw, seed = key
        return rows_sha256(self._draws[draw].data.seeds), rows_sha256(self._arms[draw][arm]), seed

    def _train(self, arm: str, draw: int, seed: int) -> Trained:
        rows = training_rows(self._draws[draw].data.seeds, self._arms[draw][arm], mass=self._job.mass)
        return train_and_evaluate(self._made.family, rows, self._test, arm=arm, draw=draw, seed=seed)

    def _finish(
        self, trained: tuple[Trained, ...], changes: ReviewChanges | None, guards: tuple[Guard, ...]
    ) -> TrainRun:
        folder = self._run.folder
        chosen = self._arms[0][REVIEWED if REVIEWED in self._arms[0] else SELECTED]
        write_jsonl(folder / TRAINING_NAME, (_row_to_json(row) for row in (*self._data.seeds, *chosen)))
        result = TrainRun(
            folder=folder,
            state=self._run.state,
            trained=trained,
            arms=compare_arms(trained, self._test, baseline=SEEDS_ONLY, level=self._job.train.level),
            labels=tuple(row.intent for row in self._data.test if row.intent is not None),
            changes=changes,
            guards=guards,
        )
        summary: JsonObject = {
            "verdict": result.verdict,
            "arms": [_arm_to_json(arm) for arm in result.arms],
            "labels": list(result.labels),
            "guards": guards_to_json(guards),
            "review": None if changes is None else cast("JsonValue", asdict(changes)),
            "sha256": {name: hash_file(folder / name) for name in _FILES},
        }
        self._run.finish(summary)
        return result


def _check_draws(draws: Sequence[TrainDraw], job: TrainJob) -> None:
    for one in draws:
        refuse_stops(one.selection.guards, allowed=job.allow_guards)
    if not draws[0].data.test:
        raise DataError("there are no test rows to measure on; set data.test")
    if len(draws) != job.train.draws:
        raise ConfigError(
            f"train.draws is {job.train.draws}, and there is a selection for {len(draws)}; icda run makes those of "
            "every draw, or set train.draws: 1"
        )


def _readable(draws: Sequence[TrainDraw], job: TrainJob, made: MadeClassifier) -> tuple[Guard, ...]:
    """What is wrong with what the final classifier reads; it need not be the one that judged."""
    texts = [row.text for row in draws[0].data.seeds]
    texts += [one.candidate.text for one in draws[0].selection.decisions]
    tokens = measured_unknown_tokens(made.family, texts)
    guard = None if tokens is None else unknown_tokens(tokens.num_unknown, tokens.num_tokens, job.guards)
    guards = () if guard is None else (guard,)
    refuse_stops(guards, allowed=job.allow_guards)
    return guards


def _is_above(arm: ArmResult) -> bool:
    if arm.difference is None or arm.difference.ci_low is None:
        return False
    low = None if arm.difference_of_draws is None else arm.difference_of_draws.ci_low
    return arm.difference.ci_low > 0 and (low is None or low > 0)


def _key_of(row: JsonObject) -> _Key:
    return str(row["arm"]), int(cast("int", row["draw"])), int(cast("int", row["seed"]))


def _read_results(path: Path) -> list[Trained]:
    return [trained_from_json(row, where=f"{path}:{number}") for number, row in enumerate(read_jsonl(path), start=1)]


def _row_to_json(row: IntentExample) -> JsonObject:
    return {"id": row.id, "text": row.text, "intent": row.intent, "source": row.source}


def _arm_to_json(arm: ArmResult) -> JsonObject:
    values: dict[str, Estimate | None] = {name: getattr(arm, name) for name in _ESTIMATES}
    return {"arm": arm.arm, **{name: None if one is None else estimate_to_json(one) for name, one in values.items()}}


def _arm_from_json(row: JsonObject) -> ArmResult:
    values = {
        name: None if row[name] is None else estimate_from_json(cast("JsonObject", row[name])) for name in _ESTIMATES
    }
    return ArmResult(arm=str(row["arm"]), **values)  # pyright: ignore[reportArgumentType] - written by _arm_to_json
