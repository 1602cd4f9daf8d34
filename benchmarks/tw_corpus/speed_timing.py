"""Timing by turns: samples, passes, and ratios of their times with intervals over repetitions."""

import math
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from datatrove.data import Document
from datatrove_peers import Block

from twllm_runs.statistics import mean_estimate
from twllm_types import EstimateUnit

Task = Callable[[], "Timing"]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Processor time of one pass.

    Attributes:
        seconds: of the whole pass.
        parts: of each block, in order; empty where there is one piece of work only.
        num_left: documents that came out.
    """

    seconds: float
    parts: tuple[float, ...] = ()
    num_left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Texts, and their size in millions of bytes of UTF-8."""

    texts: tuple[str, ...]

    @property
    def megabytes(self) -> float:
        """Size in UTF-8."""
        return sum(len(text.encode("utf-8")) for text in self.texts) / 1e6

    @property
    def describe(self) -> str:
        """Number of texts and their mean size."""
        return f"{len(self.texts):,}, mean {1e6 * self.megabytes / max(len(self.texts), 1):,.0f} bytes"


class Metered:
    """An iterator that adds up the processor time that its items took, what stands before it included."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        started = time.process_time()
        try:
            return next(self._items)
        finally:
            self.seconds += time.process_time() - started


def run_blocks(blocks: Sequence[Block], documents: list[Document]) -> Timing:
    """Run a pipeline over documents, one document at a time as datatrove does."""
    meters: list[Metered] = []
    passed: Any = iter(documents)
    for block in blocks:
        passed = Metered(iter(block.run(passed, 0, 1) or ()))
        meters.append(passed)
    num_left = sum(1 for _ in passed)
    reached = [0.0, *(meter.seconds for meter in meters)]
    return Timing(
        seconds=reached[-1], parts=tuple(after - before for before, after in pairwise(reached)), num_left=num_left
    )


def added(timings: Sequence[Timing]) -> Timing:
    """One pass over several samples."""
    return Timing(
        seconds=sum(timing.seconds for timing in timings),
        parts=tuple(map(sum, zip(*(timing.parts for timing in timings), strict=True))),
        num_left=sum(timing.num_left for timing in timings),
    )


def interleaved(tasks: Mapping[Key, Task], repetitions: int) -> dict[Key, list[Timing]]:
    """Run each task once a repetition, beginning with another one each time; the first repetition is not counted."""
    keys = list(tasks)
    timings: dict[Key, list[Timing]] = {key: [] for key in keys}
    for repetition in range(repetitions + 1):
        turn = repetition % len(keys)
        for key in keys[turn:] + keys[:turn]:
            timing = tasks[key]()
            if repetition:
                timings[key].append(timing)
    return timings


def rate(timings: Sequence[Timing], megabytes: float) -> str:
    """MB/s, geometric mean over repetitions, with its interval."""
    return _geometric([megabytes / timing.seconds for timing in timings])


def times(slow: Sequence[Timing], fast: Sequence[Timing]) -> str:
    """The time of `slow` in times of `fast`, geometric mean over paired repetitions, with its interval."""
    return f"{_geometric([one.seconds / other.seconds for one, other in zip(slow, fast, strict=True)])}"


def _geometric(values: Sequence[float]) -> str:
    """Geometric mean with the Student interval of the logarithms."""
    estimate = mean_estimate([math.log(value) for value in values], unit=EstimateUnit.NATS)
    if estimate.mean is None:
        return "no value"
    if estimate.ci_low is None or estimate.ci_high is None:
        return f"{_digits(math.exp(estimate.mean))}, no interval"
    low, high = (_digits(math.exp(end)) for end in (estimate.ci_low, estimate.ci_high))
    return f"{_digits(math.exp(estimate.mean))} [{low}, {high}]"


def _digits(value: float) -> str:
    """Three significant digits, no exponent."""
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"
