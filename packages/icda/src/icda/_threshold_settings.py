"""How thresholds are estimated, and on which rows."""

from dataclasses import dataclass

from icda._run_data import RunData
from icda._thresholds import EstimatedOn, ThresholdRule, check_threshold_options
from twllm_types import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdSettings:
    """How thresholds are estimated.

    Attributes:
        rule: `mean` [the paper's, second-hand], `median`, `quantile` or `global`.
        quantile: of the rule `quantile`, in [0, 1]; None for the others.
        shrinkage: weight of the global threshold, in rows, >= 0. 0 [the paper's].
        min_count: an intent with fewer rows takes the global threshold, >= 1 [ours].
        estimated_on: `validation`, `cross_fit` or `fitted_rows`, which a guard stops; None takes validation rows where
            there are some, else cross-fits the seeds [ours; whether the paper's are few-shot is unknown].

    Raises:
        ConfigError: an option is out of its range, or has no use for the rule.
    """

    rule: ThresholdRule = ThresholdRule.MEAN
    quantile: float | None = None
    shrinkage: float = 0.0
    min_count: int = 1
    estimated_on: EstimatedOn | None = None

    def __post_init__(self) -> None:
        # before a generation is paid for
        check_threshold_options(self.rule, quantile=self.quantile, shrinkage=self.shrinkage, min_count=self.min_count)

    def source(self, data: RunData) -> EstimatedOn:
        """Which rows thresholds come from.

        Raises:
            ConfigError: validation rows are asked for, and there are none.
        """
        if self.estimated_on is EstimatedOn.VALIDATION and not data.validation:
            raise ConfigError(
                "thresholds.estimated_on is 'validation', and there are no such rows; set data.validation"
            )
        default = EstimatedOn.VALIDATION if data.validation else EstimatedOn.CROSS_FIT
        return self.estimated_on or default
