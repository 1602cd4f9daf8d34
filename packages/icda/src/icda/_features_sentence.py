# transformers and torch have no complete types
# pyright: standard
"""Sentence embeddings of a local model of transformers, by mean pooling (extra `transformers`)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from icda._features import Embeddings, UnknownTokens, check_readable, count_unknown_tokens
from icda._guards import UNKNOWN_TOKEN_LIMIT
from icda._model_folder import check_model_folder, hash_model_folder, import_extra, load_model, load_tokenizer
from twllm_types import ConfigError

_DEFAULT_MAX_TOKENS = 256
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceSettings:
    """How texts become embeddings.

    Attributes:
        batch_size: texts per forward pass, at least 1.
        max_tokens: longer texts are cut; None for what the folder says, else 256.
        device: of torch.
        unknown_limit: largest share of unknown tokens in what `fit` is given, ours; None where a run's guard judges.

    Raises:
        ConfigError: a count is below 1.
    """

    batch_size: int = 32
    max_tokens: int | None = None
    device: str = "cpu"
    unknown_limit: float | None = UNKNOWN_TOKEN_LIMIT

    def __post_init__(self) -> None:
        for name, value in (("batch_size", self.batch_size), ("max_tokens", self.max_tokens)):
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}; give at least 1")


class SentenceEmbeddings:
    """Mean of the last hidden states over the tokens of a text, of length one (Reimers and Gurevych 2019, 1908.10084).

    Float32 without automatic casting. On one machine, the same texts in the same order give the same bits.

    Args:
        folder: of an encoder in safetensors; the layout of sentence-transformers is read where it is there.
        settings: how texts become embeddings.

    Raises:
        ConfigError: no such model, or its folder asks for another pooling than the mean, or for layers behind it.
        MissingDependencyError: the extra `transformers` is not installed.
    """

    def __init__(self, folder: Path, settings: SentenceSettings | None = None) -> None:
        self._settings = settings if settings is not None else SentenceSettings()
        self._torch = import_extra("torch")
        transformers = import_extra("transformers")
        check_model_folder(folder)
        self._max_tokens = self._settings.max_tokens or _max_tokens_of(folder)
        self._is_normalised = _reads_normalised(folder)
        self._name = folder.name
        self.tokenizer = load_tokenizer(folder)
        model = load_model(transformers.AutoModel, folder, dtype=self._torch.float32)
        self._model = model.to(self._settings.device).eval()
        self._key = f"sentence-{hash_model_folder(folder)}-{self._max_tokens}"

    @property
    def key(self) -> str:
        """What makes the embeddings: the model's hash and the most tokens it reads."""
        return self._key

    def fit(self, texts: Sequence[str]) -> "SentenceEmbeddings":
        """Return these embeddings as they are, once the model is known to read the texts.

        Raises:
            DataError: too many of their tokens are unknown to the model.
        """
        if self._settings.unknown_limit is not None:
            check_readable(self.tokenizer, texts, name=self._name, limit=self._settings.unknown_limit)
        return self

    def unknown_tokens(self, texts: Sequence[str]) -> UnknownTokens:
        """Count the tokens of texts that the model does not know."""
        return count_unknown_tokens(self.tokenizer, texts)

    def transform(self, texts: Sequence[str]) -> Embeddings:
        """Return one embedding per text, shape (N, D)."""
        lengths = [len(text) for text in texts]
        # Texts of like length share a batch, so that little is padded.
        order = sorted(range(len(texts)), key=lambda position: (lengths[position], position))
        result = np.zeros((len(texts), int(self._model.config.hidden_size)), dtype=np.float32)
        for start in range(0, len(order), self._settings.batch_size):
            positions = order[start : start + self._settings.batch_size]
            result[positions] = self._pooled([texts[position] for position in positions])
        return result

    def _pooled(self, texts: list[str]) -> Any:
        torch = self._torch
        batch = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt"
        ).to(self._settings.device)
        with torch.inference_mode():
            states = self._model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
            pooled = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
            if self._is_normalised:
                pooled = torch.nn.functional.normalize(pooled, dim=1)
        return pooled.cpu().numpy()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); give a whole model folder") from error


def _max_tokens_of(folder: Path) -> int:
    path = folder / "sentence_bert_config.json"
    value = _read_json(path).get("max_seq_length") if path.is_file() else None
    return int(value) if value else _DEFAULT_MAX_TOKENS


def _reads_normalised(folder: Path) -> bool:
    """Tell whether embeddings are scaled to length one; a folder without `modules.json` does not say, so they are."""
    path = folder / "modules.json"
    if not path.is_file():
        return True
    kinds = {str(module["type"]).rsplit(".", 1)[-1]: str(module["path"]) for module in _read_json(path)}
    strange = sorted(set(kinds) - set(_KNOWN_MODULES))
    if strange:
        raise ConfigError(
            f"{folder}: has the layer {strange[0]}, which is not read; give a model of mean pooling alone"
        )
    pooling = _read_json(folder / kinds["Pooling"] / "config.json") if "Pooling" in kinds else {}
    modes = {name for name, value in pooling.items() if name.startswith("pooling_mode_") and value is True}
    if modes - {"pooling_mode_mean_tokens"} or pooling.get("pooling_mode", "mean") != "mean":
        raise ConfigError(f"{folder}: pools by {', '.join(sorted(modes)) or pooling['pooling_mode']}, not by the mean")
    return "Normalize" in kinds
