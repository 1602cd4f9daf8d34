"""Bringing what nodes without network need, and proving that nothing is missing."""

import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import resources
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tw_corpus._measure import measure
from tw_corpus._plugin_measure import PluginMeasure
from tw_corpus._plugins import build, locations_of
from tw_corpus._recipe import CurationRecipe
from tw_corpus._resources import Resource, describe, fetch
from tw_corpus._variant import classify_variant
from twllm_runs import hash_file
from twllm_types import RunError

_CACHE = "HF_HUB_CACHE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefetchedFile:
    """One file that lies ready.

    Attributes:
        used_by: name of the plug-in measure, or `tw-corpus` for what ships.
        resource: where it lies and what it holds.
    """

    used_by: str
    resource: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefetch:
    """What a recipe needs on a machine without network.

    Attributes:
        files: tables and models that ship, then files of the plug-in measures in the order of the recipe.
        measures: names of the plug-in measures; each was made without network.
        cache: folder that HF_HUB_CACHE must name on those machines; None for huggingface_hub's own.
    """

    files: tuple[PrefetchedFile, ...]
    measures: tuple[str, ...]
    cache: Path | None


def prefetch(recipe: CurationRecipe, *, cache: Path | None = None) -> Prefetch:
    """Bring the files of a recipe's plug-in measures, then make every measure in a process without network.

    What is there already is not brought again. The process is told to stay off the network as huggingface_hub,
    transformers and datasets understand it (HF_HUB_OFFLINE and the like); a plug-in that calls out by other means is
    not held back. Like `curate` it is started by `spawn`, so a script needs the usual `if __name__ == "__main__":`.

    Args:
        recipe: whose plug-in measures.
        cache: folder for files of the hub; None for that of huggingface_hub.

    Raises:
        ConfigError: a measure cannot be imported or made, or there is no such file.
        MissingDependencyError: the extra of a shipped measure is not installed.
        DataError: a file cannot be read.
        RunError: the hub cannot be reached or the disk refuses; the same command continues.
    """
    shipped = _check_shipped()
    named = [(chosen.name, location) for chosen in recipe.measures for location in locations_of(chosen)]
    for _, location in named:
        fetch(location, cache=cache)
    found = tuple(PrefetchedFile(used_by=name, resource=describe(location, cache=cache)) for name, location in named)
    _make_offline(recipe.measures, cache)
    return Prefetch(files=shipped + found, measures=tuple(chosen.name for chosen in recipe.measures), cache=cache)


def show_prefetch(console: Console, done: Prefetch) -> None:
    """Print what lies where, and what is left to do."""
    table = Table(title="ready without network")
    for title in ("used by", "file", "commit"):
        table.add_column(title, overflow="fold")
    table.add_column("bytes", justify="right")
    table.add_column("sha256", overflow="fold")
    for file in done.files:
        found = file.resource
        table.add_row(
            Text(file.used_by),
            Text(f"{found.location}\n{found.path}" if found.commit else str(found.path)),
            found.commit or "-",
            f"{found.num_bytes:,}",
            found.sha256,
        )
    console.print(table)
    if not done.measures:
        console.print("The recipe has no plug-in measures; nothing more is needed.")
        return
    console.print(f"Made without network: {', '.join(done.measures)}")
    if done.cache is not None and any(file.resource.commit for file in done.files):
        console.print(f"On the nodes: export {_CACHE}={done.cache}", soft_wrap=True, markup=False)


def _check_shipped() -> tuple[PrefetchedFile, ...]:
    """Load every table and model that ships, by using them, and list them."""
    # a damaged installation shows here, not on a node
    text = "臺灣的天氣很好。"
    classify_variant(text)
    measure(text)
    files: list[PrefetchedFile] = []
    for folder in ("tables", "models"):
        for item in sorted((resources.files("tw_corpus") / folder).iterdir(), key=lambda item: item.name):
            with resources.as_file(item) as path:
                resource = Resource(
                    location=f"{folder}/{item.name}",
                    path=path,
                    commit=None,
                    num_bytes=path.stat().st_size,
                    sha256=hash_file(path),
                )
            files.append(PrefetchedFile(used_by="tw-corpus", resource=resource))
    return tuple(files)


def _make_offline(measures: tuple[PluginMeasure, ...], cache: Path | None) -> None:
    if not measures:
        return
    # a process of its own: huggingface_hub reads its variables once, on import
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_go_offline, initargs=(cache,)) as pool:
        for chosen in measures:
            try:
                pool.submit(_make, chosen).result()
            except BrokenProcessPool as error:
                raise RunError(
                    f"the process that made measure {chosen.name!r} died (out of memory?); try a smaller model, or "
                    "more memory"
                ) from error


def _go_offline(cache: Path | None) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ[name] = "1"
    if cache is not None:
        os.environ[_CACHE] = str(cache)


def _make(chosen: PluginMeasure) -> None:
    # what it made stays here: a measure need not be picklable
    build(chosen)
