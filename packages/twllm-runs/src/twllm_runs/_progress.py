"""Progress of long work on stderr: bars on a terminal, sparse lines elsewhere, one closing line per task when quiet."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

_LINE_SECONDS = 5.0
_BAR_SECONDS = 0.1
# A rate over less time says more about the start than about the work.
_RATE_SECONDS = 1.0


class ProgressTask(Protocol):
    """One piece of work that is being counted."""

    def advance(self, n: int = 1) -> None:
        """Count `n` more units; 0 only keeps the display alive."""
        ...

    def set(self, completed: int, total: int | None = None) -> None:
        """Replace the count, and the total unless it is None.

        As the first count of a task it says what an earlier start did, which is left out of rate and time left.
        """
        ...

    def note(self, text: str) -> None:
        """Show one line at once; nothing when quiet."""
        ...


class Progress(Protocol):
    """Where work reports how far it is."""

    def task(self, description: str, total: int | None, unit: str) -> ProgressTask:
        """Begin a task.

        Args:
            description: what is being done, a few words.
            total: units in all; None where unknown, then no time left is shown.
            unit: plural noun of what is counted, "documents".
        """
        ...


@contextmanager
def open_progress(
    *,
    quiet: bool = False,
    console: "Console | None" = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Progress]:
    """Show progress during the with-block, on stderr so that results have stdout to themselves.

    A terminal gets bars with count, rate, elapsed time and time left. Elsewhere each task writes a line at its first
    count, then at most every 5 seconds, and a closing line. Quiet leaves only the closing lines, written when the
    block ends.

    No thread is started, so workers may be forked inside the block; the display moves when a task does.

    Args:
        quiet: closing lines only.
        console: where to write; None for stderr.
        clock: seconds, monotonic.
    """
    from rich.console import Console

    target = Console(stderr=True) if console is None else console
    if quiet or not target.is_terminal or target.is_dumb_terminal:
        lines = _Lines(target, clock, quiet=quiet)
        try:
            yield lines
        finally:
            lines.close()
    else:
        bars = _Bars(target, clock)
        with bars.rich:
            yield bars


class _Display(Protocol):
    """What a task tells of itself."""

    def moved(self, task: "_Task") -> None:
        """The count of `task` has changed."""
        ...

    def note(self, task: "_Task", text: str) -> None:
        """`task` has something to say."""
        ...


class _Task:
    """The count, and how it reads."""

    def __init__(
        self, display: _Display, description: str, total: int | None, unit: str, clock: Callable[[], float]
    ) -> None:
        self.description = description
        self.total = total
        self.completed = 0
        self._display = display
        self._unit = unit
        self._clock = clock
        self._started = clock()
        self._moved = self._started
        # What an earlier start did; None until the first count.
        self._before: int | None = None

    def advance(self, n: int = 1) -> None:
        self._before = self._before or 0
        self._move(self.completed + n)

    def set(self, completed: int, total: int | None = None) -> None:
        self._before = completed if self._before is None else self._before
        self.total = self.total if total is None else total
        self._move(completed)

    def note(self, text: str) -> None:
        self._display.note(self, text)

    def status(self) -> str:
        """Count, rate, elapsed and, where it can be known, time left."""
        elapsed = self._moved - self._started
        done = self.completed - (self._before or 0)
        parts = [
            _describe_count(self.completed, self.total, self._unit),
            _describe_rate(done, elapsed, self._unit),
            f"{_describe_seconds(elapsed)} elapsed",
        ]
        if self.total is not None and elapsed >= _RATE_SECONDS and done > 0 and self.completed < self.total:
            parts.append(f"{_describe_seconds(elapsed / done * (self.total - self.completed))} left")
        return ", ".join(part for part in parts if part)

    def _move(self, completed: int) -> None:
        self.completed = completed
        self._moved = self._clock()
        self._display.moved(self)


class _Lines:
    """Progress as log lines."""

    def __init__(self, console: "Console", clock: Callable[[], float], *, quiet: bool) -> None:
        self._console = console
        self._clock = clock
        self._quiet = quiet
        self._written: dict[_Task, float | None] = {}

    def task(self, description: str, total: int | None, unit: str) -> ProgressTask:
        task = _Task(self, description, total, unit, self._clock)
        self._written[task] = None
        return task

    def moved(self, task: _Task) -> None:
        now, last = self._clock(), self._written[task]
        if not self._quiet and (last is None or now - last >= _LINE_SECONDS):
            self._written[task] = now
            self._write(task, task.status())

    def note(self, task: _Task, text: str) -> None:
        if not self._quiet:
            self._write(task, text)

    def close(self) -> None:
        """Write how each task ended; its time ends with its last count, not with the block."""
        for task in self._written:
            self._write(task, task.status())

    def _write(self, task: _Task, text: str) -> None:
        # soft_wrap: a log line stays one line however long it is.
        self._console.print(f"{task.description}: {text}", markup=False, highlight=False, soft_wrap=True)


class _Bars:
    """Progress as bars of rich, redrawn by the tasks themselves instead of rich's thread."""

    def __init__(self, console: "Console", clock: Callable[[], float]) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self.rich = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=console,
            auto_refresh=False,
            redirect_stdout=False,
            get_time=clock,
        )
        self._clock = clock
        self._numbers: dict[_Task, TaskID] = {}
        self._drawn: float | None = None

    def task(self, description: str, total: int | None, unit: str) -> ProgressTask:
        task = _Task(self, description, total, unit, self._clock)
        self._numbers[task] = self.rich.add_task(description, total=total, status=task.status())
        return task

    def moved(self, task: _Task) -> None:
        number = self._numbers[task]
        self.rich.update(number, completed=task.completed, total=task.total, status=task.status())
        now = self._clock()
        if self._drawn is None or now - self._drawn >= _BAR_SECONDS:
            self._drawn = now
            self.rich.refresh()

    def note(self, task: _Task, text: str) -> None:
        self.rich.console.print(f"{task.description}: {text}", markup=False, highlight=False)


def _describe_count(completed: int, total: int | None, unit: str) -> str:
    """Return "1,234/10,000 documents (12 %)", or "1,234 documents" where the total is unknown or 0."""
    if not total:
        return f"{completed:,} {unit}"
    return f"{completed:,}/{total:,} {unit} ({100 * completed / total:.0f} %)"


def _describe_rate(completed: int, seconds: float, unit: str) -> str:
    """Return "345 documents/s", or nothing before there is enough to divide."""
    if seconds < _RATE_SECONDS or completed <= 0:
        return ""
    rate = completed / seconds
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s"


def _describe_seconds(seconds: float) -> str:
    """Return "0:07", "12:34" or "1:02:03"; parts of a second are rounded away."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
