"""Questions, scores and estimates."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from twllm_types._errors import DataError

_LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceQuestion:
    """One multiple-choice question.

    Attributes:
        id: unique within its subject.
        subject: subject id.
        question: the stem.
        options: 2 to 10 option texts, in the order of the letters A, B, ...
        answer: letter of the right option.
        explanation: worked solution; None where the data have none.

    Raises:
        DataError: too few or too many options, an empty option, or an answer outside the options.
    """

    id: str
    subject: str
    question: str
    options: tuple[str, ...]
    answer: str
    explanation: str | None = None

    def __post_init__(self) -> None:
        where = f"question {self.subject}/{self.id}"
        if not 2 <= len(self.options) <= len(_LETTERS):
            raise DataError(f"{where} has {len(self.options)} options; give 2 to {len(_LETTERS)}")
        for letter, option in zip(self.letters, self.options, strict=True):
            if not option.strip():
                raise DataError(f"{where}: option {letter} is empty; fill it or drop the question")
        if len(self.answer) != 1 or self.answer not in self.letters:
            raise DataError(f"{where}: answer {self.answer!r} is none of {', '.join(self.letters)}; correct it")

    @property
    def letters(self) -> str:
        """Letters of the options, as one string: 'ABCD'."""
        return _LETTERS[: len(self.options)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One measured value, or the reason why there is none.

    Attributes:
        value: finite number, or None.
        reason: why there is no value, a stable string; None exactly when there is one.

    Raises:
        DataError: both or neither are given, or the value is not finite.
    """

    value: float | None
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise DataError("a score has either a value or a reason; give exactly one of the two")
        if self.value is not None and not isfinite(self.value):
            raise DataError(f"a score must be finite, not {self.value}; give value=None and the reason")


class EstimateUnit(StrEnum):
    """What an estimate is counted in."""

    SHARE = "share"
    POINTS = "points"
    BITS = "bits"
    NATS = "nats"
    BITS_PER_BYTE = "bits_per_byte"
    SECONDS = "seconds"
    RATIO = "ratio"
    CORRELATION = "correlation"
    COUNT = "count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its uncertainty; no figure is shown without it.

    Attributes:
        mean: the point estimate; None where nothing could be scored.
        stderr: standard error; None where the method gives none.
        ci_low: lower end of the interval; None exactly when `ci_high` is.
        ci_high: upper end of the interval.
        level: coverage of the interval, in (0, 1).
        method: how interval and error were made, with its source: "wilson", "normal, clustered by document", ...
        unit: what the figure is counted in.
        n: scored items behind the figure.
        num_clusters: groups of dependent items; None where items count as independent.
        num_unscored: items that gave no score; they are in no mean, and always shown.
        draws: bootstrap or permutation draws; None where none were made.
        seed: of the draws; None where none were made.

    Raises:
        DataError: the parts contradict each other.
    """

    mean: float | None
    stderr: float | None
    ci_low: float | None
    ci_high: float | None
    level: float
    method: str
    unit: EstimateUnit
    n: int
    num_clusters: int | None = None
    num_unscored: int = 0
    draws: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        problems = (
            (self.n < 0 or self.num_unscored < 0, "counts must be >= 0"),
            (not 0 < self.level < 1, f"level {self.level} must lie in (0, 1)"),
            (self.mean is None and self.n > 0, "n > 0 items were scored, so there must be a mean"),
            (self.mean is not None and self.n == 0, "a mean needs at least one scored item"),
            ((self.ci_low is None) != (self.ci_high is None), "give both ends of the interval or none"),
            (self.stderr is not None and not self.stderr >= 0, f"stderr {self.stderr} must be >= 0"),
            (
                any(x is not None and not isfinite(x) for x in (self.mean, self.stderr, self.ci_low, self.ci_high)),
                "figures must be finite; use None for what cannot be computed",
            ),
            (
                self.ci_low is not None and self.ci_high is not None and self.ci_low > self.ci_high,
                f"interval [{self.ci_low}, {self.ci_high}] is upside down",
            ),
        )
        for broken, message in problems:
            if broken:
                raise DataError(f"estimate: {message}")
