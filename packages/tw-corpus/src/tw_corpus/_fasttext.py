"""Probability of a label under a supervised fastText model."""

import importlib
from pathlib import Path
from typing import Any

from tw_corpus._resources import local_path
from tw_corpus._spaced import spaced_characters
from twllm_types import ConfigError, DataError, MissingDependencyError

_PREFIX = "__label__"


class FastTextProbability:
    """Probability of one label, 0 to 1.

    Args:
        model: a supervised model (.bin or .ftz), local or hf://owner/name/path@revision.
        label: of which label, with or without `__label__`.
        spaced: put blanks between the characters, as `spaced_characters` does, for a model that was trained so; False
            gives the text as it stands. Line breaks become blanks either way: fastText reads one line.

    Raises:
        MissingDependencyError: the package fasttext is not installed.
        ConfigError: the file is not here, is no supervised model, or knows no such label.
    """

    def __init__(self, *, model: str, label: str, spaced: bool = True) -> None:
        self._label = _PREFIX + label.removeprefix(_PREFIX)
        self._spaced = spaced
        self._model = _load(local_path(model), self._label)

    # the options of the constructor
    @staticmethod
    def resources(*, model: str, label: str, spaced: bool = True) -> tuple[str, ...]:  # noqa: ARG004
        """Return the location of the model."""
        return (model,)

    def __call__(self, text: str, /) -> float:
        """Return the probability.

        Raises:
            DataError: the model has no opinion, for it knows nothing of the text.
        """
        line = " ".join((spaced_characters(text) if self._spaced else text).split())
        labels, probabilities = self._model.predict(line, k=-1)
        for label, probability in zip(labels, probabilities, strict=True):
            if label == self._label:
                # fastText adds 1e-5 to what it takes the logarithm of
                return min(float(probability), 1.0)
        raise DataError(f"the model gives {self._label} no probability; it knows nothing of the text")


# fasttext has no types
def _load(path: Path, label: str) -> Any:
    try:
        fasttext: Any = importlib.import_module("fasttext")
    except ImportError as error:
        raise MissingDependencyError(
            "the package fasttext is not installed; pip install 'tw-corpus[fasttext]'"
        ) from error
    try:
        model: Any = fasttext.load_model(str(path))
        model.predict("", k=1)
    except ValueError as error:
        raise ConfigError(f"{path} is no supervised fastText model ({error}); give one") from error
    known = sorted(model.get_labels())
    if label not in known:
        raise ConfigError(f"{path} knows no label {label}; give one of {', '.join(known)}")
    return model
