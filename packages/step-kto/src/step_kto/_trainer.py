"""The trainer: a subclass of transformers' Trainer with the loss of Step-KTO.

Counts and reference points are those of the whole optimizer step: before its first gradient, the mismatched pairs of
all its micro-batches are scored without gradient and added up over the processes. So it makes no difference how a step
is cut into micro-batches and processes, and a batch of one row works like any other.
"""

# pyright: standard
# transformers' Trainer is not strictly typed

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from step_kto._checkpoint import CheckpointIdentity, RememberIdentity, check_identity
from step_kto._collator import StepKTOCollator
from step_kto._config import StepKTOConfig
from step_kto._forward import scoring_mode
from step_kto._loss import StepKTOLoss, loss_counts, nonfinite_rows, step_kto_loss
from step_kto._policy import check_machine, load_policy, load_tokenizer, max_positions, pad_id
from step_kto._prepare import PreparedSet, prepare_rows
from step_kto._reference_logps import view_sums
from step_kto._reference_policy import ReferencePolicy
from step_kto._rows import RowSource
from step_kto._sampler import EpochSampler
from step_kto._step_totals import Mismatched, StepTotals, totals_of, totals_vector, wants_stop
from step_kto._stop import EndsAtMaxSteps, StopOnSignal
from step_kto._training_log import TrainingLog
from twllm_types import ConfigError, DataError


