"""Perplexity under a character n-gram model of KenLM."""

import importlib
from pathlib import Path
from typing import Any

from tw_corpus._resources import local_path
from tw_corpus._spaced import spaced_characters
from twllm_types import ConfigError, MissingDependencyError


class KenlmPerplexity:
    """Perplexity of a text, per character.

    The model knows single characters: train it with `lmplz -o 5` on text that `spaced_characters` made. Each line that
    is not blank is a sentence, begun with <s> and ended with </s>, as in CCNet (Wenzek et al. 2020, section 3):

        perplexity = 10 ** (-sum of log10 p / number of tokens),

    over all lines, where the tokens are the characters and one </s> for each line; <s> is given, not predicted. A text
    without characters is one empty line. The script is not folded: a model of Taiwanese text shall wonder at a
    Simplified character.

    Args:
        model: an ARPA or binary file, local or hf://owner/name/path@revision.

    Raises:
        MissingDependencyError: the package kenlm is not installed.
        ConfigError: the file is not here, or is no model.
    """

    def __init__(self, *, model: str) -> None:
        self._model = _load(local_path(model))

    @staticmethod
    def resources(*, model: str) -> tuple[str, ...]:
        """Return the location of the model."""
        return (model,)

    def __call__(self, text: str, /) -> float:
        """Return the perplexity, > 0."""
        lines = spaced_characters(text).split("\n")
        log10_probability = sum(self._model.score(line, bos=True, eos=True) for line in lines)
        num_tokens = sum(len(line.split()) + 1 for line in lines)
        return 10 ** (-log10_probability / num_tokens)


# kenlm has no types
def _load(path: Path) -> Any:
    try:
        kenlm: Any = importlib.import_module("kenlm")
    except ImportError as error:
        raise MissingDependencyError(
            "the package kenlm is not installed; pip install 'tw-corpus[kenlm]' (it needs a C++ compiler)"
        ) from error
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(str(path), config)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} is no model that KenLM reads ({reason}); give an ARPA or binary file") from error
