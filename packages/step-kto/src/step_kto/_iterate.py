"""The loop: sample, label, build, train, evaluate, and again with the trained model.

Every stage is a run folder of its own, `iteration-K/STAGE-KEY`, whose key is a hash of everything that decides its
result: settings, the hashes of what it reads, and versions. A finished stage is read, a killed one goes on, and a
changed setting gives other keys from its stage on, so that what came before is used again and nothing is overwritten.
`loop.json` says which folders make up the loop of the last recipe; `report.html` shows them.
"""

import gc
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from step_kto._loop_recipe import LoopRecipe, derived_seed
from step_kto._model_folder import identify_model
from step_kto._problems import Problem
from step_kto._stage_build import BUILD_COMMAND, run_build
from step_kto._stage_evaluate import EVALUATE_COMMAND, read_training_judge, run_evaluate
from step_kto._stage_label import LABEL_COMMAND, run_label
from step_kto._stage_sample import PROBLEMS_NAME, SAMPLE_COMMAND, problems_sha256, run_sample
from step_kto._stage_train import MODEL_NAME, TRAIN_COMMAND, run_train
from twllm_engines import load_engine
from twllm_runs import (
    Progress,
    StoredState,
    hash_file,
    installed_versions,
    read_run,
    recipe_to_json,
    run_lock,
    write_json_atomic,
)
from twllm_types import ArtifactError, ConfigError, JsonObject, JsonValue

if TYPE_CHECKING:
    from twllm_runs import StoredRun

StageName: TypeAlias = Literal["sample", "label", "build", "train", "evaluate"]

