"""Settings of the trainer: what transformers' TrainingArguments knows, and what is Step-KTO's own."""

# pyright: standard
# TrainingArguments is no strictly typed class.

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from transformers import TrainingArguments

from step_kto._labels import AfterFirstError
from step_kto._weights import StepKTOWeights, StepReduction
from step_kto._z0 import StepZ0
from twllm_types import ConfigError

OutcomeZ0: TypeAlias = Literal["mismatched", "zero"]
TooLong: TypeAlias = Literal["error", "drop"]
PromptFormat: TypeAlias = Literal["text", "chat"]
LogitsPath: TypeAlias = Literal["chunked", "model"]
Sampling: TypeAlias = Literal["random", "sequential"]


@dataclass
class StepKTOConfig(TrainingArguments):
    """Settings of `StepKTOTrainer`; all of transformers.TrainingArguments, and those below.

    Whose a default is: [KTO] the paper (arXiv 2402.01306) and TRL's KTOConfig, [TRL] TRL's KTOConfig 1.16, [ours] our
    choice. The settings of the Step-KTO paper (arXiv 2501.10799) could not be confirmed, so none is given as its own.

    Attributes:
        beta: slope of the outcome's value function, 1/nats. 0.1 [KTO].
        desirable_weight: lambda_D of right outcomes. 1 [TRL]; `suggest_weights` gives one from the counts.
        undesirable_weight: lambda_U of wrong outcomes. 1 [TRL].
        step_beta: slope of the steps' value function, 1/nats. 0.1 [ours].
        step_desirable_weight: lambda_D of right steps. 1 [ours].
        step_undesirable_weight: lambda_U of wrong steps. 1 [ours].
        outcome_weight: factor of the outcome term. 1 [ours].
        step_weight: factor of the step term; 0 is KTO. 1 [ours].
        step_reduction: mean over all labelled "step"s, or per "response" first. "step" [ours].
        outcome_z0: "mismatched" (answers of other prompts) [KTO], or "zero" (as in APO-zero-unpaired).
        step_z0: "segments" (steps of the mismatched answers) [ours], "sampled" (one mismatched step a response, one
            more forward), "zero".
        after_first_error: "as_judged" [ours, for judges of single steps], "mask" (for sets whose labels stop at the
            first error), "negative".
        max_length: most tokens of prompt and answer; None (default) [ours] takes what the data need, up to what the
            model can. Nothing is ever cut. (TRL: 1024, cuts.)
        too_long: rows that are longer: "error" [ours] or "drop", which is counted.
        prompt_format: "text" takes the prompt as it stands, "chat" makes it a user message and applies the
            tokenizer's chat template. Prompts that are lists of messages always go through the template.
        system_prompt: system message of "chat"; None for none.
        append_eos: end each answer with the end-of-sequence token, inside its last step. True [TRL].
        precompute_ref_logps: compute the reference's log-probabilities of each step once, before training, and keep
            them on disk. True [ours]; TRL's default computes them again in each step.
        ref_cache_dir: where they are kept; None for `output_dir`/reference-logps.
        ref_batch_size: rows of a forward there; None for per_device_eval_batch_size.
        pairing_seed: of the mismatched partners; None for `seed`.
        num_pairings: epoch e takes partners number e mod num_pairings, each set drawn anew; each costs one more
            reference pass. 1 [ours].
        padding_free: put the rows of a batch one behind the other instead of padding them. With flash attention it
            saves the padding; with "sdpa" and "eager" it is exact and costs memory. False [ours].
        logits_path: "chunked" applies the language head to completion tokens only, piece by piece; "model" takes the
            model's own logits, for models whose head is no plain linear layer. "chunked" [ours].
        disable_dropout: True [TRL].
        model_init_kwargs: for `from_pretrained` where the trainer is given a model id.
        train_sampling_strategy: "random" [ours] or "sequential".
        learning_rate: 1e-6 [TRL].
        logging_steps: 10 [TRL].

    Raises:
        ConfigError: a value is out of its range.
    """

    # extended as TRL does, so that the command line accepts a dictionary
    _VALID_DICT_FIELDS = [*TrainingArguments._VALID_DICT_FIELDS, "model_init_kwargs"]  # noqa: RUF012, SLF001

    learning_rate: float = field(default=1e-6, metadata={"help": "Initial learning rate."})
    logging_steps: float = field(default=10, metadata={"help": "Log every so many updates."})
    train_sampling_strategy: str = field(default="random", metadata={"choices": list(get_args(Sampling))})
    remove_unused_columns: bool = field(default=False, metadata={"help": "Always False: rows are prepared."})

    beta: float = field(default=0.1, metadata={"help": "Slope of the outcome's value function, 1/nats."})
    desirable_weight: float = field(default=1.0, metadata={"help": "lambda_D of right outcomes."})
    undesirable_weight: float = field(default=1.0, metadata={"help": "lambda_U of wrong outcomes."})
    step_beta: float = field(default=0.1, metadata={"help": "Slope of the steps' value function, 1/nats."})
    step_desirable_weight: float = field(default=1.0, metadata={"help": "lambda_D of right steps."})
    step_undesirable_weight: float = field(default=1.0, metadata={"help": "lambda_U of wrong steps."})
    outcome_weight: float = field(default=1.0, metadata={"help": "Factor of the outcome term."})
    step_weight: float = field(default=1.0, metadata={"help": "Factor of the step term; 0 is KTO."})
    step_reduction: StepReduction = field(default="step", metadata={"help": "Mean over steps, or per response first."})
    outcome_z0: OutcomeZ0 = field(default="mismatched", metadata={"help": "Reference point of the outcome term."})
    step_z0: StepZ0 = field(default="segments", metadata={"help": "Reference point of the step term."})
    after_first_error: AfterFirstError = field(default="as_judged", metadata={"help": "Labels behind a wrong step."})

    max_length: int | None = field(default=None, metadata={"help": "Most tokens of a row; None for any."})
    too_long: TooLong = field(default="error", metadata={"help": "Longer rows: an error, or dropped and counted."})
    prompt_format: PromptFormat = field(default="text", metadata={"help": "Prompts as they stand, or as a chat."})
    system_prompt: str | None = field(default=None, metadata={"help": "System message of the chat format."})
    append_eos: bool = field(default=True, metadata={"help": "End each answer with the end-of-sequence token."})

    precompute_ref_logps: bool = field(default=True, metadata={"help": "Compute the reference once, before training."})
    ref_cache_dir: str | None = field(default=None, metadata={"help": "Folder of the reference's log-probabilities."})
    ref_batch_size: int | None = field(default=None, metadata={"help": "Rows of a reference forward."})
    pairing_seed: int | None = field(default=None, metadata={"help": "Seed of the mismatched partners."})
    num_pairings: int = field(default=1, metadata={"help": "Sets of mismatched partners, one an epoch in turn."})

    padding_free: bool = field(default=False, metadata={"help": "Rows of a batch one behind the other, no padding."})
    logits_path: LogitsPath = field(default="chunked", metadata={"help": "How log-probabilities are computed."})
    disable_dropout: bool = field(default=True, metadata={"help": "Switch dropout off."})
    model_init_kwargs: dict[str, Any] | str | None = field(default=None, metadata={"help": "For from_pretrained."})

    def __post_init__(self) -> None:
        """Check the values that are ours; the rest is transformers'.

        Raises:
            ConfigError: a value is out of its range.
        """
        super().__post_init__()
        self.weights()
        if not (self.outcome_weight or self.step_weight):
            raise ConfigError("outcome_weight and step_weight are both 0, so nothing is learned; raise one")
        for name, kind in _CHOICES.items():
            if getattr(self, name) not in get_args(kind):
                choices = ", ".join(repr(choice) for choice in get_args(kind))
                raise ConfigError(f"{name} is {getattr(self, name)!r}; give one of {choices}")
        for name in ("max_length", "ref_batch_size", "num_pairings"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(
                    f"{name} is {value}; give a number >= 1" + ("" if name == "num_pairings" else " or None")
                )
        if self.remove_unused_columns:
            raise ConfigError("remove_unused_columns is true; leave it false, the rows have no such columns")
        if self.system_prompt is not None and self.prompt_format != "chat":
            raise ConfigError("system_prompt is set with prompt_format 'text'; set prompt_format='chat'")

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

    @property
    def needs_mismatched(self) -> bool:
        """Whether a term with weight takes its reference point from mismatched answers."""
        by_outcome = self.outcome_weight > 0 and self.outcome_z0 == "mismatched"
        return by_outcome or (self.step_weight > 0 and self.step_z0 == "segments")

    @property
    def needs_sampled(self) -> bool:
        """Whether the step term takes its reference point from sampled mismatched steps."""
        return self.step_weight > 0 and self.step_z0 == "sampled"


_CHOICES: dict[str, Any] = {
    "outcome_z0": OutcomeZ0,
    "step_z0": StepZ0,
    "after_first_error": AfterFirstError,
    "too_long": TooLong,
    "prompt_format": PromptFormat,
    "logits_path": LogitsPath,
    "train_sampling_strategy": Sampling,
}
