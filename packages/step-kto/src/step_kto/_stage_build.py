"""The stage that builds a training set of labelled solutions.

The folder holds `run.json`, `train.jsonl` (the on-disk step format) and `summary.json`: how many were left out and why,
labels per level, and the weights that would balance them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from step_kto._data import write_solutions
from step_kto._labels import LabelCounts, SolutionCounts, count_labels, suggest_weights
from step_kto._selection import Candidate, Selection, SelectionRules, select_solutions
from step_kto._stage_inputs import stage_input
from step_kto._stage_label import LABEL_COMMAND, SOLUTIONS_NAME, LabelledSolution, read_labelled
from twllm_runs import RunState, hash_file, open_run, read_run, recipe_to_json
from twllm_types import ArtifactError, DataError, JsonObject, JsonValue

BUILD_COMMAND = "step-kto build"
TRAIN_NAME = "train.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRun:
    """What the stage gave.

    Attributes:
        folder: of the run.
        state: what was found in it.
        summary: counts, as in `summary.json`.
    """

    folder: Path
    state: RunState
    summary: JsonObject

    @property
    def num_solutions(self) -> int:
        """Solutions that are trained on."""
        return cast("int", self.summary["num_solutions"])


def run_build(labelled: Path, rules: SelectionRules, *, seed: int, output: Path) -> BuildRun:
    """Build the set, or read a finished one.

    Args:
        labelled: folder of a finished `step-kto label`.
        rules: what is left out.
        seed: of the draws.
        output: folder of the run.

    Raises:
        ArtifactError: `labelled` holds no finished run of that command, or `output` another run.
        DataError: no solution is left.
        LockedError: another process works on it.
    """
    stored = read_run(labelled)
    if stored.manifest.command != LABEL_COMMAND or stored.summary is None:
        raise ArtifactError(f"{labelled}: holds no finished run of {LABEL_COMMAND}; finish that first")
    solutions_sha256 = str(stored.summary["solutions_sha256"])
    solutions = read_labelled(labelled / SOLUTIONS_NAME, sha256=solutions_sha256)
    with open_run(
        output,
        command=BUILD_COMMAND,
        parameters={"build": recipe_to_json(rules), "step_judge": stored.summary["step_judge"]},
        inputs=[stage_input(labelled, SOLUTIONS_NAME, solutions_sha256)],
        seed=seed,
        decisive_packages=("step-kto",),
    ) as run:
        if run.state is RunState.FINISHED:
            return BuildRun(folder=output, state=run.state, summary=run.result)
        if not solutions:
            raise DataError(
                f"{labelled}: holds no solution, as every sample failed or was blank; see its samples.jsonl"
            )
        selection = select_solutions([_candidate(one) for one in solutions], rules, seed=seed)
        if not selection.kept:
            reasons = ", ".join(f"{count} {reason}" for reason, count in selection.counts.items() if count)
            raise DataError(f"{labelled}: no solution is left to train on ({reasons or 'none'}); loosen the rules")
        summary = _build_summary(solutions, selection) | {"step_judge": stored.summary["step_judge"]}
        kept = [solutions[place].solution for place in selection.kept]
        write_solutions(output / TRAIN_NAME, kept)
        run.finish(summary | {"train_sha256": hash_file(output / TRAIN_NAME)})
        return BuildRun(folder=output, state=run.state, summary=run.result)


def _candidate(labelled: LabelledSolution) -> Candidate:
    return Candidate(
        prompt=labelled.solution.prompt,
        number=labelled.number,
        text="".join(labelled.solution.steps),
        outcome=labelled.solution.outcome,
        is_truncated=labelled.finish_reason == "length",
    )


def _build_summary(solutions: Sequence[LabelledSolution], selection: Selection) -> JsonObject:
    counts = count_labels([solutions[place].solution for place in selection.kept])
    return {
        "num_labelled": len(solutions),
        "num_solutions": len(selection.kept),
        "num_prompts": selection.num_prompts,
        "left_out": cast("JsonValue", selection.counts),
        **counts_json(counts),
        "suggested_weights": {"outcome": _suggested(counts.outcomes), "step": _suggested(counts.steps)},
    }


def counts_json(counts: SolutionCounts) -> JsonObject:
    """Labels per level."""
    levels = {"outcomes": counts.outcomes, "steps": counts.steps}
    return {
        name: {"right": level.num_right, "wrong": level.num_wrong, "unknown": level.num_unknown}
        for name, level in levels.items()
    }


def _suggested(counts: LabelCounts) -> JsonValue:
    try:
        return cast("JsonValue", asdict(suggest_weights(counts)))
    except DataError:
        # One class alone has no weight; whether it can be trained on is the trainer's to say.
        return None
