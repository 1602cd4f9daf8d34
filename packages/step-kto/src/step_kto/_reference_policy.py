"""The reference beside the policy: what scores it, when, and where it is."""

# pyright: standard
# accelerate and transformers' models are not strictly typed

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from step_kto._collator import StepKTOCollator
from step_kto._config import StepKTOConfig
from step_kto._forward import scoring_mode
from step_kto._policy import adapters_off, copy_reference, is_peft, make_ready
from step_kto._prepare import PreparedSet
from step_kto._reference_logps import ReferencePass, attach_reference, view_sums
from twllm_types import ConfigError


class ReferencePolicy:
    """The reference of a training run.

    It is the model that was given; or with adapters the policy with its adapters off; or the policy as it is before
    training, of which a copy is kept only where the reference runs beside the policy.

    Args:
        policy: extended by `add_scoring`, not yet wrapped.
        ref_model: the reference, or None.
        args: settings.
        accelerator: of the trainer.
        collator: of the trainer.

    Raises:
        ConfigError: the reference shall run beside a sharded policy.
    """

    def __init__(
        self,
        policy: nn.Module,
        ref_model: nn.Module | None,
        *,
        args: StepKTOConfig,
        accelerator: Accelerator,
        collator: StepKTOCollator,
    ) -> None:
        self._policy = policy
        self._args = args
        self._accelerator = accelerator
        self._collator = collator
        self._model: Any = ref_model
        if ref_model is not None:
            make_ready(ref_model, args)
            ref_model.requires_grad_(requires_grad=False)
        if args.precompute_ref_logps:
            return
        if str(accelerator.distributed_type).rsplit(".", maxsplit=1)[-1] in ("DEEPSPEED", "FSDP"):
            raise ConfigError("a reference beside a sharded policy is not supported; leave precompute_ref_logps on")
        if ref_model is None and not is_peft(policy):
            self._model = copy_reference(policy)
        if self._model is not None:
            self._model = accelerator.prepare_model(self._model, evaluation_mode=True)

    @property
    def is_policy(self) -> bool:
        """Whether it is the policy itself as it was before training, and so cannot score anything new afterwards."""
        return self._model is None and not is_peft(self._policy)

    def attach(self, rows: PreparedSet) -> tuple[PreparedSet, str | None]:
        """Give a set the reference's sums, where they are computed before training.

        Returns:
            The set, and the key of its sums; the set as it is and None where the reference runs in training, or the
            set has its sums.

        Raises:
            DataError: a log-probability is not finite.
            ArtifactError: the cache holds something else.
        """
        if not self._args.precompute_ref_logps or rows.ref_sums is not None:
            return rows, None
        model: nn.Module = self._policy if self._model is None else self._model
        placed = next(model.parameters()).device
        model.to(self._args.device)
        with adapters_off(model), self._accelerator.autocast():
            attached = attach_reference(rows, model, self._collator, self._settings())
        # A policy that a sharding wrapper will place goes back; a reference has done its work.
        model.to(torch.device("cpu") if model is self._model else placed)
        return attached

    def sums(self, policy: nn.Module, view: dict[str, Tensor]) -> Tensor:
        """Log-probability of each step of a collated view, (B, H), nats, no gradient.

        Args:
            policy: as wrapped for training; its base model is the reference where it has adapters.
            view: on the device; holds the sums where they were computed before.
        """
        if "ref_BH" in view:
            return view["ref_BH"]
        if self._model is not None:
            with scoring_mode(self._model):
                return view_sums(self._model, view)
        with adapters_off(self._accelerator.unwrap_model(policy)), scoring_mode(policy):
            return view_sums(policy, view)

    def _settings(self) -> ReferencePass:
        folder = self._args.ref_cache_dir or Path(str(self._args.output_dir)) / "reference-logps"
        return ReferencePass(
            batch_size=self._args.ref_batch_size or self._args.per_device_eval_batch_size,
            folder=Path(folder),
            rank=self._args.process_index,
            num_ranks=self._args.world_size,
            wait=self._accelerator.wait_for_everyone,
            precision=str(self._accelerator.mixed_precision),
        )
