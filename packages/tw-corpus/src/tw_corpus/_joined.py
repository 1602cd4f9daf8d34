"""Several texts as one array of code points, so that what is counted character by character is counted in one pass.

A call of numpy costs what some thousand characters cost; a text of the usual length is shorter than that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tw_corpus._characters import NUM_CLASSES, CharClass, Classes, Codes, class_table, codes_of

# Beyond this a longer array gains nothing and leaves the cache.
_MAX_CHARS = 1 << 15

Marks = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JoinedTexts:
    """Texts one behind the other, a line feed behind each.

    Attributes:
        texts: the texts; at least one.
        text: the joined text.
        codes: its code points.
        classes: their classes.
        numbers: the number of the text that each character belongs to, the line feed behind it included.
        starts: position of the first character of each text, or of the line feed behind an empty one.
        ends: position of the line feed behind each text.
    """

    texts: Sequence[str]
    text: str
    codes: Codes
    classes: Classes
    numbers: Numbers
    starts: Numbers
    ends: Numbers

    def count(self, marks: Marks) -> list[int]:
        """Number of marked characters of each text; the line feed behind it counts too."""
        return np.add.reduceat(marks, self.starts, dtype=np.intp).tolist()

    def class_counts(self) -> list[list[int]]:
        """Characters of each `CharClass` in each text."""
        kinds = self.numbers * NUM_CLASSES + self.classes
        counts = np.bincount(kinds, minlength=len(self.texts) * NUM_CLASSES).reshape(-1, NUM_CLASSES)
        counts[:, CharClass.BLANK] -= 1
        return counts.tolist()


def join_texts(texts: Sequence[str]) -> JoinedTexts:
    """Join `texts`, at least one."""
    text = "\n".join([*texts, ""])
    codes = codes_of(text)
    sizes = np.array([len(each) + 1 for each in texts])
    stops = sizes.cumsum()
    return JoinedTexts(
        texts=texts,
        text=text,
        codes=codes,
        classes=class_table().take(codes),
        numbers=np.repeat(np.arange(len(texts)), sizes),
        starts=stops - sizes,
        ends=stops - 1,
    )


def groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut `texts`, in order, into groups that are worth joining: short texts together, a long one alone."""
    start = size = 0
    for number, text in enumerate(texts):
        if size and size + len(text) > _MAX_CHARS:
            yield texts[start:number]
            start, size = number, 0
        size += len(text) + 1
    if start < len(texts):
        yield texts[start:]
