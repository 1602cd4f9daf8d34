"""What decides the result of a curation, as one frozen tree."""

from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from pathlib import Path

from tw_corpus._contamination import DecontaminationOptions
from tw_corpus._execution_options import ExecutionOptions
from tw_corpus._minhash import MinHashOptions
from tw_corpus._paragraphs import ParagraphOptions
from tw_corpus._pii import PiiKind, RedactMode
from tw_corpus._plugin_measure import PluginMeasure, check_names
from tw_corpus._rules import QualityRules
from tw_corpus._variant_options import VariantOptions
from tw_corpus.readers import ReadOptions
from twllm_runs import load_recipe, parse_recipe, recipe_to_json
from twllm_types import ConfigError, JsonValue

_MAX_BUCKETS = 1024
_MOST_INT = 2**63 - 1


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
class PiiOptions:
    """What becomes of personal data.

    Attributes:
        mode: mask, pseudonymise or tag, as in `tw_corpus.redact`.
        kinds: which ones.
        key_file: key of mode `pseudonymise`; its name goes into the manifest, never its content.

    Raises:
        ConfigError: mode `pseudonymise` without a key file, or no kind.
    """

    mode: RedactMode = RedactMode.MASK
    kinds: tuple[PiiKind, ...] = tuple(PiiKind)
    key_file: Path | None = None

    def __post_init__(self) -> None:
        if self.mode is RedactMode.PSEUDONYMISE and self.key_file is None:
            raise ConfigError("mode is pseudonymise, which needs a key; name a file of random bytes in key_file")
        if not self.kinds:
            raise ConfigError("kinds is empty; name some, or leave personal data as it is with pii: null")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurationRecipe:
    """A curation.

    Attributes:
        description: one line for people.
        reading: how records are read, decoded and extracted.
        strip_boilerplate: remove common boilerplate lines before measuring.
        rules: thresholds of the quality filter.
        pii: what becomes of personal data; None leaves them.
        decontamination: how benchmark items are looked for, where the command names benchmarks.
        variants: how the variety of each document is noted, and which ones stay; None does not look.
        measures: plug-in measures in the order in which they are asked.
        repeated_paragraphs: which paragraphs that many documents share are removed; None keeps them.
        exact_dedup: whether exact duplicates are dropped.
        near_dedup: how near-duplicates are found; None keeps them.
        search_buckets: parts of the hash space that are searched apart for exact duplicates and paragraphs; more need
            less memory each, 1 to 1,024; a task writes a file for each.
        output_format: of the final shards.
        tasks: how inputs are cut into tasks.
        hash_inputs: put a hash of every input into the manifest; False compares names and sizes only, for inputs that
            are too large to be read twice.
        execution: where tasks run; it is recorded, and never decides the result nor which run may be continued.

    Raises:
        ConfigError: a number is out of its range, or two plug-in measures share a name.
    """

    description: str = ""
    reading: ReadOptions = field(default_factory=ReadOptions)
    strip_boilerplate: bool = True
    rules: QualityRules = field(default_factory=QualityRules)
    pii: PiiOptions | None = field(default_factory=PiiOptions)
    decontamination: DecontaminationOptions = field(default_factory=DecontaminationOptions)
    variants: VariantOptions | None = field(default_factory=VariantOptions)
    measures: tuple[PluginMeasure, ...] = ()
    repeated_paragraphs: ParagraphOptions | None = None
    exact_dedup: bool = True
    near_dedup: MinHashOptions | None = field(default_factory=MinHashOptions)
    search_buckets: int = 1
    output_format: OutputFormat = OutputFormat.PARQUET
    tasks: TaskLimits = field(default_factory=TaskLimits)
    hash_inputs: bool = True
    execution: ExecutionOptions = field(default_factory=ExecutionOptions)

    def __post_init__(self) -> None:
        _check_integers(recipe_to_json(self), "")
        if not 1 <= self.search_buckets <= _MAX_BUCKETS:
            raise ConfigError(f"search_buckets is {self.search_buckets}; give a number from 1 to {_MAX_BUCKETS:,}")
        check_names(self.measures)


def _check_integers(value: JsonValue, name: str) -> None:
    """Refuse an integer that the result could not hold.

    Raises:
        ConfigError: one has more than 64 bits.
    """
    if isinstance(value, dict):
        for key, part in value.items():
            _check_integers(part, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for part in value:
            _check_integers(part, name)
    elif isinstance(value, int) and abs(value) > _MOST_INT:
        raise ConfigError(f"{name} has more than 64 bits; give a number up to 2^63 - 1")


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
