"""Questions, scores and estimates."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from twllm_types._checks import check_filled
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
        reason: why there is no value, a stable string, not empty; None exactly when there is one.

    Raises:
        DataError: both or neither are given, the value is not finite, or the reason empty.
    """

    value: float | None
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise DataError("a score has either a value or a reason; give exactly one of the two")
        if self.value is not None and not isfinite(self.value):
            raise DataError(f"a score must be finite, not {self.value}; give value=None and the reason")
        if self.reason is not None:
            check_filled("reason of a score", self.reason)


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
        mean: the point estimate; None exactly when nothing was scored, n = 0.
        stderr: standard error, >= 0; None where the method gives none, and without mean.
        ci_low: lower end of the interval; None exactly when `ci_high` is, and without mean. The mean of a bootstrap
            may lie outside of its interval.
        ci_high: upper end of the interval, >= ci_low.
        level: coverage of the interval, in (0, 1).
        method: how interval and error were made, with its source: "wilson", "normal, clustered by document", ...;
            not empty.
        unit: what the figure is counted in.
        n: scored items behind the figure, >= 0.
        num_clusters: groups of dependent items, 1..n, or 0 where n is 0; None where items count as independent.
        num_unscored: items that gave no score, >= 0; they are in no mean, and always shown.
        draws: bootstrap or permutation draws, >= 1; None where none were made.
        seed: of the draws; None exactly when `draws` is.

    Raises:
        DataError: a figure is not finite, a value is out of its range, or the parts contradict each other.
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
        figures = (self.mean, self.stderr, self.ci_low, self.ci_high)
        # First, since no comparison below holds for NaN.
        if any(figure is not None and not isfinite(figure) for figure in figures):
            raise DataError("estimate: figures must be finite; use None for what cannot be computed")
        for broken, message in (*self._figure_problems(), *self._count_problems()):
            if broken:
                raise DataError(f"estimate: {message}")

    def _figure_problems(self) -> tuple[tuple[bool, str], ...]:
        low, high = self.ci_low, self.ci_high
        return (
            (not 0 < self.level < 1, f"level {self.level} must lie in (0, 1)"),
            (not self.method.strip(), "method is empty; say how error and interval were made"),
            (self.mean is None and self.n > 0, "n > 0 items were scored, so there must be a mean"),
            (self.mean is not None and self.n == 0, "a mean needs at least one scored item"),
            ((low is None) != (high is None), "give both ends of the interval or none"),
            (
                self.mean is None and (self.stderr is not None or low is not None),
                "there is no mean, so there is neither error nor interval; give None for them",
            ),
            (self.stderr is not None and self.stderr < 0, f"stderr {self.stderr} must be >= 0"),
            (low is not None and high is not None and low > high, f"interval [{low}, {high}] is upside down"),
        )

    def _count_problems(self) -> tuple[tuple[bool, str], ...]:
        clusters = self.num_clusters
        return (
            (self.n < 0 or self.num_unscored < 0, "counts must be >= 0"),
            (
                clusters is not None and not min(self.n, 1) <= clusters <= self.n,
                f"num_clusters is {clusters} for n = {self.n} items; each item lies in one cluster, so give 1 to n",
            ),
            (self.draws is not None and self.draws < 1, f"draws is {self.draws}; give a count >= 1, or None"),
            ((self.draws is None) != (self.seed is None), "give draws and seed together, or neither"),
        )
