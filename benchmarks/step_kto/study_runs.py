"""The runs of the study: a start, its samples and labels, trainings, evaluations; each resumes where it stopped."""

import json
import resource
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from study_design import (
    EVALUATE,
    LABEL,
    NUM_PROBLEMS,
    NUM_SAMPLES,
    PROBLEMS,
    RULES,
    SAMPLE,
    START,
    START_SETTINGS,
    SeedPlan,
    Variant,
)
from toy_sft import train_start

from step_kto._answer_extraction import AnswerSource, extract_answer
from step_kto._arithmetic import Split
from step_kto._data import load_solutions, write_solutions
from step_kto._loop_recipe import derived_seed
from step_kto._metrics import majority_vote
from step_kto._problems import Problem, arithmetic_problems
from step_kto._stage_build import TRAIN_NAME, run_build
from step_kto._stage_evaluate import read_training_judge, run_evaluate
from step_kto._stage_label import SOLUTIONS_NAME, LabelledSolution, read_labelled, run_label
from step_kto._stage_sample import GREEDY, run_sample
from step_kto._stage_train import run_train
from step_kto._verify_pool import AnswerVerifier
from twllm_engines import load_engine
from twllm_runs import Progress, open_progress, read_run, write_json_atomic
from twllm_types import JsonObject, StepwiseSolution

RESULT_NAME = "result.json"


def prepare_seed(folder: Path, seed: int) -> JsonObject:
    """Start model, samples, labels, training set and the start's evaluation of a seed; read what is there already."""
    result = folder / START / RESULT_NAME
    if result.is_file():
        return read_result(result)
    before, plan = processor_seconds(), SeedPlan.of(seed)
    model = folder / "model"
    if not model.is_dir():
        scratch = folder / "model.part"
        shutil.rmtree(scratch, ignore_errors=True)
        train_start(replace(START_SETTINGS, seed=seed), scratch)
        scratch.rename(model)
    problems = arithmetic_problems(NUM_PROBLEMS, split=Split.TRAIN, seed=1000 + seed, settings=PROBLEMS)
    with open_progress(quiet=True) as progress:
        with load_engine(f"hf:{model}") as engine:
            sampling = replace(SAMPLE, seed=derived_seed(seed, "sample", 1))
            run_sample(engine, problems, sampling, output=folder / "samples", progress=progress)
        run_label(folder / "samples", LABEL, output=folder / "labels", progress=progress)
        built = run_build(folder / "labels", RULES, seed=derived_seed(seed, "build", 1), output=folder / "set")
        found = evaluated(folder / START, str(model), plan, progress)
    row: JsonObject = {
        "seed": seed,
        "run": START,
        "split": plan.split.value,
        "training_set": built.summary,
        **found,
        "processor_seconds": round(processor_seconds() - before, 1),
    }
    write_json_atomic(result, row)
    return row


def train_variant(folder: Path, seed: int, variant: Variant, learning_rate: float, name: str) -> JsonObject:
    """Train on a prepared seed and evaluate; read what is there already."""
    result = folder / name / RESULT_NAME
    if result.is_file():
        return read_result(result)
    before, plan = processor_seconds(), SeedPlan.of(seed)
    settings = variant.settings(learning_rate=learning_rate, seed=derived_seed(seed, "train", 1))
    data = folder / "set"
    if variant.noise:
        data = folder / f"{variant.name}.jsonl"
        solutions = load_solutions(folder / "set" / TRAIN_NAME)
        write_solutions(data, flip_steps(solutions, share=variant.noise, seed=seed))
    with open_progress(quiet=True) as progress:
        trained = run_train(data, str(folder / "model"), settings, output=folder / name / "train", progress=progress)
        if trained.stopped:
            raise SystemExit(143)
        found = evaluated(folder / name, str(trained.model), plan, progress)
    row: JsonObject = {
        "seed": seed,
        "run": name,
        "split": plan.split.value,
        "learning_rate": learning_rate,
        "training": {key: trained.summary[key] for key in ("kind", "num_rows", "num_updates", "weights", "last_log")},
        **found,
        "processor_seconds": round(processor_seconds() - before, 1),
    }
    write_json_atomic(result, row)
    return row


