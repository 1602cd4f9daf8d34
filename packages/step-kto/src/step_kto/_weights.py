"""Weights of the Step-KTO loss; free of torch, so that recipes and commands can read them."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal, TypeAlias, get_args

from twllm_types import ConfigError

StepReduction: TypeAlias = Literal["step", "response"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepKTOWeights:
    """What the two terms of the loss are scaled by.

    The defaults of the outcome term are TRL's KTOConfig; those of the step term and the sum of both terms are ours:
    the paper's settings (arXiv 2501.10799) could not be confirmed.

    Attributes:
        beta: slope of the outcome's value function, 1/nats, > 0.
        desirable_weight: lambda_D of right outcomes, >= 0.
        undesirable_weight: lambda_U of wrong outcomes, >= 0.
        step_beta: slope of the steps' value function, 1/nats, > 0.
        step_desirable_weight: lambda_D of right steps, >= 0.
        step_undesirable_weight: lambda_U of wrong steps, >= 0.
        outcome_weight: factor of the outcome term, >= 0; 0 leaves it out.
        step_weight: factor of the step term, >= 0; 0 leaves it out, which is KTO.
        step_reduction: "step" for the mean over all labelled steps, "response" for the mean over the labelled steps of
            each response and then over the responses that have one.

    Raises:
        ConfigError: a value is out of its range.
    """

    beta: float = 0.1
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0
    step_beta: float = 0.1
    step_desirable_weight: float = 1.0
    step_undesirable_weight: float = 1.0
    outcome_weight: float = 1.0
    step_weight: float = 1.0
    step_reduction: StepReduction = "step"

    def __post_init__(self) -> None:
        for name in ("beta", "step_beta"):
            value = getattr(self, name)
            if not (_is_number(value) and value > 0):
                raise ConfigError(f"{name} is {value!r}; give a finite number > 0")
        for name in (
            "desirable_weight",
            "undesirable_weight",
            "step_desirable_weight",
            "step_undesirable_weight",
            "outcome_weight",
            "step_weight",
        ):
            value = getattr(self, name)
            if not (_is_number(value) and value >= 0):
                raise ConfigError(f"{name} is {value!r}; give a finite number >= 0")
        if self.step_reduction not in get_args(StepReduction):
            raise ConfigError(f"step_reduction is {self.step_reduction!r}; give 'step' or 'response'")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
