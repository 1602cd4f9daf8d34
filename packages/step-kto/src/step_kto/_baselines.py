"""Baselines on the same samples and updates: KTO, DPO and RFT (supervised training on right samples) through TRL.

TRL is the extra [baselines]; it is imported when a baseline is trained.
"""

# pyright: standard
# TRL is not strictly typed

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from itertools import cycle, islice, zip_longest
from math import isfinite
from random import Random
from typing import Any, Literal, TypeAlias, get_args

from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from step_kto._config import StepKTOConfig
from step_kto._policy import max_positions
from step_kto._prepare import solutions_that_fit
from step_kto._rows import RowSource
from step_kto._stop import EndsAtMaxSteps, StopOnSignal
from twllm_types import ConfigError, DataError, MissingDependencyError, StepwiseSolution

Baseline: TypeAlias = Literal["kto", "dpo", "rft"]
BaselineRow: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRows:
    """Rows in the form of TRL.

    Attributes:
        rows: "prompt" and "completion" (with "label" for KTO), or "prompt", "chosen" and "rejected".
        num_unused: samples that stand in no row: no known outcome, a wrong one for RFT, no opposite for DPO.
    """

    rows: tuple[BaselineRow, ...]
    num_unused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRun:
    """A baseline that was trained.

    Attributes:
        trainer: of TRL; its `model` is the result and its `state` holds the log.
        num_rows: rows that it trained on.
        num_unused: see `BaselineRows`.
        stopped_by_signal: SIGTERM ended it early, its last step is saved.
    """

    trainer: Any
    num_rows: int
    num_unused: int
    stopped_by_signal: bool


def baseline_rows(kind: Baseline, solutions: Sequence[StepwiseSolution], *, seed: int) -> BaselineRows:
    """Turn samples into rows of a baseline.

    KTO takes every sample with a known outcome, prompts in turn: TRL pairs each prompt with the answer of the row
    before, the first row of a batch with its last, which must be answers to other prompts (step_kto.md, 3.5); that
    holds while at least as many prompts as a batch has rows have samples left. DPO pairs right and wrong samples of a
    prompt so that each stands in at least one pair: max(right, wrong) pairs. RFT takes each distinct right sample once
    (arXiv 2308.01825).

    Args:
        kind: "kto", "dpo" or "rft".
        solutions: samples, several for each prompt.
        seed: of the order.

    Raises:
        DataError: no row is left.
        ConfigError: the kind has another name.
    """
    if kind not in get_args(Baseline):
        raise ConfigError(f"baseline {kind!r} is unknown; give 'kto', 'dpo' or 'rft'")
    by_prompt: dict[str, list[StepwiseSolution]] = {}
    for solution in solutions:
        if solution.outcome is not None:
            by_prompt.setdefault(solution.prompt, []).append(solution)
    # a draw of samples, not a secret
    rng = Random(f"{kind}:{seed}")  # noqa: S311
    prompts = rng.sample(list(by_prompt), len(by_prompt))
    make = {"kto": _kto_rows, "dpo": _dpo_rows, "rft": _rft_rows}[kind]
    made = [make(by_prompt[prompt]) for prompt in prompts]
    rows = [row for turn in zip_longest(*(rows for rows, _ in made)) for row in turn if row is not None]
    if not rows:
        raise DataError(f"no row is left for {kind}: it needs {_NEEDS[kind]}")
    return BaselineRows(rows=tuple(rows), num_unused=len(solutions) - sum(used for _, used in made))


