"""Character n-grams that questions share with a corpus.

Texts are compared in a normal form: NFKC, lower case, letters and digits only, so that spacing, width and punctuation
do not hide a copy. Characters, not words: Chinese has no spaces, and no segmenter need agree with another.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from twllm_types import ConfigError

DEFAULT_NGRAM_CHARS = 13
"""GPT-3's overlap analysis took 13 words (Brown et al. 2020, appendix C); 13 characters are some 8 words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How much of one text stands in a corpus.

    Attributes:
        num_ngrams: n-grams of the text, repeated ones counted; 0 where it is shorter than n.
        num_found: of these, those that occur in the corpus.
        coverage: share of the text's characters that lie in a found n-gram; None where it has no n-gram.
    """

    num_ngrams: int
    num_found: int
    coverage: float | None


def comparable(text: str) -> str:
    """Return the normal form: NFKC, lower case, letters and digits of any script."""
    return "".join(char for char in unicodedata.normalize("NFKC", text).lower() if char.isalnum())


class NgramIndex:
    """The n-grams of some texts, to be looked for in a corpus that streams by; memory grows with the texts only.

    Args:
        texts: by id.
        num_chars: n, >= 1.

    Raises:
        ConfigError: n below 1.
    """

    def __init__(self, texts: Mapping[str, str], num_chars: int = DEFAULT_NGRAM_CHARS) -> None:
        if num_chars < 1:
            raise ConfigError(f"n-grams of {num_chars} characters; give at least 1, and 13 for a usual test")
        self._num_chars = num_chars
        self._texts = {key: comparable(text) for key, text in texts.items()}
        self._found = dict.fromkeys((gram for text in self._texts.values() for gram in _ngrams(text, num_chars)), False)

    def look_in(self, text: str) -> None:
        """Mark the n-grams that occur in one text of the corpus."""
        found = self._found
        for gram in _ngrams(comparable(text), self._num_chars):
            if gram in found:
                found[gram] = True

    def overlaps(self) -> dict[str, Overlap]:
        """Return the overlap of each text with all that was looked into, by id."""
        return {key: self._overlap(text) for key, text in self._texts.items()}

    def _overlap(self, text: str) -> Overlap:
        marks = [self._found[gram] for gram in _ngrams(text, self._num_chars)]
        if not marks:
            return Overlap(num_ngrams=0, num_found=0, coverage=None)
        return Overlap(num_ngrams=len(marks), num_found=sum(marks), coverage=_covered(marks, self._num_chars))


def _ngrams(text: str, num_chars: int) -> Iterable[str]:
    return (text[start : start + num_chars] for start in range(len(text) - num_chars + 1))


def _covered(marks: Sequence[bool], num_chars: int) -> float:
    """Share of characters under at least one found n-gram."""
    covered = end = 0
    for start, found in enumerate(marks):
        if found:
            covered += start + num_chars - max(start, end)
            end = start + num_chars
    return covered / (len(marks) + num_chars - 1)
