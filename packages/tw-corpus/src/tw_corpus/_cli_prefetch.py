"""The command `tw-corpus prefetch`."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App


def register(app: "App") -> None:
    """Add the command to the app of `tw-corpus`."""
    app.command(prefetch)


def prefetch(recipe: str, *, to: Path | None = None) -> None:
    """Bring what a recipe needs on machines without network: the models of its plug-in measures.

    What is there already is not brought again. `tw-corpus curate` itself never uses the network.

    Example: tw-corpus prefetch perplexity.yaml --to /shared/models

    Args:
        recipe: name of a shipped recipe (web, forum, law, news, book) or a YAML file.
        to: folder for files of the Hugging Face hub, which HF_HUB_CACHE must then name on those machines; without it
            the cache of huggingface_hub.
    """
    from huggingface_hub.utils import disable_progress_bars
    from rich.console import Console

    from tw_corpus.curation import load_curation_recipe, prefetch, show_prefetch
    from twllm_runs import current_cli

    if current_cli().quiet:
        disable_progress_bars()
    show_prefetch(Console(), prefetch(load_curation_recipe(recipe), cache=None if to is None else to.absolute()))
