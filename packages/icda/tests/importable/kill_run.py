"""Kills a whole run at every stage and goes on each time; forks, so that libraries are imported once.

python kill_run.py FOLDER leaves FOLDER/parts and FOLDER/whole and prints how each start ended.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import sklearn.linear_model  # noqa: F401 - imported once, before the forks

import icda._generate as generate
import icda._report as report
import icda._run_score as run_score
import icda._run_select as run_select
import icda._run_train as run_train
from icda._run import run_icda

sys.path.insert(0, str(Path(__file__).parent))

from icda_fakes import FakeGenerator, SilentProgress, make_recipe


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at(name: str, count: int) -> Callable[[], SilentProgress]:
    """Dies when a task of this name has counted so far."""

    def progress() -> SilentProgress:
        return SilentProgress(lambda task, done: die() if (task, done) == (name, count) else None)

    return progress


def around(module: ModuleType, name: str, *, before: bool) -> Callable[[], SilentProgress]:
    """Dies before or behind the first call of a function of a stage."""

    def progress() -> SilentProgress:
        real = getattr(module, name)

        def deadly(*args: Any, **kwargs: Any) -> Any:
            if not before:
                real(*args, **kwargs)
            die()

        setattr(module, name, deadly)
        return SilentProgress()

    return progress


KILLS: dict[str, Callable[[], SilentProgress]] = {
    "generate: first answers": at("generating", 2),
    "generate: a later round": at("generating", 8),
    "generate: behind the first file": around(generate, "write_jsonl", before=False),
    "generate: before the summary": around(generate, "generate_summary", before=True),
    "score: before the candidates": at("scoring", 24),
    "score: behind the scores": around(run_score, "write_scores", before=False),
    "score: before the thresholds": around(run_score, "write_thresholds", before=True),
    "select: behind the first file": around(run_select, "write_jsonl", before=False),
    "select: before the sheet": around(run_select, "write_review", before=True),
    "select: behind the sheet": around(run_select, "write_review", before=False),
    "train: second classifier": at("training", 2),
    "train: before the rows": around(run_train, "write_jsonl", before=True),
    "train: before the summary": around(run_train, "_arm_to_json", before=True),
    "report": around(report, "render_report", before=True),
}


def start(folder: Path, kill: Callable[[], SilentProgress]) -> int:
    """Run in a child and return how it ended: a signal as a negative number."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run_icda(make_recipe(folder / "data"), output=folder / "parts", progress=kill(), engine=FakeGenerator())
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    folder = Path(sys.argv[1])
    ends = {name: start(folder, kill) for name, kill in KILLS.items()}
    ends["undisturbed"] = start(folder, SilentProgress)
    recipe = make_recipe(folder / "data")
    run_icda(recipe, output=folder / "whole", progress=SilentProgress(), engine=FakeGenerator())
    json.dump(ends, sys.stdout)


if __name__ == "__main__":
    main()
