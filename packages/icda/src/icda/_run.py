"""The whole run: generate, score, select, train.

Every stage is a run folder of its own, `STAGE-KEY`, whose key is a hash of everything that decides its result:
settings, the rows and files it reads, and versions. A finished stage is read, a killed one goes on, and a changed
setting gives other keys from its stage on, so that what came before is used again and nothing is overwritten.
`icda.json` says which folders make up the run of the last recipe; `report.html` shows them.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, cast

from icda._candidates import Candidate
from icda._generate import GenerateRun, generate_parameters, read_generated, run_generate
from icda._given_pool import CleanedPool, clean_pool
from icda._recipe import IcdaRecipe
from icda._recipe_classifier import ClassifierSettings, MadeClassifier, make_classifier
from icda._review import REVIEW_NAME, ReviewRow, read_review, review_changes
from icda._run_data import RunData, load_run_data
from icda._run_inputs import DECISIVE_PACKAGES, engine_key, rows_sha256
from icda._run_score import ScoreRun, read_scored, run_score, score_parameters
from icda._run_select import SelectRun, read_selected, run_select, select_parameters
from icda._run_train import TrainRun, read_trained, run_train, train_parameters
from icda._train_settings import TrainDraw
from twllm_engines import Engine, load_engine
from twllm_runs import (
    Progress,
    StoredState,
    installed_versions,
    parse_recipe,
    read_run,
    recipe_to_json,
    run_lock,
    write_json_atomic,
)
from twllm_types import ArtifactError, ConfigError, DataError, JsonObject, JsonValue

StageName: TypeAlias = Literal["generate", "score", "select", "train"]

RUN_NAME = "icda.json"
RUN_SCHEMA_VERSION = 1
_KEY_CHARS = 12
_STAGES: tuple[StageName, ...] = ("generate", "score", "select", "train")
_DECIDING_PACKAGES: dict[StageName, tuple[str, ...]] = {
    "generate": (*DECISIVE_PACKAGES, "twllm-engines"),
    "score": (*DECISIVE_PACKAGES, "numpy", "scikit-learn", "torch", "transformers"),
    "select": DECISIVE_PACKAGES,
    "train": (*DECISIVE_PACKAGES, "numpy", "scikit-learn", "torch", "transformers"),
}
_RESULT_OF: dict[StageName, str] = {
    "generate": "generated",
    "score": "scored",
    "select": "selected",
    "train": "trained",
}
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class IcdaDraw:
    """A draw beside the first.

    Attributes:
        stages: folder of each stage that is done and that it does not share with the first, relative to the run's.
        num_faults: requests of its generation that the engine failed.
    """

    stages: Mapping[StageName, str]
    num_faults: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IcdaRun:
    """What a whole run gave; a stage that was not reached is None.

    Attributes:
        folder: of the run.
        stages: folder of each stage that is done, relative to the run's, in order.
        generated: None also where the candidates come from a pool.
        scored: scores of all candidates.
        selected: decisions.
        trained: results on the test.
        more_draws: the further draws that the training has seen, or will.
    """

    folder: Path
    stages: Mapping[StageName, str]
    generated: GenerateRun | None = None
    scored: ScoreRun | None = None
    selected: SelectRun | None = None
    trained: TrainRun | None = None
    more_draws: tuple[IcdaDraw, ...] = ()

    @property
    def num_faults(self) -> int:
        """Requests that the engine failed, in all draws."""
        own = 0 if self.generated is None else self.generated.num_faults
        return own + sum(draw.num_faults for draw in self.more_draws)


def run_icda(
    recipe: IcdaRecipe,
    *,
    output: Path,
    progress: Progress,
    engine: Engine | None = None,
    until: StageName = "train",
    retry_failures: bool = False,
) -> IcdaRun:
    """Run all stages, go on with a killed run, or read a finished one.

    Before the training, `review.csv` of the selection is read back: where somebody has edited it, an arm `reviewed`
    is trained, too.

    Args:
        recipe: of the run.
        output: folder; one of another recipe keeps what both have in common.
        progress: where to report.
        engine: that generates; None loads the recipe's, and only where something is left to generate.
        until: the last stage to run; without test rows there is no training anyway.
        retry_failures: ask again for what the engine failed.

    Raises:
        ConfigError: the recipe cannot be used, or the folder holds something else.
        DataError: rows cannot be used, a guard stops, or the sheet cannot be meant.
        ArtifactError: a stage's folder was changed.
        LockedError: another process works on it.
        EngineError: the engine as a whole failed; the same command goes on.
    """
    from icda._report import write_run_report

    _check_folder(output)
    output.mkdir(parents=True, exist_ok=True)
    with run_lock(output):
        work = _Work(recipe, output, progress, engine)
        try:
            work.run(until, retry_failures=retry_failures)
        except DataError:
            # What came before a guard that stops is what explains it.
            if work.result.stages:
                write_run_report(work.result, recipe)
            raise
        write_run_report(work.result, recipe)
    return work.result


def read_icda(folder: Path) -> tuple[IcdaRecipe, IcdaRun]:
    """Read what `icda.json` says: the last recipe, and its stages that are done.

    Raises:
        ArtifactError: the folder holds no run, a damaged one, or stages that were changed.
    """
    path = folder / RUN_NAME
    try:
        content = cast("JsonObject", json.loads(path.read_text(encoding="utf-8")))
        version = content["schema_version"]
        stages = cast("dict[StageName, str]", content["stages"])
        draws = cast("list[dict[StageName, str]]", content["more_draws"])
        recipe = parse_recipe(json.dumps(content["recipe"]), IcdaRecipe, source=str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); give the folder of icda run") from error
    if version != RUN_SCHEMA_VERSION:
        raise ArtifactError(f"{path}: schema_version is {version}, this icda reads {RUN_SCHEMA_VERSION}")

    def read(name: StageName, reader: Callable[[Path], _Result]) -> _Result | None:
        return reader(folder / stages[name]) if name in stages else None

    return recipe, IcdaRun(
        folder=folder,
        stages=stages,
        more_draws=tuple(_read_draw(folder, draw) for draw in draws),
        generated=read("generate", read_generated),
        scored=read("score", read_scored),
        selected=read("select", read_selected),
        trained=read("train", read_trained),
    )


def _read_draw(folder: Path, stages: Mapping[StageName, str]) -> IcdaDraw:
    name = stages.get("generate")
    return IcdaDraw(stages=stages, num_faults=0 if name is None else read_generated(folder / name).num_faults)


class _Work:
    """One run: what is done so far."""

    def __init__(self, recipe: IcdaRecipe, output: Path, progress: Progress, engine: Engine | None) -> None:
        self._recipe = recipe
        self._output = output
        self._progress = progress
        self._engine = engine
        self._cache = output / "embeddings"
        self._classifiers: dict[ClassifierSettings, MadeClassifier] = {}
        self._first: tuple[RunData, ScoreRun] | None = None
        self.result = IcdaRun(folder=output, stages={})

    def run(self, until: StageName, *, retry_failures: bool) -> None:
        """Carry out the stages one by one, draw by draw; `result` says what is done."""
        wanted = _STAGES[: _STAGES.index(until) + 1]
        if "score" in wanted:
            # what cannot work is refused before a generation is paid for
            self._recipe.thresholds.source(load_run_data(self._recipe.data))
            self._made(self._recipe.classifier)
        draws: list[TrainDraw] = []
        for number in range(self._recipe.train.draws):
            drawn = self._score_draw(number, wanted, retry_failures=retry_failures)
            if drawn is not None and "select" in wanted:
                data, scored = drawn
                draws.append(TrainDraw(data=data, selection=self._select(number, scored)))
        if "train" in wanted and draws[0].data.test:
            self._train(draws)

    def _score_draw(
        self, number: int, wanted: Sequence[StageName], *, retry_failures: bool
    ) -> tuple[RunData, ScoreRun] | None:
        """Carry out a draw up to its scores; None where those are not wanted."""
        recipe = self._recipe
        if number and recipe.data.num_shots is None:
            # nothing before the selection is drawn
            return self._first
        data = load_run_data(replace(recipe.data, shots_seed=recipe.data.shots_seed + number))
        if data.candidates is None:
            candidates = self._generate(number, data, retry_failures=retry_failures).candidates
        else:
            candidates = clean_pool(data, recipe.generate.clean)
        if "score" not in wanted:
            return None
        drawn = data, self._score(number, data, candidates)
        self._first = self._first or drawn
        return drawn

    def keep(self) -> None:
        """Write `icda.json`."""
        write_json_atomic(
            self._output / RUN_NAME,
            {
                "schema_version": RUN_SCHEMA_VERSION,
                "recipe": recipe_to_json(self._recipe),
                "stages": cast("JsonValue", dict(self.result.stages)),
                "more_draws": cast("JsonValue", [dict(draw.stages) for draw in self.result.more_draws]),
            },
        )

    def _generate(self, number: int, data: RunData, *, retry_failures: bool) -> GenerateRun:
        recipe = self._recipe
        folder = self._folder("generate", self._generate_decides(data))
        if not retry_failures and _is_finished(folder):
            generated = read_generated(folder)
        else:
            with nullcontext(self._engine) if self._engine is not None else load_engine(recipe.engine or "") as engine:
                generated = run_generate(
                    engine,
                    data,
                    recipe.generate,
                    seed=recipe.seed,
                    output=folder,
                    progress=self._progress,
                    retry_failures=retry_failures,
                )
        self._done(number, "generate", folder, generated)
        return generated

    def _generate_decides(self, data: RunData) -> JsonObject:
        recipe = self._recipe
        if self._engine is not None:
            parameters = generate_parameters(self._engine, data, recipe.generate)
            return {**parameters, "model": dict(self._engine.identity.sha256), "seed": recipe.seed}
        if recipe.engine is None:
            raise ConfigError(
                "the recipe names no engine to generate with; give --engine, or a pool as data.candidates"
            )
        return {
            "generate": recipe_to_json(recipe.generate),
            "seeds_sha256": rows_sha256(data.seeds),
            "test_sha256": rows_sha256((*data.test, *data.out_of_scope)),
            "engine": engine_key(recipe.engine),
            "seed": recipe.seed,
        }

    def _score(self, number: int, data: RunData, candidates: tuple[Candidate, ...] | CleanedPool) -> ScoreRun:
        job = self._recipe.score_job
        made = self._made(job.classifier)
        folder = self._folder("score", score_parameters(data, candidates, job, made))
        scored = run_score(data, candidates, job, output=folder, progress=self._progress, made=made)
        self._done(number, "score", folder, scored)
        return scored

    def _select(self, number: int, scored: ScoreRun) -> SelectRun:
        job = self._recipe.select_job
        job = replace(job, rules=replace(job.rules, seed=job.rules.seed + number))
        folder = self._folder("select", {**select_parameters(scored, job), "seed": job.rules.seed})
        selected = run_select(scored, job, output=folder)
        self._done(number, "select", folder, selected)
        return selected

    def _train(self, draws: Sequence[TrainDraw]) -> None:
        job = self._recipe.train_job
        data, selected, more = draws[0].data, draws[0].selection, draws[1:]
        edited = _edited(selected, data)
        made = self._made(job.train.classifier or job.classifier)
        folder = self._folder("train", train_parameters(data, selected, job, made, edited, more_draws=more))
        trained = run_train(
            data,
            selected,
            job,
            output=folder,
            progress=self._progress,
            review=None if edited is None else selected.folder / REVIEW_NAME,
            more_draws=more,
            made=made,
        )
        self._done(0, "train", folder, trained)

    def _made(self, settings: ClassifierSettings) -> MadeClassifier:
        """The classifier of settings; a model is loaded and hashed once for all stages and draws."""
        if settings not in self._classifiers:
            self._classifiers[settings] = make_classifier(settings, cache=self._cache)
        return self._classifiers[settings]

    def _folder(self, name: StageName, decides: Mapping[str, JsonValue]) -> Path:
        content = {"stage": name, "decides": dict(decides), "packages": installed_versions(_DECIDING_PACKAGES[name])}
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_KEY_CHARS]
        return self._output / f"{name}-{key}"

    def _done(
        self, number: int, name: StageName, folder: Path, result: GenerateRun | ScoreRun | SelectRun | TrainRun
    ) -> None:
        if number == 0:
            values = cast("dict[str, Any]", {_RESULT_OF[name]: result})
            self.result = replace(self.result, stages={**self.result.stages, name: folder.name}, **values)
        else:
            # the pages show the first draw; of the others the training keeps what counts
            known = (*self.result.more_draws, IcdaDraw(stages={}))[number - 1]
            faults = result.num_faults if isinstance(result, GenerateRun) else known.num_faults
            draw = IcdaDraw(stages={**known.stages, name: folder.name}, num_faults=faults)
            self.result = replace(self.result, more_draws=(*self.result.more_draws[: number - 1], draw))
        self.keep()


def _edited(selected: SelectRun, data: RunData) -> tuple[ReviewRow, ...] | None:
    """What people made of the sheet; None where they changed nothing."""
    written = selected.review_rows
    edited = read_review(selected.folder / REVIEW_NAME, written=written, intents=data.intents)
    return None if review_changes(written, edited).is_empty else edited


def _is_finished(folder: Path) -> bool:
    return (folder / "run.json").is_file() and read_run(folder).state is StoredState.FINISHED


def _check_folder(output: Path) -> None:
    if output.is_file():
        raise ConfigError(f"{output}: is a file; give a folder as --output")
    if not output.exists() or (output / RUN_NAME).exists():
        return
    starts = tuple(f"{name}-" for name in _STAGES)
    known = (".", "embeddings", *starts)
    foreign = [path.name for path in output.iterdir() if not path.name.startswith(known)]
    if foreign:
        raise ConfigError(f"{output}: holds files (such as {min(foreign)!r}) but no {RUN_NAME}; give a new folder")
