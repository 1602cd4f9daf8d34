"""One recipe, several models, one page."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from tmlu_bench import load_questions
from tmlu_bench.exam import CompareOptions, ExamRun, ExamSettings, plan_exam, run_exam, write_leaderboard, write_report
from twllm_engines import load_engine
from twllm_runs import Progress, load_recipe
from twllm_types import ConfigError, RunError, TwllmError

LEADERBOARD_NAME = "leaderboard.html"
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


Told = Callable[[str, "ExamRun | TwllmError"], None]
"""Called with a model's name and its exam, or why it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRecipe:
    """What is asked of whom.

    Attributes:
        data: folder or file of questions, or id of a data set of the hub.
        models: name, which is also the folder's, to engine spec.
        exam: how it is asked, the same for all.

    Raises:
        ConfigError: there is no model, or a name cannot be a folder.
    """

    data: str
    models: Mapping[str, str]
    exam: ExamSettings = field(default_factory=ExamSettings)

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("models is empty; name at least one, 'my-model: hf:models/my-model'")
        for name in self.models:
            if not _FOLDER_NAME.fullmatch(name) or name == LEADERBOARD_NAME:
                raise ConfigError(f"model name {name!r} is no folder name; use letters, digits, '.', '_' and '-'")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRun:
    """What became of the models of a recipe.

    Attributes:
        exams: model to its exam, in the order of the recipe.
        failed: model to why it has none.
        left_out: model to why it is in no paired difference.
    """

    exams: Mapping[str, ExamRun]
    failed: Mapping[str, str]
    left_out: Mapping[str, str]

    @property
    def has_faults(self) -> bool:
        """Whether something is missing: a model, a pair, an answer, or a row of the data."""
        return bool(self.failed or self.left_out) or any(exam.num_faults for exam in self.exams.values())


def load_bench_recipe(path: Path) -> BenchRecipe:
    """Read a recipe.

    Raises:
        ConfigError: it cannot be read, or a value is off; the message names file, line and key.
    """
    return load_recipe(path, BenchRecipe)


def run_bench(
    recipe: BenchRecipe,
    *,
    base: Path,
    output: Path,
    open_display: Callable[[], AbstractContextManager[Progress]],
    tell: Told,
    retry_errors: bool = False,
    exclude_errors: bool = False,
) -> BenchRun:
    """Run the exam of every model, one after the other, then write the leaderboard; what is finished is kept.

    A model that cannot be loaded or does not come to its end is named on the page, and the next one is asked.

    Args:
        recipe: what is asked of whom.
        base: folder at which relative paths of the recipe start.
        output: folder of the runs and the page.
        open_display: where each exam reports its progress.
        tell: called as soon as a model is done with.
        retry_errors: put items again that ended in error.
        exclude_errors: leave questions with errors out of the figures and the comparison, which say so.

    Raises:
        TwllmError: the data cannot be used or do not fit the exam, or the page cannot be written.
        RunError: no model came to the end of its exam.
    """
    local = base / recipe.data
    questions = load_questions(str(local) if local.exists() else recipe.data)
    # What no model can be asked is an error before the first is loaded.
    plan_exam(questions, recipe.exam)
    exams: dict[str, ExamRun] = {}
    failed: dict[str, str] = {}
    for name, spec in recipe.models.items():
        try:
            with load_engine(spec, base=base) as engine, open_display() as progress:
                exams[name] = run_exam(
                    engine,
                    questions,
                    recipe.exam,
                    output=output / name,
                    progress=progress,
                    retry_errors=retry_errors,
                    exclude_errors=exclude_errors,
                )
        except TwllmError as error:
            failed[name] = str(error)
            tell(name, error)
        else:
            tell(name, exams[name])
    if not exams:
        reasons = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise RunError(f"no model came to the end of its exam ({reasons}); mend the recipe and run it again")
    options = CompareOptions(exclude_errors=exclude_errors, seed=recipe.exam.seed)
    paths, page = [output / name for name in exams], output / LEADERBOARD_NAME
    left_out: dict[str, str] = {}
    if len(recipe.models) == 1:
        write_report(paths, page, options=options)
    else:
        left_out = write_leaderboard(paths, page, options=options, failed=failed)
    return BenchRun(exams=exams, failed=failed, left_out=left_out)