def train_baseline(
    kind: Baseline,
    model: Any,
    *,
    solutions: RowSource,
    tokenizer: Any,
    args: StepKTOConfig,
    resume_from_checkpoint: str | bool | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> BaselineRun:
    """Train a baseline with TRL on the samples that Step-KTO trains on.

    Everything that StepKTOConfig inherits (updates, batches, learning rate, seed, precision) is taken over as it is,
    beta and, for KTO, the weights of the outcome term too. The reference is the model as it is now. Nothing is cut:
    what is longer than `max_length` or than the model takes is an error or dropped, as `too_long` says.

    Args:
        kind: "kto", "dpo" or "rft".
        model: of transformers; trained in place.
        solutions: samples, or a JSONL file of them; see `StepKTOTrainer`.
        tokenizer: a fast one of transformers.
        args: settings.
        resume_from_checkpoint: as for transformers' Trainer; no update follows the last one.
        callbacks: of transformers.

    Raises:
        DataError: a row is refused or too long, no row is left, or loss or gradient are NaN or infinite.
        ConfigError: the kind has another name, or the settings ask for what TRL cannot do.
        MissingDependencyError: TRL is not installed.
    """
    if args.prompt_format != "text":
        raise ConfigError("baselines take prompts as they stand; apply the chat template before and set 'text'")
    fitting, num_dropped = solutions_that_fit(
        solutions, tokenizer=tokenizer, config=args, name="train", model_max_tokens=max_positions(model)
    )
    made = baseline_rows(kind, fitting, seed=args.seed)
    rows = _without_lone_row(made.rows, args.per_device_train_batch_size) if kind == "kto" else made.rows
    stop = StopOnSignal()
    trainer = _make_trainer(kind, model, rows, tokenizer, args, [*callbacks, _StopAtNonFinite(), stop])
    try:
        trainer.train(resume_from_checkpoint=resume_from_checkpoint)
    finally:
        stop.restore()
    return BaselineRun(
        trainer=trainer,
        num_rows=len(rows),
        num_unused=num_dropped + made.num_unused + len(made.rows) - len(rows),
        stopped_by_signal=stop.stopped,
    )


def _without_lone_row(rows: tuple[BaselineRow, ...], batch_size: int) -> tuple[BaselineRow, ...]:
    """TRL's KTO pairs within a batch: a remainder of one row would be paired with itself."""
    if batch_size < _LEAST_KTO_BATCH:
        raise ConfigError("TRL's KTO needs per_device_train_batch_size >= 2")
    return rows[: len(rows) - (len(rows) % batch_size == 1)]


class _StopAtNonFinite(TrainerCallback):
    """Stops where TRL would train on with NaN; the log comes before the checkpoint of its update."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Look at loss and gradient."""
        del args, control, kwargs
        broken = [name for name in ("loss", "grad_norm") if not isfinite((logs or {}).get(name, 0.0))]
        if broken:
            raise DataError(
                f"update {state.global_step}: {' and '.join(broken)} not finite (NaN or infinite); lower the learning "
                "rate, or check the model's weights and precision"
            )


def _make_trainer(
    kind: Baseline,
    model: Any,
    rows: Sequence[BaselineRow],
    tokenizer: Any,
    args: StepKTOConfig,
    callbacks: list[TrainerCallback],
) -> Any:
    from datasets import Dataset

    try:
        # Through the module: its classes load lazily, which type checkers take for private.
        trl: Any = import_module("trl")
    except ImportError as error:
        raise MissingDependencyError("TRL is not installed; install step-kto[baselines]") from error
    settings: dict[str, Any] = {**_shared_settings(args), "max_length": None}
    if kind == "rft":
        config, trainer_class = trl.SFTConfig(**settings, completion_only_loss=True), trl.SFTTrainer
    elif kind == "dpo":
        settings |= {"beta": args.beta, "precompute_ref_log_probs": True, "disable_dropout": args.disable_dropout}
        config, trainer_class = trl.DPOConfig(**settings), trl.DPOTrainer
    else:
        settings |= {
            "beta": args.beta,
            "desirable_weight": args.desirable_weight,
            "undesirable_weight": args.undesirable_weight,
            "precompute_ref_log_probs": True,
            "disable_dropout": args.disable_dropout,
            "train_sampling_strategy": "sequential",
        }
        config, trainer_class = trl.KTOConfig(**settings), trl.KTOTrainer
    resumable = type(trainer_class.__name__, (EndsAtMaxSteps, trainer_class), {})
    trainer: Any = resumable(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(list(rows)),
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _shared_settings(args: StepKTOConfig) -> Mapping[str, Any]:
    """What transformers' TrainingArguments holds, under its names."""
    own = {name: getattr(args, name) for name in (field.name for field in fields(TrainingArguments) if field.init)}
    # TRL removes columns itself; a loss of NaN shall show
    return {**own, "remove_unused_columns": True, "logging_nan_inf_filter": False}


def _text(solution: StepwiseSolution) -> str:
    return "".join(solution.steps)


def _kto_rows(samples: Sequence[StepwiseSolution]) -> tuple[list[BaselineRow], int]:
    rows = [{"prompt": s.prompt, "completion": _text(s), "label": s.outcome} for s in samples]
    return rows, len(rows)


def _rft_rows(samples: Sequence[StepwiseSolution]) -> tuple[list[BaselineRow], int]:
    right = list(dict.fromkeys(_text(sample) for sample in samples if sample.outcome))
    return [{"prompt": samples[0].prompt, "completion": text} for text in right], len(right)


def _dpo_rows(samples: Sequence[StepwiseSolution]) -> tuple[list[BaselineRow], int]:
    right = [_text(sample) for sample in samples if sample.outcome]
    wrong = [_text(sample) for sample in samples if not sample.outcome]
    if not right or not wrong:
        return [], 0
    longest = max(len(right), len(wrong))
    pairs = zip(islice(cycle(right), longest), islice(cycle(wrong), longest), strict=True)
    rows = [{"prompt": samples[0].prompt, "chosen": good, "rejected": bad} for good, bad in pairs]
    return rows, len(samples)


_LEAST_KTO_BATCH = 2
_NEEDS = {
    "kto": "samples with a known outcome",
    "dpo": "a prompt with a right and a wrong sample",
    "rft": "samples whose outcome is right",
}