def evaluated(folder: Path, model: str, plan: SeedPlan, progress: Progress) -> JsonObject:
    """Evaluate a model on the problems of its seed."""
    problems = arithmetic_problems(plan.num_evaluated, split=plan.split, seed=plan.seed, settings=PROBLEMS)
    sample = replace(EVALUATE.sample, seed=derived_seed(plan.seed, "evaluate", 0))
    output = folder / "evaluation"
    with load_engine(f"hf:{model}") as engine:
        done = run_evaluate(
            engine,
            problems,
            replace(EVALUATE, sample=sample),
            output=output,
            progress=progress,
            training_judge=read_training_judge(model),
        )
    solutions = read_labelled(output / SOLUTIONS_NAME, sha256=str(done.summary["solutions_sha256"]))
    with AnswerVerifier() as verifier:
        columns = problem_columns(problems, solutions, lambda one, other: verifier.verify(one, other).label is True)
    for name, column in (("pass@1_greedy", columns["greedy"]), (f"maj@{NUM_SAMPLES}", columns["majority"])):
        if abs((done.estimates[name].mean or 0.0) * len(problems) - sum(map(int, column))) > 1e-6:
            raise RuntimeError(f"{output}: {name} by problem does not add up to the stage's own figure")
    manifest = read_run(output).manifest
    return {
        **columns,
        "estimates": {name: estimate.mean for name, estimate in done.estimates.items()},
        "num_faults": done.num_faults,
        "weights_sha256": manifest.models[0].sha256["weights"],
    }


def problem_columns(
    problems: Sequence[Problem], solutions: Sequence[LabelledSolution], equivalent: Callable[[str, str], bool]
) -> dict[str, str]:
    """One digit for each problem, in order.

    Args:
        problems: that were evaluated on.
        solutions: of them.
        equivalent: whether an answer (second) is the same as another (first).

    Returns:
        "greedy" and "majority": 0 or 1; "right": right ones among the samples; "flawed": those of them that hold a
        wrong step; "flawed_greedy": 1 where the greedy one is right with a wrong step.
    """
    by_problem: dict[str, list[LabelledSolution]] = {problem.prompt: [] for problem in problems}
    for one in solutions:
        by_problem[one.solution.prompt].append(one)
    columns: dict[str, list[int]] = {name: [] for name in ("greedy", "majority", "right", "flawed", "flawed_greedy")}
    for problem in problems:
        mine = by_problem[problem.prompt]
        right = [one for one in mine if one.solution.outcome]
        flawed = [one for one in right if False in one.solution.step_labels]
        vote = majority_vote([_answer(one.solution) for one in mine if one.number != GREEDY], equivalent=equivalent)
        columns["greedy"].append(sum(one.number == GREEDY for one in right))
        columns["right"].append(sum(one.number != GREEDY for one in right))
        columns["flawed"].append(sum(one.number != GREEDY for one in flawed))
        columns["flawed_greedy"].append(sum(one.number == GREEDY for one in flawed))
        columns["majority"].append(int(vote is not None and equivalent(problem.answer, vote)))
    return {name: "".join(map(str, digits)) for name, digits in columns.items()}


def flip_steps(solutions: Sequence[StepwiseSolution], *, share: float, seed: int) -> list[StepwiseSolution]:
    """Turn known step labels into their opposite, each with the given probability.

    With one seed the flips of a smaller share are among those of a larger one.
    """
    # a draw to be repeated, not a secret
    rng = Random(f"flip:{seed}")  # noqa: S311

    return [
        replace(
            one,
            step_labels=tuple(
                not label if label is not None and rng.random() < share else label for label in one.step_labels
            ),
        )
        for one in solutions
    ]


def read_result(path: Path) -> JsonObject:
    """A finished run's row."""
    row: JsonObject = json.loads(path.read_text(encoding="utf-8"))
    return row


def processor_seconds() -> float:
    """Of this process and of the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def best_rate(rows: Mapping[float, JsonObject]) -> float:
    """The learning rate with the best sampled pass@1; of equals the smallest."""

    def figure(rate: float) -> float:
        estimates = rows[rate]["estimates"]
        if not isinstance(estimates, dict):
            raise TypeError(f"the row of learning rate {rate} holds no estimates")
        return float(str(estimates["pass@1_sampled"]))

    return min(rows, key=lambda rate: (-figure(rate), rate))


def _answer(solution: StepwiseSolution) -> str | None:
    answer = extract_answer("".join(solution.steps))
    return None if answer is None or answer.source is AnswerSource.SENTENCE else f"\\boxed{{{answer.text}}}"
