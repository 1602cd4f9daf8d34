"""Loss, trainer and baselines: what needs torch."""

from step_kto._baselines import Baseline, BaselineRows, BaselineRun, baseline_rows, train_baseline
from step_kto._config import StepKTOConfig
from step_kto._loss import LossCounts, StepKTOLoss, loss_counts, step_kto_loss, step_sums
from step_kto._prepare import PreparedSet, prepare_rows
from step_kto._reference import ReferenceLoss, reference_step_kto_loss
from step_kto._toy_model import make_toy_model, toy_model_config
from step_kto._toy_tokenizer import make_toy_tokenizer
from step_kto._trainer import StepKTOTrainer
from step_kto._weights import StepKTOWeights
from step_kto._z0 import Z0, mismatched_z0

__all__ = [
    "Z0",
    "Baseline",
    "BaselineRows",
    "BaselineRun",
    "LossCounts",
    "PreparedSet",
    "ReferenceLoss",
    "StepKTOConfig",
    "StepKTOLoss",
    "StepKTOTrainer",
    "StepKTOWeights",
    "baseline_rows",
    "loss_counts",
    "make_toy_model",
    "make_toy_tokenizer",
    "mismatched_z0",
    "prepare_rows",
    "reference_step_kto_loss",
    "step_kto_loss",
    "step_sums",
    "toy_model_config",
    "train_baseline",
]
