"""What decides the result of a curation, as one frozen tree."""

from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from pathlib import Path

from tw_corpus._rules import QualityRules
from tw_corpus.readers import ReadOptions
from twllm_runs import load_recipe, parse_recipe
from twllm_types import ConfigError


class OutputFormat(StrEnum):
    """Format of the final shards."""

    PARQUET = "parquet"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLimits:
    """How inputs are cut into tasks (see `plan_tasks`).

    Attributes:
        target_bytes: aim for the input bytes of one task.
        max_files: most files in one task.

    Raises:
        ConfigError: a limit is not positive.
    """

    target_bytes: int = 64 * 1024 * 1024
    max_files: int = 2_000

    def __post_init__(self) -> None:
        for name in ("target_bytes", "max_files"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; give a number > 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactDedup:
    """Exact deduplication.

    Attributes:
        num_buckets: parts of the hash space that are searched apart; more need less memory each.

    Raises:
        ConfigError: there is no bucket.
    """

    num_buckets: int = 1

    def __post_init__(self) -> None:
        if self.num_buckets < 1:
            raise ConfigError(f"num_buckets is {self.num_buckets}; give a number >= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurationRecipe:
    """A curation.

    Attributes:
        description: one line for people.
        reading: how records are read, decoded and extracted.
        strip_boilerplate: remove common boilerplate lines before measuring.
        rules: thresholds of the quality filter.
        exact_dedup: how exact duplicates are found; None keeps them.
        output_format: of the final shards.
        tasks: how inputs are cut into tasks.
        hash_inputs: put a hash of every input into the manifest; False compares names and sizes only, for inputs that
            are too large to be read twice.
    """

    description: str = ""
    reading: ReadOptions = field(default_factory=ReadOptions)
    strip_boilerplate: bool = True
    rules: QualityRules = field(default_factory=QualityRules)
    exact_dedup: ExactDedup | None = field(default_factory=ExactDedup)
    output_format: OutputFormat = OutputFormat.PARQUET
    tasks: TaskLimits = field(default_factory=TaskLimits)
    hash_inputs: bool = True


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that ship with the package, sorted."""
    folder = resources.files("tw_corpus") / "recipes"
    return tuple(sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".yaml")))


def load_curation_recipe(name_or_path: str) -> CurationRecipe:
    """Load a shipped recipe by name, or a YAML file by path.

    Raises:
        ConfigError: no such recipe, an unknown key, or an impossible value; the message names the key.
    """
    if name_or_path in recipe_names():
        text = (resources.files("tw_corpus") / "recipes" / f"{name_or_path}.yaml").read_text(encoding="utf-8")
        return parse_recipe(text, CurationRecipe, source=f"recipe {name_or_path!r}")
    path = Path(name_or_path)
    if not path.is_file():
        raise ConfigError(
            f"recipe {name_or_path!r} is neither a file nor one of {', '.join(recipe_names())}; give one of them"
        )
    return load_recipe(path, CurationRecipe)
