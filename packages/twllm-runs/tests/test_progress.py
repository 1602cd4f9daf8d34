import io
import threading
from collections.abc import Callable

import pytest
from rich.console import Console

from twllm_runs import open_progress


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def plain() -> tuple[Console, Callable[[], list[str]]]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=False, width=40), lambda: stream.getvalue().splitlines()


def test_progress_off_a_terminal_writes_a_line_every_few_seconds() -> None:
    console, lines = plain()
    clock = Clock()
    with open_progress(console=console, clock=clock) as progress:
        task = progress.task("Reading", 1_000, "pages")
        for _ in range(100):
            clock.now += 0.125
            task.advance(10)
    assert lines() == [
        "Reading: 10/1,000 pages (1 %), 0:00 elapsed",
        "Reading: 410/1,000 pages (41 %), 80 pages/s, 0:05 elapsed, 0:07 left",
        "Reading: 810/1,000 pages (81 %), 80 pages/s, 0:10 elapsed, 0:02 left",
        "Reading: 1,000/1,000 pages (100 %), 80 pages/s, 0:12 elapsed",
    ]


def test_progress_quiet_writes_closing_lines_only() -> None:
    console, lines = plain()
    clock = Clock()
    with open_progress(quiet=True, console=console, clock=clock) as progress:
        task = progress.task("Reading", None, "pages")
        task.note("three files are empty")
        clock.now += 3_700
        task.advance(3_700)
        assert lines() == []
    assert lines() == ["Reading: 3,700 pages, 1 pages/s, 1:01:40 elapsed"]


def test_progress_continued_work_counts_in_total_but_not_in_rate() -> None:
    console, lines = plain()
    clock = Clock()
    with open_progress(console=console, clock=clock) as progress:
        task = progress.task("Reading", None, "pages")
        task.set(800, 1_000)
        clock.now += 10
        task.set(900)
        task.advance(0)
    assert lines() == [
        "Reading: 800/1,000 pages (80 %), 0:00 elapsed",
        "Reading: 900/1,000 pages (90 %), 10 pages/s, 0:10 elapsed, 0:10 left",
        "Reading: 900/1,000 pages (90 %), 10 pages/s, 0:10 elapsed, 0:10 left",
    ]


def test_progress_note_is_one_line_as_it_stands() -> None:
    console, lines = plain()
    text = "[bold]" + "long " * 30
    with open_progress(console=console, clock=Clock()) as progress:
        progress.task("Reading", 0, "pages").note(text)
    assert lines() == [f"Reading: {text}", "Reading: 0 pages, 0:00 elapsed"]


def test_progress_closing_lines_are_written_when_the_work_fails() -> None:
    console, lines = plain()

    def advance_and_fail() -> None:
        with open_progress(quiet=True, console=console) as progress:
            progress.task("Reading", 2, "pages").advance()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        advance_and_fail()
    assert len(lines()) == 1


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with open_progress() as progress:
        progress.task("Reading", 2, "pages").advance(2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Reading: 2/2 pages (100 %)" in captured.err


def test_progress_terminal_draws_bars_without_a_thread() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    clock = Clock()
    threads = threading.active_count()
    with open_progress(console=console, clock=clock) as progress:
        reading = progress.task("Reading", None, "pages")
        writing = progress.task("Writing", 10, "shards")
        reading.set(0, 200)
        for _ in range(200):
            clock.now += 0.05
            reading.advance()
        writing.note("[a] noted")
        writing.advance(4)
        assert threading.active_count() == threads
    shown = stream.getvalue()
    assert "Writing: [a] noted" in shown
    assert "200/200 pages (100 %), 20 pages/s, 0:10 elapsed" in shown
    assert "4/10 shards (40 %)" in shown
    # Every second count is a tenth of a second later, so at most every second one is drawn.
    assert "/200 pages" in shown
    assert shown.count("/200 pages") < 150


def test_progress_dumb_terminal_gets_lines() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, _environ={"TERM": "dumb"})
    with open_progress(console=console, clock=Clock()) as progress:
        progress.task("Reading", 2, "pages").advance(2)
    assert stream.getvalue().splitlines()[-1] == "Reading: 2/2 pages (100 %), 0:00 elapsed"
