"""The stage that trains: Step-KTO, or a baseline on the same solutions.

The folder holds `run.json`, `model/` (an ordinary model with its tokenizer, and `step_kto.json`: what it was trained
on), `log.jsonl` (one row per log of the trainer, without timings) and `summary.json`; while it runs, checkpoints and
the reference's log-probabilities under `work/`. Killed at any moment, the same command goes on at the last whole
checkpoint; SIGTERM saves one at the end of the update.
"""

# pyright: standard
# transformers' trainer, models and tokenizers are not strictly typed

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from step_kto._data import load_solutions
from step_kto._model_folder import TRAINING_NAME, identify_model, write_folder
from step_kto._stage_build import BUILD_COMMAND, TRAIN_NAME
from step_kto._train_runs import (
    CHECKPOINTS,
    Trained,
    TrainJob,
    balanced_settings,
    quiet,
    read_state,
    train_step_kto,
    train_with_trl,
    writes_checkpoints,
)
from step_kto._train_settings import TrainSettings
from twllm_runs import (
    Progress,
    Run,
    RunState,
    describe_inputs,
    open_atomic,
    open_run,
    read_run,
    recipe_to_json,
    write_json_atomic,
)
from twllm_types import ConfigError, DataError, JsonObject, JsonValue

TRAIN_COMMAND = "step-kto train"
MODEL_NAME = "model"
LOG_NAME = "log.jsonl"
_DECISIVE = ("step-kto", "torch", "transformers")
_PACKAGES = ("accelerate", "peft", "tokenizers", "trl")
# What the clock says belongs into no artifact that is compared, nor does the closing row, which is of one start only.
_TIMINGS = ("runtime", "per_second", "total_flos")
_SESSION_ROW = frozenset({"train_loss", "train_runtime"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRun:
    """What the stage gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        model: folder of the trained model; not there while `stopped`.
        summary: as in `summary.json`; empty while `stopped`.
        stopped: SIGTERM ended it early; its last update is saved, and the same command goes on.
    """

    folder: Path
    state: RunState
    model: Path
    summary: JsonObject
    stopped: bool = False


def run_train(
    data: Path,
    model: str,
    settings: TrainSettings,
    *,
    output: Path,
    progress: Progress,
    reference: str | None = None,
) -> TrainRun:
    """Train, go on with a killed run, or read a finished one.

    Args:
        data: folder of a finished `step-kto build`, or a file of stepwise solutions.
        model: folder or hub id of the policy.
        settings: how.
        output: folder of the run.
        progress: where to report.
        reference: folder or hub id of the reference; None for the policy as it is before training.

    Raises:
        ConfigError: model, data and settings do not go together.
        DataError: a row is refused, or training ended in NaN or infinite weights.
        ArtifactError: `output` holds another run.
        RunError: another process works on it, or the system refuses a write.
        MissingDependencyError: a baseline is asked for without TRL.
    """
    if reference is not None and settings.kind != "step-kto":
        raise ConfigError(f"a reference is given for {settings.kind!r}, whose reference is the policy; leave it out")
    path, step_judge = _training_file(data)
    with open_run(
        output,
        command=TRAIN_COMMAND,
        parameters={"train": recipe_to_json(settings), "step_judge": step_judge},
        inputs=describe_inputs([(TRAIN_NAME, path)]),
        models=[identify_model(name) for name in (model, reference) if name is not None],
        seed=settings.seed,
        packages=_PACKAGES,
        decisive_packages=(*_DECISIVE, *(["trl"] if settings.kind != "step-kto" else [])),
    ) as run:
        if run.state is RunState.FINISHED:
            return TrainRun(folder=output, state=run.state, model=output / MODEL_NAME, summary=run.result)
        job = TrainJob(
            file=path,
            solutions=load_solutions(path),
            settings=settings,
            model=model,
            reference=reference,
            step_judge=step_judge,
        )
        return _carry_out(run, job, progress)


def read_log(folder: Path) -> list[dict[str, float]]:
    """Rows of the log of a finished run, oldest first."""
    lines = (folder / LOG_NAME).read_text(encoding="utf-8").splitlines()
    return [cast("dict[str, float]", json.loads(line)) for line in lines]


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint that was written to its end; None where there is none.

    transformers writes the trainer's state last, so one without a readable state was cut short by a kill.
    """
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    return next((path for path in found if _is_whole(path)), None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        state = read_state(checkpoint)
    except (OSError, ValueError):
        return False
    return "global_step" in state


def _training_file(data: Path) -> tuple[Path, JsonValue]:
    """The file and who judged its steps, where that is known."""
    if not data.is_dir():
        return data, None
    stored = read_run(data)
    if stored.manifest.command != BUILD_COMMAND or stored.summary is None:
        raise ConfigError(f"{data}: holds no finished run of {BUILD_COMMAND}; give such a folder, or a JSONL file")
    return data / TRAIN_NAME, stored.summary["step_judge"]


def _carry_out(run: Run, job: TrainJob, progress: Progress) -> TrainRun:
    work = run.work_folder
    settings = balanced_settings(job.settings, job.solutions)
    checkpoint = last_whole_checkpoint(work / CHECKPOINTS)
    train = train_step_kto if settings.kind == "step-kto" else train_with_trl
    with quiet(), writes_checkpoints(work):
        trained = train(job, settings, work, checkpoint, progress)
    if trained.stopped:
        return TrainRun(folder=run.folder, state=run.state, model=run.folder / MODEL_NAME, summary={}, stopped=True)
    _check_weights(trained)
    log = [_without_timings(row) for row in trained.log if not _SESSION_ROW & row.keys()]
    with open_atomic(run.folder / LOG_NAME, "w") as file:
        file.writelines(json.dumps(row, sort_keys=True) + "\n" for row in log)
    with writes_checkpoints(work):
        write_folder(run.folder / MODEL_NAME, lambda folder: _save(folder, trained, job), work=work)
    identity = identify_model(str(run.folder / MODEL_NAME))
    summary: JsonObject = {
        "kind": settings.kind,
        "num_rows": trained.num_rows,
        "num_unused": trained.num_unused,
        "num_updates": trained.num_updates,
        "weights": recipe_to_json(settings.weights()),
        "model_sha256": dict(identity.sha256),
        "last_log": cast("JsonValue", dict(sorted(log[-1].items())) if log else {}),
        "step_judge": job.step_judge,
    }
    run.finish(summary)
    # Checkpoints are many times as large as the model and of no use once it stands.
    shutil.rmtree(work, ignore_errors=True)
    return TrainRun(folder=run.folder, state=run.state, model=run.folder / MODEL_NAME, summary=summary)


def _save(folder: Path, trained: Trained, job: TrainJob) -> None:
    with quiet():
        trained.model.save_pretrained(folder)
        trained.tokenizer.save_pretrained(folder)
    write_json_atomic(folder / TRAINING_NAME, {"kind": job.settings.kind, "step_judge": job.step_judge})


def _check_weights(trained: Trained) -> None:
    """Refuse a model that the last update broke; broken ones before it stop the training itself."""
    for name, tensor in trained.model.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise DataError(
                f"{name} is not finite (NaN or infinite) behind update {trained.num_updates}; no model is written: "
                "lower the learning rate, and give another --output"
            )


def _without_timings(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not any(part in name for part in _TIMINGS)}
