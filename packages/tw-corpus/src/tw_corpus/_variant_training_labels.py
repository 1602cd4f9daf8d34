"""What training makes of rows that carry the label of their locale, and the hand-written words it goes by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from tw_corpus._variant._ngrams import MAX_ORDER, fold
from tw_corpus._variant._types import Variant
from tw_corpus._variant_training_rows import Row
from tw_corpus._variant_training_samples import Convert

# By how much Cantonese must be more probable than written Hong Kong Chinese, and the other way round, in nats.
_CANTONESE_FROM = 1.5
_WRITTEN_BELOW = -0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Labels other than that of the locale.

    Attributes:
        labels: by row id; None leaves the row out.
        neutral: ids of rows whose wording speaks for no variety.
    """

    labels: Mapping[str, Variant | None]
    neutral: frozenset[str]


@lru_cache(maxsize=1)
def regional_terms() -> Mapping[str, Mapping[str, float]]:
    """The hand-written words, script-folded, with their weight for each label (models/regional_terms.tsv)."""
    text = files("tw_corpus").joinpath("models", "regional_terms.tsv").read_text(encoding="utf-8")
    terms: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        labels, weight, words = line.split("\t")
        for word in words.split():
            weights = terms.setdefault(fold(word), {})
            for label in labels.split(","):
                weights[label] = max(weights.get(label, 0.0), float(weight))
    return terms


@lru_cache(maxsize=8)
def _words_for(label: Variant, *, but_not: Variant | None = None) -> frozenset[str]:
    """The hand-written words that speak for a variety."""
    return frozenset(
        word
        for word, weights in regional_terms().items()
        if weights.get(label, 0.0) >= 2 and (but_not is None or but_not not in weights)
    )


def _holds(folded: str, words: frozenset[str]) -> bool:
    return any(
        folded[start : start + size] in words for size in range(1, MAX_ORDER + 1) for start in range(len(folded))
    )


def settle_encyclopaedia(rows: Sequence[Row], convert: Convert) -> Settled:
    """Look again at the lines of the Mainland display of Chinese Wikipedia.

    It is written in every region and only displayed in one. A line counts for the Mainland where it holds a word of
    the hand-written list, or one that OpenCC would replace for Taiwan. A line with a Taiwanese or Hong Kong word is
    left out, and the others (five in six) are neutral: else the model would take an encyclopaedic style for Mainland
    wording, as no other variety has encyclopaedic rows.
    """
    elsewhere = _words_for(Variant.ZH_TW, but_not=Variant.ZH_CN) | _words_for(Variant.ZH_HK, but_not=Variant.ZH_CN)
    mainland = _words_for(Variant.ZH_CN)
    labels: dict[str, Variant | None] = {}
    neutral: set[str] = set()
    for row in rows:
        if not row.source.endswith("/wiki.zh-cn"):
            continue
        folded = fold(row.text)
        if _holds(folded, elsewhere):
            labels[row.id] = None
        elif not _holds(folded, mainland) and convert("s2tw", row.text) == convert("s2twp", row.text):
            neutral.add(row.id)
    return Settled(labels=labels, neutral=frozenset(neutral))


def unmarked_cantonese(rows: Sequence[Row]) -> frozenset[str]:
    """Ids of the lines without an unmistakable Cantonese character that hold a Cantonese word of the list."""
    return frozenset(row.id for row in rows if row.yue_marker is False and holds_cantonese(row.text))


def holds_cantonese(text: str) -> bool:
    """Whether a text holds a word of the hand-written list that speaks for Cantonese and not for Hong Kong at large."""
    return _holds(fold(text), _words_for(Variant.YUE, but_not=Variant.ZH_HK))


def settle_hong_kong(rows: Sequence[Row], margin: Callable[[str], float]) -> Mapping[str, Variant | None]:
    """Label the lines of the Hong Kong locale that hold no unmistakable Cantonese character.

    Args:
        rows: of any source.
        margin: by how many nats a first model finds a text more probably Cantonese than written Hong Kong Chinese.

    Returns:
        Label by row id, of those lines only; None where both are about as probable.
    """
    labels: dict[str, Variant | None] = {}
    for row in rows:
        if row.yue_marker is False:
            found = margin(row.text)
            labels[row.id] = (
                Variant.YUE if found > _CANTONESE_FROM else None if found > _WRITTEN_BELOW else Variant.ZH_HK
            )
    return labels
