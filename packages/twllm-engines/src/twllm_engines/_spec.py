"""From a spec to an engine."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from twllm_engines._engine import Engine
from twllm_engines._settings import ReplaySettings, TransformersSettings, VllmSettings
from twllm_engines._settings_openai import OpenAISettings, Redact
from twllm_types import ConfigError, MissingDependencyError

EngineSettings: TypeAlias = TransformersSettings | VllmSettings | OpenAISettings | ReplaySettings

_FORMS = "hf:MODEL, vllm:MODEL, openai:MODEL@URL, replay:FILE, or a YAML file"
_YAML_SUFFIXES = (".yaml", ".yml")


def load_engine(
    spec: "str | Path | EngineSettings", *, base: Path | None = None, redact: Redact | None = None
) -> Engine:
    """Load the engine that a spec names.

    Args:
        spec: `hf:MODEL`, `vllm:MODEL`, `openai:MODEL@URL`, `replay:FILE`, the path of a YAML file (`engine: hf` and
            any setting of that engine by name), or settings.
        base: folder of relative paths in a string spec; None for the current one. Paths inside a YAML file start at
            the file's folder.
        redact: applied to every text before it leaves the process; for `openai` only.

    Raises:
        ConfigError: the spec names no engine, a setting is unknown or out of range, or the engine cannot be set up so.
        DataError: a recording is damaged.
        MissingDependencyError: the engine's extra is not installed.
    """
    settings = parse_spec(spec, base=base) if isinstance(spec, str | Path) else spec
    entry = _entry_of(settings)
    if redact is not None and not isinstance(settings, OpenAISettings):
        raise ConfigError(f"redact is given for an engine that sends nothing ({entry.name}); leave it out")
    missing = [module for module in entry.requires if find_spec(module) is None]
    if missing:
        raise MissingDependencyError(
            f"the engine {entry.name!r} needs {', '.join(missing)}; pip install 'twllm-engines[{entry.extra}]'"
        )
    return entry.load(settings, redact)


def parse_spec(spec: "str | Path", *, base: Path | None = None) -> EngineSettings:
    """Return the settings that a spec stands for, without loading the engine; arguments and errors as `load_engine`."""
    text = str(spec)
    if isinstance(spec, Path) or text.endswith(_YAML_SUFFIXES):
        return _from_yaml(_under(base, text))
    name, colon, rest = text.partition(":")
    if not colon or not rest:
        raise ConfigError(f"engine spec {text!r} is none of {_FORMS}; give one")
    entry = _entry(name, where=f"engine spec {text!r}")
    return entry.from_text(rest, base)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One engine: its settings, what it needs, and how it is loaded without importing it before."""

    name: str
    settings: type[EngineSettings]
    from_text: Callable[[str, Path | None], EngineSettings]
    load: Callable[[Any, Redact | None], Engine]
    requires: tuple[str, ...] = ()
    extra: str = ""


def _load_transformers(settings: TransformersSettings, _redact: Redact | None) -> Engine:
    from twllm_engines._transformers import TransformersEngine

    return TransformersEngine(settings)


def _load_vllm(settings: VllmSettings, _redact: Redact | None) -> Engine:
    from twllm_engines._vllm import VllmEngine

    return VllmEngine(settings)


def _load_openai(settings: OpenAISettings, redact: Redact | None) -> Engine:
    from twllm_engines._openai import OpenAIEngine

    return OpenAIEngine(settings, redact=redact)


def _load_replay(settings: ReplaySettings, _redact: Redact | None) -> Engine:
    from twllm_engines._replay import ReplayEngine

    return ReplayEngine(settings)


def _openai_from_text(rest: str, _base: Path | None) -> OpenAISettings:
    # A model's name may hold an @; the address begins at the last one that a scheme follows.
    at = max(rest.rfind("@http://"), rest.rfind("@https://"))
    if at <= 0:
        raise ConfigError(f"engine spec 'openai:{rest}' lacks its address; write openai:MODEL@https://HOST/v1")
    return OpenAISettings(model=rest[:at], base_url=rest[at + 1 :])


_ENGINES: dict[str, _Entry] = {
    "hf": _Entry(
        name="hf",
        settings=TransformersSettings,
        from_text=lambda rest, base: TransformersSettings(model=_folder_or_id(rest, base)),
        load=_load_transformers,
        requires=("torch", "transformers", "safetensors"),
        extra="transformers",
    ),
    "vllm": _Entry(
        name="vllm",
        settings=VllmSettings,
        from_text=lambda rest, base: VllmSettings(model=_folder_or_id(rest, base)),
        load=_load_vllm,
        requires=("vllm",),
        extra="vllm",
    ),
    "openai": _Entry(
        name="openai",
        settings=OpenAISettings,
        from_text=_openai_from_text,
        load=_load_openai,
        requires=("h11",),
        extra="openai",
    ),
    "replay": _Entry(
        name="replay",
        settings=ReplaySettings,
        from_text=lambda rest, base: ReplaySettings(file=_under(base, rest)),
        load=_load_replay,
    ),
}


def _entry(name: str, *, where: str) -> _Entry:
    entry = _ENGINES.get(name)
    if entry is None:
        close = get_close_matches(name, _ENGINES, n=1)
        fix = f"did you mean {close[0]!r}?" if close else f"give {_FORMS}"
        raise ConfigError(f"{where}: {name!r} is not an engine; {fix}")
    return entry


def _entry_of(settings: EngineSettings) -> _Entry:
    for entry in _ENGINES.values():
        if isinstance(settings, entry.settings):
            return entry
    raise ConfigError(f"{type(settings).__name__} is neither a spec nor settings of an engine; give {_FORMS}")


def _under(base: Path | None, path: str) -> Path:
    return Path(path) if base is None else base / path


def _folder_or_id(model: str, base: Path | None) -> str:
    """Return a folder below `base` where there is one, else the name as it stands, a hub id."""
    folder = _under(base, model)
    return str(folder) if base is not None and folder.is_dir() else model


def _from_yaml(path: Path) -> EngineSettings:
    if find_spec("yaml") is None or find_spec("pydantic") is None:
        raise MissingDependencyError(
            f"{path}: a YAML spec needs pyyaml and pydantic, which every extra brings; "
            "pip install 'twllm-engines[openai]'"
        )
    from twllm_engines._yaml_spec import build_settings, read_mapping

    tree = read_mapping(path)
    name = tree.values.pop("engine", None)
    if not isinstance(name, str):
        raise ConfigError(f"{path}: 'engine' is missing; give one of {', '.join(_ENGINES)}")
    entry = _entry(name, where=f"{path}:{tree.lines['engine']}")
    settings = build_settings(tree, entry.settings, source=str(path))
    return _paths_below(settings, path.parent)


def _paths_below(settings: EngineSettings, folder: Path) -> EngineSettings:
    """Let relative paths start at `folder`; a model that is no folder there is a hub id and stays."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value: object = getattr(settings, field.name)
        if isinstance(value, Path):
            changes[field.name] = folder / value
        elif isinstance(value, str) and _names_path(field.name, folder / value):
            changes[field.name] = str(folder / value)
    return dataclasses.replace(settings, **changes)


def _names_path(field: str, path: Path) -> bool:
    return path.is_file() if field == "chat_template" else field in {"model", "tokenizer"} and path.is_dir()
