"""Texts of several lengths made from rows: sentences, and runs of sentences of one source and document."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np

from tw_corpus._characters import codes_of
from tw_corpus._variant._ngrams import fold, fold_table
from tw_corpus._variant._types import Variant
from tw_corpus._variant_training_rows import Row, text_key
from twllm_types import MissingDependencyError

# Configurations of OpenCC that turn Simplified into Traditional characters.
TO_TRADITIONAL = ("s2t", "s2tw", "s2twp", "s2hk")
TO_SIMPLIFIED = "t2s"

Convert = Callable[[str, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A text to learn from or to score.

    Attributes:
        text: one sentence, or sentences put together.
        label: variety of the wording.
        source: of all its sentences.
        cluster: document, conversation or row that it is from; samples of one cluster are not independent.
        num_han: ideographs.
        num_sentences: sentences it was put together from.
        joined: sentences that did not stand side by side in the source were put together.
        converted_by: OpenCC configuration that it went through, else None.
        gold: every sentence was labelled as such.
        neutral: nothing in its wording speaks for the variety that its file is of.
    """

    text: str
    label: Variant
    source: str
    cluster: str
    num_han: int
    num_sentences: int = 1
    joined: bool = False
    converted_by: str | None = None
    gold: bool = True
    neutral: bool = False


def load_converter() -> Convert:
    """Conversion by OpenCC: a function of configuration and text.

    Raises:
        MissingDependencyError: `opencc`, which only training and evaluation need, is not installed.
    """
    try:
        import opencc
    except ImportError as error:
        raise MissingDependencyError(
            "training and evaluation convert texts by OpenCC: install the package `opencc` (pip install opencc)"
        ) from error
    # opencc has no types
    converters: dict[str, Any] = {name: opencc.OpenCC(name) for name in (*TO_TRADITIONAL, TO_SIMPLIFIED)}

    def convert(configuration: str, text: str) -> str:
        return cast("str", converters[configuration].convert(text))

    return convert


@lru_cache(maxsize=1 << 18)
def count_han(text: str) -> int:
    """Ideographs in `text`."""
    return int(np.count_nonzero(fold_table()[codes_of(text)]))


def wording_label(row: Row) -> Variant:
    """The label of a row; a line of the Hong Kong locale with an unmistakable Cantonese character is Cantonese."""
    return Variant.YUE if row.yue_marker else row.label


_SENTENCE = re.compile(r"[^。！？；\n]*[。！？；\n]?[」』）]?")
_HEADING = re.compile(r"(?m)^(?:#.*|第 [\d-]+ 條|\d+)$|[\u2500-\u259f\u3000]+|^[（(][^）)\n]{0,20}[）)]$")


def sentences(row: Row) -> list[str]:
    """The sentences of a row: of a document without speaker headings, article numbers and lines of tables."""
    if not row.document:
        return [row.text]
    pieces = _SENTENCE.findall(_HEADING.sub("\n", row.text))
    return [piece.strip() for piece in pieces if count_han(piece) >= 2]


_SPEAKER = re.compile(r"(?m)^### (\S{2,4})：")


