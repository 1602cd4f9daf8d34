"""One recipe, several models, one page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tmlu_bench import load_questions
from tmlu_bench.exam import CompareOptions, ExamRun, ExamSettings, run_exam, write_report
from twllm_engines import load_engine
from twllm_runs import Progress, load_recipe
from twllm_types import ConfigError

LEADERBOARD_NAME = "leaderboard.html"
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


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
    progress: Progress,
    retry_errors: bool = False,
    exclude_errors: bool = False,
) -> dict[str, ExamRun]:
    """Run the exam of every model, one after the other, then write the leaderboard; what is finished is kept.

    Args:
        recipe: what is asked of whom.
        base: folder at which relative paths of the recipe start.
        output: folder of the runs and the page.
        progress: where to report.
        retry_errors: put items again that ended in error.
        exclude_errors: leave questions with errors out of the figures and the comparison, which say so.

    Raises:
        TwllmError: as `tmlu_bench.exam.run_exam`; or, at the end, errors of some model withhold the comparison.
    """
    local = base / recipe.data
    questions = load_questions(str(local) if local.exists() else recipe.data)
    exams: dict[str, ExamRun] = {}
    for name, spec in recipe.models.items():
        with load_engine(spec, base=base) as engine:
            exams[name] = run_exam(
                engine,
                questions,
                recipe.exam,
                output=output / name,
                progress=progress,
                retry_errors=retry_errors,
                exclude_errors=exclude_errors,
            )
    options = CompareOptions(exclude_errors=exclude_errors, seed=recipe.exam.seed)
    write_report([output / name for name in recipe.models], output / LEADERBOARD_NAME, options=options)
    return exams