LOOP_NAME = "loop.json"
LOOP_SCHEMA_VERSION = 1
_KEY_CHARS = 12
_COMMANDS: dict[StageName, str] = {
    "sample": SAMPLE_COMMAND,
    "label": LABEL_COMMAND,
    "build": BUILD_COMMAND,
    "train": TRAIN_COMMAND,
    "evaluate": EVALUATE_COMMAND,
}
_DECIDING_PACKAGES: dict[StageName, tuple[str, ...]] = {
    "sample": ("step-kto", "twllm-engines"),
    "label": ("step-kto", "twllm-engines", "math-verify"),
    "build": ("step-kto",),
    "train": ("step-kto", "torch", "transformers", "trl"),
    "evaluate": ("step-kto", "twllm-engines", "math-verify"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStage:
    """A stage that is done.

    Attributes:
        iteration: from 1; 0 for the evaluation of the start.
        name: which stage.
        folder: relative to the loop's.
        sha256: of its result: samples, solutions, training set, weights.
        num_faults: counted there.
    """

    iteration: int
    name: StageName
    folder: str
    sha256: str
    num_faults: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopRun:
    """What the loop gave.

    Attributes:
        folder: of the loop.
        stages: in the order in which they ran.
        stopped: SIGTERM ended the training; the same command goes on.
    """

    folder: Path
    stages: tuple[LoopStage, ...]
    stopped: bool = False

    @property
    def num_faults(self) -> int:
        """Of all stages."""
        return sum(stage.num_faults for stage in self.stages)

    def hashes(self) -> dict[str, str]:
        """Hash of the result of each stage, by `iteration-K/STAGE`."""
        return {f"iteration-{stage.iteration}/{stage.name}": stage.sha256 for stage in self.stages}


class _StoppedError(Exception):
    """SIGTERM ended a stage."""


def run_iterate(recipe: LoopRecipe, *, output: Path, progress: Progress) -> LoopRun:
    """Run the loop, go on with a killed one, or read a finished one.

    Args:
        recipe: of the loop.
        output: folder of the loop; one of another recipe keeps what both have in common.
        progress: where to report.

    Raises:
        ConfigError: the recipe does not fit model or problems, or the folder holds something else.
        DataError: a stage's data are refused.
        ArtifactError: a stage's folder was changed.
        LockedError: another process works on it.
        EngineError: an engine as a whole failed; the same command goes on.
    """
    from step_kto._report import write_loop_report

    _check_folder(output)
    output.mkdir(parents=True, exist_ok=True)
    with run_lock(output):
        loop = _Loop(recipe, output, progress)
        try:
            loop.run()
        except _StoppedError:
            loop.keep(is_finished=False)
            return LoopRun(folder=output, stages=tuple(loop.stages), stopped=True)
        loop.keep(is_finished=True)
        write_loop_report(output)
    return LoopRun(folder=output, stages=tuple(loop.stages))


def read_loop(folder: Path) -> tuple[LoopRecipe, tuple[LoopStage, ...]]:
    """Read what `loop.json` says: the last recipe and the stages that are done.

    Raises:
        ArtifactError: the folder holds no loop, or a damaged one.
    """
    from twllm_runs import parse_recipe

    path = folder / LOOP_NAME
    try:
        content = cast("JsonObject", json.loads(path.read_text(encoding="utf-8")))
        version = content["schema_version"]
        stages = tuple(LoopStage(**row) for row in cast("list[dict[str, object]]", content["stages"]))  # pyright: ignore[reportArgumentType]
        recipe = parse_recipe(json.dumps(content["recipe"]), LoopRecipe, source=str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); give the folder of step-kto iterate") from error
    if version != LOOP_SCHEMA_VERSION:
        raise ArtifactError(f"{path}: schema_version is {version}, this step-kto reads {LOOP_SCHEMA_VERSION}")
    return recipe, stages


class _Loop:
    """One run of the loop: what is done so far."""

    def __init__(self, recipe: LoopRecipe, output: Path, progress: Progress) -> None:
        self._recipe = recipe
        self._output = output
        self._progress = progress
        self.stages: list[LoopStage] = []

    def run(self) -> None:
        recipe = self._recipe
        problems = recipe.problems.load()
        evaluated = None if recipe.evaluation_problems is None else recipe.evaluation_problems.load()
        if evaluated is not None:
            _refuse_overlap(problems, evaluated)
        model = recipe.model
        if evaluated is not None and recipe.evaluate_start:
            self._evaluate(0, model, evaluated)
        for iteration in range(1, recipe.iterations + 1):
            samples = self._sample(iteration, model, recipe.problems_of(iteration, problems))
            labelled = self._label(iteration, samples)
            built = self._build(iteration, labelled)
            model = self._train(iteration, built, model)
            if evaluated is not None:
                self._evaluate(iteration, model, evaluated)

    def keep(self, *, is_finished: bool) -> None:
        """Write `loop.json`."""
        write_json_atomic(
            self._output / LOOP_NAME,
            {
                "schema_version": LOOP_SCHEMA_VERSION,
                "is_finished": is_finished,
                "recipe": recipe_to_json(self._recipe),
                "stages": [cast("JsonValue", asdict(stage)) for stage in self.stages],
            },
        )

    def _sample(self, iteration: int, model: str, problems: tuple[Problem, ...]) -> Path:
        settings = self._recipe.sample_of(iteration)
        decides: JsonObject = {
            "sample": settings.to_json(),
            "problems": problems_sha256(problems),
            **self._model_key(model),
        }

        def work(folder: Path) -> None:
            with load_engine(self._recipe.engine_of(model)) as engine:
                run_sample(engine, problems, settings, output=folder, progress=self._progress)

        return self._stage(iteration, "sample", decides, work)

    def _label(self, iteration: int, samples: Path) -> Path:
        decides: JsonObject = {
            "label": recipe_to_json(self._recipe.label),
            "samples": self.stages[-1].sha256,
            # A reference that a judge sees may change where no sample does.
            "problems": hash_file(samples / PROBLEMS_NAME),
        }

        def work(folder: Path) -> None:
            run_label(samples, self._recipe.label, output=folder, progress=self._progress)

        return self._stage(iteration, "label", decides, work)

    def _build(self, iteration: int, labelled: Path) -> Path:
        seed = derived_seed(self._recipe.seed, "build", iteration)
        decides: JsonObject = {
            "build": recipe_to_json(self._recipe.build),
            "solutions": self.stages[-1].sha256,
            "judge": recipe_to_json(self._recipe.label.judge),
            "seed": seed,
        }

        def work(folder: Path) -> None:
            run_build(labelled, self._recipe.build, seed=seed, output=folder)

        return self._stage(iteration, "build", decides, work)

    def _train(self, iteration: int, built: Path, model: str) -> str:
        recipe, settings = self._recipe, self._recipe.train_of(iteration)
        reference = recipe.model if recipe.reference == "initial" and iteration > 1 else None
        decides: JsonObject = {
            "train": recipe_to_json(settings),
            "data": self.stages[-1].sha256,
            "judge": recipe_to_json(recipe.label.judge),
            "model": _identity(model),
            "reference": None if reference is None else _identity(reference),
        }

        def work(folder: Path) -> None:
            done = run_train(built, model, settings, output=folder, progress=self._progress, reference=reference)
            _free_memory()
            if done.stopped:
                raise _StoppedError

        return str(self._stage(iteration, "train", decides, work) / MODEL_NAME)

    def _evaluate(self, iteration: int, model: str, problems: tuple[Problem, ...]) -> None:
        settings = self._recipe.evaluate_settings()
        judge = read_training_judge(model)
        decides: JsonObject = {
            "evaluate": recipe_to_json(settings),
            "problems": problems_sha256(problems),
            "training_judge": cast("JsonValue", None if judge is None else dict(judge)),
            **self._model_key(model),
        }

        def work(folder: Path) -> None:
            with load_engine(self._recipe.engine_of(model)) as engine:
                run_evaluate(engine, problems, settings, output=folder, progress=self._progress, training_judge=judge)

        self._stage(iteration, "evaluate", decides, work)

    def _stage(
        self, iteration: int, name: StageName, decides: Mapping[str, JsonValue], work: Callable[[Path], None]
    ) -> Path:
        """Carry out a stage unless it is done, and note it."""
        key = _stage_key(name, decides)
        folder = Path(f"iteration-{iteration}") / f"{name}-{key}"
        stored = _finished(self._output / folder)
        if stored is None:
            work(self._output / folder)
            stored = read_run(self._output / folder)
        if stored.manifest.command != _COMMANDS[name] or stored.summary is None:
            raise ArtifactError(f"{self._output / folder}: holds no finished run of {_COMMANDS[name]}; delete it")
        stage = LoopStage(
            iteration=iteration,
            name=name,
            folder=folder.as_posix(),
            sha256=_result_sha256(name, stored.summary),
            num_faults=stored.num_faults,
        )
        if name == "train":
            _check_model(self._output / folder / MODEL_NAME, stage.sha256)
        self.stages.append(stage)
        self.keep(is_finished=False)
        return self._output / folder

    def _model_key(self, model: str) -> JsonObject:
        return {"model": _identity(model), "engine": self._recipe.engine}


def _stage_key(name: StageName, decides: Mapping[str, JsonValue]) -> str:
    content = {
        "stage": name,
        "decides": dict(decides),
        "packages": installed_versions(_DECIDING_PACKAGES[name]),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_KEY_CHARS]


def _finished(folder: Path) -> "StoredRun | None":
    if not (folder / "run.json").is_file():
        return None
    stored = read_run(folder)
    return stored if stored.state is StoredState.FINISHED else None


def _result_sha256(name: StageName, summary: JsonObject) -> str:
    if name == "train":
        return cast("dict[str, str]", summary["model_sha256"])["weights"]
    keys = {"sample": "samples_sha256", "build": "train_sha256"}
    return str(summary[keys.get(name, "solutions_sha256")])


def _identity(model: str) -> JsonObject:
    """A model by its content where it can be seen, else by its name."""
    identity = identify_model(model)
    return dict(identity.sha256) if identity.sha256 else {"name": identity.spec}


def _check_model(folder: Path, sha256: str) -> None:
    found = identify_model(str(folder)).sha256.get("weights")
    if found != sha256:
        raise ArtifactError(f"{folder}: was changed since the stage wrote it; restore it, or delete {folder.parent}")


def _refuse_overlap(problems: tuple[Problem, ...], evaluated: tuple[Problem, ...]) -> None:
    shared = {problem.prompt for problem in problems} & {problem.prompt for problem in evaluated}
    if shared:
        raise ConfigError(
            f"{len(shared)} problems are both trained on and evaluated on, such as {min(shared)[:60]!r}; "
            "give problems apart"
        )


def _check_folder(output: Path) -> None:
    if output.is_file():
        raise ConfigError(f"{output}: is a file; give a folder as --output")
    if not output.exists() or (output / LOOP_NAME).exists():
        return
    foreign = [
        path.name for path in output.iterdir() if path.name != ".lock" and not path.name.startswith("iteration-")
    ]
    if foreign:
        raise ConfigError(f"{output}: holds files (such as {min(foreign)!r}) but no {LOOP_NAME}; give a new folder")


def _free_memory() -> None:
    """Give back what a trainer held, so that the next engine has room."""
    import torch

    gc.collect()
    if torch.cuda.is_available():  # pragma: no cover - on machines with a GPU
        torch.cuda.empty_cache()
