"""The command `step-kto`."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from step_kto import _cli_files
from step_kto._cli_options import LABEL_DEFAULTS, SAMPLE_DEFAULTS, LabelOptions, SampleOptions
from twllm_runs import ExitCode, make_app, run_app

if TYPE_CHECKING:
    from step_kto._stage_evaluate import EvaluateSettings

app = make_app(
    "step-kto",
    package="step-kto",
    help="Learning from binary feedback on steps and outcomes: sample, label, train, evaluate, and again.",
)

Numbers = Annotated[list[int] | None, Parameter(consume_multiple=(1, None))]


@app.command
def sample(
    problems: Path,
    *,
    engine: str,
    output: Path,
    num_samples: int = 4,
    sampling: SampleOptions = SAMPLE_DEFAULTS,
    retry_failures: bool = False,
) -> ExitCode:
    """Sample solutions of problems. Killed at any moment, the same command goes on.

    Example: step-kto sample problems.jsonl --engine hf:MODEL --num-samples 8 --output runs/samples

    Args:
        problems: JSONL of {prompt, answer, reference?, expression?}.
        engine: hf:MODEL, vllm:MODEL, openai:MODEL@URL, replay:FILE, or a YAML file with every setting.
        output: folder of the run; a run of other parameters is never overwritten.
        num_samples: of each problem.
        sampling: how.
        retry_failures: ask again where the engine failed.
    """
    from rich.console import Console

    from step_kto._problems import load_problems
    from step_kto._show import show_sample
    from step_kto._stage_sample import run_sample
    from twllm_engines import load_engine
    from twllm_runs import current_cli, open_progress

    settings = sampling.settings(num_samples=num_samples)
    loaded = load_problems(problems)
    with load_engine(engine) as model, open_progress(quiet=current_cli().quiet) as progress:
        done = run_sample(model, loaded, settings, output=output, progress=progress, retry_failures=retry_failures)
    show_sample(Console(), done)
    return ExitCode.FAULTS if done.num_failed else ExitCode.DONE


@app.command
def label(
    samples: Path,
    *,
    output: Path,
    judge: str = "arithmetic",
    labelling: LabelOptions = LABEL_DEFAULTS,
    retry_failures: bool = False,
) -> ExitCode:
    """Label samples: outcomes by the answer verifier, steps by a judge. Killed at any moment, the same command goes on.

    Example: step-kto label runs/samples --judge llm:openai:MODEL@URL --output runs/labels

    Args:
        samples: folder of a finished step-kto sample.
        output: folder of the run.
        judge: arithmetic, arithmetic-truth, llm:SPEC, reward-model:DIR or none.
        labelling: how.
        retry_failures: ask again where the judge's engine failed.
    """
    from rich.console import Console

    from step_kto._show import show_label
    from step_kto._stage_label import run_label
    from twllm_runs import current_cli, open_progress

    settings = labelling.settings(judge=judge)
    with open_progress(quiet=current_cli().quiet) as progress:
        done = run_label(samples, settings, output=output, progress=progress, retry_failures=retry_failures)
    show_label(Console(), done)
    return ExitCode.FAULTS if done.num_faults else ExitCode.DONE


@app.command
def build(
    labelled: Path,
    *,
    output: Path,
    all_right: Literal["keep", "drop"] = "keep",
    all_wrong: Literal["keep", "drop"] = "keep",
    unknown_outcomes: Literal["keep", "drop"] = "keep",
    truncated: Literal["keep", "drop"] = "drop",
    repeated: Literal["keep", "drop"] = "drop",
    balance: Literal["none", "prompt", "set"] = "none",
    max_per_prompt: int | None = None,
    seed: int = 0,
) -> ExitCode:
    """Build a training set of labelled solutions, with counts and reasons.

    Example: step-kto build runs/labels --all-right drop --all-wrong drop --output runs/set

    Args:
        labelled: folder of a finished step-kto label.
        output: folder of the run.
        all_right: prompts whose solutions are all right.
        all_wrong: prompts whose solutions are all wrong.
        unknown_outcomes: solutions without known outcome.
        truncated: solutions cut off at max_tokens.
        repeated: equal solutions of a prompt, but for the first.
        balance: as many right as wrong solutions in each prompt, or in the set.
        max_per_prompt: most solutions of a prompt, right and wrong ones in turn.
        seed: of what is drawn.
    """
    from rich.console import Console

    from step_kto._selection import SelectionRules
    from step_kto._show import show_build
    from step_kto._stage_build import run_build

    rules = SelectionRules(
        all_right=all_right,
        all_wrong=all_wrong,
        unknown_outcomes=unknown_outcomes,
        truncated=truncated,
        repeated=repeated,
        balance=balance,
        max_per_prompt=max_per_prompt,
    )
    show_build(Console(), run_build(labelled, rules, seed=seed, output=output))
    return ExitCode.DONE


@app.command
def train(
    data: Path,
    *,
    model: str,
    output: Path,
    settings: Path | None = None,
    kind: Literal["step-kto", "kto", "dpo", "rft"] | None = None,
    reference: str | None = None,
) -> ExitCode:
    """Train a policy on stepwise feedback, or a baseline on the same rows. SIGTERM saves; the same command goes on.

    Example: step-kto train runs/set --model MODEL --settings train.yaml --output runs/trained

    Args:
        data: folder of a finished step-kto build, or a JSONL file of {prompt, completions, labels, outcome}.
        model: folder or hub id of the policy.
        output: folder of the run; the model is its folder model.
        settings: YAML of the hyper-parameters (docs/step-kto.md); their defaults where not given.
        kind: step-kto, or a baseline of TRL; instead of that of the settings.
        reference: folder or hub id of the reference; the policy before training where not given.
    """
    from dataclasses import replace

    from rich.console import Console

    from step_kto._show import show_train
    from step_kto._stage_train import run_train
    from step_kto._train_settings import TrainSettings
    from twllm_runs import current_cli, load_recipe, open_progress

    chosen = TrainSettings() if settings is None else load_recipe(settings, TrainSettings)
    chosen = chosen if kind is None else replace(chosen, kind=kind)
    with open_progress(quiet=current_cli().quiet) as progress:
        done = run_train(data, model, chosen, output=output, progress=progress, reference=reference)
    if done.stopped:
        _end_by_sigterm()
    show_train(Console(), done)
    return ExitCode.DONE


@app.command
def evaluate(
    problems: Path,
    *,
    engine: str,
    output: Path,
    judge: str,
    num_samples: int = 8,
    k: Numbers = None,
    sampling: SampleOptions = SAMPLE_DEFAULTS,
    labelling: LabelOptions = LABEL_DEFAULTS,
    training_judge: str | None = None,
    allow_same_judge: bool = False,
    retry_failures: bool = False,
) -> ExitCode:
    """Evaluate a model: pass@1 greedy and sampled, pass@k, maj@k, stepwise errors in right solutions, with intervals.

    Example: step-kto evaluate test.jsonl --engine hf:runs/trained/model --judge llm:hf:OTHER --output runs/evaluated

    Args:
        problems: JSONL of {prompt, answer, reference?, expression?} that the model was not trained on.
        engine: hf:MODEL, vllm:MODEL, openai:MODEL@URL, replay:FILE, or a YAML file with every setting.
        output: folder of the run.
        judge: of the steps; another than the one that labelled the training set.
        num_samples: sampled solutions of each problem, besides the greedy one.
        k: of pass@k, besides pass@1; num_samples where not given.
        sampling: of the sampled solutions.
        labelling: as of the training set.
        training_judge: who labelled the training set, for a model whose folder does not say.
        allow_same_judge: let the judge that trained judge the result, which flatters it.
        retry_failures: ask again where an engine failed.
    """
    from step_kto._stage_evaluate import EvaluateSettings

    settings = EvaluateSettings(
        sample=sampling.settings(num_samples=num_samples),
        label=labelling.settings(judge=judge),
        ks=tuple(k) if k else tuple({num_samples} - {1}),
        allow_same_judge=allow_same_judge,
    )
    return _evaluate(
        problems, engine, settings, output=output, training_judge=training_judge, retry_failures=retry_failures
    )


@app.command
def iterate(recipe: Path, *, output: Path, model: str | None = None, seed: int | None = None) -> ExitCode:
    """Run the loop of a recipe: sample, label, build, train, evaluate, and again. The same command always goes on.

    Example: step-kto iterate recipes/step-kto/arithmetic.yaml --model toy-start --output runs/loop

    Args:
        recipe: YAML file (docs/step-kto.md).
        output: folder of the loop; a changed recipe redoes only what follows from the change.
        model: folder or hub id of the start, instead of the recipe's.
        seed: instead of the recipe's.
    """
    from dataclasses import replace

    from rich.console import Console

    from step_kto._iterate import run_iterate
    from step_kto._loop_recipe import LoopRecipe
    from step_kto._show import show_loop
    from twllm_runs import current_cli, load_recipe, open_progress

    chosen = load_recipe(recipe, LoopRecipe)
    chosen = replace(chosen, model=chosen.model if model is None else model, seed=chosen.seed if seed is None else seed)
    with open_progress(quiet=current_cli().quiet) as progress:
        done = run_iterate(chosen, output=output, progress=progress)
    if done.stopped:
        _end_by_sigterm()
    show_loop(Console(), done)
    return ExitCode.FAULTS if done.num_faults else ExitCode.DONE


_cli_files.register(app)


def _evaluate(
    problems: Path,
    engine: str,
    settings: "EvaluateSettings",
    *,
    output: Path,
    training_judge: str | None,
    retry_failures: bool,
) -> ExitCode:
    from rich.console import Console

    from step_kto._problems import load_problems
    from step_kto._show import show_evaluate
    from step_kto._stage_evaluate import named_judge, read_training_judge, run_evaluate
    from twllm_engines import load_engine
    from twllm_runs import current_cli, open_progress

    trained_by = (
        read_training_judge(engine.partition(":")[2]) if training_judge is None else named_judge(training_judge)
    )
    loaded = load_problems(problems)
    with load_engine(engine) as model, open_progress(quiet=current_cli().quiet) as progress:
        done = run_evaluate(
            model,
            loaded,
            settings,
            output=output,
            progress=progress,
            training_judge=trained_by,
            retry_failures=retry_failures,
        )
    show_evaluate(Console(), done)
    return ExitCode.FAULTS if done.num_faults else ExitCode.DONE


def _end_by_sigterm() -> None:
    """The trainer heard SIGTERM and saved; now the command ends as SIGTERM ends it elsewhere, with 143."""
    signal.raise_signal(signal.SIGTERM)


def main() -> None:
    """Run the command line."""
    sys.exit(run_app(app))