class StepKTOTrainer(EndsAtMaxSteps, Trainer):
    """Trains a causal language model on stepwise binary feedback.

    Args:
        model: a model of transformers, a PEFT model, a model id, or a folder.
        ref_model: the reference; None takes the model as it is now, or with adapters the model with its adapters off.
        args: settings.
        train_dataset: a JSONL file, solutions, or mappings in the on-disk form (a datasets.Dataset too), or a prepared
            set; None for a trainer that only evaluates.
        eval_dataset: the same, or a dictionary of such sets.
        processing_class: a fast tokenizer; None loads the one that belongs to the model.
        peft_config: of PEFT; puts an adapter on the model.
        callbacks: of transformers.
        optimizers: optimizer and scheduler; None for those of the settings.

    Raises:
        ConfigError: model, settings and machine do not go together; the message names the setting.
        DataError: a row is refused; the message names it.
    """

    args: StepKTOConfig

    def __init__(
        self,
        model: Any,
        ref_model: nn.Module | None = None,
        args: StepKTOConfig | None = None,
        train_dataset: RowSource | PreparedSet | None = None,
        eval_dataset: RowSource | PreparedSet | dict[str, RowSource] | None = None,
        processing_class: Any = None,
        peft_config: Any = None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
    ) -> None:
        args = StepKTOConfig(output_dir="step-kto") if args is None else args
        if ref_model is model:
            raise ConfigError("model and ref_model are one object; leave ref_model out, the reference is kept apart")
        model = load_policy(model, args=args, peft_config=peft_config)
        tokenizer = load_tokenizer(model) if processing_class is None else processing_class
        self._limit = max_positions(model)
        self._stop = StopOnSignal()
        super().__init__(
            model=model,
            args=args,
            data_collator=StepKTOCollator(pad_id=pad_id(tokenizer), padding_free=args.padding_free),
            train_dataset=self._prepare(train_dataset, args, tokenizer, name="train", trains=True),
            eval_dataset=self._prepare(eval_dataset, args, tokenizer, name="eval"),
            processing_class=tokenizer,
            callbacks=[*(callbacks or []), self._stop],
            optimizers=optimizers,
        )
        check_machine(self)
        # The loss is divided by the counts of the whole optimizer step.
        self.loss_is_scaled_for_ga = True
        self._weights = args.weights()
        self._logs = {mode: TrainingLog(args.device) for mode in ("train", "eval")}
        self._eval_prefix = "eval"
        self._reference = ReferencePolicy(
            self._policy,
            ref_model,
            args=args,
            accelerator=self.accelerator,
            collator=cast("StepKTOCollator", self.data_collator),
        )
        self._attach_all()

    @property
    def stopped_by_signal(self) -> bool:
        """Whether the last `train` ended early because of SIGTERM; its last step is saved as a checkpoint."""
        return self._stop.stopped

    @property
    def _policy(self) -> nn.Module:
        """The model, never None once the trainer stands."""
        return cast("nn.Module", self.model)

    @property
    def _mode(self) -> str:
        return "train" if self._policy.training else "eval"

    # data

    def _prepare(self, source: Any, args: StepKTOConfig, tokenizer: Any, *, name: str, trains: bool = False) -> Any:
        if source is None or isinstance(source, PreparedSet):
            return source
        if isinstance(source, dict):
            return {part: self._prepare(rows, args, tokenizer, name=part) for part, rows in source.items()}
        return prepare_rows(
            source,
            tokenizer=tokenizer,
            config=args,
            name=name,
            model_max_tokens=self._limit,
            check_both_classes=trains,
        )

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler:
        rows: PreparedSet = self.train_dataset if train_dataset is None else train_dataset  # pyright: ignore[reportAssignmentType]
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        return EpochSampler(
            num_rows=len(rows),
            num_pairings=rows.num_pairings,
            multiple=self._rows_of_a_round(self.args.train_batch_size),
            seed=None if self.args.train_sampling_strategy == "sequential" else seed,
        )

    def _get_eval_sampler(self, eval_dataset: Any) -> EpochSampler:
        return EpochSampler(
            num_rows=len(eval_dataset),
            num_pairings=1,
            multiple=self._rows_of_a_round(self.args.eval_batch_size),
            seed=None,
        )

    def _rows_of_a_round(self, batch_size: int) -> int:
        """Rows of one micro-batch of every process; a single process takes a remainder as it is."""
        return batch_size * self.args.world_size if self.args.world_size > 1 else 1

    def _attach(self, rows: Any) -> Any:
        """The reference's sums for a set or a dictionary of sets."""
        if isinstance(rows, dict):
            return {name: self._attach(part) for name, part in rows.items()}
        return None if rows is None else self._reference.attach(rows)[0]

    def _attach_all(self) -> None:
        """The reference's sums for the sets of the constructor; checkpoints will say which these were."""
        self._identity: CheckpointIdentity | None = None
        if self.train_dataset is not None:
            rows, key = self._reference.attach(cast("PreparedSet", self.train_dataset))
            self.train_dataset = rows
            self._identity = CheckpointIdentity(data_hash=rows.content_hash, reference_key=key)
            self.add_callback(RememberIdentity(self._identity))
        self.eval_dataset = self._attach(self.eval_dataset)

    # loss

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """Collect the micro-batches of an optimizer step and what their losses need to know of each other."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not batches:
            return batches, None
        batches = [self._prepare_inputs(batch) for batch in batches]
        return batches, self._totals(cast("nn.Module", self.model_wrapped), batches, mode="train")

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Any,
        # transformers' signature
        return_outputs: bool = False,  # noqa: FBT001, FBT002
        num_items_in_batch: Any = None,
    ) -> Any:
        """Loss of a micro-batch; those of all micro-batches and processes add up to the loss of the step.

        Args:
            model: the wrapped policy.
            inputs: a collated batch on the device.
            return_outputs: also return the parts.
            num_items_in_batch: the `StepTotals` of the optimizer step; None takes this batch for a whole step.

        Raises:
            DataError: a log-probability is NaN or infinite; the message names the row.
        """
        totals: StepTotals = num_items_in_batch or self._totals(model, [inputs], mode=self._mode)
        view, labels = inputs["matched"], (inputs["step_labels_BH"], inputs["outcome_labels_B"])
        sums_BH = view_sums(model, view)
        result = step_kto_loss(
            sums_BH,
            self._reference.sums(model, view),
            step_labels_BH=labels[0],
            outcome_labels_B=labels[1],
            z0_outcome=totals.z0_outcome.clamped,
            z0_step=totals.z0_step.clamped,
            weights=self._weights,
            num_outcomes=totals.counts.num_outcomes,
            num_steps=totals.counts.num_steps,
        )
        if not result.loss.isfinite():
            self._refuse(inputs, nonfinite_rows(sums_BH, labels[0]))
        self._add_to_log(result, totals, inputs)
        # Wrappers average gradients over the processes, and each counts its share of the whole here.
        loss = result.loss * self.accelerator.num_processes
        return (loss, {"loss": loss}) if return_outputs else loss

    def prediction_step(
        self,
        model: nn.Module,
        inputs: Any,
        # transformers' signature
        prediction_loss_only: bool,  # noqa: FBT001
        ignore_keys: list[str] | None = None,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Loss of an evaluation batch; there are no predictions."""
        del prediction_loss_only, ignore_keys
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    def _totals(self, model: nn.Module, batches: Sequence[Any], *, mode: str) -> StepTotals:
        """Counts and reference points of micro-batches, added up over the processes."""
        pairs = {name: [self._mismatched(model, batch[name]) for batch in batches] for name in _views(batches)}
        vector = totals_vector(
            [
                loss_counts(batch["outcome_labels_B"], batch["step_labels_BH"], step_reduction=self.args.step_reduction)
                for batch in batches
            ],
            outcome_pairs=pairs.get("mismatched", ()) if self.args.outcome_z0 == "mismatched" else (),
            step_pairs=pairs.get(_STEP_VIEWS[self.args.step_z0], ()),
            stop=self._stop.requested,
            device=self.args.device,
        )
        vector = self._sum_over_ranks(vector)
        if not vector.isfinite().all():
            self._refuse_mismatched(batches, pairs)
        self._stop.agreed = mode == "train" and wants_stop(vector)
        totals = totals_of(vector)
        self._logs[mode].add_z0(totals.z0_outcome, totals.z0_step, num_ranks=self.args.world_size)
        return totals

    def _mismatched(self, model: nn.Module, view: dict[str, Tensor]) -> Mismatched:
        with scoring_mode(model):
            sums_BH = view_sums(model, view)
        return sums_BH - self._reference.sums(model, view), view["present_BH"]

    def _sum_over_ranks(self, values: Tensor) -> Tensor:
        return cast("Tensor", self.accelerator.reduce(values, reduction="sum"))

    # refusals

    def _row_name(self, place: int) -> str:
        rows = self.train_dataset if self._policy.training else None
        return rows.rows[place].name if isinstance(rows, PreparedSet) else f"evaluation row {place + 1}"

    def _refuse(self, inputs: Any, broken: Sequence[int]) -> NoReturn:
        """Stop because the loss is not finite."""
        names = ", ".join(self._row_name(int(inputs["rows_B"][row])) for row in broken)
        raise DataError(
            f"{names or 'step ' + str(self.state.global_step)}: log-probabilities are not finite (NaN or infinite); "
            "training stops before the weights are touched: lower the learning rate, or check row and precision"
        )

    def _refuse_mismatched(self, batches: Sequence[Any], pairs: dict[str, list[Mismatched]]) -> NoReturn:
        for view_pairs in pairs.values():
            for batch, (ratios_BH, present_BH) in zip(batches, view_pairs, strict=True):
                broken_B = (~ratios_BH.isfinite() & present_BH).any(dim=1)
                if broken_B.any():
                    self._refuse(batch, [int(row) for row in broken_B.nonzero().flatten()])
        raise DataError("log-probabilities of another process are not finite; its message names the row")

    # logs

    def _add_to_log(self, result: StepKTOLoss, totals: StepTotals, inputs: Any) -> None:
        labels = inputs["step_labels_BH"], inputs["outcome_labels_B"]
        self._logs[self._mode].add(
            result,
            totals=totals.counts,
            here=loss_counts(labels[1], labels[0], step_reduction=self.args.step_reduction),
            step_labels_BH=labels[0],
            outcome_labels_B=labels[1],
            num_tokens=(inputs["matched"]["step_ids_BC"] >= 0).sum(),
        )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means of what was seen since the last log; figures without a count are left out."""
        if not self._logs[self._mode].is_empty:
            means = self._logs[self._mode].means(self._sum_over_ranks)
            if self._mode == "eval":
                # transformers averages over batches, whose counts differ
                means["loss"] = self.args.outcome_weight * means.get("outcome_loss", 0.0)
                means["loss"] += self.args.step_weight * means.get("step_loss", 0.0)
                means = {f"{self._eval_prefix}_{name}": value for name, value in means.items()}
            logs.update(means)
        super().log(logs, start_time)

    # runs

    def train(
        self,
        # transformers' signature
        resume_from_checkpoint: str | bool | None = None,  # noqa: FBT001
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> Any:
        """Train; SIGTERM saves at the end of the step and returns, see `stopped_by_signal`.

        Args:
            resume_from_checkpoint: a folder, or True for the last checkpoint in the output folder.
            trial: of a search for settings, as in transformers.
            ignore_keys_for_eval: unused; there are no predictions.

        Raises:
            ArtifactError: the checkpoint was trained with other data or another reference.
            DataError: a log-probability is NaN or infinite.
        """
        checkpoint = resume_from_checkpoint
        if checkpoint is True:
            checkpoint = get_last_checkpoint(str(self.args.output_dir))
        if isinstance(checkpoint, str) and self._identity is not None:
            check_identity(Path(checkpoint), self._identity)
        if self.model_wrapped is self.model and not (self.is_fsdp_enabled or self.is_deepspeed_enabled):
            # An evaluation before training marks the bare model as prepared. accelerate would then not wrap it for
            # several processes, and each would train on its own without a word (transformers 5.19, accelerate 1.15).
            vars(self._policy).pop("_is_accelerate_prepared", None)
        try:
            return super().train(resume_from_checkpoint, trial, ignore_keys_for_eval)
        finally:
            self._stop.restore()

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Loss and figures of a set, raw or prepared.

        Args:
            eval_dataset: as for the constructor; None for the constructor's own.
            ignore_keys: unused; there are no predictions.
            metric_key_prefix: begins the names of the figures.

        Raises:
            ConfigError: the reference of new rows is gone, since the policy it was has been trained.
        """
        own_name = isinstance(self.eval_dataset, dict) and isinstance(eval_dataset, str)
        if eval_dataset is not None and not own_name and not isinstance(eval_dataset, PreparedSet):
            if self._reference.is_policy and self.state.global_step > 0:
                raise ConfigError(
                    "new rows need the reference, which was the policy before training; give them to the constructor "
                    "as eval_dataset, or give a ref_model"
                )
            eval_dataset = self._prepare(eval_dataset, self.args, self.processing_class, name=metric_key_prefix)
            eval_dataset = self._attach(eval_dataset)
        self._eval_prefix = metric_key_prefix
        return super().evaluate(cast("Any", eval_dataset), ignore_keys, metric_key_prefix)


# Where the step term takes its reference point from.
_STEP_VIEWS = {"segments": "mismatched", "sampled": "sampled", "zero": ""}


def _views(batches: Sequence[Any]) -> tuple[str, ...]:
    return tuple(name for name in ("mismatched", "sampled") if name in batches[0])
