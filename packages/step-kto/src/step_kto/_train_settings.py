"""Settings of the training stage; free of torch, so that recipes and commands can read them."""

from dataclasses import dataclass
from math import inf
from typing import Literal, TypeAlias

from step_kto._labels import AfterFirstError
from step_kto._sample_settings import PromptForm
from step_kto._weights import StepKTOWeights, StepReduction
from twllm_types import ConfigError

TrainKind: TypeAlias = Literal["step-kto", "kto", "dpo", "rft"]
Precision: TypeAlias = Literal["float32", "bf16"]
# those of transformers that need no further setting
LrScheduler: TypeAlias = Literal[
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt"
]

# numpy takes no other
_SEED_END = 1 << 32
# TRL pairs each prompt of a batch with another row's answer
_LEAST_KTO_BATCH = 2
_AT_LEAST_ONE = (
    "batch_size",
    "gradient_accumulation",
    "num_pairings",
    "save_steps",
    "logging_steps",
    "lora_alpha",
    "max_steps",
    "max_length",
    "lora_rank",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How a policy is trained.

    Whose a default is: [KTO] arXiv 2402.01306 and TRL's KTOConfig, [TRL] TRL's KTOConfig 1.16, [HF] transformers,
    [ours] our choice. The settings of the Step-KTO paper (arXiv 2501.10799) could not be confirmed, so none is given as
    its own.
    What each does stands at `StepKTOConfig`.

    Attributes:
        kind: "step-kto", or a baseline on the same solutions: "kto", "dpo", "rft" (TRL, extra `baselines`).
        learning_rate: of AdamW. 1e-6 [TRL].
        num_epochs: passes over the set, > 0. 1 [ours].
        max_steps: optimizer updates instead, >= 1; None for num_epochs.
        batch_size: solutions of a forward pass, >= 1. 8 [HF].
        gradient_accumulation: forward passes of an update, >= 1. 1 [HF].
        lr_scheduler: as transformers names it, but for those that need further settings. "linear" [HF].
        warmup_steps: updates of the learning rate's rise, >= 0. 0 [HF].
        weight_decay: of AdamW, >= 0. 0 [HF].
        max_grad_norm: gradients are clipped to it, > 0. 1 [HF].
        beta: slope of the outcome term, 1/nats. 0.1 [KTO].
        step_beta: slope of the step term, 1/nats. 0.1 [ours].
        desirable_weight: lambda_D of right outcomes. 1 [TRL].
        undesirable_weight: lambda_U of wrong outcomes. 1 [TRL].
        step_desirable_weight: lambda_D of right steps. 1 [ours].
        step_undesirable_weight: lambda_U of wrong steps. 1 [ours].
        balance_weights: replace these four by what the labels suggest at each level (KTO eq. 8) [ours: False].
        outcome_weight: factor of the outcome term. 1 [ours].
        step_weight: factor of the step term. 1 [ours].
        step_reduction: "step" [ours] or "response".
        outcome_z0: "mismatched" [KTO] or "zero".
        step_z0: "segments" [ours], "sampled" or "zero".
        after_first_error: "as_judged" [ours], "mask" or "negative".
        prompt_format: "text" or "chat"; in a loop that of sampling.
        system_prompt: of "chat".
        max_length: most tokens of prompt and solution; None for what the model can.
        too_long: "error" [ours] or "drop".
        num_pairings: sets of mismatched partners. 1 [ours].
        precision: "float32" [ours], or "bf16" (weights stay float32).
        gradient_checkpointing: less memory, more time. False [HF].
        lora_rank: train a LoRA adapter of this rank on all linear layers and merge it at the end; None for all weights.
        lora_alpha: scale of the adapter.
        seed: of order, pairs and adapter, within 0..2**32-1.
        save_steps: updates between checkpoints, a multiple of logging_steps [ours]; a killed run goes on at the last.
        logging_steps: updates between rows of the log, >= 1. 10 [TRL].

    Raises:
        ConfigError: a value is out of its range.
    """

    kind: TrainKind = "step-kto"
    learning_rate: float = 1e-6
    num_epochs: float = 1.0
    max_steps: int | None = None
    batch_size: int = 8
    gradient_accumulation: int = 1
    lr_scheduler: LrScheduler = "linear"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    beta: float = 0.1
    step_beta: float = 0.1
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0
    step_desirable_weight: float = 1.0
    step_undesirable_weight: float = 1.0
    balance_weights: bool = False
    outcome_weight: float = 1.0
    step_weight: float = 1.0
    step_reduction: StepReduction = "step"
    outcome_z0: Literal["mismatched", "zero"] = "mismatched"
    step_z0: Literal["segments", "sampled", "zero"] = "segments"
    after_first_error: AfterFirstError = "as_judged"
    prompt_format: PromptForm = "text"
    system_prompt: str | None = None
    max_length: int | None = None
    too_long: Literal["error", "drop"] = "error"
    num_pairings: int = 1
    precision: Precision = "float32"
    gradient_checkpointing: bool = False
    lora_rank: int | None = None
    lora_alpha: int = 16
    seed: int = 0
    save_steps: int = 50
    logging_steps: int = 10

    def __post_init__(self) -> None:
        for name in _AT_LEAST_ONE:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}; give a number >= 1")
        for name in ("learning_rate", "num_epochs", "max_grad_norm"):
            if not 0 < getattr(self, name) < inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; give a number > 0")
        for name in ("weight_decay", "warmup_steps"):
            if not 0 <= getattr(self, name) < inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; give a number >= 0")
        if not 0 <= self.seed < _SEED_END:
            raise ConfigError(f"seed is {self.seed}; give a number within 0..{_SEED_END - 1}")
        if self.save_steps % self.logging_steps:
            raise ConfigError(
                f"save_steps {self.save_steps} is no multiple of logging_steps {self.logging_steps}, so that a resumed "
                "run would log other means; make it one"
            )
        self.weights()
        self._check_kind()

    def _check_kind(self) -> None:
        if self.kind == "step-kto":
            if not (self.outcome_weight or self.step_weight):
                raise ConfigError("outcome_weight and step_weight are both 0, so nothing is learned; raise one")
            return
        if self.lora_rank is not None:
            raise ConfigError("lora_rank is set for a baseline, which trains all weights; leave it out")
        if self.prompt_format != "text":
            raise ConfigError("baselines take prompts as they stand; set prompt_format: text")
        if self.kind == "kto" and self.batch_size < _LEAST_KTO_BATCH:
            raise ConfigError(f"batch_size is {self.batch_size}; TRL's KTO pairs rows within a batch, give 2 or more")

    def weights(self) -> StepKTOWeights:
        """Return the weights of the loss.

        Raises:
            ConfigError: one is out of its range.
        """
        return StepKTOWeights(
            beta=self.beta,
            desirable_weight=self.desirable_weight,
            undesirable_weight=self.undesirable_weight,
            step_beta=self.step_beta,
            step_desirable_weight=self.step_desirable_weight,
            step_undesirable_weight=self.step_undesirable_weight,
            outcome_weight=self.outcome_weight,
            step_weight=self.step_weight,
            step_reduction=self.step_reduction,
        )
