"""The stages of the loop as resumable jobs: sample, label, build, train, evaluate, iterate, report."""

from step_kto._evaluation import EvaluationFigures, evaluation_figures
from step_kto._iterate import LoopRun, LoopStage, read_loop, run_iterate
from step_kto._judge_spec import JudgeSettings, OpenJudge, open_judge, same_judge
from step_kto._label_settings import LabelSettings
from step_kto._loop_recipe import ArithmeticSource, LoopRecipe, ProblemSource
from step_kto._report import write_report
from step_kto._sample_settings import SampleSettings
from step_kto._stage_build import BuildRun, run_build
from step_kto._stage_evaluate import (
    EvaluateRun,
    EvaluateSettings,
    estimate_from_json,
    estimate_to_json,
    read_estimates,
    read_training_judge,
    run_evaluate,
)
from step_kto._stage_label import LabelledSolution, LabelRun, read_labelled, run_label
from step_kto._stage_sample import Sample, SampleRun, run_sample
from step_kto._stage_train import TrainRun, read_log, run_train
from step_kto._train_settings import TrainSettings

__all__ = [
    "ArithmeticSource",
    "BuildRun",
    "EvaluateRun",
    "EvaluateSettings",
    "EvaluationFigures",
    "JudgeSettings",
    "LabelRun",
    "LabelSettings",
    "LabelledSolution",
    "LoopRecipe",
    "LoopRun",
    "LoopStage",
    "OpenJudge",
    "ProblemSource",
    "Sample",
    "SampleRun",
    "SampleSettings",
    "TrainRun",
    "TrainSettings",
    "estimate_from_json",
    "estimate_to_json",
    "evaluation_figures",
    "open_judge",
    "read_estimates",
    "read_labelled",
    "read_log",
    "read_loop",
    "read_training_judge",
    "run_build",
    "run_evaluate",
    "run_iterate",
    "run_label",
    "run_sample",
    "run_train",
    "same_judge",
    "write_report",
]
