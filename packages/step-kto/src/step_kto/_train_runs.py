"""How the training stage makes a model: with our trainer, or with TRL."""

# pyright: standard
# transformers' trainer, models and tokenizers are not strictly typed

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from step_kto._labels import LabelCounts, count_labels, suggest_weights
from step_kto._train_settings import TrainSettings
from twllm_runs import Progress, ProgressTask, recipe_to_json
from twllm_types import DataError, JsonValue, RunError, StepwiseSolution

CHECKPOINTS = "checkpoints"
STATE_NAME = "trainer_state.json"
# How torch's writer of archives and that of safetensors say that the system took no more bytes.
_WRITE_FAILED = ("inline_container", "PytorchStreamWriter", "Error while serializing: I/O error")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """What is trained, and on what.

    Attributes:
        file: of stepwise solutions.
        solutions: its rows.
        settings: how.
        model: folder or hub id of the policy.
        reference: of the reference; None for the policy as it is before training.
        step_judge: who judged the steps, where that is known.
    """

    file: Path
    solutions: tuple[StepwiseSolution, ...]
    settings: TrainSettings
    model: str
    reference: str | None
    step_judge: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a training gave; `stopped` where SIGTERM ended it, its last update saved."""

    model: Any
    tokenizer: Any
    log: list[dict[str, Any]]
    num_updates: int
    num_rows: int
    num_unused: int
    stopped: bool


def read_state(checkpoint: Path) -> Any:
    """The trainer's state in a checkpoint; raises OSError or ValueError where it is not whole."""
    return json.loads((checkpoint / STATE_NAME).read_text(encoding="utf-8"))


def train_step_kto(
    job: TrainJob, settings: TrainSettings, work: Path, checkpoint: Path | None, progress: Progress
) -> Trained:
    """Train by `StepKTOTrainer`, from a checkpoint where there is one."""
    from transformers import PrinterCallback

    from step_kto._policy import load_model, load_named_tokenizer
    from step_kto._trainer import StepKTOTrainer

    args, tokenizer = _config(settings, work), load_named_tokenizer(job.model)
    trainer = StepKTOTrainer(
        job.model,
        None if job.reference is None else load_model(job.reference, args),
        args=args,
        train_dataset=job.file,
        processing_class=tokenizer,
        peft_config=_peft(settings),
        callbacks=[_report_to(progress)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    num_rows = len(cast("Sequence[object]", trainer.train_dataset))
    model: Any = trainer.model
    return Trained(
        model=model.merge_and_unload() if settings.lora_rank is not None and not trainer.stopped_by_signal else model,
        tokenizer=tokenizer,
        log=trainer.state.log_history,
        num_updates=trainer.state.global_step,
        num_rows=num_rows,
        num_unused=len(job.solutions) - num_rows,
        stopped=trainer.stopped_by_signal,
    )


def train_with_trl(
    job: TrainJob, settings: TrainSettings, work: Path, checkpoint: Path | None, progress: Progress
) -> Trained:
    """Train a baseline by TRL, from a checkpoint where there is one."""
    from step_kto._baselines import train_baseline
    from step_kto._policy import load_model, load_named_tokenizer

    args, tokenizer = _config(settings, work), load_named_tokenizer(job.model)
    # TRL prints; results have stdout to themselves.
    with redirect_stdout(sys.stderr):
        found = train_baseline(
            cast("Any", settings.kind),
            load_model(job.model, args),
            solutions=job.file,
            tokenizer=tokenizer,
            args=args,
            resume_from_checkpoint=None if checkpoint is None else str(checkpoint),
            callbacks=[_report_to(progress)],
        )
    state = found.trainer.state
    return Trained(
        model=found.trainer.model,
        tokenizer=tokenizer,
        log=state.log_history,
        num_updates=state.global_step,
        num_rows=found.num_rows,
        num_unused=found.num_unused,
        stopped=found.stopped_by_signal,
    )


def _config(settings: TrainSettings, work: Path) -> Any:
    import torch

    from step_kto._config import StepKTOConfig

    return StepKTOConfig(
        output_dir=str(work / CHECKPOINTS),
        ref_cache_dir=str(work / "reference-logps"),
        use_cpu=not torch.cuda.is_available(),
        report_to=[],
        disable_tqdm=True,
        learning_rate=settings.learning_rate,
        num_train_epochs=settings.num_epochs,
        max_steps=-1 if settings.max_steps is None else settings.max_steps,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        lr_scheduler_type=settings.lr_scheduler,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        outcome_z0=settings.outcome_z0,
        step_z0=settings.step_z0,
        after_first_error=settings.after_first_error,
        prompt_format=settings.prompt_format,
        system_prompt=settings.system_prompt,
        max_length=settings.max_length,
        too_long=settings.too_long,
        num_pairings=settings.num_pairings,
        bf16=settings.precision == "bf16",
        gradient_checkpointing=settings.gradient_checkpointing,
        seed=settings.seed,
        save_strategy="steps",
        save_steps=settings.save_steps,
        save_total_limit=2,
        logging_steps=settings.logging_steps,
        **recipe_to_json(settings.weights()),  # pyright: ignore[reportArgumentType] - names and types are those of the config
    )


def balanced_settings(settings: TrainSettings, solutions: Sequence[StepwiseSolution]) -> TrainSettings:
    """The settings with the weights that the labels suggest, where that is asked for."""
    if not settings.balance_weights:
        return settings
    counts = count_labels(solutions, after_first_error=settings.after_first_error)
    outcome, step = _suggest(counts.outcomes), _suggest(counts.steps)
    return replace(
        settings,
        desirable_weight=outcome[0],
        undesirable_weight=outcome[1],
        step_desirable_weight=step[0],
        step_undesirable_weight=step[1],
    )


def _suggest(counts: LabelCounts) -> tuple[float, float]:
    try:
        weights = suggest_weights(counts)
    except DataError:
        # A level with one class or no label is refused by the trainer where it has weight; here it has none to balance.
        return 1.0, 1.0
    return weights.desirable, weights.undesirable


def _peft(settings: TrainSettings) -> Any:
    if settings.lora_rank is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=settings.lora_rank, lora_alpha=settings.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )


@contextmanager
def writes_checkpoints(work: Path) -> Iterator[None]:
    """Say what a full disk means: torch and safetensors report one as errors of their own."""
    from safetensors import SafetensorError

    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        text = str(error)
        if not any(sign in text for sign in _WRITE_FAILED):
            raise
        raise RunError(
            f"{work}: a checkpoint cannot be written ({text.splitlines()[0]}); free space (or raise the limit of file "
            "sizes), then run the same command again"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Show no bars of transformers' own; the caller's progress is shown by the caller."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _report_to(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class ReportProgress(TrainerCallback):
        """Shows updates in the progress of the command."""

        _task: ProgressTask | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """Begin at what an earlier start did."""
            del args, control, kwargs
            self._task = progress.task("training", state.max_steps, "updates")
            self._task.set(state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """Count an update."""
            del args, state, control, kwargs
            if self._task is not None:
                self._task.advance()

    return ReportProgress()
