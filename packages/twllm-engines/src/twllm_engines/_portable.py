"""What a manifest says of an engine without a machine's paths."""

import hashlib
from dataclasses import replace
from pathlib import Path

from twllm_engines._engine import Engine
from twllm_types import JsonObject, ModelIdentity

_FOLDERS = frozenset({"model", "tokenizer"})
_RECORDS = "file"


def portable_identity(identity: ModelIdentity) -> ModelIdentity:
    """The identity without a machine's path and without what a server says later: a folder or file goes by its name."""
    kind, colon, rest = identity.spec.partition(":")
    spec = f"{kind}:{Path(rest).name}" if colon and Path(rest).exists() else identity.spec
    return replace(identity, spec=spec, reported_id=None)


def portable_settings(engine: Engine) -> JsonObject:
    """The settings of an engine with folders and files by their names, whose content is known by a hash.

    A folder's hash is that of the model's identity; a file of recorded answers has its own, as `file_sha256`.
    """
    found: JsonObject = {}
    for name, value in engine.settings.items():
        path = Path(value) if isinstance(value, str) and value else None
        if path is not None and name in _FOLDERS and path.is_dir():
            found[name] = path.name
        elif path is not None and name == _RECORDS and path.is_file():
            found[name] = path.name
            with path.open("rb") as file:
                found[f"{name}_sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            found[name] = value
    return found
