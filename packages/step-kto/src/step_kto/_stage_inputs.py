"""What a stage says of the models and files that decide its result, without a machine's paths."""

from dataclasses import replace
from pathlib import Path

from twllm_engines import Engine
from twllm_runs import hash_file
from twllm_types import ArtifactError, DataError, InputFile, JsonObject, ModelIdentity

DECISIVE_PACKAGES = ("step-kto", "twllm-engines")
PACKAGES = ("torch", "transformers", "tokenizers", "vllm", "h11")
_FOLDERS = frozenset({"model", "tokenizer"})


def check_sha256(path: Path, sha256: str) -> None:
    """Refuse a file that is not the one that a stage wrote.

    Raises:
        ArtifactError: it is missing or has another content.
    """
    try:
        found = hash_file(path)
    except DataError as error:
        raise ArtifactError(f"{error}; restore it, or delete the folder of the stage and run it again") from error
    if found != sha256:
        raise ArtifactError(f"{path}: was changed since the stage wrote it; restore it, or run the stage again")


def portable_identity(identity: ModelIdentity) -> ModelIdentity:
    """The identity without a machine's path and without what a server says later: a folder or file goes by its name."""
    kind, colon, rest = identity.spec.partition(":")
    spec = f"{kind}:{Path(rest).name}" if colon and Path(rest).exists() else identity.spec
    return replace(identity, spec=spec, reported_id=None)


def portable_settings(engine: Engine) -> JsonObject:
    """The settings of an engine with folders by their names: a folder's content is known by the hashes."""
    return {
        name: Path(value).name if isinstance(value, str) and name in _FOLDERS and Path(value).is_dir() else value
        for name, value in engine.settings.items()
    }


def stage_input(folder: Path, name: str, sha256: str) -> InputFile:
    """Describe a file that an earlier stage wrote."""
    return InputFile(name=name, num_bytes=(folder / name).stat().st_size, sha256=sha256)