def speaker_names(rows: Iterable[Row]) -> frozenset[str]:
    """Names of the people who speak in documents, and their given names, script-folded: they are no wording."""
    names = {fold(name) for row in rows if row.document for name in _SPEAKER.findall(row.text)}
    return frozenset(names | {name[1:] for name in names if len(name) > 2})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Sentences of one source, label and document, in their order; of a source of single sentences, shuffled."""

    sentences: tuple[str, ...]
    label: Variant
    source: str
    cluster: str
    joined: bool
    gold: bool
    converted_by: str | None = None


def streams(
    rows: Iterable[Row],
    *,
    label_of: Callable[[Row], Variant | None] = wording_label,
    exclude: frozenset[str] = frozenset(),
) -> list[Stream]:
    """Put rows of one source, label and document or conversation together.

    Args:
        rows: in the order of the source.
        label_of: label of a row; None leaves it out.
        exclude: `text_key` of sentences to leave out.
    """
    found: dict[tuple[str, str, str, str], list[str]] = {}
    gold: dict[tuple[str, str, str, str], bool] = {}
    for row in rows:
        label = label_of(row)
        if label is None:
            continue
        document = row.id if row.document else row.conversation or ""
        key = (row.source, label.value, document, row.converted_by or "")
        found.setdefault(key, []).extend(text for text in sentences(row) if text_key(text) not in exclude)
        gold[key] = row.gold
    return [
        Stream(
            sentences=tuple(texts),
            label=Variant(label),
            source=source,
            cluster=document or f"{source}/{label}",
            joined=not document,
            gold=gold[source, label, document, configuration],
            converted_by=configuration or None,
        )
        for (source, label, document, configuration), texts in found.items()
        if texts
    ]


def single_sentences(stream: Stream) -> Iterator[Sample]:
    """Each sentence with an ideograph as a sample; sentences of no document are clusters of their own."""
    for number, text in enumerate(stream.sentences):
        num_han = count_han(text)
        if num_han:
            yield Sample(
                text=text,
                label=stream.label,
                source=stream.source,
                cluster=f"{stream.cluster}/{number}" if stream.joined else stream.cluster,
                num_han=num_han,
                converted_by=stream.converted_by,
                gold=stream.gold,
            )


def shuffled(stream: Stream, rng: np.random.Generator) -> Stream:
    """The stream in another order where its sentences never stood side by side, else turned to another beginning."""
    size = len(stream.sentences)
    order = rng.permutation(size) if stream.joined else np.roll(np.arange(size), -int(rng.integers(size)))
    return replace(stream, sentences=tuple(stream.sentences[int(index)] for index in order.tolist()))


def runs(stream: Stream, num_han: int) -> Iterator[Sample]:
    """Cut a stream into runs of whole sentences with at least `num_han` ideographs; the short rest is left out."""
    taken: list[str] = []
    total = number = 0
    for text in stream.sentences:
        taken.append(text)
        total += count_han(text)
        if total >= num_han:
            yield Sample(
                text="\n".join(taken),
                label=stream.label,
                source=stream.source,
                cluster=f"{stream.cluster}/{number}" if stream.joined else stream.cluster,
                num_han=total,
                num_sentences=len(taken),
                joined=stream.joined,
                converted_by=stream.converted_by,
                gold=stream.gold,
            )
            taken, total, number = [], 0, number + 1


def converted(sample: Sample, configuration: str, convert: Convert) -> Sample:
    """The sample through OpenCC: Traditional text by way of Simplified, whatever script it had."""
    simplified = convert(TO_SIMPLIFIED, sample.text)
    return replace(sample, text=convert(configuration, simplified), converted_by=configuration)


def some_configuration(rng: np.random.Generator) -> str:
    """A configuration of OpenCC that makes Traditional characters, drawn at random."""
    return TO_TRADITIONAL[int(rng.integers(len(TO_TRADITIONAL)))]


def in_some_script(sample: Sample, convert: Convert, rng: np.random.Generator) -> Sample:
    """The sample as it is or, as often, in the other script: wording is to be told in both."""
    chance = float(rng.random())
    configuration = some_configuration(rng)
    if chance < 0.5:
        return sample
    if sample.label is Variant.ZH_CN:
        return converted(sample, configuration, convert)
    return simplified(sample, convert)


def simplified(sample: Sample, convert: Convert) -> Sample:
    """The sample in Simplified characters; its wording stays."""
    return replace(sample, text=convert(TO_SIMPLIFIED, sample.text))


def balance(samples: Sequence[Sample]) -> list[float]:
    """A weight for each sample, 1 on average: varieties weigh the same, sources by the square root of their size."""
    sizes: dict[tuple[Variant, str], int] = {}
    for sample in samples:
        key = (sample.label, sample.source)
        sizes[key] = sizes.get(key, 0) + 1
    labels: dict[Variant, float] = {}
    for (label, _), size in sizes.items():
        labels[label] = labels.get(label, 0.0) + size**0.5
    return [_weight(sample, sizes, labels) * len(samples) / len(labels) for sample in samples]


def _weight(sample: Sample, sizes: Mapping[tuple[Variant, str], int], labels: Mapping[Variant, float]) -> float:
    return sizes[sample.label, sample.source] ** -0.5 / labels[sample.label]
