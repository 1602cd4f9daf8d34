"""How much a text looks like a page that sells, or one that navigates: two additive scores over its measures.

Each score is a logistic model with few terms, so that a rejection can be checked by hand: every measure is brought to
0 to 1, multiplied by its weight, and the sum goes through the logistic function. The weights stand in
tables/page_types.tsv, which benchmarks/tw_corpus/fit_page_types.py writes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files

# Added to the length before a density is taken, so that one term does not decide about a text of two lines.
PRIOR_CHARS = 100
# The number of different terms grows with length: in a text of so many characters it counts half.
COUNT_CHARS = 2000


class Scale(StrEnum):
    """How a measure is brought to 0 to 1; from the cap on it is 1."""

    SHARE = "share"  # value / cap
    DENSITY = "density"  # log(1 + v) / log(1 + cap), v the density if the text were 100 characters longer
    COUNT = "count"  # log(1 + v) / log(1 + cap), v the number less what length alone brings (see COUNT_CHARS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One row of the table.

    Attributes:
        measure: name of a field of `Measures`.
        scale: how it is scaled.
        cap: value from which on it counts in full, > 0.
        promotion: weight in the promotion score, in units of the logit.
        boilerplate: weight in the boilerplate score.
    """

    measure: str
    scale: Scale
    cap: float
    promotion: float
    boilerplate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PageScores:
    """Both scores, 0 to 1; they order texts and are no probabilities.

    Attributes:
        promotion: looks like a page that sells, plays or solicits.
        boilerplate: looks like navigation, forms, notices and error pages.
    """

    promotion: float
    boilerplate: float


def score_page(measures: Mapping[str, float]) -> PageScores:
    """Score a text from its measures by name; 0 and 0 for a text without written characters."""
    written = measures["num_written_chars"]
    if not written:
        return PageScores(promotion=0.0, boilerplate=0.0)
    promotion, boilerplate = load_intercepts()
    for weight in load_weights():
        if value := measures[weight.measure]:
            value = scale_measure(value, weight.scale, cap=weight.cap, num_written=written)
            promotion += weight.promotion * value
            boilerplate += weight.boilerplate * value
    return PageScores(promotion=_logistic(promotion), boilerplate=_logistic(boilerplate))


def scale_measure(value: float, scale: Scale, *, cap: float, num_written: float) -> float:
    """A measure brought to 0 to 1 (see `Scale`); `num_written` characters are written in the text, at least 1."""
    if scale is Scale.SHARE:
        return value / cap if value < cap else 1.0
    if scale is Scale.DENSITY:
        value *= num_written / (num_written + PRIOR_CHARS)
    else:
        value *= COUNT_CHARS / (num_written + COUNT_CHARS)
    return math.log1p(value) / math.log1p(cap) if value < cap else 1.0


def _logistic(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


@lru_cache(maxsize=1)
def load_weights() -> tuple[Weight, ...]:
    """The rows of the table, the intercepts apart."""
    return tuple(
        Weight(
            measure=measure,
            scale=Scale(scale),
            cap=float(cap),
            promotion=float(promotion),
            boilerplate=float(boilerplate),
        )
        for measure, scale, cap, promotion, boilerplate in _rows()
        if measure != "intercept"
    )


@lru_cache(maxsize=1)
def load_intercepts() -> tuple[float, float]:
    """The logits of a text of which every measure is 0: promotion, boilerplate."""
    ((promotion, boilerplate),) = [(float(row[3]), float(row[4])) for row in _rows() if row[0] == "intercept"]
    return promotion, boilerplate


def _rows() -> list[list[str]]:
    table = files("tw_corpus").joinpath("tables", "page_types.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in table.splitlines() if not line.startswith("#")]
