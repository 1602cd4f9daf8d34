"""The quickstart's alignment stage: arithmetic whose every step can be checked, through `step-kto`.

A small Llama learns from scratch to solve sums of two or three numbers, and is wrong often enough; then one iteration
of Step-KTO learns from its own solutions, whose answers and steps are checked by program.
"""
# torch and transformers carry partial types only
# pyright: standard

import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twllm_runs import Progress, remove_temporaries, write_json_atomic
from twllm_types import Estimate, StepwiseSolution

if TYPE_CHECKING:
    from step_kto import ArithmeticSettings
    from step_kto.jobs import LoopRecipe, LoopRun, TrainSettings

_HIDDEN_SIZE = 96
_NUM_LAYERS = 3
_NUM_WORKED = 1_500
_NUM_PROBLEMS = 80
_NUM_TEST = 100
_MAX_TOKENS = 80
_MARK = "made.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArithmeticRun:
    """What the stage gave.

    Attributes:
        loop: one iteration of Step-KTO.
        before: figures of the start on the test problems, by name as in `step_kto.jobs.EvaluationFigures`.
        after: figures of the trained model on the same problems and draws.
    """

    loop: "LoopRun"
    before: Mapping[str, Estimate]
    after: Mapping[str, Estimate]


def run_arithmetic(output: Path, *, seed: int, progress: Progress) -> ArithmeticRun:
    """Train the start, then one iteration; what is finished is read, what was killed goes on.

    Args:
        output: takes the fresh weights (`fresh`), the start (`start`) and the loop (`loop`).
        seed: of weights, problems and draws.
        progress: display.

    Raises:
        SystemExit: SIGTERM came while a model was trained; its last update is saved.
        TwllmError: as `step_kto.jobs.run_train` and `run_iterate`.
    """
    from step_kto import write_solutions
    from step_kto.jobs import read_estimates, run_iterate, run_train
    from twllm_runs import read_run

    output.mkdir(parents=True, exist_ok=True)
    worked = output / "worked.jsonl"
    if not worked.exists():
        write_solutions(worked, _worked_solutions(seed))
    start = run_train(
        worked, str(_fresh_model(output / "fresh", seed)), _start_settings(), output=output / "start", progress=progress
    )
    if start.stopped:
        signal.raise_signal(signal.SIGTERM)
    loop = run_iterate(_recipe(start.model, seed), output=output / "loop", progress=progress)
    if loop.stopped:
        signal.raise_signal(signal.SIGTERM)
    before, after = (
        read_estimates(read_run(loop.folder / stage.folder).summary or {})
        for stage in loop.stages
        if stage.name == "evaluate"
    )
    return ArithmeticRun(loop=loop, before=before, after=after)


def _task() -> "ArithmeticSettings":
    from step_kto import ArithmeticSettings

    return ArithmeticSettings(
        min_steps=1, max_steps=2, operators=("+", "-"), max_operand=12, max_value=40, story_share=0.0
    )


def _worked_solutions(seed: int) -> list[StepwiseSolution]:
    from step_kto import Split, make_arithmetic_problems

    problems = make_arithmetic_problems(_NUM_WORKED, split=Split.TRAIN, seed=seed, settings=_task())
    return [
        StepwiseSolution(
            prompt=problem.prompt, steps=problem.steps, step_labels=(True,) * len(problem.steps), outcome=True
        )
        for problem in problems
    ]


def _fresh_model(folder: Path, seed: int) -> Path:
    """Write a Llama of 0.35 million parameters with random weights, and the task's tokenizer."""
    from transformers.utils import logging

    from step_kto.training import make_toy_model, make_toy_tokenizer, toy_model_config

    mark = folder / _MARK
    if mark.exists():
        return folder
    # what a killed start left behind
    shutil.rmtree(folder, ignore_errors=True)
    # its bar would break the progress display
    logging.disable_progress_bar()
    make_toy_model(seed, toy_model_config(hidden_size=_HIDDEN_SIZE, num_layers=_NUM_LAYERS)).save_pretrained(folder)
    make_toy_tokenizer().save_pretrained(folder)
    write_json_atomic(mark, {"seed": seed})
    remove_temporaries(folder)
    return folder


def _start_settings() -> "TrainSettings":
    """Supervised training on worked solutions: what `rft` does where every solution is right."""
    from step_kto.jobs import TrainSettings

    return TrainSettings(
        kind="rft",
        learning_rate=3e-3,
        num_epochs=8,
        batch_size=16,
        warmup_steps=30,
        logging_steps=25,
        save_steps=100,
    )


def _recipe(model: Path, seed: int) -> "LoopRecipe":
    from step_kto import Split
    from step_kto.jobs import (
        ArithmeticSource,
        EvaluateSettings,
        JudgeSettings,
        LabelSettings,
        LoopRecipe,
        ProblemSource,
        SampleSettings,
        TrainSettings,
    )

    def problems(count: int, split: Split) -> ProblemSource:
        return ProblemSource(
            arithmetic=ArithmeticSource(num_problems=count, split=split, seed=seed + 1, settings=_task())
        )

    def labels(judge: str) -> LabelSettings:
        return LabelSettings(steps="markers", require_marked_answer=True, judge=JudgeSettings(judge=judge))

    return LoopRecipe(
        model=str(model),
        problems=problems(_NUM_PROBLEMS, Split.TRAIN),
        evaluation_problems=problems(_NUM_TEST, Split.TEST),
        iterations=1,
        seed=seed,
        sample=SampleSettings(num_samples=8, temperature=1.0, max_tokens=_MAX_TOKENS),
        label=labels("arithmetic"),
        train=TrainSettings(
            learning_rate=3e-5,
            max_steps=40,
            batch_size=32,
            lr_scheduler="constant",
            balance_weights=True,
            save_steps=20,
            logging_steps=5,
        ),
        evaluate=EvaluateSettings(
            ks=(4,),
            sample=SampleSettings(num_samples=4, temperature=1.0, max_tokens=_MAX_TOKENS),
            label=labels("arithmetic-truth"),
        ),
    )
