"""Plug-in measures as somebody else might write them, for the tests."""

import os
from collections.abc import Callable
from pathlib import Path

from tw_corpus.measures import TextMeasure, local_path

NOT_CALLABLE = 3


def share_of(*, characters: str) -> TextMeasure:
    """Measure which share of a text are these characters."""

    def measure(text: str) -> float:
        return sum(text.count(character) for character in characters) / len(text)

    return measure


def fails_on(*, word: str) -> TextMeasure:
    """Measure the length of a text, but for texts that hold a word."""

    def measure(text: str) -> float:
        if word in text:
            raise KeyError(f"{word}\nunknown")
        return len(text)

    return measure


def returning(*, what: str) -> Callable[[str], object]:
    """Return a measure that gives something that may be no number."""
    values: dict[str, object] = {"nan": float("nan"), "text": "0.5", "true": True, "none": None}
    return lambda _text: values[what]


class WordsOfFile:
    """Measure the share of the characters that a file lists."""

    def __init__(self, *, words: str, bonus: tuple[float, ...] = ()) -> None:
        self._known = set(local_path(words).read_text(encoding="utf-8"))
        self._bonus = sum(bonus)

    # the options of the constructor
    @staticmethod
    def resources(*, words: str, bonus: tuple[float, ...] = ()) -> list[str]:  # noqa: ARG004
        """Return the file."""
        return [words]

    def __call__(self, text: str, /) -> float:
        """Measure one text."""
        return sum(character in self._known for character in text) / max(len(text), 1) + self._bonus


def broken(*, why: str = "it is Monday") -> TextMeasure:
    """Fail to make a measure."""
    raise OSError(why)


def no_measure() -> int:
    """Return something that cannot be called."""
    return 5


class OddResources:
    """Measures nothing; its resources are no strings."""

    @staticmethod
    def resources() -> list[Path]:
        """Return a path where a string is asked for."""
        return [Path("model.bin")]


class FailingResources:
    """Measures nothing; its resources fail."""

    @staticmethod
    def resources() -> list[str]:
        """Fail."""
        raise LookupError("no such list")


def downloads_itself(*, location: str) -> TextMeasure:
    """Ask the hub for a file that no `resources` names."""
    from huggingface_hub import hf_hub_download

    hf_hub_download(location, "model.bin")
    return len


def dies() -> TextMeasure:
    """End the process."""
    os._exit(9)
