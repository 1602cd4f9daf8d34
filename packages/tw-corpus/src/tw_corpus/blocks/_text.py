"""Blocks that change a document's text: normalisation and removal of boilerplate lines."""
# datatrove's blocks are untyped in part
# pyright: standard

from collections.abc import Iterable, Iterator
from dataclasses import fields
from operator import attrgetter

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from tw_corpus._boilerplate import strip_boilerplate
from tw_corpus._normalize import NormalizationChanges, normalize
from tw_corpus._tally import Tally
from tw_corpus.readers._page import extracted_fields

_KINDS = tuple(field.name for field in fields(NormalizationChanges))
_counts_of = attrgetter(*_KINDS)


class Normalize(PipelineStep):
    """Applies `tw_corpus.normalize` to every document and counts the changes of the text.

    What was taken from a page beside its text (`title`, `board`) is normalised too, so that `Redact` sees it plain.
    """

    type = "✂️ - FORMAT"
    name = "tw-corpus normalize"

    def __init__(self, *, tally: Tally | None = None) -> None:
        """Normalise.

        Args:
            tally: also counts the changes there.
        """
        super().__init__()
        self.tally = tally

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield every document with its normalised text."""
        for document in data or ():
            with self.track_time():
                normalized = normalize(document.text)
                document.text = normalized.text
                for name, value in extracted_fields(document.metadata).items():
                    document.metadata[name] = normalize(value).text
                for kind, count in zip(_KINDS, _counts_of(normalized.changes), strict=True):
                    self.stat_update(kind, value=count)
                    if self.tally is not None:
                        self.tally.changes[kind] += count
            yield document


class StripBoilerplate(PipelineStep):
    """Removes boilerplate lines with `tw_corpus.strip_boilerplate` and counts them by rule."""

    type = "✂️ - FORMAT"
    name = "tw-corpus boilerplate lines"

    def __init__(self, *, tally: Tally | None = None) -> None:
        """Strip.

        Args:
            tally: also counts the removed lines there.
        """
        super().__init__()
        self.tally = tally

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield every document without its boilerplate lines."""
        for document in data or ():
            with self.track_time():
                stripped = strip_boilerplate(document.text)
                document.text = stripped.text
                for rule, count in stripped.removed.items():
                    self.stat_update(rule, value=count)
                    if self.tally is not None:
                        self.tally.boilerplate[rule] += count
            yield document
