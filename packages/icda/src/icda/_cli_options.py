"""Options that several commands share, as the command line gives them; nothing heavy is imported before their use."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from twllm_types import ConfigError

if TYPE_CHECKING:
    from icda._recipe import IcdaRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeOptions:
    """What may stand beside a recipe.

    Attributes:
        file: NAME=PATH of a data file that the recipe names, or of seeds, validation, test, out_of_scope, candidates.
        index: file of row numbers into the data files.
        engine: hf:MODEL, vllm:MODEL, openai:MODEL@URL, replay:FILE, or a YAML file with every setting.
        features_model: folder of the sentence encoder, or name of the server's embedding model.
        seed: of generation, selection and draws.
    """

    file: Annotated[list[str] | None, Parameter(consume_multiple=(1, None))] = None
    index: Path | None = None
    engine: str | None = None
    features_model: str | None = None
    seed: int | None = None

    def load(self, recipe: Path | None) -> "IcdaRecipe":
        """Read the recipe, with what the options say.

        Args:
            recipe: the YAML file; None for all defaults.

        Raises:
            ConfigError: the recipe cannot be read, or an option cannot be used.
        """
        from icda._recipe import IcdaRecipe
        from twllm_runs import load_recipe

        found = IcdaRecipe() if recipe is None else load_recipe(recipe, IcdaRecipe)
        return found.with_options(
            engine=self.engine,
            files=dict(map(_named_path, self.file or [])),
            index=self.index,
            features_model=self.features_model,
            seed=self.seed,
        )


def _named_path(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise ConfigError(f"--file {text} is no NAME=PATH; give one, such as seeds=seeds.csv")
    return name, Path(path)
