"""From the name of a plug-in measure to the callable, and what identifies it in a run's manifest."""

import hashlib
import importlib
import inspect
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any, Protocol, cast

from tw_corpus._foreign import FOREIGN_ERRORS, one_line
from tw_corpus._plugin_measure import OptionValue, PluginMeasure, as_value
from tw_corpus._resources import Resource, describe
from twllm_types import ConfigError, JsonObject, ModelIdentity, TwllmError

_SHIPPED = {
    "kenlm": "tw_corpus._kenlm:KenlmPerplexity",
    "fasttext": "tw_corpus._fasttext:FastTextProbability",
}


class TextMeasure(Protocol):
    """A measure: a text in, a finite number out."""

    def __call__(self, text: str, /) -> float:
        """Measure one text, which may be empty.

        An exception, `nan` and an infinite value say that the text cannot be measured; the document is then counted
        as failed, and left out where the measure has a threshold.
        """
        ...


class MeasureFactory(Protocol):
    """What makes a measure, a class or a function; every worker process calls it once, with the recipe's options.

    A factory that reads files names them: it has an attribute `resources`, a function of the same options that
    returns their locations (local paths or hf://…). `tw-corpus prefetch` brings them, their hashes go into the
    manifest, and the factory finds each by `local_path`.
    """

    def __call__(self, **options: OptionValue) -> TextMeasure:
        """Make the measure."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmeasured:
    """A text that a measure failed on.

    Attributes:
        error: class and message of the exception, one line.
    """

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginIdentity:
    """What decides the values of the plug-in measures of a recipe, next to the recipe itself.

    Attributes:
        code: by measure, where its code comes from.
        models: the files that it reads.
    """

    code: JsonObject
    models: tuple[ModelIdentity, ...]


def find_factory(measure: PluginMeasure) -> Callable[..., TextMeasure]:
    """Import the factory and see that it takes the options.

    Raises:
        ConfigError: there is no such module or attribute, importing it fails, or it does not take the options.
        MissingDependencyError: the extra of a shipped measure is not installed.
    """
    module_name, _, attribute = _SHIPPED.get(measure.factory, measure.factory).partition(":")
    try:
        factory: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            factory = getattr(factory, part)
    except TwllmError:
        raise
    # the module is foreign code: whatever it raises on import, the recipe cannot be used
    except FOREIGN_ERRORS as error:
        raise ConfigError(
            f"measure {measure.name!r}: {measure.factory!r} cannot be imported ({one_line(error)}); install its "
            "package, or put the folder of the module into PYTHONPATH"
        ) from error
    if not callable(factory):
        raise ConfigError(f"measure {measure.name!r}: {measure.factory!r} is no class or function; name one")
    _check_options(measure, factory)
    return cast("Callable[..., TextMeasure]", factory)


def locations_of(measure: PluginMeasure) -> tuple[str, ...]:
    """Return the locations of the files that the measure reads; none where its factory names none.

    Raises:
        ConfigError: as `find_factory`, or the factory's `resources` fails or returns something else.
    """
    named: Any = getattr(find_factory(measure), "resources", None)
    if named is None:
        return ()
    try:
        locations = tuple(cast("Iterable[object]", named(**measure.options)))
    except TwllmError:
        raise
    # foreign code, as above
    except FOREIGN_ERRORS as error:
        raise ConfigError(
            f"measure {measure.name!r}: resources of {measure.factory!r} failed ({one_line(error)}); check options"
        ) from error
    if not all(isinstance(location, str) for location in locations):
        raise ConfigError(
            f"measure {measure.name!r}: resources of {measure.factory!r} returns other things than strings; mend it"
        )
    return cast("tuple[str, ...]", locations)


def build(measure: PluginMeasure) -> TextMeasure:
    """Make the measure.

    Raises:
        ConfigError: the factory fails, or makes nothing that can be called; the message names the measure.
        MissingDependencyError: the extra of a shipped measure is not installed.
    """
    factory = find_factory(measure)
    try:
        made = factory(**measure.options)
    except TwllmError as error:
        raise type(error)(f"measure {measure.name!r}: {error}") from error
    # foreign code, as above
    except FOREIGN_ERRORS as error:
        raise ConfigError(
            f"measure {measure.name!r}: {measure.factory!r} failed ({one_line(error)}); check its options"
        ) from error
    if not callable(made):
        raise ConfigError(
            f"measure {measure.name!r}: {measure.factory!r} returned {type(made).__name__}, which cannot be called; "
            "a factory returns a function of one text"
        )
    return made


def load(measure: PluginMeasure) -> TextMeasure:
    """Return the measure; a process makes it once.

    Raises:
        ConfigError: as `build`.
    """
    return _load(measure.name, measure.factory, json.dumps(dict(measure.options), sort_keys=True))


def measure_text(measure: TextMeasure, text: str) -> float | Unmeasured:
    """Measure one text; a failure of foreign code at one text is a value, which the caller counts."""
    try:
        return as_value(measure(text))
    except MemoryError:
        # says nothing about the text
        raise
    # the boundary of a record: what a plug-in raises becomes a counted outcome
    except FOREIGN_ERRORS as error:
        return Unmeasured(error=one_line(error))


def identify(measures: Sequence[PluginMeasure], *, on_bytes: Callable[[int], None] | None = None) -> PluginIdentity:
    """Check that every measure can be made here and now, and say what decides its values.

    Args:
        measures: of the recipe.
        on_bytes: called with the size of each block of a model file that was hashed.

    Raises:
        ConfigError: a measure cannot be imported or made, or a file that it reads is not on this machine.
        MissingDependencyError: the extra of a shipped measure is not installed.
        DataError: a file cannot be read.
    """
    code: JsonObject = {}
    models: list[ModelIdentity] = []
    for measure in measures:
        models += [_model(describe(location, on_bytes=on_bytes)) for location in locations_of(measure)]
        code[measure.name] = _code(measure)
        # made and let go: a broken model file is found before any document is read
        build(measure)
    return PluginIdentity(code=code, models=tuple(models))


@lru_cache(maxsize=16)
def _load(name: str, factory: str, options: str) -> TextMeasure:
    values = cast("dict[str, OptionValue]", json.loads(options))
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return build(PluginMeasure(name=name, factory=factory, options=given))


def _check_options(measure: PluginMeasure, factory: Callable[..., object]) -> None:
    try:
        signature = inspect.signature(factory)
    except ValueError:
        # built in and without a signature; the call will tell
        return
    try:
        signature.bind(**measure.options)
    except TypeError as error:
        raise ConfigError(
            f"measure {measure.name!r}: options do not fit {measure.factory!r}: {error}; it takes {signature}"
        ) from error


def _code(measure: PluginMeasure) -> JsonObject:
    """Return the version of the distribution that the plug-in belongs to, and the hash of its module."""
    names = packages_distributions()
    module = _SHIPPED.get(measure.factory, measure.factory).partition(":")[0]
    # a shipped measure is as good as the package of the same name that it wraps
    package = measure.factory if measure.factory in _SHIPPED else module.partition(".")[0]
    source = getattr(importlib.import_module(module), "__file__", None)
    return {
        "distributions": {name: version(name) for name in sorted(set(names.get(package, ())))},
        "module_sha256": None if source is None else hashlib.sha256(Path(source).read_bytes()).hexdigest(),
    }


def _model(resource: Resource) -> ModelIdentity:
    return ModelIdentity(spec=resource.location, revision=resource.commit, sha256={"weights": resource.sha256})
