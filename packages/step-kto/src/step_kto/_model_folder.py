"""Folders of models: which model one holds, and writing one whole."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from step_kto._judge_spec import weights_sha256
from twllm_runs import hash_file
from twllm_types import ConfigError, ModelIdentity

TRAINING_NAME = "step_kto.json"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


def identify_model(model: str) -> ModelIdentity:
    """Say which model a folder holds, by content; a hub id goes by its name alone.

    Raises:
        ConfigError: the folder holds no safetensors, or the name is neither a folder nor a hub id.
    """
    folder = Path(model)
    if folder.is_dir():
        sha256 = {"weights": weights_sha256(folder)}
        digest = hashlib.sha256()
        found = [folder / name for name in _TOKENIZER_FILES if (folder / name).is_file()]
        for path in found:
            digest.update(f"{path.name} {hash_file(path)}\n".encode())
        return ModelIdentity(
            spec=f"hf:{folder.name}", sha256=sha256 | ({"tokenizer": digest.hexdigest()} if found else {})
        )
    if folder.is_absolute() or model.startswith(".") or model.count("/") > 1:
        raise ConfigError(f"there is no folder {model}; give the folder of a model, or a hub id")
    return ModelIdentity(spec=f"hf:{model}")


def write_folder(target: Path, write: Callable[[Path], None], *, work: Path) -> None:
    """Write a folder so that it appears whole or not at all; one that stands already is replaced.

    Args:
        target: the folder.
        write: fills a folder that it is given.
        work: folder on the same file system for what is not whole yet.
    """
    draft = work / f"{target.name}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    write(draft)
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
