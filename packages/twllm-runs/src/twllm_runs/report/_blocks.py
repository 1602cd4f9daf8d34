"""A report as data, and its blocks of text and key figures."""

from dataclasses import dataclass
from typing import TypeAlias

from twllm_runs.report._charts import Bars, Heatmap, Histogram, Intervals, Lines, Scatter
from twllm_runs.report._table import Link, Table
from twllm_types import DataError, Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A key figure: an estimate with its interval, a count, or a short text such as "12.4 MB/s".

    Attributes:
        label: what it is.
        value: estimates show interval and counts too.
        note: what else to know, in a few words.
        difference: the estimate is a difference, written with its sign.
    """

    label: str
    value: Estimate | int | str
    note: str = ""
    difference: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Key figures side by side."""

    items: tuple[Figure, ...]
    title: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A named fact about the run or a sample: recipe, seed, commit, source, ..."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One text to look at.

    Attributes:
        text: shown as it is; control characters are made visible; folded where long.
        title: id or heading.
        tags: what readers may filter by, such as the source and the reason of a rejection.
        facts: figures that decided.
        lang: language tag of the text (BCP 47).
    """

    text: str
    title: str = ""
    tags: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    lang: str = "zh-Hant-TW"


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Texts to browse, filtered by tag and by words."""

    title: str
    samples: tuple[Sample, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """Plain paragraphs in one language (BCP 47 tag)."""

    paragraphs: tuple[str, ...]
    title: str = ""
    lang: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Files of the run folder."""

    links: tuple[Link, ...]
    title: str = "Files"
    note: str = ""


Block: TypeAlias = Figures | Table | Bars | Histogram | Lines | Scatter | Intervals | Heatmap | Samples | Prose | Links


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part of a report; the titles make the table of contents."""

    title: str
    blocks: tuple[Block, ...]
    intro: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run shows.

    Attributes:
        title: heading and window title.
        subtitle: one line on what was done to what.
        facts: what made the result: command, recipe, seed, versions; a report holds no clock of its own.
        sections: from top to bottom.
        lang: language of the headings (BCP 47 tag).

    Raises:
        DataError: there is no title.
    """

    title: str
    subtitle: str = ""
    facts: tuple[Fact, ...] = ()
    sections: tuple[Section, ...] = ()
    lang: str = "en"

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise DataError("a report needs a title; name the run")
